"""How lines pass each other: no crossing that could be spared, a hop where one must be, words where no line passes."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRectF

from tests.core.cluster.cabling import Cabling, Wire, switch
from tests.ui.cluster.cabled import CASES, MACS, Cabled, placed, wire_to
from ui.cluster.map.cable_paint import LEGEND, legend_of, words_rect

CHAIN = Cabling(
    3, [Wire([("n1", "P1"), ("n3", "P0")]), Wire([("n2", "P0"), ("n3", "P1")]), wire_to(("n1", "P0"), *MACS)]
)
DIRECT = Wire([("n1", "P0"), ("n2", "P0")])
LOW_ROOM = (1010, 386)
"""Of the map in a window of 1100 x 700 with a banner of two lines and a deployment."""


def test_a_chain_with_storage_crosses_no_line_and_its_ports_stand_above_each_other() -> None:
    layout = placed(Cabled(CHAIN).scene())
    assert not any(place.hops for place in layout.cables.values())
    assert layout.ports["n2", "P0"][0].x() == layout.ports["n3", "P0"][0].x()


def test_a_cable_between_nodes_hops_over_that_of_the_switch_with_some_of_it_left_to_see() -> None:
    case = Cabled(Cabling(4, [*switch(4, ("P1",)).wires, DIRECT]), "switch")
    layout = placed(case.scene())
    hopping = {key: place.hops for key, place in layout.cables.items() if place.hops}
    assert list(hopping) == ["n1:P0-n2:P0"]
    (hop,) = hopping["n1:P0-n2:P0"]
    assert hop.x() == layout.ports["n1", "P1"][0].x()
    assert layout.switches[0].rects[0].top() - hop.y() > 16


def test_words_of_a_switch_stand_in_the_middle_of_its_bar_where_no_line_passes() -> None:
    for case in (CASES["switch"](), Cabled(Cabling(4, [*switch(4, ("P1",)).wires, DIRECT]), "switch")):
        bar = placed(case.scene()).switches[0]
        assert abs(bar.text.center().x() - bar.rects[0].center().x()) < 1


def test_words_of_a_switch_keep_clear_of_a_line_that_passes() -> None:
    case = Cabled(Cabling(4, [*switch(4, ("P1",)).wires, Wire([("n1", "P0"), ("n4", "P0")])]), "switch")
    layout = placed(case.scene())
    passing = layout.ports["n4", "P0"][0].x()
    text = layout.switches[0].text
    assert text.width() > 150
    assert not text.left() - 4 < passing < text.right() + 4


@pytest.mark.parametrize("name", ["switch", "ring", "pair", "switch-guests"])
def test_in_the_lowest_window_every_card_keeps_its_figures_without_a_scroll_bar(name: str) -> None:
    layout = placed(CASES[name]().scene(), *LOW_ROOM)
    assert layout.density != "compact"
    assert layout.height <= LOW_ROOM[1]


def test_a_map_that_cannot_be_so_low_shows_compact_cards_before_it_scrolls() -> None:
    layout = placed(CASES["switch"]().scene(), 1010, 330)
    assert (layout.density, layout.height <= 330) == ("compact", True)


def test_what_marks_a_chosen_cable_stays_inside_the_map(dressed: object) -> None:
    scene = Cabled(CHAIN).scene()
    layout = placed(scene)
    inside = QRectF(1, 1, 846, 568)
    for cable in scene.cables:
        assert inside.contains(words_rect(layout.cables[cable.key], cable, layout.density))


def test_the_key_to_the_lines_shrinks_to_those_that_are_drawn_and_goes_where_there_is_none(dressed: object) -> None:
    assert legend_of(700, {"up"}) == LEGEND
    assert [look for look, _ in legend_of(327, {"up", "down"})] == ["up", "down"]
    assert legend_of(700, set()) == ()
