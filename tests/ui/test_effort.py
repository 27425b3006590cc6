"""Memory traffic and energy in words: computed, estimated, or not known with its reason; never zero for not known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from sparkdesk.core.planning.speed.bandwidth import Bandwidth
from sparkdesk.core.telemetry.energy import EnergyView
from tests.ui import rack
from ui.cluster.card import build_card
from ui.cluster.strip import FittedLabel, shorter
from ui.effort import (
    bandwidth_wordings,
    bandwidth_words,
    effort_cells,
    energy_rows,
    energy_words,
    job_energy_words,
    wall_words,
)
from ui.quantity import title_of_card, write_quantity

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


def test_a_bandwidth_says_that_it_is_computed_as_long_as_there_is_room() -> None:
    assert bandwidth_wordings(Bandwidth(3.42, 0.0125, 1e8), 1) == (
        "3.4 GB/s · 1\u202f% of 273, computed",
        "3.4 GB/s, computed",
        "3.4 GB/s",
    )
    assert bandwidth_wordings(Bandwidth(NAN, NAN, NAN, "No request runs"), 1) == (
        "GB/s n/a: no request runs",
        "GB/s n/a",
    )


def test_what_a_deployment_takes_has_a_title_for_each_figure_and_a_reason_where_one_is_missing() -> None:
    cells = {cell.title: cell.value for cell in effort_cells(Bandwidth(178.0, 0.652, 5.87e9), DRAWN, 1)}
    assert cells == {
        "Memory bandwidth (computed)": "178 GB/s · 65\u202f% of 273",
        "Energy per token (GPU rail)": "12.34 J/tok",
        "Energy (GPU rail)": "2.00 kWh",
        "Wall": "about 5.00 kWh, estimate",
        "Cost": "1.50 EUR",
        "CO2": "1,900 g",
    }
    unknown = effort_cells(Bandwidth(NAN, NAN, NAN, "The engine does not say"), NOTHING, 1)
    assert [cell.value for cell in unknown] == ["n/a: the engine does not say", "n/a", "n/a"]
    assert effort_cells(None, None, 1) == ()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("gpu_sm_clock_mhz", 2411.0, "2.41 GHz"),
        ("gpu_power_w", 43.6, "44 W"),
        ("gpu_temp_c", 58.2, "58 °C"),
        ("joule_per_token", 1.014, "1.01 J/tok"),
        ("bandwidth_bytes_per_s", 178e9, "178.0 GB/s"),
        ("net_rx_gbps.enP7s7", 9.31, "9.3 Gb/s"),
        ("gpu_power_w", NAN, "n/a"),
    ],
)
def test_a_quantity_is_written_with_the_unit_of_the_table(key: str, value: float, words: str) -> None:
    assert str(write_quantity(key, value)) == words


def test_titles_on_cards_are_those_of_the_table() -> None:
    keys = ("gpu_power_w", "gpu_temp_c", "gpu_sm_clock_mhz", "wall_power_w", "busy_fraction")
    assert [title_of_card(key) for key in keys] == ["GPU rail", "GPU temp", "SM clock", "Wall", "Busy"]
    figures = build_card(rack.status(0), rack.sample(0), 0.0, ()).figures
    assert [figure.label for figure in figures] == ["Busy", "SM clock", "GPU temp", "GPU rail"]


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
