"""How an answer that ended too early is gone on with, by engine.

The one rule: where it is not known that a server writes on at the end of an answer, it is asked to in words, and the
answer says so: such a server may repeat itself or begin anew.
"""

from __future__ import annotations

from enum import StrEnum

from sparkdesk.core.chat.message import Role
from sparkdesk.core.chat.session import Turn, TurnState

ASK_WORDS = "Continue exactly where you stopped. Repeat nothing and begin with the very next word."
ASKED_NOTE = "Continued by asking in words: this server is not known to write on where an answer ends."


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
