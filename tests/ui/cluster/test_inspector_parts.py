"""The inspector's parts: a node in figures, both ends of a cable, a switch, and a device that a person labels."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.topology import HalfPair, LookState, Stranger, Switch
from sparkdesk.core.step import Playbook
from sparkdesk.core.telemetry.series import Gap
from tests.ui import rack
from tests.ui.cluster.desk import MAC, MTU, SLOW, WORDS, Desk, half, open_page, pair_topology
from ui.charts.feed import ChartFeeds
from ui.cluster.model import NOTHING
from ui.cluster.view import ClusterPage

LEFT = Qt.MouseButton.LeftButton
pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


@pytest.fixture
def desk(dressed: object) -> Desk:
    found = Desk()
    found.dress()
    found.live(10)
    return found


def open_at(qtbot: QtBot, desk: Desk, kind: str, key: str) -> ClusterPage:
    page = open_page(qtbot, desk.feeds())
    page.model.select(kind, key)
    return page


def test_a_node_tells_its_rail_the_wall_as_an_estimate_and_its_energy(qtbot: QtBot, desk: Desk) -> None:
    desk.measure(2, 55.1, gpu_power_w=44.0)
    node = open_at(qtbot, desk, "node", "node2").inspector.node
    assert node.rows.value("GPU rail") == "44 W"
    assert node.rows.value("Wall") == "about 120 W, estimate"
    assert node.energy.value("GPU rail") == "12.4 Wh"
    assert node.energy.value("Wall") == "about 31.0 Wh, estimate"
    assert node.energy.value("Cost") == "0.0093 EUR"
    assert node.energy_words.text() == WORDS
    assert node.memory.value("KV cache").startswith("20.9 GiB reserved, ")


def test_another_machine_gets_no_estimate_of_the_wall(qtbot: QtBot, desk: Desk) -> None:
    other = desk.nodes.value[2]
    desk.nodes.set((*desk.nodes.value[:2], replace(other, facts=replace(other.facts, gpu_name="NVIDIA RTX 4090"))))
    node = open_at(qtbot, desk, "node", "node2").inspector.node
    assert node.rows.value("Wall") == "n/a"


def test_gpu_use_is_said_to_be_polling_where_a_server_spans_nodes(qtbot: QtBot, desk: Desk) -> None:
    desk.measure(0, 93.8, gpu_util=0.96)
    page = open_at(qtbot, desk, "node", "node0")
    assert page.inspector.node.rows.value("GPU") == "96\u202f%; a waiting rank polls"
    assert not [figure for figure in page.model.scene.cards[0].figures if figure.label == "GPU"]
    page.model.select("node", "node2")
    assert "polls" not in page.inspector.node.rows.value("GPU")


def test_what_a_node_does_not_tell_is_not_zero(qtbot: QtBot, desk: Desk) -> None:
    desk.measure(2, 55.1, gpu_power_w=math.nan, gpu_util=math.nan, mem_available_bytes=math.nan)
    node = open_at(qtbot, desk, "node", "node2").inspector.node
    assert [node.rows.value(label) for label in ("GPU", "GPU rail", "Wall")] == ["n/a", "n/a", "n/a"]
    assert node.memory.value("In use") == "n/a"


def test_values_that_are_old_say_their_age(qtbot: QtBot, desk: Desk) -> None:
    page = open_at(qtbot, desk, "node", "node2")
    assert not page.inspector.node.age.isVisible()
    desk.now_ms += 14_000
    page.refresh()
    assert page.inspector.node.age.isVisible()
    assert page.inspector.node.age.text() == "These values are 14 s old."


def test_a_finding_of_a_node_is_accepted_with_a_note(qtbot: QtBot, desk: Desk) -> None:
    page = open_at(qtbot, desk, "node", "node2")
    spy = QSignalSpy(page.finding_accept_asked)
    card = page.inspector.node.findings.cards[SLOW.id]
    QTest.mouseClick(card.accept, LEFT)
    dialog = page.inspector.node.findings.dialog
    assert dialog is not None
    QTest.keyClicks(dialog.input, "until Friday")
    QTest.mouseClick(dialog.give, LEFT)
    assert list(spy.at(0)) == [SLOW.id, "until Friday"]
    desk.findings.set((replace(SLOW, is_accepted=True, note="until Friday"),))
    page.refresh()
    back = QSignalSpy(page.finding_unaccept_asked)
    QTest.mouseClick(card.unaccept, LEFT)
    assert list(back.at(0)) == [SLOW.id]
    desk.findings.set(())
    page.refresh()
    assert page.inspector.node.findings.cards == {}


def test_the_words_of_a_fix_fit_into_the_panel(qtbot: QtBot, desk: Desk) -> None:
    fix = Playbook("Empty apt's cache and remove the images without a name", ())
    desk.findings.set((replace(SLOW, fix=fix),))
    page = open_at(qtbot, desk, "node", "node2")
    button = page.inspector.node.findings.cards[SLOW.id].fix
    assert button.text() == "Empty apt's cache and…"
    assert button.width() >= button.sizeHint().width()
    assert "remove the images" in button.accessibleName()
    spy = QSignalSpy(page.finding_fix_asked)
    QTest.mouseClick(button, LEFT)
    assert list(spy.at(0)) == [SLOW.id]


def test_a_cable_shows_both_ends_with_both_halves(qtbot: QtBot, dressed: object) -> None:
    desk = Desk(2, "pair")
    desk.live(5)
    topology = pair_topology(desk.now_ms)
    down = half(1, "P1", 1, carrier=False, is_rdma_active=False)
    cable = topology.cables[0]
    desk.topology.set(
        replace(topology, cables=(replace(cable, halves=(cable.halves[0], HalfPair(cable.halves[1].a, down))),))
    )
    page = open_at(qtbot, desk, "cable", cable.key)
    first, second = page.inspector.cable.ends
    assert (first.title.text(), second.title.text()) == ("spark-5c2d P1", "spark-bd26 P1")
    assert (first.rows.value("Sends"), first.rows.value("Receives")) == ("11.8 Gb/s", "11.6 Gb/s")
    assert first.rows.value("enp1s0f1np1") == "up, 100G, MTU 9000 · rocep1s0f1 active · 192.168.100.1/24"
    assert second.rows.value("enP2p1s0f1np1") == "no link · roceP2p1s0f1 not active · 192.168.101.2/24"


def test_a_cable_that_went_down_shows_so_at_once_and_says_when_the_rest_was_seen(qtbot: QtBot, dressed: object) -> None:
    desk = Desk(2, "pair")
    desk.live(5)
    topology = pair_topology(desk.now_ms)
    desk.topology.set(topology)
    page = open_at(qtbot, desk, "cable", topology.cables[0].key)
    desk.now_ms += 43_000
    links = {"net_carrier__enp1s0f1np1": 0.0, "net_carrier__enP2p1s0f1np1": 1.0, "net_speed_gbps__enP2p1s0f1np1": 50.0}
    desk.measure(0, 6.2, **links)
    desk.measure(1, 6.2)
    page.refresh()
    rows = page.inspector.cable.ends[0].rows
    assert rows.value("enp1s0f1np1") == "no link · rocep1s0f1 state n/a · 192.168.100.1/24"
    assert page.inspector.cable.look.words.text().endswith(", 43 s ago.")
    assert rows.value("enP2p1s0f1np1").startswith("up, 50G, MTU 9000 · roceP2p1s0f1 active · ")
    assert {row.label: row.tint for row in rows.rows()}["enp1s0f1np1"] == "warn"


def test_a_problem_of_a_cable_is_told_with_its_remedy(qtbot: QtBot, desk: Desk) -> None:
    page = open_at(qtbot, desk, "cable", "node1:P1-switch")
    assert list(page.inspector.cable.findings.cards) == [MTU.id]
    assert not page.inspector.cable.problems.isVisible(), "the finding has said it"
    desk.findings.set(())
    page.refresh()
    assert page.inspector.cable.problems.text() == f"{MTU.evidence}. {MTU.remedy}"


def test_a_switch_shows_who_is_joined_to_it(qtbot: QtBot, desk: Desk) -> None:
    page = open_at(qtbot, desk, "switch", "0")
    rows = page.inspector.switch.rows
    assert [row.label for row in rows.rows()] == [f"{name} P1" for name in rack.NAMES]
    assert rows.value("spark-bd26 P1") == "200G, tx 11.8, rx 11.6 Gb/s"
    page.refresh()
    assert page.model.selection == ("switch", "0")
    desk.topology.set(pair_topology(desk.now_ms))
    page.refresh()
    assert page.model.selection == NOTHING, "there is no switch any more"


def test_a_person_names_a_switch_and_sees_whose_name_it_has(qtbot: QtBot, desk: Desk) -> None:
    page = open_at(qtbot, desk, "switch", "0")
    part = page.inspector.switch
    assert part.words.text() == "It names itself by LLDP."
    spy = QSignalSpy(page.switch_label_asked)
    QTest.keyClicks(part.naming.input, "Rack 4")
    page.refresh()
    assert part.naming.input.text() == "Rack 4", "what is being written stays"
    QTest.mouseClick(part.naming.save, LEFT)
    assert list(spy.at(0)) == [tuple(f"node{i}:P1" for i in range(4)), "Rack 4"]
    desk.topology.set(replace(desk.topology.value, switches=(Switch("CRS804-4DDQ", "Rack 4"),)))
    page.refresh()
    assert part.words.text().replace("\n", " ") == "You named it; by LLDP it names itself CRS804-4DDQ."
    assert page.inspector.title == "Rack 4"
    page.model.select("cable", "node1:P1-switch")
    page.refresh()
    assert page.inspector.title == "spark-bd26 P1 to Rack 4"


def test_a_switch_that_nobody_named_says_so(qtbot: QtBot, desk: Desk) -> None:
    desk.topology.set(replace(desk.topology.value, switches=(Switch(),)))
    page = open_at(qtbot, desk, "switch", "0")
    words = page.inspector.switch.words
    assert "has its name from the cluster's setup" in words.text()
    assert desk.cluster.value is not None
    desk.cluster.set(replace(desk.cluster.value, switch_name=""))
    page.refresh()
    assert words.text() == "It does not name itself (no LLDP), so it is called Switch."


def test_another_device_is_labelled_and_said_to_be_no_rank(qtbot: QtBot, desk: Desk) -> None:
    page = open_at(qtbot, desk, "stranger", "node0:P0-other")
    part = page.inspector.stranger
    assert part.rows.value("Address") == MAC
    assert "left out of ranks" in part.words.text()
    spy = QSignalSpy(page.label_asked)
    QTest.keyClicks(part.label, "storage")
    page.refresh()
    assert part.label.text() == "storage", "what is being written stays"
    QTest.mouseClick(part.save, LEFT)
    assert list(spy.at(0)) == [MAC, "storage"]


def test_a_device_that_never_said_a_word_is_labelled_by_its_cage(qtbot: QtBot, desk: Desk) -> None:
    topology = desk.topology.value
    cables = tuple(replace(one, stranger=Stranger("")) if one.stranger else one for one in topology.cables)
    desk.topology.set(replace(topology, cables=cables))
    page = open_at(qtbot, desk, "stranger", "node0:P0-other")
    assert page.inspector.stranger.rows.value("Address") == "n/a"
    spy = QSignalSpy(page.label_asked)
    QTest.keyClicks(page.inspector.stranger.label, "nas")
    QTest.keyClick(page.inspector.stranger.label, Qt.Key.Key_Return)
    assert list(spy.at(0)) == ["node0:P0", "nas"]


def test_look_again_says_looking_failed_or_when(qtbot: QtBot, desk: Desk) -> None:
    desk.topology.set(replace(desk.topology.value, seen_ms=desk.now_ms - 40_000))
    page = open_at(qtbot, desk, "switch", "0")
    look = page.inspector.switch.look
    assert look.words.text().endswith(", 40 s ago.")
    spy = QSignalSpy(page.look_asked)
    QTest.mouseClick(look.again, LEFT)
    assert spy.count() == 1
    desk.topology.set(replace(desk.topology.value, state=LookState.LOOKING))
    page.refresh()
    assert look.again.is_busy()
    failed = replace(desk.topology.value, state=LookState.FAILED, message="No answer", remedy="Is it on?")
    desk.topology.set(failed)
    page.refresh()
    assert look.words.text().startswith("The last look failed: No answer. Is it on? Seen at ")
    assert not look.again.is_busy()


def test_the_charts_of_a_node_say_that_sparkdesk_was_closed(qtbot: QtBot, desk: Desk) -> None:
    gap = Gap(desk.now_ms - 250_000, desk.now_ms - 10_000, "SparkDesk was closed")
    charts = ChartFeeds(
        sources=lambda: (),
        keys=lambda _id: (),
        series=lambda node_id, key, span_s: desk.histories[node_id].series(key, span_s),
        now_ms=lambda: desk.now_ms,
        gaps=lambda node_id, _span_s: (gap,) if node_id == "node2" else (),
    )
    page = open_page(qtbot, replace(desk.feeds(), charts=charts))
    page.model.select("node", "node2")
    node = page.inspector.node.charts
    assert all(
        "SparkDesk was closed" in chart.accessibleDescription() for chart in (node.gpu, node.power, node.rates[0])
    )
    page.model.select("node", "node1")
    assert "closed" not in node.gpu.accessibleDescription()
