"""The chosen model on the chosen node count: its best plan, how fast with its band, what is left, what would make it
fit, and the way to the launch page.

The one rule: a prediction comes with its band and the case that it leans on; what cannot be planned here says why.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from sparkdesk.core.planning.search.table import Cell, Verdict
from ui import text
from ui.launch.plan.ledger_rows import ledger_values
from ui.launch.plan.tiles import paint_band
from ui.launch.plan.words import TileWords
from ui.models import words
from ui.models.model import Entry, ModelsModel
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.chip import Chip
from ui.widgets.label import Label
from ui.widgets.ledger import LedgerBar, LedgerLegend, LedgerValues
from ui.widgets.segmented import Segmented

PICK = "Choose a model to see its best plan, its band, and what would make it fit."


class _Band(QWidget):
    """The band of the speed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words: TileWords | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_cell(self, cell: Cell) -> None:
        """Show a cell's speed."""
        measured = words.measured_tok_s(cell)
        is_supported = cell.leans_on is not None
        self._words = TileWords("One user", cell.user_tok_s, None, text.token_rate, measured, is_supported)
        self.setAccessibleName(self._words.sentence)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(120, 16)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._words is not None:
            painter = QPainter(self)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint_band(painter, self.rect().toRectF().adjusted(2, 5, -2, -5), self._words)


