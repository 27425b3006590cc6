"""An answer that ended too early can be gone on with, and says whose words and figures it has."""

from __future__ import annotations

import pytest

from sparkdesk.core.chat.message import Message, ReasoningPart, Role, TextPart
from sparkdesk.core.chat.request.continuation import (
    ASKED_NOTE,
    CONTINUED_NOTE,
    ContinueWay,
    begin_again,
    can_continue,
    continue_way,
    end_unchanged,
)
from sparkdesk.core.chat.session import Turn, TurnFailure, TurnState

HALF = Turn(Message(Role.ASSISTANT, (TextPart("half"),)), TurnState.CUT_OFF, label="a on n", error="lost")


@pytest.mark.parametrize(
    ("state", "reason", "can"),
    [
        (TurnState.STOPPED, "", True),
        (TurnState.CUT_OFF, "", True),
        (TurnState.DONE, "length", True),
        (TurnState.DONE, "stop", False),
        (TurnState.STREAMING, "", False),
        (TurnState.FAILED, "", False),
    ],
)
def test_only_an_answer_that_ended_too_early_goes_on(state: TurnState, reason: str, can: bool) -> None:
    assert can_continue(Turn(HALF.message, state, finish_reason=reason)) is can


def test_neither_a_question_nor_a_mere_thought_goes_on() -> None:
    assert not can_continue(Turn(Message(Role.USER, (TextPart("half"),)), TurnState.STOPPED))
    assert not can_continue(Turn(Message(Role.ASSISTANT, (ReasoningPart("hm"),)), TurnState.STOPPED))


def test_each_engine_goes_on_in_the_way_that_it_documents_and_others_are_asked() -> None:
    ways = {engine: continue_way(engine) for engine in ("vllm", "sglang", "llamacpp", "trtllm", "ollama", "")}
    assert ways == {
        "vllm": ContinueWay.FLAG,
        "sglang": ContinueWay.FLAG,
        "llamacpp": ContinueWay.PREFILL,
        "trtllm": ContinueWay.ASK,
        "ollama": ContinueWay.ASK,
        "": ContinueWay.ASK,
    }


def test_however_often_it_goes_on_each_note_and_each_model_stands_once() -> None:
    turn = begin_again(HALF, ContinueWay.FLAG, "a on n")
    assert (turn.note, turn.label, turn.error) == (CONTINUED_NOTE, "a on n", "")
    turn = begin_again(turn, ContinueWay.ASK, "b on m")
    turn = begin_again(turn, ContinueWay.ASK, "a on n")
    assert turn.note == f"{CONTINUED_NOTE}; {ASKED_NOTE}"
    assert turn.label == "a on n, then b on m"


def test_a_try_of_which_nothing_came_leaves_the_answer_and_says_why() -> None:
    failure = TurnFailure("overloaded", retry_after_s=9.0)
    failed = Turn(HALF.message, TurnState.CUT_OFF, error="busy", remedy="Retry.", failure=failure, label="b")
    kept = end_unchanged(HALF, failed)
    assert (kept.label, kept.error, kept.failure) == ("a on n", "busy", failure)
    assert end_unchanged(HALF, Turn(HALF.message, TurnState.STOPPED)) == HALF
