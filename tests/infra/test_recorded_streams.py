"""Every stream that a real server sent is taken by the client: whole, cut into pieces anywhere, and cut off anywhere.

What is expected is read from the recorded bytes by other means than the client's: split at empty lines, JSON a line.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.chat.event import (
    ChatEvent,
    CutOff,
    Finished,
    PromptProgress,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from sparkdesk.core.chat.message import ChatRequest, Message, Role, TextPart
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.infra.openai_api import OpenAiClients
from tests.servers.raw_http import raw_server, stream

CAPTURES = Path(__file__).resolve().parents[1] / "data" / "captures"
STREAMS = sorted(CAPTURES.glob("*/*.sse"))
OTHER_PROTOCOLS = ("anthropic", "responses", "completion_legacy")
"""What llama.cpp sends to programs that speak otherwise; the client never asks for it and must survive it."""
ASKED = ChatRequest("m", (Message(Role.USER, (TextPart("hi"),)),))


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def is_chat(path: Path) -> bool:
    return not path.stem.startswith(OTHER_PROTOCOLS)


async def receive(pieces: Iterable[bytes]) -> list[ChatEvent]:
    """What the client makes of an answer that comes in these pieces; without times."""
    async with raw_server(stream(*pieces)) as server:
        client = OpenAiClients().open(Endpoint("", "127.0.0.1", server.port, "m"), None)
        async with aclosing(client.chat(ASKED)) as answer:
            events = [event async for event in answer]
        await client.close()
    return [event if isinstance(event, Usage) else replace(event, t_s=0.0) for event in events]


def cut(data: bytes, seed: str, count: int) -> list[bytes]:
    places = sorted(random.Random(seed).sample(range(1, len(data)), min(count, len(data) - 1)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def recorded(data: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in data.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def said(chunks: list[dict[str, Any]], *names: str) -> str:
    deltas = [choice.get("delta") or {} for chunk in chunks for choice in chunk.get("choices", [])]
    return "".join(delta.get(name) or "" for delta in deltas for name in names)


def called(chunks: list[dict[str, Any]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for chunk in chunks:
        for choice in chunk.get("choices", []):
            for call in (choice.get("delta") or {}).get("tool_calls") or []:
                function = call.get("function", {})
                words = (function.get("name") or "") + (function.get("arguments") or "")
                found[call["index"]] = found.get(call["index"], "") + words
    return found


def heard_calls(events: list[ChatEvent]) -> dict[int, str]:
    found: dict[int, str] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            found[event.index] = found.get(event.index, "") + event.name + event.arguments
    return found


def heard(events: list[ChatEvent], kind: type[TextDelta] | type[ReasoningDelta]) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


def is_end(event: ChatEvent) -> bool:
    return isinstance(event, Finished | CutOff)


def test_all_recordings_are_there() -> None:
    assert len(STREAMS) == 64
    assert {path.parent.name for path in STREAMS} >= {"llamacpp_smollm2", "llamacpp_tiny", "vllm_cpu"}


@pytest.mark.parametrize("path", [path for path in STREAMS if is_chat(path)], ids=name_of)
async def test_a_recorded_chat_gives_all_that_its_server_said(path: Path) -> None:
    data = path.read_bytes()
    chunks, events = recorded(data), await receive([data])
    assert heard(events, TextDelta) == said(chunks, "content")
    assert heard(events, ReasoningDelta) == said(chunks, "reasoning_content", "reasoning")
    assert heard_calls(events) == called(chunks)
    assert [is_end(event) for event in events] == [False] * (len(events) - 1) + [True]
    counts = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    usage = [event for event in events if isinstance(event, Usage)]
    if counts:
        assert (usage[-1].prompt_tokens, usage[-1].completion_tokens) == (
            counts[-1]["prompt_tokens"],
            counts[-1]["completion_tokens"],
        )
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk.get("choices", [])]
    if any(chunk.get("error") for chunk in chunks) or not any(reasons):
        assert isinstance(events[-1], CutOff)
    else:
        assert events[-1] == Finished(next(reason for reason in reasons if reason), 0.0)


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
async def test_a_recorded_stream_means_the_same_in_whatever_pieces_it_comes(path: Path) -> None:
    data = path.read_bytes()
    whole = await receive([data])
    assert await receive(cut(data, path.stem, 25)) == whole
    assert sum(map(is_end, whole)) == 1


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
async def test_a_recorded_stream_that_is_cut_keeps_what_came_and_never_seems_complete(path: Path) -> None:
    data = path.read_bytes()
    whole = await receive([data])
    at = random.Random(name_of(path)).randrange(1, len(data))
    events = await receive([data[:at]])
    assert sum(map(is_end, events)) == 1
    assert is_end(events[-1])
    for kind in (TextDelta, ReasoningDelta):
        assert heard(whole, kind).startswith(heard(events, kind))
    progress = [event for event in events if isinstance(event, PromptProgress)]
    assert progress == [event for event in whole if isinstance(event, PromptProgress)][: len(progress)]
    if b'"finish_reason":"' not in data[:at].replace(b": ", b":") and b"[DONE]" not in data[:at]:
        assert isinstance(events[-1], CutOff)


def test_an_error_inside_an_answer_that_began_well_is_among_the_recordings() -> None:
    assert any(b'"error"' in path.read_bytes() for path in STREAMS)
    assert any(b"[DONE]" not in path.read_bytes() for path in STREAMS)
