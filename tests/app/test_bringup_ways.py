"""The ways that a bring-up takes with a person: a wrong password, a pause, saved files, chapters taken back."""

from __future__ import annotations

import json
import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QWidget

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.state import Phase
from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import ClusterRecord, NodeState
from sparkdesk.core.cluster.topology import Shape
from tests.app.adding import Adding, click, fingerprint, password_of, words_on
from tests.app.bringup import BringingUp, boxes, from_the_map, lasting, nodes_now, open_boxes
from tests.app.chat_window import choose_file
from tests.app.desk import node_in, play, until
from tests.app.picture import take_pictures
from tests.simulator.conftest import Simulator
from ui.add_node.page import AddNodePage
from ui.widgets.button import Button

pytestmark = [pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise"), pytest.mark.timeout(360)]
FORGETFUL = WindowOptions(is_forgetful=True)
WRONG = "not the password"
LIMIT_S = 300.0
TOLD_WITHIN_S = 120.0


async def save(person: BringingUp, button: QWidget, path: Path) -> str:
    """Press the button, name the file, and read what was saved for its owner's eyes."""
    click(button)
    await choose_file(person.desktop, path)
    await until(lambda: path.exists() and path.stat().st_size > 0, "the file")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert password_of(person.simulator) not in text
    return text


async def be_refused(person: BringingUp) -> None:
    """The right password at one node, another and wrong one at the other, twice."""
    await person.go("apply")
    await person.give(is_same=False)
    await person.give(WRONG, is_same=False)
    assert "not accepted" in words_on(await person.question())
    await person.give(WRONG, is_same=False)
    await until(lambda: person.state.phase is Phase.FAILED, "it is said")
    first, second = (person.page.model.name_of(node_id) for node_id in person.state.node_ids)
    assert person.asked[0].endswith(first)
    assert all(title.endswith(second) for title in person.asked[1:])
    banner = person.page.banner
    await until(lambda: banner.isVisible() and f"{first}: " in words_on(banner), "how the other one stands")
    said = words_on(banner)
    assert second in said
    assert "password" in said
    assert person.page.model.outline()[0].mark == "failed"


async def pause_and_go_on(person: BringingUp) -> None:
    """Hold it in the middle: nothing further begins; then carry it on."""
    await person.until_steps(Chapter.KEYS, "running")
    await person.go("pause")
    state = await person.stay(Phase.PAUSED)
    assert state.run is not None
    assert 0 < state.run.done_count < len(list(state.run.playbook.steps()))
    assert "Paused" in person.page.words.text()
    await person.go("resume")


async def take_network_back(person: BringingUp) -> None:
    """Choose the steps of one chapter in the manifest, and take only these back."""
    dialog = await person.open_undo()
    for part in dialog.parts:
        if part.step.phase == Chapter.NETWORK and part.check.isEnabled():
            dialog_area = part.parentWidget()
            assert dialog_area is not None
            part.check.click()
    assert dialog.chosen.text() == f"Undo {len(dialog.chosen_ids())} chosen"
    person.press(dialog.chosen, "Undo chosen")
    await person.give()
    await person.stay(Phase.UNDONE)
    assert "stay" in words_on(person.page)


async def go_step_by_step(person: BringingUp) -> None:
    """The careful way: each chapter by its own button, and nothing of another one; between them it waits."""
    await person.look_again()
    person.page.setup.step_by_step.click()
    await until(lambda: "apply" not in person.page.buttons, "nothing does all at once")
    for words, is_asked in (("Apply: SSH keys", False), ("Apply: Docker and NVIDIA runtime", True)):
        await until(lambda: "chapter" in person.page.buttons, "the chapter's own button")
        person.page.model.choose_chapter(chapter_of(words))
        await until(lambda words=words: person.page.buttons["chapter"].text() == words, words)
        await person.go("chapter")
        if is_asked:
            await person.give()
        await person.reach(Phase.PAUSED)
    run = person.state.run
    assert run is not None
    ended = {step.phase for step in run.playbook.steps() if run.step(step.id).state in ("done", "unchanged")}
    assert ended >= {Chapter.KEYS, Chapter.DOCKER}
    assert not ended & {Chapter.NETWORK, Chapter.HARDWARE}


def chapter_of(words: str) -> str:
    """The chapter whose button is called so."""
    return next(each.value for each in Chapter if words.endswith(each.words))


def test_a_wrong_password_changes_nothing_and_after_the_right_one_it_is_paused_done_saved_and_taken_back_in_parts(
    app: QApplication, tmp_path: Path
) -> None:
    async def story(desktop: Desktop) -> None:
        before = await nodes_now(simulator)
        await open_boxes(desktop, simulator)
        person = await from_the_map(desktop, simulator)
        await person.plan()
        plan = await save(person, person.page.change.export, tmp_path / "plan.md")
        assert "/etc/netplan/90-sparkdesk.yaml" in plan
        await be_refused(person)
        assert await nodes_now(simulator) == before
        await person.go("resume")
        await person.give()
        await pause_and_go_on(person)
        await person.give()
        await person.reach(Phase.DONE)
        await person.stay(Phase.DONE)
        assert "## Proof" in await save(person, person.page.proof.markdown, tmp_path / "report.md")
        report = json.loads(await save(person, person.page.proof.json, tmp_path / "report.json"))
        assert report["measurements"]
        done = await nodes_now(simulator)
        await take_network_back(person)
        part = await nodes_now(simulator)
        assert all("9000" not in text and "90-sparkdesk" not in text for _code, text in part)
        assert all("id_ed25519" in text for _code, text in part), "the keys stay"
        assert done != part
        await person.undo_all()
        assert await nodes_now(simulator) == before
        await go_step_by_step(person)
        await person.undo_all()
        assert await nodes_now(simulator) == before

    with boxes(tmp_path, "pair") as simulator:
        assert play(app, story, FORGETFUL, limit_s=LIMIT_S) == 0


def one_of(simulator: Simulator) -> ClusterRecord:
    """A cluster with the first node only, which takes further ones as that of real nodes does."""
    cluster = lasting(simulator)
    return replace(cluster, nodes=cluster.nodes[:1])


async def be_told_of_the_other(person: BringingUp) -> Button:
    """Until the strip tells of the other Spark; gives its button."""
    strip = person.page.stranger
    end_s = time.monotonic() + TOLD_WITHIN_S
    while not strip.isVisible() and time.monotonic() < end_s:
        await person.look_again()  # right after its start a machine answers nobody on its cables yet
    seen = person.page.model.feeds.topology.value
    assert strip.isVisible(), f"the other Spark is told: {seen}"
    assert "Found on spark-5c2d P1: another Spark. Add it?" in words_on(strip)
    (button,) = [each for each in strip.findChildren(Button) if each.text() == "Add it…"]
    return button


async def add_the_other(desktop: Desktop, simulator: Simulator) -> None:
    """Compare the newcomer's key, type its password, keep it, and press the way back."""
    await until(lambda: desktop.window.page_key() == "add_node", "the page that adds nodes")
    page = desktop.window.page("add_node")
    assert isinstance(page, AddNodePage)
    adding = Adding(desktop, page)
    await until(lambda: page.find_panel.behind.finding != "looking", "the look around has ended")
    assert page.currentWidget() is page.panel, words_on(page)
    await adding.reach(EnrolStage.TRUST)
    assert "behind spark-5c2d" in words_on(page.panel)
    await take_pictures(desktop, "bringup-add-trust")
    await adding.trust(fingerprint(simulator.node(1)["host_key"]))
    await adding.give_password(password_of(simulator))
    await adding.answer_key(is_wanted=True)
    await adding.reach(EnrolStage.DONE)
    end = page.panel.sign_in_row.done_part.advised_button
    assert end.text() == "Back to the bring-up"
    await take_pictures(desktop, "bringup-add-done")
    click(end)


def test_another_spark_behind_a_cable_is_told_added_over_it_and_taken_into_the_plan(
    app: QApplication, tmp_path: Path
) -> None:
    async def story(desktop: Desktop) -> None:
        await open_boxes(desktop, simulator, one_of(simulator))
        person = await from_the_map(desktop, simulator)
        await person.plan()
        button = await be_told_of_the_other(person)
        await take_pictures(desktop, "bringup-stranger")
        click(button)
        await add_the_other(desktop, simulator)
        await until(lambda: desktop.window.page_key() == "bringup", "the way back")
        added = await node_in(desktop, 1, NodeState.LIVE)
        assert added.record.jump is not None, "it is reached through its neighbour"
        await until(lambda: len(person.state.node_ids) == 2, "it is looked at again, with both")
        state = await person.plan()
        assert state.plan is not None
        assert state.plan.shape is Shape.PAIR
        assert state.matrix.count(CellState.UNREAD) == 0
        assert not person.page.stranger.isVisible()
        await take_pictures(desktop, "bringup-added")

    with boxes(tmp_path, "pair", "--sign-in", "both") as simulator:
        assert play(app, story, FORGETFUL, limit_s=LIMIT_S) == 0
