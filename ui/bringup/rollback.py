"""The rollback clock: a line while SparkDesk decides by itself, a card with a ring when a person must.

The one rule: it can always be rolled back at once; "Keep" is asked for only when a check could not run.
"""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from ui import text, theme
from ui.bringup.clock import RUNS_ON_THE_NODE, ClockFace
from ui.node.wrap import wrap_line
from ui.theme import color
from ui.widgets.button import Button
from ui.widgets.card import Card
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label
from ui.widgets.paint import pen, write

RING = 116
MOST_LINES = 4
SETTLE_MS = 500
"""So long after another node has come to a button's place a press is taken for one that was meant for the former."""


class Ring(QWidget):
    """The time that is left, as a ring and in figures."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._face = ClockFace("", "", 0.0, 0.0)
        self.setFixedSize(RING, RING)
        theme.notifier.changed.connect(self.update)

    def show_face(self, face: ClockFace) -> None:
        """Show another moment."""
        if face != self._face:
            self._face = face
            self.setAccessibleName(f"{face.name} restores itself unless it is kept")
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(RING, RING)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ring = QRectF(4, 4, RING - 8, RING - 8)
        painter.setPen(pen(color("ledger_free"), 6))
        painter.drawEllipse(ring)
        painter.setPen(pen(color("warn"), 6))
        painter.drawArc(ring, 90 * 16, -round(360 * 16 * self._face.share))
        centre = Qt.AlignmentFlag.AlignHCenter
        write(painter, QRectF(0, 36, RING, 28), self._face.left_words, role="display", tint="text", align=centre)
        said = f"of {text.duration(self._face.length_s)}"
        write(painter, QRectF(0, 64, RING, 16), said, role="label", tint="text3", align=centre)


class RollbackCard(Card):
    """The question. `answered` carries a node's id and whether to keep; `roll_back_asked` a node's id."""

    answered = Signal(str, bool)
    roll_back_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node_id = ""
        self._settling = QTimer(self, interval=SETTLE_MS, singleShot=True)
        self.ring = Ring()
        self.question = Label("", "body_medium", "text", is_wrapped=True)
        self.more = Label("", "label", "text3", is_wrapped=True)
        self.keep = Button("Keep", kind="primary", icon="check")
        self.roll_back = Button("Roll back now", icon="undo-2")
        self._way = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._build()
        self.set_state("warn")
        self.keep.clicked.connect(partial(self._answer, True))
        self.roll_back.clicked.connect(partial(self._answer, False))
        self.setVisible(False)

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(7)
        head.addWidget(IconLabel("timer", "warn", size=14))
        head.addWidget(Label("Automatic rollback", "dense_strong", "text"), 1)
        words = QVBoxLayout()
        words.setSpacing(8)
        words.addWidget(self.question)
        words.addWidget(self.more)
        words.addStretch(1)
        self._buttons = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        self._buttons.setSpacing(8)
        self._buttons.addStretch(1)
        self._buttons.addWidget(self.roll_back)
        self._buttons.addWidget(self.keep)
        for button in (self.roll_back, self.keep):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._way.setSpacing(theme.GAP)
        self._way.addWidget(self.ring, 0, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self._way.addLayout(words, 1)
        self._way.addLayout(self._buttons)
        column = self.column(spacing=10, margins=(14, 10, 14, 12))
        column.addLayout(head)
        column.addLayout(self._way, 1)
        self.setAccessibleName("Automatic rollback")

    def set_lying(self, is_lying: bool) -> None:
        """Lying: ring, words and buttons beside each other; else one below the other."""
        sideways, down = QBoxLayout.Direction.LeftToRight, QBoxLayout.Direction.TopToBottom
        self._way.setDirection(sideways if is_lying else down)

    def show_face(self, face: ClockFace | None) -> None:
        """Ask about this node; None asks nothing."""
        self.setVisible(face is not None)
        if face is None:
            self._node_id = ""
            return
        if self._node_id not in ("", face.node_id):
            self._settling.start()
        self._node_id = face.node_id
        self.ring.show_face(face)
        self.question.setText(wrap_line(face.question))
        self.more.setText(f"{face.name} puts the old network back by itself. {RUNS_ON_THE_NODE}")
        if self.keep.text() != f"Keep on {face.name}":
            self.keep.setText(f"Keep on {face.name}")
            self.keep.updateGeometry()
        self.keep.setEnabled(face.left_s > 0)

    def _answer(self, keeps: bool, _is_on: bool = False) -> None:
        if self._settling.isActive():
            return
        if keeps:
            self.answered.emit(self._node_id, True)
        else:
            self.roll_back_asked.emit(self._node_id)


class _Line(QWidget):
    """One trial in its small form; it can be kept from here where a person must say so."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = Label("", "dense", "text")
        self.roll_back = Button("Roll back now", icon="undo-2", is_small=True)
        self.keep = Button("Keep", icon="check", is_small=True)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 6, 4)
        row.setSpacing(8)
        row.addWidget(IconLabel("timer", "warn", size=14))
        row.addWidget(self.words)
        row.addStretch(1)
        row.addWidget(self.keep)
        row.addWidget(self.roll_back)

    def show_face(self, face: ClockFace) -> None:
        """Show another moment."""
        self.words.setText(face.line)
        self.keep.setVisible(bool(face.question))
        self.keep.setEnabled(face.left_s > 0)
        for button in (self.keep, self.roll_back):
            button.setAccessibleName(f"{button.text()}, {face.name}")


class RollbackLines(Card):
    """The small form, a line a node. Its signals are those of the card."""

    answered = Signal(str, bool)
    roll_back_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node_ids: tuple[str, ...] = ()
        self._settling = QTimer(self, interval=SETTLE_MS, singleShot=True)
        self.lines: list[_Line] = []
        self._column = self.column(spacing=0, margins=(1, 1, 1, 1))
        self.more = Label("", "label", "text3")
        self.more.setContentsMargins(34, 0, 0, 6)
        self._column.addWidget(self.more)
        self.setAccessibleName("Automatic rollback")
        self.setToolTip(RUNS_ON_THE_NODE)
        self.setVisible(False)

    def show_faces(self, faces: tuple[ClockFace, ...]) -> None:
        """Show these trials."""
        self.setVisible(bool(faces))
        node_ids = tuple(face.node_id for face in faces[:MOST_LINES])
        if node_ids != self._node_ids:
            if self._node_ids:
                self._settling.start()
            self._node_ids = node_ids
            self._make_lines()
        for line, face in zip(self.lines, faces, strict=False):
            line.show_face(face)
        rest = len(faces) - len(self.lines)
        self.more.setText(f"and {rest} more {'node' if rest == 1 else 'nodes'}" if rest > 0 else "")
        self.more.setVisible(rest > 0)

    def _make_lines(self) -> None:
        for old in self.lines:
            old.setVisible(False)
            self._column.removeWidget(old)
            old.deleteLater()
        self.lines = []
        for node_id in self._node_ids:
            line = _Line()
            line.roll_back.clicked.connect(partial(self._answer, node_id, False))
            line.keep.clicked.connect(partial(self._answer, node_id, True))
            self._column.insertWidget(len(self.lines), line)
            self.lines.append(line)

    def _answer(self, node_id: str, keeps: bool, _is_on: bool = False) -> None:
        if self._settling.isActive():
            return
        if keeps:
            self.answered.emit(node_id, True)
        else:
            self.roll_back_asked.emit(node_id)
