"""Keeps means of what is measured over the end of the program, and gives back what earlier runs kept.

The one rule: it is never in the way. It works in small batches on the store's thread; without its file everything else
goes on, and a person is told once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence

from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.errors import StoreError
from sparkdesk.core.feed import Latest
from sparkdesk.core.telemetry.history import History
from sparkdesk.core.telemetry.past import STEP_MS, Means
from sparkdesk.core.telemetry.shelf import Batch, HistoryShelf
from sparkdesk.services.clock import Clock
from sparkdesk.services.records.absence import Absences
from sparkdesk.services.records.energies import Energies
from sparkdesk.services.records.reading_book import ReadingBook
from sparkdesk.services.records.series import Past
from sparkdesk.services.telemetry import Telemetry

log = logging.getLogger(__name__)

EVERY_S = 20.0
"""A kill loses so much of the history at most."""
SPAN_MS = 3_900_000
"""What charts can show, and a little more."""
AT_ONCE = 8
"""After so many sources the event loop gets its turn."""
SLEPT_S = 30.0
"""A batch comes later than it was due by so much: this computer slept."""


class Recorder:
    """Fills `past` when it is opened, and keeps what comes. `readings` are the books of engines' readings."""

    def __init__(  # noqa: PLR0913 - called once, where the program is put together; every one is a part of it
        self,
        *,
        shelf: HistoryShelf,
        telemetry: Telemetry,
        nodes: Latest[tuple[NodeStatus, ...]],
        readings: Sequence[ReadingBook],
        energies: Energies,
        absences: Absences,
        past: Past,
        clock: Clock,
        every_s: float = EVERY_S,
    ) -> None:
        self._shelf = shelf
        self._telemetry = telemetry
        self._nodes = nodes
        self._readings = readings
        self._energies = energies
        self._absences = absences
        self._past = past
        self._clock = clock
        self._every_s = every_s
        self._done: dict[str, int] = {}
        self._is_open = False
        self.notice = ""
        """What a person should know about the history; "" when all is well."""

    async def open(self) -> None:
        """Read what earlier runs kept. Never raises: without the file nothing is kept, and `notice` says why."""
        try:
            kept = await self._shelf.open(self._clock.now_ms(), SPAN_MS)
        except StoreError as error:
            self._tell(error)
            return
        self._is_open = True
        self.notice = self._shelf.notice
        self._past.means, self._past.closed = kept.means, kept.closed
        self._energies.restore(kept.sums)

    async def run(self) -> None:
        """Keep a batch again and again until cancelled."""
        begun_s = self._clock.monotonic_s()
        while self._is_open:
            before_s = self._clock.monotonic_s()
            await asyncio.sleep(self._every_s)
            now_s = self._clock.monotonic_s()
            if now_s - begun_s > SPAN_MS / 1000.0:
                self._past.means = {}  # no chart reaches back to earlier runs any more
            if now_s - before_s - self._every_s > SLEPT_S:
                now_ms = self._clock.now_ms()
                self._absences.note_sleep(now_ms - round((now_s - before_s) * 1000), now_ms)
            await self.save()

    async def save(self, *, is_last: bool = False) -> None:
        """Keep what has come since the last batch. Never raises."""
        if not self._is_open:
            return
        found: list[tuple[str, Means]] = []
        for number, (source_id, means) in enumerate(self._fresh(is_last=is_last), 1):
            if len(means.times_ms):
                found.append((source_id, means))
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        sums = self._energies.changes()
        try:
            await self._shelf.write(Batch(self._clock.now_ms(), found, sums))
        except StoreError as error:
            self._tell(error)
            return
        self.notice = self._shelf.notice

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much; what lies in the file already keeps its times."""
        self._done = {source_id: done_ms + moved_ms for source_id, done_ms in self._done.items() if done_ms}
        past = self._past
        past.means = {source_id: means.move_times(moved_ms) for source_id, means in past.means.items()}
        past.closed = tuple((shut + moved_ms, opened + moved_ms) for shut, opened in past.closed)

    async def forget(self, source_id: str) -> None:
        """A node was removed: nothing about it stays. Raises StoreError."""
        self._energies.forget(source_id)
        self._done.pop(source_id, None)
        self._past.means = {key: means for key, means in self._past.means.items() if key != source_id}
        if self._is_open:
            await self._shelf.forget(source_id)

    async def close(self) -> None:
        """Keep the rest and close the file; safe to call twice. Raises StoreError."""
        if self._is_open:
            await self.save(is_last=True)
            self._is_open = False
        await self._shelf.close()

    def _fresh(self, *, is_last: bool) -> Iterator[tuple[str, Means]]:
        """Means of whole steps that were not kept yet; of the step under way too when it is the last time."""
        for source_id, history in tuple(self._histories()):
            until_ms = history.closed_ms if is_last else history.closed_ms // STEP_MS * STEP_MS
            done_ms = self._done.get(source_id, 0)
            since_ms = 0 if until_ms < done_ms else done_ms  # a clock was set back: the history began anew
            self._done[source_id] = until_ms
            if since_ms < until_ms:
                yield source_id, history.means(since_ms, until_ms + is_last, STEP_MS)

    def _histories(self) -> Iterator[tuple[str, History]]:
        for status in self._nodes.value:
            yield status.record.id, self._telemetry.history(status.record.id)
        for book in self._readings:
            for source_id in book.ids:
                if (history := book.history(source_id)) is not None:
                    yield source_id, history

    def _tell(self, error: StoreError) -> None:
        words = f"What charts show is not kept: {error.message}. {error.remedy}"
        if words != self.notice:
            log.warning("history: %s", error.sentence())
            self.notice = words
