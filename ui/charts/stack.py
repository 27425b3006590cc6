"""Up to four plots above each other, under one cursor.

The one rule: they share one time axis and one cursor, by mouse or by keys; what a plot draws comes from the model.
"""

from __future__ import annotations

from PySide6.QtCore import QBuffer, QByteArray, QEvent, QIODevice, QObject, QPoint, QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QImage, QImageWriter, QKeyEvent, QMouseEvent, QPainter
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ui.charts.choice import MOST_PLOTS
from ui.charts.frame import PlotFrame
from ui.charts.legend import Legend
from ui.charts.model import ChartsModel
from ui.charts.plot import PlotPane, Reach
from ui.charts.sheet import summary_of
from ui.theme import color
from ui.widgets.button import IconButton
from ui.widgets.card import Card
from ui.widgets.paint import write

PICTURE_SCALE = 2.0
_TITLE_HEIGHT = 34
_MANY_LINES = 8
_LEAST_HEIGHT = 64
_LEAST_HEIGHT_OF_MANY = 150
"""Lines that lie close together need room; the page then scrolls."""
_STEPS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_PageUp: -10, Qt.Key.Key_PageDown: 10}


class PlotCard(Card):
    """A plot with its legend and a button that takes it away."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.legend = Legend()
        self.pane = PlotPane()
        self.remove = IconButton("x", "Remove this plot", size=24, tint="text3")
        head = QHBoxLayout()
        head.setContentsMargins(4, 3, 4, 0)
        head.setSpacing(4)
        head.addWidget(self.legend, 1)
        head.addWidget(self.remove, 0, Qt.AlignmentFlag.AlignTop)
        column = self.column(spacing=0, margins=(1, 1, 1, 1))
        column.addLayout(head)
        column.addWidget(self.pane, 1)

    def show_plot(self, plot: PlotFrame, reach: Reach, cursor_ms: float | None) -> None:
        """Show another frame of the plot."""
        self.legend.set_plot(plot, cursor_ms)
        self.pane.set_plot(plot, reach)
        self.pane.setMinimumHeight(_LEAST_HEIGHT_OF_MANY if len(plot.lines) > _MANY_LINES else _LEAST_HEIGHT)
        name = f"Remove the plot of {plot.title}"
        if name != self.remove.accessibleName():
            self.remove.setAccessibleName(name)
            self.remove.setToolTip(name)
            self.setAccessibleName(f"{plot.title}{f' in {plot.unit}' if plot.unit else ''}")


class PlotStack(QWidget):
    """The plots. It has the focus; left and right move the cursor, Escape takes it away."""

    remove_asked = Signal(int)

    def __init__(self, model: ChartsModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.cards: list[PlotCard] = []
        self._is_held = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setProperty("has_focus_ring", True)
        self.setAccessibleName("Plots")
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        for at in range(MOST_PLOTS):
            card = PlotCard()
            card.setVisible(False)
            card.remove.clicked.connect(lambda _=False, at=at: self.remove_asked.emit(at))
            card.pane.canvas.hovered.connect(self._hover)
            card.pane.canvas.viewport().installEventFilter(self)
            self.cards.append(card)
            self._column.addWidget(card, 1)
        model.cursor_changed.connect(self._show_cursor)

    def refresh(self) -> None:
        """Show the model's frame."""
        frame = self.model.frame
        reach = Reach(frame.start_ms, frame.end_ms)
        for at, card in enumerate(self.cards):
            has_plot = at < len(frame.plots)
            card.setVisible(has_plot)
            if has_plot:
                card.pane.set_clock(at == len(frame.plots) - 1)
                card.show_plot(frame.plots[at], reach, self.model.cursor_ms)

    def _show_cursor(self) -> None:
        frame, cursor_ms = self.model.frame, self.model.cursor_ms
        for card, plot in zip(self.cards, frame.plots, strict=False):
            card.legend.set_plot(plot, cursor_ms)
            card.pane.canvas.set_cursor(cursor_ms)

    # Mouse and keys -----------------------------------------------------------------------------------------------

    def _hover(self, t_ms: float | None) -> None:
        """The mouse moves the cursor; one that the keys put somewhere stays when the mouse leaves."""
        if t_ms is not None:
            self._is_held = False
            self.model.set_cursor(t_ms)
        elif not self._is_held:
            self.model.set_cursor(None)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # A click into a plot gives the stack the keys; the canvas itself never has them.
        if event.type() == QEvent.Type.MouseButtonPress and isinstance(event, QMouseEvent):
            self.setFocus(Qt.FocusReason.MouseFocusReason)
        return False

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.setAccessibleDescription(summary_of(self.model.frame))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _STEPS:
            self.model.step_cursor(_STEPS[key])
        elif key == Qt.Key.Key_Home:
            self.model.set_cursor(self.model.frame.start_ms)
            self.model.step_cursor(1)
        elif key == Qt.Key.Key_End:
            self.model.set_cursor(None)
            self.model.step_cursor(1)
        elif key == Qt.Key.Key_Escape and self.model.cursor_ms is not None:
            self.model.set_cursor(None)
        else:
            super().keyPressEvent(event)
            return
        self._is_held = self.model.cursor_ms is not None
        # Said because the person moved it, never because a second passed.
        self.setAccessibleDescription(self.model.values_at_cursor() or summary_of(self.model.frame))
        event.accept()

    # A picture ----------------------------------------------------------------------------------------------------

    def png(self) -> bytes:
        """The plots as they are seen, at twice the resolution, with a title over them."""
        shown = [card for card in self.cards if card.isVisibleTo(self)]
        image = QImage(
            round(self.width() * PICTURE_SCALE),
            round((self.height() + _TITLE_HEIGHT) * PICTURE_SCALE),
            QImage.Format.Format_RGB32,
        )
        image.setDevicePixelRatio(PICTURE_SCALE)
        image.fill(color("window"))
        painter = QPainter(image)
        box = QRectF(12, 0, self.width() - 24, _TITLE_HEIGHT)
        write(painter, box, self.model.picture_title(), role="dense_strong", tint="text")
        for card in shown:
            card.remove.setVisible(False)
            card.pane.canvas.set_picture_ratio(PICTURE_SCALE)
            card.render(painter, QPoint(card.x(), card.y() + _TITLE_HEIGHT))
            card.pane.canvas.set_picture_ratio(0.0)
            card.remove.setVisible(True)
        painter.end()
        data = QByteArray()
        buffer = QBuffer(data)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        QImageWriter(buffer, QByteArray(b"png")).write(image)
        buffer.close()
        return bytes(data.data())
