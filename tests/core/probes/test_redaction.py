"""What tells whose machine it is does not leave in a report; what a reader needs stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.probes.assumption import FieldReport, FieldResult, Hold
from sparkdesk.core.probes.field_json import redacted_json, report_from_json, report_to_json
from sparkdesk.core.probes.redaction import redact


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("4c:bb:47:00:01:10", "(mac)"),
        ("10.0.20.31/24 and 127.0.0.1", "(address) and 127.0.0.1"),
        ("fe80::4ebb:47ff:fe00:110%enp1s0f0np0", "(address)"),
        ("2001:db8:1:2:3:4:5:6", "(address)"),
        ("GPU-2f6bd5b0-91b5-4c2d-9c11-a0b1c2d3e4f5", "GPU-(id)"),
        ("0123456789abcdef0123456789abcdef", "(id)"),
        ('DGX_SERIAL_NUMBER="1234567890123"', "DGX_SERIAL_NUMBER=(serial)"),
        ("spark-5c2d.local", "(host).local"),
        ("/home/anna/models", "/home/(user)/models"),
        ("Anna's box", "(name)'s box"),
        ("hf_abcdefghijkl", "(token)"),
        ("000f:01:00.0 at 10:24:31, 6.17.0-1014-nvidia, 580.142, rocep1s0f1", None),
    ],
)
def test_what_identifies_is_taken_out(text: str, left: str | None) -> None:
    assert redact(text, ["anna"]) == (text if left is None else left)


def test_a_saved_report_names_no_machine() -> None:
    result = FieldResult("x", "X", "A claim", Hold.DIFFERS, "anna@spark-5c2d 10.0.0.7", "a source", "core")
    saved = redacted_json(
        FieldReport("node7id", "done", 1, (result,)),
        application="SparkDesk 1",
        made_at="2026-11-21",
        own_words=["anna"],
    ).decode()
    for word in ("anna", "spark-5c2d", "10.0.0.7", "node7id"):
        assert word not in saved
    assert "held 0, differ 1, not seen 0" in saved


def test_a_kept_report_comes_back_whole() -> None:
    result = FieldResult("x", "X", "A claim", Hold.HELD, "seen", "a source", "core")
    report = FieldReport("n", "done", 12, (result,), is_simulated=True)
    assert report_from_json(report_to_json(report)) == report


def test_what_a_simulated_node_showed_was_not_seen_on_hardware() -> None:
    results = (
        FieldResult("x", "X", "A claim", Hold.HELD, "", "", ""),
        FieldResult("y", "Y", "", Hold.DIFFERS, "", "", ""),
    )
    real = FieldReport("n", "done", 12, results)
    assert [real.seen_ms(key) for key in ("x", "y", "z")] == [12, 0, 0]
    assert replace(real, is_simulated=True).seen_ms("x") == 0


@given(st.binary(max_size=300))
def test_a_damaged_report_is_none(data: bytes) -> None:
    assert report_from_json(data) is None
