"""Networks on trial, over real SSH servers: what is asked, kept, and taken back, and what a person sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.state import BringUpState, Phase, Trial
from sparkdesk.core.command import Command
from sparkdesk.core.step import Output, Run, Step, StepEnded
from sparkdesk.services.bringup.trials import Trials
from sparkdesk.services.clock import SystemClock
from tests.infra.sshd import Sshd
from tests.services.bringup import bringup_desk
from tests.services.bringup.bringup_desk import TRIAL_S, Desk, Place, places, until_file

CANNOT_TELL = '{"ok": null}'


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[list[Place], list[Sshd]]]:
    with places(tmp_path) as found:
        yield found


@pytest.fixture
async def desk(tmp_path: Path, nodes: tuple[list[Place], list[Sshd]]) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path, nodes[0])
    await desk.open()
    await desk.look()
    yield desk
    await desk.close()


def has_question(state: BringUpState) -> bool:
    return any(trial.question for trial in state.trials)


async def test_where_no_look_could_tell_the_page_asks_and_a_yes_keeps(desk: Desk) -> None:
    (desk.home(1) / "look").write_text(CANNOT_TELL)
    desk.bring_up.start()
    state = await desk.until(has_question)
    (trial,) = state.trials
    assert (trial.node_id, trial.question, trial.length_s) == ("spark-1", "Keep the network of spark-1?", TRIAL_S)
    assert abs(trial.ends_ms - desk.fleet.clock.now_ms() - TRIAL_S * 1000) < 10_000
    assert not (desk.home(2) / "trial").exists(), "the first node is the canary"
    desk.bring_up.answer("spark-2", True)
    await asyncio.sleep(0.2)
    assert has_question(desk.state), "the answer is about one node"
    desk.bring_up.answer("spark-1", True)
    state = await desk.until(lambda state: bool(state.report_paths))
    assert (state.phase, desk.questions) == (Phase.DONE, [])
    assert (desk.home(1) / "kept").exists()


@pytest.mark.parametrize("way", ["no", "roll back"])
async def test_a_no_and_a_roll_back_take_it_back_at_once(desk: Desk, way: str) -> None:
    (desk.home(1) / "look").write_text(CANNOT_TELL)
    desk.bring_up.start()
    await desk.until(has_question)
    if way == "no":
        desk.bring_up.answer("spark-1", False)
    else:
        desk.bring_up.roll_back("spark-1")
    await until_file(desk.home(1) / "trial", is_there=False)
    state = await desk.until_in(Phase.FAILED)
    assert state.message.startswith("Rolled back on spark-1, as you asked. spark-1: 1 of 3 steps undone")
    assert state.is_wanted
    assert state.remedy
    assert (state.trials, has_question(state)) == ((), False)
    assert state.run is not None
    assert [state.run.can_resume, state.run.can_undo] == [True, True]
    row = next(row for row in state.matrix.rows if row.chapter == "network")
    assert row.cells["spark-1"].state is CellState.UNDONE
    (desk.home(1) / "look").unlink()
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.DONE


async def test_a_question_that_nobody_answers_in_time_is_a_no(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bringup_desk, "TRIAL_S", 3.0)
    await desk.look()
    (desk.home(1) / "look").write_text(CANNOT_TELL)
    desk.bring_up.start()
    await desk.until(has_question)
    state = await desk.until_in(Phase.FAILED)
    assert "not confirmed" in state.message
    assert state.trials == ()
    desk.bring_up.undo()
    await desk.until_in(Phase.UNDONE)
    assert not (desk.home(1) / "trial").exists()


async def test_a_look_that_says_no_fails_without_a_question(desk: Desk) -> None:
    (desk.home(1) / "look").write_text('{"ok": false, "message": "no carrier"}')
    desk.bring_up.start()
    state = await desk.until_in(Phase.FAILED)
    assert "not so after 1 s" in state.message
    assert "spark-2: 2 of 3 steps done." in state.message
    assert not (desk.home(2) / "trial").exists()


async def test_a_node_that_is_lost_by_its_new_network_fails_in_time_and_is_carried_on_when_it_is_back(
    desk: Desk, nodes: tuple[list[Place], list[Sshd]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listener is killed as the trial begins, and comes back later, as a node does that took its network back."""
    server = nodes[1][0]
    pid = (server.folder / "pid").read_text().strip()
    make = bringup_desk.network_step

    def cut_off(node_id: str) -> Step:
        step = make(node_id)
        if node_id != "spark-1":
            return step
        kill = bringup_desk.sh(f"if [ ! -e cut ]; then touch cut; kill -9 {pid}; fi")
        short = bringup_desk.SignInAnew(2.0)
        return bringup_desk.replace(step, apply=(step.apply[0], kill, short, *step.apply[2:]))

    monkeypatch.setattr(bringup_desk, "network_step", cut_off)
    await desk.look()
    desk.bring_up.start()
    state = await desk.until_in(Phase.FAILED)
    assert "no new sign-in after 2 s: Nothing answers" in state.message
    server.stop()
    server.start()
    async with asyncio.timeout(60):
        while not desk.fleet.inventory.status("spark-1").is_live:
            await asyncio.sleep(0.05)
    desk.bring_up.resume()
    state = await desk.until(lambda state: bool(state.report_paths))
    assert state.phase is Phase.DONE


