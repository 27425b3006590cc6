"""Asks the hub, from a node, whether it would give a model's files out: before a launch, not in the middle of one.

The one rule: one question for each node, model and token at a time, and its answer is kept for a while; a no for less
long, because people mend it. The token goes by standard input, and what is kept of it is a digest in memory.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from sparkdesk.core.errors import NodeError
from sparkdesk.core.planning.launch.hub_access import ANSWERS, OK, UNKNOWN
from sparkdesk.core.ports import Shell
from sparkdesk.services.clock import Clock
from sparkdesk.services.remote_program import run_program
from sparkdesk.services.secret_store import HUB_TOKEN

HUB_PROGRAM = "hub_look"
"""Its name in remote/."""
LOOK_TIMEOUT_S = 20.0
YES_MS = 10 * 60 * 1000
NO_MS = 30 * 1000
MAX_KEPT = 1000
REVISION = "main"


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: str
    token: str
    """A digest of the token that was used."""
    at_ms: int

    def is_fresh(self, now_ms: int) -> bool:
        """Whether it still counts."""
        return 0 <= now_ms - self.at_ms <= (YES_MS if self.answer == OK else NO_MS)


class HubAccess:
    """What the hub answers, by node and repository."""

    def __init__(
        self,
        shells: Callable[[str], Shell],
        secret: Callable[[str], Awaitable[str | None]] | None,
        clock: Clock,
        program: bytes,
    ) -> None:
        """`secret` gives the hub's token by its reference; `program`: remote/hub_look.py; "" asks nobody."""
        self._shells = shells
        self._secret = secret
        self._clock = clock
        self._program = program
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._asking: dict[tuple[str, str], asyncio.Lock] = {}

    def answers(self, node_id: str) -> Mapping[str, str]:
        """Repository -> answer, of those that still count (NodeContext.hub_answers). Asks nobody."""
        now_ms = self._clock.now_ms()
        return {
            repo: kept.answer for (node, repo), kept in self._kept.items() if node == node_id and kept.is_fresh(now_ms)
        }

    async def ask(self, node_id: str, repos: Iterable[str]) -> Mapping[str, str]:
        """Ask about these, unless the answer is known. Never raises a NodeError: what cannot be asked is not known."""
        if not self._program:
            return {}
        token = (await self._secret(HUB_TOKEN) if self._secret is not None else None) or ""
        return {repo: await self._ask(node_id, repo, token) for repo in dict.fromkeys(repos)}

    async def _ask(self, node_id: str, repo: str, token: str) -> str:
        key, digest = (node_id, repo), hashlib.sha256(token.encode()).hexdigest()
        async with self._asking.setdefault(key, asyncio.Lock()):
            kept = self._kept.get(key)
            if kept is not None and kept.token == digest and kept.is_fresh(self._clock.now_ms()):
                return kept.answer
            answer = await self._look(node_id, repo, token)
            while len(self._kept) >= MAX_KEPT:
                oldest = next(iter(self._kept))
                del self._kept[oldest]
                self._asking.pop(oldest, None)
            self._kept[key] = _Kept(answer, digest, self._clock.now_ms())
            return answer

    async def _look(self, node_id: str, repo: str, token: str) -> str:
        try:
            words = await run_program(
                self._shells(node_id),
                self._program,
                (repo, REVISION),
                stdin=token.encode("ascii", "ignore"),
                timeout_s=LOOK_TIMEOUT_S,
            )
        except NodeError:
            return UNKNOWN
        answer = words.get("answer")
        return answer if isinstance(answer, str) and (answer == OK or answer in ANSWERS) else UNKNOWN
