from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtWidgets import QApplication

from tests.ui.picture import host_page
from ui import theme
from ui.text import GIB
from ui.widgets.ledger import LedgerBar, LedgerValues, describe, segments

MODEL = LedgerValues(121.6 * GIB, 30.6 * GIB, 47 * GIB, 12 * GIB, 16.2 * GIB, 0, 11.4 * GIB)


def test_the_order_is_fixed_and_the_parts_sum_to_the_total() -> None:
    parts = segments(MODEL)
    assert [part.key for part in parts] == ["weights", "kv", "runtime", "cache", "free"]
    assert sum(part.size_bytes for part in parts) == pytest.approx(MODEL.total_bytes)


def test_the_sentence_says_every_part() -> None:
    assert describe(MODEL) == (
        "Unified memory 121.6 GiB: weights 30.6 GiB, KV cache reserved 47.0 GiB, other 16.2 GiB, page cache 11.4 GiB, "
        "free 16.4 GiB; 12.0 GiB of the KV cache in use"
    )


def test_what_is_reserved_lies_before_what_is_free_and_counts_as_taken() -> None:
    planned = LedgerValues(100 * GIB, 40 * GIB, 20 * GIB, reserve_bytes=10 * GIB)
    assert [part.key for part in segments(planned)] == ["weights", "kv", "reserve", "free"]
    assert planned.free_bytes == 30 * GIB
    assert "reserve 10.0 GiB" in describe(planned)


def test_too_much_is_said_with_how_much() -> None:
    over = LedgerValues(100 * GIB, 90 * GIB, 20 * GIB, others_bytes=4.4 * GIB)
    assert describe(over).endswith("; 14.4 GiB too much")
    assert "free" not in describe(over)


def test_nothing_measured_is_not_an_empty_bar() -> None:
    assert "n/a" in describe(LedgerValues())


sizes = st.floats(0, 500 * GIB)


@given(st.tuples(sizes, sizes, sizes, sizes, sizes, sizes, sizes))
def test_any_figures_can_be_painted(dressed: QApplication, parts: tuple[float, ...]) -> None:
    bar = LedgerBar()
    bar.resize(200, 16)
    bar.set_values(LedgerValues(*parts))
    assert not bar.grab().isNull()


def test_the_page_cache_is_hatched_and_weights_are_solid(dressed: QApplication) -> None:
    bar = LedgerBar()
    host_page(bar, 400, 16)
    bar.set_values(LedgerValues(100 * GIB, 50 * GIB, page_cache_bytes=50 * GIB))
    image = bar.grab().toImage()
    solid = {image.pixelColor(x, 3).name() for x in range(20, 80)}
    hatched = {image.pixelColor(x, 8).name() for x in range(240, 380)}
    assert solid == {theme.hex_of("ledger_weights").lower()}
    assert len(hatched) > 3


@pytest.mark.parametrize("total_bytes", [5e-324, 1.0, GIB])
def test_more_page_cache_than_memory_does_not_hang_the_painter(dressed: QApplication, total_bytes: float) -> None:
    bar = LedgerBar()
    bar.resize(200, 16)
    bar.set_values(LedgerValues(total_bytes, 0.0, page_cache_bytes=1e18))
    assert not bar.grab().isNull()
