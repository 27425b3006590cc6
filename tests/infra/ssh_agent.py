"""A real SSH agent of a test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_agent(folder: Path) -> Iterator[Path]:
    """An agent without keys for the length of the block; gives the path of its socket."""
    path = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"SSH_AUTH_SOCK")  # it says so once it listens
        yield path
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def add_key(socket: Path, key: Path) -> None:
    """Give the agent this private key."""
    env = {"SSH_AUTH_SOCK": str(socket), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    subprocess.run(["ssh-add", "-q", str(key)], env=env, check=True, timeout=20)
