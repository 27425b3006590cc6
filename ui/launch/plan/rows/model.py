"""The ranked table's cells: every way to serve the model as words, with bands and reasons for whoever asks.

The one rule: a column has one unit, which stands in its header; QtCore only, so that no colour is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.planning.figure import Figure
from sparkdesk.core.planning.row import PlanRow
from ui import text
from ui.launch.plan import words
from ui.text import GIB

Index = QModelIndex | QPersistentModelIndex
Column = Literal[
    "rank", "split", "quantization", "nodes", "ttft", "tpot", "total", "left", "engine", "quality", "toll", "kv",
    "speculative", "power", "cost", "why",
]  # fmt: skip
COLUMNS: Final[tuple[Column, ...]] = (
    "rank", "engine", "split", "quantization", "nodes", "kv", "speculative", "ttft", "tpot", "total", "left",
    "quality", "power", "cost", "toll", "why",
)  # fmt: skip
NUMBERS: Final[frozenset[Column]] = frozenset(
    ("rank", "nodes", "ttft", "tpot", "total", "left", "power", "cost", "toll")
)
_KIND: Final[tuple[Column, ...]] = ("split", "quantization", "kv", "speculative")
_TITLES: Final[dict[Column, str]] = {
    "rank": "#",
    "engine": "Engine",
    "split": "Split",
    "quantization": "Quant",
    "nodes": "Nodes",
    "kv": "KV",
    "speculative": "Draft",
    "ttft": "TTFT s",
    "tpot": "TPOT ms",
    "total": "tok/s",
    "left": "left GiB",
    "quality": "Loss",
    "power": "W wall",
    "cost": "cost/M tok",
    "toll": "Others",
    "why": "Why",
}
_MEANINGS: Final[dict[Column, str]] = {
    "rank": "Rank under this workload; rows without one do not fit",
    "engine": "Engine and build",
    "split": "How the model is divided over the nodes",
    "quantization": "Format of the weights",
    "nodes": "Nodes that it takes",
    "kv": "Format of the KV cache",
    "speculative": "Speculative decoding",
    "ttft": "Time to the first token of the last user, seconds",
    "tpot": "Time for each further token of a user, milliseconds",
    "total": "Tokens a second of all users together, while they decode",
    "left": "Unified memory left on the fullest node, GiB",
    "quality": "What the format costs in answers, against BF16",
    "power": "Power of all its nodes at the wall, W",
    "cost": "Energy and price of the machines for a million tokens, in the currency of the settings",
    "toll": "What it costs those who run there now, of their tok/s",
    "why": "Why it stands here; of those that do not fit, what is missing",
}


@dataclass(frozen=True, slots=True)
class RowWords:
    """A row as the table shows it."""

    cells: dict[Column, str]
    has_room: bool
    fit: Fit


def seconds_cell(time_s: float) -> str:
    """A time in a column of seconds: 0.41, 1.42, 15.8, 125."""
    if not text.is_known(time_s) or time_s < 0:
        return text.NOT_KNOWN
    return text.grouped(time_s, 2 if time_s < 9.995 else 1 if time_s < 99.95 else 0)


def row_words(row: PlanRow) -> RowWords:
    """Every cell of a row."""
    shown = row.shown
    left = row.least_free_bytes
    has_room = words.has_room(row)
    cells: dict[Column, str] = {
        "rank": text.count(row.rank) if has_room else "",
        "engine": words.short_engine(row),
        "split": words.split_words(row).replace(" \u00d7 ", "\u00d7"),
        "quantization": row.setup.weights.key,
        "nodes": text.count(row.setup.parallelism.world_size),
        "kv": words.kv_words(row),
        "speculative": words.speculative_words(row),
        "ttft": seconds_cell(shown.ttft_s.value),
        "tpot": text.token_interval(shown.tpot_s.value).value,
        "total": text.token_rate(shown.output_tok_s.value).value,
        "left": text.grouped(left / GIB, 1) if left is not None else text.NOT_KNOWN,
        "quality": words.quality_words(row),
        "power": text.power(row.cost.power_w.value).value,
        "cost": words.money(row.cost.total_per_million.value),
        "toll": words.toll_change(row),
        "why": words.short_why(row) if has_room else words.refusal(row),
    }
    return RowWords(cells, has_room, row.fit)


def _hints(row: PlanRow, cells: dict[Column, str], currency: str) -> dict[Column, str]:
    shown = row.shown
    money = f"{text.one_line(currency, words.MOST_CURRENCY)} per million tokens".strip()
    leans = "\n{}. {}".format(*words.leans_words(shown))
    return {
        "ttft": _band(shown.ttft_s, "s", seconds_cell) + leans,
        "tpot": _band(shown.tpot_s, "ms", lambda s: text.token_interval(s).value) + leans,
        "total": _band(shown.output_tok_s, "tok/s", lambda rate: text.token_rate(rate).value) + leans,
        "power": _band(row.cost.power_w, "W", lambda w: text.power(w).value),
        "cost": _band(row.cost.total_per_million, money, words.money),
        "quality": words.quality_sentence(row),
        "toll": "\n".join(words.toll_sentence(toll) for toll in row.tolls),
        "why": "\n".join(text.one_line(f"{each.message}. {each.remedy}", 400) for each in row.problems)
        or words.why_words(row),
        "engine": _engine_hint(row),
    }


def _engine_hint(row: PlanRow) -> str:
    setup = row.setup
    said = f"{setup.engine.title}, build {setup.build.title or setup.build.key}"
    note = text.one_line(setup.build.note, 200)
    said += f": {note}" if note else ""
    return said if setup.engine.is_launchable else f"{said}\nSparkDesk cannot start it yet: to look at and export"


def _band(figure: Figure, unit: str, write: Callable[[float], str]) -> str:
    if not figure.is_known:
        return "Not known"
    return f"{write(figure.value)} {unit}, between {write(figure.low)} and {write(figure.high)}"


def _sentence(row: PlanRow, cells: dict[Column, str]) -> str:
    place = f"Rank {row.rank}" if words.has_room(row) else row.fit.value
    why = words.why_words(row) if words.has_room(row) else cells["why"]
    return (
        f"{place}: {words.name_of(row)}; first token {cells['ttft']} s, "
        f"then {cells['tpot']} ms, {cells['total']} tokens a second in all; {cells['left']} GiB left. {why}"
    )


class RowsModel(QAbstractTableModel):
    """The rows of one answer of the planner."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[PlanRow, ...] = ()
        self.told: tuple[RowWords, ...] = ()
        self.users = 1
        self.currency = ""

    def set_rows(self, rows: Sequence[PlanRow], currency: str = "") -> bool:
        """Show other rows, their costs in this currency; tells whether anything changed."""
        if tuple(rows) == self.rows and currency == self.currency:
            return False
        self.beginResetModel()
        self.currency = currency
        self.rows = tuple(rows)
        self.told = tuple(row_words(row) for row in self.rows)
        self.users = rows[0].workload.users if rows else 1
        self.endResetModel()
        return True

    def is_silent(self, column: Column) -> bool:
        """Whether a column says nothing of any row, or one engine's name again and again."""
        if column == "engine":
            return len({row.cells[column] for row in self.told}) <= 1 and len(self.told) > 1
        silent = {text.NOT_KNOWN, "", "none"} if column in ("toll", "speculative") else {text.NOT_KNOWN, ""}
        return all(row.cells[column] in silent for row in self.told)

    def is_one(self, column: Column) -> bool:
        """Whether all of several rows say the same there."""
        return len({row.cells[column] for row in self.told}) == 1 < len(self.told)

    def has_alike(self) -> bool:
        """Whether many rows have one split and format; the form's own beside the best of its kind is not many."""
        kinds = {(row.cells["split"], row.cells["quantization"], row.has_room) for row in self.told}
        return len(kinds) < len(self.told) - 1

    def has_twins(self) -> bool:
        """Whether two rows agree in split, format, KV cache and draft, and only the engine's name tells them apart."""
        kinds: dict[tuple[str, ...], str] = {}
        for row in self.told:
            kind = tuple(row.cells[column] for column in _KIND)
            if kinds.setdefault(kind, row.cells["engine"]) != row.cells["engine"]:
                return True
        return False

    def title(self, column: Column) -> str:
        """A column's heading, with its unit."""
        if column == "cost" and self.currency:
            return f"{text.one_line(self.currency, words.MOST_CURRENCY)}/M tok"
        return f"tok/s @{text.count(self.users)}" if column == "total" else _TITLES[column]

    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is not Qt.Orientation.Horizontal:
            return None
        column = COLUMNS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.title(column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return align(column)
        return _MEANINGS[column] if role == Qt.ItemDataRole.ToolTipRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid() or index.row() >= len(self.told):
            return None
        row, column = self.told[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.cells[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return align(column)
        if role == Qt.ItemDataRole.ToolTipRole:
            # Made when somebody asks: there may be two hundred rows, and a new set with every key that is typed.
            return plain(_hints(self.rows[index.row()], row.cells, self.currency).get(column, "")) or None
        if role == Qt.ItemDataRole.AccessibleDescriptionRole and index.column() == 0:
            return _sentence(self.rows[index.row()], row.cells)
        return None


def plain(hint: str) -> str:
    """Words for a tooltip, letter for letter: Qt would guess markup in them."""
    escaped = hint.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")
    return f"<qt>{escaped}</qt>" if hint else ""


def align(column: Column) -> int:
    """Numbers right, words left."""
    side = Qt.AlignmentFlag.AlignRight if column in NUMBERS else Qt.AlignmentFlag.AlignLeft
    return int(side | Qt.AlignmentFlag.AlignVCenter)
