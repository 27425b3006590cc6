"""Process 1 of a simulated node: starts its commands, reaps them, answers for its root and moves its machine.

The one rule: when the simulator's end of the control socket closes, this process ends, and in a confined node the
kernel then ends everything in it. Messages: see `_do`.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from sparkdesk.simulator.confinement import namespace
from sparkdesk.simulator.machine import census, live, machine_files
from sparkdesk.simulator.machine.gb10 import MANAGEMENT_NETDEV
from sparkdesk.simulator.machine.install import install
from sparkdesk.simulator.node import wire
from sparkdesk.simulator.node.command import SYSTEM_PATH, Commands
from sparkdesk.simulator.node.node_network import NodeNetwork
from sparkdesk.simulator.node.port_setter import PortSetter
from sparkdesk.simulator.node.root_door import RootDoor

_DOCKER_ROW = ("docker:x:989:\n", "docker:x:989:nvidia\n")
_PENDING = {"run/reboot-required": "*** System restart required ***\n",
            "run/reboot-required.pkgs": "linux-image-6.17.0-1014-nvidia\n"}  # fmt: skip
_PACKAGE_COMMANDS = {"perftest": ("ib_write_bw", "ib_write_lat"), "iperf3": ("iperf3",), "earlyoom": ("earlyoom",)}
"""As program/package_shelf.py has them, which is no module of this program."""
_BACKLOG = 16
_MAX_LINES = 1000
_MAX_GUESTS = 32  # connections to a service at a time


class Resident:
    """The state of a running node. `door` is None where nobody can be root."""

    def __init__(
        self, control: socket.socket, machine: live.Machine, commands: Commands, door: RootDoor | None
    ) -> None:
        self._control = control
        self._machine = machine
        self._commands = commands
        self._door = door
        self._prefix = Path("/" if commands.is_confined else commands.root)
        self._children: dict[int, int] = {}  # process id -> the simulator's number for it
        self._groups: dict[int, int] = {}  # the simulator's number -> process group, until it is forgotten
        self._guests: set[int] = set()  # processes that answer one connection of a service
        self._readers: dict[int, Callable[[], None]] = {}
        self._setter = PortSetter() if commands.is_confined else None
        self._management = {
            "netdev": MANAGEMENT_NETDEV,
            "mtu": 1500,
            "addresses": [f"{commands.management_address}/24"],
        }
        self._network = NodeNetwork()
        self._is_real = False
        self._has_begun = False
        self._signed_in: dict[int, list[int]] = {}  # by connection: the groups that its commands have
        self._poll = select.poll()
        self._is_over = False
        if door is not None:
            door.on_power = lambda how: self._say({"op": "power", "how": how})
            door.on_change = self._change
            door.network = self._network
            door.on_network = self._show_network
        self._show_conditions()

    def offer(self, services: dict[str, str]) -> None:
        """Listen on these ports (of the node's own loopback) and start this program for each connection."""
        for port, program in services.items():
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((self._commands.loopback, int(port)))
            except OSError:  # without a network namespace somebody else may have it
                listener.close()
                continue
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            self._watch(listener.fileno(), functools.partial(self._welcome, listener, program))

    def _welcome(self, listener: socket.socket, program: str) -> None:
        """One connection of a service, for a process of its own."""
        with contextlib.suppress(OSError):
            end, _address = listener.accept()
            with end:
                if len(self._guests) < _MAX_GUESTS:
                    end.setblocking(True)
                    self._guests.add(self._fork({"kind": "program", "program": program}, (end.fileno(),) * 2 + (2,)))

    def _watch(self, number: int, reader: Callable[[], None]) -> None:
        self._readers[number] = reader
        self._poll.register(number, select.POLLIN)

    def serve(self) -> None:
        """Answer until the simulator is gone."""
        wake_r, wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_w)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one signal by which root of the node could end us
        self._watch(self._control.fileno(), self._answer)
        self._watch(wake_r, lambda: self._wake(wake_r))
        if self._door is not None:
            self._watch(self._door.listener.fileno(), self._open_door)
        next_s = time.monotonic() + live.TICK_S
        while not self._is_over:
            for number, _event in self._poll.poll(max(0.0, next_s - time.monotonic()) * 1000):
                reader = self._readers.get(number)
                if reader is not None:
                    reader()
            if time.monotonic() >= next_s:
                self._machine.tick(None if self._commands.is_confined else os.getpid())
                next_s = time.monotonic() + live.TICK_S

    def _wake(self, number: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(number, 512)
        self._reap()

    def _open_door(self) -> None:
        assert self._door is not None
        door, caller = self._door, self._door.accept()
        if caller is None:
            return
        number = caller.end.fileno()

        def read() -> None:
            if not caller.answer():
                self._poll.unregister(number)
                del self._readers[number]
                door.drop(number)

        self._watch(number, read)

    def _answer(self) -> None:
        """Do what the next message of the simulator asks."""
        try:
            packet = wire.receive(self._control)
        except ConnectionResetError:
            packet = None
        except wire.PacketError:
            return  # not of the simulator, which sends none such
        if packet is None:
            self._is_over = True
            return
        self._do(*packet)

    def _do(self, message: wire.Message, files: list[int]) -> None:
        """exec, sign_in, signal, forget, socket, freeze, traffic, conditions, ports, machine_id."""
        if message["op"] == "sign_in":
            self._sign_in(int(message["line"]))
        elif message["op"] == "exec":
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
        elif message["op"] == "conditions":
            self._set_conditions(set(message["names"]))
        elif message["op"] == "ports":
            self._set_ports(message)
        elif message["op"] == "machine_id":
            install(self._prefix, {"etc/machine-id": f"{message['text']}\n"})
        wire.close_all(files)

    def _sign_in(self, line: int) -> None:
        """As with sshd, a connection has the groups that its user had when it was made."""
        self._signed_in[line] = self._commands.groups()
        while len(self._signed_in) > _MAX_LINES:
            del self._signed_in[next(iter(self._signed_in))]

    def _set_conditions(self, names: set[str]) -> None:
        """These faults are on from now on."""
        changed = names ^ self._machine.conditions
        self._machine.set_conditions(names)
        if "no-docker-group" in changed:
            self.edit_group(is_in="no-docker-group" not in names)
            self._signed_in.clear()  # a fault counts at once
        self._show_conditions()

    def _set_ports(self, message: wire.Message) -> None:
        """The cables are like this from now on."""
        self._network.tell(message["ports"])
        self._is_real = bool(message["is_real"]) and self._setter is not None
        if self._is_real and self._setter is not None:
            self._setter.apply([self._management])
        self._show_network()
        if not self._has_begun and self._door is not None:
            self._has_begun = True
            self._start_netplan()

    def _start_netplan(self) -> None:
        """What the start of a node does: networkd's files are made of netplan's, and what root wrote is done to the
        ports; files of ours say what the cables say already."""
        names = {path.name for path in (self._prefix / "etc/netplan").glob("*.yaml")}
        is_done = not names - {machine_files.NETPLAN, machine_files.STOCK_NETPLAN}
        argv = [f"{namespace.PROGRAM_DIR}/program/bin/netplan", "generate" if is_done else "apply"]
        message = {"user": "root", "folder": "/", "environment": {"PATH": SYSTEM_PATH}, "argv": argv}
        null = os.open(os.devnull, os.O_RDWR)
        if os.fork() == 0:
            self._commands.become_root(message, (null,) * 3)
        os.close(null)

    def _show_network(self) -> None:
        """Cables or root changed something: the real ports and the files follow."""
        ports = self._network.ports
        if self._is_real and self._setter is not None:
            self._setter.apply(ports)
        self._machine.set_ports(ports, is_real=self._is_real)

    def _show_conditions(self) -> None:
        """What is seen of faults outside of the moving files and the programs."""
        names = self._machine.conditions
        if ("disk-full" in names) != self._commands.is_disk_full:
            self._commands.fill_disk("disk-full" in names)
        if (self._prefix / "proc/driver/nvidia").is_dir():
            install(self._prefix / "proc/driver", self._machine.driver_files())
        if "reboot-required" in names:
            install(self._prefix, _PENDING)
        else:
            for name in _PENDING:
                (self._prefix / name).unlink(missing_ok=True)
        self._place_programs(has_other_python=bool({"clock-skew", "disk-full"} & names))
        self._place_packages()

    def edit_group(self, *, is_in: bool) -> None:
        """Put the user into the group docker, or take it out, where nobody else is in it."""
        text = (self._prefix / "etc/group").read_text("utf-8", "replace")
        install(self._prefix, {"etc/group": text.replace(_DOCKER_ROW[not is_in], _DOCKER_ROW[is_in])})

    def _place_programs(self, *, has_other_python: bool) -> None:
        """A python3 before the real one, where a fault changes what time() or statvfs() tell."""
        link = self._machine.folder / "bin/python3"
        link.unlink(missing_ok=True)
        if has_other_python:
            link.symlink_to(self._commands.program("python_of_fault"))

    def _place_packages(self) -> None:
        """The programs of the packages that are installed, as the programs of the node keep them."""
        names: list[str] = []
        try:
            with open(self._machine.folder / "node.json", encoding="utf-8") as stream:
                names = json.load(stream).get("preinstalled", [])
            with open(self._prefix / "var/lib/sparkdesk-sim/packages.json", encoding="utf-8") as stream:
                names = [str(name) for name in json.load(stream)]
        except (OSError, ValueError, TypeError):
            pass  # nobody changed what there was from the start
        for command in (command for name in names for command in _PACKAGE_COMMANDS.get(name, ())):
            link = self._machine.folder / "bin" / command
            if not link.is_symlink():
                link.symlink_to(self._commands.extra(command))

    def _change(self, name: str, is_on: bool) -> None:
        """Root of the node repaired something, or took a repair back."""
        before = set(self._machine.conditions)
        self._set_conditions(before | {name} if is_on else before - {name})
        self._say({"op": "condition", "name": name, "on": is_on})

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
        pid = self._fork(message, streams, has_terminal=slave >= 0)
        self._children[pid] = number
        self._groups[number] = pid
        if self._door is not None:
            self._door.lines[pid] = int(message.get("line", 0))
        self._say({"op": "started", "id": number, "pid": pid}, (master,) if master >= 0 else ())
        for end in (master, slave):
            if end >= 0:
                os.close(end)

    def _fork(self, message: wire.Message, streams: tuple[int, ...], *, has_terminal: bool = False) -> int:
        pid = os.fork()
        if pid == 0:
            groups = self._signed_in.get(int(message.get("line", 0)))
            self._commands.become(message, streams, has_terminal=has_terminal, groups=groups)
        return pid

    def _reap(self) -> None:
        """Tell the simulator of the commands that ended; orphans are just buried."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._guests.discard(pid)
            if self._door is not None:
                self._door.lines.pop(pid, None)
            number = self._children.pop(pid, None)
            if number is None:
                if self._door is not None:
                    self._door.reap(pid, status)
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
        if self._commands.is_confined:
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
