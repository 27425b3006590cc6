"""Where the time goes: shares to scale, figures that sum to the whole, nothing that is nothing."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from sparkdesk.core.planning.figure import Part
from tests.ui.contrast import contrast
from tests.ui.picture import host_page
from ui import theme
from ui.launch.plan.parts_bar import PART_NAMES, PartsBar, drawn_parts

PARTS = (
    Part("weights", 0.040),
    Part("kv", 0.0146),
    Part("communication", 0.0109),
    Part("bubble", 0.0),
    Part("overhead", 0.0073),
)


def test_parts_of_nothing_are_left_out_and_the_rest_keeps_its_order() -> None:
    drawn = drawn_parts(PARTS)
    assert [part.key for part in drawn] == ["weights", "kv", "communication", "overhead"]
    assert sum(part.share for part in drawn) == pytest.approx(1.0)


def test_each_part_says_its_time_and_its_share() -> None:
    assert [part.words for part in drawn_parts(PARTS)] == [
        "weights 40 ms 55\u202f%",
        "KV 14.6 ms 20\u202f%",
        "communication 10.9 ms 15\u202f%",
        "overhead 7.3 ms 10\u202f%",
    ]
    small = drawn_parts((Part("compute", 5.9), Part("communication", 0.02)))
    assert small[1].words == "communication 20 ms < 1\u202f%"


def test_a_time_that_is_not_known_has_no_parts() -> None:
    assert drawn_parts(()) == ()
    assert drawn_parts((Part("weights", float("nan")),)) == ()
    assert drawn_parts((Part("weights", 0.0),)) == ()


def test_the_bar_is_drawn_to_scale(qtbot: QtBot, dressed: object) -> None:
    bar = PartsBar("TPOT", "time for each further token")
    qtbot.addWidget(host_page(bar, 638, 60))
    bar.show_parts((Part("weights", 0.3), Part("kv", 0.1)))
    shot = bar.grab().toImage()
    line = [shot.pixelColor(x, 9).name().upper() for x in range(38, 638)]
    weights, kv = (sum(shade == theme.hex_of(token) for shade in line) for token in ("ledger_weights", "ledger_kv"))
    assert weights / (weights + kv) == pytest.approx(0.75, abs=0.02)
    assert bar.accessibleName() == ("TPOT, time for each further token: weights 300 ms 75\u202f%, KV 100 ms 25\u202f%")


def test_a_narrow_bar_breaks_its_key_into_lines(qtbot: QtBot, dressed: object) -> None:
    bar = PartsBar("TPOT", "time for each further token")
    qtbot.addWidget(host_page(bar, 600, 60))
    bar.show_parts(PARTS)
    assert bar.heightForWidth(240) > bar.heightForWidth(600)


@pytest.mark.parametrize("look", ["dark", "light"])
def test_what_is_computed_is_seen_in_both_themes_and_is_no_blue_beside_the_weights(look: theme.ThemeName) -> None:
    theme.set_theme(look)
    shade, weights = (theme.color(PART_NAMES[key][1]) for key in ("compute", "weights"))
    surface = theme.color("surface").name()
    hues = shade.hue(), weights.hue()
    theme.set_theme("dark")
    assert contrast(shade.name(), surface) >= 3.0
    assert shade.saturationF() > 0.5, "one hue in both themes, no paper beside ink"
    assert abs(hues[0] - hues[1]) > 90
