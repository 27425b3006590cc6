"""Pictures of what the Sparks can run, for people to look at: build/shots/models-*.png."""

from __future__ import annotations

from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.plan import GIB
from sparkdesk.core.jobs.truth import Correction
from tests.ui.launch.real import catalogue
from tests.ui.models.desk import ModelsDesk, click, open_models
from tests.ui.picture import take_pictures


def test_pictures_of_two_nodes_beside_two_that_nobody_owns(qtbot: QtBot, dressed: object) -> None:
    held = ("openai/gpt-oss-120b", "nvidia/Llama-3.3-70B-Instruct-NVFP4")
    page = open_models(qtbot, ModelsDesk(catalogue(), (6.2, 40.0), held))
    click(page, "gpt-oss-120b", 2)
    take_pictures(page, "models-two")


def test_pictures_of_one_that_does_not_fit(qtbot: QtBot, dressed: object) -> None:
    page = open_models(qtbot, ModelsDesk(catalogue(), (6.2, 6.2, 6.2, 6.2)))
    click(page, "glm-5", 3)
    take_pictures(page, "models-no")


def test_pictures_without_a_cluster(qtbot: QtBot, dressed: object) -> None:
    page = open_models(qtbot, ModelsDesk(catalogue(), ()))
    click(page, "llama-3.3-70b", 4)
    take_pictures(page, "models-none")


def test_pictures_of_nothing_found_and_of_many_nodes(qtbot: QtBot, dressed: object) -> None:
    page = open_models(qtbot, ModelsDesk(catalogue()[:12], (6.2,) * 8))
    take_pictures(page, "models-eight")
    page.filters.search.setText("no such model")
    take_pictures(page, "models-nothing")


def test_pictures_with_every_filter_on(qtbot: QtBot, dressed: object) -> None:
    page = open_models(qtbot, ModelsDesk(catalogue(), (6.2, 6.2)))
    row = page.filters
    for chip in (*row.purposes.values(), row.fits, row.on_disk):
        chip.click()
    take_pictures(page, "models-filtered")
    assert row.minimumSizeHint().width() <= 1012, "it fits a window of 1100 x 700"
    page.resize(1384, 800)
    QTest.qWait(20)
    assert row.search.width() == 164


def test_pictures_of_a_plan_whose_memory_was_measured(qtbot: QtBot, dressed: object) -> None:
    desk = ModelsDesk(catalogue()[:20], (6.2, 6.2), ("Qwen/Qwen3-Coder-Next-FP8",))
    desk.learn(Correction("Qwen/Qwen3-Coder-Next-FP8", "vllm", "stock", 3, 1.018, runtime_bytes=3.4 * GIB))
    page = open_models(qtbot, desk)
    click(page, "qwen3-coder-next", 1)
    take_pictures(page, "models-measured")
