"""What a model is given of a failed deployment is bounded, names no machine and no secret, and has our cause first."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.jobs.evidence import (
    CAUTION,
    MAX_CAUTION_CHARS,
    MAX_CHARS,
    FailedJob,
    caution_of,
    evidence_of,
    opinion_in,
)
from sparkdesk.core.jobs.record import JobState, JobStatus, LogLine, Phase, PhaseState

FAILED = JobStatus(
    "j1",
    "gpt-oss-120b",
    "vLLM",
    ("n1",),
    JobState.FAILED,
    0,
    phases=(
        Phase("start", "Start", PhaseState.DONE, 1.25),
        Phase("load", "Load", PhaseState.FAILED, 33.0, "exit code 1"),
        Phase("ready", "Ready", PhaseState.TO_DO),
    ),
    message="The engine ended with exit code 1. Last line: No available memory for the cache blocks.",
    remedy="Ask for less context.",
)


def line(text: str, level: str = "info") -> LogLine:
    return LogLine(0, "engine", level, text)


def test_our_own_cause_and_remedy_stand_before_the_log() -> None:
    text = evidence_of(FailedJob(FAILED, lines=(line("ValueError: No available memory"),)))
    assert text.index("Cause, as SparkDesk reads it: The engine ended") < text.index("ValueError")
    assert "Remedy, as SparkDesk reads it: Ask for less context." in text
    assert "Phase Load: failed after 33.0 s: exit code 1" in text
    assert "Ready" not in text, "a phase that was never begun is no evidence"


def test_an_answer_is_called_an_opinion_and_our_own_cause_stands_beside_it() -> None:
    caution = caution_of(replace(FAILED, message="No room on desk-7; 3 GiB were missing"), ("desk-7",))
    assert opinion_in(f"{caution}; real llama.cpp") == (
        CAUTION,
        "SparkDesk's own reading: No room on (name), 3 GiB were missing",
    )
    assert opinion_in(f"goes on; {CAUTION}") == (CAUTION, ""), "as it was kept before"
    assert opinion_in("real llama.cpp") is None
    assert "not known" in caution_of(replace(FAILED, message=""))
    long = caution_of(replace(FAILED, message="words " * 100))
    assert len(long) <= MAX_CAUTION_CHARS
    assert long.endswith("…")


def test_an_error_far_above_the_end_of_the_log_is_kept() -> None:
    lines = (line("CUDA error: out of memory", "error"), *(line(f"step {i}") for i in range(5000)), line("the end"))
    text = evidence_of(FailedJob(FAILED, lines=lines))
    assert "CUDA error: out of memory" in text
    assert "the end" in text
    assert "step 17\n" not in text


def test_names_addresses_and_tokens_are_taken_out() -> None:
    lines = (
        line("connecting to 192.168.20.5 as anna on spark-5c2d"),
        line("token hf_abcdefghijklmnop in /home/anna/models"),
    )
    text = evidence_of(FailedJob(FAILED, lines=lines, words=("anna", "desk-left")))
    for secret in ("192.168.20.5", "anna", "spark-5c2d", "hf_abcdef"):
        assert secret not in text


def test_a_deployment_without_a_log_says_so() -> None:
    assert "No line of its log is at hand" in evidence_of(FailedJob(FAILED))


@given(st.lists(st.text(max_size=2000), max_size=60), st.text(max_size=5000))
def test_evidence_is_bounded_and_plain_for_any_log(texts: list[str], message: str) -> None:
    job = JobStatus("j", message, "x", ("n",), JobState.FAILED, 0, message=message, remedy=message)
    text = evidence_of(FailedJob(job, lines=[line(each, "error") for each in texts * 5]))
    assert len(text) <= MAX_CHARS
    assert not any(ord(char) < 32 and char != "\n" for char in text)
    assert "\u202e" not in text
