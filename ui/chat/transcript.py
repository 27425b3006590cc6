"""The transcript: the view-model's rows in a lazy column, and the bar that asks before a link is opened.

Rule: it shows what the view-model says and keeps nothing of its own but which thoughts are unfolded.
"""

from __future__ import annotations

from collections.abc import Hashable

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.chat.markdown_block import Block, BlockKind
from ui import theme
from ui.chat.code_row import CodeBlock
from ui.chat.column import LazyColumn, RowWidget
from ui.chat.link import LinkBar
from ui.chat.live import Growth
from ui.chat.model import ChatModel
from ui.chat.row import (
    BlockRow,
    EarlierRow,
    NoteRow,
    ProblemRow,
    StatsRow,
    StatusRow,
    TailRow,
    ThoughtRow,
    UserRow,
)
from ui.chat.state_row import Note, Problem, StatsLine, StatusLine
from ui.chat.text_row import AnswerText, OpenText, RuleLine, Thought, UserText
from ui.widgets.button import Button

MAX_TABLE_BARS = 600
MAX_SPARE_TEXTS = 24


class Transcript(QFrame):
    """Rows, the link bar under them, and a button back to the newest."""

    answer_copied = Signal(int)

    def __init__(self, model: ChatModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._open_thoughts: set[int] = set()
        self._spare: list[AnswerText] = []
        self.column = LazyColumn(self._make, estimate, self._take_back)
        self.column.setAccessibleName("Conversation")
        self.links = LinkBar()
        self.newest = Button("Jump to newest", icon="arrow-down", is_small=True, parent=self)
        self.newest.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.column, 1)
        self._link_holder = QHBoxLayout()
        self._link_holder.addWidget(self.links)
        layout.addLayout(self._link_holder)
        self.links.installEventFilter(self)
        self.column.installEventFilter(self)
        model.rows_changed.connect(self._show_rows)
        model.conversation_changed.connect(self._on_conversation)
        model.tail_changed.connect(self._on_tail)
        model.status_changed.connect(self._show_status)
        self.column.following_changed.connect(lambda is_on: self.newest.setVisible(not is_on))
        self.newest.clicked.connect(self.column.jump_to_newest)
        self._show_rows()

    def _on_conversation(self) -> None:
        self._open_thoughts.clear()
        self.links.setVisible(False)
        self.column.set_rows([])
        self.column.jump_to_newest()

    def _show_rows(self) -> None:
        self.column.set_rows(self._model.rows())
        self._show_status()

    def _on_tail(self, growth: Growth) -> None:
        if not self._spare:
            QTimer.singleShot(0, self, self._prepare_text)
        for widget in reversed(self.column.widgets()):
            if isinstance(widget, OpenText) or (isinstance(widget, CodeBlock) and widget.is_open):
                if growth.is_reset:
                    widget.reset(growth.text)
                else:
                    widget.append(growth.text)
                return

    def _show_status(self) -> None:
        status = self._model.status()
        if status is None:
            return
        for widget in self.column.widgets()[-8:]:
            if isinstance(widget, StatusLine):
                widget.show_status(status)
            elif isinstance(widget, Thought) and widget.is_live:
                timing = status.timing
                thought_s = timing.thinking_s if timing.thinking_s > 0 else status.elapsed_s
                widget.set_text(self._model.live_reasoning, thought_s)

    def _make(self, row: Hashable, parent: QWidget) -> RowWidget:
        widget = self._make_words(row, parent) or self._make_state(row, parent)
        if widget is None:
            raise TypeError(f"no picture for {type(row).__name__}")
        return widget

    def _make_words(self, row: Hashable, parent: QWidget) -> RowWidget | None:
        if isinstance(row, UserRow):
            return UserText(row.text, parent)
        if isinstance(row, BlockRow):
            return self._make_block(row.block, parent)
        if isinstance(row, TailRow):
            tail = self._model.tail
            return CodeBlock(tail, row.language, is_open=True, parent=parent) if row.is_code else OpenText(tail, parent)
        if isinstance(row, ThoughtRow):
            text = self._model.live_reasoning if row.is_live else row.text
            is_open = row.turn in self._open_thoughts
            thought = Thought(text, row.seconds, is_open=is_open, is_live=row.is_live, parent=parent)
            thought.folded.connect(lambda is_open: self._on_folded(row.turn, is_open=is_open))
            return thought
        return None

    def _make_block(self, block: Block, parent: QWidget) -> RowWidget:
        if block.kind is BlockKind.CODE:
            return CodeBlock(block.text, block.language, block.title, parent=parent)
        if is_large_table(block):
            # Laying out a table of thousands of cells would hold the window for seconds.
            return CodeBlock(block.text, "text", "a large table", parent=parent)
        if block.kind is BlockKind.RULE:
            return RuleLine(parent)
        text = self._spare.pop() if self._spare else self._make_text()
        text.set_markdown(block.text)
        return text

    def _make_text(self) -> AnswerText:
        text = AnswerText(parent=self.column.widget())
        text.link_clicked.connect(self.links.offer)
        return text

    def _take_back(self, widget: RowWidget) -> bool:
        """Keep texts that went out of sight for the next ones: making one takes longer than laying one out."""
        if not isinstance(widget, AnswerText) or len(self._spare) >= MAX_SPARE_TEXTS:
            return False
        self._spare.append(widget)
        return True

    def _prepare_text(self) -> None:
        """Make the next text before it is needed, between two updates."""
        if not self._spare:
            text = self._make_text()
            text.ensurePolished()
            text.words.ensurePolished()
            self._spare.append(text)

    def _make_state(self, row: Hashable, parent: QWidget) -> RowWidget | None:
        if isinstance(row, StatusRow):
            line = StatusLine(parent)
            status = self._model.status()
            if status is not None:
                line.show_status(status)
            return line
        if isinstance(row, StatsRow):
            stats = StatsLine(row.timing, row.label, row.note, is_last=row.is_last, parent=parent)
            stats.copy_asked.connect(lambda: self._copy(row.turn))
            stats.retry_asked.connect(self._model.retry)
            return stats
        if isinstance(row, ProblemRow):
            problem = Problem(row.title, row.remedy, is_error=row.is_error, is_last=row.is_last, parent=parent)
            problem.retry_asked.connect(self._model.retry)
            return problem
        if isinstance(row, EarlierRow):
            earlier = Note(f"Show earlier turns ({row.count})", is_button=True, parent=parent)
            earlier.clicked.connect(self._model.show_earlier)
            return earlier
        return Note(row.text, parent=parent) if isinstance(row, NoteRow) else None

    def _on_folded(self, turn: int, *, is_open: bool) -> None:
        if is_open:
            self._open_thoughts.add(turn)
        else:
            self._open_thoughts.discard(turn)

    def _copy(self, turn: int) -> None:
        turns = self._model.turns
        if turn < len(turns):
            QGuiApplication.clipboard().setText(turns[turn].text)
            self.answer_copied.emit(turn)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.links and event.type() in (QEvent.Type.ShowToParent, QEvent.Type.HideToParent):
            is_shown = event.type() == QEvent.Type.ShowToParent
            self._link_holder.setContentsMargins(theme.GAP + 8, 0, theme.GAP + 8, theme.GAP if is_shown else 0)
        if watched is self.column and event.type() is QEvent.Type.Resize:
            self._place_newest()
        return False

    def _place_newest(self) -> None:
        self.newest.adjustSize()
        place = self.column.geometry()
        self.newest.move(place.center().x() - self.newest.width() // 2, place.bottom() - self.newest.height() - 10)
        self.newest.raise_()


def is_large_table(block: Block) -> bool:
    """Whether a table has too many cells to be laid out as one."""
    return block.kind is BlockKind.TABLE and block.text.count("|") > MAX_TABLE_BARS


def estimate(row: Hashable, width: int) -> int:
    """About how high a row will be, in pixels, before it is made."""
    chars_a_line = max(20, width // 7)
    if isinstance(row, UserRow):
        text = row.text[:20_000]
        return 16 + 20 * (text.count("\n") + len(text) // max(16, round(chars_a_line * 0.75)) + 1)
    if isinstance(row, BlockRow):
        lines = row.block.text.count("\n") + 1
        if row.block.kind is BlockKind.CODE:
            return 50 + 16 * lines
        return 4 + 20 * (lines + len(row.block.text) // chars_a_line)
    if isinstance(row, StatsRow):
        return 42
    return 60 if isinstance(row, ProblemRow) else 30
