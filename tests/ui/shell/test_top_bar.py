"""The figures of the top bar: the node with the least room, never a sum; what goes first where room is short."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.node import NodeState
from tests.ui import rack
from tests.ui.picture import host_page
from tests.ui.stage import Stage
from ui import text
from ui.cluster.model import ClusterModel
from ui.shell.feed import ShellFeed, ShellFeeds
from ui.shell.model import ShellModel
from ui.shell.strip import StripItem, TopStrip


@pytest.fixture
def stage(dressed: object) -> Stage:
    found = Stage()
    for i, used_gib in enumerate((105.2, 6.2, 55.1, 9.6)):
        found.measure(i, used_gib)
    found.serve(rack.job("j1", "gpt-oss-120b", 0))
    return found


def feed(stage: Stage, model: ShellModel) -> ShellFeed:
    feeds = ShellFeeds(
        cluster=stage.cluster,
        nodes=stage.nodes,
        jobs=stage.jobs,
        sample=stage.samples.get,
        reading=stage.traces.newest,
        age_s=lambda node_id: (stage.now_ms - stage.samples[node_id].t_ms) / 1000,
        period_s=1.0,
    )
    return ShellFeed(feeds, model)


def open_strip(qtbot: QtBot, stage: Stage, width: int) -> TopStrip:
    model = ShellModel()
    strip = TopStrip(model)
    strip.feed = feed(stage, model)  # type: ignore[attr-defined]  # lives as long as the strip
    host = host_page(strip, width, 48)
    qtbot.addWidget(host)
    QTest.qWait(10)
    return strip


def shown(strip: QWidget) -> list[str]:
    return [item.accessibleName() for item in strip.findChildren(StripItem) if item.isVisible()]


def test_the_least_free_node_is_named_and_the_sum_is_a_tooltip(qtbot: QtBot, stage: Stage) -> None:
    strip = open_strip(qtbot, stage, 1440)
    memory = next(item for item in strip.findChildren(StripItem) if "memory" in item.accessibleName())
    words = [part.text for part in memory.parts()]
    assert words == ["", "16.4 GiB", "free on spark-5c2d"]
    assert "All 4 nodes together have" in memory.toolTip()
    assert "310" not in "".join(words)


def test_where_room_is_short_the_power_goes_first_then_the_tokens(qtbot: QtBot, stage: Stage) -> None:
    strip = open_strip(qtbot, stage, 1440)
    seen: list[tuple[bool, bool, bool]] = []
    for width in range(1440, 699, -10):
        strip.resize(width, 48)
        names = " | ".join(shown(strip))
        state = ("GPU rail" in names, "Generated" in names, "Least free" in names)
        if not seen or seen[-1] != state:
            seen.append(state)
    assert seen == [(True, True, True), (False, True, True), (False, False, True)]


def test_power_says_that_it_is_the_gpu_rail(qtbot: QtBot, stage: Stage) -> None:
    strip = open_strip(qtbot, stage, 1440)
    power = next(item for item in strip.findChildren(StripItem) if "GPU rail" in item.accessibleName())
    assert [part.text for part in power.parts()] == ["176", "W GPU rail"]


def test_a_node_that_tells_no_memory_counts_neither_as_full_nor_as_free(qtbot: QtBot, stage: Stage) -> None:
    stage.measure(0, 105.2, mem_available_bytes=math.nan)
    model = ShellModel()
    feed(stage, model).refresh()
    assert model.least_free is not None
    assert model.least_free.node == "spark-afe0"
    assert (model.free_sum.told, model.free_sum.of) == (3, 4)


def test_a_click_on_the_memory_leads_to_the_cluster(qtbot: QtBot, stage: Stage) -> None:
    strip = open_strip(qtbot, stage, 1440)
    spy = QSignalSpy(strip.page_wanted)
    memory = next(item for item in strip.findChildren(StripItem) if "memory" in item.accessibleName())
    QTest.mouseClick(memory, Qt.MouseButton.LeftButton)
    assert list(spy.at(0)) == ["cluster"]


def test_a_sum_over_some_of_the_nodes_says_of_how_many(qtbot: QtBot, stage: Stage) -> None:
    nodes = list(stage.nodes.value)
    nodes[3] = rack.status(3, NodeState.UNREACHABLE)
    stage.nodes.set(tuple(nodes))
    silent = rack.job("j2", "qwen3-8b", 1)
    stage.serve(*stage.jobs.value, replace(silent, readings=()))
    strip = open_strip(qtbot, stage, 1440)
    items = {item.parts()[1].text: item for item in strip.findChildren(StripItem) if len(item.parts()) > 1}
    assert [part.text for part in items["W GPU rail"].parts()] == ["132", "W GPU rail", "3 of 4"]
    assert items["W GPU rail"].accessibleName().startswith("Power of 3 of 4 nodes: at least 132 W")
    assert items["tok/s"].parts()[-1].text == "1 of 2"
    memory = next(item for item in strip.findChildren(StripItem) if "memory" in item.accessibleName())
    assert "3 of 4 nodes together have at least" in memory.toolTip()


def test_a_sum_over_some_says_so_in_less_room_before_it_goes(qtbot: QtBot, stage: Stage) -> None:
    nodes = list(stage.nodes.value)
    nodes[3] = rack.status(3, NodeState.UNREACHABLE)
    stage.nodes.set(tuple(nodes))
    strip = open_strip(qtbot, stage, 1440)
    power = next(item for item in strip.findChildren(StripItem) if "GPU rail" in item.accessibleName())
    seen: list[list[str]] = []
    for width in range(1440, 699, -1):
        strip.resize(width, 48)
        words = [part.text for part in power.parts()] if power.isVisible() else []
        if words not in seen:
            seen.append(words)
    assert seen == [["132", "W GPU rail", "3 of 4"], ["132+", "W GPU rail"], []]
    assert "at least 132 W" in power.accessibleName()


def test_a_node_whose_samples_are_old_is_in_no_sum_of_now(qtbot: QtBot, stage: Stage) -> None:
    stage.now_ms += 12_000
    for i in (1, 2, 3):
        stage.measure(i, 6.2)
    model = ShellModel()
    feed(stage, model).refresh()
    assert (model.gpu_power_w.told, model.gpu_power_w.of) == (3, 4)
    assert model.least_free is not None
    assert model.least_free.node == "spark-bd26"
    assert model.stale_text == ""
    stage.now_ms += 12_000
    stage.measure(3, 6.2)
    stage.now_ms += 5_000
    feed(stage, model).refresh()
    assert model.gpu_power_w.told == 4
    assert model.stale_text == "29 s ago"


def test_the_top_bar_reads_the_rate_in_the_same_moment_as_the_sentence(qtbot: QtBot, stage: Stage) -> None:
    for i in range(4):
        stage.measure(i, cage_up__P0=0.0)
    model, page = ShellModel(), ClusterModel(stage.cluster_feeds())
    shell = feed(stage, model)
    page.refreshed.connect(shell.refresh)
    page.refresh()
    for rate in (59.4, 41.8):
        stage.now_ms += 1_000
        stage.serve(replace(stage.jobs.value[0], readings=rack.readings(1.0, 0.0, rate)))
        page.refresh()
        assert model.tokens_per_s.words(text.token_rate(model.tokens_per_s.value)) == f"{rate} tok/s"
        assert f"{rate} tok/s" in page.scene.sentence.words


def test_the_top_bar_and_the_sentence_name_the_same_node_with_the_same_figure(qtbot: QtBot, stage: Stage) -> None:
    stage.serve()
    for i, used_gib in enumerate((2.98, 2.91, 2.93, 2.90)):
        stage.measure(i, used_gib, cage_up__P0=0.0)
    model = ShellModel()
    feed(stage, model).refresh()
    page = ClusterModel(stage.cluster_feeds())
    page.refresh()
    least = model.least_free
    assert least is not None
    said = f"least free memory {text.memory(least.free_bytes)} on {least.node}"
    assert said in page.scene.sentence.words


def test_of_nodes_that_look_alike_the_first_is_named(qtbot: QtBot, stage: Stage) -> None:
    for i, used_gib in enumerate((9.61, 9.62, 9.60, 9.64)):
        stage.measure(i, used_gib)
    model = ShellModel()
    feed(stage, model).refresh()
    assert model.least_free is not None
    assert model.least_free.node == "spark-5c2d"


def test_old_figures_tell_the_age_of_the_feed_and_not_of_a_clock_that_was_set(qtbot: QtBot, stage: Stage) -> None:
    model = ShellModel()
    feeds = replace(feed(stage, model)._feeds, age_s=lambda _node: 14.0)
    ShellFeed(feeds, model).refresh()
    assert model.stale_text == "14 s ago"


@pytest.mark.parametrize("width", [1440, 1100])
def test_how_old_figures_are_stands_beside_them_in_words(qtbot: QtBot, stage: Stage, width: int) -> None:
    strip = open_strip(qtbot, stage, width)
    strip._model.set_stale("14 s ago")
    (memory,) = [item for item in strip.findChildren(StripItem) if "Least free" in item.accessibleName()]
    assert memory.parts()[-1].text == "14 s ago"
    assert memory.width() == memory.sizeHint().width(), "its words stand there whole"
    strip._model.set_stale("")
    assert "ago" not in memory.parts()[-1].text
