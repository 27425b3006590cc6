"""How a process of a node becomes a command: its user, its rights, its environment, its streams.

The one rule: a command gets three streams and nothing of ours; what a client asks for never wins over what the node
says. Both functions that become something run in a forked child and never return.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import struct
import sys
import termios
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from sparkdesk.simulator.confinement import landlock, namespace, privilege
from sparkdesk.simulator.confinement import syscall as sc
from sparkdesk.simulator.machine import census
from sparkdesk.simulator.machine.gb10 import DESK_ADDRESS, management_address
from sparkdesk.simulator.machine.machine_files import HUB_PORT
from sparkdesk.simulator.node import wire

MAX_COMMAND_BYTES = 128 * 1024 - 1  # one word of a command line. Source: linux/binfmts.h MAX_ARG_STRLEN
OPEN_FILES = 1024  # what a sign-in on Ubuntu may have open. Source: systemd's DefaultLimitNOFILE
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAMS = f"{namespace.LIVE_DIR}/bin:{namespace.PROGRAM_DIR}/program/bin"  # the first is for what a fault puts there
_GROUP_FILE = Path("/etc/group")
_MAX_GROUPS = 64


class Commands:
    """Turns forked children of a node's resident into commands of its user, or of its root."""

    def __init__(self, setting: wire.Message) -> None:
        self.is_confined = bool(setting["confined"])
        self.root = str(setting["root"])
        self._address = str(setting["address"])
        self.management_address = management_address(int(setting["index"]))
        self._program_dir = str(setting["program_dir"])
        self._python = str(setting["python"])
        others = (*setting["packages"], *setting["models"].values())
        self._readable = [self._program_dir, sys.base_prefix, *map(str, others)]
        self.user_namespace = -1
        self.has_many_ids = False
        self.is_disk_full = False

    @property
    def loopback(self) -> str:
        """Where the node's own servers listen."""
        return "127.0.0.1" if self.is_confined else self._address

    def program(self, module: str) -> str:
        """Where the launcher of a program that is no command lies, as the node sees it."""
        folder = f"{namespace.PROGRAM_DIR}/program" if self.is_confined else self._program_dir
        return f"{folder}/inner/{module}"

    def extra(self, command: str) -> str:
        """Where the launcher of a package's command lies, as the node sees it."""
        folder = f"{namespace.PROGRAM_DIR}/program" if self.is_confined else self._program_dir
        return f"{folder}/extra/{command}"

    def fill_disk(self, is_full: bool) -> None:
        """From now on no file of the node's user can grow, or it can again: also those of what runs already."""
        self.is_disk_full = is_full
        below = None if self.is_confined else os.getpid()
        for pid in census.tasks(Path("/proc"), below):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                limit_files(pid, is_full=is_full and not self._is_ours(pid))

    def _is_ours(self, pid: int) -> bool:
        """Whether a process is a program of the simulator: docker and the hub keep their files beyond the node."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            return True  # it has just ended
        folder = f"{namespace.PROGRAM_DIR}/program/" if self.is_confined else f"{self._program_dir}/"
        return any(word.startswith(folder) and not word.endswith("/sftp_server.py") for word in words[:4])

    def groups(self) -> list[int]:
        """The user's further groups as the node's file has them now."""
        return groups_of("nvidia", _GROUP_FILE.read_text("utf-8", "replace")) if self.has_many_ids else []

    def become(
        self, message: wire.Message, streams: tuple[int, ...], *, has_terminal: bool, groups: list[int] | None = None
    ) -> NoReturn:
        """A command of the user, as the message says. `groups` are those of its connection, None those of now."""
        with _ending():
            self._take_streams(streams)
            if self.is_disk_full and message["kind"] != "program":
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails, as on a full disk, and ends nobody
                limit_files(0, is_full=True)
            if has_terminal:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)
                size = struct.pack("HHHH", int(message["rows"]), int(message["columns"]), 0, 0)
                fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            self._become_user(groups)
            home, environment = self._environment(message)
            _enter(home)
            self._execute(self._argv(message), environment)

    def become_root(self, message: wire.Message, streams: tuple[int, ...]) -> NoReturn:
        """A command of the node's root, or by `user` of its user: what `sudo` starts. Only in a confined node."""
        with _ending():
            self._take_streams(streams)
            if message["user"] == "root":
                privilege.become_small_root()
            else:
                self._become_user()
            with contextlib.suppress(OSError):
                os.chdir("/")
                os.chdir(str(message["folder"]))
            environment = {str(name): str(value) for name, value in message["environment"].items()}
            argv = [str(word) for word in message["argv"]]
            try:
                self._execute(argv, environment)
            except OSError as error:  # the words and the code are sudo's
                os.write(2, f"sudo: unable to execute {argv[0]}: {error.strerror}\n".encode())
                os._exit(1)

    def _take_streams(self, streams: tuple[int, ...]) -> None:
        os.setsid()
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
        for one in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGINT):
            signal.signal(one, signal.SIG_DFL)
        os.umask(0o022)

    def _execute(self, argv: list[str], environment: dict[str, str]) -> NoReturn:
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))
        os.execve(argv[0], argv, environment)

    def _become_user(self, groups: list[int] | None = None) -> None:
        """Leave every right behind but those of a plain user."""
        if self.user_namespace >= 0:
            sc.enter_namespace(self.user_namespace, sc.CLONE_NEWUSER)
        elif self.has_many_ids:
            os.setgroups(self.groups() if groups is None else groups)
            os.setresgid(namespace.USER_ID, namespace.USER_ID, namespace.USER_ID)
            os.setresuid(namespace.USER_ID, namespace.USER_ID, namespace.USER_ID)
        sc.set_process_option(sc.PR_SET_NO_NEW_PRIVS, 1)
        if not self.is_confined:
            privilege.leave_capabilities()
            landlock.restrict([self.root], self._readable)

    def _environment(self, message: wire.Message) -> tuple[str, dict[str, str]]:
        """Home and environment of a command."""
        prefix = "" if self.is_confined else self.root
        home = f"{prefix}/home/nvidia"
        asked = {str(name): str(value) for name, value in message.get("environment", {}).items()}
        own = {
            "HOME": home,
            "USER": "nvidia",
            "LOGNAME": "nvidia",
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "PATH": f"{_PROGRAMS}:{SYSTEM_PATH}" if self.is_confined else self._open_path(),
            "SSH_CONNECTION": str(message.get("client") or f"{DESK_ADDRESS} 50022 {self.management_address} 22"),
            "HF_ENDPOINT": f"http://{self.loopback}:{HUB_PORT}",  # the only hub that it can reach is a simulated one
        }
        if message.get("terminal"):
            own["TERM"] = str(message["terminal"])
        if not self.is_confined:
            own |= {"SPARKDESK_ROOT": self.root, "SPARKDESK_SIM_ADDRESS": self._address}
            own |= {"SPARKDESK_LOOPBACK": self._address}  # read by what runs on a node, for its own servers
        return home, asked | own

    def _open_path(self) -> str:
        return f"{self.root}{namespace.LIVE_DIR}/bin:{self._program_dir}/bin:{os.defpath}"

    def _argv(self, message: wire.Message) -> list[str]:
        shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
        folder = f"{namespace.PROGRAM_DIR}/program" if self.is_confined else self._program_dir
        if message["kind"] == "sftp":
            return [self._python, "-IS", f"{folder}/sftp_server.py"]
        if message["kind"] == "program":
            return [self._python, "-IS", f"{folder}/{message['program']}.py"]
        if message["kind"] == "shell":
            return [shell, "-l"] if self.is_confined else [shell, "--norc", "-i"]
        return [shell, "-c", str(message["command"])]


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """This process ends in the block: it becomes a program or, where that fails, leaves why on its standard error.

    A forked child must not run on into its parent's loop, whatever happened.
    """
    try:
        yield
    finally:
        try:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(126)


def limit_files(pid: int, *, is_full: bool) -> None:
    """Let no file of a process (0: this one) grow any more, or lift that. Its writes then fail with EFBIG: the nearest
    to a full disk that the kernel brings about in one node alone."""
    _soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if is_full else hard, hard))


def _enter(home: str) -> None:
    """The user's own folder, or the root with a complaint where it is gone. The words are OpenSSH's."""
    try:
        os.chdir(home)
    except OSError as error:
        os.write(2, f"Could not chdir to home directory {home}: {error.strerror}\n".encode())
        os.chdir("/")


def groups_of(user: str, text: str) -> list[int]:
    """The further groups of a user by the text of /etc/group, as a new sign-in gets them. The file is root's own."""
    found = []
    for line in text.splitlines():
        cells = line.split(":")
        if len(cells) == 4 and cells[2].isascii() and cells[2].isdigit() and user in cells[3].split(","):
            found.append(min(int(cells[2]), namespace.ID_COUNT - 1))
    return found[:_MAX_GROUPS]
