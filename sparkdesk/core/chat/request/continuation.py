"""How an answer that ended too early is gone on with, by engine.

The one rule: where it is not known that a server writes on at the end of an answer, it is asked to in words, and the
answer says so: such a server may repeat itself or begin anew.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import Turn, TurnState

ASK_WORDS = "Continue exactly where you stopped. Repeat nothing and begin with the very next word."
CONTINUED_NOTE = "Continued: the figures are of the last part"
ASKED_NOTE = "Continued by asking in words: this server is not known to write on where an answer ends"


class ContinueWay(StrEnum):
    """How a server is brought to go on."""

    FLAG = "flag"
    """`continue_final_message`. Source: vLLM's and SGLang's ChatCompletionRequest."""
    PREFILL = "prefill"
    """A trailing message of the assistant is written on. Source: llama.cpp tools/server/README.md."""
    ASK = "ask"
    """A message of the person's asks for it; it is not kept."""


_WAYS = {"vllm": ContinueWay.FLAG, "sglang": ContinueWay.FLAG, "llamacpp": ContinueWay.PREFILL}


def continue_way(engine: str) -> ContinueWay:
    """How this engine (a backend's key, "" when not known) goes on with an answer."""
    return _WAYS.get(engine, ContinueWay.ASK)


def can_continue(turn: Turn) -> bool:
    """Whether this turn is an answer with words that ended before it was complete."""
    if turn.message.role is not Role.ASSISTANT or not turn.text.strip():
        return False
    is_short = turn.state is TurnState.DONE and turn.finish_reason == "length"
    return is_short or turn.state in (TurnState.STOPPED, TurnState.CUT_OFF)


def begin_again(turn: Turn, way: ContinueWay, label: str) -> Turn:
    """The answer as it is while the model `label` goes on with it."""
    own = (CONTINUED_NOTE, ASKED_NOTE)
    notes = [note for note in turn.note.split("; ") if note and note not in own]
    notes.append(CONTINUED_NOTE)
    if way is ContinueWay.ASK:
        notes.append(ASKED_NOTE)
    labels = turn.label if label in turn.label.split(", then ") else f"{turn.label}, then {label}"
    return replace(
        turn,
        state=TurnState.STREAMING,
        note="; ".join(notes),
        label=labels,
        error="",
        remedy="",
        failure=None,
        finish_reason="",
    )


def end_unchanged(before: Turn, ended: Turn) -> Turn:
    """The answer as it was before nothing came of a try to go on with it: with its own figures, and why nothing came"""
    if not ended.error:
        return before
    error, remedy, failure = ended.error, ended.remedy, ended.failure
    return replace(before, state=TurnState.CUT_OFF, error=error, remedy=remedy, failure=failure)
