"""What can my Sparks run: what the cells say, what is looked for, what is chosen, and where it leads."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.jobs.truth import Correction
from sparkdesk.core.planning.search.table import Verdict
from tests.ui.launch.desk import node
from tests.ui.models.desk import ModelsDesk, click, open_models, specs
from tests.ui.picture import host_page
from ui.models.cells import FIRST_COUNT, SIZE
from ui.models.model import FASTEST, LARGEST, ModelsModel
from ui.models.view import ModelsPage
from ui.models.words import cell_sentence, context_cell, measured_tok_s

KEYS = ("llama-3.3-70b", "gpt-oss-120b", "llama-3.1-8b", "qwen3-coder-next", "glm-5")


@pytest.fixture
def desk() -> ModelsDesk:
    return ModelsDesk(specs(*KEYS), held=("openai/gpt-oss-120b",))


@pytest.fixture
def page(qtbot: QtBot, dressed: object, desk: ModelsDesk) -> ModelsPage:
    return open_models(qtbot, desk)


def shown(page: ModelsPage) -> list[str]:
    return [entry.spec.key for entry in page.table.cells.entries]


def said(page: ModelsPage, key: str, count: int) -> str:
    cells = page.table.cells
    return str(cells.index(shown(page).index(key), FIRST_COUNT + cells.counts.index(count)).data())


def test_a_cell_says_fit_format_speed_and_context_in_a_sentence(page: ModelsPage) -> None:
    words = said(page, "gpt-oss-120b", 2)
    assert words.startswith("gpt-oss 120B on 2 nodes: Fits, MXFP4 on ")
    assert ", TP 2; about " in words
    assert words.endswith(" tok/s for one user, longest context 131,072 tokens")
    assert " GiB missing" in said(page, "glm-5", 2)


def test_nodes_that_nobody_owns_are_called_so_in_words(page: ModelsPage) -> None:
    cells = page.table.cells
    headings = [cells.heading(FIRST_COUNT + i) for i in range(4)]
    assert headings == [
        ("1 node", "tok/s, context"),
        ("2 nodes", "tok/s, context"),
        ("3 nodes", "not owned"),
        ("4 nodes", "not owned"),
    ]
    assert ", not owned: Fits" in said(page, "gpt-oss-120b", 4)
    click(page, "gpt-oss-120b", 4)
    assert page.detail.chips[1].text() == "4 nodes, not owned"
    assert page.detail.button.isEnabled() is False
    assert page.detail.reason.text() == "It takes 4 nodes; 2 nodes live here"


def test_one_model_is_computed_in_a_turn_of_the_loop(qapp: QApplication, dressed: object, desk: ModelsDesk) -> None:
    model = ModelsModel(desk.feeds())
    model.set_shown(is_shown=True)
    assert desk.asked == []
    for turn in range(1, 4):
        qapp.processEvents()
        assert len(desk.asked) <= turn
    model.set_shown(is_shown=False)
    asked = len(desk.asked)
    for _ in range(5):
        qapp.processEvents()
    assert len(desk.asked) == asked < len(KEYS), "a page that nobody sees computes nothing"


def test_the_same_nodes_are_computed_once_and_others_anew(qtbot: QtBot, page: ModelsPage, desk: ModelsDesk) -> None:
    assert len(desk.asked) == len(KEYS)
    page.model.look()
    assert not page.model.is_computing
    before = said(page, "llama-3.3-70b", 1)
    desk.contexts.set((node(0, 110.0), node(1, 110.0)))
    qtbot.waitUntil(lambda: len(desk.asked) == 2 * len(KEYS))
    qtbot.waitUntil(lambda: said(page, "llama-3.3-70b", 1) != before)
    assert "GiB missing" in said(page, "llama-3.3-70b", 1)


def test_purposes_size_and_words_narrow_the_table_together(page: ModelsPage) -> None:
    QTest.mouseClick(page.filters.purposes["code"], Qt.MouseButton.LeftButton)
    assert "llama-3.3-70b" not in shown(page)
    assert {"gpt-oss-120b", "qwen3-coder-next"} <= set(shown(page))
    page.filters.sizes.set_key("large")
    assert set(shown(page)) == {"gpt-oss-120b", "qwen3-coder-next"}
    QTest.keyClicks(page.filters.search, "coder")
    assert shown(page) == ["qwen3-coder-next"]
    assert page.count.text().startswith("1 of 5 models")
    QTest.keyClicks(page.filters.search, " nonsense")
    assert shown(page) == []
    assert page.nothing.isVisible()
    page.nothing.action_clicked.emit()
    assert len(shown(page)) == len(KEYS)
    assert page.filters.search.text() == ""
    assert not page.filters.purposes["code"].isChecked()


def test_fits_now_means_on_all_nodes_that_live(page: ModelsPage) -> None:
    QTest.mouseClick(page.filters.fits, Qt.MouseButton.LeftButton)
    assert set(shown(page)) == set(KEYS) - {"glm-5"}


def test_which_nodes_hold_the_files_is_told(page: ModelsPage) -> None:
    held = {entry.spec.key: entry.holders for entry in page.table.cells.entries}
    assert held["gpt-oss-120b"] == "on all 2 nodes"
    assert held["glm-5"] == ""
    QTest.mouseClick(page.filters.on_disk, Qt.MouseButton.LeftButton)
    assert shown(page) == ["gpt-oss-120b"]


def test_headings_and_the_choice_order_by_size_and_speed(page: ModelsPage) -> None:
    page.table.heading.sectionClicked.emit(SIZE)
    assert shown(page)[0] == "glm-5"
    assert page.filters.order.key() == LARGEST
    page.table.heading.sectionClicked.emit(FIRST_COUNT + 1)
    speeds = [entry.cell(2) for entry in page.table.cells.entries]
    known = [cell.user_tok_s.value for cell in speeds if cell is not None and cell.user_tok_s.is_known]
    assert known == sorted(known, reverse=True)
    assert shown(page)[-1] == "glm-5", "what does not run comes last"
    assert page.filters.order.key() == f"{FASTEST}2"
    page.filters.order.set_key("name")
    assert shown(page)[0] == "glm-5"


def test_at_first_the_largest_model_that_fits_with_room_is_chosen(page: ModelsPage) -> None:
    assert page.model.chosen_name == "openai/gpt-oss-120b"
    assert page.model.chosen_count == 2


def test_the_detail_has_the_band_and_the_measured_case(page: ModelsPage) -> None:
    click(page, "gpt-oss-120b", 1)
    cell = page.model.chosen_cell()
    assert cell is not None
    assert cell.leans_on is not None
    assert page.detail.band_words.text().startswith("between ")
    assert cell.leans_on.title in page.detail.leans.text()
    assert page.detail.band.accessibleName().startswith("One user: about ")
    assert page.detail.files.text() == "Files: on all 2 nodes"


def test_without_a_near_case_the_detail_says_so(qtbot: QtBot, dressed: object, desk: ModelsDesk) -> None:
    plain = desk.row_for

    def bare(*asked: object) -> object:
        row = plain(*asked)  # type: ignore[arg-type]
        return replace(row, cells=tuple(replace(cell, leans_on=None) for cell in row.cells))

    desk.row_for = bare  # type: ignore[method-assign, assignment]
    page = open_models(qtbot, desk)
    assert page.detail.leans.text().startswith("No measured case is near")


def test_what_does_not_fit_says_what_is_missing_and_what_would_help(page: ModelsPage, desk: ModelsDesk) -> None:
    click(page, "glm-5", 2)
    assert page.detail.chips[0].text() == "Too big"
    assert " GiB missing. What would fit: 3 nodes." in page.detail.remedy.text()
    assert page.detail.button.isEnabled() is False
    page.model.choose(page.model.chosen_name, 1)
    page.model.choose(page.model.chosen_name, 2)
    assert desk.remedies == [("glm-5", 2), ("glm-5", 1)], "each is asked for once"


def test_plan_it_carries_the_model_and_the_nodes_of_its_plan(page: ModelsPage) -> None:
    spy = QSignalSpy(page.plan_asked)
    click(page, "gpt-oss-120b", 2)
    assert page.detail.button.text() == "Plan it on 2 nodes"
    QTest.mouseClick(page.detail.button, Qt.MouseButton.LeftButton)
    click(page, "llama-3.1-8b", 1)
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    assert spy.count() == 2
    assert spy.at(0) == ["openai/gpt-oss-120b", ("node0", "node1")]
    assert len(spy.at(1)[1]) == 1
    click(page, "glm-5", 2)
    QTest.keyClick(page.table, Qt.Key.Key_Return)
    assert spy.count() == 2, "what does not fit leads nowhere"


def test_a_column_of_more_nodes_may_plan_on_those_that_are_there(page: ModelsPage) -> None:
    click(page, "llama-3.3-70b", 3)
    cell = page.model.chosen_cell()
    assert cell is not None
    assert cell.used_nodes == 2
    assert page.model.obstacle() == ""
    assert page.detail.button.text() == "Plan it on 2 nodes"


def test_arrow_keys_walk_over_models_and_node_counts(page: ModelsPage) -> None:
    click(page, "llama-3.3-70b", 1)
    page.table.setFocus()
    QTest.keyClick(page.table, Qt.Key.Key_Right)
    assert page.model.chosen_count == 2
    QTest.keyClick(page.table, Qt.Key.Key_Down)
    assert page.model.chosen_name == "openai/gpt-oss-120b"
    assert page.detail.title.text() == "gpt-oss 120B"


def test_without_a_node_the_columns_are_of_sparks_that_nobody_owns(qtbot: QtBot, dressed: object) -> None:
    page = open_models(qtbot, ModelsDesk(specs(*KEYS), ()))
    assert page.banner.title() == "No Spark is live"
    assert [page.table.cells.heading(FIRST_COUNT + i)[1] for i in range(4)] == ["not owned"] * 4
    click(page, "gpt-oss-120b", 1)
    assert page.detail.chips[0].text() == "Fits"
    assert page.detail.reason.text() == "No node is live: add a Spark first"


def test_more_nodes_than_four_have_columns(qtbot: QtBot, dressed: object) -> None:
    page = open_models(qtbot, ModelsDesk(specs("llama-3.1-8b"), (6.2,) * 5))
    assert page.table.cells.counts == (1, 2, 3, 4, 5)
    page.filters.nodes.set_key("8")
    qtbot.waitUntil(lambda: not page.model.is_computing)
    assert page.table.cells.counts == (1, 2, 3, 4, 6, 8)


def test_a_catalogue_that_cannot_be_read_says_so(qtbot: QtBot, dressed: object) -> None:
    desk = ModelsDesk(())
    desk.problem = "models.toml is damaged. Install SparkDesk again."
    page = ModelsPage(ModelsModel(desk.feeds()))
    qtbot.addWidget(host_page(page, 1044, 652))
    assert page.nothing.isVisible()
    assert [label.text() for label in page.nothing.findChildren(type(page.count))][:2] == [
        "There is no catalogue",
        desk.problem,
    ]


def test_every_control_has_a_name(page: ModelsPage) -> None:
    parts = [page.filters.search, page.filters.sizes, page.filters.order, page.filters.nodes, page.table]
    assert all(part.accessibleName() for part in parts)
    assert page.detail.ledger.accessibleName()


def test_a_plan_without_a_safe_context_says_so(page: ModelsPage) -> None:
    click(page, "gpt-oss-120b", 1)
    cell = page.model.chosen_cell()
    assert cell is not None
    risky = replace(cell, verdict=Verdict.RISKY, fit=Fit.RISKY, max_context_tokens=0)
    assert context_cell(0) == "none safe"
    assert "no context leaves a node the 8 GiB that it needs" in cell_sentence("Some model", risky, {})


def test_measured_is_said_only_of_the_very_case(page: ModelsPage) -> None:
    click(page, "gpt-oss-120b", 1)
    cell = page.model.chosen_cell()
    assert cell is not None
    assert cell.leans_on is not None
    near = replace(cell, leans_on=replace(cell.leans_on, distance="another build", tpot_s=0.02))
    exact = replace(near, leans_on=replace(cell.leans_on, distance="", tpot_s=0.02))
    assert (measured_tok_s(near), measured_tok_s(exact)) == (None, 50.0)
    page.detail.show_speed(exact)
    assert page.detail.band_words.text().endswith("tok/s, measured 50.0 tok/s")
    assert page.detail.leans.text().endswith(": this very case")
    page.detail.show_speed(near)
    assert "measured" not in page.detail.band_words.text()


def test_the_first_click_chooses_the_row_under_it(qtbot: QtBot, dressed: object, desk: ModelsDesk) -> None:
    page = open_models(qtbot, desk, (1044, 320))
    page.filters.search.setFocus()
    page.model.choose("")
    page.table.setCurrentIndex(QModelIndex())
    click(page, "glm-5", 2)
    assert page.model.chosen_name == page.table.cells.entries[-1].spec.name


HEAVY = Correction("Qwen/Qwen3-Coder-Next-FP8", "vllm", "stock", 2, weights_factor=1.1)


def test_a_plan_whose_memory_was_measured_says_so_and_can_be_forgotten_there(
    qtbot: QtBot, page: ModelsPage, desk: ModelsDesk
) -> None:
    click(page, "qwen3-coder-next", 1)
    before = said(page, "qwen3-coder-next", 1)
    assert page.detail.learned.isVisible() is False
    desk.learn(HEAVY)
    qtbot.waitUntil(page.detail.learned.isVisible, timeout=30_000)
    words = page.detail.learned.text()
    assert words.startswith("Measured here by 2 starts: weights ")
    assert " GiB instead of " in words
    assert said(page, "qwen3-coder-next", 1).endswith(", memory as measured here")
    assert "memory as measured" not in said(page, "glm-5", 4), "of another model nothing was measured"
    QTest.mouseClick(page.detail.forget, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.detail.forget.text() == "Use what was measured", timeout=30_000)
    assert said(page, "qwen3-coder-next", 1) == before
    assert page.detail.learned.text().endswith("not used: these are the planner's own figures.")
    QTest.mouseClick(page.detail.forget, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.detail.learned.text() == words, timeout=30_000)
