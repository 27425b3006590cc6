"""A server that does not speak OpenAI's protocol is asked nothing but its own ready check, as its own log shows."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.custom import Custom
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.jobs.request import CustomServer, LaunchRequest
from sparkdesk.services.jobs import heartbeat
from tests.services.job_rig import Rig, end_jobs, free_port, until


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path, backends={"custom": Custom()})
    await rig.start()
    yield rig
    await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


async def test_a_server_of_unknown_protocol_is_asked_its_ready_check_only(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "SILENT_BEATS", 1)
    port = free_port()
    command = (sys.executable, "-u", "-m", "http.server", "{port}", "--bind", "127.0.0.1")
    request = LaunchRequest(
        engine="custom",
        model="files",
        nodes=("n1",),
        port=port,
        served_name="files",
        custom=CustomServer(command=command, ready_value="/", base_path=""),
    )
    job_id = await rig.launcher.launch(rig.launcher.plan(request))
    await rig.until_state(job_id, JobState.READY)

    def asked() -> list[str]:
        return re.findall(r'"([A-Z]+ \S+) HTTP', "\n".join(rig.lines(job_id)))

    before = len(asked())
    await until(lambda: len(asked()) >= before + 2, timeout_s=20 * heartbeat.BEAT_S)
    assert set(asked()) == {"GET /"}
    assert rig.status(job_id).state is JobState.READY
