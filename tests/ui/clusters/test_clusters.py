"""The cluster switcher and the versions page, as a person uses them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.node import NodeState
from tests.ui import rack
from tests.ui.node.node_stage import NodeStage, details
from tests.ui.picture import SHOTS, host_page, take_pictures
from tests.ui.walk import guessing_labels
from ui import theme
from ui.clusters.model import ClustersActions, ClustersFeeds, ClustersModel, usual_value, versions_table, versions_words
from ui.clusters.name_dialog import NameDialog, name_problem
from ui.clusters.remove_dialog import RemoveDialog
from ui.clusters.switcher import ClusterSwitcher
from ui.clusters.versions import VersionsPage
from ui.main_window import MainWindow, MemoryStore
from ui.shell.model import ShellModel

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


def actions(calls: list[tuple[object, ...]]) -> ClustersActions:
    def recorder(name: str) -> Callable[..., None]:
        return lambda *words: calls.append((name, *words))

    return ClustersActions(**{each.name: recorder(each.name) for each in fields(ClustersActions)})


def clusters_model(stage: NodeStage) -> ClustersModel:
    feeds = ClustersFeeds(
        clusters=stage.clusters,
        open_cluster=stage.open_cluster,
        nodes=stage.nodes,
        details=stage.details,
        now_ms=lambda: stage.now_ms,
    )
    return ClustersModel(feeds, actions(stage.calls))


@pytest.fixture
def stage(dressed: object) -> NodeStage:
    found = NodeStage()
    simulated = replace(rack.cluster(4), id="sim", name="Simulated cluster")
    found.clusters.set((*found.clusters.value, simulated))
    found.details.set(
        {
            "node0": details(0),
            "node1": details(1),
            "node2": details(2, driver="580.142", kernel="6.17.0-1008-nvidia", needs_reboot=True),
            "node3": details(3, docker="", updates=None),
        }
    )
    return found


def open_window(qtbot: QtBot, stage: NodeStage) -> tuple[MainWindow, ClusterSwitcher]:
    shell = ShellModel()
    shell.set_cluster("rack-4", is_simulated=False)
    window = MainWindow(shell, MemoryStore())
    qtbot.addWidget(window)
    window.add_page("cluster", "Cluster", "network", QPushButton)
    window.show_page("cluster")
    switcher = ClusterSwitcher(clusters_model(stage), window)
    window.set_switcher(switcher.open_under)
    window.resize(1100, 700)
    window.show()
    window.activateWindow()
    QTest.qWait(60)
    return window, switcher


def click(button: QWidget) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


# The switcher -------------------------------------------------------------------------------------------------------


def test_the_clusters_name_opens_the_list_and_a_click_switches(qtbot: QtBot, stage: NodeStage) -> None:
    window, switcher = open_window(qtbot, stage)
    click(window.strip.cluster_place())
    assert switcher.isVisible()
    rows = [(button.row.name, button.row.line, button.row.is_open) for button in switcher.buttons]
    assert rows[:2] == [("rack-4", "4 nodes · switch · 4 live", True), ("desk", "no node yet", False)]
    assert switcher.buttons[2].row.is_simulated
    assert not switcher.menus[2].isVisible(), "a simulated cluster is neither renamed nor removed here"
    click(switcher.buttons[1])
    assert stage.calls == [("open", "c2")]
    assert not switcher.isVisible()


def test_the_list_is_walked_by_keyboard(qtbot: QtBot, stage: NodeStage) -> None:
    window, switcher = open_window(qtbot, stage)
    window.actions_registry.run("cluster.switch")
    assert switcher.buttons[0].hasFocus()
    QTest.keyClick(switcher.buttons[0], Qt.Key.Key_Down)
    assert switcher.buttons[1].hasFocus()
    QTest.keyClick(switcher.buttons[1], Qt.Key.Key_Return)
    assert stage.calls == [("open", "c2")]
    window.actions_registry.run("cluster.switch")
    QTest.keyClick(switcher.buttons[0], Qt.Key.Key_Escape)
    assert not switcher.isVisible()
    assert window.strip.cluster_place().hasFocus()


def test_a_new_cluster_wants_a_name_that_is_free(qtbot: QtBot, stage: NodeStage) -> None:
    window, switcher = open_window(qtbot, stage)
    window.actions_registry.run("cluster.switch")
    click(switcher.add)
    dialog = switcher.dialog
    assert isinstance(dialog, NameDialog)
    QTest.keyClicks(dialog.input, "rack-4")
    assert not dialog.give.isEnabled()
    dialog.input.setText("lab")
    QTest.keyClick(dialog.input, Qt.Key.Key_Return)
    assert stage.calls == [("create", "lab")]


def test_removing_a_cluster_names_what_goes_and_keeps_by_default(qtbot: QtBot, stage: NodeStage) -> None:
    window, switcher = open_window(qtbot, stage)
    window.actions_registry.run("cluster.switch")
    QTest.keyClick(switcher.buttons[0], Qt.Key.Key_Delete)
    dialog = switcher.dialog
    assert isinstance(dialog, RemoveDialog)
    assert "Its 4 nodes go with it" in dialog.accessibleDescription()
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert stage.calls == []
    switcher.ask_remove("c1")
    dialog = switcher.dialog
    assert isinstance(dialog, RemoveDialog)
    click(dialog.remove)
    assert stage.calls == [("remove", "c1", False)]


def test_removing_a_cluster_offers_to_undo_on_live_nodes_and_names_the_others(qtbot: QtBot, stage: NodeStage) -> None:
    def changed(index: int, state: NodeState) -> None:
        nodes = list(stage.nodes.value)
        record = replace(nodes[index].record, setup_runs=("first", "second"))
        nodes[index] = replace(nodes[index], record=record, state=state)
        stage.nodes.set(tuple(nodes))
        opened = stage.open_cluster.value
        assert opened is not None
        stage.open_cluster.set(replace(opened, nodes=tuple(node.record for node in nodes)))

    changed(0, NodeState.LIVE)
    changed(1, NodeState.UNREACHABLE)
    _window, switcher = open_window(qtbot, stage)
    switcher.ask_remove("c1")
    dialog = switcher.dialog
    assert isinstance(dialog, RemoveDialog)
    near, away = (node.record.name for node in stage.nodes.value[:2])
    assert dialog.undo.isVisible()
    assert dialog.undo.text() == f"First undo what SparkDesk installed on {near} (2 changes)"
    assert f"What SparkDesk installed stays on {away}" in dialog.accessibleDescription()
    click(dialog.undo)
    click(dialog.remove)
    assert stage.calls == [("remove", "c1", True)]


def test_a_cluster_of_one_node_is_spoken_of_as_one(dressed: object) -> None:
    stage = NodeStage()
    removal = clusters_model(stage).removal(rack.cluster(1))
    assert removal.loss.startswith("Its one node goes with it: its entry")
    assert "On the node nothing" in removal.kept
    assert removal.offer == ""


def test_a_rename_may_keep_its_own_name(qtbot: QtBot, stage: NodeStage) -> None:
    _, switcher = open_window(qtbot, stage)
    switcher.ask_rename("c2")
    dialog = switcher.dialog
    assert isinstance(dialog, NameDialog)
    assert dialog.give.isEnabled()
    dialog.input.setText("office")
    click(dialog.give)
    assert stage.calls == [("rename", "c2", "office")]


def test_names_are_judged_as_the_service_does() -> None:
    assert name_problem("  ") == "The name is empty. Enter a name."
    assert name_problem("Rack", ("rack",)) != ""
    assert name_problem("rack\u202e") != ""
    assert name_problem("rack") == ""


def test_pictures_of_the_switcher(qtbot: QtBot, stage: NodeStage) -> None:
    window, switcher = open_window(qtbot, stage)
    window.actions_registry.run("cluster.switch")
    assert guessing_labels(switcher) == []
    SHOTS.mkdir(parents=True, exist_ok=True)
    for choice in ("dark", "light"):
        theme.set_theme("dark" if choice == "dark" else "light")
        QTest.qWait(60)
        assert window.grab().save(str(SHOTS / f"switcher-{choice}.png"))


# Versions -----------------------------------------------------------------------------------------------------------


def open_versions(qtbot: QtBot, stage: NodeStage) -> VersionsPage:
    page = VersionsPage(clusters_model(stage))
    host = host_page(page, 1232, 852)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return page


def test_what_differs_is_marked_by_shape_and_word(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_versions(qtbot, stage)
    rows = {row[0].text: row[1:] for row in page.table.cells.table.rows}
    assert [(cell.look, cell.word) for cell in rows["Driver"]] == [
        ("plain", ""),
        ("plain", ""),
        ("warn", "differs"),
        ("plain", ""),
    ]
    assert rows["Docker"][3].look == "unknown", "what is not known is not different"
    assert "2 things differ" not in page.sentence.text()
    assert page.sentence.text().split(":")[0].endswith("things differ")


def test_only_what_differs_can_be_shown_with_its_meaning(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_versions(qtbot, stage)
    page.ways.move_on("all", 1)
    titles = [row[0].text for row in page.table.cells.table.rows]
    assert "Driver" in titles
    assert "Vendor" not in titles
    page.table.setCurrentIndex(page.table.cells.index(titles.index("Kernel"), 1))
    assert page.meaning.text().startswith("Kernel: A model over several nodes")
    page.ways.move_on("different", -1)
    titles = [row[0].text for row in page.table.cells.table.rows]
    page.table.setCurrentIndex(page.table.cells.index(titles.index("ConnectX-7 PCIe widths"), 1))
    assert page.table.cells.table.rows[titles.index("ConnectX-7 PCIe widths")][1].text.startswith("3 halves at ")
    assert "enp1s0f0np0" in page.meaning.text()


def test_updates_lead_to_the_nodes_own_dashboard(qtbot: QtBot, stage: NodeStage) -> None:
    stage.nodes.set((*stage.nodes.value[:1], rack.status(1, NodeState.UNREACHABLE, "Gone."), *stage.nodes.value[2:]))
    page = open_versions(qtbot, stage)
    click(page.updates[0].update_button)
    assert not page.updates[1].update_button.isEnabled()
    click(page.again)
    assert stage.calls[0] == ("open_dashboard", "node0")
    assert [call[1] for call in stage.calls[1:]] == ["node0", "node2", "node3"]


def test_without_details_it_says_so(qtbot: QtBot, stage: NodeStage) -> None:
    stage.details.set({})
    page = open_versions(qtbot, stage)
    assert page.empty.isVisible()
    QTest.keyClick(page, Qt.Key.Key_Escape)
    assert stage.calls == [("show_cluster",)]


def test_the_usual_value_needs_a_majority() -> None:
    assert usual_value(("a", "a", "b", "")) == "a"
    assert usual_value(("a", "b", "")) == ""
    assert usual_value(("", "")) == ""


def test_two_that_differ_are_both_marked(stage: NodeStage) -> None:
    model = clusters_model(stage)
    stage.nodes.set((stage.nodes.value[0], stage.nodes.value[2]))
    row = next(row for row in versions_table(("a", "b"), model.compared()).rows if row[0].text == "Driver")
    assert [cell.word for cell in row[1:]] == ["differs", "differs"]
    assert versions_words(1, ()) == "One node has nothing to differ from."
    assert versions_words(2, ()) == "What is known of the 2 nodes is alike."


def test_hostile_versions_stay_plain(qtbot: QtBot, stage: NodeStage) -> None:
    hostile = "<b>6</b>\u202e\x1b" + "w" * 4000
    stage.details.set({"node0": details(kernel=hostile), "node1": details(1)})
    page = open_versions(qtbot, stage)
    assert guessing_labels(page) == []
    assert page.minimumSizeHint().width() <= 1044
    texts = [cell.text for row in page.table.cells.table.rows for cell in row]
    assert max(len(text) for text in texts) <= 81


def test_every_button_of_the_page_has_a_name(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_versions(qtbot, stage)
    buttons = [button for button in page.findChildren(QAbstractButton) if button.isVisible()]
    assert [type(button).__name__ for button in buttons if not (button.accessibleName() or button.text())] == []


def test_pictures_of_the_versions(qtbot: QtBot, stage: NodeStage) -> None:
    take_pictures(open_versions(qtbot, stage), "versions")
