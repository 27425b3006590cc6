"""The search for Sparks as the pages show it: what was found, how far each source is, what the person chose.

Rule: QtCore only. A choice belongs to an address, so that it outlives a search that is begun anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.cluster.candidate import Candidate, SearchOptions, SearchProgress, SearchState, Source
from sparkdesk.core.feed import Latest
from ui.bridge import watch

Choice = tuple[str, int, str]
_ANYWHERE = frozenset({Source.MDNS, Source.SSH_CONFIG, Source.NEIGHBOUR})


@dataclass(frozen=True)
class SearchFeeds:
    """What the search shows and calls. `range_problem` says what is wrong with a typed range, "" when nothing is."""

    candidates: Latest[tuple[Candidate, ...]]
    progress: Latest[tuple[SearchProgress, ...]]
    start_search: Callable[[SearchOptions], object]
    stop_search: Callable[[], object]
    range_problem: Callable[[str], str]


class SearchModel(QObject):
    """`found_changed` and `progress_changed` ask the page to look again; `chosen_changed` is about ticks alone."""

    found_changed = Signal()
    progress_changed = Signal()
    chosen_changed = Signal()

    def __init__(self, feeds: SearchFeeds, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._feeds = feeds
        self._chosen: dict[Choice, None] = {}
        self._is_starting = False
        self.has_searched = False
        self.ranges = ""
        self.candidates: tuple[Candidate, ...] = ()
        self.progress: dict[Source, SearchProgress] = {}
        watch(feeds.candidates, self, self._take_candidates)
        watch(feeds.progress, self, self._take_progress)

    def _take_candidates(self, candidates: tuple[Candidate, ...]) -> None:
        self.candidates = tuple(sorted(candidates, key=_rank))
        self.found_changed.emit()

    def _take_progress(self, progress: tuple[SearchProgress, ...]) -> None:
        # A search that begins is told as idle everywhere first.
        self._is_starting = self._is_starting and all(each.state is SearchState.IDLE for each in progress)
        self.progress = {each.source: each for each in progress}
        self.progress_changed.emit()

    def progress_of(self, source: Source) -> SearchProgress:
        """How one source stands; idle where the feed does not name it."""
        return self.progress.get(source, SearchProgress(source))

    @property
    def is_searching(self) -> bool:
        """Whether any source still looks."""
        is_running = any(each.state is SearchState.RUNNING for each in self.progress.values())
        return self.has_searched and (self._is_starting or is_running)

    @property
    def has_found_nothing(self) -> bool:
        """Whether a search ended, or was stopped, without a single candidate."""
        return self.has_searched and not self.is_searching and not self.candidates

    def range_problem(self, text: str) -> str:
        """What is wrong with a range that somebody types; an empty one is no range and no problem."""
        return self._feeds.range_problem(text) if text.strip() else ""

    def search(self, ranges: str = "") -> None:
        """Look everywhere, and through `ranges` where there are any."""
        self.has_searched = True
        self._is_starting = True
        self.ranges = ranges.strip()
        sources = _ANYWHERE | {Source.RANGE} if self.ranges else _ANYWHERE
        self._feeds.start_search(SearchOptions(frozenset(sources), self.ranges))
        self.progress_changed.emit()

    def look_around(self) -> None:
        """Ask only the nodes that are connected what they see through their CX-7 ports."""
        self.has_searched = True
        self._is_starting = True
        self.ranges = ""
        self._feeds.start_search(SearchOptions(frozenset({Source.NEIGHBOUR})))
        self.progress_changed.emit()

    def stop(self) -> None:
        """Stop looking; what was found stays."""
        if self.is_searching:
            self._is_starting = False
            self._feeds.stop_search()
        self.progress_changed.emit()

    def is_chosen(self, candidate: Candidate) -> bool:
        """Whether the person ticked it."""
        return _choice(candidate) in self._chosen

    def toggle(self, candidate: Candidate) -> None:
        """Tick it, or take the tick away."""
        key = _choice(candidate)
        if key in self._chosen:
            del self._chosen[key]
        else:
            self._chosen[key] = None
        self.chosen_changed.emit()

    def clear_choice(self) -> None:
        """Take all ticks away."""
        self._chosen.clear()
        self.chosen_changed.emit()

    def chosen(self) -> tuple[Candidate, ...]:
        """The ticked ones that are still on the list, in the order of the list."""
        return tuple(each for each in self.candidates if self.is_chosen(each))


def _choice(candidate: Candidate) -> Choice:
    return candidate.address, candidate.port, candidate.jump.address if candidate.jump is not None else ""


def _rank(candidate: Candidate) -> int:
    """Likely Sparks first, then the rest, then what is a node already; each in the order found."""
    if candidate.known_as:
        return 2
    return 0 if candidate.likeness else 1
