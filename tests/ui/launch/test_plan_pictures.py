"""Pictures of the plan column, for people to look at: build/shots/plan-*.png. Made rows, and the planner's own."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Neighbour
from tests.ui import rack
from tests.ui.launch import made
from tests.ui.launch.desk import open_page, settle
from tests.ui.launch.real import open_model
from tests.ui.launch.test_plan_column import desk
from tests.ui.picture import take_pictures
from ui.launch.view import LaunchPage

LLAMA = "llama-3.3-70b"
BUSY = Neighbour("job1", "gpt-oss-120b", ("node0",), 120.0, 228.0, 63 * rack.GIB, 0.3)
ASKED = {
    "plan-llama-1": (LLAMA, (0,), "chat", "NVFP4"),
    "plan-llama-2": (LLAMA, (0, 1), "chat", "NVFP4"),
    "plan-llama-4": (LLAMA, (0, 1, 2, 3), "coding", "NVFP4"),
    "plan-gpt-oss-2": ("gpt-oss-120b", (0, 1), "batch", ""),
    "plan-qwen-4": ("qwen3.5-397b-a17b", (0, 1, 2, 3), "chat", ""),
    "plan-glm-3": ("glm-5", (0, 1, 2), "chat", ""),
}


def check_agreement(page: LaunchPage) -> None:
    """What stands beside each other says the same."""
    row, panel = page.model.row, page.plan
    assert row is not None
    plan = page.model.preview.plan
    if plan is not None:
        launched = min(ledger.free_bytes or 0 for ledger in plan.ledgers)
        planned = min(ledger.free_bytes or 0 for ledger in row.ledgers)
        # The form's context is rounded up, so a launch takes somewhat more than the workload needs.
        assert 0 <= planned - launched <= 0.06 * rack.TOTAL, "the table promises what the launch does not leave"
    shown = [chip.text() for *_, chip in panel.ledgers.rows if chip.isVisibleTo(panel)]
    assert any(panel.chips[0].text().startswith(word) for word in shown), (panel.chips[0].text(), shown)
    for parts, figure in ((row.shown.tpot_parts, row.shown.tpot_s), (row.shown.ttft_parts, row.shown.ttft_s)):
        assert sum(part.seconds for part in parts) == pytest.approx(figure.value, rel=1e-6)


@pytest.mark.parametrize("name", ASKED)
def test_pictures_of_the_plans_that_were_asked_for(name: str, qtbot: QtBot, dressed: object) -> None:
    key, nodes, workload, quantization = ASKED[name]
    page = open_model(qtbot, key, nodes, workload=workload, quantization=quantization)
    check_agreement(page)
    assert page.plan.agents.isVisible() is (workload == "coding")
    take_pictures(page, name)


def test_pictures_beside_a_busy_neighbour(qtbot: QtBot, dressed: object) -> None:
    used = (70.0, 6.2, 6.2, 6.2)
    page = open_model(qtbot, "qwen3.6-35b-a3b", (0,), workload="coding", used_gib=used, neighbours=(BUSY,))
    check_agreement(page)
    take_pictures(page, "plan-neighbour")


def test_pictures_of_an_unreadable_number(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk())
    page.model.set_field("prompt_tokens", "abc")
    settle(page)
    take_pictures(page, "plan-old")


def test_pictures_of_a_model_of_no_known_shape(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk())
    page.model.set_field("model", "someone/unheard-of")
    settle(page)
    take_pictures(page, "plan-no-shape")


def test_pictures_of_an_estimate(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk(made.row(1, Parallelism(1), alone=made.prediction(is_fitted=False))))
    take_pictures(page, "plan-estimate")
