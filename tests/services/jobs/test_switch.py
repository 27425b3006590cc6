"""One server takes another's place as one plan, a failed launch says what to change, a copied address works."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.errors import PlanError, SparkDeskError
from sparkdesk.core.jobs.fix import apply_fix
from sparkdesk.core.jobs.plan import MemoryLedger
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.playbooks.switch import load_timeout_of, stopped_first
from sparkdesk.services.jobs.start.plans import without_job
from tests.services.job_rig import Rig, end_jobs, free_port, is_running, until

GIB = 1 << 30


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.start()
    yield rig
    await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


async def ready(rig: Rig, *flags: str, port: int = 0) -> str:
    """A server that is ready."""
    job_id = await rig.launch(*flags, port=port)
    await rig.until_state(job_id, JobState.READY)
    return job_id


def read(url: str) -> bytes:
    """What answers there."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        data: bytes = answer.read()
        return data


async def test_a_switch_is_one_plan_whose_stop_is_verified_before_the_start(rig: Rig) -> None:
    port = free_port()
    first = await ready(rig, port=port)
    pid = rig.pid(first)
    request = rig.request(port=port)
    assert [problem.field for problem in rig.launcher.problems(request)] == ["port"]
    assert rig.launcher.problems(request, stop_first=first) == []
    plan = rig.launcher.switch_plan(first, request)
    assert [step.phase for step in plan.playbook.steps()][:2] == ["switch", "put"]
    assert stopped_first(plan.playbook) == first
    second = await rig.launcher.switch(first, plan)
    status = await rig.until_state(second, JobState.READY)
    assert (rig.status(first).state, rig.status(first).stop_error) == (JobState.STOPPED, "")
    assert not is_running(pid)
    assert [phase.key for phase in status.phases][:3] == ["preflight", "switch", "put"]
    async with asyncio.timeout(30):  # it is seen a moment before it is kept
        while {one.job_id: one.state for one in await rig.store.job_intents()} != {
            first: JobState.STOPPED,
            second: JobState.READY,
        }:
            await asyncio.sleep(0.05)


async def test_a_longer_wait_for_the_load_holds_over_a_restart_a_switch_and_the_same_again(rig: Rig) -> None:
    request, other = rig.request(), rig.request()
    first = await rig.launcher.launch(rig.launcher.plan(request, load_timeout_s=1800.0))
    await rig.until_state(first, JobState.READY)
    restart = rig.launcher.switch_plan(first, request)
    assert load_timeout_of(restart.playbook) == 1800.0, "the same again is waited for as long as before"
    assert load_timeout_of(rig.launcher.switch_plan(first, request, load_timeout_s=240.0).playbook) == 240.0
    assert load_timeout_of(rig.launcher.switch_plan(first, other).playbook) == 60.0
    second = await rig.launcher.switch(first, restart)
    await rig.until_state(second, JobState.READY)
    kept = rig.launcher.plan_of(second)
    assert kept is not None
    assert load_timeout_of(kept.playbook) == 1800.0
    third = await rig.launcher.switch(second, rig.launcher.plan(other.model_copy(), load_timeout_s=300.0))
    await rig.until_state(third, JobState.READY)
    after = rig.launcher.plan_of(third)
    assert after is not None
    assert (stopped_first(after.playbook), load_timeout_of(after.playbook)) == (second, 300.0)
    assert load_timeout_of(rig.launcher.plan(request).playbook) == 1800.0


async def test_the_one_that_made_room_is_offered_again_when_the_other_fails(rig: Rig) -> None:
    first = await ready(rig)
    asked = rig.launcher.plan_of(first)
    assert asked is not None
    failed = await rig.launcher.switch(first, rig.launcher.switch_plan(first, rig.request("--die", "nothing helps")))
    await rig.until_state(failed, JobState.FAILED)
    (fix,) = rig.launcher.fixes_of(failed)
    assert fix.words == "Start tiny again instead"
    assert rig.launcher.request_after(failed, fix) == asked.request


async def test_a_restart_that_failed_is_not_offered_again_as_it_was_and_the_engines_own_words_come_first(
    rig: Rig,
) -> None:
    words = "the estimated maximum model length is 1692. Try increasing the memory or decreasing the length."
    port = free_port()
    request = rig.request("--die", words, port=port)
    first = await ready(rig, port=port)
    deployment = rig.launcher._shelf.find(first)
    assert deployment is not None
    assert deployment.plan is not None
    deployment.plan = replace(deployment.plan, request=request)  # it loaded once, and now does not any more
    failed = await rig.launcher.switch(first, rig.launcher.switch_plan(first, request))
    await rig.until_state(failed, JobState.FAILED)
    (fix,) = rig.launcher.fixes_of(failed)
    assert dict(fix.change) == {"context_tokens": 1680}


async def test_a_switch_whose_stop_fails_starts_nothing_and_the_first_is_asked_after(rig: Rig) -> None:
    first = await ready(rig)
    plan = rig.launcher.switch_plan(first, rig.request())
    program = rig.folder / "nodes/n1/.local/state/sparkdesk/jobs" / first / "job.py"
    whole = program.read_bytes()
    program.write_bytes(b"import sys; sys.exit(7)")
    second = await rig.launcher.switch(first, plan)
    await rig.until_state(second, JobState.FAILED)
    assert rig.record(second) == {}
    assert rig.status(second).stop_error == "", "of itself there was nothing to stop"
    program.write_bytes(whole)
    await rig.until_state(first, JobState.READY)


