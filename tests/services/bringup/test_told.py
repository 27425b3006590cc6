"""What is told: what nodes say at the undo, a report of every end, and that a plan is true no more before it runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.state import BringUpState, Phase
from tests.infra.sshd import Sshd
from tests.services.bringup.bringup_desk import Desk, Place, places
from tests.services.bringup.test_undo_of_all_runs import fail, traces

COPY = "/etc/netplan/90-sparkdesk.yaml was changed since; a copy is /var/lib/sparkdesk/copy"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[list[Place], list[Sshd]]]:
    with places(tmp_path) as found:
        yield found


@pytest.fixture
async def desk(tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]) -> AsyncIterator[Desk]:
    made = Desk(tmp_path, nodes[0], fresh_s=0.0)
    await made.open()
    yield made
    await made.close()


async def test_what_nodes_say_at_the_undo_is_told_and_stands_in_the_report(desk: Desk) -> None:
    await desk.look()
    desk.bring_up.start()
    await desk.until(lambda state: bool(state.report_paths))
    (desk.home(1) / "said").write_text('{"ok": true, "message": "as before"}\n')
    (desk.home(2) / "said").write_text(json.dumps({"ok": True, "message": f"as before; \x1b[31m{COPY}\x1b[0m"}))
    desk.bring_up.undo()
    state = await desk.until(lambda state: state.phase is Phase.UNDONE and bool(state.report_paths))
    assert state.undo_words == (f"spark-2: {COPY}",)
    markdown, data = (desk.saved[path].decode() for path in state.report_paths)
    assert "What nodes said at the undo" in markdown
    assert json.loads(data)["undo_words"] == list(state.undo_words)
    assert (await desk.look()).undo_words == ()


async def test_what_nodes_say_at_the_undo_of_an_earlier_bring_up_is_told_after_a_restart(
    desk: Desk, tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await fail(desk)
    await desk.look()
    await desk.close()
    later = Desk(tmp_path, nodes[0])
    later.skips_what_stands = True
    await later.open()
    await later.look()
    (later.home(1) / "said").write_text(json.dumps({"ok": True, "message": "1 later changes of it went too"}))
    later.bring_up.undo()
    state = await later.until_in(Phase.UNDONE, Phase.FAILED)
    assert (state.phase, state.undo_words) == (Phase.UNDONE, ("spark-1: 1 later changes of it went too",))
    await later.close()


async def test_a_plan_that_is_true_no_more_is_shown_anew_and_does_not_run(desk: Desk) -> None:
    await desk.look()
    (desk.home(2) / "kept").touch()
    phases: list[Phase] = []
    desk.bring_up.state.subscribe(lambda state: phases.append(state.phase))
    desk.bring_up.start()
    state = await desk.until(lambda state: state.phase is Phase.PLANNED and bool(state.message))
    assert state.message == "The nodes changed since this plan was made: read it again."
    assert (state.plan and state.plan.change_count, desk.runs.runs.value) == (3, {})
    assert Phase.RUNNING in phases
    assert (traces(desk), desk.bring_up.owns("")) == ({"2/kept"}, False)
    desk.bring_up.start()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert (state.phase, traces(desk)) == (Phase.DONE, {"1/key", "1/group", "1/kept", "2/kept"})


async def test_a_bring_up_that_is_stopped_while_its_plan_is_read_again_begins_nothing(desk: Desk) -> None:
    await desk.look()
    desk.bring_up.start()
    await desk.until(lambda state: state.phase is Phase.RUNNING and bool(state.message))
    desk.bring_up.cancel()
    state = await desk.until_in(Phase.PLANNED)
    assert (state.message, desk.runs.runs.value) == ("Stopped before anything was begun.", {})


async def test_a_failed_run_and_an_undo_save_reports_of_their_own(desk: Desk) -> None:
    await fail(desk)
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.FAILED
    assert all("-failed." in path for path in state.report_paths)
    assert "spark-1: stopped at" in desk.saved[state.report_paths[0]].decode()
    desk.bring_up.undo()
    assert desk.state.report_paths == ()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.UNDONE
    assert json.loads(desk.saved[state.report_paths[1]])["phase"] == "undone"


async def test_an_undo_in_the_moment_of_the_end_loses_neither_the_report_nor_the_undo(desk: Desk) -> None:
    await desk.look()
    phases: list[Phase] = []

    def undo(state: BringUpState) -> None:
        if state.phase is Phase.DONE and Phase.DONE not in phases:
            asyncio.get_running_loop().call_soon(desk.bring_up.undo)
        phases.append(state.phase)

    desk.bring_up.state.subscribe(undo)
    desk.bring_up.start()
    state = await desk.until(lambda state: state.phase is Phase.UNDONE and bool(state.report_paths))
    assert Phase.FAILED not in phases
    ends = {json.loads(data)["phase"] for path, data in desk.saved.items() if path.endswith(".json")}
    assert (ends, traces(desk), state.message) == ({"done", "undone"}, set(), "")


async def test_a_pause_names_what_comes_next_and_how_each_node_stands(desk: Desk) -> None:
    await desk.look()
    desk.bring_up.start(frozenset({"docker"}))
    state = await desk.until_in(Phase.PAUSED)
    assert state.message == (
        "Paused between two steps. Next comes \u201cWrite the key of spark-1\u201d. spark-1: 1 of 3 steps done. "
        "spark-2: 1 of 3 steps done."
    )
    desk.bring_up.undo()
    assert (await desk.until_in(Phase.UNDONE, Phase.FAILED)).phase is Phase.UNDONE
    assert traces(desk) == set()
