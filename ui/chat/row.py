"""What stands in a transcript, one row under the other, as plain values made from turns.

The one rule: equal rows are the same picture, so that a change redraws only the rows that differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.chat.context import SentContext
from sparkdesk.core.chat.event import TokenChoice
from sparkdesk.core.chat.markdown_block import Block, MarkdownSplitter
from sparkdesk.core.chat.message import Attachment, Role
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.jobs.evidence import opinion_in
from ui.chat.words.json_text import json_block

NO_TIME_S = float("nan")


@dataclass(frozen=True, slots=True)
class Siblings:
    """Turns that stand beside one another, in order of age; `at` is the place of the one shown."""

    numbers: tuple[int, ...] = ()
    at: int = 0

    @property
    def is_choice(self) -> bool:
        """Whether there is anything to choose."""
        return len(self.numbers) > 1

    def beside(self, step: int) -> int | None:
        """The number of the turn so many steps away; None past the ends."""
        place = self.at + step
        return self.numbers[place] if 0 <= place < len(self.numbers) else None


ALONE = Siblings()


@dataclass(frozen=True, slots=True)
class Look:
    """How one turn is shown beyond what it says."""

    siblings: Siblings = ALONE
    is_edited: bool = False
    """Whether its words stand in an editor."""
    shows_choices: bool = False
    """Whether its tokens are shown with how sure the model was, in place of the laid out text."""
    can_continue: bool = False
    """Whether the server can write on where the answer ends."""


PLAIN = Look()


@dataclass(frozen=True, slots=True)
class EarlierRow:
    """Turns above that are not shown yet."""

    count: int


@dataclass(frozen=True, slots=True)
class LaterRow:
    """Turns below that are not shown now."""

    count: int


@dataclass(frozen=True, slots=True)
class UserRow:
    """What the person said, and what went along."""

    turn: int
    text: str
    attachments: tuple[Attachment, ...] = ()
    siblings: Siblings = ALONE


@dataclass(frozen=True, slots=True)
class EditRow:
    """What the person said, in an editor."""

    turn: int
    text: str
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class SentRow:
    """What stood in place of older turns in the prompt of the answer below."""

    turn: int
    sent: SentContext


@dataclass(frozen=True, slots=True)
class ThoughtRow:
    """The reasoning of an answer, folded. Live ones take their text from the model."""

    turn: int
    text: str = ""
    seconds: float = NO_TIME_S
    is_live: bool = False
    tokens: int | None = None
    """By the server's own count; None is not told."""


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A closed block of an answer."""

    turn: int
    block: Block


@dataclass(frozen=True, slots=True)
class ChoicesRow:
    """The tokens of an answer with how sure the model was of each."""

    turn: int
    choices: tuple[TokenChoice, ...]


@dataclass(frozen=True, slots=True)
class TailRow:
    """The open block of the answer that is being written; its text comes from the model."""

    turn: int
    is_code: bool = False
    language: str = ""


@dataclass(frozen=True, slots=True)
class StatusRow:
    """What the answer that is being written does now."""

    turn: int


@dataclass(frozen=True, slots=True)
class StatsRow:
    """The figures of an answer and what can be done with it."""

    turn: int
    of: Turn
    siblings: Siblings = ALONE
    shows_choices: bool = False


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A plain remark about an answer; with `can_continue` the server can write on."""

    turn: int
    text: str
    can_continue: bool = False


@dataclass(frozen=True, slots=True)
class CautionRow:
    """That an answer is nobody's finding, and what we ourselves know."""

    turn: int
    title: str
    words: str


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """Why an answer is not whole, and what to do."""

    turn: int
    title: str
    remedy: str
    is_error: bool
    is_last: bool
    can_continue: bool = False
    of: Turn | None = None


Row = (
    EarlierRow
    | LaterRow
    | UserRow
    | EditRow
    | SentRow
    | ThoughtRow
    | BlockRow
    | ChoicesRow
    | TailRow
    | StatusRow
    | StatsRow
    | NoteRow
    | CautionRow
    | ProblemRow
)


