from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ui.charts.choice import FIRST_KEYS, MOST_KEYS, MOST_PLOTS, Choice, read_choice, write_choice


def test_a_choice_comes_back_as_it_was_stored() -> None:
    choice = Choice(("node1", "job:x"), (("gpu_temp_c", "cpu_temp_c"), ("cage_rx_gbps.P0",)), 3600.0, True)
    assert read_choice(write_choice(choice)) == choice
    assert read_choice(write_choice(Choice())) == Choice()


@pytest.mark.parametrize("stored", [None, 7, b"x", "", "[", "[1]", '"x"', "null", "{}", "[" * 5000, "x" * 200_000])
def test_what_is_no_choice_is_the_first_one(stored: object) -> None:
    assert read_choice(stored) == Choice()
    assert read_choice(stored).plots == FIRST_KEYS


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["sources", "plots", "span_s", "is_fitted"]), x), max_leaves=12))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_whatever_was_stored_a_choice_keeps_its_bounds(stored: object) -> None:
    choice = read_choice(json.dumps(stored))
    assert len(choice.plots) <= MOST_PLOTS
    assert all(0 < len(plot) <= MOST_KEYS for plot in choice.plots)
    keys = [key for plot in choice.plots for key in plot]
    assert len(keys) == len(set(keys))


def test_a_metric_stands_in_one_plot_only() -> None:
    stored = json.dumps({"plots": [["a", "b"], ["b"], ["c", "a"]]})
    assert read_choice(stored).plots == (("a", "b"), ("c",))
    assert Choice(plots=(("a",),)).with_key("a", -1).plots == (("a",),)


def test_a_fifth_plot_and_a_seventeenth_metric_find_no_room() -> None:
    full = Choice(plots=tuple((key,) for key in "abcd"))
    assert full.with_key("e", -1) == full
    packed = Choice(plots=(tuple("abcdefghijklmnop"),))
    assert packed.with_key("q", 0) == packed
    assert packed.with_key("f", 3) == packed


def test_a_plot_without_metrics_is_gone() -> None:
    assert Choice(plots=(("a",), ("b", "c"))).without_key("a").plots == (("b", "c"),)
    assert Choice(plots=(("a",), ("b",))).without_plot(0).plots == (("b",),)
