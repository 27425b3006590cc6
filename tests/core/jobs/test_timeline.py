"""The timeline, rates and reports of jobs: what was not seen is not claimed."""

from __future__ import annotations

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.command import Command
from sparkdesk.core.jobs.rate import add_rates
from sparkdesk.core.jobs.reading import GENERATED_TOKENS, REQUESTS_RUNNING, TTFT_COUNT, TTFT_SUM_S
from sparkdesk.core.jobs.record import PhaseState
from sparkdesk.core.jobs.report import describe_end, read_reports
from sparkdesk.core.jobs.story import Story
from sparkdesk.core.jobs.timeline import Timeline
from sparkdesk.core.plain_text import make_line, make_plain
from sparkdesk.core.step import Playbook, Run, Stage, Step

RUN = (Run(Command(("true",))),)
BOOK = Playbook("p", tuple(Stage(k, (Step(k, k, "n1", RUN, phase=k),)) for k in ("put", "load", "token")))
KEYS = ["preflight", "put", "load", "warmup", "token", "ready"]


def states(timeline: Timeline) -> list[PhaseState]:
    """How the phases stand."""
    return [phase.state for phase in timeline.phases(100.0)]


def test_a_phase_that_begins_ends_those_before_it_with_their_times() -> None:
    timeline = Timeline(BOOK)
    timeline.begin("preflight", 0.0)
    timeline.begin("put", 1.0)
    timeline.begin("load", 3.0)
    timeline.begin("put", 4.0)
    phases = timeline.phases(10.0)
    assert [phase.key for phase in phases] == KEYS
    assert [phase.seconds for phase in phases[:3]] == [1.0, 2.0, 7.0]
    assert phases[2].state is PhaseState.CURRENT
    assert math.isnan(phases[3].seconds)


def test_a_failure_fails_the_current_phase_and_leaves_the_rest_undone() -> None:
    timeline = Timeline(BOOK)
    timeline.begin("load", 3.0)
    timeline.fail(5.0, "exit code 1")
    assert states(timeline)[2:] == [PhaseState.FAILED, PhaseState.TO_DO, PhaseState.TO_DO, PhaseState.TO_DO]
    assert timeline.phases(9.0)[2].note == "exit code 1"


def test_ready_counts_on_and_a_stop_skips_what_was_not_reached() -> None:
    timeline = Timeline(BOOK)
    timeline.begin("token", 3.0)
    timeline.finish(5.0)
    assert set(states(timeline)) == {PhaseState.DONE}
    assert timeline.phases(65.0)[-1].seconds == 60.0
    other = Timeline(BOOK)
    other.begin("load", 3.0)
    other.stop(4.0)
    assert states(other)[2:] == [PhaseState.SKIPPED] * 4


def test_what_a_phase_came_to_is_kept_whatever_is_said_after_it_and_never_in_place_of_why_it_failed() -> None:
    timeline = Timeline(BOOK)
    timeline.begin("load", 1.0)
    timeline.note("load", "4 slots of 2,048 tokens", is_result=True)
    timeline.note("load", "Model loaded", 1.0)
    assert timeline.phases(2.0)[2].note == "Model loaded"
    timeline.begin("token", 3.0)
    assert timeline.phases(4.0)[2].note == "4 slots of 2,048 tokens"
    timeline.note("load", "KV cache of 31,227 tokens", is_result=True)
    assert timeline.phases(4.0)[2].note == "KV cache of 31,227 tokens", "its log comes later than its proof"
    timeline.fail(5.0, "exit code 1")
    timeline.note("token", "Server listens", 1.0, is_result=True)
    assert next(phase.note for phase in timeline.phases(6.0) if phase.key == "token") == "exit code 1"


def test_a_warm_up_that_the_log_tells_of_is_timed_and_one_that_it_does_not_is_no_phase() -> None:
    told = Timeline(BOOK)
    told.begin("load", 1.0)
    told.begin("warmup", 4.0)
    told.begin("token", 9.0)
    assert [(phase.key, phase.seconds) for phase in told.phases(10.0)[2:5]] == [
        ("load", 3.0),
        ("warmup", 5.0),
        ("token", 1.0),
    ]
    silent = Timeline(BOOK)
    silent.begin("load", 1.0)
    silent.begin("token", 9.0)
    silent.begin("warmup", 9.5)
    assert [phase.key for phase in silent.phases(10.0)] == ["preflight", "put", "load", "token", "ready"]
    assert silent.state_of("token") is PhaseState.CURRENT


def test_a_phase_that_ended_has_its_last_word_or_none() -> None:
    timeline = Timeline(BOOK)
    timeline.begin("put", 0.5)
    timeline.note("put", "12 of 45 GB, 110 MB/s", 0.27)
    timeline.begin("load", 1.0)
    timeline.note("load", "Weights 12 of 12 files", 1.0)
    timeline.note("load", "layers 3 of 12", 0.25)
    assert (timeline.note_of("load"), timeline.phases(2.0)[2].fraction) == ("layers 3 of 12", 0.25)
    timeline.begin("token", 9.0)
    timeline.note("load", "layers 4 of 12", 0.33)
    timeline.note("token", '"OK", 80 ms', is_result=True)
    timeline.finish(10.0)
    notes = {phase.key: phase.note for phase in timeline.phases(11.0)}
    assert notes == {"preflight": "", "put": "", "load": "Weights 12 of 12 files", "token": '"OK", 80 ms', "ready": ""}
    assert all(math.isnan(phase.fraction) for phase in timeline.phases(11.0))


