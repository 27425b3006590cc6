"""The parser answers every line with a value: a reading, a hello, or why it is neither."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.telemetry.builder import SampleBuilder
from sparkdesk.core.telemetry.frame import PROBE_LINE_BYTES, Line, LineFramer
from sparkdesk.core.telemetry.probe import RAW_KEYS, Hello, Malformed, RawSample, parse_line

MARKER = b"mark7"


def line_of(data: object) -> Line:
    return Line(MARKER + b" " + json.dumps(data).encode())


def reading(**more: Any) -> dict[str, Any]:
    return {"q": 3, "b": "boot", "m": 10.5, "w": 1000.25, **more}


@given(st.binary(max_size=300))
def test_any_bytes_are_answered(data: bytes) -> None:
    assert isinstance(parse_line(Line(data), MARKER), Hello | RawSample | Malformed)
    assert isinstance(parse_line(Line(MARKER + b" " + data), MARKER), Hello | RawSample | Malformed)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(sorted(RAW_KEYS | {"hello", "dgx", "dmi", "gpus", "mem_kb"})), json_values))
def test_any_json_in_any_cell_is_answered_and_becomes_a_finite_sample(cells: dict[str, Any]) -> None:
    raw = parse_line(line_of(reading() | cells), MARKER)
    assert isinstance(raw, Hello | RawSample | Malformed)
    if isinstance(raw, RawSample):
        builder = SampleBuilder("n1")
        for _ in range(2):
            sample = builder.build(raw, 1_000_000)
            assert all(abs(value) < float("inf") for value in sample.values.values())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (MARKER + b' {"q":\xff}', "not UTF-8"),
        (MARKER + b' {"q":1', "not JSON"),
        (MARKER + b' {"q":NaN}', "not JSON"),
        (MARKER + b" " + b"[" * 50_000, "not JSON"),
        (MARKER + b" [1]", "not a JSON object"),
        (MARKER + b' {"q":1}', "without sequence or time"),
        (MARKER + b' {"q":true,"m":1,"w":1}', "without sequence or time"),
        (MARKER + b' {"hello":99}', "another version (99)"),
        (b"Welcome to Ubuntu", "not a line of the probe"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(data: bytes, reason: str) -> None:
    found = parse_line(Line(data), MARKER)
    assert isinstance(found, Malformed)
    assert reason in found.reason


def test_after_a_line_of_10_mb_and_one_of_garbage_the_stream_goes_on() -> None:
    good = line_of(reading()).data
    stream = MARKER + b" " + b"9" * 10_000_000 + b"\n" + b"\xff\xfe\x00\n" + good + b"\n"
    framer = LineFramer(PROBE_LINE_BYTES)
    lines = [line for at in range(0, len(stream), 65_521) for line in framer.feed(stream[at : at + 65_521])]
    found = [parse_line(line, MARKER) for line in lines]
    assert isinstance(found[0], Malformed)
    assert "10000006 bytes" in found[0].reason
    assert isinstance(found[1], Malformed)
    assert not found[1].is_ours
    assert isinstance(found[2], RawSample)


def test_a_cell_that_is_not_what_it_should_be_is_left_out_and_the_others_stay() -> None:
    raw = parse_line(
        line_of(reading(cpu=[1, 2, "x", 4], ld=[0.5, 1, 2], mem={"mt": 100, "ma": -5, "mf": "9"}, gpu="none", ct=None)),
        MARKER,
    )
    assert isinstance(raw, RawSample)
    assert raw.cpu_jiffies == ()
    assert raw.loads == (0.5, 1.0, 2.0)
    assert raw.memory_kb == {"mt": 100.0}
    assert raw.gpus == ()
    assert raw.cpu_temp_mc is None


def test_text_of_a_node_carries_no_control_characters_and_is_bounded() -> None:
    raw = parse_line(line_of(reading(pr=[[7, "py\x1b[31mthon\u202e\x07" + "x" * 900, 5]], e=["\x00bad"])), MARKER)
    assert isinstance(raw, RawSample)
    assert raw.processes is not None
    assert raw.processes[0].name.startswith("python\ufffd\u2407xxx")
    assert len(raw.processes[0].name) == 64
    assert raw.troubles == ("\u2400bad",)


def test_a_hello_becomes_facts() -> None:
    found = parse_line(
        line_of(
            {
                "hello": 1,
                "py": "3.12.3",
                "host": "spark-afe0",
                "boot": "b1",
                "machine": "m1",
                "kernel": "6.14.0-nvidia",
                "cpus": 20,
                "mem_kb": 127_535_084,
                "driver": "580.95.05",
                "gpus": ["NVIDIA GB10"],
                "home": "/home/nvidia",
                "dgx": {"name": "DGX Spark", "swbuild_version": "7.2.3", "ota_version": "7.5.0"},
                "os": "Ubuntu 24.04",
                "dmi": {"vendor": "NVIDIA", "product": "NVIDIA_DGX_Spark"},
                "net": {"enp1s0f0np0": {"mac": "00:00:5e:00:53:01", "mtu": 1500}},
                "ib": {"rocep1s0f0": {"netdev": "enp1s0f0np0"}},
            }
        ),
        MARKER,
    )
    assert isinstance(found, Hello)
    facts = found.facts
    assert (facts.hostname, facts.vendor, facts.product) == ("spark-afe0", "NVIDIA", "NVIDIA_DGX_Spark")
    assert (facts.os_version, facts.gpu_name, facts.cpu_count) == ("DGX OS 7.5.0", "NVIDIA GB10", 20)
    assert facts.mem_total_bytes == 127_535_084 * 1024
    assert facts.others["net.enp1s0f0np0.mtu"] == "1500"
    assert facts.others["ib.rocep1s0f0.netdev"] == "enp1s0f0np0"
