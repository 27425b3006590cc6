"""The machine behind one cage of a node: it is looked for at its neighbour, and begun with where it is the only one.

Rule: QtCore only. Whatever else is there (nobody, several, one that is added already) is told, and a person chooses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from PySide6.QtCore import QObject, Signal

from sparkdesk.core.cluster.candidate import Candidate, SearchState, Source
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.cluster.sighting import seen_behind
from ui.add_node.search_model import SearchModel
from ui.text import one_line

Finding = Literal["", "looking", "nobody", "told"]
_OVER = (SearchState.DONE, SearchState.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Behind:
    """A cage of a known node, behind which another machine was seen."""

    node: NodeRecord
    cage: str

    @property
    def name(self) -> str:
        """ "spark-5c2d P1"."""
        return f"{one_line(self.node.name, 40)} {one_line(self.cage, 8)}"


class BehindModel(QObject):
    """`found` carries the one candidate, with the user of its neighbour; `changed`: there is something to be told."""

    found = Signal(object)
    changed = Signal()

    def __init__(self, search: SearchModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._search = search
        self.place: Behind | None = None
        self.finding: Finding = ""
        self.words = ("", "")
        """What is told of those that were found: a title, and what to do."""
        search.progress_changed.connect(self._settle)

    def look(self, place: Behind) -> None:
        """Look for it at this node alone, anew."""
        self.leave()
        self.place = place
        self._search.clear_choice()
        self._search.look_around()
        self.finding = "looking"
        self.changed.emit()
        self._settle()

    def look_again(self) -> None:
        """The same once more."""
        if self.place is not None:
            self.look(self.place)

    def leave(self) -> None:
        """It is looked for no more: the search is about all there is."""
        self.place, self.finding, self.words = None, "", ("", "")
        self.changed.emit()

    def _settle(self) -> None:
        place = self.place
        if place is None or self.finding != "looking":
            return
        if self._search.progress_of(Source.NEIGHBOUR).state not in _OVER:
            return
        seen = seen_behind(self._search.candidates, place.node, place.cage)
        self.words = _told(place, seen)
        self.finding = "told" if seen else "nobody"
        self.changed.emit()
        if len(seen) == 1 and not self.words[0]:
            self.leave()
            # One account is the rule for machines that stand side by side; whoever has another one changes it.
            self.found.emit(replace(seen[0], user=seen[0].user or place.node.user))


def _told(place: Behind, seen: tuple[Candidate, ...]) -> tuple[str, str]:
    """Why it is not begun with at once; empty where it can be. Whether it lets anybody in is seen when it is asked."""
    if len(seen) > 1:
        return f"{len(seen)} machines answer behind {place.name}", "Choose in the list whom to add."
    if seen and seen[0].known_as:
        known = one_line(seen[0].known_as, 60)
        return (
            f"The machine behind {place.name} was added before, as {known}",
            "Open the cluster that it is in. To sign in to it anew, choose it in the list.",
        )
    return "", ""
