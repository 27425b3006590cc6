"""A log that follows its end, or stands still while somebody reads.

Rule: reading is never disturbed: scrolled up, it stays where it is and only counts what came.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from ui.font import font
from ui.text import count
from ui.widgets.button import Button
from ui.widgets.card import Card, Separator
from ui.widgets.field import Select, TextInput
from ui.widgets.label import Label
from ui.widgets.log_area import LogArea
from ui.widgets.log_model import LogModel


class LogView(Card):
    """A panel: head with filter, level and following state, then the lines. Add own parts with `head()`.

    Enter or a double click on a line opens it whole below; Ctrl+C copies the selected lines.
    """

    following_changed = Signal(bool)

    def __init__(self, model: LogModel, *, title: str = "Log", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self._is_following = True
        self._missed = 0
        self._title = Label(title, "dense_strong", "text")
        self._needle = TextInput(placeholder="Filter", is_small=True, icon_name="filter")
        self._level = Select(is_small=True)
        self._follow = Button("Following", icon="arrow-down", is_small=True)
        self._count = Label("", "label", "text3")
        self.area = LogArea(model)
        self._whole = QPlainTextEdit()
        self._head = QHBoxLayout()
        self._build()
        self._wire()
        self._show_state()

    def _build(self) -> None:
        self._needle.setAccessibleName("Filter the log")
        self._needle.setMaximumWidth(200)
        self._level.setAccessibleName("Least level shown")
        self._level.setMaximumWidth(130)
        self._level.set_options([("DEBUG", "All levels"), ("INFO", "INFO and up"), ("WARN", "WARN and up")])
        self.area.setAccessibleName("Log lines")
        self._whole.setReadOnly(True)
        self._whole.setFont(font("mono"))
        self._whole.setProperty("tone", "well")
        self._whole.setMaximumHeight(110)
        self._whole.setAccessibleName("The whole line")
        self._whole.setVisible(False)
        self._head.setContentsMargins(14, 8, 10, 8)
        self._head.setSpacing(8)
        for part in (self._title, self._needle, self._level):
            self._head.addWidget(part)
        self._head.addStretch(1)
        self._head.addWidget(self._follow)
        self._head.addWidget(self._count)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, 0, 1, 6)
        column.setSpacing(0)
        column.addLayout(self._head)
        column.addWidget(Separator())
        column.addWidget(self.area, 1)
        column.addWidget(self._whole)

    def _wire(self) -> None:
        self._needle.textChanged.connect(self._refilter)
        self._level.currentIndexChanged.connect(self._refilter)
        self._follow.clicked.connect(self.jump_to_end)
        self.area.verticalScrollBar().valueChanged.connect(self._on_scrolled)
        self.area.verticalScrollBar().rangeChanged.connect(self._on_range)
        self.area.opened.connect(self._open_line)
        self.model.moved.connect(self._on_moved)
        self.model.modelReset.connect(self._on_reset)
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

    def head(self) -> QHBoxLayout:
        """Return the head's row; insert at 1 for parts after the title."""
        return self._head

    def is_following(self) -> bool:
        """Say whether new lines pull the view to the end."""
        return self._is_following

    def missed(self) -> int:
        """Return how many lines came since the reader scrolled up."""
        return self._missed

    def set_sources(self, sources: frozenset[str]) -> None:
        """Show only these ranks (SparkDesk's own lines stay); empty shows all."""
        self.model.set_filter(self.model.filter()._replace(sources=sources))

    def focus_filter(self) -> None:
        """Put the cursor into the filter (Ctrl+F)."""
        self._needle.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._needle.selectAll()

    def jump_to_end(self) -> None:
        """Follow again."""
        self._missed = 0
        self._set_following(True)
        self._scroll_to_end()
        self._show_state()

    def copy_selected(self) -> None:
        """Put the selected lines, or all shown when none is, on the clipboard."""
        rows = self.area.selected()
        QGuiApplication.clipboard().setText(self.model.text_of(rows) if rows else self.model.all_text())

    def _refilter(self) -> None:
        level = self._level.key() or "DEBUG"
        self.model.set_filter(self.model.filter()._replace(needle=self._needle.text().strip(), level=level))

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

    def _set_following(self, is_following: bool) -> None:
        if is_following != self._is_following:
            self._is_following = is_following
            self.following_changed.emit(is_following)

    def _show_state(self) -> None:
        if self._is_following:
            self._follow.setText("Following")
        elif self._missed:
            self._follow.setText(f"{count(self._missed)} new, jump to end")
        else:
            self._follow.setText("Paused, jump to end")
        self._follow.updateGeometry()
        shown, total = self.model.rowCount(), self.model.total()
        lines = count(total) if shown == total else f"{count(shown)} of {count(total)}"
        self._count.setText(f"{lines} lines")
