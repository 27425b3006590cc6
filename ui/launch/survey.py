"""How every model of the catalogue stands on the nodes of now: looked at one by one, beside the work at the form.

The one rule: one model an event-loop turn, so that a long one never stops the window.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.place import Place
from ui.jobs.mark import Mark
from ui.launch.choice.default import Around, fill_defaults, pick_model
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import Form
from ui.launch.preview import FIT_ICONS, FIT_KINDS, make_preview
from ui.launch.standing import NO_MARK, Standing, find_holders, stand

SHOWN_EVERY = 6
"""Models of the catalogue that are computed between two looks at the list."""


class Survey(QObject):
    """`standings` by the model's name. `changed` comes after some of them."""

    changed = Signal()

    def __init__(self, feeds: LaunchFeeds, titles: Callable[[], dict[str, str]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._feeds = feeds
        self._titles = titles
        self.standings: dict[str, Standing] = {}
        self._stood_on: tuple[str, ...] = ()
        self._room, self._everywhere = Place(()), Place(())
        self._queue: list[ModelSpec] = []
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._look_at_next)

    def forget(self) -> None:
        """The nodes are others: each model is looked at anew when it is time."""
        self._queue = list(self._feeds.catalogue)

    def pause(self) -> None:
        """While somebody types, the list waits."""
        self._timer.stop()

    def go_on(self, pool: tuple[str, ...]) -> None:
        """Look at what was not looked at on these nodes."""
        if pool != self._stood_on or self._queue:
            self.look_at_all(pool)

    def look_at_all(self, pool: tuple[str, ...]) -> None:
        """Have every model of the catalogue looked at anew on these nodes."""
        self._stood_on = pool
        self._room = self._feeds.place(pool)
        self._everywhere = self._feeds.place(tuple(c.record.id for c in self._feeds.ranked_contexts()))
        self.forget()
        self._timer.start()

    def _look_at_next(self) -> None:
        if not self._queue:
            self._timer.stop()
            return
        spec, feeds = self._queue.pop(0), self._feeds
        holders = find_holders(spec, feeds.ranked_contexts(), self._everywhere)
        cell = feeds.best_cell(spec, self._room) if feeds.best_cell and self._room.nodes else None
        fit = NO_MARK if cell else self._fit_mark(spec)
        self.standings[spec.name] = stand(cell, fit, holders, self._titles())
        if len(self._queue) % SHOWN_EVERY == 0:
            self.changed.emit()

    def _fit_mark(self, spec: ModelSpec) -> Mark:
        """Without a row of the planner, the word of the engine's own plan."""
        if not self._feeds.contexts.value:
            return NO_MARK
        backends = {info.key: info for info in self._feeds.backends}
        around = Around(spec, self._feeds.ranked_contexts(), backends, self._feeds.engines)
        preview = make_preview(fill_defaults(pick_model(Form(), spec, backends), around), self._feeds)
        if preview.plan is None:
            return Mark("Not here", "neutral", "circle-dashed")
        kind = FIT_KINDS[preview.fit]
        return Mark(preview.fit.value, kind, FIT_ICONS.get(kind))
