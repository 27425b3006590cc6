"""The charts page: picker at the left, plots or their table at the right, files.

The one rule: one timer of a second. It runs only while the page is visible, and more slowly while nobody has worked in
the window for a minute.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QKeyEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from ui import theme
from ui.charts.model import ChartsModel
from ui.charts.picker import Picker
from ui.charts.sheet import summary_of, table_of
from ui.charts.stack import PlotStack
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.cell_table import Cell, CellTable, Table
from ui.widgets.empty_state import EmptyState
from ui.widgets.label import Label
from ui.widgets.segmented import Segmented

TICK_MS = 1000
SUMMARY_HEIGHT = 116
IDLE_AFTER_TICKS = 60
IDLE_EVERY_TICKS = 5
NO_PLOT = "Tick a metric at the left: it is drawn for every source that is ticked."
NO_SOURCE = "Tick a node, a deployment or a server at the left."


class ChartsPage(QWidget):
    """The page. `save_asked` carries the path that the person chose and what to write there."""

    save_asked = Signal(str, bytes)

    def __init__(self, model: ChartsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.dialog: QFileDialog | None = None
        self.picker = Picker(model)
        self.spans = Segmented([("300", "5 min"), ("3600", "1 h")], what="How far back", chosen="300")
        self.scales = Segmented([("zero", "From 0"), ("fit", "Fit")], what="Scales", chosen="zero")
        self.ways = Segmented([("plots", "Plots"), ("table", "Table")], what="Show as", chosen="plots")
        self.pause = Button("Pause", icon="pause", is_small=True)
        self.save_csv = Button("CSV…", icon="save", is_small=True)
        self.save_png = Button("PNG…", icon="save", is_small=True)
        self.save_csv.setAccessibleName("Save the values as CSV")
        self.save_png.setAccessibleName("Save the plots as a picture")
        self.cursor_label = Label("", "dense_strong", "text")
        self.plots = PlotStack(model)
        self.table = CellTable("Values of the plots")
        self.summary = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self._empty = EmptyState("activity", "No plot yet", NO_PLOT)
        self._stack = QStackedWidget()
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._idle_ticks = 0
        self._build()
        self._wire()

    def _build(self) -> None:
        bar = QHBoxLayout()
        bar.setSpacing(8)
        for part in (self.spans, self.scales, self.pause, self.cursor_label):
            bar.addWidget(part)
        bar.addStretch(1)
        for part in (self.ways, self.save_csv, self.save_png):
            bar.addWidget(part)
        sheet = Card()
        sheet_column = sheet.column()
        body = QWidget()
        body.setProperty("tone", "page")
        inner = QVBoxLayout(body)
        inner.setContentsMargins(0, 0, 8, 0)
        inner.addWidget(self.summary)
        inner.addStretch(1)
        words = _scrolled(body)
        words.setFixedHeight(SUMMARY_HEIGHT)
        sheet_column.addWidget(words)
        sheet_column.addWidget(self.table, 1)
        for shown in (_scrolled(self.plots), sheet, self._empty):
            self._stack.addWidget(shown)
        right = QVBoxLayout()
        right.setSpacing(8)
        right.addLayout(bar)
        right.addWidget(self._stack, 1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.GAP)
        row.addWidget(self.picker)
        row.addLayout(right, 1)
        self.setAccessibleName("Charts")

    def _wire(self) -> None:
        self._tick.timeout.connect(self._on_tick)
        self.model.changed.connect(self._show_frame)
        self.model.choice_changed.connect(self._show_choice)
        self.model.cursor_changed.connect(self._show_cursor)
        self.spans.changed.connect(lambda key: self.model.set_span(float(key)))
        self.scales.changed.connect(lambda key: self.model.set_fitted(key == "fit"))
        self.ways.changed.connect(lambda _: self._show_frame())
        self.pause.clicked.connect(lambda: self.model.set_paused(not self.model.frame.is_paused))
        self.plots.remove_asked.connect(self.model.remove_plot)
        self.save_csv.clicked.connect(lambda: self._ask_file("csv", self.model.csv()))
        self.save_png.clicked.connect(lambda: self._ask_file("png", self.plots.png()))

    # When it is drawn ---------------------------------------------------------------------------------------------

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._idle_ticks = 0
        self.model.set_cursor(None)
        self.model.refresh()
        self._show_choice()
        self._tick.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        # Nothing more: windows are hidden a last time while the program ends.
        self._tick.stop()

    def _on_tick(self) -> None:
        self._idle_ticks = 0 if self.isActiveWindow() else self._idle_ticks + 1
        if self._idle_ticks < IDLE_AFTER_TICKS or self._idle_ticks % IDLE_EVERY_TICKS == 0:
            self.model.refresh()

    def _show_frame(self) -> None:
        if not self.isVisible():
            return
        frame = self.model.frame
        is_table = self.ways.key() == "table"
        self.picker.refresh()
        if not frame.plots or not frame.sources:
            title, words = ("No plot yet", NO_PLOT) if frame.sources else ("Nothing chosen", NO_SOURCE)
            self._empty.set_words(title, words)
            self._stack.setCurrentIndex(2)
        elif is_table:
            self._show_table()
            self._stack.setCurrentIndex(1)
        else:
            self.plots.refresh()
            self._stack.setCurrentIndex(0)
        self.pause.setText("Continue" if frame.is_paused else "Pause")
        self.pause.set_icon("play" if frame.is_paused else "pause")
        has_any = bool(frame.lines)
        self.save_csv.set_disabled_reason("" if has_any else "Nothing is drawn")
        reason = "" if has_any and not is_table else "Show the plots first" if has_any else "Nothing is drawn"
        self.save_png.set_disabled_reason(reason)
        self._show_cursor()

    def _show_table(self) -> None:
        heads, rows = table_of(self.model.frame)
        cells = tuple((Cell(row[0], "strong"), *(Cell(value) for value in row[1:])) for row in rows)
        self.table.set_table(Table(heads, cells))
        self.summary.setText(summary_of(self.model.frame))

    def _show_choice(self) -> None:
        choice = self.model.choice
        self.spans.set_key(f"{choice.span_s:.0f}")
        self.scales.set_key("fit" if choice.is_fitted else "zero")

    def _show_cursor(self) -> None:
        words = self.model.cursor_words()
        if not words and self.model.frame.is_paused:
            words = "Paused"
        self.cursor_label.setText(words)

    # Files --------------------------------------------------------------------------------------------------------

    def _ask_file(self, ending: str, data: bytes) -> None:
        """Ask where to; what is written is what was seen when the button was pressed. The application writes it."""
        dialog = QFileDialog(self, "Save the values" if ending == "csv" else "Save the plots")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("CSV (*.csv)" if ending == "csv" else "PNG (*.png)")
        dialog.setDefaultSuffix(ending)
        dialog.selectFile(self.model.file_name(ending))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.save_asked.emit(path, data))
        dialog.destroyed.connect(self._forget_dialog)
        self.dialog = dialog
        dialog.open()

    def _forget_dialog(self) -> None:
        self.dialog = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Find):
            self.picker.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
            event.accept()
            return
        super().keyPressEvent(event)


def _scrolled(body: QWidget) -> QScrollArea:
    """What may need more height than there is: many lines have a long legend."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(body)
    return area
