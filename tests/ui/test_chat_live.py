"""An answer while it is written: rows close one by one, and in the end they are the rows of the whole text."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtWidgets import QApplication

from sparkdesk.core.chat.event import ReasoningDelta, TextDelta, Usage
from sparkdesk.core.chat.markdown_block import Block, BlockKind
from sparkdesk.core.chat.message import Message, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.session import Turn, TurnState
from sparkdesk.core.chat.stream.timing import AnswerTiming
from ui.chat.live import LiveAnswer
from ui.chat.row import BlockRow, NoteRow, ProblemRow, StatsRow, StatusRow, TailRow, ThoughtRow, rows_of
from ui.chat.transcript import is_large_table
from ui.chat.turn.figure import details_of, figures_of
from ui.chat.words.text_row import HARD_WRAP_CHARS, OpenText, hard_wrapped

EMPTY = Turn(Message(Role.ASSISTANT, ()), state=TurnState.SENT)
PIECES = st.lists(
    st.sampled_from(
        ["Hello ", "world.", "\n", "\n\n", "```py\n", "x = 1\n", "```\n", "- a\n", "# h\n", "|a|b|\n|-|-|\n", "  "]
    ),
    max_size=30,
)


def said(text: str) -> Turn:
    return Turn(Message(Role.ASSISTANT, (TextPart(text),)))


@given(pieces=PIECES)
def test_closed_rows_of_a_stream_are_the_first_rows_of_the_whole(pieces: list[str]) -> None:
    live = LiveAnswer(0, EMPTY)
    shown = ""
    for piece in pieces:
        growth = live.add([TextDelta(piece, 0.0)])
        shown = growth.text if growth.is_reset else shown + growth.text
        assert shown == live.tail
        closed = [row for row in live.rows() if isinstance(row, BlockRow)]
        whole = [row for row in rows_of(said("".join(pieces)), 0, is_last=True) if isinstance(row, BlockRow)]
        assert whole[: len(closed)] == closed


def test_an_answer_that_is_looked_at_in_the_middle_begins_with_all_so_far() -> None:
    live = LiveAnswer(3, said("First.\n\nSecond"))
    assert live.tail == "Second"
    assert [type(row) for row in live.rows()] == [BlockRow, TailRow, StatusRow]


def test_the_tail_is_code_inside_a_fence() -> None:
    live = LiveAnswer(0, EMPTY)
    live.add([TextDelta("```rust\nfn", 0.0)])
    assert TailRow(0, is_code=True, language="rust") in live.rows()
    assert live.tail == "fn"


def test_thinking_comes_first() -> None:
    live = LiveAnswer(0, EMPTY)
    assert not live.has_token
    live.add([ReasoningDelta("hm", 3.0)])
    assert live.is_thinking
    assert isinstance(live.rows()[0], ThoughtRow)


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (Turn(Message(Role.ASSISTANT, ()), state=TurnState.STOPPED), "Stopped before the first word."),
        (Turn(Message(Role.ASSISTANT, (TextPart("x"),)), state=TurnState.STOPPED), "Stopped. What was said is kept."),
        (Turn(Message(Role.ASSISTANT, (TextPart("x"),)), finish_reason="length"), "limit of tokens"),
        (Turn(Message(Role.ASSISTANT, (ReasoningPart("x"),)), finish_reason="length"), "limit of tokens"),
        (Turn(Message(Role.ASSISTANT, ()), finish_reason="stop"), "answered with nothing"),
    ],
)
def test_an_answer_that_is_not_plain_says_why(turn: Turn, words: str) -> None:
    notes = [row.text for row in rows_of(turn, 0, is_last=True) if isinstance(row, NoteRow)]
    assert len(notes) == 1
    assert words in notes[0]


def test_a_cut_answer_has_its_text_its_figures_and_a_problem_in_this_order() -> None:
    turn = Turn(
        Message(Role.ASSISTANT, (TextPart("half"),)),
        state=TurnState.CUT_OFF,
        timing=AnswerTiming(ttft_s=1.0),
        error="cut off",
        remedy="Retry.",
    )
    assert [type(row) for row in rows_of(turn, 0, is_last=True)] == [BlockRow, StatsRow, ProblemRow]


def timed(timing: AnswerTiming, usage: Usage | None = None) -> Turn:
    return Turn(Message(Role.ASSISTANT, (TextPart("x"),)), timing=timing, usage=usage)


def test_figures_say_who_counted_and_never_say_zero_for_unknown() -> None:
    timing = AnswerTiming(1.0, 0.05, 20.0, math.nan, math.nan, 3.0, 40, 100, 91, True)
    counted = figures_of(timed(timing, Usage(100, 40, 91, reasoning_tokens=12)))
    assert ("", "40", "tokens, 12 thinking") in counted
    assert any("91" in part[2] and part[2].endswith("cached") for part in counted)
    guessed = figures_of(timed(AnswerTiming(completion_tokens=3)))
    assert ("", "3", "pieces, counted here") in guessed
    assert ("TTFT", "n/a", "") in guessed
    assert not any(part[1].startswith("0") for part in (*counted, *guessed))


def test_each_figure_that_is_not_known_says_why() -> None:
    unknown = {detail.title: detail for detail in details_of(timed(AnswerTiming()))}
    for title in ("First token (TTFT)", "Prefill", "Time per token (TPOT)", "Decode", "Written", "Prompt", "Energy"):
        assert unknown[title].value == "n/a", title
        assert unknown[title].words, title
    known = {detail.title: detail for detail in details_of(replace(timed(AnswerTiming()), energy_j=7200.0))}
    assert known["Energy"].value == "2.00 Wh"


def test_more_cached_than_was_asked_is_not_known_and_says_why() -> None:
    turn = timed(AnswerTiming(prompt_tokens=100, cached_tokens=99_990, is_counted_by_server=True))
    assert ("prompt", "100", "") in figures_of(turn)
    prompt = {detail.title: detail for detail in details_of(turn)}["Prompt"]
    assert "%" not in prompt.words
    assert "cached n/a, since 99,990 would be more than the prompt has" in prompt.words


def test_a_long_line_is_wrapped_before_a_widget_sees_it(dressed: QApplication) -> None:
    assert hard_wrapped("a\nb") == "a\nb"
    assert max(map(len, hard_wrapped("x" * 9_001).split("\n"))) == HARD_WRAP_CHARS
    open_text = OpenText("")
    for _ in range(30):
        open_text.append("y" * 333)
    lines = open_text.text().split("\n")
    assert max(map(len, lines)) <= HARD_WRAP_CHARS
    assert "".join(lines) == "y" * 333 * 30


def test_a_table_of_thousands_of_cells_is_known_as_large() -> None:
    table = "|a|b|\n|-|-|\n" + "|1|2|\n" * 400
    assert is_large_table(Block(BlockKind.TABLE, table, table))
    small = "|a|b|\n|-|-|\n|1|2|\n"
    assert not is_large_table(Block(BlockKind.TABLE, small, small))
