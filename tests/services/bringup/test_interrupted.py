"""kill -9 of the program in a bring-up: a new start offers to continue or to undo, and both work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.state import Phase
from sparkdesk.services.bringup.shelf import KIND
from tests.infra.sshd import Sshd
from tests.services.bringup.bringup_desk import Desk, Place, places, until_file

_VICTIM = textwrap.dedent("""
    import asyncio, json, sys
    from pathlib import Path
    from sparkdesk.core.bringup.state import Phase
    from sparkdesk.core.cluster.node import NodeRecord
    from tests.services.bringup.bringup_desk import Desk, Place

    async def main(folder, nodes, boundary):
        places = [Place(NodeRecord(**record), Path(home)) for record, home in json.loads(nodes)]
        desk = Desk(Path(folder), places)
        await desk.open()
        left, write = int(boundary), desk.store.append_journal

        async def append(run_id, entry):
            nonlocal left
            await write(run_id, entry)
            left -= 1
            if left == 0:
                Path(folder, "held").touch()
                await asyncio.sleep(60)

        desk.store.append_journal = append
        await desk.look()
        desk.bring_up.start()
        await desk.until_in(Phase.DONE, Phase.FAILED)
        Path(folder, "over").touch()
        await asyncio.sleep(60)

    asyncio.run(main(*sys.argv[1:]))