def blocks_of(text: str) -> list[Block]:
    """A whole text as blocks that have something to show."""
    splitter = MarkdownSplitter()
    return [block for block in (*splitter.feed(text), *splitter.finish()) if has_content(block)]


def has_content(block: Block) -> bool:
    """Whether there is something to show: a run of blank lines is no block to see."""
    return bool(block.text.strip()) or bool(block.language)


def rows_of(turn: Turn, index: int, *, is_last: bool, look: Look = PLAIN) -> list[Row]:
    """The rows of a turn that is complete."""
    if turn.message.role is Role.USER:
        if look.is_edited:
            return [EditRow(index, turn.text, turn.message.attachments)]
        return [UserRow(index, turn.text, turn.message.attachments, look.siblings)]
    rows: list[Row] = sent_rows(turn.sent, index)
    if turn.reasoning:
        seconds = turn.timing.thinking_s if turn.timing is not None else NO_TIME_S
        tokens = turn.usage.reasoning_tokens if turn.usage is not None else None
        rows.append(ThoughtRow(index, turn.reasoning, seconds, tokens=tokens))
    if look.shows_choices and turn.choices:
        rows.append(ChoicesRow(index, turn.choices))
    else:
        whole = json_block(turn.text)
        rows.extend(BlockRow(index, block) for block in ([whole] if whole is not None else blocks_of(turn.text)))
    calls = [call.name or "a tool without a name" for call in turn.message.calls]
    if calls:
        rows.append(NoteRow(index, f"The model asked for {', '.join(calls)}; this chat has no tools, so nothing ran."))
    rows.extend(_ending(turn, index, is_last=is_last, look=look))
    return rows


def caution_rows(turn: Turn, index: int) -> list[Row]:
    """What stands above an answer that is nobody's finding, while it is written and ever after."""
    opinion = opinion_in(turn.note) if turn.message.role is Role.ASSISTANT else None
    return [CautionRow(index, *opinion)] if opinion is not None else []


def answerer_rows(turn: Turn, index: int, last: str) -> list[Row]:
    """That another model answers than the one before, `last`; "" is not known."""
    is_answer = turn.message.role is Role.ASSISTANT and (turn.state.is_open or bool(turn.message.parts))
    if not is_answer or not last or not turn.label or turn.label == last:
        return []
    return [NoteRow(index, f"Now answered by {turn.label}.")]


def sent_rows(sent: SentContext | None, index: int) -> list[Row]:
    """A row about what of the conversation was not sent as it stands, where that is so."""
    if sent is None or not (sent.left_out or sent.summary or sent.excerpts or sent.note):
        return []
    return [SentRow(index, sent)]


def _ending(turn: Turn, index: int, *, is_last: bool, look: Look) -> list[Row]:
    rows: list[Row] = []
    can_continue = is_last and look.can_continue and bool(turn.message.parts)
    if turn.timing is not None and turn.message.parts:
        rows.append(StatsRow(index, turn, look.siblings, look.shows_choices))
    elif look.siblings.is_choice:
        rows.append(StatsRow(index, turn, look.siblings))
    words = _remark(turn)
    if words:
        rows.append(NoteRow(index, words, can_continue))
    if turn.error:
        is_error = turn.state is TurnState.FAILED
        rows.append(ProblemRow(index, turn.error, turn.remedy, is_error, is_last, can_continue, turn))
    return rows


def _remark(turn: Turn) -> str:
    if turn.state is TurnState.DONE and turn.finish_reason == "length":
        return "The answer stopped at the limit of tokens."
    if turn.state is TurnState.DONE and not turn.message.parts and turn.message.role is Role.ASSISTANT:
        return "The model answered with nothing."
    if turn.state is TurnState.STOPPED:
        return "Stopped. What was said is kept." if turn.text else "Stopped before the first word."
    return ""
