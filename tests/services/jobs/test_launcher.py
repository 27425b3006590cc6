"""Launch, watch, stop and adopt with real processes: what is said of a job is what its node proved."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sparkdesk.core.errors import PlanError, StepFailed
from sparkdesk.core.jobs import plan_json
from sparkdesk.core.jobs.reading import GENERATED_TOKENS
from sparkdesk.core.jobs.record import JobState, JobStatus, PhaseState
from sparkdesk.core.playbooks.reader import read_progress
from sparkdesk.core.step import RunEnded
from tests.services.job_rig import JOBS, Rig, end_jobs, free_port, is_running, until

MakeRig = Callable[..., Rig]


@pytest.fixture
async def make_rig(tmp_path: Path) -> AsyncIterator[MakeRig]:
    made: list[Rig] = []

    def make(**options: str) -> Rig:
        made.append(Rig(tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for rig in made:
        await rig.close()
    await asyncio.to_thread(end_jobs, tmp_path)


@pytest.fixture
async def rig(make_rig: MakeRig) -> Rig:
    rig = make_rig()
    await rig.start()
    return rig


async def test_a_launch_goes_from_plan_to_ready_to_a_verified_stop(rig: Rig) -> None:
    job_id = await rig.launch("--load", "0.5")
    (intent,) = await rig.store.job_intents()
    assert plan_json.from_json(intent.plan_json) == rig.launcher.plan_of(job_id)
    ready = await rig.until_state(job_id, JobState.READY)
    assert [phase.key for phase in ready.phases] == ["preflight", "put", "start", "load", "token", "ready"]
    assert {phase.state for phase in ready.phases} == {PhaseState.DONE}
    assert all(phase.seconds >= 0 for phase in ready.phases)
    load = next(phase for phase in ready.phases if phase.key == "load")
    assert (load.note, load.seconds >= 0.4) == ("", True), "what was half-way is not said of what is done"
    token = next(phase for phase in ready.phases if phase.key == "token")
    assert token.note.startswith('"OK", ')
    pid = rig.pid(job_id)
    await until(lambda: rig.status(job_id).reading(GENERATED_TOKENS) == 5.0)
    stop = rig.launcher.stop_plan(job_id)
    assert stop is not None
    await rig.launcher.stop(job_id)
    assert rig.status(job_id).state is JobState.STOPPED
    assert rig.status(job_id).stop_error == ""
    assert not is_running(pid)
    await rig.launcher.stop(job_id)
    assert rig.states == [
        JobState.STARTING,
        JobState.LOADING,
        JobState.READY,
        JobState.STOPPING,
        JobState.STOPPED,
    ]
    (intent,) = await rig.store.job_intents()
    assert intent.state is JobState.STOPPED


async def test_the_intent_is_durable_before_the_first_command(rig: Rig) -> None:
    plan = rig.launcher.plan(rig.request())
    sent_before = len(rig.connector.shells["n1"].lines)
    sent_at_save: list[int] = []
    save = rig.store.save_job_intent

    async def note(intent: object) -> None:
        await save(intent)  # type: ignore[arg-type]
        sent_at_save.append(sum("job.py" in line for line in rig.connector.shells["n1"].lines[sent_before:]))

    rig.store.save_job_intent = note  # type: ignore[method-assign]
    job_id = await rig.launcher.launch(plan)
    await rig.until_state(job_id, JobState.READY)
    assert sent_at_save[0] == 0


async def test_the_log_has_the_engines_lines_and_ours_as_plain_text(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.until_state(job_id, JobState.READY)
    await until(lambda: "echo: answered" in rig.lines(job_id))
    assert rig.lines(job_id) == ["echo: loading", "echo: 50 percent", "echo: listening red", "echo: answered"]
    assert "Start Echo" in rig.lines(job_id, "SparkDesk")
    assert any(isinstance(event, RunEnded) for event in rig.launcher.events(job_id).past)
    await rig.launcher.stop(job_id)
    await until(lambda: any("stopped by user" in line for line in rig.lines(job_id, "job")))


async def test_an_engine_that_dies_at_once_is_failed_with_its_own_words(rig: Rig) -> None:
    job_id = await rig.launch("--die", "CUDA error: no device")
    status = await rig.until_state(job_id, JobState.FAILED)
    assert "exit code 3" in status.message
    assert "Last line: CUDA error: no device" in status.message
    assert status.remedy
    assert next(phase for phase in status.phases if phase.state is PhaseState.FAILED).key in ("start", "load")
    fix = rig.launcher.fix_of(job_id)
    assert fix is not None
    assert (fix.change, "CUDA error: no device" in fix.words, "again as it was" in fix.words) == ((), True, True)
    await rig.launcher.remove(job_id)
    assert not [job for job in rig.launcher.jobs.value if not job.account]
    assert await rig.store.job_intents() == ()
    assert rig.record(job_id, "spec.json") == {}


async def test_a_cause_that_the_adapter_knows_comes_with_its_remedy(rig: Rig) -> None:
    job_id = await rig.launch("--die", "cudaMalloc: out of memory")
    status = await rig.until_state(job_id, JobState.FAILED)
    assert (status.message.split(".")[0], status.remedy) == ("The engine has no memory", "Ask for less.")


async def test_a_server_that_never_gets_ready_is_failed_and_leaves_nothing_running(rig: Rig) -> None:
    rig.echo.load_timeout_s = 1.0
    job_id = await rig.launch("--never-ready")
    status = await rig.until_state(job_id, JobState.FAILED)
    assert "not so after 1 s: /health answers 503; it must answer 200" in status.message
    assert any("/health answers 503; it must answer 200" in line for line in rig.lines(job_id, "SparkDesk"))
    assert status.remedy
    assert status.stop_error == ""
    assert not is_running(rig.pid(job_id))


def test_a_port_that_is_closed_is_said_in_words() -> None:
    said = '{"ready": false, "detail": "no answer yet: 127.0.0.1:8000/health: [Errno 111] Connection refused"}'
    progress = read_progress("ready", said)
    assert progress is not None
    assert progress.text == "port 8000 does not answer yet"
    assert read_progress("ready", '{"ready": true, "detail": "/health answers 200"}') is None


async def test_a_server_that_generates_nothing_is_not_ready(rig: Rig) -> None:
    job_id = await rig.launch("--no-token")
    status = await rig.until_state(job_id, JobState.FAILED, JobState.READY)
    assert status.state is JobState.FAILED
    assert "no token was generated" in status.message
    assert not is_running(rig.pid(job_id))


async def test_a_program_that_is_not_there_is_failed(rig: Rig) -> None:
    plan = rig.launcher.plan(rig.request())
    text = plan_json.to_json(plan).replace(b"echo_engine.py", b"no_engine.py")
    job_id = await rig.launcher.launch(plan_json.from_json(text))
    status = await rig.until_state(job_id, JobState.FAILED)
    assert "no_engine.py" in status.message


async def test_a_program_that_the_node_does_not_have_is_said_by_its_name(rig: Rig) -> None:
    plan = rig.launcher.plan(rig.request())
    text = plan_json.to_json(plan).replace(sys.executable.encode(), b"no_such_program")
    job_id = await rig.launcher.launch(plan_json.from_json(text))
    status = await rig.until_state(job_id, JobState.FAILED)
    assert status.message.startswith("no_such_program is not on ")


async def test_a_node_is_looked_at_again_when_its_job_is_ready_and_when_it_is_over(rig: Rig) -> None:
    port = free_port()

    def holder() -> str:
        contexts = {context.record.id: context for context in rig.launcher.node_contexts.value}
        return contexts["n1"].used_ports.get(port, "")

    job_id = await rig.launch(port=port)
    await rig.until_state(job_id, JobState.READY)
    await until(lambda: "(pid " in holder())  # what the node itself says of the port
    await rig.launcher.stop(job_id)
    await until(lambda: holder() == "")
    assert rig.launcher.problems(rig.request(port=port)) == []
    assert rig.launcher.looks.age_s("n1") >= 0


async def test_a_taken_port_is_refused_before_anything_is_written(rig: Rig) -> None:
    port = free_port()
    plan = rig.launcher.plan(rig.request(port=port))
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(PlanError, match=f"Port {port} is in use"):
            await rig.launcher.launch(plan)
    assert await rig.store.job_intents() == ()
    assert not [job for job in rig.launcher.jobs.value if not job.account]


async def test_the_port_of_a_server_that_was_stopped_or_failed_is_free_before_its_node_is_looked_at_again(
    rig: Rig,
) -> None:
    port = free_port()

    def refused() -> list[str]:
        return [problem.field for problem in rig.launcher.problems(rig.request(port=port))]

    job_id = await rig.launch(port=port)
    await rig.until_state(job_id, JobState.READY)
    await rig.launcher.survey("n1")
    contexts = {node.record.id: node for node in rig.launcher.node_contexts.value}
    assert "(pid " in contexts["n1"].used_ports[port], "the node itself says who holds it"
    found: list[list[str]] = []

    def note(jobs: tuple[JobStatus, ...]) -> None:
        if any(job.job_id == job_id and job.state.is_over for job in jobs):
            found.append(refused())

    rig.launcher.jobs.subscribe(note)
    await rig.launcher.stop(job_id)
    assert found[0] == [], "in the moment in which it is stopped"
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the server's own connections linger
        other.bind(("127.0.0.1", port))
        other.listen()
        await rig.launcher.survey("n1")
        assert refused() == ["port"], "a look that is younger tells who holds it now"


async def test_a_port_that_our_own_starting_job_will_take_is_in_use(rig: Rig) -> None:
    job_id = await rig.launch("--load", "2")
    endpoint = rig.status(job_id).endpoint
    assert endpoint is not None
    problems = rig.launcher.problems(rig.request(port=endpoint.port))
    assert [problem.field for problem in problems] == ["port"]
    held = [node.used_ports for node in rig.launcher.node_contexts.value]
    assert endpoint.port in held[0], "who chooses the next launch's port sees it without another look at the node"
    await rig.launcher.stop(job_id)
    held = [node.used_ports for node in rig.launcher.node_contexts.value]
    assert endpoint.port not in held[0]


async def test_an_unknown_engine_is_a_problem_of_its_field(rig: Rig) -> None:
    request = rig.request(engine="nothing")
    assert [problem.field for problem in rig.launcher.problems(request)] == ["engine"]
    with pytest.raises(PlanError):
        rig.launcher.plan(request)


async def test_stopping_while_it_starts_ends_the_start(rig: Rig) -> None:
    job_id = await rig.launch("--never-ready")
    await rig.until_state(job_id, JobState.LOADING)
    await asyncio.gather(rig.launcher.stop(job_id), rig.launcher.stop(job_id))
    assert rig.status(job_id).state is JobState.STOPPED
    assert not is_running(rig.pid(job_id))
    assert JobState.FAILED not in rig.states


async def test_stopping_before_anything_was_started_is_stopped(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.launcher.stop(job_id)
    assert rig.status(job_id).state is JobState.STOPPED
    pid = rig.record(job_id).get("pid")
    assert not (isinstance(pid, int) and is_running(pid))


async def test_a_server_that_ignores_sigterm_is_stopped_all_the_same(rig: Rig) -> None:
    job_id = await rig.launch("--deaf")
    await rig.until_state(job_id, JobState.READY)
    pid = rig.pid(job_id)
    await rig.launcher.stop(job_id)
    assert rig.status(job_id).state is JobState.STOPPED
    assert not is_running(pid)


async def test_a_stop_that_cannot_be_verified_says_so_and_can_be_repeated(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.until_state(job_id, JobState.READY)
    rig.connector.lose("n1")
    await rig.launcher.stop(job_id)
    status = rig.status(job_id)
    assert status.state is JobState.UNKNOWN
    assert status.stop_error
    rig.connector.give_back("n1")
    await rig.until_state(job_id, JobState.READY)
    await rig.launcher.stop(job_id)
    assert (rig.status(job_id).state, rig.status(job_id).stop_error) == (JobState.STOPPED, "")


async def test_a_killed_engine_is_noticed(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.until_state(job_id, JobState.READY)
    os.kill(rig.pid(job_id), signal.SIGKILL)
    status = await rig.until_state(job_id, JobState.FAILED)
    assert "ended by signal 9" in status.message
    assert status.readings == ()


async def test_a_lost_node_makes_the_job_not_known_and_its_return_ready_again(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.until_state(job_id, JobState.READY)
    pid = rig.pid(job_id)
    rig.connector.lose("n1")
    lost = await rig.until_state(job_id, JobState.UNKNOWN, JobState.FAILED, JobState.ENDED)
    assert lost.state is JobState.UNKNOWN
    assert lost.remedy
    rig.connector.give_back("n1")
    await rig.until_state(job_id, JobState.READY)
    assert rig.pid(job_id) == pid
    async with rig.launcher.client(job_id) as client:
        assert (await client.get("/health"))[0] == 200
    before = rig.lines(job_id)
    await asyncio.sleep(0.5)
    assert rig.lines(job_id) == before
    assert before.count("echo: loading") == 1


async def test_a_node_lost_while_it_starts_is_not_a_failure(rig: Rig) -> None:
    job_id = await rig.launch("--load", "2")
    await rig.until_state(job_id, JobState.LOADING)
    rig.connector.lose("n1")
    await asyncio.sleep(0.5)
    rig.connector.give_back("n1")
    await rig.until_state(job_id, JobState.READY)
    assert JobState.FAILED not in rig.states


async def test_quit_and_start_again_finds_the_running_job(make_rig: MakeRig) -> None:
    first = make_rig()
    await first.start()
    job_id = await first.launch()
    await first.until_state(job_id, JobState.READY)
    pid = first.pid(job_id)
    await first.close()
    assert is_running(pid)
    second = make_rig()
    await second.start()
    status = await second.until_state(job_id, JobState.READY)
    assert not status.is_adopted, "this computer launched it"
    assert second.pid(job_id) == pid
    assert second.launcher.plan_of(job_id) is not None
    await until(lambda: "echo: answered" in second.lines(job_id))
    await second.launcher.stop(job_id)
    assert not is_running(pid)


async def test_quit_while_it_starts_and_start_again_carries_the_launch_on(make_rig: MakeRig) -> None:
    first = make_rig()
    await first.start()
    job_id = await first.launch("--load", "2")
    await first.until_state(job_id, JobState.LOADING)
    pid = first.pid(job_id)
    await first.close()
    second = make_rig()
    await second.start()
    await second.until_state(job_id, JobState.READY)
    assert second.pid(job_id) == pid
    journal = [json.loads(entry) for entry in await second.store.journal(job_id)]
    applied = [e["step"] for e in journal if e["kind"] == "step_started" and e["part"] == "apply"]
    assert (applied.count("start"), applied.count("token")) == (1, 1)
    assert (journal[-1]["kind"], journal[-1]["result"]) == ("run_ended", "done")


async def test_a_job_that_ended_while_we_were_away_is_told_as_ended(make_rig: MakeRig) -> None:
    first = make_rig()
    await first.start()
    job_id = await first.launch()
    await first.until_state(job_id, JobState.READY)
    await first.close()
    os.kill(first.pid(job_id), signal.SIGKILL)
    await until(lambda: first.record(job_id, "exit.json") != {})
    second = make_rig()
    await second.start()
    status = await second.until_state(job_id, JobState.FAILED)
    assert "signal 9" in status.message
    second.launcher.log(job_id)
    await until(lambda: "echo: answered" in second.lines(job_id))


async def test_a_job_without_an_intent_is_adopted_when_it_is_ours(make_rig: MakeRig, tmp_path: Path) -> None:
    first = make_rig()
    await first.start()
    job_id = await first.launch()
    await first.until_state(job_id, JobState.READY)
    await first.store.remove_job_intent(job_id)
    pid = first.pid(job_id)
    await first.close()
    second = make_rig()
    await second.start()
    status = await second.until_state(job_id, JobState.READY)
    assert (status.title, status.engine, status.owner) == ("tiny", "echo", "me@here")
    await until(lambda: second.status(job_id).reading(GENERATED_TOKENS) >= 5.0)
    await second.launcher.stop(job_id)
    assert not is_running(pid)


async def test_a_job_stopped_while_its_folder_was_written_stays_stopped_after_a_new_start(
    make_rig: MakeRig, tmp_path: Path
) -> None:
    first = make_rig()
    await first.start()
    job_id = await first.launch()
    await first.until_state(job_id, JobState.READY)
    await first.launcher.stop(job_id)
    await first.until_state(job_id, JobState.STOPPED)
    await first.close()
    folder = tmp_path / "nodes/n1" / JOBS / job_id
    (folder / "spec.json").unlink()  # as a stop leaves it that came before the second file
    second = make_rig()
    await second.start()
    await asyncio.sleep(1.5)  # the node's folders were listed by then
    assert second.status(job_id).state is JobState.STOPPED


async def test_a_folder_of_another_schema_is_shown_and_not_touched(make_rig: MakeRig, tmp_path: Path) -> None:
    folder = tmp_path / "nodes/n1/.local/state/sparkdesk/jobs/abcdefghijklmnop"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text('{"schema": 99}')
    rig = make_rig()
    await rig.start()
    status = await rig.until_state("abcdefghijklmnop", JobState.UNKNOWN)
    assert "another release" in status.message
    with pytest.raises(StepFailed):
        await rig.launcher.stop("abcdefghijklmnop")
    assert (folder / "spec.json").read_text() == '{"schema": 99}'


async def test_one_forward_serves_everybody_and_goes_with_the_last(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.until_state(job_id, JobState.READY)
    async with rig.launcher.client(job_id) as one, rig.launcher.client(job_id) as two:
        assert one is two
        status, body = await one.get("/health")
        assert (status, json.loads(body)["pid"]) == (200, rig.pid(job_id))


async def test_what_runs_cannot_be_removed(rig: Rig) -> None:
    job_id = await rig.launch()
    await rig.until_state(job_id, JobState.READY)
    with pytest.raises(StepFailed, match="not over"):
        await rig.launcher.remove(job_id)
    with pytest.raises(PlanError):
        await rig.launcher.stop("aaaaaaaaaaaaaaaa")


async def test_a_launcher_that_is_made_while_nodes_are_live_knows_them_at_once(rig: Rig) -> None:
    later = rig.make_launcher()
    try:
        assert {context.record.id for context in later.node_contexts.value} == {
            context.record.id for context in rig.launcher.node_contexts.value
        }
    finally:
        await later.close()
