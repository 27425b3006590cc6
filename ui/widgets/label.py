"""Text on the screen: always plain, with a type role and a colour token.

Rule: no label here ever reads markup; what a node or a model wrote is shown as it is.
"""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPalette, QResizeEvent
from PySide6.QtWidgets import QLabel, QWidget

from ui import theme
from ui.font import Role, font
from ui.theme import Token

LONGEST_WORD_PX: Final = 200
"""A wrapped label is at least as wide as its longest word, up to this; of a longer one the end is cut."""


class Label(QLabel):
    """A plain-text label with a role and a token; `is_wrapped` lets it break lines."""

    def __init__(
        self,
        text: str = "",
        role: Role = "body",
        tint: Token = "text2",
        *,
        is_wrapped: bool = False,
        is_selectable: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setFont(font(role))
        self._tint: Token = tint
        self._is_dimmed = False
        self.setWordWrap(is_wrapped)
        if is_selectable:
            self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self.setCursor(Qt.CursorShape.IBeamCursor)
        super().setText(text)
        self._wear()
        theme.notifier.changed.connect(self._wear)

    def setText(self, text: str) -> None:  # noqa: N802
        if text != self.text():
            super().setText(text)
            self._keep_height()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._keep_height()

    def minimumSizeHint(self) -> QSize:
        """Of wrapped text never more than a little: one word without end would make its whole page wider."""
        least = super().minimumSizeHint()
        return QSize(min(least.width(), LONGEST_WORD_PX), least.height()) if self.wordWrap() else least

    def _keep_height(self) -> None:
        """Make layouts give wrapped text all its lines; Qt's own minimum is that of a wider label."""
        if self.wordWrap() and self.width() > 0:
            # Not heightForWidth: that never falls below the minimum set last time.
            room = QRect(0, 0, self.width(), 100_000)
            flags = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft)
            needed = QFontMetrics(self.font()).boundingRect(room, flags, self.text()).height() if self.text() else 0
            if needed != self.minimumHeight():
                self.setMinimumHeight(needed)

    def set_role(self, role: Role) -> None:
        """Change the type role."""
        self.setFont(font(role))

    def set_tint(self, tint: Token) -> None:
        """Change the colour token."""
        if tint != self._tint:
            self._tint = tint
            self._wear()

    def set_stale(self, is_stale: bool) -> None:
        """Pale the text because what it says is old."""
        if is_stale != self._is_dimmed:
            self._is_dimmed = is_stale
            self._wear()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        # Under a style sheet Qt gives a widget that gets another parent the palette of its first day back.
        if event.type() == QEvent.Type.StyleChange:
            self._wear()

    def _wear(self) -> None:
        shade = theme.blend(self._tint, "surface", theme.STALE_SHARE) if self._is_dimmed else theme.color(self._tint)
        _paint_text_in(self, shade)


def _paint_text_in(label: QLabel, shade: QColor) -> None:
    worn = label.palette()
    worn.setColor(QPalette.ColorRole.WindowText, shade)
    label.setPalette(worn)


class ElidedLabel(Label):
    """One line that is cut with an ellipsis where there is no room; the whole text is then its tooltip.

    For ids and paths (middle) and descriptions (end). Never for values, units, states or node names.
    """

    def __init__(
        self,
        text: str = "",
        role: Role = "body",
        tint: Token = "text2",
        *,
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(text, role, tint, parent=parent)
        self._mode = mode

    def minimumSizeHint(self) -> QSize:
        return QSize(24, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self.font())
        return QSize(metrics.horizontalAdvance(self.text()) + 2, super().sizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_cut = QFontMetrics(self.font()).horizontalAdvance(self.text()) > self.width()
        # A tooltip would read markup out of the text; the escaped form is shown as plain text.
        self.setToolTip(plain_tooltip(self.text()) if is_cut else "")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(self.font())
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        line = QFontMetrics(self.font()).elidedText(self.text(), self._mode, self.width())
        painter.drawText(self.rect(), int(self.alignment() | Qt.AlignmentFlag.AlignVCenter), line)


def plain_tooltip(text: str) -> str:
    """Return a tooltip that shows `text` letter for letter; Qt would guess markup in it."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", "<br>")
    return f"<qt>{escaped}</qt>"
