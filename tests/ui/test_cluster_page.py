"""The cluster page as a person uses it: mouse, keyboard, screen reader, and what it costs when nobody looks."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.jobs.record import JobState
from tests.ui import rack
from tests.ui.picture import host_page, take_pictures
from tests.ui.stage import Stage
from ui import theme
from ui.cluster.model import NOTHING, ClusterModel
from ui.cluster.view import ClusterPage
from ui.widgets.label import Label


def open_page(qtbot: QtBot, stage: Stage, width: int = 1232, height: int = 852) -> ClusterPage:
    page = ClusterPage(ClusterModel(stage.cluster_feeds()))
    host = host_page(page, width, height)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return page


@pytest.fixture
def stage(dressed: object) -> Stage:
    found = Stage()
    found.serve(rack.job("j1", "gpt-oss-120b", 0), rack.job("j2", "qwen3.6-35b", 2, JobState.LOADING))
    found.live(120)
    return found


def middle_of(page: ClusterPage, node_id: str) -> QPoint:
    return page.map.map_layout().nodes[node_id].center().toPoint()


def test_a_click_on_a_card_shows_the_node_in_the_inspector(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    QTest.mouseClick(page.map, Qt.MouseButton.LeftButton, pos=middle_of(page, "node2"))
    assert page.model.selection == ("node", "node2")
    assert page.inspector.charts.gpu.has_data()
    assert page.inspector.charts.memory.accessibleName() == "Unified memory 55.1 GiB used"
    QTest.mouseClick(page.map, Qt.MouseButton.LeftButton, pos=QPoint(4, page.map.height() - 3))
    assert page.model.selection == NOTHING


def test_a_click_on_a_cable_shows_its_rates(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    line = page.map.map_layout().cables["node1:P1"].line
    QTest.mouseClick(page.map, Qt.MouseButton.LeftButton, pos=((line[0] + line[1]) / 2).toPoint())
    assert page.model.selection == ("cable", "node1:P1")
    assert page.inspector.charts.rates[0].has_data()


def test_the_keyboard_walks_the_map_and_opens_a_node(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    page.map.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(page.map, Qt.Key.Key_Right)
    QTest.keyClick(page.map, Qt.Key.Key_Space)
    assert page.model.selection == ("node", "node1")
    QTest.keyClick(page.map, Qt.Key.Key_Down)
    assert "spark-bd26 P1: 200G" in page.map.accessibleDescription()
    QTest.keyClick(page.map, Qt.Key.Key_Return)
    assert page.model.selection == ("cable", "node1:P1")
    QTest.keyClick(page.map, Qt.Key.Key_Escape)
    assert page.model.selection == NOTHING


def test_every_node_has_a_part_with_its_sentence_for_screen_readers(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    parts = {part.accessibleName(): part for part in page.map.regions()}
    assert set(parts) == set(rack.NAMES)
    assert "gpt-oss-120b ready" in parts["spark-5c2d"].accessibleDescription()
    assert parts["spark-5c2d"].geometry().contains(middle_of(page, "node0"))


def test_the_table_has_the_same_nodes_and_the_same_selection(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    page.ways.set_key("table")
    page.ways.changed.emit("table")
    assert page.table.isVisible()
    rows = page.table.rows.rows
    assert [row.cells[0] for row in rows] == list(rack.NAMES)
    assert rows[0].cells[3:5] == ("gpt-oss-120b", "221 tok/s · 8 running, 15 waiting")
    assert rows[0].cells[6:8] == ("93.8", "27.8")
    page.table.selectRow(3)
    assert page.model.selection == ("node", "node3")


def test_only_the_card_that_changed_is_repainted(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    QTest.qWait(50)
    page.refresh()
    QTest.qWait(20)
    before, page.map.painted = page.map.repaints, []
    page.refresh()
    QTest.qWait(20)
    assert page.map.repaints == before, "nothing changed, nothing is painted"
    stage.measure(1, 20.0)
    page.refresh()
    QTest.qWait(20)
    assert page.map.painted == ["node1"]


def test_only_the_nodes_of_which_something_new_is_known_are_looked_at(qtbot: QtBot, stage: Stage) -> None:
    stage.serve(rack.job("j1", "gpt-oss-120b", 0))
    page = open_page(qtbot, stage)
    page.refresh()
    before = page.model.scene
    stage.measure(1, 20.0)
    page.refresh()
    scene = page.model.scene
    kept = [old is new for old, new in zip(before.cards, scene.cards, strict=True)]
    assert kept == [True, False, True, True]
    of_other_nodes = [cable.key for cable in scene.cables if "node1" not in cable.key]
    assert of_other_nodes
    assert all(before.cable(key) is scene.cable(key) for key in of_other_nodes)


def test_a_card_whose_values_grow_old_says_how_old_they_are(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    words = []
    for _ in range(3):
        stage.now_ms += 12_000
        page.refresh()
        words.append(page.model.scene.cards[0].mark.text)
    assert words == ["Stale 12 s", "Stale 24 s", "Stale 36 s"]


def test_the_view_that_is_not_shown_catches_up_when_it_is_chosen(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    page.model.select("node", "node2")
    assert page.table.rows.rows == (), "nobody has seen the table yet"
    page.ways.set_key("table")
    page.ways.changed.emit("table")
    assert [row.node_id for row in page.table.rows.rows] == ["node0", "node1", "node2", "node3"]
    assert page.table.selectionModel().selectedRows()[0].row() == 2
    stage.measure(1, 20.0)
    page.refresh()
    page.ways.set_key("map")
    page.map.painted = []
    page.ways.changed.emit("map")
    QTest.qWait(20)
    assert "node1" in page.map.painted


def test_a_hidden_page_does_nothing(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    page.hide()
    QTest.qWait(20)
    before, scene = page.map.repaints, page.model.scene
    for _ in range(20):
        stage.live(1)
        QTest.qWait(2)
    QTest.qWait(1100)
    assert page.map.repaints == before
    assert page.model.scene is scene


def test_ten_samples_a_second_cost_no_repaint_by_themselves(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    QTest.qWait(30)
    before = page.map.repaints
    for _ in range(20):
        stage.now_ms += 100
        stage.measure(0, 50.0)
    QTest.qWait(50)
    assert page.map.repaints == before


def test_a_change_of_state_shows_without_waiting_for_the_next_second(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    stage.nodes.set((rack.status(0, NodeState.UNREACHABLE, "No answer."), *stage.nodes.value[1:]))
    qtbot.waitUntil(lambda: page.sentence.words() == "spark-5c2d does not answer.", timeout=900)


def test_a_changed_host_key_can_be_compared_but_never_accepted(qtbot: QtBot, stage: Stage) -> None:
    changed = rack.status(3, NodeState.IDENTITY_CHANGED, "Another key.", detail="trusted SHA256:a\noffered SHA256:b")
    stage.nodes.set((*stage.nodes.value[:3], changed))
    page = open_page(qtbot, stage)
    QTest.mouseClick(page.sentence.button, Qt.MouseButton.LeftButton)
    assert page.model.selection == ("node", "node3")
    QTest.mouseClick(page.inspector.trouble.compare, Qt.MouseButton.LeftButton)
    assert page.inspector.trouble.keys_text() == "trusted SHA256:a\noffered SHA256:b"
    words = [b.text().lower() for b in page.inspector.findChildren(QPushButton) if b.isVisible()]
    assert not [word for word in words if "accept" in word or "trust" in word or "reconnect" in word]


def test_a_password_is_handed_on_once_and_forgotten(qtbot: QtBot, stage: Stage) -> None:
    stage.nodes.set((rack.status(0, NodeState.REFUSED, "The password was refused."), *stage.nodes.value[1:]))
    page = open_page(qtbot, stage)
    page.model.select("node", "node0")
    spy = QSignalSpy(page.password_given)
    QTest.keyClicks(page.inspector.trouble.password, "word")
    QTest.keyClick(page.inspector.trouble.password, Qt.Key.Key_Return)
    assert [list(spy.at(0))] == [["node0", "word"]]
    assert page.inspector.trouble.password.text() == ""
    assert page.inspector.trouble.password.echoMode() is page.inspector.trouble.password.EchoMode.Password


def test_an_unreachable_node_shows_the_attempt_and_reconnects(qtbot: QtBot, stage: Stage) -> None:
    lost = rack.status(1, NodeState.UNREACHABLE, "No answer.", log=("connecting to 10.0.20.31:22", "timed out"))
    stage.nodes.set((stage.nodes.value[0], lost, *stage.nodes.value[2:]))
    page = open_page(qtbot, stage)
    page.model.select("node", "node1")
    assert "timed out" in page.inspector.trouble.log_text()
    spy = QSignalSpy(page.reconnect_asked)
    QTest.mouseClick(page.inspector.trouble.reconnect, Qt.MouseButton.LeftButton)
    assert list(spy.at(0)) == ["node1"]


def test_the_inspector_is_a_drawer_where_there_is_no_room(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage, 1044, 652)
    wide = page.map.width()
    QTest.mouseClick(page.map, Qt.MouseButton.LeftButton, pos=middle_of(page, "node0"))
    assert page.inspector.isVisible()
    assert page.map.width() == wide, "the map does not reflow"
    QTest.keyClick(page.inspector, Qt.Key.Key_Escape)
    assert not page.inspector.isVisible()
    assert page.model.selection == NOTHING


def test_deployments_below_the_map_lead_to_their_page(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    spy = QSignalSpy(page.job_asked)
    card = page.strip.cards()[1]
    assert "qwen3.6-35b, Loading, spark-afe0" in card.accessibleName()
    QTest.mouseClick(card, Qt.MouseButton.LeftButton)
    assert list(spy.at(0)) == ["j2"]


def test_a_node_that_is_removed_gives_its_place_in_the_inspector_to_the_first(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    page.model.select("node", "node3")
    stage.count = 3
    stage.nodes.set(stage.nodes.value[:3])
    page.refresh()
    assert page.model.selection == ("node", "node0")
    assert len(page.map.map_layout().nodes) == 3


def test_nine_nodes_are_shown_as_a_table_first(qtbot: QtBot, dressed: object) -> None:
    stage = Stage(count=9)
    page = open_page(qtbot, stage)
    assert page.table.isVisible()


def test_pictures_of_the_page(qtbot: QtBot, stage: Stage) -> None:
    stage.measure(2, 55.1, cage_speed_gbps__P1=100.0)
    page = open_page(qtbot, stage)
    page.model.select("node", "node2")
    take_pictures(page, "cluster")


def test_pictures_of_trouble(qtbot: QtBot, stage: Stage) -> None:
    lost = rack.status(2, NodeState.UNREACHABLE, "No answer on 10.0.20.32:22 for 1 min.", remedy="Is it switched on?")
    refused = rack.status(1, NodeState.REFUSED, "The node refused the sign-in.", log=("host key matches", "refused"))
    changed = rack.status(3, NodeState.IDENTITY_CHANGED, "Another key than the trusted one. Nothing was sent.")
    stage.nodes.set((rack.status(0, NodeState.RECONNECTING, "Lost."), refused, lost, changed))
    page = open_page(qtbot, stage)
    page.model.select("node", "node1")
    take_pictures(page, "cluster-trouble")


def test_a_node_that_lets_nobody_in_can_be_added_again(qtbot: QtBot, stage: Stage) -> None:
    stage.nodes.set((rack.status(0), rack.status(1, NodeState.REFUSED, "The key is missing on this computer")))
    page = open_page(qtbot, stage)
    asked: list[bool] = []
    page.add_node_asked.connect(lambda: asked.append(True))
    page.model.select("node", "node1")
    assert page.inspector.trouble.add_again.isVisible()
    QTest.mouseClick(page.inspector.trouble.add_again, Qt.MouseButton.LeftButton)
    assert asked == [True]


@pytest.mark.parametrize(("shape", "count"), [("", 0), ("single", 1), ("pair", 2), ("ring", 3), ("switch", 8), ("", 3)])
def test_pictures_of_other_shapes(qtbot: QtBot, dressed: object, shape: str, count: int) -> None:
    stage = Stage(count=count, shape=shape)
    stage.live(30)
    take_pictures(open_page(qtbot, stage), f"cluster-{shape or 'loose'}{count}")


def test_the_first_node_is_shown_until_the_person_chooses(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    assert page.model.selection == ("node", "node0")
    page.model.select(*NOTHING)
    page.hide()
    page.show()
    assert page.model.selection == NOTHING, "what was closed stays closed"


def test_a_narrow_page_covers_nothing_by_itself_and_a_click_opens_the_drawer(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    page.window().resize(1044, 652)
    page.resize(1044, 652)
    QTest.qWait(20)
    assert not page.inspector.isVisible()
    QTest.mouseClick(page.map, Qt.MouseButton.LeftButton, pos=middle_of(page, "node0"))
    assert page.inspector.isVisible()


def test_labels_keep_the_theme_when_the_inspector_becomes_a_drawer(qtbot: QtBot, stage: Stage) -> None:
    page = open_page(qtbot, stage)
    theme.set_theme("light")
    page.resize(1044, 652)
    QTest.mouseClick(page.map, Qt.MouseButton.LeftButton, pos=middle_of(page, "node0"))
    shades = {label.palette().windowText().color().name().upper() for label in page.inspector.findChildren(Label)}
    assert shades <= {theme.hex_of(token) for token in ("text", "text2", "text3", "warn", "crit")}
