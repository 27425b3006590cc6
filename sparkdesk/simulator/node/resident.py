"""Process 1 of a simulated node: owns its namespaces, starts its commands, reaps them, and moves its machine.

The one rule: when the simulator's end of the control socket closes, this process ends, and in a confined node the
kernel then ends everything in it. Messages: see `serve`. Started with an open socket's number as its one argument.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import termios
import time
import traceback
from pathlib import Path
from typing import NoReturn

from sparkdesk.simulator.confinement import landlock, namespace, privilege
from sparkdesk.simulator.confinement import syscall as sc
from sparkdesk.simulator.machine import census, live, live_files, machine_files
from sparkdesk.simulator.machine.physics import Readings
from sparkdesk.simulator.node import wire

MAX_COMMAND_BYTES = 128 * 1024 - 1  # one word of a command line. Source: linux/binfmts.h MAX_ARG_STRLEN
_GROUPS = [4, 27, 989]  # adm, sudo, docker as in the node's /etc/group
_PATH = f"{namespace.PROGRAM_DIR}/program/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_COPIED_ETC = ("ld.so.cache", "localtime", "services", "protocols", "alternatives", "terminfo", "ssl/openssl.cnf")


class Resident:
    """The state of a running node."""

    def __init__(self, control: socket.socket, machine: live.Machine, setting: wire.Message) -> None:
        self._control = control
        self._machine = machine
        self._is_confined = bool(setting["confined"])
        self._root = str(setting["root"])
        self._address = str(setting["address"])
        self._program_dir = str(setting["program_dir"])
        self._python = str(setting["python"])
        others = (*setting["packages"], *setting["models"].values())
        self._readable = [self._program_dir, sys.base_prefix, *map(str, others)]
        self._user_namespace = -1
        self._has_many_ids = False
        self._children: dict[int, int] = {}  # process id -> the simulator's number for it
        self._groups: dict[int, int] = {}  # the simulator's number -> process group, until it is forgotten

    def set_user(self, *, has_many_ids: bool, user_namespace: int) -> None:
        """How a command becomes the user `nvidia`."""
        self._has_many_ids = has_many_ids
        self._user_namespace = user_namespace

    def serve(self) -> None:
        """Answer until the simulator is gone: exec, signal, forget, socket, freeze, traffic."""
        wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_w)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(wake_r, select.POLLIN)
        next_s = time.monotonic() + live.TICK_S
        while True:
            for number, _event in poll.poll(max(0.0, next_s - time.monotonic()) * 1000):
                if number == wake_r:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_r, 512)
                    self._reap()
                elif not self._answer():
                    return
            if time.monotonic() >= next_s:
                self._machine.tick(None if self._is_confined else os.getpid())
                next_s = time.monotonic() + live.TICK_S

    def _answer(self) -> bool:
        """Do what the next message asks; False when the simulator is gone."""
        try:
            packet = wire.receive(self._control)
        except ConnectionResetError:
            return False
        except wire.PacketError:
            return True  # not of the simulator, which sends none such
        if packet is None:
            return False
        message, files = packet
        if message["op"] == "exec":
            self._start(message, files)
        elif message["op"] == "signal":
            self._signal_group(int(message["id"]), int(message["signal"]))
        elif message["op"] == "forget":
            self._groups.pop(int(message["id"]), None)
        elif message["op"] == "socket":
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as end:
                self._say({"op": "socket", "id": message["id"]}, (end.fileno(),))
        elif message["op"] == "freeze":
            self._signal_all(signal.SIGSTOP if message["on"] else signal.SIGCONT)
        elif message["op"] == "traffic":
            self._machine.add_traffic(int(message["received"]), int(message["sent"]))
        wire.close_all(files)
        return True

    def _say(self, message: wire.Message, files: tuple[int, ...] = ()) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the next read tells us that it is gone
            wire.send(self._control, message, files)

    def _start(self, message: wire.Message, files: list[int]) -> None:
        """Start a command with its three streams, or on a new terminal."""
        number, master, slave = int(message["id"]), -1, -1
        streams = tuple(files)
        if message.get("terminal"):
            master, slave = os.openpty()
            streams = (slave, slave, slave)
        pid = os.fork()
        if pid == 0:
            self._become_command(message, streams, has_terminal=slave >= 0)
        self._children[pid] = number
        self._groups[number] = pid
        self._say({"op": "started", "id": number, "pid": pid}, (master,) if master >= 0 else ())
        for end in (master, slave):
            if end >= 0:
                os.close(end)

    def _become_command(self, message: wire.Message, streams: tuple[int, ...], *, has_terminal: bool) -> NoReturn:
        """In the child: never returns."""
        try:
            os.setsid()
            for target, stream in enumerate(streams):
                os.dup2(stream, target)
            if has_terminal:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
                size = struct.pack("HHHH", int(message["rows"]), int(message["columns"]), 0, 0)
                fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            for one in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT):
                signal.signal(one, signal.SIG_DFL)
            self._become_user()
            os.umask(0o022)
            home, environment = self._environment(message)
            os.chdir(home)
            argv = self._argv(message)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # a command gets its three streams and nothing of ours
            os.execve(argv[0], argv, environment)
        except BaseException:  # noqa: BLE001  a forked child must not run on into the parent's loop
            os.write(2, traceback.format_exc().encode())
        os._exit(126)

    def _become_user(self) -> None:
        """Leave every right behind but those of a plain user."""
        if self._user_namespace >= 0:
            sc.enter_namespace(self._user_namespace, sc.CLONE_NEWUSER)
        elif self._has_many_ids:
            os.setgroups(_GROUPS)
            os.setresgid(namespace.USER_ID, namespace.USER_ID, namespace.USER_ID)
            os.setresuid(namespace.USER_ID, namespace.USER_ID, namespace.USER_ID)
        sc.set_process_option(sc.PR_SET_NO_NEW_PRIVS, 1)
        if not self._is_confined:
            privilege.leave_capabilities()
            landlock.restrict([self._root], self._readable)

    def _environment(self, message: wire.Message) -> tuple[str, dict[str, str]]:
        """Home and environment of a command. What the client asked for never wins over what the node says."""
        prefix = "" if self._is_confined else self._root
        home = f"{prefix}/home/nvidia"
        asked = {str(name): str(value) for name, value in message.get("environment", {}).items()}
        own = {
            "HOME": home,
            "USER": "nvidia",
            "LOGNAME": "nvidia",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "PATH": _PATH if self._is_confined else f"{self._program_dir}/bin:{os.defpath}",
            "SSH_CONNECTION": f"127.0.0.1 0 {self._address} 22",
        }
        if message.get("terminal"):
            own["TERM"] = str(message["terminal"])
        if not self._is_confined:
            own |= {"SPARKDESK_ROOT": self._root, "SPARKDESK_SIM_ADDRESS": self._address}
            own |= {"SPARKDESK_LOOPBACK": self._address}  # read by what runs on a node, for its own servers
        return home, asked | own

    def _argv(self, message: wire.Message) -> list[str]:
        shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
        if message["kind"] == "sftp":
            folder = f"{namespace.PROGRAM_DIR}/program" if self._is_confined else self._program_dir
            return [self._python, "-IS", f"{folder}/sftp_server.py"]
        if message["kind"] == "shell":
            return [shell, "-l"] if self._is_confined else [shell, "--norc", "-i"]
        return [shell, "-c", str(message["command"])]

    def _reap(self) -> None:
        """Tell the simulator of the commands that ended; orphans are just buried."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._children.pop(pid, None)
            if number is None:
                continue
            if os.WIFSIGNALED(status):
                self._say({"op": "ended", "id": number, "signal": os.WTERMSIG(status)})
            else:
                self._say({"op": "ended", "id": number, "code": os.WEXITSTATUS(status)})

    def _signal_group(self, number: int, which: int) -> None:
        """Signal the process group of a command, also when its first process has ended and others live on."""
        pid = self._groups.get(number, 0)
        if pid and self._children.get(pid, number) == number:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, which)

    def _signal_all(self, which: int) -> None:
        """A frozen node: everything in it stands still, but for this process."""
        if self._is_confined:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, which)
            return
        for pid in census.tasks(Path("/proc"), os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, which)

    def end_all(self) -> None:
        """Without a PID namespace: end every descendant by hand."""
        for _round in range(3):
            self._signal_all(signal.SIGKILL)


