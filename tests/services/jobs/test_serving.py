"""Ready means that tokens come: an engine that is dead behind an API that answers is seen, and so is its return.

Real processes and sockets; the pauses of a pulse are shortened, its rules are those of core/jobs/pulse.py.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.jobs import pulse
from sparkdesk.core.jobs.reading import WEIGHTS_BYTES
from sparkdesk.core.jobs.record import JobState
from sparkdesk.services.jobs.pulse import probe
from tests.services.job_rig import Rig, end_jobs, until


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rules in less time."""
    for name, seconds in (("PROBE_AFTER_S", 1.0), ("LEAST_PAUSE_S", 0.3), ("SILENT_AFTER_S", 0.5)):
        monkeypatch.setattr(pulse, name, seconds)
    monkeypatch.setattr(probe, "PROBE_LIMIT_S", 1.0)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.start()
    yield rig
    await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


async def test_an_api_that_answers_while_its_engine_hangs_is_degraded_until_a_token_comes(rig: Rig) -> None:
    sign = rig.folder / "engine"
    job_id = await rig.launch("--hang", str(sign))
    await rig.until_state(job_id, JobState.READY)
    hangs = sign.with_suffix(".now")
    hangs.touch()
    status = await rig.until_state(job_id, JobState.DEGRADED)
    assert "no token within" in status.message
    assert status.remedy
    async with rig.launcher.client(job_id) as client:
        assert (await client.get("/health"))[0] == 200, "its API answered all the time"
    hangs.unlink()
    assert (await rig.until_state(job_id, JobState.READY)).message == ""


async def test_an_error_inside_an_answer_of_status_200_is_seen(rig: Rig) -> None:
    sign = rig.folder / "engine"
    job_id = await rig.launch("--hang", str(sign))
    await rig.until_state(job_id, JobState.READY)
    sign.with_suffix(".error").touch()
    rig.launcher.doubt(job_id)
    status = await rig.until_state(job_id, JobState.DEGRADED)
    assert "EngineCore" in status.message


async def test_a_frozen_server_is_degraded_and_ready_again_when_it_thaws(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.until_state(job_id, JobState.READY)
    os.kill(rig.pid(job_id), signal.SIGSTOP)
    try:
        status = await rig.until_state(job_id, JobState.DEGRADED)
        assert "does not serve" in status.message
    finally:
        os.kill(rig.pid(job_id), signal.SIGCONT)
    await rig.until_state(job_id, JobState.READY)


async def test_an_engine_that_its_guard_starts_again_is_counted_and_proved_again(rig: Rig) -> None:
    job_id = await rig.launcher.launch(rig.launcher.plan(rig.request(restart_limit=2)))
    await rig.until_state(job_id, JobState.READY)
    first = rig.pid(job_id)
    os.kill(first, signal.SIGKILL)
    status = await rig.until_state(job_id, JobState.DEGRADED)
    assert "started again, 1 of 2" in status.message
    status = await rig.until_state(job_id, JobState.READY)
    assert (status.restarts, rig.pid(job_id) != first) == (1, True)
    lines = rig.launcher.log(job_id).past
    tries = [line.attempt for line in lines if line.text == "echo: loading"]
    assert tries == [1, 2], "each line says which start of the engine wrote it"
    assert next(line.attempt for line in lines if "restart 1 of 2" in line.text) == 2


async def test_what_an_engine_says_of_itself_is_kept_also_by_who_adopts_it(rig: Rig) -> None:
    job_id = await rig.launch("--tell")
    await rig.until_state(job_id, JobState.READY)
    await until(lambda: rig.launcher.told(job_id) == {WEIGHTS_BYTES: 123456.0})
    assert rig.launcher.told_words(job_id) == {"version": "7"}
    other = Rig(rig.folder, owner="anna@there")
    try:
        await other.start()
        await other.until_state(job_id, JobState.READY)
        await until(lambda: other.launcher.told(job_id) == {WEIGHTS_BYTES: 123456.0})
    finally:
        await other.close()


async def test_a_second_start_has_an_estimate_and_a_warm_up_that_is_told_is_timed(rig: Rig) -> None:
    request = rig.request("--load", "1.5", "--warm-up")
    etas: list[float] = []
    on_its_way = (JobState.STARTING, JobState.LOADING)  # a slow machine may never see it load
    rig.launcher.jobs.subscribe(lambda jobs: etas.extend(job.eta_s for job in jobs if job.state in on_its_way))
    assert rig.launcher.last_request() is None
    for _ in range(2):
        job_id = await rig.launcher.launch(rig.launcher.plan(request))
        status = await rig.until_state(job_id, JobState.READY)
        assert "warmup" in [phase.key for phase in status.phases]
        assert math.isnan(status.eta_s), "there is nothing to wait for any more"
        await rig.launcher.stop(job_id)
        await until(lambda: rig.launcher.problems(request) == [])  # its port is seen to be free by the next look
    known = [eta for eta in etas if not math.isnan(eta)]
    assert math.isnan(etas[0]), "nothing is said before the first start"
    assert known[0] > 0.5
    assert known[-1] < known[0]
    assert rig.launcher.last_request() == request
    assert rig.launcher.usual_start_s(request) > 0.5
