"""An expected error or a notice: what happened, where, what to do, with the evidence one click away.

Rule: no banner without a next step; the details are plain text and can be copied.
"""

from __future__ import annotations

from typing import Final, Literal

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QGuiApplication, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from ui import theme
from ui.font import font
from ui.icon import draw_icon
from ui.theme import Token, color
from ui.widgets.button import Button, IconButton
from ui.widgets.label import Label
from ui.widgets.paint import box, pen

BannerKind = Literal["info", "ok", "warn", "crit"]

_LOOKS: Final[dict[BannerKind, tuple[Token, Token, str]]] = {
    "info": ("surface", "accenttext", "circle-help"),
    "ok": ("oksoft", "ok", "circle-check"),
    "warn": ("warnsoft", "warn", "triangle-alert"),
    "crit": ("critsoft", "crit", "octagon-alert"),
}


class Banner(QFrame):
    """Hidden until `show_error` or `show_notice`. `action_clicked` and `second_clicked` are of its own buttons."""

    closed = Signal()
    action_clicked = Signal()
    second_clicked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind: BannerKind = "crit"
        self._title = Label("", "strong", "text", is_wrapped=True, is_selectable=True)
        self._remedy = Label("", "dense", "text2", is_wrapped=True, is_selectable=True)
        self._action = Button("", is_small=True)
        self._second = Button("", kind="text", is_small=True)
        self._details_button = Button("Details", kind="text", is_small=True)
        self._copy_button = Button("Copy", kind="text", icon="copy", is_small=True)
        self._close = IconButton("x", "Close this message", size=24)
        self._details = QPlainTextEdit()
        self._build()
        self.setVisible(False)
        theme.notifier.changed.connect(self.update)

    def _build(self) -> None:
        self._details.setReadOnly(True)
        self._details.setProperty("tone", "well")
        self._details.setFont(font("mono"))
        self._details.setMaximumHeight(140)
        self._details.setAccessibleName("Details of the error")
        self._details.setVisible(False)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self._title)
        words.addWidget(self._remedy)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addLayout(words, 1)
        for part in (self._action, self._second, self._details_button, self._copy_button, self._close):
            row.addWidget(part, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(40, 10, 10, 10)
        column.addLayout(row)
        column.addWidget(self._details)
        self._action.clicked.connect(self.action_clicked)
        self._second.clicked.connect(self.second_clicked)
        self._details_button.clicked.connect(lambda: self._details.setVisible(not self._details.isVisible()))
        self._copy_button.clicked.connect(self._copy)
        self._close.clicked.connect(self.clear)

    def show_error(self, message: str, remedy: str, *, detail: str = "", node: str = "") -> None:
        """Show an error: `message` with the node's name, then `remedy`; `detail` is behind a button."""
        title = f"{node}: {message}" if node and node not in message else message
        self._show("crit", title, remedy, detail)

    def show_notice(self, kind: BannerKind, title: str, text: str = "", *, action: str = "", second: str = "") -> None:
        """Show something that is no error; `action` and `second` name buttons."""
        self._show(kind, title, text, "", (action, second))

    def _show(self, kind: BannerKind, title: str, text: str, detail: str, actions: tuple[str, str] = ("", "")) -> None:
        self.kind = kind
        self._title.setText(title)
        self._remedy.setText(text)
        self._remedy.setVisible(bool(text))
        self._details.setPlainText(detail)
        self._details.setVisible(False)
        self._details_button.setVisible(bool(detail))
        self._copy_button.setVisible(kind == "crit")
        for button, words in zip((self._action, self._second), actions, strict=True):
            button.setText(words)
            button.setVisible(bool(words))
        self.setAccessibleName(f"{title} {text}")
        self.setVisible(True)
        self.update()

    def clear(self) -> None:
        """Hide the banner and say so."""
        if not self.isHidden():
            self.setVisible(False)
            self.closed.emit()

    def title(self) -> str:
        """Return what is shown first."""
        return self._title.text()

    def _copy(self) -> None:
        parts = (self._title.text(), self._remedy.text(), self._details.toPlainText())
        QGuiApplication.clipboard().setText("\n".join(part for part in parts if part))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        fill, tint, name = _LOOKS[self.kind]
        box(painter, QRectF(self.rect()), theme.RADIUS_CARD, color(fill), pen(color(tint)))
        draw_icon(painter, QPointF(14, 12), name, tint)
