"""The parser of streams equals a plain reader of whole files, however the bytes of every recorded stream are cut.

The reference knows nothing of pieces: it decodes the whole file, splits it at empty lines and reads each line's JSON.
What real servers sent has LF for its line ends and events of one data line each, which the reference asserts.
"""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.chat.event import (
    ChatEvent,
    Finished,
    PromptProgress,
    ReasoningDelta,
    TextDelta,
    TokenChoices,
    ToolCallDelta,
)
from sparkdesk.core.chat.stream.openai_event import ChunkDecoder
from sparkdesk.core.chat.stream.sse import SseEvent, SseItem, SseParser

CAPTURES = Path(__file__).resolve().parents[3] / "data" / "captures"
STREAMS = sorted(CAPTURES.glob("*/*.sse"))
OTHER_PROTOCOLS = ("anthropic", "responses", "completion_legacy")
SMALL_BYTES = 2_700
CUTS, CUT_IN_PIECES = 60, 30
COMMENT = ("", "comment")


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@cache
def blocks(path: Path) -> tuple[bytes, ...]:
    """The whole events of a file as their bytes; what was cut off at its end is none."""
    *whole, _ = path.read_bytes().split(b"\n\n")
    return tuple(block + b"\n\n" for block in whole)


def read_block(block: bytes) -> tuple[str, str]:
    """Name and data of one event, or of a comment, which llama.cpp sends to see whether anybody still listens."""
    if block == b":\n\n":
        return COMMENT
    fields = dict(line.split(": ", 1) for line in block.decode().rstrip("\n").split("\n"))
    assert set(fields) <= {"event", "data"}
    assert b"\r" not in block
    return fields.get("event", ""), fields["data"]


@cache
def reference(path: Path) -> tuple[tuple[str, str], ...]:
    return tuple(read_block(block) for block in blocks(path))


def parse(*chunks: bytes) -> list[SseItem]:
    parser = SseParser()
    return [item for chunk in chunks for item in parser.feed(chunk)]


def plain(items: list[SseItem]) -> tuple[tuple[str, str], ...]:
    return tuple((item.name, item.data) if isinstance(item, SseEvent) else COMMENT for item in items)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def test_all_recordings_are_there() -> None:
    assert len(STREAMS) == 64
    assert sum(len(path.read_bytes()) for path in STREAMS) == 350_451


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_a_recorded_stream_cut_at_any_byte_of_it_reads_as_its_reference(path: Path) -> None:
    """Each byte is cut at between the event before and the one after it; a short stream as a whole."""
    whole, expected = blocks(path), reference(path)
    data = path.read_bytes()
    if len(data) <= SMALL_BYTES:
        for place in range(len(data) + 1):
            assert plain(parse(data[:place], data[place:])) == expected
        return
    for number in range(len(whole)):
        first = max(0, number - 1)
        window, wanted = b"".join(whole[first : number + 2]), expected[first : number + 2]
        begin = len(whole[first]) if first < number else 0
        for place in range(begin, begin + len(whole[number])):
            assert plain(parse(window[:place], window[place:])) == wanted
    assert plain(parse(data)) == expected


@pytest.mark.parametrize("path", STREAMS, ids=name_of)
def test_a_recorded_stream_in_any_number_of_pieces_reads_as_its_reference(path: Path) -> None:
    data, expected = path.read_bytes(), reference(path)
    lot = random.Random(name_of(path))
    for _ in range(CUTS):
        assert plain(parse(*cut(data, [lot.randrange(len(data) + 1)]))) == expected
    for _ in range(CUT_IN_PIECES):
        places = sorted(lot.sample(range(1, len(data)), lot.randrange(2, 40)))
        assert plain(parse(*cut(data, places))) == expected
    assert plain(parse(*(data[i : i + 1] for i in range(len(data))))) == expected


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
@pytest.mark.parametrize("path", STREAMS[::6], ids=name_of)
def test_other_line_ends_a_mark_at_the_start_and_comments_between_change_nothing(path: Path, end: bytes) -> None:
    data = b"\xef\xbb\xbf" + b": alive\n\n".join(blocks(path)).replace(b"\n", end)
    expected = tuple(pair for pair in reference(path) if pair != COMMENT)
    lot = random.Random(name_of(path))
    for _ in range(CUTS):
        places = sorted(lot.sample(range(1, len(data)), lot.randrange(1, 30)))
        assert plain([item for item in parse(*cut(data, places)) if isinstance(item, SseEvent)]) == expected


def said(chunk: dict[str, Any]) -> list[tuple[str, object]]:
    """What one chunk of a chat stream says, in the order of our events."""
    found: list[tuple[str, object]] = []
    if "prompt_progress" in chunk:
        found.append(("progress", chunk["prompt_progress"]["processed"]))
    for choice in chunk.get("choices", [])[:1]:
        delta = choice["delta"]
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        found += [("reasoning", thought)] if thought else []
        found += [("text", delta["content"])] if delta.get("content") else []
        for call in delta.get("tool_calls") or []:
            found.append(("call", (call["index"], call["function"].get("arguments", ""))))
        rows = (choice.get("logprobs") or {}).get("content") or []
        found += [("choices", tuple(row["logprob"] for row in rows))] if rows else []
    return found


def heard(event: ChatEvent) -> tuple[str, object] | None:
    match event:
        case PromptProgress():
            return "progress", event.processed
        case ReasoningDelta():
            return "reasoning", event.text
        case TextDelta():
            return "text", event.text
        case ToolCallDelta():
            return "call", (event.index, event.arguments)
        case TokenChoices():
            return "choices", tuple(choice.logprob for choice in event.choices)
    return None


@pytest.mark.parametrize("path", [path for path in STREAMS if not path.stem.startswith(OTHER_PROTOCOLS)], ids=name_of)
def test_the_events_of_a_recorded_chat_are_what_its_json_says_in_order(path: Path) -> None:
    chunks = [json.loads(data) for _, data in reference(path) if data not in ("[DONE]", "comment")]
    failed = next((number for number, chunk in enumerate(chunks) if "error" in chunk), len(chunks))
    wanted = [pair for chunk in chunks[:failed] for pair in said(chunk)]
    decoder = ChunkDecoder()
    events = [event for item in parse(path.read_bytes()) for event in decoder.feed(item, 1.0)]
    last = decoder.end(1.0)
    events += [last] if last is not None else []
    assert [pair for event in events if (pair := heard(event)) is not None] == wanted
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk.get("choices", [])]
    is_whole = failed == len(chunks) and any(reasons)
    assert isinstance(events[-1], Finished) is is_whole
