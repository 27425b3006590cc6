"""A node with a real sudo: commands run as a user of a mount namespace that has its own /etc, /home and /run.

The one rule: nothing of this machine changes. The namespace is private, and ends with the process that holds it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkdesk.core.command import Command
from tests.fakes.shell import LocalProcess, LocalShell
from tests.infra.sshd import require

USER = "bob"
UID = 1801
_SETUP = """set -eu
mount --make-rprivate /
mount -t tmpfs t /mnt
cp -a /etc /mnt/etc
mount --bind /mnt/etc /etc
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=755 home /home
echo "$USER_NAME:x:$USER_ID:$USER_ID::/home/$USER_NAME:/bin/bash" >>/etc/passwd
echo "$USER_NAME:x:$USER_ID:" >>/etc/group
echo "$USER_NAME:$(printf %s "$USER_PASSWORD" | openssl passwd -6 -stdin):19000:0:99999:7:::" >>/etc/shadow
mkdir -p "/home/$USER_NAME" /home/root-only
chown "$USER_ID:$USER_ID" "/home/$USER_NAME"
rm -rf /etc/sudoers.d
printf '%s\\n' "$SUDO_RULES" >/etc/sudoers
chmod "$SUDO_MODE" /etc/sudoers
echo ready
read -r _ || true
"""
PREFACE = 'Defaults env_reset\nDefaults secure_path="/usr/sbin:/usr/bin:/sbin:/bin"'


class SudoShell(LocalShell):
    """Commands run as bob, whose sudo is the real one. `pid` holds the namespace."""

    def __init__(self, home: Path, pid: int, path: str = "/usr/bin:/bin") -> None:
        super().__init__(home, node="spark-1")
        self._pid = pid
        self._path = path

    async def _spawn(self, command: Command) -> LocalProcess:
        pipe = asyncio.subprocess.PIPE
        argv = [
            "nsenter", "-t", str(self._pid), "-m",
            "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups",
            "/usr/bin/env", "-i", f"HOME=/home/{USER}", f"USER={USER}", f"PATH={self._path}",
            "/bin/sh", "-c", f"cd; {command.to_shell()}",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        return LocalProcess(process, self._gone, self._node)

    def look(self, path: str) -> Path:
        """A path of the node, as this machine reaches it."""
        return Path(f"/proc/{self._pid}/root{path}")


@contextmanager
def sudo_shell(
    folder: Path, rules: str, *, password: str, path: str = "/usr/bin:/bin", mode: str = "440"
) -> Iterator[SudoShell]:
    """A node where /etc/sudoers holds these rules, and has this mode."""
    has_tools = all(shutil.which(tool) for tool in ("sudo", "unshare", "nsenter", "setpriv", "openssl"))
    require(os.geteuid() == 0 and has_tools, "a private namespace with a real sudo needs root")
    env = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "USER_NAME": USER, "USER_ID": str(UID), "USER_PASSWORD": password,
        "SUDO_RULES": f"{PREFACE}\n{rules}", "SUDO_MODE": mode,
    }  # fmt: skip
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", _SETUP],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        said = holder.stdout.readline()
        require(said.strip() == b"ready", f"no private namespace: {said.decode('utf-8', 'replace')}")
        yield SudoShell(folder, holder.pid, path)
    finally:
        holder.stdin.close()
        holder.stdout.close()
        holder.wait(10)