# What a node says of its trial -----------------------------------------------------------------------------------


def network(step_id: str = "network-n1") -> Step:
    return Step(step_id, "Try", "n1", (Run(Command(("true",))),), phase="network")


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        '{"ok": true}',
        '{"ok": false, "trial_s": 60}',
        '{"ok": true, "trial_s": true}',
        '{"ok": true, "trial_s": -1}',
        '{"ok": true, "trial_s": 1e300}',
        '{"ok": true, "trial_s": 1' + 400 * "0" + "}",
        '{"ok": true, "trial_s": "60"}',
    ],
)
def test_what_is_no_trial_begins_none(text: str) -> None:
    trials = Trials(SystemClock(), lambda: None)
    trials.hear(network(), Output("network-n1", 0, text))
    assert trials.running == ()


def test_a_trial_lasts_until_its_step_ends_and_follows_this_computers_clock() -> None:
    changes: list[tuple[Trial, ...]] = []
    trials = Trials(SystemClock(), lambda: changes.append(trials.running))
    other = Step("docker-n1", "Join", "n1", (), phase="docker")
    trials.hear(other, Output("docker-n1", 0, '{"ok": true, "trial_s": 60}'))
    assert trials.running == (), "only a network is tried"
    trials.hear(network(), Output("network-n1", 0, 'hello\n{"ok": true, "trial_s": 60}'))
    (trial,) = trials.running
    trials.move_times(-5000)
    assert trials.running[0].ends_ms == trial.ends_ms - 5000
    trials.hear(network(), StepEnded("network-n1", 0, "done"))
    assert (trials.running, len(changes)) == ((), 2)


@pytest.mark.parametrize(
    ("told", "left_s"),
    [("12.5", 12.5), ("-3", 0.0), ("90", 60.0), ("NaN", 60.0), ("1" + 400 * "0", 60.0), ("true", 60.0), ('"9"', 60.0)],
)
def test_what_is_left_of_a_trial_is_what_its_node_says_after_it_was_applied(told: str, left_s: float) -> None:
    clock = SystemClock()
    trials = Trials(clock, lambda: None)
    before_ms = clock.now_ms()
    trials.hear(network(), Output("network-n1", 0, f'{{"ok": true, "trial_s": 60, "left_s": {told}}}'))
    (trial,) = trials.running
    assert trial.length_s == 60.0
    assert left_s * 1000 - 1 <= trial.ends_ms - before_ms <= left_s * 1000 + 1000


async def test_a_question_without_a_known_trial_still_has_an_end() -> None:
    trials = Trials(SystemClock(), lambda: None)
    asking = asyncio.ensure_future(trials.decide(network(), "Keep?"))
    await asyncio.sleep(0)
    assert trials.running[0].length_s == 60.0
    assert trials.answer("n1")
    assert await asking
    assert not trials.answer("n1"), "it is asked no more"


async def test_a_trial_that_is_cut_off_by_a_cancel_is_said_to_restore_itself(desk: Desk) -> None:
    (desk.home(1) / "look").write_text(CANNOT_TELL)
    desk.bring_up.start()
    await desk.until(has_question)
    desk.bring_up.cancel()
    state = await desk.until_in(Phase.FAILED)
    assert "spark-1 takes its old network back by itself, in at most " in state.message
    assert state.trials == ()
