"""Whether a server that runs still does what it is for: from what its engine counts, and from a token asked for.

The one rule: an API that answers proves nothing; only a counter that moved or a token that came does. So a server is
asked for one token when nothing has moved for a while, and an engine that is dead behind its API is seen within
PROBE_AFTER_S + PROBE_LIMIT_S and a beat, which is less than a minute. Pure: times are handed in, monotonic seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sparkdesk.core.jobs.reading import (
    GENERATED_TOKENS,
    KV_TOKENS,
    KV_USED,
    PROMPT_TOKENS,
    REQUESTS_RUNNING,
    TTFT_COUNT,
)

PROBE_AFTER_S = 25.0
"""Nothing has moved for so long: a token is asked for."""
PROBE_LIMIT_S = 20.0
"""So long a token may take, a queue before it included."""
LEAST_PAUSE_S = 10.0
"""Between two probes, whatever raises a doubt."""
MOST_PAUSE_S = 120.0
"""Between two probes of a server that gave no token: each of them may still wait in its queue."""
SILENT_AFTER_S = 20.0
"""A server that answers nothing for so long does not serve."""
_MOVING = (GENERATED_TOKENS, PROMPT_TOKENS, TTFT_COUNT, KV_TOKENS, KV_USED)
"""What moves while an engine works: a long prompt fills the KV cache before anything is generated."""


class Pulse:
    """One server's signs of life."""

    def __init__(self) -> None:
        self.is_proved = False
        """Whether a token was seen since this program looks after the job."""
        self.problem = ""
        """Why it does not serve, in words; "" while it does, for all that is known."""
        self._marks: tuple[float, ...] | None = None
        self._generated = math.nan
        self._moved_s = math.nan
        self._asked_s = -math.inf
        self._silent_s = math.nan
        self._failures = 0
        self._is_doubted = False

    def take(self, now_s: float, found: Mapping[str, float]) -> bool:
        """What the engine counts now; gives whether tokens were generated since the last time."""
        marks = tuple(found.get(key, math.nan) for key in _MOVING)
        if self._marks is None or _differ(marks, self._marks):
            self._moved_s = now_s
        self._marks = marks
        before, self._generated = self._generated, found.get(GENERATED_TOKENS, math.nan)
        has_grown = self._generated > before
        if has_grown:
            self.succeed(now_s)
        return has_grown

    def is_due(self, now_s: float) -> bool:
        """Whether a token should be asked for now."""
        if now_s - self._asked_s < LEAST_PAUSE_S:
            return False
        if not self.is_proved and not self._failures:
            return True
        if self.problem:
            return now_s - self._asked_s >= min(LEAST_PAUSE_S * 2.0**self._failures, MOST_PAUSE_S) or self._is_doubted
        return self._is_doubted or not now_s - self._last_sign_s() < PROBE_AFTER_S

    def doubt(self) -> None:
        """Something speaks against it (an error in an answer or in the log), or for it again: ask soon."""
        self._is_doubted = True

    def ask(self, now_s: float) -> None:
        """A token is asked for now."""
        self._asked_s, self._is_doubted = now_s, False

    def succeed(self, now_s: float) -> None:
        """A token came."""
        self.is_proved, self.problem, self._failures = True, "", 0
        self._moved_s, self._silent_s = now_s, math.nan

    def fail(self, words: str, found: Mapping[str, float]) -> bool:
        """No token came; `found` is what the engine counts after that. Gives whether it means that it does not serve.

        It does not while something else moves: then ours only waits in the queue.
        """
        marks = tuple(found.get(key, math.nan) for key in _MOVING)
        if self._marks is not None and found.get(REQUESTS_RUNNING, 0.0) > 0.0 and _differ(marks, self._marks):
            return False
        self._failures += 1
        self.problem = words
        return True

    def hear(self) -> None:
        """Its API answers again: what it was not asked for may be asked for now."""
        if math.isfinite(self._silent_s):
            self._silent_s = math.nan
            self._is_doubted = True

    def miss(self, now_s: float) -> bool:
        """Its API does not answer; gives whether that lasts too long."""
        if not math.isfinite(self._silent_s):
            self._silent_s = now_s
        return now_s - self._silent_s >= SILENT_AFTER_S

    def restart(self, words: str) -> None:
        """Its engine was started again: what was proved of the one before says nothing of this one."""
        self.is_proved, self.problem, self._failures, self._marks = False, words, 0, None
        self._is_doubted = True

    def _last_sign_s(self) -> float:
        return self._moved_s if math.isfinite(self._moved_s) else self._asked_s


def _differ(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether a value that is known both times is another, or became known."""
    return any((new != old and not math.isnan(new)) for new, old in zip(one, other, strict=True))
