"""The plan column with a planner of made rows: what stands there in each state, and that its parts agree."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.figure import total_s
from sparkdesk.core.planning.memory.ledger import worst_fit
from tests.ui.launch import made
from tests.ui.launch.desk import LaunchDesk, choose_nodes, open_page, settle
from tests.ui.launch.real import catalogue, open_real, show_model
from ui.launch.model import LaunchModel
from ui.launch.plan.rows.model import COLUMNS
from ui.launch.plan.shown import look_at
from ui.launch.view import LaunchPage

STRANGE = ModelSpec(name="someone/strange", title="Strange", formats=(WeightFormat("BF16", 1, engines=("vllm",)),))


def desk(*rows: object, **more: object) -> LaunchDesk:
    found = made.Planner(tuple(rows) or made.rows())  # type: ignore[arg-type]
    return LaunchDesk(found, (made.SPEC, STRANGE), {"vllm": made.VLLM}, **more)  # type: ignore[arg-type]


@pytest.fixture
def page(qtbot: QtBot, dressed: object) -> LaunchPage:
    return open_page(qtbot, desk())


def test_verdict_ledgers_tiles_and_marked_row_are_of_one_plan(page: LaunchPage) -> None:
    panel, model = page.plan, page.model
    row = model.row
    assert row is not None
    shown = look_at(model, None)
    assert panel.chips[0].text().startswith(worst_fit(shown.ledgers).value)
    assert [chip.text() for *_, chip in panel.ledgers.rows[: len(shown.ledgers)]] == [
        each.fit.value for each in shown.ledgers
    ]
    assert panel.figures.tiles.tiles[0].words is not None
    assert panel.figures.tiles.tiles[0].words.figure == row.shown.ttft_s
    drawn = panel.figures.parts.tpot.parts
    assert sum(part.seconds for part in drawn) == pytest.approx(total_s(row.shown.tpot_parts))
    assert total_s(row.shown.tpot_parts) == pytest.approx(row.shown.tpot_s.value)
    assert [part.key for part in drawn] == ["weights", "kv", "communication", "overhead"], "a part of 0 is left out"


def test_a_ledger_says_its_node_and_its_word(page: LaunchPage) -> None:
    name, bar, _, chip = page.plan.ledgers.rows[0]
    assert bar.accessibleName().startswith(f"{name.text()}, {chip.text()}: Unified memory 121.6 GiB")


def test_the_time_it_took_is_said(page: LaunchPage) -> None:
    assert page.plan.timing.text().startswith("computed offline in ")


def test_a_row_chosen_in_the_table_goes_into_the_form(page: LaunchPage) -> None:
    table = page.plan.ways.table
    table.setFocus()
    assert page.model.form.parallelism.world_size == 1
    table.setCurrentIndex(table.rows.index(1, COLUMNS.index("split")))
    QTest.keyClick(table, Qt.Key.Key_Space)
    assert page.model.form.parallelism.pipeline_parallel_size == 2
    assert page.model.form.nodes == ("node0", "node1")


def test_beside_a_busy_neighbour_both_figures_and_the_toll_stand_there(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk(made.shared_row()))
    figures = page.plan.figures
    assert figures.neighbours.isVisible()
    assert "alone 15.8 s" in figures.tiles.tiles[0].accessibleName()
    assert "19.4 s" in figures.tiles.tiles[0].accessibleName()
    assert figures.tolls.isVisible()
    drawn = figures.parts.ttft.parts
    assert sum(part.seconds for part in drawn) == pytest.approx(19.4), "the parts are of the figure over them"


def test_a_model_without_a_known_shape_has_no_figures_but_says_what_is_needed(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk())
    page.model.set_field("model", "someone/unheard-of")
    settle(page)
    panel = page.plan
    assert not panel.figures.isVisible()
    assert not panel.ways.isVisible()
    assert "config.json" in panel.note.text()
    assert panel.commands.isVisible(), "what would run is known all the same"
    assert [chip.text() for chip in panel.chips if chip.isVisibleTo(panel)] == ["Not known"]
    _name, bar, left, chip = panel.ledgers.rows[0]
    assert (left.text(), chip.text()) == ("left n/a", "Not known"), "the share says nothing of the model"
    assert "n/a" in bar.accessibleName()
    assert panel.launch.isEnabled()
    assert any("not known" in line[1] and line[0] == "warning" for line in panel.problems.lines())


def test_without_a_node_it_says_so(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk(used_gib=()))
    assert "no node is live" in page.plan.note.text()
    assert not page.plan.figures.isVisible()
    assert not page.plan.memory.isVisible()


def test_where_nothing_fits_it_says_why_and_what_would(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk(made.misfit()))
    said = page.plan.ways.why.text()
    assert said.startswith("Nothing fits.")
    assert "Take 4 nodes" in said
    assert page.plan.chips[0].text() == page.plan.ledgers.rows[0][3].text()


def test_an_unreadable_number_keeps_the_last_figures_and_marks_them_as_old(page: LaunchPage) -> None:
    assert page.model.row is not None
    page.model.set_field("prompt_tokens", "abc")
    settle(page)
    panel = page.plan
    assert page.model.row is None
    assert panel.figures.isVisible()
    assert "from before" in panel.note.text()
    assert panel.chips[1].text() == "1 error"
    assert panel.figures.tiles.tiles[0].is_stale()
    page.model.set_field("prompt_tokens", "2048")
    settle(page)
    assert not panel.figures.tiles.tiles[0].is_stale()
    assert not panel.note.isVisible()


def test_before_the_first_answer_it_says_that_it_computes(dressed: object) -> None:
    model = LaunchModel(desk().feeds())
    shown = look_at(model, None)
    assert shown.is_computing
    assert shown.note == "Computing the plan."


def test_warnings_are_counted_once_in_the_chip_and_the_list(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk())
    lines = [line for line in page.plan.problems.lines() if line[0] == "warning"]
    assert len({line[1] for line in lines}) == len(lines)
    word = page.plan.chips[0].text()
    assert ("with" in word) is bool(lines)


def test_a_plan_for_several_nodes_is_whole_without_a_launch(page: LaunchPage) -> None:
    choose_nodes(page, 0, 1)
    settle(page)
    assert page.plan.figures.isVisible()
    assert page.plan.memory.isVisible()
    assert len(look_at(page.model, None).ledgers) == 2


def test_a_risky_node_makes_the_whole_plan_risky() -> None:
    found = (made.ledger("node0", 6.2, 9.5), made.ledger("node1", 100.0, 9.5))
    assert [each.fit for each in found] == [Fit.FITS, Fit.RISKY]
    assert worst_fit(found) is Fit.RISKY


def test_an_estimate_is_marked_as_one(qtbot: QtBot, dressed: object) -> None:
    bare = made.row(alone=made.prediction(is_fitted=False))
    page = open_page(qtbot, desk(bare))
    assert page.plan.figures.leans.case.text() == "Estimate, not fitted"
    assert not page.plan.figures.tiles.tiles[0].words.is_supported  # type: ignore[union-attr]


def test_a_row_without_speed_says_not_known(qtbot: QtBot, dressed: object) -> None:
    nothing = replace(
        made.prediction(),
        **dict.fromkeys(("ttft_s", "tpot_s", "e2e_s", "output_tok_s"), made.NOT_KNOWN),
        ttft_parts=(),
        tpot_parts=(),
    )
    page = open_page(qtbot, desk(made.row(alone=nothing)))
    assert page.plan.figures.tiles.tiles[0].accessibleName() == "TTFT of the last of 4 users, 32K prompt: not known"
    assert not page.plan.figures.parts.tpot.isVisible()


def test_a_ledger_that_counts_another_load_than_the_table_says_both(qtbot: QtBot, dressed: object) -> None:
    page = open_real(qtbot, [spec for spec in catalogue() if spec.key == "gpt-oss-120b"])
    show_model(page, "gpt-oss-120b", (0,), "chat", "")
    page.model.set_field("context_tokens", "131072")
    page.model.set_field("concurrency", 10)
    settle(page)
    basis = page.plan.memory.basis
    assert basis.isVisible()
    assert basis.text() == ("For 10 requests of 131,072 tokens, as launched; table and figures count 1 user of 2,560")
    page.model.set_field("users", 10)
    for name, tokens in (("prompt_tokens", "3584"), ("answer_tokens", "512"), ("context_tokens", "4096")):
        page.model.set_field(name, tokens)
    settle(page)
    assert not basis.isVisible(), "one load, one figure"
