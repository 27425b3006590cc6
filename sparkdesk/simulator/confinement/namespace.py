"""Confine a node: new namespaces, and a root that shows this computer's programs read-only and nothing of its people.

The one rule: an allow-list. The node's root starts empty; only /usr (and the folders that belong to it), the Python
that runs the engine and the model files are bound in, read-only. /home, /root and every other folder of this computer
do not exist in a node.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sparkdesk.simulator.confinement import syscall as sc

USER_ID = 1000
FIRST_ID = 0x70000000  # beyond every range that systemd, login or containers give out. Source: systemd, UIDS-GIDS.md
PROGRAM_DIR = "/opt/sparkdesk-sim"  # our programs inside a node; first on its PATH
LIVE_DIR = "/run/sparkdesk-sim"  # what the physical model and the programs tell each other
ID_COUNT = 65536
_PLATFORM_DIRS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1  # Source: linux/sockios.h, linux/if.h


@dataclass(frozen=True, slots=True)
class RootPlan:
    """What a node's root is made of. `folder` is its own, kept between starts; the others are of this computer.

    `doors` are open folders and files by which those are reached after this process became a user who could not.
    """

    folder: Path
    host_name: str
    program_dir: Path
    python_prefix: Path
    python: Path
    packages: tuple[Path, ...] = ()
    models: dict[str, Path] = field(default_factory=dict)
    doors: dict[Path, Path] = field(default_factory=dict)

    def through(self, path: Path) -> Path:
        """The way to one of the paths above."""
        return self.doors.get(path, path)

    def open_doors(self) -> list[int]:
        """Open every path above; in the mount namespace that will use them, before rights are given up."""
        numbers = []
        for path in (self.folder, self.program_dir, self.python_prefix, *self.packages, *self.models.values()):
            if path not in self.doors:
                numbers.append(os.open(path, os.O_PATH | os.O_CLOEXEC))
                self.doors[path] = Path(f"/proc/self/fd/{numbers[-1]}")
        return numbers


def leave_host(first_id: int) -> bool:
    """Put this process into new namespaces (those of processes and of time count from its next child).

    Returns whether there are many user ids in it (as root; they are `first_id` and on outside, so that a node's root is
    nobody here) or only one, which is root inside.
    Raises OSError when this computer does not allow it.
    """
    inner_r, inner_w = os.pipe()
    outer_r, outer_w = os.pipe()
    parent, is_root = os.getpid(), os.geteuid() == 0
    helper = os.fork()
    if helper == 0:  # stays outside, because only from there can many ids be mapped
        os.close(inner_w)
        os.read(inner_r, 1)
        os.write(outer_w, b"1" if is_root and _map_many(parent, first_id) else b"0")
        os._exit(0)
    try:
        sc.unshare(
            sc.CLONE_NEWUSER | sc.CLONE_NEWNS | sc.CLONE_NEWUTS | sc.CLONE_NEWIPC | sc.CLONE_NEWPID | sc.CLONE_NEWNET
        )
    finally:
        os.close(outer_w)
        os.write(inner_w, b"1")
        has_many = os.read(outer_r, 1) == b"1"
        for number in (inner_r, inner_w, outer_r):
            os.close(number)
        os.waitpid(helper, 0)
    if not has_many:
        if _OUTER_USER == 0 and _IS_REAL_ROOT:
            raise OSError("user ids cannot be mapped, and a node's root must not be this computer's")
        map_one(os.getpid(), user=(0, _OUTER_USER), group=(0, _OUTER_GROUP))
    return has_many


_OUTER_USER, _OUTER_GROUP = os.geteuid(), os.getegid()
_IS_REAL_ROOT = Path("/proc/self/uid_map").read_text("ascii").split() == ["0", "0", "4294967295"]


def become_inner_root() -> None:
    """Be the root of the new user namespace, which is nobody outside; from here on only `doors` lead to this computer.

    Raises OSError.
    """
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    sc.set_process_option(sc.PR_SET_DUMPABLE, 1)  # else its own files in /proc are not its own


def begin_time() -> None:
    """Let the children's clocks since boot start from now; a kernel without time namespaces leaves them as they are."""
    with contextlib.suppress(OSError):
        sc.unshare(sc.CLONE_NEWTIME)
        offsets = [("monotonic", time.CLOCK_MONOTONIC), ("boottime", time.CLOCK_BOOTTIME)]
        rows = "".join(f"{name} {-int(time.clock_gettime(clock))} 0\n" for name, clock in offsets)
        Path("/proc/self/timens_offsets").write_text(rows)


