"""Ranks follow the cables; a stranger is no rank, and nobody is lost."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.rank import ranked
from sparkdesk.core.cluster.topology import Topology, build_topology
from tests.core.cluster.cabling import ring

IDS = st.sampled_from([f"n{i}" for i in range(8)])


def test_nodes_that_were_chosen_in_any_order_are_ranked_round_the_ring() -> None:
    order = build_topology(ring(5).views(), {}).rank_order
    assert ranked(("n4", "n2", "n1", "n5", "n3"), order) == order
    assert all(abs(int(one[1:]) - int(other[1:])) in (1, 4) for one, other in pairwise(order))


def test_before_the_first_look_nodes_stay_as_they_were() -> None:
    assert ranked(("n3", "n1"), Topology().rank_order) == ("n3", "n1")


@given(st.lists(IDS), st.lists(IDS))
def test_an_order_adds_nobody_and_loses_nobody(chosen: list[str], order: list[str]) -> None:
    found = ranked(chosen, order)
    assert sorted(found) == sorted(set(chosen))
    known = [node for node in found if node in order]
    assert known == [node for node in dict.fromkeys(order) if node in chosen]
    assert list(found[len(known) :]) == [node for node in dict.fromkeys(chosen) if node not in order]