""")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[list[Place], list[Sshd]]]:
    with places(tmp_path) as found:
        yield found


async def kill_at(folder: Path, nodes: list[Place], boundary: int) -> None:
    """Bring the nodes up in a process of its own, and kill it after so many entries of its journals."""
    names = ("id", "name", "address", "port", "user", "host_key", "key_path")
    data = [({name: getattr(node.record, name) for name in names}, str(node.home)) for node in nodes]
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _VICTIM, str(folder), json.dumps(data), str(boundary), cwd=Path(__file__).parents[3]
    )
    try:
        await until_file(folder / "held")
    finally:
        victim.kill()
        await victim.wait()


def traces(desk: Desk) -> set[str]:
    """What steps leave in homes."""
    names = ("key", "group", "trial", "kept", "container")
    return {f"{number}/{name}" for number in (1, 2) for name in names if (desk.home(number) / name).exists()}


# One run of this plan writes: begun, 2 nodes x (step begun [, file kept], step ended) a chapter, the end.
BOUNDARIES = (1, 2, 4, 6, 8, 10, 12, 14, 15)


@pytest.mark.parametrize("way", ["continue", "undo"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
async def test_a_killed_bring_up_is_offered_and_both_ways_work(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]], boundary: int, way: str
) -> None:
    await kill_at(tmp_path, nodes[0], boundary)
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    state = desk.state
    assert state.phase is Phase.INTERRUPTED
    assert state.plan is not None
    assert state.run is not None
    assert state.message
    assert state.remedy
    assert desk.bring_up.owns(state.run.run_id)
    assert len(state.matrix.rows) == 3
    if way == "continue":
        desk.bring_up.resume()
        state = await desk.until(lambda state: bool(state.report_paths) or state.phase is Phase.FAILED)
        assert (state.phase, state.message) == (Phase.DONE, "")
        assert traces(desk) == {f"{n}/{name}" for n in (1, 2) for name in ("key", "group", "kept", "container")}
        assert len(state.measurements) == 2
    elif state.run.can_undo:
        desk.bring_up.undo()
        state = await desk.until_in(Phase.UNDONE, Phase.FAILED)
        assert (state.phase, state.message) == (Phase.UNDONE, "")
        assert traces(desk) == set()
    else:
        assert traces(desk) == set()
    await desk.close()


async def test_a_bring_up_that_was_killed_while_it_measured_measures_again(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await kill_at(tmp_path, nodes[0], 19)
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    state = desk.state
    assert state.phase is Phase.INTERRUPTED
    assert "before all of it was proved" in state.message
    assert state.proof_run is not None
    assert desk.bring_up.owns(state.proof_run.run_id)
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.DONE
    assert len(state.measurements) == 2
    assert await desk.store.unfinished_runs() == ()
    await desk.close()


async def test_without_the_kept_plan_it_is_undone_and_carried_on_all_the_same(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await kill_at(tmp_path, nodes[0], 6)
    desk = Desk(tmp_path, nodes[0])
    await desk.store.open()
    ((run_id, data),) = (await desk.store.documents(KIND)).items()
    spoilt = {**json.loads(data), "plan": '{"schema": 99}'}
    await desk.store.save_document(KIND, run_id, json.dumps(spoilt).encode())
    await desk.store.close()
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    assert (desk.state.phase, desk.state.plan) == (Phase.INTERRUPTED, None)
    assert set(desk.state.node_ids) == {"spark-1", "spark-2"}
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert (state.phase, len(state.measurements)) == (Phase.DONE, 2)
    await desk.close()


async def test_what_ended_well_before_is_not_offered_but_can_be_undone(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    first = Desk(tmp_path, nodes[0])
    await first.open()
    await first.look()
    first.bring_up.start()
    await first.until(lambda state: bool(state.report_paths))
    await first.close()
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    assert (desk.state.phase, desk.state.message) == (Phase.IDLE, "")
    desk.bring_up.undo()
    await desk.until_in(Phase.UNDONE)
    assert traces(desk) <= {"1/container", "2/container"}
    await desk.close()
    last = Desk(tmp_path, nodes[0])
    await last.open()
    assert last.state.run is None or not last.state.run.can_undo
    await last.close()


async def test_a_document_that_is_no_bring_up_is_left_out(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    desk = Desk(tmp_path, nodes[0])
    await desk.store.open()
    await desk.store.save_document(KIND, "x", b"[]")
    await desk.store.close()
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    assert desk.state.phase is Phase.IDLE
    assert await desk.store.documents(KIND) == {}
    await desk.close()


async def test_what_was_cancelled_by_quitting_is_shown_as_unfinished_until_a_person_looks_anew(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    first = Desk(tmp_path, nodes[0])
    await first.open()
    (first.home(1) / "hold").touch()
    await first.look()
    first.bring_up.start()
    await until_file(first.home(1) / "begun")
    await first.close()
    (first.home(1) / "hold").unlink()
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    assert desk.state.phase is Phase.FAILED
    assert desk.state.message.startswith("The last bring-up was not finished. spark-1: stopped at")
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.DONE
    await desk.close()


async def test_a_failed_bring_up_after_which_a_person_looked_anew_is_not_offered_again(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    first = Desk(tmp_path, nodes[0])
    await first.open()
    (first.home(1) / "broken").touch()
    await first.look()
    first.bring_up.start()
    await first.until_in(Phase.FAILED)
    await first.look()
    await first.close()
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    assert desk.state.phase is Phase.IDLE
    desk.bring_up.undo()
    await desk.until_in(Phase.UNDONE)
    assert traces(desk) == set()
    await desk.close()


async def test_an_undo_that_was_killed_after_its_last_step_leaves_nothing_to_decide(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    first = Desk(tmp_path, nodes[0])
    await first.open()
    await first.look()
    first.bring_up.start()
    await first.until(lambda state: bool(state.report_paths))
    first.bring_up.undo()
    run = (await first.until_in(Phase.UNDONE)).run
    assert run is not None
    await first.close()
    with contextlib.closing(sqlite3.connect(next(tmp_path.rglob("*.db")), isolation_level=None)) as database:
        number = database.execute("SELECT number FROM runs WHERE id = ?", (run.run_id,)).fetchone()
        last = "SELECT max(position) FROM journal WHERE run_number = ?1"
        taken = database.execute(f"DELETE FROM journal WHERE run_number = ?1 AND position = ({last})", number)
        assert taken.rowcount == 1
        database.execute("UPDATE runs SET is_ended = 0 WHERE number = ?1", number)
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    assert (desk.state.phase, desk.state.message) == (Phase.IDLE, "")
    assert desk.state.run is None or not desk.state.run.can_undo
    assert await desk.store.unfinished_runs() == ()
    await desk.close()


async def test_a_bring_up_whose_nodes_are_all_gone_is_set_aside(
    tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]
) -> None:
    await kill_at(tmp_path, nodes[0], 6)
    desk = Desk(tmp_path, [])
    await desk.store.open()
    for cluster in await desk.store.clusters():
        await desk.store.remove_cluster(cluster.id)
    await desk.store.close()
    desk = Desk(tmp_path, [])
    await desk.open()
    assert (desk.state.phase, desk.state.run) == (Phase.IDLE, None)
    assert await desk.store.unfinished_runs() == ()
    await desk.close()