def test_a_server_that_ends_after_it_was_ready_has_failed_there_and_counts_no_longer() -> None:
    timeline = Timeline(BOOK)
    timeline.begin("put", 0.0)
    timeline.finish(10.0)
    timeline.fail(70.0, "exit code 1")
    timeline.stop(80.0)
    ready = timeline.phases(500.0)[-1]
    assert (ready.state, ready.seconds, ready.note) == (PhaseState.FAILED, 60.0, "exit code 1")
    stopped = Timeline(BOOK)
    stopped.finish(10.0)
    stopped.stop(30.0)
    assert (stopped.phases(500.0)[-1].state, stopped.phases(500.0)[-1].seconds) == (PhaseState.DONE, 20.0)
    stopped.finish(600.0)
    assert stopped.phases(601.0)[-1].seconds == 1.0


def test_a_timeline_goes_on_from_what_was_kept_and_claims_no_time_that_nobody_saw() -> None:
    timeline = Timeline(BOOK)
    timeline.begin("put", 100.0)
    timeline.begin("load", 102.0)
    timeline.note("load", "layers 3 of 12", 0.25)
    story = Story.from_json(timeline.story(107.0, 1_000_000).to_json())
    later = Timeline(BOOK)
    later.recall(story, 4.0, 1_060_000)
    load = later.phases(4.0)[2]
    assert (load.state, math.isnan(load.seconds), load.note) == (PhaseState.CURRENT, True, "")
    assert later.phases(4.0)[1].seconds == 2.0
    later.begin("token", 5.0)
    assert math.isnan(later.phases(6.0)[2].seconds), "when it ended nobody saw"
    seen, died = Timeline(BOOK), Timeline(BOOK)
    for other in (seen, died):
        other.recall(story, 4.0, 1_060_000)
    seen.see("load")
    assert seen.phases(4.0)[2].seconds == 65.0
    seen.begin("token", 5.0)
    assert seen.phases(6.0)[2].seconds == 66.0
    died.fail(math.nan, "gone")
    assert [math.isnan(died.phases(9.0)[2].seconds), died.phases(9.0)[2].state] == [True, PhaseState.FAILED]
    stranger = Timeline(Playbook("p", ()))
    stranger.recall(story, 4.0, 1_060_000)
    assert [phase.key for phase in stranger.phases(5.0)] == ["preflight", "ready"]


def test_rates_come_from_counters_that_grew() -> None:
    found = add_rates({GENERATED_TOKENS: 100.0}, {GENERATED_TOKENS: 160.0, REQUESTS_RUNNING: 2.0}, 2.0)
    assert found["generated_tokens_per_s"] == 30.0
    assert found[REQUESTS_RUNNING] == 2.0
    assert "generated_tokens_per_s" not in add_rates({GENERATED_TOKENS: 100.0}, {GENERATED_TOKENS: 5.0}, 2.0)
    assert "generated_tokens_per_s" not in add_rates({}, {GENERATED_TOKENS: 5.0}, 2.0)
    assert "generated_tokens_per_s" not in add_rates({GENERATED_TOKENS: 1.0}, {GENERATED_TOKENS: 5.0}, 0.0)
    timed = add_rates({TTFT_SUM_S: 1.0, TTFT_COUNT: 1.0}, {TTFT_SUM_S: 2.0, TTFT_COUNT: 5.0}, 2.0)
    assert timed["ttft_s"] == 0.25


def test_a_report_is_read_with_its_end_and_endpoint() -> None:
    row = {
        "job_id": "abcdefghijklmnop",
        "state": "ended",
        "owner": "me@here",
        "title": "tiny\x1b[31m\n",
        "code": 3,
        "reason": "ended with exit code 3",
        "endpoint": {"host": "127.0.0.1", "port": 8000, "path": "/v1/chat/completions", "model": "tiny"},
    }
    ((report, endpoint),) = read_reports({"jobs": [row, {"job_id": "../../etc"}, 7]}, "n1")
    assert (report.state, report.exit_code, report.title) == ("ended", 3, "tiny␊")
    assert describe_end(report) == "ended with exit code 3"
    assert endpoint is not None
    assert (endpoint.node_id, endpoint.port, endpoint.base_path) == ("n1", 8000, "/v1")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("abcdefghijklmnop"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["jobs", "job_id", "state", "plan", "endpoint", "port", "path", "code", "log_bytes"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.just("jobs"), json_values))
def test_any_answer_of_a_node_gives_reports(found: dict[str, object]) -> None:
    for report, _ in read_reports(json.loads(json.dumps(found)), "n1"):
        assert report.node_id == "n1"


@given(st.text(), st.integers(1, 50))
def test_plain_text_has_no_control_characters_and_keeps_its_bound(text: str, limit: int) -> None:
    shown = make_plain(text, max_chars=limit)
    assert len(shown) <= limit
    assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert "\n" not in make_line(text)
    shown.encode()


def test_what_is_hidden_in_a_text_is_seen() -> None:
    assert make_line("\x1b[2J\x1b]0;title\x07done\r\nnext\u202egpj") == "done␍␊next\ufffdgpj"


def test_tokens_that_are_counted_at_an_answers_end_are_not_zero_a_second_before_it() -> None:
    idle = add_rates({GENERATED_TOKENS: 100.0}, {GENERATED_TOKENS: 100.0, REQUESTS_RUNNING: 0.0}, 2.0)
    assert idle["generated_tokens_per_s"] == 0.0
    busy = add_rates({GENERATED_TOKENS: 100.0}, {GENERATED_TOKENS: 100.0, REQUESTS_RUNNING: 1.0}, 2.0)
    assert "generated_tokens_per_s" not in busy
