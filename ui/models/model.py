"""The view-model of what these Sparks can run: every model on every node count, filtered, ordered, one chosen.

The one rule: one model is computed in an event-loop turn, and rows that stand are shown until newer ones come, so that
the window never waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from PySide6.QtCore import QObject, QTimer, Signal

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.search.table import Cell, ModelRow, Verdict
from ui.bridge import watch
from ui.launch.standing import find_holders, is_match
from ui.models import words
from ui.models.feeds import ModelsFeeds

LEAST_COLUMNS: Final = 4
FURTHER: Final = (6, 8, 12, 16)
"""Node counts beyond four that can be asked for."""
SHOWN_EVERY: Final = 6
"""Models that are computed between two looks at the table."""
SETTLE_MS: Final = 400
"""After the nodes have changed."""
SIZES: Final[dict[str, tuple[float, float]]] = {
    "": (0.0, math.inf),
    "small": (0.0, 10e9),
    "middle": (10e9, 40e9),
    "large": (40e9, 130e9),
    "huge": (130e9, math.inf),
}
"""Parameters, from and below."""
CATALOGUE_ORDER: Final = ""
BY_NAME, LARGEST, SMALLEST, FASTEST = "name", "largest", "smallest", "fastest:"


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for. Empty lets all pass."""

    needle: str = ""
    purposes: frozenset[str] = frozenset()
    """A model must be for all of them."""
    size: str = ""
    """A key of SIZES."""
    fits_now: bool = False
    on_disk: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A model as the table has it; `row` is None until it was computed."""

    spec: ModelSpec
    row: ModelRow | None = None
    holders: str = ""
    """Which nodes hold its files, in words."""

    def cell(self, count: int) -> Cell | None:
        """Its cell of a node count."""
        return self.row.cell(count) if self.row is not None else None


class ModelsModel(QObject):
    """Entries that pass the filter, in their order, and the one that is chosen."""

    entries_changed = Signal()
    place_changed = Signal()
    """Other nodes, or other columns."""
    chosen_changed = Signal()

    def __init__(self, feeds: ModelsFeeds, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.feeds = feeds
        self.filter = Filter()
        self.order = CATALOGUE_ORDER
        self.entries: tuple[Entry, ...] = ()
        self.owned = 0
        """Live nodes."""
        self.most_nodes = LEAST_COLUMNS
        self.counts: tuple[int, ...] = ()
        self.computed_ms = 0.0
        self.chosen_name = ""
        self.chosen_count = 1
        self._all: dict[str, Entry] = {spec.name: Entry(spec) for spec in feeds.catalogue}
        self._place = Place(())
        self._queue: list[ModelSpec] = []
        self._remedies: dict[tuple[str, int], str] = {}
        self._spent_s = 0.0
        self._is_shown = False
        self._is_stale = False
        """Other starts correct the rows since they were computed."""
        self._turn = QTimer(self)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._compute_next)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self.look)
        self._take_place()
        self._show()
        self._learned = feeds.learned_changed.value if feeds.learned_changed is not None else 0
        watch(feeds.contexts, self, self._take_contexts)
        if feeds.learned_changed is not None:
            watch(feeds.learned_changed, self, self._take_learned)

    # The nodes -----------------------------------------------------------------------------------------------------

    @property
    def is_computing(self) -> bool:
        """Whether rows are still to come."""
        return bool(self._queue)

    @property
    def now_count(self) -> int:
        """The node count that "now" means: all live nodes; one where there is none."""
        return max(1, self.owned)

    def set_shown(self, *, is_shown: bool) -> None:
        """The page is seen, or is not: then nothing is computed."""
        self._is_shown = is_shown
        if is_shown:
            self.feeds.refresh_memory()
            self.look()
        else:
            self._turn.stop()

    def set_most_nodes(self, count: int) -> None:
        """Ask for columns up to so many nodes."""
        self.most_nodes = count
        self.look()

    def look(self) -> None:
        """Take the nodes of this moment; compute all models anew where they or the columns differ."""
        self._settle.stop()
        is_missing = not self._queue and any(entry.row is None for entry in self._all.values())
        if self._take_place() or self._is_stale or is_missing:
            self._is_stale = False
            self._queue = list(self.feeds.catalogue)
            self._spent_s = 0.0
            self._show()
        if self._queue and self._is_shown:
            self._turn.start()

    def _take_place(self) -> bool:
        contexts = self.feeds.contexts.value
        place = self.feeds.place(tuple(context.record.id for context in contexts))
        owned = len(place.nodes)
        most = max(self.most_nodes, LEAST_COLUMNS, owned)
        counts = sorted({*range(1, LEAST_COLUMNS + 1), *(count for count in FURTHER if count <= most), most})
        if (place, tuple(counts)) == (self._place, self.counts):
            return False
        has_other_columns = (owned, tuple(counts)) != (self.owned, self.counts)
        self._place, self.owned, self.counts = place, owned, tuple(counts)
        self._remedies.clear()
        for name, entry in self._all.items():
            row = entry.row if not has_other_columns else None
            self._all[name] = Entry(entry.spec, row, find_holders(entry.spec, contexts, place))
        if self.chosen_count not in counts or has_other_columns:
            self.chosen_count = min(self.now_count, counts[-1])
        self.place_changed.emit()
        return True

    def _take_contexts(self, _contexts: tuple[NodeContext, ...]) -> None:
        if self._is_shown:
            self._settle.start()

    def _take_learned(self, count: int) -> None:
        if count != self._learned:
            self._learned, self._is_stale = count, True
            self._remedies.clear()
            if self._is_shown:
                self._settle.start()

    def _compute_next(self) -> None:
        if not self._queue:
            self._turn.stop()
            return
        spec = self._queue.pop(0)
        began_s = self.feeds.clock_s()
        row = self.feeds.row_for(spec, self._place, self.counts)
        self._spent_s += self.feeds.clock_s() - began_s
        self._all[spec.name] = replace(self._all[spec.name], row=row)
        if not self._queue:
            self.computed_ms = self._spent_s * 1000
            self._choose_largest()
        if len(self._queue) % SHOWN_EVERY == 0:
            self._show()

    def _choose_largest(self) -> None:
        """Where nobody chose one, the largest model that fits now with room to spare: what most want to know."""
        count = min(self.now_count, self.counts[-1])
        cells = {name: entry.cell(count) for name, entry in self._all.items()}
        roomy = [name for name, cell in cells.items() if cell is not None and cell.fit is Fit.FITS]
        if not self.chosen_name and roomy:
            self.chosen_name = max(roomy, key=lambda name: self._all[name].spec.parameters or 0)
            self.chosen_count = count

    # What is looked for --------------------------------------------------------------------------------------------

    def purposes(self) -> tuple[str, ...]:
        """Purposes that several models of the catalogue have, the most frequent first; the others are searched for."""
        said = [purpose for spec in self.feeds.catalogue for purpose in spec.purposes]
        several = {word for word in said if said.count(word) > 1}
        return tuple(sorted(several, key=lambda word: (-said.count(word), word)))

    def set_filter(self, **changes: object) -> None:
        """Look for something else."""
        self.filter = replace(self.filter, **changes)  # type: ignore[arg-type]  # by name
        self._show()

    def clear_filter(self) -> None:
        """Let all models pass."""
        self.filter = Filter()
        self._show()

    def set_order(self, order: str) -> None:
        """Order the models; see `orders`."""
        self.order = order
        self._show()

    def orders(self) -> list[tuple[str, str]]:
        """(key, words) of every order."""
        fixed = [(CATALOGUE_ORDER, "Catalogue order"), (BY_NAME, "Name"), (LARGEST, "Largest first")]
        fast = [(f"{FASTEST}{count}", f"Fastest on {words.node_words(count)}") for count in self.counts]
        return [*fixed, (SMALLEST, "Smallest first"), *fast]

    def _show(self) -> None:
        entries = [entry for entry in self._all.values() if self._passes(entry)]
        if self.order == BY_NAME:
            entries.sort(key=lambda entry: entry.spec.title.lower())
        elif self.order in (LARGEST, SMALLEST):
            sign = -1 if self.order == LARGEST else 1
            entries.sort(key=lambda entry: sign * (entry.spec.parameters or 0))
        elif self.order.startswith(FASTEST):
            count = int(self.order.removeprefix(FASTEST))
            entries.sort(key=lambda entry: -_speed(entry.cell(count)))
        self.entries = tuple(entries)
        self.entries_changed.emit()
        self.chosen_changed.emit()

    def _passes(self, entry: Entry) -> bool:
        wanted, spec = self.filter, entry.spec
        low, high = SIZES[wanted.size]
        if wanted.size and not low <= (spec.parameters or -1) < high:
            return False
        if not wanted.purposes <= set(spec.purposes) or (wanted.on_disk and not entry.holders):
            return False
        if wanted.fits_now and not self._fits_now(entry):
            return False
        return is_match(spec, wanted.needle, self.feeds.engine_titles)

    def _fits_now(self, entry: Entry) -> bool:
        cell = entry.cell(min(self.now_count, self.counts[-1]))
        return cell is not None and cell.verdict is Verdict.FITS

    def set_learned(self, *, is_applied: bool) -> None:
        """Have what starts taught of the chosen plan applied, or forget it."""
        cell = self.chosen_cell()
        if cell is not None and cell.learned is not None and self.feeds.set_learned is not None:
            self.feeds.set_learned(cell.learned, is_applied)

    # The one that is chosen ----------------------------------------------------------------------------------------

    def chosen(self) -> Entry | None:
        """The chosen model, also where the filter hides it."""
        return self._all.get(self.chosen_name)

    def chosen_cell(self) -> Cell | None:
        """Its cell of the chosen node count."""
        entry = self.chosen()
        return entry.cell(self.chosen_count) if entry is not None else None

    def choose(self, name: str, count: int = 0) -> None:
        """Choose a model, and a node count; 0 leaves the count."""
        before = (self.chosen_name, self.chosen_count)
        self.chosen_name = name if name in self._all else ""
        self.chosen_count = count if count in self.counts else self.chosen_count
        if (self.chosen_name, self.chosen_count) != before:
            self.chosen_changed.emit()

    def remedy(self) -> str:
        """What would make the chosen model fit on the chosen nodes; asked once, as it takes some time."""
        entry, key = self.chosen(), (self.chosen_name, self.chosen_count)
        if entry is None:
            return ""
        if key not in self._remedies:
            self._remedies[key] = self.feeds.remedy(entry.spec, self._place, self.chosen_count)
        return self._remedies[key]

    def obstacle(self) -> str:
        """Why the chosen plan cannot be taken to the launch page; "" where it can."""
        cell = self.chosen_cell()
        if cell is None:
            return "This model is being computed" if self.chosen() else "Choose a model"
        if not self.owned:
            return "No node is live: add a Spark first"
        if is_possible(cell, self._place):
            return ""
        if not words.runs(cell):
            return "It does not fit on so many nodes" if cell.verdict is Verdict.NO else "Nothing is known to plan with"
        return f"It takes {words.node_words(cell.used_nodes)}; {words.node_words(self.owned)} live here"


def is_possible(cell: Cell, place: Place) -> bool:
    """Whether a cell has a plan, and on nodes that are there."""
    return words.runs(cell) and set(cell.node_ids) <= {node.node_id for node in place.nodes}


def _speed(cell: Cell | None) -> float:
    """Tokens a second to order by; what does not run comes last."""
    if cell is None or not words.runs(cell) or not cell.user_tok_s.is_known:
        return -1.0
    return cell.user_tok_s.value
