"""A log that follows its end, or stands still while somebody reads.

Rule: reading is never disturbed: scrolled up, it stays where it is and only counts what came.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QStackedWidget, QVBoxLayout, QWidget

from ui.font import font
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import ElidedLabel
from ui.widgets.log_area import LogArea
from ui.widgets.log_filter import LogFilter
from ui.widgets.log_head import LogHead
from ui.widgets.log_model import LogModel


class ErrorStrip(QWidget):
    """The first error of a log, pulled up: when, what, and the way there."""

    jump_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = ElidedLabel("", "dense", "crit")
        self.jump = Button("Show it", kind="link")
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 4, 10, 4)
        row.setSpacing(8)
        row.addWidget(IconLabel("octagon-alert", "crit", size=14))
        row.addWidget(self.words, 1)
        row.addWidget(self.jump)
        self.jump.clicked.connect(self.jump_asked)
        self.setVisible(False)

    def show_error(self, words: str, reason: str) -> None:
        """Say the error; `reason` says why it cannot be shown in the rows, "" when it can."""
        self.setVisible(bool(words))
        self.words.setText(words)
        self.jump.set_disabled_reason(reason)
        self.setAccessibleName(words)


class LogView(Card):
    """A panel: head with filter, level and following state, then the lines.

    Enter or a double click on a line opens it whole below; Ctrl+C copies the selected lines. `top_reached` says that
    the reader wants what is older than the oldest line held.
    """

    following_changed = Signal(bool)
    top_reached = Signal()

    def __init__(self, model: LogModel, *, title: str = "Log", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._is_following = True
        self._missed = 0
        self.head = LogHead(title)
        self.error = ErrorStrip()
        self.area = LogArea(model)
        self.rows = QStackedWidget()
        """The lines; another page may stand in their place, e.g. what a search found."""
        self._whole = QPlainTextEdit()
        self._build()
        self._wire()
        self._refilter(self.head.wanted() or LogFilter())
        self._show_state()

    def _build(self) -> None:
        self.area.setAccessibleName("Log lines")
        self._whole.setReadOnly(True)
        self._whole.setFont(font("mono"))
        self._whole.setProperty("tone", "well")
        self._whole.setMaximumHeight(110)
        self._whole.setAccessibleName("The whole line")
        self._whole.setVisible(False)
        self.rows.addWidget(self.area)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 0, 1, 6)
        column.setSpacing(0)
        column.addWidget(self.head)
        column.addWidget(Separator())
        column.addWidget(self.error)
        column.addWidget(self.rows, 1)
        column.addWidget(self._whole)

    def _wire(self) -> None:
        self.head.filter_changed.connect(self._refilter)
        self.head.follow_asked.connect(self.jump_to_end)
        self.error.jump_asked.connect(self.jump_to_error)
        self.area.verticalScrollBar().valueChanged.connect(self._on_scrolled)
        self.area.verticalScrollBar().rangeChanged.connect(self._on_range)
        self.area.opened.connect(self._open_line)
        self.model.moved.connect(self._on_moved)
        self.model.extended.connect(self._on_extended)
        self.model.modelReset.connect(self._on_reset)
        self.model.too_slow.connect(self.head.say_too_slow)
        self.model.filtering_changed.connect(lambda _on: self._show_state())
        copy = QAction("Copy lines", self.area)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        copy.triggered.connect(self.copy_selected)
        close = QAction("Close the whole line", self)
        close.setShortcut(QKeySequence(Qt.Key.Key_Escape))
        close.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        close.triggered.connect(lambda: self._whole.setVisible(False))
        self.area.addAction(copy)
        self.addAction(close)

    def is_following(self) -> bool:
        """Say whether new lines pull the view to the end."""
        return self._is_following

    def missed(self) -> int:
        """Return how many lines came since the reader scrolled up."""
        return self._missed

    def focus_filter(self) -> None:
        """Put the cursor into the filter (Ctrl+F)."""
        self.head.focus_filter()

    def jump_to_end(self) -> None:
        """Follow again."""
        self._missed = 0
        self._set_following(True)
        self._scroll_to_end()
        self._show_state()

    def jump_to_error(self) -> None:
        """Show the first error among the rows."""
        row = self.model.row_of_error()
        if row >= 0:
            bar = self.area.verticalScrollBar()
            bar.setValue(max(0, row - bar.pageStep() // 3))
            self.area.select(row)
            self.area.setFocus(Qt.FocusReason.OtherFocusReason)

    def copy_selected(self) -> None:
        """Put the selected lines, or all shown when none is, on the clipboard."""
        rows = self.area.selected()
        QGuiApplication.clipboard().setText(self.model.text_of(rows) if rows else self.model.all_text())

    def _refilter(self, wanted: LogFilter) -> None:
        if wanted != self.model.filter():
            self.model.set_filter(wanted)

    def _open_line(self, row: int) -> None:
        self._whole.setPlainText(self.model.line(row).as_text())
        self._whole.setVisible(True)

    def _scroll_to_end(self) -> None:
        bar = self.area.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _on_moved(self, added: int, dropped: int) -> None:
        if self._is_following:
            self._scroll_to_end()
        else:
            self._missed += added
            if dropped:
                bar = self.area.verticalScrollBar()
                bar.setValue(max(bar.value() - dropped, 0))
        self._show_state()

    def _on_extended(self, rows: int) -> None:
        self._show_state()
        if not self._is_following and rows:
            bar = self.area.verticalScrollBar()
            bar.setValue(bar.value() + rows)

    def _on_range(self, _low: int, high: int) -> None:
        if self._is_following:
            self.area.verticalScrollBar().setValue(high)

    def _on_reset(self) -> None:
        self._missed = 0
        if self._is_following:
            self._scroll_to_end()
        self._show_state()

    def _on_scrolled(self, value: int) -> None:
        is_at_end = value >= self.area.verticalScrollBar().maximum()
        if is_at_end:
            self._missed = 0
        self._set_following(is_at_end)
        self._show_state()
        if value == 0 and not is_at_end:
            self.top_reached.emit()

    def _set_following(self, is_following: bool) -> None:
        if is_following != self._is_following:
            self._is_following = is_following
            self.following_changed.emit(is_following)

    def _show_state(self) -> None:
        self.head.show_state(
            is_following=self._is_following,
            missed=self._missed,
            shown=self.model.rowCount(),
            total=self.model.total(),
            is_filtering=self.model.is_filtering(),
        )
        self.head.set_attempts(self.model.last_attempt())
        self.head.show_polls(self.model.polls())
        error = self.model.first_error()
        if error is None:
            self.error.show_error("", "")
            return
        when = f" {error.time_text[:8]}" if error.time_text else ""
        reason = "" if self.model.row_of_error() >= 0 else "It is not among the lines shown now"
        self.error.show_error(f"First error{when}: {error.text[:400]}", reason)
