"""Make a node: its folders and files, its namespaces and root, its machine. Ends with a resident that serves.

The one rule: everything that needs a right of this computer is done before `become_inner_root`, by open doors.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from pathlib import Path

from sparkdesk.simulator.confinement import landlock, namespace, ownership, privilege
from sparkdesk.simulator.confinement import syscall as sc
from sparkdesk.simulator.machine import live, live_files, machine_files
from sparkdesk.simulator.machine.install import clear, install, open_folder
from sparkdesk.simulator.machine.physics import Readings
from sparkdesk.simulator.machine.vendor import VENDORS
from sparkdesk.simulator.node import wire
from sparkdesk.simulator.node.command import Commands
from sparkdesk.simulator.node.resident import Resident
from sparkdesk.simulator.node.root_door import RootDoor

_COPIED_ETC = ("ld.so.cache", "localtime", "services", "protocols", "alternatives", "terminfo", "ssl/openssl.cnf",
               "login.defs")  # fmt: skip
_SSH_PORT = 22
_SSH_BACKLOG = 32
_FOLDERS = ("etc", "home/nvidia/models", "root", "var/tmp", "var/log", "var/lib", "var/cache", "opt", "run", "tmp")


def main() -> None:
    """Run a node on the open socket whose number is this process's last argument."""
    number = int(sys.argv[-1])
    os.set_inheritable(number, False)  # who holds it can speak as the node
    control = socket.socket(fileno=number)
    namespace.die_with_parent(os.getppid())
    packet = wire.receive(control)
    if packet is None:
        return
    setting, files = packet
    try:
        for number in files:  # where the fabric is an ordinary user's, its user namespace is above all nodes'
            sc.enter_namespace(number, sc.CLONE_NEWUSER)
            os.close(number)
            namespace.die_with_parent(os.getppid())
        if setting["confined"]:
            _run_confined(control, setting)
        else:
            _run_unconfined(control, setting)
    except OSError as error:
        with contextlib.suppress(OSError):
            wire.send(control, {"op": "failed", "reason": str(error)})
        raise


def _run_confined(control: socket.socket, setting: wire.Message) -> None:
    plan, parent = _plan(setting), os.getppid()
    first_id = namespace.FIRST_ID + int(setting["index"]) * namespace.ID_COUNT
    if os.geteuid() == 0:
        ownership.give_tree(plan.folder, first_id)
    else:
        plan.folder.mkdir(parents=True, exist_ok=True)
    commands = Commands(setting)
    commands.has_many_ids = namespace.leave_host(first_id)
    doors = plan.open_doors()
    if commands.has_many_ids:
        namespace.become_inner_root()
        namespace.die_with_parent(parent)  # the kernel forgets that wish when the user changes
    namespace.begin_time()
    child = os.fork()
    if child:
        control.close()
        os.waitpid(child, 0)
        return
    namespace.die_with_parent(os.getppid())
    _serve_confined(control, setting, plan, commands, doors)


def _serve_confined(
    control: socket.socket, setting: wire.Message, plan: namespace.RootPlan, commands: Commands, doors: list[int]
) -> None:
    """As process 1 of the node."""
    _make_folders(plan.through(plan.folder), setting, has_owner=commands.has_many_ids)
    clear(plan.through(plan.folder) / "mount")
    root = namespace.begin_root(plan)
    live_dir = root / namespace.LIVE_DIR[1:]
    namespace.cover_drivers(root)
    machine = _machine(setting, proc=live_dir / "proc", sys_dir=root / "sys", live_dir=live_dir)
    names = [*machine_files.proc_files(""), *live_files.proc_files(Readings())]
    namespace.cover_proc(root, ((name, live_dir / "proc" / name) for name in names))
    namespace.finish_root(root, plan.host_name)
    wire.close_all(doors)
    machine.move(Path(namespace.LIVE_DIR))
    namespace.raise_loopback()
    if not commands.has_many_ids:
        commands.user_namespace = namespace.hold_user_namespace()
    door = RootDoor(Path(namespace.LIVE_DIR), commands, str(setting["password_hash"]), machine.conditions)
    resident = Resident(control, machine, commands, door)
    resident.offer(setting["services"])
    if setting["is_first_boot"] and not setting["is_fresh"]:
        resident.edit_group(is_in=True)  # a fault of the simulator's last run may have taken it out
    _get_ready(control)
    resident.serve()


