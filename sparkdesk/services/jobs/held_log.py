"""The rows of a job's log that are held here: as many as a person scrolls through, and never more text than fits.

The one rule: bounded in lines and in characters. What is let go lies on the node, and is read back from there.
"""

from __future__ import annotations

from itertools import islice

from sparkdesk.core.feed import Stream
from sparkdesk.core.jobs.record import LogLine

KEEP_LINES = 50_000
KEEP_CHARS = 32 << 20
"""A usual line has 150 characters: so this bounds only logs of very long lines, 8 Ki characters each."""


class HeldLog(Stream[LogLine]):
    """A stream that keeps its past within two bounds."""

    __slots__ = ("_chars", "_keep_chars")

    def __init__(self, *, keep: int = KEEP_LINES, keep_chars: int = KEEP_CHARS) -> None:
        super().__init__(keep=keep)
        self._keep_chars = keep_chars
        self._chars = 0

    def put(self, item: LogLine) -> None:
        """Give the line to every reader, and keep it in place of the oldest ones."""
        past = self._past
        if past and len(past) == past.maxlen:
            self._chars -= len(past[0].text)
        self._chars += len(item.text)
        super().put(item)
        while self._chars > self._keep_chars and len(past) > 1:
            self._chars -= len(past.popleft().text)

    def last_texts(self, count: int, source: str) -> list[str]:
        """The last lines of this source, the oldest first: without a copy of all that is held."""
        found = (line.text for line in reversed(self._past) if line.source == source)
        return list(islice(found, count))[::-1]
