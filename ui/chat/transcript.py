"""The transcript: the view-model's rows in a lazy column, the keyboard in it, and the bar that asks about links.

Rule: it shows what the view-model says and keeps nothing of its own but what is unfolded and where the keyboard is.
"""

from __future__ import annotations

from collections.abc import Hashable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from sparkdesk.core.chat.markdown_block import Block, BlockKind
from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.window.overflow import POLICIES
from sparkdesk.core.chat.window.sent_memory import memory_of
from ui import theme
from ui.chat.column import LazyColumn, RowWidget
from ui.chat.compose.attachment_row import AttachmentRow
from ui.chat.live import Growth
from ui.chat.model import ChatModel
from ui.chat.page.commands import HINT
from ui.chat.page.cursor import MessageCursor, let_tab, turn_of
from ui.chat.page.mark import mark_words
from ui.chat.row import (
    BlockRow,
    CautionRow,
    ChoicesRow,
    EarlierRow,
    EditRow,
    LaterRow,
    NoteRow,
    ProblemRow,
    SentRow,
    StatsRow,
    StatusRow,
    TailRow,
    ThoughtRow,
    UserRow,
)
from ui.chat.state.offer import CONTINUE, RETRY, Offer
from ui.chat.turn.choice_row import ChoiceText
from ui.chat.turn.figure_row import StatsLine
from ui.chat.turn.problem_row import Caution, More, Note, Problem
from ui.chat.turn.question_row import Question, QuestionEditor
from ui.chat.turn.sent_row import Sent
from ui.chat.turn.status_row import StatusLine
from ui.chat.turn.thought_row import Thought
from ui.chat.words.code_row import CodeBlock
from ui.chat.words.link import LinkBar
from ui.chat.words.text_row import AnswerText, OpenText, RuleLine
from ui.text import one_line
from ui.widgets.button import Button
from ui.widgets.label import ElidedLabel

MAX_TABLE_BARS = 600
MAX_SPARE_TEXTS = 24
MAX_SPARE_CODES = 4
HINT_PX = 20
POLICY_OF = {remedy.value: policy for remedy, policy in POLICIES.items()}
"""What an offer of a full window sets the conversation to."""


