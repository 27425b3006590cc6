"""The list behind the bell.

Rule: newest first, plain words, each with the time it happened and a way to its page.
"""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from ui import theme
from ui.shell.model import Notice, ShellModel
from ui.theme import Token, color
from ui.widgets.button import Button
from ui.widgets.card import Separator
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

_ICONS: dict[str, tuple[str, Token]] = {
    "ok": ("circle-check", "ok"),
    "warn": ("triangle-alert", "warn"),
    "crit": ("octagon-alert", "crit"),
}
_WIDTH = 380
_HIGHEST = 460
_SHOWN = 20


class NoticePanel(QFrame):
    """A panel over the page, under the bell; Esc or the loss of focus closes it."""

    page_wanted = Signal(str)

    def __init__(self, model: ShellModel, window: QWidget) -> None:
        super().__init__(window)
        self.setVisible(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Notices")
        self._model = model
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, 8, 2, 8)
        column.addWidget(self._scroll)

    def open_below(self, anchor: QWidget) -> None:
        """Show what there is under `anchor`, right edges aligned, and mark all as read."""
        if self.isVisible():
            self.hide()
            return
        corner = anchor.mapTo(self.window(), anchor.rect().bottomRight())
        # The panel's own layout keeps 2 at the sides and 8 above and below.
        self.setFixedSize(_WIDTH, min(self._fill() + 18, _HIGHEST))
        self.move(corner + QPoint(-_WIDTH, 6))
        self.show()
        self.raise_()
        self.setFocus(Qt.FocusReason.PopupFocusReason)
        self._model.mark_read()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.hide()
            return
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        focused = QApplication.focusWidget()
        if focused is None or not self.isAncestorOf(focused):
            self.hide()

    def _fill(self) -> int:
        """Show the newest notices; gives the height they want."""
        body = QWidget()
        body.setProperty("tone", "page")
        column = QVBoxLayout(body)
        column.setContentsMargins(14, 4, 14, 4)
        column.setSpacing(8)
        column.addWidget(Label("Notices", "dense_strong", "text"))
        if not self._model.notices:
            column.addWidget(Label("Nothing has happened since the start.", "dense", "text3"))
        for notice in self._model.notices[:_SHOWN]:
            column.addWidget(Separator())
            column.addWidget(self._entry(notice))
        column.addStretch(1)
        self._scroll.setWidget(body)
        return column.heightForWidth(_WIDTH - 4)

    def _entry(self, notice: Notice) -> QWidget:
        entry = QWidget()
        icon, tint = _ICONS[notice.kind]
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(IconLabel(icon, tint))
        head.addWidget(Label(notice.title, "dense_strong", "text", is_wrapped=True), 1)
        head.addWidget(Label(notice.time_text, "label", "text3"))
        column = QVBoxLayout(entry)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(Label(notice.text, "dense", "text2", is_wrapped=True))
        if notice.page:
            link = Button("Open", kind="link")
            link.clicked.connect(lambda: self._follow(notice.page))
            column.addWidget(link, 0, Qt.AlignmentFlag.AlignLeft)
        return entry

    def _follow(self, page: str) -> None:
        self.hide()
        self.page_wanted.emit(page)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color("surface"), pen(color("control")))
