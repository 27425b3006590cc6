"""A real OpenSSH server on loopback, as the user who runs the tests, with a home of its own.

The one rule: a test that needs it is skipped with the reason where it cannot run, and fails where CI=true.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from sparkdesk.core.cluster.node import NodeRecord

START_TIMEOUT_S = 60.0


def require(condition: bool, reason: str) -> None:
    """Skip with the reason when the condition does not hold; in CI that is a failure."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"cannot run in CI: {reason}")
    pytest.skip(reason)


def find_sshd() -> str:
    """The path of OpenSSH's server; skips the test when there is none."""
    path = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/usr/lib/ssh") or ""
    require(bool(path) and shutil.which("ssh-keygen") is not None, "OpenSSH's server is not installed")
    return path


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])


def make_key(path: Path, kind: str = "ed25519") -> str:
    """A new key at `path`; gives its public line without comment."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


class Sshd:
    """One sshd with its own port, host key and home; `key_path` signs in."""

    def __init__(
        self, folder: Path, *, name: str = "spark-1", options: Sequence[str] = (), port: int = 0, password: str = ""
    ) -> None:
        self.folder = folder
        self.name = name
        self.port = port or free_port()
        self.home = folder / "node-home"
        self.home.mkdir(mode=0o700, parents=True)
        self.key_path = folder / "client"
        (folder / "authorized").write_text(make_key(self.key_path) + "\n")
        self.host_key = make_key(folder / "host")
        self.user = getpass.getuser()
        self._options = options
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start listening; returns when the port answers."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._write_config()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._own_account(), find_sshd(), "-D", "-e", "-f", str(self.folder / "config")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError("sshd does not listen: " + (self.folder / "log").read_text())

    def _own_account(self) -> list[str]:
        """With a password: a view of the files in which this user has it, and the node's home, for sshd alone."""
        if not self._password:
            return []
        digest = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=self._password, capture_output=True, text=True, check=True
        ).stdout.strip()
        for name, line in (
            ("passwd", f"{self.user}:x:0:0::{self.home}:/bin/sh"),
            ("shadow", f"{self.user}:{digest}:19000:0:99999:7:::"),
        ):
            others = [each for each in Path(f"/etc/{name}").read_text().splitlines() if each.split(":")[0] != self.user]
            (self.folder / name).write_text("\n".join([line, *others]) + "\n")
        script = 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow && shift && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, "sh", str(self.folder)]

    def _write_config(self) -> None:
        own = [] if not self._password else [
            "PasswordAuthentication yes",
            "AuthorizedKeysFile .ssh/authorized_keys",
            "StrictModes yes",
        ]  # fmt: skip
        lines = [
            *self._options,  # of several lines for one setting sshd takes the first
            *own,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder / 'host'}",
            f"AuthorizedKeysFile {self.folder / 'authorized'}",
            f"PidFile {self.folder / 'pid'}",
            f"SetEnv HOME={self.home}",
            "PermitRootLogin yes",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UseDNS no",
            "PrintMotd no",
            "AcceptEnv LANG LC_*",
            "LogLevel VERBOSE",
        ]
        (self.folder / "config").write_text("\n".join(lines) + "\n")

    @property
    def log(self) -> str:
        """What sshd has said so far."""
        return (self.folder / "log").read_text()

    def record(self, **changes: str) -> NodeRecord:
        """The node's record, trusted; `changes` replace fields."""
        fields: dict[str, Any] = {"host_key": self.host_key, "key_path": str(self.key_path), **changes}
        return NodeRecord(id=self.name, name=self.name, address="127.0.0.1", port=self.port, user=self.user, **fields)

    def change_host_key(self, kind: str = "ed25519") -> None:
        """Stop, make a new host key, start again on the same port."""
        self.stop()
        for name in ("host", "host.pub"):
            (self.folder / name).unlink()
        self.host_key = make_key(self.folder / "host", kind)
        self.start()

    def sessions(self) -> list[psutil.Process]:
        """The processes of the connections that are open now (children of the listener, and theirs named sshd)."""
        assert self._process is not None
        below = psutil.Process(self._process.pid).children(recursive=True)
        return [process for process in below if _is_sshd(process)]

    def kill_sessions(self) -> None:
        """SIGKILL to every open connection; the listener lives on."""
        self.signal_sessions(signal.SIGKILL)

    def signal_sessions(self, number: signal.Signals) -> None:
        """Send a signal to every open connection's processes."""
        for process in self.sessions():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def stop(self) -> None:
        """Kill the listener and every connection; safe to call twice."""
        if self._process is None:
            return
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.kill()
        self._process.wait()
        self._process = None


def _is_sshd(process: psutil.Process) -> bool:
    try:
        return bool(process.name().startswith("sshd"))
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running_sshd(
    folder: Path, *, name: str = "spark-1", options: Sequence[str] = (), password: str = ""
) -> Iterator[Sshd]:
    """An sshd for the length of the block. With a password its user has that one, and keys lie in the node's home."""
    find_sshd()
    if password:
        require(os.name == "posix" and os.geteuid() == 0, "an sshd that takes passwords needs root")
        require(shutil.which("unshare") is not None, "unshare is missing")
        require(shutil.which("openssl") is not None, "openssl is missing")
    server = Sshd(folder, name=name, options=options, password=password)
    try:
        server.start()
        yield server
    finally:
        server.stop()
