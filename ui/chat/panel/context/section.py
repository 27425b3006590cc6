"""How full the window is, by parts, and what is done when it is full.

The one rule: the bold figure is the server's own count; who counted the rest stands below it.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from sparkdesk.core.chat.context import ContextUse, SentContext, WindowPolicy
from ui import theme
from ui.chat.panel.context.bar import PieceRows, WindowBar
from ui.chat.panel.context.sent_dialog import SentDialog
from ui.chat.panel.context.words import (
    POLICIES,
    count_words,
    figure_words,
    limit_words,
    pieces_of,
    pool_words,
    sent_text,
    sent_words,
)
from ui.chat.panel.section import Section, heading, row
from ui.widgets.button import Button
from ui.widgets.field import Select
from ui.widgets.icon_label import IconLabel
from ui.widgets.label import Label
from ui.widgets.meter import HIGH_SHARE, level_token
from ui.widgets.paint import text_width, write


class Figure(QWidget):
    """A bold figure and what stands paler behind it, at the right end of a line."""

    def __init__(self) -> None:
        super().__init__()
        self._bold, self._pale = "", ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme.notifier.changed.connect(self.update)

    def show_figure(self, bold: str, pale: str) -> None:
        """Show both."""
        self._bold, self._pale = bold, pale
        self.setAccessibleName(self.text())
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        """Both, as they are read."""
        return self._bold + self._pale

    def sizeHint(self) -> QSize:
        width = text_width(self._bold, "dense_strong") + text_width(self._pale, "dense")
        return QSize(round(width + 1.5), 18)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        pale = text_width(self._pale, "dense")
        right = Qt.AlignmentFlag.AlignRight
        whole = QRectF(self.rect())
        write(painter, whole, self._pale, role="dense", tint="text2", align=right)
        write(painter, whole.adjusted(0, 0, -pale, 0), self._bold, role="dense_strong", tint="text", align=right)


class ContextSection(Section):
    """`policy_chosen` carries a WindowPolicy."""

    policy_chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._sent: SentContext | None = None
        self._said: Callable[[int], str] = str
        self._can_embed: bool | None = None
        self.used = Figure()
        self.bar = WindowBar()
        self.rows = PieceRows()
        self.sign = IconLabel("triangle-alert", "warn", size=14, name="Warning")
        self.warning = Label("", "dense", "warn", is_wrapped=True)
        self.words = Label("", "label", "text3", is_wrapped=True)
        self.policy = Select(is_small=True)
        self.why = Label("", "label", "text3", is_wrapped=True)
        self.sent = Button("", kind="link")
        self._build()
        self.policy.currentIndexChanged.connect(self._on_policy)
        self.sent.clicked.connect(self.open_sent)
        self.show_use(ContextUse())
        self.show_policy(WindowPolicy.WHOLE)
        self.show_sent(None, str)

    def _build(self) -> None:
        self.column.addLayout(row(heading("Context"), self.used))
        self.column.addWidget(self.bar)
        self.column.addWidget(self.rows)
        self._warned = QWidget()
        self._warned.setLayout(row(self.sign, self.warning, widest=1))
        self.column.addWidget(self._warned)
        self.column.addWidget(self.words)
        self.policy.setAccessibleName("When the window fills")
        self.policy.set_options([(policy.value, title) for policy, title, _ in POLICIES])
        self.policy.setMinimumWidth(132)
        fills = row(Label("When it fills", "dense", "text2"), self.policy)
        fills.setStretch(2, 0)
        self.column.addLayout(fills)
        self.column.addWidget(self.why)
        self.column.addWidget(self.sent)

    def show_use(self, use: ContextUse, files: int | None = None, *, has_server: bool = True) -> None:
        """Show how full the window is; `files` is how many files go along."""
        self.used.show_figure(*figure_words(use))
        pieces = pieces_of(use, files)
        self.bar.show_pieces(pieces, use.limit)
        self.rows.show_pieces(pieces)
        warning = limit_words(use, has_server=has_server)
        is_near = use.is_refused or (use.fraction is not None and use.fraction >= HIGH_SHARE)
        level = level_token(1.0 if use.is_refused else use.fraction, "text3")
        self.sign.setVisible(is_near)
        self.sign.set_icon("octagon-alert" if level == "crit" else "triangle-alert", level)
        self.warning.set_tint(level)
        self.warning.setText(warning)
        self._warned.setVisible(bool(warning))
        words = " ".join(each for each in (count_words(use), pool_words(use)) if each)
        self.words.setText(words)
        self.words.setVisible(bool(words))

    def show_policy(self, policy: WindowPolicy) -> None:
        """Show what is done when the window is full."""
        self.policy.blockSignals(True)
        self.policy.set_key(policy.value)
        self.policy.blockSignals(False)
        self._explain()

    def show_embedding(self, can_embed: bool | None) -> None:
        """Whether an embedding server can be asked; None is not known."""
        self._can_embed = can_embed
        self._explain()

    def show_sent(self, sent: SentContext | None, said: Callable[[int], str]) -> None:
        """What happened with the last question; `said` gives the words of a message by its number."""
        self._sent, self._said = sent, said
        words = sent_words(sent)
        self.sent.setText(words)
        self.sent.setVisible(bool(words))
        self.sent.updateGeometry()

    def open_sent(self) -> None:
        """Open what was sent in place of messages."""
        if self._sent is not None:
            SentDialog(sent_words(self._sent), sent_text(self._sent, self._said), self).show()

    def _on_policy(self) -> None:
        self._explain()
        self.policy_chosen.emit(WindowPolicy(self.policy.key()))

    def _explain(self) -> None:
        key = self.policy.key()
        words = next((why for policy, _, why in POLICIES if policy.value == key), "")
        if key == WindowPolicy.RETRIEVE.value and self._can_embed is False:
            words += " No embedding model is ready: without one, the newest messages alone."
        self.why.setText(words)
