"""Memory traffic and energy in words: computed, estimated, or not known with its reason; never zero for not known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from sparkdesk.core.planning.bandwidth import Bandwidth
from sparkdesk.core.telemetry.energy import EnergyView
from ui.cluster.effort import bandwidth_words, energy_rows, energy_words, job_energy_words, wall_words
from ui.cluster.strip import FittedLabel, shorter

NAN = math.nan
DRAWN = EnergyView(7.2e6, 1.8e7, 1.5, "EUR", 1900.0, 12.34, 0.5, 1, "Cost is of the wall, an estimate.")
NOTHING = EnergyView(NAN, NAN, NAN, "", NAN, NAN, NAN, 1, "")


def test_the_share_of_several_nodes_is_of_their_peaks_together() -> None:
    found = Bandwidth(178.0, 0.652, 5.87e9)
    assert bandwidth_words(found, 1)[0] == "178 GB/s · 65\u202f% of 273, computed"
    words, hint = bandwidth_words(found, 2)
    assert words == "178 GB/s · 65\u202f% of 2 x 273, computed"
    assert "A step reads 5.9 GB." in hint


def test_an_unknown_bandwidth_gives_no_figure_but_a_reason() -> None:
    words, hint = bandwidth_words(Bandwidth(NAN, NAN, NAN, "What the weights take is not known"), 1)
    assert words == "GB/s n/a"
    assert hint.endswith("Not known here: What the weights take is not known.")


@pytest.mark.parametrize(
    ("joule", "words"), [(NAN, "n/a"), (36.0, "0.01 Wh"), (44_640.0, "12.4 Wh"), (7.2e6, "2.00 kWh")]
)
def test_energy_is_written_in_the_unit_of_its_size(joule: float, words: str) -> None:
    assert energy_words(joule) == words


def test_what_is_not_known_of_an_energy_has_no_row() -> None:
    assert energy_rows(NOTHING) == [("GPU rail", "n/a")]
    assert job_energy_words(NOTHING)[0] == ""
    assert job_energy_words(None) == ("", "")
    rows = dict(energy_rows(DRAWN))
    assert rows["Wall"] == "about 5.00 kWh, estimate"
    assert rows["Cost"] == "1.50 EUR"
    assert rows["Covered"] == "50\u202f% of the time, the rest is a gap"


def test_the_energy_of_a_deployment_begins_with_what_a_token_takes() -> None:
    words, hint = job_energy_words(DRAWN)
    assert words == "12.3 J/tok · 2.00 kWh · 1.50 EUR"
    assert hint.endswith(DRAWN.words)
    assert job_energy_words(replace(DRAWN, cost=NAN))[0] == "12.3 J/tok · 2.00 kWh"


def test_the_wall_is_estimated_for_a_spark_with_a_known_power_only() -> None:
    assert wall_words(44.0, is_spark=True)[0] == "about 120 W, estimate"
    assert wall_words(44.0, is_spark=False)[0] == "n/a"
    assert wall_words(NAN, is_spark=True)[0] == "n/a"


def test_words_that_do_not_fit_are_left_out_whole(qtbot: QtBot, dressed: object) -> None:
    label = FittedLabel("label", "text3")
    qtbot.addWidget(label)
    label.show()
    label.set_wordings(shorter("12.3 J/tok · 2.00 kWh · 1.50 EUR"))
    seen = []
    for width in range(300, 0, -4):
        label.resize(width, 20)
        if not seen or seen[-1] != label.text():
            seen.append(label.text())
    assert seen == ["12.3 J/tok · 2.00 kWh · 1.50 EUR", "12.3 J/tok · 2.00 kWh", "12.3 J/tok", ""]