def main() -> None:
    """Run a node on the open socket whose number is this process's last argument."""
    number = int(sys.argv[-1])
    os.set_inheritable(number, False)  # who holds it can speak as the node
    control = socket.socket(fileno=number)
    namespace.die_with_parent(os.getppid())
    packet = wire.receive(control)
    if packet is None:
        return
    setting = packet[0]
    try:
        if setting["confined"]:
            _run_confined(control, setting)
        else:
            _run_unconfined(control, setting)
    except OSError as error:
        with contextlib.suppress(OSError):
            wire.send(control, {"op": "failed", "reason": str(error)})
        raise


def _run_confined(control: socket.socket, setting: wire.Message) -> None:
    has_many = namespace.leave_host()
    child = os.fork()
    if child:
        control.close()
        os.waitpid(child, 0)
        return
    namespace.die_with_parent(os.getppid())
    plan = _plan(setting)
    _make_folders(plan.folder, setting, owner=namespace.USER_ID if has_many else None)
    root = namespace.begin_root(plan)
    live_dir = root / namespace.LIVE_DIR[1:]
    machine = _machine(setting, proc=live_dir / "proc", sys_dir=root / "sys", live_dir=live_dir)
    names = [*machine_files.proc_files(""), *live_files.proc_files(Readings())]
    namespace.cover_proc(root, ((name, live_dir / "proc" / name) for name in names))
    namespace.finish_root(root, plan.host_name)
    machine.loads_dir = Path(namespace.LIVE_DIR) / "loads"  # where it is in the new root
    namespace.raise_loopback()
    resident = Resident(control, machine, setting)
    resident.set_user(has_many_ids=has_many, user_namespace=-1 if has_many else namespace.hold_user_namespace())
    wire.send(control, {"op": "ready"})
    resident.serve()


