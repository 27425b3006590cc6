"""The map as a person uses it: mouse, keys, menus, tooltips; and how little of it is painted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QMenu, QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.cluster.topology import LookState
from sparkdesk.core.cluster.topology_problem import Problem
from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.jobs.record import JobState, JobStatus
from tests.ui import rack
from tests.ui.cluster.cabled import CASES, Cabled
from tests.ui.picture import host_page
from ui.cluster.map.place import menu_rect
from ui.cluster.map.view import TopologyMap
from ui.cluster.scene import build_scene

pytestmark = [
    pytest.mark.usefixtures("dressed"),
    pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise", "does not support grabbing the keyboard"),
]


def open_map(qtbot: QtBot, case: Cabled, *jobs: JobStatus, width: int = 848, height: int = 570) -> TopologyMap:
    shown = TopologyMap()
    host = host_page(shown, width, height)
    qtbot.addWidget(host)
    shown.set_scene(build_scene(case.known(jobs=jobs)))
    host.activateWindow()
    QTest.qWait(20)
    return shown


def job_on(node: str, job_id: str, title: str, state: JobState = JobState.READY, account: str = "") -> JobStatus:
    return replace(rack.job(job_id, title, 0, state), node_ids=(node,), account=account)


def click(shown: TopologyMap, at: QPointF) -> None:
    QTest.mouseClick(shown, Qt.MouseButton.LeftButton, pos=at.toPoint())


def menu_of(shown: TopologyMap) -> QMenu:
    menu = shown.menu
    assert menu is not None
    return menu


def signals(spy: QSignalSpy) -> list[list[object]]:
    return [spy.at(i) for i in range(spy.count())]


def test_a_click_chooses_a_node_a_cable_a_switch_or_another_device(qtbot: QtBot) -> None:
    shown = open_map(qtbot, CASES["switch-guests"]())
    layout, spy = shown.map_layout(), QSignalSpy(shown.chosen)
    assert layout.guests is not None
    click(shown, layout.nodes["n3"].center())
    click(shown, layout.cables["n2:P0-switch"].label.center())
    click(shown, layout.switches[0].text.center())
    click(shown, layout.guests.center())
    click(shown, QPointF(6, 40))
    assert signals(spy) == [
        ["node", "n3"],
        ["cable", "n2:P0-switch"],
        ["switch", "0"],
        ["stranger", "switch"],
        ["", ""],
    ]


def test_another_device_on_a_cable_is_chosen_by_that_cables_key(qtbot: QtBot) -> None:
    shown = open_map(qtbot, CASES["other-device"]())
    spy = QSignalSpy(shown.chosen)
    box = shown.map_layout().cables["n1:P0-other"].box
    assert box is not None
    click(shown, box.center())
    assert signals(spy) == [["stranger", "n1:P0-other"]]
    assert shown.describe(("stranger", "n1:P0-other")).startswith("spark-5c2d P0 to Storage (00:1b:21:00:00:01): 200G")


def test_arrows_walk_from_a_card_over_its_cable_to_the_switch(qtbot: QtBot) -> None:
    shown = open_map(qtbot, CASES["switch"]())
    shown.setFocus(Qt.FocusReason.TabFocusReason)
    spy, seen = QSignalSpy(shown.chosen), []
    for _ in range(2):
        QTest.keyClick(shown, Qt.Key.Key_Down)
        seen.append(shown.accessibleDescription().splitlines()[0])
    QTest.keyClick(shown, Qt.Key.Key_Return)
    assert seen[0] in ("spark-5c2d P1 to MikroTik CRS804: 200G", "spark-5c2d P0: no link")
    assert seen[1].startswith("MikroTik CRS804: 4 cables up")
    assert signals(spy) == [["switch", "0"]]


# The menu of a card -----------------------------------------------------------------------------------------------


def test_the_menu_of_a_card_asks_for_chat_logs_and_stop(qtbot: QtBot) -> None:
    shown = open_map(qtbot, CASES["pair"](), job_on("n1", "j1", "gpt-oss-120b"))
    layout = shown.map_layout()
    spy, chosen = QSignalSpy(shown.job_action_asked), QSignalSpy(shown.chosen)
    click(shown, menu_rect(layout.nodes["n1"], layout.density).center())
    assert chosen.count() == 0
    for action in menu_of(shown).actions():
        action.trigger()
    assert signals(spy) == [["j1", "chat"], ["j1", "logs"], ["j1", "stop"]]
    menu_of(shown).close()
    qtbot.waitUntil(lambda: shown.menu is None)


def test_the_menu_opens_by_a_key_on_the_focused_card(qtbot: QtBot) -> None:
    shown = open_map(qtbot, CASES["pair"](), job_on("n2", "j1", "gpt-oss-120b"))
    shown.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(shown, Qt.Key.Key_Menu)
    assert not shown.menu, "nothing runs on the first node"
    shown.set_selection("node", "n2")
    QTest.keyClick(shown, Qt.Key.Key_Menu)
    assert len(menu_of(shown).actions()) == 3
    menu_of(shown).close()


def test_what_cannot_be_done_with_a_deployment_says_why(qtbot: QtBot) -> None:
    mine = job_on("n1", "j1", "R&D model", JobState.LOADING)
    others = job_on("n1", "j2", "qwen3", account="mia")
    shown = open_map(qtbot, CASES["pair"](), mine, others)
    shown.setFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(shown, Qt.Key.Key_M)
    parts = {part.title(): part for part in menu_of(shown).findChildren(QMenu)}
    assert {title: [act.text() for act in part.actions() if not act.isEnabled()] for title, part in parts.items()} == {
        "R&&D model": ["Chat (not ready)"],
        "qwen3": ["Stop\u2026 (started by somebody else)"],
    }
    menu_of(shown).close()


# Painting ---------------------------------------------------------------------------------------------------------


def settle(shown: QWidget) -> None:
    QTest.qWait(20)
    assert shown.isVisible()


def test_a_rate_that_changes_repaints_its_cable_and_no_card_of_others(qtbot: QtBot) -> None:
    case = CASES["switch"]()
    shown = open_map(qtbot, case)
    topology = case.topology()
    shown.set_scene(case.scene(topology))
    settle(shown)
    before, shown.painted = shown.repaints, []
    shown.set_scene(case.scene(topology))
    settle(shown)
    assert shown.repaints == before, "nothing changed, nothing is painted"
    case.values = {"n2": {"gpu_power_w": 71.0}}
    shown.set_scene(case.scene(topology))
    settle(shown)
    assert shown.painted == ["n2"]


def test_a_hidden_map_is_not_painted(qtbot: QtBot) -> None:
    case = CASES["ring"]()
    shown = open_map(qtbot, case)
    shown.hide()
    before = shown.repaints
    for power in (10.0, 20.0, 30.0):
        case.values = {"n1": {"gpu_power_w": power, "cage_tx_gbps.P0": power}}
        shown.set_scene(case.scene())
    shown.set_lit(frozenset({"n1"}))
    QTest.qWait(20)
    assert shown.repaints == before


def test_pointing_at_a_deployment_lights_its_nodes_up_and_paints_only_those(qtbot: QtBot) -> None:
    shown = open_map(qtbot, CASES["switch"]())
    shown.painted = []
    shown.set_lit(frozenset({"n1", "n4"}))
    settle(shown)
    lit = shown.grab().toImage()
    assert shown.painted
    spot = shown.map_layout().nodes["n1"].topLeft() + QPointF(60, 5)
    shown.set_lit(frozenset({"n4"}))
    settle(shown)
    plain = shown.grab().toImage()
    assert lit.pixelColor(spot.toPoint()) != plain.pixelColor(spot.toPoint())
    shown.painted = []
    shown.set_lit(frozenset())
    settle(shown)
    assert shown.painted == ["n4"]


def test_a_map_that_is_higher_than_its_window_scrolls_and_a_click_meets_what_is_seen(qtbot: QtBot) -> None:
    shown = open_map(qtbot, CASES["switch-of-64"]())
    spy = QSignalSpy(shown.chosen)
    assert shown.map_layout().height > shown.height()
    assert len(shown.painted) < 30, "what is out of sight is not painted"
    turn = QWheelEvent(
        QPointF(400, 300), shown.mapToGlobal(QPointF(400, 300)), QPoint(), QPoint(0, -480),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    shown.wheelEvent(turn)
    settle(shown)
    rect = shown.map_layout().nodes["n20"]
    click(shown, rect.center() - QPointF(0, 480))
    assert signals(spy) == [["node", "n20"]]
    region = next(part for part in shown.regions() if part.accessibleName() == rack.record(19).name)
    assert region.geometry().center().y() == pytest.approx(rect.center().y() - 480, abs=2)
    shown.set_selection("node", "n64")
    settle(shown)
    assert "n64" in shown.painted


# Words ------------------------------------------------------------------------------------------------------------


def concern(node: str, severity: Severity, *, is_accepted: bool = False) -> Concern:
    return Concern("slow-clock", node, severity, "Clock is stuck", "507 MHz", "Restart", is_accepted=is_accepted)


def test_a_card_counts_its_open_findings_and_neither_notes_nor_what_was_accepted() -> None:
    case = CASES["switch"]()
    told = (
        concern("n1", Severity.WARN),
        concern("n1", Severity.CRIT),
        concern("n2", Severity.NOTE),
        concern("n3", Severity.CRIT, is_accepted=True),
        concern("n4", Severity.WARN),
    )
    marks = [card.finding for card in build_scene(case.known(concerns=told)).cards]
    assert [(mark.text, mark.kind) if mark else None for mark in marks] == [
        ("2 findings", "crit"),
        None,
        None,
        ("1 finding", "warn"),
    ]
    assert build_scene(case.known(concerns=told)).cards[3].sentence.endswith("1 finding: Clock is stuck")


def test_how_the_look_for_cables_stands_is_painted_above_the_map(qtbot: QtBot) -> None:
    case = CASES["ring"]()
    shown = open_map(qtbot, case)
    before = shown.repaints
    failed = replace(case.topology(), state=LookState.FAILED, seen_ms=rack.NOW_MS - 240_000, message="No answer")
    shown.set_scene(case.scene(failed))
    settle(shown)
    assert shown.repaints == before + 1
    assert case.scene(failed).look_words == "Cables as seen 4 min ago: No answer"


def test_a_cage_that_leads_nowhere_has_no_socket_of_a_switch(qtbot: QtBot) -> None:
    lost = CASES["switch"]()
    lost.states = {"n2": NodeState.RECONNECTING}
    silent = Problem("not-asked", "note", "n2", "", "spark-bd26 was not asked", "Wait.")
    scene = build_scene(lost.known(replace(lost.topology(), problems=(silent,))))
    assert [cable.look for cable in scene.cables if cable.key == "n2:P0"] == ["unknown"]
    shown = open_map(qtbot, lost)
    shown.set_scene(scene)
    at, picture = shown.map_layout().cables["n2:P0"].line[-1], shown.grab().toImage()
    edge = {picture.pixel(int(at.x() + dx), int(at.y() + dy)) for dx in (-12, -8, 8, 12) for dy in (-5, 4)}
    assert edge == {picture.pixel(2, int(at.y()))}
