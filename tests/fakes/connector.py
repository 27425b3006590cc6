"""`LocalConnector` fulfils `Connector` for nodes that are folders of this computer (see shell.py)."""

from __future__ import annotations

from pathlib import Path

from sparkdesk.core.cluster.node import JumpHost, NodeRecord
from sparkdesk.core.errors import Unreachable
from sparkdesk.core.ports import Offer
from tests.fakes.shell import LocalShell

HOST_KEY = "ssh-ed25519 AAAALOCAL"


class LocalConnector:
    """Each node's home is a folder below `root`, named by the node's id."""

    def __init__(self, root: Path, env: dict[str, str] | None = None) -> None:
        self._root = root
        self._env = env or {}
        self.away: set[str] = set()
        """Ids of nodes that do not answer now."""
        self.shells: dict[str, LocalShell] = {}

    async def look(
        self,
        address: str,
        port: int,
        *,
        jump: JumpHost | None = None,
        jump_password: str | None = None,
        timeout_s: float = 8.0,
    ) -> Offer:
        """The one key that all local nodes have."""
        return Offer(HOST_KEY, "SHA256:local")

    async def connect(
        self,
        record: NodeRecord,
        *,
        password: str | None = None,
        passphrase: str | None = None,
        jump_password: str | None = None,
        timeout_s: float = 12.0,
    ) -> LocalShell:
        """A new line to the node."""
        if record.id in self.away:
            raise Unreachable(f"{record.name} does not answer", remedy="Wait.", node=record.name)
        home = self._root / record.id
        home.mkdir(parents=True, exist_ok=True)
        self.shells[record.id] = LocalShell(home, node=record.name, env=self._env)
        return self.shells[record.id]

    def lose(self, node_id: str) -> None:
        """The node goes, and stays away."""
        self.away.add(node_id)
        self.shells[node_id].cut()

    def give_back(self, node_id: str) -> None:
        """The node answers again."""
        self.away.discard(node_id)