async def test_the_place_of_the_one_that_leaves_counts_as_free_and_never_more_than_is_used(rig: Rig) -> None:
    first = await ready(rig)
    deployment = rig.launcher._known(first)
    assert deployment.plan is not None
    node = rig.launcher._contexts.current()[0]
    assert [one.is_loading for one in node.residents if one.job_id == first] == [False]
    assert first not in [one.job_id for one in without_job(node, deployment).residents]
    node = replace(node, mem_total_bytes=100 * GIB, mem_available_bytes=50 * GIB)
    for weights, available in ((30 * GIB, 84 * GIB), (80 * GIB, 100 * GIB)):
        ledger = MemoryLedger("n1", None, None, weights, 3 * GIB, GIB)
        deployment.plan = replace(deployment.plan, ledgers=(ledger,))
        freed = without_job(node, deployment)
        assert freed.mem_available_bytes == available
        (own,) = [one for one in node.residents if one.job_id == first]
        loading = replace(node, residents=(replace(own, is_loading=True, coming_bytes=None),))
        assert without_job(loading, deployment).mem_available_bytes is None, "how much of it came is not known"
    deployment.plan = replace(deployment.plan, ledgers=())
    assert without_job(node, deployment).mem_available_bytes is None, "what is not known is no full node"
    other = replace(node, record=rig.launcher.node_contexts.value[1].record)
    assert without_job(other, deployment) == other


async def test_a_double_click_launches_once(rig: Rig) -> None:
    plan = rig.launcher.plan(rig.request())
    ends = await asyncio.gather(rig.launcher.launch(plan), rig.launcher.launch(plan), return_exceptions=True)
    (refused,) = [end for end in ends if isinstance(end, PlanError)]
    assert "launched already" in refused.message
    assert len(await rig.store.job_intents()) == 1
    await rig.until_state(plan.job_id, JobState.READY)


async def test_a_port_that_is_taken_after_preflight_is_named_and_the_next_free_one_offered(rig: Rig) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # it does not listen yet, so that no look at the node sees it
        port = int(other.getsockname()[1])
        plan = rig.launcher.plan(rig.request(port=port))
        job_id = await rig.launcher.launch(plan)
        status = await rig.until_state(job_id, JobState.FAILED)
        fix = rig.launcher.fix_of(job_id)
    assert "port" in status.message
    assert fix is not None
    assert apply_fix(plan.request, fix).port > port
    again = await rig.launcher.launch(rig.launcher.plan(rig.launcher.request_after(job_id, fix)))
    await rig.until_state(again, JobState.READY)


async def test_a_door_leads_to_the_server_keeps_its_port_over_a_lost_line_and_goes_with_the_job(rig: Rig) -> None:
    job_id = await ready(rig)
    with pytest.raises(SparkDeskError):
        await rig.launcher.open_door("aaaaaaaaaaaaaaaa")
    assert rig.launcher.doors.value == {}
    url = await rig.launcher.open_door(job_id)
    assert url == await rig.launcher.open_door(job_id)
    assert url.startswith("http://127.0.0.1:")
    assert b"ok" in await asyncio.to_thread(read, f"{url.removesuffix('/v1')}/health")
    rig.connector.lose("n1")
    await until(lambda: not rig.launcher.doors.value[job_id].is_open)
    rig.connector.give_back("n1")
    await until(lambda: rig.launcher.doors.value[job_id].is_open)
    assert await rig.launcher.open_door(job_id) == url
    assert b"ok" in await asyncio.to_thread(read, f"{url.removesuffix('/v1')}/health")
    await rig.launcher.stop(job_id)
    assert rig.launcher.doors.value == {}
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(read, url)
    assert await rig.launcher.api_key(job_id) == ""
    assert rig.launcher.lan_url(job_id) == ""


async def test_a_name_with_quotes_and_substitutions_is_text_everywhere(rig: Rig, tmp_path: Path) -> None:
    flag = f"--die=\"'$(touch {tmp_path}/owned)`touch {tmp_path}/owned`\nsecond;touch {tmp_path}/owned"
    job_id = await rig.launch(flag)
    await rig.until_state(job_id, JobState.FAILED)
    assert any("$(touch" in line for line in rig.lines(job_id))
    assert not (tmp_path / "owned").exists()
    with pytest.raises(ValueError, match="served_name"):
        rig.request().model_validate({**rig.request().model_dump(), "served_name": "a'$(x)\nb"})


async def test_a_server_on_the_network_has_a_key_that_our_client_uses_and_another_computer_reads(rig: Rig) -> None:
    request = rig.request().model_copy(update={"reach": "lan"})
    job_id = await rig.launcher.launch(rig.launcher.plan(request))
    await rig.until_state(job_id, JobState.READY)
    key = await rig.launcher.api_key(job_id)
    assert len(key) > 20
    assert rig.launcher.lan_url(job_id) == f"http://127.0.0.1:{request.port}/v1"
    async with rig.launcher.client(job_id) as client:
        assert (await client.get("/metrics"))[0] == 200
    with pytest.raises(OSError, match="401"):
        await asyncio.to_thread(read, f"http://127.0.0.1:{request.port}/metrics")
    other = Rig(rig.folder, owner="anna@there")
    try:
        await other.start()
        await other.until_state(job_id, JobState.READY)
        assert await other.launcher.api_key(job_id) == key
    finally:
        await other.close()
    written = [*await rig.store.journal(job_id), *(intent.plan_json for intent in await rig.store.job_intents())]
    assert not any(key.encode() in entry for entry in written)
    await rig.launcher.stop(job_id)
    assert rig.record(job_id, "secrets.json") == {}
