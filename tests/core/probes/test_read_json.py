"""Whatever JSON a node sends, every read gets a bounded answer and nothing is raised."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.probes.read import (
    MAX_TEXT_BYTES,
    Answer,
    Fault,
    Read,
    ReadClock,
    ReadCommand,
    ReadDisk,
    ReadFile,
    answer_of,
    describe,
)
from sparkdesk.core.probes.read_json import decode_answers, decode_span, encode_reads

READS: tuple[Read, ...] = (
    ReadFile("/a/*", max_bytes=50, max_files=3),
    ReadCommand(("id", "-un"), max_bytes=40),
    ReadDisk("/"),
    ReadClock(),
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.sampled_from([*Fault, 10**400])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5)
)
ANSWERS = st.dictionaries(st.sampled_from(["t", "c", "e", "n", "x", "f", "w"]), VALUES, max_size=7) | VALUES


@given(data=st.fixed_dictionaries({"answers": st.lists(ANSWERS, max_size=6) | VALUES, "began_ms": VALUES}))
def test_any_answer_becomes_a_bounded_value(data: dict[str, Any]) -> None:
    answers = decode_answers(READS, data)
    assert list(answers) == list(READS)
    for read, answer in answers.items():
        if answer is None:
            continue
        is_empty = not answer.texts and answer.code is None and not answer.numbers
        assert is_empty == (answer.fault is not None)
        assert bool(answer.problem) == (answer.fault is not None)
        assert len(answer.texts) <= (read.max_files if isinstance(read, ReadFile) else 1)
        assert all(len(text) <= 50 for _, text in answer.texts)
        (answer.text + answer.errors + answer.problem).encode()
        answer.why()
    decode_span(data)


@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=3), code=st.integers(0, 255))
def test_what_the_reader_sends_comes_through(texts: list[str], code: int) -> None:
    rows = [[f"/a/{index}", text] for index, text in enumerate(texts)]
    sent = [{"t": rows, "n": {"/a/0": 5.5}, "x": 0}, {"t": [["", texts[0]]], "c": code, "e": "bad"}]
    data = json.loads(json.dumps({"answers": [*sent, {"n": {"total_bytes": 9, "free_bytes": 0}}, None]}))
    file, command, disk, clock = decode_answers(READS, data).values()
    assert file is not None
    assert command is not None
    assert [text.encode("utf-8", "replace").decode() for text in texts] == [text for _, text in file.texts]
    assert file.numbers == {"/a/0": 5.5}
    assert (command.code, command.errors) == (code, "bad")
    assert disk == Answer(numbers={"total_bytes": 9.0, "free_bytes": 0.0})
    assert clock is None


def test_an_answer_that_is_missing_is_a_fault_and_a_longer_one_than_asked_for_is_cut() -> None:
    long = {"t": [["/a", "x" * (2 * MAX_TEXT_BYTES)]]}
    answers = decode_answers(READS, {"answers": [long]})
    file = answers[READS[0]]
    assert file is not None
    assert len(file.text) == 50
    rest = [answers[read] for read in READS[1:]]
    assert [answer.fault for answer in rest if answer] == [Fault.UNREADABLE] * 3


def test_a_request_says_everything_that_bounds_its_reads() -> None:
    sent = json.loads(encode_reads(READS))["reads"]
    assert sent[0] == {"k": "file", "path": "/a/*", "bytes": 50, "files": 3}
    assert sent[1] == {"k": "command", "argv": ["id", "-un"], "s": 5.0, "bytes": 40}
    assert sent[2:] == [{"k": "disk", "path": "/"}, {"k": "clock"}]
    assert [describe(read) for read in READS] == ["/a/*", "id -un", "free space of /", "the node's clock"]


def test_why_an_answer_is_of_no_use_is_told_in_words() -> None:
    assert Answer(texts=(("", "x"),), code=0).why() == ""
    assert Answer(texts=(("", ""),), code=2, errors="first\nsecond\n").why() == "exit code 2: second"
    assert Answer(texts=(("", ""),), code=2).why() == "exit code 2"
    assert Answer(fault=Fault.TIMED_OUT).why() == "timed out"
    assert answer_of({}, READS[0]).why() == "it was not asked for"
