"""What can these Sparks run: every model, on the nodes there are and on nodes there could be."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.search.rows import plan_rows
from sparkdesk.core.planning.search.table import Verdict, models_table
from tests.core.planning.planner import ask, catalogue, place_of, reference, spec_of


def test_a_cell_says_what_the_search_says() -> None:
    for key in ("llama-3.3-70b", "gpt-oss-120b", "qwen3.5-397b-a17b"):
        (row,) = models_table([spec_of(key)], place_of(4), reference(), (4,))
        rows = [one for one in plan_rows(ask(key, 4), reference()) if one.setup.engine.is_launchable]
        cell = row.cells[0]
        assert (cell.engine, cell.quantization, cell.used_nodes, cell.max_context_tokens) == (
            rows[0].setup.engine.key,
            rows[0].setup.weights.key,
            len(rows[0].place.nodes),
            rows[0].max_context_tokens,
        )
        assert cell.user_tok_s == rows[0].shown.user_tok_s


def test_nodes_beyond_the_place_are_there_and_marked() -> None:
    (row,) = models_table([spec_of("llama-3.1-405b")], place_of(1), reference())
    assert [(cell.nodes, cell.is_owned) for cell in row.cells] == [(1, True), (2, False), (3, False), (4, False)]
    assert [cell.verdict for cell in row.cells] == [Verdict.NO, Verdict.FITS, Verdict.FITS, Verdict.FITS]
    assert row.cell(1) is row.cells[0]
    assert row.cell(9) is None


def test_a_third_node_that_would_make_it_slower_is_not_used() -> None:
    (row,) = models_table([spec_of("llama-3.3-70b")], place_of(3), reference(), (2, 3))
    assert [cell.used_nodes for cell in row.cells] == [2, 2]
    assert row.cells[0].user_tok_s == row.cells[1].user_tok_s


def test_full_nodes_run_less() -> None:
    (empty,) = models_table([spec_of("gpt-oss-120b")], place_of(1), reference(), (1,))
    (full,) = models_table([spec_of("gpt-oss-120b")], place_of(1, free_gib=(40.0,)), reference(), (1,))
    assert (empty.cells[0].verdict, full.cells[0].verdict) == (Verdict.FITS, Verdict.NO)
    assert (full.cells[0].missing_bytes or 0) > 10 << 30


def test_a_model_that_nobody_knows_anything_of_is_not_called_impossible() -> None:
    (row,) = models_table([ModelSpec("someone/something", "Something")], place_of(2), reference())
    assert {cell.verdict for cell in row.cells} == {Verdict.UNKNOWN}
    shapeless = replace(spec_of("qwen3-8b"), layers=())
    (row,) = models_table([shapeless], place_of(1), reference(), (1,))
    assert row.cells[0].verdict is Verdict.UNKNOWN


def test_every_model_of_the_catalogue_has_its_row() -> None:
    rows = models_table(catalogue(), place_of(4), reference())
    assert [row.spec.key for row in rows] == [spec.key for spec in catalogue()]
    assert all(cell.verdict is not Verdict.UNKNOWN for row in rows for cell in row.cells)
