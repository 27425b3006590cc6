"""What stands in a transcript, one row under the other, as plain values made from turns.

The one rule: equal rows are the same picture, so that a change redraws only the rows that differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.chat.markdown_block import Block, MarkdownSplitter
from sparkdesk.core.chat.message import Role, ToolCallPart
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.chat.timing import AnswerTiming


@dataclass(frozen=True, slots=True)
class EarlierRow:
    """Turns above that are not shown yet."""

    count: int


@dataclass(frozen=True, slots=True)
class UserRow:
    """What the person said."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class ThoughtRow:
    """The reasoning of an answer, folded. Live ones take their text from the model."""

    turn: int
    text: str = ""
    seconds: float = float("nan")
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class BlockRow:
    """A closed block of an answer."""

    turn: int
    block: Block


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
    timing: AnswerTiming
    label: str
    note: str
    is_last: bool


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A plain remark about an answer."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class ProblemRow:
    """Why an answer is not whole, and what to do."""

    turn: int
    title: str
    remedy: str
    is_error: bool
    is_last: bool


Row = EarlierRow | UserRow | ThoughtRow | BlockRow | TailRow | StatusRow | StatsRow | NoteRow | ProblemRow


def blocks_of(text: str) -> list[Block]:
    """A whole text as blocks that have something to show."""
    splitter = MarkdownSplitter()
    return [block for block in (*splitter.feed(text), *splitter.finish()) if has_content(block)]


def has_content(block: Block) -> bool:
    """Whether there is something to show: a run of blank lines is no block to see."""
    return bool(block.text.strip()) or bool(block.language)


def rows_of(turn: Turn, index: int, *, is_last: bool) -> list[Row]:
    """The rows of a turn that is complete."""
    if turn.message.role is Role.USER:
        return [UserRow(index, turn.text)]
    rows: list[Row] = []
    if turn.reasoning:
        seconds = turn.timing.thinking_s if turn.timing is not None else float("nan")
        rows.append(ThoughtRow(index, turn.reasoning, seconds))
    rows.extend(BlockRow(index, block) for block in blocks_of(turn.text))
    calls = [part.name or "a tool without a name" for part in turn.message.parts if isinstance(part, ToolCallPart)]
    if calls:
        rows.append(NoteRow(index, f"The model asked for {', '.join(calls)}; this chat has no tools, so nothing ran."))
    rows.extend(_ending(turn, index, is_last=is_last))
    return rows


def _ending(turn: Turn, index: int, *, is_last: bool) -> list[Row]:
    rows: list[Row] = []
    if turn.state is TurnState.DONE and turn.finish_reason == "length":
        rows.append(NoteRow(index, "The answer stopped at the limit of tokens."))
    elif turn.state is TurnState.DONE and not turn.message.parts:
        rows.append(NoteRow(index, "The model answered with nothing."))
    elif turn.state is TurnState.STOPPED:
        rows.append(
            NoteRow(index, "Stopped. What was said is kept." if turn.text else "Stopped before the first word.")
        )
    if turn.timing is not None and turn.message.parts:
        rows.append(StatsRow(index, turn.timing, turn.label, turn.note, is_last))
    if turn.error:
        is_error = turn.state is TurnState.FAILED
        rows.append(ProblemRow(index, turn.error, turn.remedy, is_error, is_last))
    return rows
