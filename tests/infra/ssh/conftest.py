"""One OpenSSH server a test, and a session on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.ssh.session import NodeSession
from tests.infra.ssh_agent import running_agent
from tests.infra.sshd import Sshd, running_sshd


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A real OpenSSH server on loopback."""
    with running_sshd(tmp_path / "sshd") as server:
        yield server


@pytest.fixture
async def node(sshd: Sshd) -> AsyncIterator[NodeSession]:
    """A connection to that server."""
    session = await SshConnector().connect(sshd.record())
    yield session
    await session.close()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's SSH agent, as yet without keys: its socket."""
    with running_agent(tmp_path) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield path