def _run_unconfined(control: socket.socket, setting: wire.Message) -> None:
    root = Path(str(setting["root"]))
    sc.set_process_option(sc.PR_SET_CHILD_SUBREAPER, 1)
    landlock.check()
    _leave_root(root, setting)
    _make_folders(root, setting, owner=None)
    _link(root / "home/nvidia/models", setting["models"])
    _link(root / "site", {Path(str(package)).name: str(package) for package in setting["packages"]})
    machine = _machine(setting, proc=root / "proc", sys_dir=root / "sys", live_dir=root / namespace.LIVE_DIR[1:])
    resident = Resident(control, machine, setting)
    privilege.hide()
    wire.send(control, {"op": "ready"})
    try:
        resident.serve()
    finally:
        resident.end_all()


def _leave_root(root: Path, setting: wire.Message) -> None:
    """From here on this process is an ordinary user, too: it writes where the node's commands write."""
    parent, user = os.getppid(), privilege.plain_user()
    if user is None:
        privilege.leave_capabilities()
        return
    privilege.give(str(root), *user)
    privilege.leave_root(*user)
    namespace.die_with_parent(parent)  # the kernel forgets that wish when the user changes
    needed = (setting["program_dir"], setting["python"], os.__file__, *setting["packages"], *setting["models"].values())
    privilege.check_reach(map(str, needed), [str(root)])


def _link(folder: Path, targets: dict[str, str]) -> None:
    """Where nothing can be bound, models and packages are links to what a command may read."""
    folder.mkdir(exist_ok=True)
    for name, path in targets.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(path)


def _package_folder(setting: wire.Message) -> str:
    """Where the engine's packages are, as a program of the node sees it."""
    return f"{namespace.PROGRAM_DIR if setting['confined'] else setting['root']}/site"


def _plan(setting: wire.Message) -> namespace.RootPlan:
    return namespace.RootPlan(
        folder=Path(str(setting["root"])),
        host_name=str(setting["name"]),
        program_dir=Path(str(setting["program_dir"])),
        python_prefix=Path(sys.base_prefix).resolve(),
        python=Path(str(setting["python"])),
        packages=tuple(Path(str(package)) for package in setting["packages"]),
        models={str(name): Path(str(path)) for name, path in setting["models"].items()},
    )


def _make_folders(folder: Path, setting: wire.Message, owner: int | None) -> None:
    """The node's own folders and /etc; what a person changed in them stays."""
    for name in ("etc", "home/nvidia/models", "root", "var/tmp", "var/log", "var/lib", "var/cache", "run", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "var/tmp").chmod(0o1777)
    fresh = not (folder / "etc/hostname").exists()
    files = machine_files.etc_files(setting["name"], setting["index"], setting["machine_id"], setting["serial"])
    live.install(folder, files, is_kept=True)
    for name in _COPIED_ETC:
        _copy(Path("/etc") / name, folder / "etc" / name)
    if owner is not None and fresh:
        for path in (folder / "home/nvidia", *(folder / "home/nvidia").rglob("*")):
            os.chown(path, owner, owner)


def _copy(source: Path, target: Path) -> None:
    """Take over a file or a folder of links that programs need in /etc."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for link in source.iterdir():
            if link.is_symlink() and not (target / link.name).is_symlink():
                (target / link.name).symlink_to(os.readlink(link))
    elif source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(source.read_bytes())


def _machine(setting: wire.Message, *, proc: Path, sys_dir: Path, live_dir: Path) -> live.Machine:
    facts = {
        "index": setting["index"],
        "name": setting["name"],
        "confined": setting["confined"],
        "python": setting["python"],
        "packages": _package_folder(setting),
        "engine_problem": setting["engine_problem"],
        "models": f"{'' if setting['confined'] else setting['root']}/home/nvidia/models",
        "addresses": machine_files.addresses(int(setting["index"])),
    }
    live.install(live_dir, {"node.json": json.dumps(facts)})
    return live.Machine(
        index=int(setting["index"]),
        gpu_uuid=str(setting["gpu_uuid"]),
        boot_id=str(setting["boot_id"]),
        proc=proc,
        sys=sys_dir,
        live=live_dir,
    )