class Transcript(QFrame):
    """Rows, the link bar under them, and a button back to the newest."""

    answer_copied = Signal(int)
    save_asked = Signal(str, str)
    """Code that is wanted as a file, and a name for it."""
    offer_taken = Signal(str, int)
    """The key of an offer that the page has to see to, and the place of the turn."""

    def __init__(self, model: ChatModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._unfolded: set[tuple[str, int]] = set()
        """What is open: thought, sent or figures, of the turn with this number."""
        self._is_answering = False
        self._spare: list[AnswerText] = []
        self._spare_code: list[CodeBlock] = []
        self._spare_open: list[OpenText] = []
        self.column = LazyColumn(self._make, estimate, self._take_back)
        self.column.setAccessibleName("Conversation")
        self.keyboard = MessageCursor(self.column)
        self.links = LinkBar()
        self.newest = Button("Jump to newest", icon="arrow-down", is_small=True, parent=self)
        self.newest.setVisible(False)
        self.hint = ElidedLabel(HINT, "label", "text3", parent=self)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setFixedHeight(HINT_PX)
        self.hint.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.column, 1)
        # Its room is always there: over the column it would cover what is read, and coming and going move it.
        room = self.hint.sizePolicy()
        room.setRetainSizeWhenHidden(True)
        self.hint.setSizePolicy(room)
        layout.addWidget(self.hint)
        self._link_holder = QHBoxLayout()
        self._link_holder.addWidget(self.links)
        layout.addLayout(self._link_holder)
        self.links.installEventFilter(self)
        self.column.installEventFilter(self)
        self._wire()
        self._show_rows()

    def _wire(self) -> None:
        model = self._model
        model.rows_changed.connect(self._show_rows)
        model.conversation_changed.connect(self._on_conversation)
        model.tail_changed.connect(self._on_tail)
        model.status_changed.connect(self._show_status)
        model.state_changed.connect(self._show_answering)
        self.column.following_changed.connect(self._show_way_back)
        self.column.keyboard_freed.connect(self._on_freed)
        self.newest.clicked.connect(self.show_newest)
        self.keyboard.asked.connect(self.act)
        self.keyboard.earlier_asked.connect(model.show_earlier)
        self.keyboard.moved.connect(self._on_cursor)
        self.keyboard.ring_shown.connect(self.hint.setVisible)

    def _on_conversation(self) -> None:
        self._unfolded.clear()
        self.keyboard.move_to(-1)
        self.links.setVisible(False)
        self.column.set_rows([])
        self.column.jump_to_newest()

    def show_newest(self) -> None:
        """Go to the newest row and stay there."""
        self._model.show_newest()
        self.column.jump_to_newest()
        self._show_way_back()

    def _show_way_back(self) -> None:
        self.newest.setVisible(not (self.column.is_following and self._model.is_at_newest))

    def _show_rows(self) -> None:
        self.column.set_rows(self._model.rows())
        self._show_way_back()

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

    def _show_answering(self) -> None:
        if self._is_answering is self._model.is_answering:
            return
        self._is_answering = self._model.is_answering
        for widget in self.column.widgets():
            if isinstance(widget, StatsLine):
                widget.set_answering(self._is_answering)

    def _show_status(self) -> None:
        status = self._model.status()
        if status is None:
            return
        for widget in self.column.widgets()[-8:]:
            if isinstance(widget, StatusLine):
                widget.show_status(status)
            elif isinstance(widget, Thought) and widget.is_live:
                is_over = status.phase == "writing"
                widget.set_text(self._model.live_reasoning, status.thought_s, is_over=is_over)

    # What the keyboard and the buttons do ----------------------------------------------------------------------

    def act(self, key: str, at: int) -> None:
        """Do what a letter or a button asks of the message at this place."""
        turns = self._model.turns
        if not 0 <= at < len(turns):
            return
        if key == "copy":
            self._copy(at)
        elif key in ("open", "details"):
            self._toggle(key, at)
        elif key in ("older", "newer"):
            self._model.choose_beside(turns[at].number, -1 if key == "older" else 1)
        elif key == "edit":
            self._model.act(key, turns[self._asked_at(at)].number)
        elif key in ("regenerate", "branch", "choices", "retry", "continue"):
            self._model.act(key, turns[at].number)
        elif key in POLICY_OF:
            self._model.change_window(POLICY_OF[key])
        else:
            self.offer_taken.emit(key, at)

    def _asked_at(self, at: int) -> int:
        """The place of the question that the message at this place is, or answers."""
        turns = self._model.turns
        return next((each for each in range(at, -1, -1) if turns[each].message.role is Role.USER), at)

    def act_here(self, key: str) -> None:
        """Do it to the message that the keyboard is at, else to the last one that it can be done to."""
        turns = self._model.turns
        wanted = Role.USER if key == "edit" else Role.ASSISTANT
        last = next((at for at in range(len(turns) - 1, -1, -1) if turns[at].message.role is wanted), -1)
        self.act(key, self.keyboard.at if self.keyboard.at >= 0 else last)

    def focus_message(self, at: int) -> None:
        """Put the keyboard at a message, wherever it is."""
        self._model.show_turn(at)
        self.keyboard.move_to(at)

    def show_found(self, at: int, words: str) -> None:
        """Show where a turn says these words; -1 takes the marks away."""
        if at >= 0:
            self.focus_message(at)
        for widget, row in self.column.made():
            mark_words(widget, words if at >= 0 and turn_of(row) == at else "")

    def focus_messages(self) -> None:
        """Put the keyboard at the newest message, or where it is when it is among them already."""
        focused = self.window().focusWidget()
        is_here = focused is self.column or self.column.isAncestorOf(focused)
        if not is_here:
            self.show_newest()
        self.column.setFocus(Qt.FocusReason.ShortcutFocusReason)
        known = self.keyboard.messages()
        if known and not is_here:
            self.keyboard.move_to(known[-1])

    def _on_freed(self, row: object) -> None:
        """The keyboard stays at the message whose button or field it was in."""
        if turn_of(row) in self.keyboard.messages():
            self.keyboard.move_to(turn_of(row))

    def _toggle(self, key: str, at: int) -> None:
        for widget, row in self.column.made():
            if turn_of(row) == at:
                if key == "open" and isinstance(widget, Thought | Sent):
                    widget.toggle()
                elif key == "details" and isinstance(widget, StatsLine):
                    widget.set_open(widget.details is None)

    def _on_cursor(self, at: int) -> None:
        for widget, row in self.column.made():
            if isinstance(widget, Question):
                widget.set_marked(turn_of(row) == at)
        turns = self._model.turns
        if 0 <= at < len(turns):
            turn = turns[at]
            who = "You" if turn.message.role is Role.USER else one_line(turn.label, 80) or "The model"
            self.keyboard.say(f"Message {at + 1} of {len(turns)}. {who}: {one_line(turn.text, 300)}")

    def _copy(self, at: int) -> None:
        QGuiApplication.clipboard().setText(self._model.turns[at].text)
        self.answer_copied.emit(at)

    # Rows to widgets -------------------------------------------------------------------------------------------

    def _make(self, row: Hashable, parent: QWidget) -> RowWidget:
        widget = self._make_words(row, parent) or self._make_aside(row, parent) or self._make_state(row, parent)
        if widget is None:
            raise TypeError(f"no picture for {type(row).__name__}")
        let_tab(widget, is_let=turn_of(row) == self.keyboard.at)
        return widget

    def _make_words(self, row: Hashable, parent: QWidget) -> RowWidget | None:
        if isinstance(row, UserRow):
            return self._make_question(row, parent)
        if isinstance(row, EditRow):
            editor = QuestionEditor(row.text, bool(row.attachments), parent=parent)
            editor.sent.connect(self._model.edit)
            editor.left.connect(self._leave_edit)
            QTimer.singleShot(0, editor, lambda: editor.setFocus())
            return editor
        if isinstance(row, BlockRow):
            return self._make_block(row.block, parent)
        if isinstance(row, TailRow):
            tail = self._model.tail
            return self._make_code(tail, row.language, "", is_open=True) if row.is_code else self._make_open(tail)
        return None

    def _make_question(self, row: UserRow, parent: QWidget) -> RowWidget:
        attached = None
        if row.attachments:
            attached = AttachmentRow(row.attachments, self._model.bridge, self._model.load_image, is_right=False)
        question = Question(row.text, row.siblings, attached, parent)
        question.asked.connect(lambda key: self.act(key, row.turn))
        question.sibling_chosen.connect(self._model.choose)
        question.set_marked(row.turn == self.keyboard.at)
        return question

    def _make_block(self, block: Block, parent: QWidget) -> RowWidget:
        if block.kind is BlockKind.CODE:
            return self._make_code(block.text, block.language, block.title)
        if is_large_table(block):
            # Laying out a table of thousands of cells would hold the window for seconds.
            return self._make_code(block.text, "text", "a large table")
        if block.kind is BlockKind.RULE:
            return RuleLine(parent)
        text = self._spare.pop() if self._spare else self._make_text()
        text.set_markdown(block.text)
        return text

    def _make_code(self, text: str, language: str, title: str, *, is_open: bool = False) -> CodeBlock:
        if self._spare_code:
            # The one given back last: a code that has just ended is there with all its words and colours.
            code = self._spare_code.pop()
            code.show_code(text, language, title, is_open=is_open)
            return code
        code = CodeBlock(text, language, title, is_open=is_open, parent=self.column.page())
        code.save_asked.connect(self.save_asked)
        return code

    def _make_open(self, text: str) -> OpenText:
        if not self._spare_open:
            return OpenText(text, self.column.page())
        tail = self._spare_open.pop()
        tail.reset(text)
        return tail

    def _make_text(self) -> AnswerText:
        text = AnswerText(parent=self.column.widget())
        text.link_clicked.connect(self.links.offer)
        return text

    def _take_back(self, widget: RowWidget) -> bool:
        """Keep what went out of sight for the next ones: making one takes longer than laying one out."""
        if isinstance(widget, AnswerText) and len(self._spare) < MAX_SPARE_TEXTS:
            self._spare.append(widget)
        elif isinstance(widget, CodeBlock) and len(self._spare_code) < MAX_SPARE_CODES:
            self._spare_code.append(widget)
        elif isinstance(widget, OpenText) and not self._spare_open:
            self._spare_open.append(widget)
        else:
            return False
        return True

    def _prepare_text(self) -> None:
        """Make the next text before it is needed, between two updates."""
        if not self._spare:
            text = self._make_text()
            text.ensurePolished()
            text.words.ensurePolished()
            self._spare.append(text)

    def _make_aside(self, row: Hashable, parent: QWidget) -> RowWidget | None:
        if isinstance(row, ThoughtRow):
            text = self._model.live_reasoning if row.is_live else row.text
            is_open = self._is_open("thought", row.turn)
            thought = Thought(text, row.seconds, row.tokens, is_open=is_open, is_live=row.is_live, parent=parent)
            thought.folded.connect(lambda is_open: self._keep_open("thought", row.turn, is_open=is_open))
            return thought
        if isinstance(row, SentRow):
            sent = Sent(
                row.sent,
                self._model.words_of,
                is_open=self._is_open("sent", row.turn),
                memory_of=lambda sent: memory_of(sent, self._model.turns[: row.turn]),
                parent=parent,
            )
            sent.folded.connect(lambda is_open: self._keep_open("sent", row.turn, is_open=is_open))
            return sent
        if isinstance(row, ChoicesRow):
            choices = ChoiceText(row.choices, parent)
            choices.left.connect(lambda: self.act("choices", row.turn))
            return choices
        return None

    def _make_state(self, row: Hashable, parent: QWidget) -> RowWidget | None:
        if isinstance(row, StatusRow):
            line = StatusLine(parent)
            status = self._model.status()
            if status is not None:
                line.show_status(status)
            return line
        if isinstance(row, StatsRow):
            stats = StatsLine(row, is_open=self._is_open("figures", row.turn), parent=parent)
            stats.set_answering(self._model.is_answering)
            stats.asked.connect(lambda key: self.act(key, row.turn))
            stats.sibling_chosen.connect(self._model.choose)
            stats.opened.connect(lambda is_open: self._keep_open("figures", row.turn, is_open=is_open))
            return stats
        if isinstance(row, CautionRow):
            return Caution(row.title, row.words, parent)
        if isinstance(row, ProblemRow):
            return self._make_problem(row, parent)
        if isinstance(row, NoteRow):
            note = Note(row.text, can_continue=row.can_continue, parent=parent)
            note.asked.connect(lambda key: self.act(key, row.turn))
            return note
        if isinstance(row, EarlierRow | LaterRow):
            is_earlier = isinstance(row, EarlierRow)
            more = More(f"Show {'earlier' if is_earlier else 'later'} messages ({row.count:,})", parent)
            more.clicked.connect(self._model.show_earlier if is_earlier else self._model.show_later)
            return more
        return None

    def _make_problem(self, row: ProblemRow, parent: QWidget) -> RowWidget:
        offers: list[Offer] = [CONTINUE] if row.can_continue else []
        if row.is_last:
            offers.extend(self._model.offers(row.turn))
            offers.append(RETRY)
        wait_s = self._model.wait_s(row.turn) if row.is_last else None
        problem = Problem(
            row.title, row.remedy, is_error=row.is_error, offers=tuple(offers), wait_s=wait_s, parent=parent
        )
        problem.asked.connect(lambda key: self.act(key, row.turn))
        return problem

    def _number(self, at: int) -> int:
        turns = self._model.turns
        return turns[at].number if at < len(turns) else at

    def _is_open(self, what: str, at: int) -> bool:
        return (what, self._number(at)) in self._unfolded

    def _keep_open(self, what: str, at: int, *, is_open: bool) -> None:
        key = (what, self._number(at))
        if is_open:
            self._unfolded.add(key)
        else:
            self._unfolded.discard(key)

    def _leave_edit(self) -> None:
        self._model.leave_edit()
        self.column.setFocus()

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
        bottom = place.bottom() - 10
        self.newest.move(place.center().x() - self.newest.width() // 2, bottom - self.newest.height())
        self.newest.raise_()


def is_large_table(block: Block) -> bool:
    """Whether a table has too many cells to be laid out as one."""
    return block.kind is BlockKind.TABLE and block.text.count("|") > MAX_TABLE_BARS


def estimate(row: Hashable, width: int) -> int:
    """About how high a row will be, in pixels, before it is made."""
    chars_a_line = max(20, width // 7)
    if isinstance(row, UserRow):
        text = row.text[:20_000]
        attached = 50 * len(row.attachments)
        return attached + 16 + 20 * (text.count("\n") + len(text) // max(16, round(chars_a_line * 0.75)) + 1)
    if isinstance(row, BlockRow):
        lines = row.block.text.count("\n") + 1
        if row.block.kind is BlockKind.CODE:
            return 50 + 16 * lines
        return 4 + 20 * (lines + len(row.block.text) // chars_a_line)
    if isinstance(row, StatsRow | StatusRow | ThoughtRow | SentRow):
        return 28
    return 60 if isinstance(row, ProblemRow | CautionRow) else 30
