"""Pictures of the plan column, for people to look at: build/shots/plan-*.png. The planner's own figures."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from sparkdesk.core.planning.place import Neighbour
from tests.ui import rack
from tests.ui.launch.real import catalogue, open_real, show_model
from tests.ui.picture import take_picture
from ui import theme
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
    "plan-neighbour": ("qwen3.6-35b-a3b", (0,), "coding", ""),
}
FEW = tuple(
    spec for spec in catalogue() if spec.key in {key for key, *_ in ASKED.values()} | {"gpt-oss-20b", "qwen3-8b"}
)
"""Enough for the list: how each of them stands is computed anew for every choice of nodes."""
LOOKS: tuple[tuple[theme.ThemeName, tuple[int, int]], ...] = (("dark", (1440, 900)), ("light", (1100, 700)))


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


def test_pictures_of_the_plans_that_were_asked_for(qtbot: QtBot, dressed: object) -> None:
    free = open_real(qtbot, FEW)
    shared = open_real(qtbot, FEW, (70.0, 6.2, 6.2, 6.2), (BUSY,))
    # Each theme is put on once: it dresses every widget anew.
    for choice, window in LOOKS:
        theme.set_theme(choice)
        for name, (key, nodes, workload, quantization) in ASKED.items():
            page = shared if name == "plan-neighbour" else free
            show_model(page, key, nodes, workload, quantization)
            check_agreement(page)
            assert page.plan.agents.isVisible() is (workload == "coding")
            assert page.plan.figures.neighbours.isVisible() is (page is shared)
            take_picture(page, f"{name}-{choice}", window, rest_ms=30)
    theme.set_theme("dark")
