"""The list of changes tells what stops on the nodes before anything is taken back, and passes on what it told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtTest import QTest

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.chapters.fix_step import step_of
from sparkdesk.core.bringup.state import BringUpState
from sparkdesk.core.bringup.undo_stake import Loss
from sparkdesk.core.playbooks.run_view import StepView
from sparkdesk.core.probes.doctor_docker import make_runtime_fix
from sparkdesk.core.step import Playbook, Stage
from tests.ui.bringup import real_story as story
from tests.ui.bringup.story import Desk
from tests.ui.picture import SHOTS, SIZES, cut_labels, page_size
from ui import theme
from ui.bringup.manifest_dialog import ManifestDialog

SERVED = "gpt-oss-120b"
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


def done_with_docker() -> BringUpState:
    """All was done, and docker of two nodes was told of the runtime."""
    state = story.done()
    assert state.run is not None
    steps = tuple(
        step_of(make_runtime_fix(node_id), Chapter.DOCKER, "runtime", f"Make the NVIDIA runtime known on {name}")
        for node_id, name in list(story.NAMES.items())[:2]
    )
    plan = state.run.playbook
    ids = frozenset(step.id for step in steps)
    run = replace(
        state.run,
        playbook=Playbook(plan.title, (Stage("Docker", steps), *plan.stages), needs_lock=True),
        steps={**state.run.steps, **{step_id: StepView("done", "apply") for step_id in ids}},
        begun=state.run.begun | ids,
    )
    return replace(state, run=run)


def opened(busy: dict[str, tuple[str, ...]]) -> tuple[Desk, ManifestDialog]:
    desk = story.desk()
    desk.model.feeds = replace(desk.model.feeds, busy=lambda: busy)
    page = desk.show(done_with_docker())
    page.open_manifest(shows_undo=True)
    assert page.dialog is not None
    return desk, page.dialog


def choose(dialog: ManifestDialog, beginning: str) -> None:
    for part in dialog.parts:
        if part.step.id.startswith(beginning):
            part.check.click()


def test_what_stops_is_named_for_what_is_chosen_and_passed_on(dressed: object) -> None:
    desk, dialog = opened({"n1": (SERVED,), "n3": (SERVED, "Phi")})
    assert dialog.cost.isVisible()
    assert dialog.cost_head.text() == "Undo of all can stop what runs on the nodes."
    said = dialog.cost_words.text().replace("\u200b", "")
    first, second, third = (story.NAMES[one] for one in ("n1", "n2", "n3"))
    assert f"Docker is started anew on {first} and {second}: every container there stops." in said
    assert f"{SERVED} runs on {first}: it stops with docker" in said
    assert f"{SERVED} runs on {first} and {third}: it stops with the network" in said
    assert "Phi" not in said, "nothing of it goes"
    assert dialog.cost.accessibleName()
    choose(dialog, "keys-pair-n1")
    assert not dialog.cost.isVisible(), "keys cost nobody anything"
    choose(dialog, "docker-runtime-n2")
    assert dialog.cost_head.text().startswith("Undo of what is chosen ")
    assert dialog.cost_words.text().replace("\u200b", "").splitlines() == [
        f"Docker is started anew on {second}: every container there stops."
    ]
    dialog.all.click()
    ((_undo, ids, told),) = desk.asked
    assert ids is None
    assert [(one.loss, one.node_ids) for one in told] == [(Loss.RESTART, ("n2",))], "only what stood there"


def test_the_cost_of_an_undo_fits_its_dialog_in_both_themes(dressed: object) -> None:
    desk, dialog = opened(dict.fromkeys(story.IDS, (SERVED, "Qwen3-Coder-480B-A35B-Instruct")))
    SHOTS.mkdir(parents=True, exist_ok=True)
    for look in ("dark", "light"):
        theme.set_theme("dark" if look == "dark" else "light")
        for window in SIZES:
            desk.page.window().resize(*page_size(*window))
            QTest.qWait(50)
            assert dialog.minimumSizeHint().height() <= window[1]
            assert not cut_labels(dialog), cut_labels(dialog)
            size = f"{window[0]}x{window[1]}"
            assert dialog.grab().save(str(SHOTS / f"bringup-undo-cost-{look}-{size}.png"))
    theme.set_theme("dark")
    dialog.reject()
