"""The container toolkit of a bring-up on simulated nodes: installed, made known to docker, and taken back exactly."""

from __future__ import annotations

from pathlib import Path

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.state import Phase
from sparkdesk.services.bringup.taking_back import NOT_TAKEN
from tests.simulator.bringup_desk import Desk
from tests.simulator.conftest import StartSimulator
from tests.simulator.test_bringup_network import as_root, ask

FILE = "/etc/docker/daemon.json"
KNOWS = "docker info --format '{{json .Runtimes}}'"
LOOK = f"stat -c '%a %s' {FILE}; cat {FILE}; nvidia-ctk --version 2>&1 | head -c 20"

RUNS = "systemctl is-active docker"
STOPS = (
    "Docker is started anew on spark-5c2d: every container there stops.",
    "Docker is stopped on spark-bd26",
    "gpt-oss-120b runs on spark-5c2d: it stops with docker",
)


async def test_a_toolkit_is_installed_and_made_known_and_dockers_file_comes_back_as_it_was(
    start: StartSimulator, tmp_path: Path
) -> None:
    with start("--shape", "pair", "--fault", "no-toolkit:spark-5c2d", "--fault", "docker-down:spark-bd26") as simulator:
        own = '{"dns":["10.0.0.1"]}'
        await as_root(simulator, f"printf %s '{own}' > {FILE}; chmod 604 {FILE}; rm -f {FILE}.none")
        before = await ask(simulator, LOOK)
        one = Desk(tmp_path / "desk", simulator)
        await one.open()
        try:
            planned = (await one.look(Choices(chapters=frozenset({"docker"})))).plan
            assert planned is not None
            steps = [step.id for step in planned.playbook.steps()]
            assert steps == ["docker-daemon-n2", "docker-toolkit-n1", "docker-runtime-n1"]
            one.bring_up.start()
            state = await one.rest()
            assert (state.phase, state.message) == (Phase.DONE, "")
            assert await ask(simulator, RUNS, 1) == (0, "active\n")
            assert "nvidia" in (await ask(simulator, KNOWS))[1]
            assert "10.0.0.1" in (await ask(simulator, f"cat {FILE}"))[1]
            one.busy, one.says_yes = {"n1": ("gpt-oss-120b",)}, False
            one.asked.clear()
            one.bring_up.undo()
            state = await one.rest()
            assert (state.phase, state.message) == (Phase.DONE, NOT_TAKEN)
            assert [all(words in question for words in STOPS) for question in one.asked] == [True], "asked, and once"
            assert await ask(simulator, RUNS, 1) == (0, "active\n")
            one.says_yes = True
            one.bring_up.undo()
            assert (await one.rest()).phase is Phase.UNDONE
            assert await ask(simulator, LOOK) == before
            assert await ask(simulator, RUNS, 1) == (3, "inactive\n"), "it was down before"
        finally:
            await one.close()