def _map_many(pid: int, first_id: int) -> bool:
    try:
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text(f"0 {first_id} {ID_COUNT}\n")
    except OSError:
        return False
    return True


def map_one(pid: int, *, user: tuple[int, int], group: tuple[int, int]) -> None:
    """Give the user namespace of this process one user and one group, each (inside, outside). Raises OSError."""
    Path(f"/proc/{pid}/setgroups").write_text("deny")
    Path(f"/proc/{pid}/uid_map").write_text(f"{user[0]} {user[1]} 1\n")
    Path(f"/proc/{pid}/gid_map").write_text(f"{group[0]} {group[1]} 1\n")


def hold_user_namespace() -> int:
    """A user namespace inside this one in which our only id is called 1000; an open file of it.

    For the case of one id: a command enters it, and so is `nvidia` and not root.
    """
    ready_r, ready_w = os.pipe()
    done_r, done_w = os.pipe()
    holder = os.fork()
    if holder == 0:
        sc.unshare(sc.CLONE_NEWUSER)
        os.write(ready_w, b"1")
        os.close(done_w)
        os.read(done_r, 1)
        os._exit(0)
    os.read(ready_r, 1)
    map_one(holder, user=(USER_ID, 0), group=(USER_ID, 0))
    number = os.open(f"/proc/{holder}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    os.close(done_w)
    for end in (ready_r, ready_w, done_r):
        os.close(end)
    os.waitpid(holder, 0)
    return number


def raise_loopback() -> None:
    """Switch on `lo`, the only network of the node as yet; its 127.0.0.1 is its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(probe, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


def settle_network(folder: Path) -> None:
    """Let this network's new ports have their address at once and say nothing by themselves, and its users ping.

    A port answers for its own addresses only: behind a switch its twin would else answer for it as often, and the
    answer to a ping by one port would come in at the other (own choice; Linux begins with 0).
    `folder` is /proc/sys/net. A kernel that lacks one of these is quiet or quick enough without.
    """
    settings = {
        "ipv6/conf/default/accept_dad": 0, "ipv6/conf/default/router_solicitations": 0,
        "ipv4/conf/all/arp_ignore": 1, "ipv4/conf/all/arp_announce": 2,
    }  # fmt: skip
    for name, value in settings.items():
        with contextlib.suppress(OSError):
            (folder / name).write_text(f"{value}\n")
    for groups in (f"0 {ID_COUNT - 1}", "0 0"):  # the second where there is but one
        with contextlib.suppress(OSError):
            (folder / "ipv4/ping_group_range").write_text(f"{groups}\n")
            return


def begin_root(plan: RootPlan) -> Path:
    """Build the new root up to the point where the files of the machine can be written into it. As PID 1.

    Its folder "mount" must be empty: what was left there by root of the node could lead elsewhere.
    The caller then writes /sys and LIVE_DIR below the returned folder and calls `finish_root`.
    """
    sc.mount("none", "/", "", sc.MS_REC | sc.MS_PRIVATE)
    folder = plan.through(plan.folder)
    root = folder / "mount"
    _bind(root, root)  # a folder and not a tmpfs, so that a node has the room that this computer's disk has
    _bind(Path("/usr"), root / "usr", is_read_only=True)
    for name in _PLATFORM_DIRS:
        _copy_platform_dir(Path("/") / name, root / name)
    for name in ("etc", "home", "root", "var", "opt"):
        _bind(folder / name, root / name)
    for name in ("srv", "mnt", "media", "old", "proc", "sys"):
        (root / name).mkdir(exist_ok=True)
    for name, options in (("tmp", "mode=1777,size=2g"), ("run", "mode=755,size=256m"), ("sys", "mode=755,size=16m")):
        (root / name).mkdir(exist_ok=True)
        sc.mount("node", str(root / name), "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, options)
    _make_devices(root / "dev")
    sc.mount("proc", str(root / "proc"), "proc", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
    settle_network(root / "proc/sys/net")
    _bind(root / "proc/sys", root / "proc/sys", is_read_only=True)
    _bind_programs(plan, root)
    (root / LIVE_DIR[1:]).mkdir()
    return root


def _copy_platform_dir(source: Path, target: Path) -> None:
    if source.is_symlink():
        if not target.is_symlink():
            target.symlink_to(os.readlink(source))
    elif source.is_dir():
        _bind(source, target, is_read_only=True)


def _bind_programs(plan: RootPlan, root: Path) -> None:
    """Our programs, the Python that runs them, the engine's packages and the models."""
    own = root / PROGRAM_DIR[1:]
    for name in ("program", "site"):
        _remove_links(root, own / name)
    _bind(plan.through(plan.program_dir), own / "program", is_read_only=True)
    for package in plan.packages:
        _bind(plan.through(package), own / "site" / package.name, is_read_only=True)
    prefix = plan.python_prefix
    if not plan.python.is_relative_to("/usr"):
        _remove_links(root, root / str(prefix)[1:])
        _bind(plan.through(prefix), root / str(prefix)[1:], is_read_only=True)
    if not prefix.is_relative_to("/usr/local") and Path("/usr/local").is_dir():
        sc.mount("node", str(root / "usr/local"), "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=755,size=1m")
        (root / "usr/local/bin").symlink_to(f"{PROGRAM_DIR}/program/bin")
        (root / "usr/local/cuda").symlink_to(f"{PROGRAM_DIR}/program/cuda")
    elif (root / "usr/local/sbin").is_dir():  # where that Python is in it; the first folder of every PATH without ours
        _bind(plan.through(plan.program_dir) / "bin", root / "usr/local/sbin", is_read_only=True)
    _remove_links(root, root / "home/nvidia/models")
    for name, file in plan.models.items():
        _remove_links(root, root / "home/nvidia/models" / name)
        _bind(plan.through(file), root / "home/nvidia/models" / name, is_read_only=True)


def _remove_links(root: Path, target: Path) -> None:
    """No part of the way to a place of ours may be a link: someone in the node may have made it before."""
    way = root
    for name in target.relative_to(root).parts:
        way /= name
        if way.is_symlink():
            way.unlink()


def _make_devices(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    sc.mount("node", str(folder), "tmpfs", sc.MS_NOSUID, "mode=755,size=1m")
    for name in _DEVICES:
        _bind(Path("/dev") / name, folder / name)
    for name in ("pts", "shm"):
        (folder / name).mkdir()
    sc.mount("devpts", str(folder / "pts"), "devpts", sc.MS_NOSUID | sc.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")
    sc.mount("node", str(folder / "shm"), "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=1777,size=1g")
    for name, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                         ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")):  # fmt: skip
        (folder / name).symlink_to(target)


def _bind(source: Path, target: Path, *, is_read_only: bool = False) -> None:
    """Show `source` at `target`, made if it is missing (a bind needs a place to stand on)."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():  # touching a file of /proc is not allowed
            target.touch()
    sc.mount(str(source), str(target), "", sc.MS_BIND | sc.MS_REC)
    attributes = sc.MOUNT_ATTR_NOSUID | (sc.MOUNT_ATTR_RDONLY if is_read_only else 0)
    sc.set_mount_attributes(str(target), attributes)


def cover_proc(root: Path, files: Iterator[tuple[str, Path]]) -> None:
    """Put these files over those of /proc (path below /proc, our file); one that this kernel lacks is left out."""
    for name, file in files:
        target = root / "proc" / name
        if target.exists():
            _bind(file, target)


def cover_drivers(root: Path) -> None:
    """Show an empty folder of the node's own for /proc/driver instead of this computer's drivers."""
    folder = root / "proc/driver"
    if folder.is_dir():
        sc.mount("node", str(folder), "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=755,size=1m")
        (folder / "nvidia").mkdir()


def finish_root(root: Path, host_name: str) -> None:
    """Take the new root and let go of the old one. After this nothing of this computer can be reached by a path."""
    _bind(root / "sys", root / "sys", is_read_only=True)  # a second mount: the first has files open for writing
    sc.set_host_name(host_name)
    os.chdir(root)
    sc.pivot_root(".", "old")
    os.chdir("/")
    sc.unmount("/old", sc.MNT_DETACH)
    with contextlib.suppress(OSError):
        Path("/old").rmdir()


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, however it ends."""
    sc.set_process_option(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent and parent != 0:
        os._exit(1)  # it ended before we asked