class DetailPanel(Card):
    """The panel at the side. `plan_asked` means: take this to the launch page."""

    plan_asked = Signal()

    def __init__(self, model: ModelsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.title = Label(PICK, "object_title", "text", is_wrapped=True)
        self.about = Label("", "label", "text3", is_wrapped=True)
        self.counts = Segmented([("1", "1")], what="On how many nodes")
        self.chips = (Chip(), Chip())
        self.plan = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self.speed = Label("", "metric", "text")
        self.unit = Label("tok/s for one user", "dense", "text3")
        self.band = _Band()
        self.band_words = Label("", "label", "text2")
        self.context = Label("", "dense", "text2", is_wrapped=True)
        self.leans = Label("", "label", "text3", is_wrapped=True)
        self.ledger = LedgerBar()
        self.legends = (LedgerLegend("others", "weights", "kv"), LedgerLegend("engine", "reserve", "left"))
        self.left = Label("", "label", "text2", is_wrapped=True)
        self.learned = Label("", "label", "text2", is_wrapped=True, is_selectable=True)
        self.forget = Button("Forget", kind="link", is_small=True)
        self.remedy = Label("", "dense", "text", is_wrapped=True, is_selectable=True)
        self.formats = Label("", "label", "text3", is_wrapped=True)
        self.files = Label("", "label", "text3", is_wrapped=True)
        self.reason = Label("", "label", "text3", is_wrapped=True)
        self.button = Button("Plan it", kind="primary", icon="rocket")
        self._shown_counts: tuple[int, ...] = ()
        self._build()
        self.setAccessibleName("The chosen model")
        self.counts.changed.connect(lambda key: model.choose(model.chosen_name, int(key)))
        self.button.clicked.connect(self.plan_asked)
        self.forget.clicked.connect(self._set_learned)
        model.chosen_changed.connect(self.show_chosen)
        model.place_changed.connect(self.show_chosen)
        self.show_chosen()

    def _build(self) -> None:
        inner = QWidget()
        inner.setProperty("tone", "page")
        self._speed_box, self._memory_box = self._build_speed(), self._build_memory()
        chips = QHBoxLayout()
        chips.setSpacing(6)
        for chip in self.chips:
            chips.addWidget(chip)
        chips.addStretch(1)
        body = _column(inner, (self.title, self.about, self.counts), spacing=8, margins=(16, 12, 16, 12))
        body.addLayout(chips)
        for part in (self.plan, self.remedy, self._speed_box, self._memory_box, self.formats, self.files):
            body.addWidget(part)
        body.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inner)
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        column.addWidget(area, 1)
        column.addWidget(Separator())
        foot = QVBoxLayout()
        foot.setContentsMargins(16, 10, 16, 12)
        foot.setSpacing(6)
        foot.addWidget(self.reason)
        foot.addWidget(self.button, 0, Qt.AlignmentFlag.AlignRight)
        column.addLayout(foot)

    def _build_speed(self) -> QWidget:
        holder = QWidget()
        figure = QHBoxLayout()
        figure.setSpacing(5)
        figure.addWidget(self.speed)
        figure.addWidget(self.unit, 0, Qt.AlignmentFlag.AlignBottom)
        figure.addStretch(1)
        column = _column(holder, ())
        column.addLayout(figure)
        parts: tuple[QWidget, ...] = (self.band, self.band_words, self.leans, self.context)
        for part in parts:
            column.addWidget(part)
        return holder

    def _build_memory(self) -> QWidget:
        holder = QWidget()
        title = Label("Memory of the fullest node", "dense_strong", "text")
        column = _column(holder, (title, self.ledger, *self.legends, self.left, self.learned))
        column.addWidget(self.forget, 0, Qt.AlignmentFlag.AlignLeft)
        return holder

    def show_chosen(self) -> None:
        """Show what is chosen now."""
        model = self._model
        entry, cell = model.chosen(), model.chosen_cell()
        for part in (self.about, self.counts, self.formats, self.files):
            part.setVisible(entry is not None)
        self._show_cell(cell)
        obstacle = model.obstacle()
        self.button.set_disabled_reason(obstacle)
        self.reason.setText(obstacle if entry is not None else "")
        self.reason.setVisible(bool(self.reason.text()))
        can_plan = cell is not None and not obstacle
        self.button.setText(f"Plan it on {words.node_words(cell.used_nodes)}" if can_plan and cell else "Plan it")
        self.button.updateGeometry()
        if entry is None:
            self.title.setText(PICK)
            self.title.set_role("body")
            return
        self._show_model(entry)

    def _show_model(self, entry: Entry) -> None:
        spec, model = entry.spec, self._model
        self.title.set_role("object_title")
        self.title.setText(text.one_line(spec.title, 80))
        sizes = ", ".join(part for part in (words.size_words(spec), words.active_words(spec)) if part)
        self.about.setText(f"{sizes} · {', '.join(spec.purposes) or 'purpose not known'}")
        if self._shown_counts != model.counts:
            self._shown_counts = model.counts
            self.counts.set_options([(str(count), str(count)) for count in model.counts])
        self.counts.set_key(str(model.chosen_count))
        self.formats.setText(f"Weights: {words.formats_words(spec)}")
        self.files.setText(f"Files: {entry.holders}" if entry.holders else "Files: on no node that is live")

    def _show_cell(self, cell: Cell | None) -> None:
        has_plan = cell is not None and words.runs(cell)
        for part in (*self.chips, self.plan):
            part.setVisible(cell is not None)
        self._speed_box.setVisible(has_plan)
        is_measured = cell is not None and cell.ledger is not None and bool(cell.ledger.total_bytes)
        self._memory_box.setVisible(is_measured)
        self.remedy.setVisible(False)
        if cell is None:
            return
        mark = words.mark_of(cell)
        self.chips[0].set_state(mark.text, mark.kind, mark.icon)
        self.chips[1].set_state(f"{words.node_words(cell.nodes)}, {words.NOT_OWNED}", "neutral", "circle-dashed")
        self.chips[1].setVisible(not cell.is_owned)
        self.plan.setText(self._plan_words(cell))
        self._show_remedy(cell)
        if has_plan:
            self.show_speed(cell)
        if cell.ledger is not None and is_measured:
            self.ledger.set_values(ledger_values(cell.ledger) if cell.ledger.total_bytes else LedgerValues())
            free = text.memory(cell.ledger.free_bytes)
            self.left.setText(f"{free} left" if cell.verdict is not Verdict.NO else words.missing_words(cell))
            self._show_learned(cell)

    def _show_learned(self, cell: Cell) -> None:
        """What starts of this very plan told of its memory, and the way to take it back."""
        said = words.learned_words(cell)
        self.learned.setText(f"{said}." if said else "")
        self.learned.setVisible(bool(said))
        self.forget.setVisible(bool(said) and self._model.feeds.set_learned is not None)
        self.forget.setText("Forget" if words.is_measured(cell) else "Use what was measured")
        self.forget.setAccessibleName(f"{self.forget.text()}: {said}")
        self.forget.updateGeometry()

    def _set_learned(self) -> None:
        cell = self._model.chosen_cell()
        if cell is not None:
            self._model.set_learned(is_applied=not words.is_measured(cell))

    def _plan_words(self, cell: Cell) -> str:
        if cell.quantization:
            said = words.plan_words(cell, self._model.feeds.engine_titles)
            return said if words.runs(cell) else f"Nearest: {said}"
        return "Nothing is known to plan with" if cell.verdict is Verdict.UNKNOWN else "No engine here runs it"

    def _show_remedy(self, cell: Cell) -> None:
        said = ""
        if cell.verdict is Verdict.NO:
            lacking = words.missing_words(cell)
            said = ". ".join(part for part in (lacking, self._model.remedy().rstrip(".")) if part)
        elif cell.verdict is Verdict.RISKY:
            said = "So little is left that a node may freeze. Stop something there, or take one more node"
        self.remedy.setText(f"{said}." if said else "")
        self.remedy.setVisible(bool(said))

    def show_speed(self, cell: Cell) -> None:
        """Show a plan's speed with its band, and what it leans on."""
        self.speed.setText(words.speed_cell(cell))
        self.band.show_cell(cell)
        measured = words.measured_tok_s(cell)
        seen = "" if measured is None else f", measured {text.token_rate(measured)}"
        self.band_words.setText(f"between {words.band_words(cell.user_tok_s)}{seen}")
        self.leans.setText(words.leans_words(cell))
        context = words.context_sentence(cell.max_context_tokens)
        self.context.setText(f"{context[:1].upper()}{context[1:]}, one user")


def _column(
    holder: QWidget,
    parts: Sequence[QWidget],
    *,
    spacing: int = 4,
    margins: tuple[int, int, int, int] = (0, 4, 0, 4),
) -> QVBoxLayout:
    column = QVBoxLayout(holder)
    column.setContentsMargins(*margins)
    column.setSpacing(spacing)
    for part in parts:
        column.addWidget(part)
    return column
