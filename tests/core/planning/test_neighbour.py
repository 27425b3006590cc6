"""Neighbours take their part of memory, compute and cable; what is not known of them stays unknown."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.planning.figure import UNKNOWN, Figure
from sparkdesk.core.planning.neighbour import (
    REACHABLE_GB_PER_S,
    busyness_words,
    is_known,
    predict_shared,
    share_left,
    tolls,
)
from sparkdesk.core.planning.place import Link, Neighbour, NodeRoom, Place
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.share import ALL, Share

NAN = math.nan


def busy(gb_per_s: float, *nodes: str, job: str = "j1", compute: float = 0.0, link: float = 0.0) -> Neighbour:
    return Neighbour(job, job, nodes or ("n1",), gb_per_s, 20.0, compute_share=compute, link_gb_per_s=link)


def place(*neighbours: Neighbour, nodes: int = 1, link: Link | None = None) -> Place:
    return Place(tuple(NodeRoom(f"n{i + 1}", f"n{i + 1}") for i in range(nodes)), link, neighbours)


def prediction(gb_per_s: float = 150.0, *, prompt_share: float = 0.0, link_gb_per_s: float = 0.0) -> Prediction:
    one, whole = Figure(10.0, 9.0, 11.0), Figure(prompt_share * 10.0, 0.0, 10.0)
    return Prediction(
        whole, one, one, one, one, (), (), memory_gb_per_s=gb_per_s, compute_share=0.1, link_gb_per_s=link_gb_per_s
    )


def test_an_idle_neighbour_takes_nothing_and_loses_nothing() -> None:
    idle = place(busy(0.0))
    assert share_left(idle, prediction()) == ALL
    assert [toll.slowdown for toll in tolls(idle, prediction(prompt_share=0.5))] == [1.0]
    assert predict_shared(idle, alone := prediction(), lambda _share: prediction(1.0)) is alone


def test_an_idle_one_loses_nothing_to_busy_ones_either() -> None:
    idle, other = tolls(place(busy(0.0), busy(150.0, job="j2")), prediction(prompt_share=0.5))
    assert idle.slowdown == 1.0
    assert other.slowdown < 0.7


def test_two_that_ask_more_than_there_is_are_slowed_alike() -> None:
    shared = place(busy(150.0))
    left, (toll,) = share_left(shared, prediction()), tolls(shared, prediction())
    assert left.memory == pytest.approx(REACHABLE_GB_PER_S / 300.0)
    assert toll.slowdown == pytest.approx(left.memory)
    assert (toll.job_id, toll.title) == ("j1", "j1")


def test_what_is_within_reach_together_slows_nobody() -> None:
    shared = place(busy(40.0))
    assert share_left(shared, prediction()).memory == 1.0
    assert tolls(shared, prediction())[0].slowdown == 1.0


def test_reading_a_prompt_takes_turns_with_a_busy_neighbour() -> None:
    shared = place(busy(REACHABLE_GB_PER_S))
    assert share_left(shared, prediction(0.0)).compute == pytest.approx(0.5)
    assert tolls(shared, prediction(0.0, prompt_share=1.0))[0].slowdown == pytest.approx(0.5)


def test_a_neighbour_on_another_node_does_not_count() -> None:
    assert share_left(place(busy(150.0, "n9")), prediction()) == ALL
    assert tolls(place(busy(150.0, "n9")), prediction()) == ()
    assert predict_shared(place(busy(150.0, "n9")), prediction(), lambda _share: prediction()) is None


def test_the_node_with_least_left_decides() -> None:
    two = place(busy(150.0, "n2"), nodes=2)
    assert share_left(two, prediction()).memory == pytest.approx(REACHABLE_GB_PER_S / 300.0)


def test_a_shared_cable_is_divided() -> None:
    two = place(busy(0.0, "n1", "n2", compute=0.1, link=15.0), nodes=2, link=Link(20.0, 3e-5))
    assert share_left(two, prediction(link_gb_per_s=15.0)).link == pytest.approx(20.0 / 30.0)
    assert tolls(two, prediction(link_gb_per_s=15.0))[0].slowdown == pytest.approx(20.0 / 30.0)
    assert share_left(two, prediction(link_gb_per_s=5.0)).link == 1.0


def test_a_neighbour_of_which_nothing_is_known_makes_the_figures_unknown_and_is_named() -> None:
    silent = place(busy(NAN, job="gpt-oss-120b"), busy(100.0))
    assert not is_known(share_left(silent, prediction()))
    shared = predict_shared(silent, prediction(), lambda _share: prediction())
    assert shared is not None
    assert not shared.tpot_s.is_known
    assert math.isnan(shared.memory_gb_per_s)
    assert math.isnan(tolls(silent, prediction())[0].slowdown)
    assert "gpt-oss-120b" in busyness_words(silent)
    assert busyness_words(place(busy(100.0))) == ""
    assert math.isnan(tolls(place(busy(100.0)), replace(prediction(), memory_gb_per_s=NAN))[0].slowdown)


def test_an_unknown_prediction_has_no_share() -> None:
    unknown = Prediction(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, (), (), memory_gb_per_s=NAN)
    assert not is_known(share_left(place(busy(100.0)), unknown))


RATES = st.floats(0.0, 400.0)
SHARES = st.floats(0.0, 1.0)


@given(RATES, RATES, SHARES, st.lists(st.tuples(RATES, SHARES), max_size=3), st.floats(0.0, 30.0))
def test_more_work_beside_never_leaves_more_and_never_costs_less(
    mine: float, more: float, prompt: float, others: list[tuple[float, float]], link: float
) -> None:
    before = [busy(rate, "n1", "n2", job=f"j{at}", compute=share) for at, (rate, share) in enumerate(others)]
    few = place(*before, busy(more / 2, "n1", "n2", job="x", link=link / 2), nodes=2)
    many = place(*before, busy(more, "n1", "n2", job="x", link=link), nodes=2)
    asked = prediction(mine, prompt_share=prompt, link_gb_per_s=link)
    less, left = share_left(many, asked), share_left(few, asked)
    for part in ("memory", "compute", "link"):
        assert 0.0 < getattr(less, part) <= getattr(left, part) + 1e-12 <= 1.0 + 1e-9
    for toll in tolls(many, asked):
        assert 0.0 < toll.slowdown <= 1.0


@given(RATES, RATES, st.floats(0.1, 400.0))
def test_a_launch_that_reads_more_never_costs_a_neighbour_less(few: float, more: float, theirs: float) -> None:
    small, large = sorted((few, more))
    shared = place(busy(theirs))
    assert tolls(shared, prediction(large))[0].slowdown <= tolls(shared, prediction(small))[0].slowdown


def test_the_share_is_handed_to_the_predictor() -> None:
    seen: list[Share] = []

    def predict(share: Share) -> Prediction:
        seen.append(share)
        return prediction()

    predict_shared(place(busy(150.0)), prediction(), predict)
    assert [round(share.memory, 3) for share in seen] == [round(REACHABLE_GB_PER_S / 300.0, 3)]