def _get_ready(control: socket.socket) -> None:
    """Hand out the node's network and the socket of its SSH port; before anything of a stranger runs here."""
    network = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("0.0.0.0", _SSH_PORT))  # all of the node's own network, where only its peers are
        door.listen(_SSH_BACKLOG)
        wire.send(control, {"op": "ready"}, (network, door.fileno()))
    os.close(network)


def _run_unconfined(control: socket.socket, setting: wire.Message) -> None:
    root = Path(str(setting["root"]))
    sc.set_process_option(sc.PR_SET_CHILD_SUBREAPER, 1)
    landlock.check()
    _leave_root(root, setting)
    root.mkdir(parents=True, exist_ok=True)
    _make_folders(root, setting, has_owner=False)
    os.close(open_folder(root, ["proc", "driver", "nvidia"]))
    _link(root / "home/nvidia/models", setting["models"])
    _link(root / "site", {Path(str(package)).name: str(package) for package in setting["packages"]})
    machine = _machine(setting, proc=root / "proc", sys_dir=root / "sys", live_dir=root / namespace.LIVE_DIR[1:])
    resident = Resident(control, machine, Commands(setting), None)
    resident.offer(setting["services"])
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


def _make_folders(folder: Path, setting: wire.Message, *, has_owner: bool) -> None:
    """The node's own folders and /etc; what a person changed in them stays, but for who the machine is."""
    for name in _FOLDERS:
        os.close(open_folder(folder, name.split("/")))
    (folder / "var/tmp").chmod(0o1777)
    kept = open_folder(folder, ["var", "lib", "sparkdesk-sim"])  # what our programs keep: images, containers, models
    os.fchmod(kept, 0o1777)
    os.close(kept)
    fresh = not (folder / "etc/hostname").exists()
    _forget_cabling(folder, setting["cabling"])
    vendor = VENDORS[str(setting["vendor"])]
    etc = machine_files.etc_files(setting["name"], setting["ports"], setting["cabling"])
    if setting["is_fresh"]:
        etc |= machine_files.fresh_files()
        install(folder, machine_files.secret_etc_files(), is_kept=True, mode=0o600)
    install(folder, etc, is_kept=True)
    install(folder, machine_files.release_files(setting["machine_id"], setting["serial"], vendor))
    for name in _COPIED_ETC:
        _copy(Path("/etc") / name, folder, f"etc/{name}")
    if has_owner and fresh:
        for path in (folder / "home/nvidia", *(folder / "home/nvidia").rglob("*")):
            os.chown(path, namespace.USER_ID, namespace.USER_ID, follow_symlinks=False)


def _forget_cabling(folder: Path, cabling: str) -> None:
    """The netplan that we made for other cables goes; one that a person wrote stays."""
    number = open_folder(folder, ["etc", "netplan"])
    try:
        file = os.open(machine_files.NETPLAN, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=number)
        with open(file, "rb") as stream:
            line = stream.readline(200).decode("utf-8", "replace").rstrip("\n")
        if line.startswith(machine_files.CABLING) and line != f"{machine_files.CABLING}{cabling}":
            os.unlink(machine_files.NETPLAN, dir_fd=number)
    except OSError:
        return  # there is none
    finally:
        os.close(number)


def _copy(source: Path, base: Path, name: str) -> None:
    """Take over a file or a folder of links that programs need in /etc."""
    if source.is_dir():
        number = open_folder(base, name.split("/"))
        for link in source.iterdir():
            if link.is_symlink():
                with contextlib.suppress(FileExistsError):
                    os.symlink(os.readlink(link), link.name, dir_fd=number)
        os.close(number)
    elif source.is_file() and os.access(source, os.R_OK):
        install(base, {name: source.read_bytes()})


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
        "preinstalled": [] if setting["is_fresh"] else ["perftest", "iperf3"],
    }
    live_dir.mkdir(parents=True, exist_ok=True)
    (live_dir / "bin").mkdir(exist_ok=True)
    install(live_dir, {"node.json": json.dumps(facts)})
    maker = live.Maker(
        index=int(setting["index"]),
        gpu_uuid=str(setting["gpu_uuid"]),
        boot_id=str(setting["boot_id"]),
        serial=str(setting["serial"]),
        vendor=str(setting["vendor"]),
        ports=tuple(setting["ports"]),
    )
    return live.Machine(maker, setting["conditions"], proc=proc, sys=sys_dir, live=live_dir)
