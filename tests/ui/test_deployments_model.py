"""What the deployments page says of jobs: sections, timeline, endpoint, loss, log and the past of their readings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.feed import Lost
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobState, LogLine
from tests.ui import rack
from tests.ui.stage import Stage
from ui.jobs.log_rows import RowMaker
from ui.jobs.model import DeploymentsModel, moment
from ui.jobs.words.address import Seen, endpoint_text

JOBS = (
    rack.job("j1", "gpt-oss-120b", 0),
    rack.job("j2", "llama-3.3-70b", 1, JobState.LOADING),
    rack.job("j3", "qwen3-coder", 3, JobState.STOPPED),
    rack.job("j5", "qwen3.5-397b", 1, JobState.FAILED, message="Memory fell to 3.8 GiB.", remedy="Lower the context."),
)


@pytest.fixture
def stage(dressed: object) -> Stage:
    found = Stage()
    found.serve(*JOBS)
    return found


@pytest.fixture
def model(stage: Stage) -> DeploymentsModel:
    return DeploymentsModel(stage.deployment_feeds())


def test_jobs_stand_in_sections(model: DeploymentsModel) -> None:
    rows = [(entry.job_id, entry.title) for entry in model.entries()]
    assert rows == [
        ("", "Running"),
        ("j1", "gpt-oss-120b"),
        ("", "Starting"),
        ("j2", "llama-3.3-70b"),
        ("", "Stopped or failed, logs kept"),
        ("j3", "qwen3-coder"),
        ("j5", "qwen3.5-397b"),
    ]
    assert model.summary() == "1 ready, 1 starting, 1 failed"


def test_a_row_says_engine_place_and_figures(model: DeploymentsModel) -> None:
    entry = model.entries()[1]
    assert (entry.line, entry.figures) == ("llama.cpp · spark-5c2d", "228 tok/s   8 running, 14 waiting")
    assert entry.figures_short == "228 tok/s   8 / 14"
    assert model.entries()[3].figures == "Load: 62 %"


def test_a_failed_row_keeps_its_last_line(model: DeploymentsModel) -> None:
    assert model.entries()[-1].fault == "Memory fell to 3.8 GiB."


def test_the_filter_finds_by_name_node_and_state(model: DeploymentsModel) -> None:
    for needle, found in (("oss", "j1"), ("spark-3995", "j3"), ("failed", "j5")):
        model.set_needle(needle)
        assert [entry.job_id for entry in model.entries() if entry.job_id] == [found]
    model.set_needle("nothing like it")
    assert model.entries() == []


def test_the_first_job_is_selected_and_a_lost_one_is_replaced(stage: Stage, model: DeploymentsModel) -> None:
    assert model.job_id == "j1"
    stage.serve(*JOBS[1:])
    assert model.job_id == "j2"
    stage.serve()
    assert model.job_id == ""


def test_a_job_that_is_just_being_launched_is_selected_when_it_comes(stage: Stage, model: DeploymentsModel) -> None:
    model.select("j9")
    assert model.job_id == "j1"
    stage.serve(rack.job("j9", "new", 2, JobState.STARTING), *JOBS)
    assert model.job_id == "j9"


def test_the_current_phase_counts_on_between_two_reports(stage: Stage, model: DeploymentsModel) -> None:
    model.select("j2")
    stage.now_ms += 4000
    job = model.job()
    assert job is not None
    stages = model.stages(job)
    assert [(s.title, s.state, s.time_text) for s in stages[:3]] == [
        ("Prepare", "done", "0:04"),
        ("Load", "current", "0:35"),
        ("Warm-up", "todo", ""),
    ]


def test_an_endpoint_is_told_with_the_tunnel_that_leads_to_it() -> None:
    said = endpoint_text(rack.endpoint(0, "gpt-oss-120b"), rack.record(0), "ssh -N")
    assert said.url == "http://127.0.0.1:8080/v1"
    assert said.tunnel == "ssh -N"
    assert said.limits == "4,096 tokens a request"


def test_a_server_whose_node_is_gone_has_no_tunnel(stage: Stage) -> None:
    model = DeploymentsModel(stage.deployment_feeds())
    (first, *_) = [job for job in JOBS if job.endpoint is not None]
    said = model.endpoint(first)
    assert said is not None
    assert said.tunnel.startswith("ssh -N -L ")
    stage.nodes.set(())
    gone = model.endpoint(first)
    assert gone is not None
    assert (gone.tunnel, gone.where) == ("", "Its node is not in this cluster")
    assert endpoint_text(Endpoint("node0", "127.77.0.1", 8000, "m"), None, "").limits == ""


@pytest.mark.parametrize(
    ("is_open", "words"), [(False, "itself only"), (None, "meant for the node"), (True, "more than")]
)
def test_a_server_that_listens_on_the_network_unasked_is_said_to(is_open: bool | None, words: str) -> None:
    said = endpoint_text(rack.endpoint(0, "m"), rack.record(0), "", None, Seen(is_open=is_open))
    assert words in said.where
    assert bool(said.exposure) == (is_open is True)


def test_the_loss_is_named_before_a_stop(model: DeploymentsModel) -> None:
    assert model.loss(JOBS[0]) == "8 running requests end now."
    assert model.loss(replace(JOBS[0], readings=rack.readings(1, 0))) == "1 running request ends now."
    assert model.loss(replace(JOBS[0], readings=rack.readings(0, 0))) == "No request runs now."
    assert "not known" in model.loss(replace(JOBS[0], readings=()))
    assert "its start ends" in model.loss(JOBS[1]).lower()


def test_the_commands_of_stopping_are_shown(model: DeploymentsModel) -> None:
    script = model.stop_script(JOBS[0])
    assert script.startswith("# End the process group on spark-5c2d\npython3 job.py stop")


def test_log_lines_keep_source_level_and_what_was_cut() -> None:
    rows = RowMaker().rows(
        [
            LogLine(rack.NOW_MS, "engine", "warning", "slow", cut_bytes=1200),
            LogLine(0, "SparkDesk", "strange", "x"),
            Lost(4096),
        ]
    )
    assert rows[0][1:4] == ("engine", "WARN", "slow … 1,200 more bytes")
    assert rows[1][:4] == ("", "SparkDesk", "INFO", "x")
    assert rows[2][3].startswith("4,096 lines were lost")


def test_moments_are_said_as_people_do() -> None:
    day_ms = 86_400_000
    assert moment(rack.NOW_MS, rack.NOW_MS).startswith("today ")
    assert moment(rack.NOW_MS - day_ms, rack.NOW_MS).startswith("yesterday ")
    assert moment(rack.NOW_MS - 9 * day_ms, rack.NOW_MS).startswith("20")
