"""A proof by itself leaves a home as it was, whether it came to its end or was cut short and taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Playbook, PutFile, Stage
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.runner import Runner
from tests.core.bringup.proof.proofs import make_proof
from tests.fakes.shell import LocalShell

WAIT_S = 60.0


def programs_of_first_node() -> Playbook:
    """Those steps of a proof that bring a program to the first node."""
    steps = [
        step
        for step in make_proof(2, Shape.PAIR).playbook.steps()
        if step.node == "n1" and any(isinstance(action, PutFile) for action in step.apply)
    ]
    assert len(steps) == 2, "the all_gather and the load of the GPU"
    return Playbook("Prove it", tuple(Stage(step.title, (step,)) for step in steps))


@pytest.fixture(params=[(), (".local/state/sparkdesk",)], ids=["out-of-the-box", "with-an-empty-folder"])
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A home in which docker waits for ever where a file says so, and ends at once otherwise."""
    made = tmp_path / "home"
    (made / "bin").mkdir(parents=True)
    docker = made / "bin" / "docker"
    docker.write_text('#!/bin/sh\n[ "$1" = run ] || exit 0\nwhile [ -e "$HOME/wait" ]; do sleep 0.05; done\n')
    docker.chmod(0o755)
    for folder in request.param:
        (made / folder).mkdir(parents=True)
    return made


@pytest.fixture
async def runner(tmp_path: Path, home: Path) -> AsyncIterator[Runner]:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    shell = LocalShell(home, node="n1", env={"PATH": f"{home / 'bin'}:/usr/bin:/bin"})
    yield Runner(shells=lambda _: shell, store=store, clock=SystemClock())
    await store.close()


def everything(home: Path) -> set[Path]:
    return set(home.rglob("*"))


async def test_a_proof_alone_leaves_nothing_behind_when_it_ends_and_when_it_is_cut_short(
    home: Path, runner: Runner
) -> None:
    before = everything(home)
    ended = await runner.run("whole", programs_of_first_node(), on_event=lambda _: None)
    assert (ended.result, everything(home)) == ("done", before)
    (home / "wait").touch()
    task = asyncio.ensure_future(runner.run("cut", programs_of_first_node(), on_event=lambda _: None))
    async with asyncio.timeout(WAIT_S):
        while not list(home.rglob("all_gather*")):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait({task})
    (home / "wait").unlink()
    assert everything(home) > before
    assert (await runner.undo("cut", on_event=lambda _: None)).result == "done"
    assert everything(home) == before
