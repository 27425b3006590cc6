"""The page of one node as a person uses it: every tab and state, by mouse and by keyboard."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QMenu
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.probes.assumption_table import ASSUMPTIONS
from sparkdesk.core.probes.doctor import CHECKS
from tests.ui import rack
from tests.ui.node.node_stage import NodeStage, check_up, details, report, server
from tests.ui.picture import host_page, take_pictures
from tests.ui.walk import guessing_labels
from ui.clusters.name_dialog import NameDialog
from ui.clusters.remove_dialog import RemoveDialog
from ui.node.model import ASSUMPTION_OF
from ui.node.view import NodePage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints")
HOSTILE = "<b>x</b>\u202e\x1b[31m\n" + "w" * 5000


def open_page(qtbot: QtBot, stage: NodeStage, tab: str = "overview", width: int = 1232, height: int = 852) -> NodePage:
    page = NodePage(stage.model())
    page.show_node("node0", tab)
    host = host_page(page, width, height)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return page


def click(button: QAbstractButton) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture
def stage(dressed: object) -> NodeStage:
    return NodeStage()


# Head and actions ---------------------------------------------------------------------------------------------------


def test_the_head_names_the_node_its_state_and_its_address(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    assert page.head.title.text() == "spark-5c2d"
    assert page.head.chip.text() == "Live"
    assert page.head.address.text() == "nvidia@10.0.20.30:22"
    assert not page.head.simulated.isVisible()


def test_every_action_of_a_live_node_is_asked_for_once(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    for button in (page.bar.terminal, page.bar.vscode, page.bar.reboot, page.bar.shut_down):
        click(button)
    names = ("open_terminal", "open_vscode", "reboot", "shut_down")
    assert stage.calls == [(name, "node0") for name in names]
    click(page.bar.ssh)
    assert QGuiApplication.clipboard().text() == "ssh nvidia@node0"
    assert not page.bar.wake.isVisible()


def test_a_node_that_is_away_can_be_woken_and_not_rebooted(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    stage.set_status(rack.status(0, NodeState.ASLEEP, "It was shut down from here.", remedy="Wake it."))
    qtbot.waitUntil(lambda: page.bar.wake.isVisible(), timeout=2000)
    assert not page.bar.reboot.isVisible()
    assert page.head.chip.text() == "Asleep"
    click(page.bar.wake)
    assert stage.calls == [("wake", "node0")]
    stage.wake_reason = "Its hardware address is not known"
    page.refresh()
    assert not page.bar.wake.isEnabled()
    assert page.bar.wake.accessibleDescription() == "Its hardware address is not known"


def test_a_changed_host_key_leaves_no_way_to_sign_in(qtbot: QtBot, stage: NodeStage) -> None:
    stage.set_status(rack.status(0, NodeState.IDENTITY_CHANGED, "Another key. Nothing was sent."))
    page = open_page(qtbot, stage)
    for button in (page.bar.terminal, page.bar.vscode, page.bar.ssh, page.bar.reboot, page.bar.shut_down):
        assert not button.isEnabled()
    assert not page.head.reconnect.isVisible()


def test_a_rename_takes_only_a_name_that_is_free(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    page.ask_rename()
    dialog = page.dialog
    assert isinstance(dialog, NameDialog)
    qtbot.waitUntil(lambda: dialog.input.hasFocus(), timeout=2000)
    dialog.input.selectAll()
    QTest.keyClicks(dialog.input, "spark-bd26")
    assert not dialog.give.isEnabled()
    QTest.keyClick(dialog.input, Qt.Key.Key_Return)
    assert stage.calls == []
    dialog.input.selectAll()
    QTest.keyClicks(dialog.input, "left one")
    QTest.keyClick(dialog.input, Qt.Key.Key_Return)
    assert stage.calls == [("rename", "node0", "left one")]
    assert page.dialog is None


def test_removing_asks_first_and_offers_to_undo(qtbot: QtBot, stage: NodeStage) -> None:
    status = rack.status(0)
    stage.set_status(replace(status, record=replace(status.record, setup_runs=("run1", "run2"))))
    page = open_page(qtbot, stage)
    page.ask_remove()
    dialog = page.dialog
    assert isinstance(dialog, RemoveDialog)
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert stage.calls == [], "Enter keeps it"
    page.ask_remove()
    dialog = page.dialog
    assert isinstance(dialog, RemoveDialog)
    assert "2 changes" in dialog.undo.text()
    assert not dialog.undo.isChecked()
    click(dialog.undo)
    click(dialog.remove)
    assert stage.calls == [("remove", "node0", True)]


def test_the_menu_moves_a_node_to_another_cluster_of_real_nodes(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    move = page.head.make_menu().findChild(QMenu)
    assert move is not None
    assert [action.text() for action in move.actions()] == ["desk"]
    move.actions()[0].trigger()
    assert stage.calls == [("move", "node0", "c2")]


def test_a_slow_node_leads_to_the_check_that_tells_the_slow_state_and_what_ends_it(
    qtbot: QtBot, stage: NodeStage
) -> None:
    page = open_page(qtbot, stage)
    slow = next(action for action in page.head.make_menu().actions() if action.text() == "When it is slow…")
    slow.trigger()
    assert stage.calls == [("run_doctor", "node0")]
    assert page.tabs.key() == "doctor"
    before = stage.check_ups.value["node0"]
    clock = replace(before.findings[0], check_id="slow-state", title="Clock under load")
    for state in ("running", "done"):
        after = replace(before, state=state, t_ms=before.t_ms + 1, findings=(*before.findings, clock))
        stage.check_ups.set({**stage.check_ups.value, "node0": after})
        page.refresh()
        assert page.doctor.list.key() == "slow-state"
    page.doctor.list.choose(before.findings[1].check_id)
    page.refresh()
    assert page.doctor.list.key() == before.findings[1].check_id


def test_f5_reads_what_the_shown_tab_shows(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    for tab in ("overview", "running", "forwards", "doctor", "field"):
        page.show_node("node0", tab)
        page.read_anew()
    assert stage.calls == [
        ("refresh_details", "node0"),
        ("look_for_servers", "node0"),
        ("run_doctor", "node0"),
        ("run_field_report", "node0"),
    ]


def test_a_node_that_was_removed_leads_back(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    stage.nodes.set(stage.nodes.value[1:])
    qtbot.waitUntil(lambda: page.gone.isVisible(), timeout=2000)
    QTest.keyClick(page, Qt.Key.Key_Escape)
    assert stage.calls == [("show_cluster",)]


# Overview -----------------------------------------------------------------------------------------------------------


def test_what_is_not_known_says_why(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    rows = [row.accessibleName() for card in page.overview.cards() for row in card.rows]
    assert "NCCL: Not known No library of this name on the node" in rows
    assert "Unified memory: 121.6 GiB" in rows
    assert page.overview.age.text() == "Read 3 min ago"


def test_updates_are_listed_and_lead_to_the_dashboard(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    rows = page.overview.updates.table.cells.table.rows
    assert [row[0].text for row in rows] == ["linux-image-nvidia", "openssl", "nvidia-driver-580-open"]
    assert page.overview.updates.words.text().startswith("3 updates are pending, 2 of them for security.")
    click(page.overview.update_button)
    click(page.overview.again)
    assert stage.calls == [("open_dashboard", "node0"), ("refresh_details", "node0")]


def test_updates_that_are_not_known_are_not_none(qtbot: QtBot, stage: NodeStage) -> None:
    stage.details.set({"node0": details(updates=None, problems={"updates": "apt is busy"})})
    page = open_page(qtbot, stage)
    assert page.overview.updates.words.text() == "Pending updates are not known: apt is busy."
    stage.details.set({"node0": details(updates=())})
    page.refresh()
    assert page.overview.updates.words.text().startswith("No update is pending.")


def test_a_node_of_which_nothing_was_read_says_so(qtbot: QtBot, stage: NodeStage) -> None:
    stage.details.set({})
    stage.set_status(rack.status(0, NodeState.UNREACHABLE, "No answer."))
    page = open_page(qtbot, stage)
    assert not page.overview.again.isEnabled()
    assert not page.overview.updates.isVisible()


# Running ------------------------------------------------------------------------------------------------------------


def test_a_found_server_can_be_chatted_with_and_not_stopped(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "running")
    first, ollama, locked = page.running.cards
    click(first.chat)
    ollama.models.set_key("nomic-embed-text")
    click(ollama.chat)
    assert stage.calls == [("chat", "node0:8000", "qwen3-8b"), ("chat", "node0:11434", "nomic-embed-text")]
    assert ollama.exposed.isVisible()
    assert not first.exposed.isVisible()
    assert not locked.chat.isEnabled()
    words = [button.text().lower() for button in page.running.findChildren(QAbstractButton) if button.isVisible()]
    assert not [word for word in words if "stop" in word or "kill" in word]


def test_a_servers_key_is_handed_on_once_and_forgotten(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "running")
    card = page.running.cards[2]
    QTest.keyClicks(card.key, "sk-local")
    QTest.keyClick(card.key, Qt.Key.Key_Return)
    assert stage.calls == [("give_key", "node0:30000", "sk-local")]
    assert card.key.text() == ""
    assert card.key.echoMode() is card.key.EchoMode.Password


def test_nothing_found_says_what_would_show_here(qtbot: QtBot, stage: NodeStage) -> None:
    stage.servers.set(())
    page = open_page(qtbot, stage, "running")
    assert page.running.empty.isVisible()
    page.running.empty.action_clicked.emit()
    assert stage.calls == [("look_for_servers", "node0")]


def test_own_jobs_are_named_beside_what_was_found(qtbot: QtBot, stage: NodeStage) -> None:
    stage.jobs.set((rack.job("j1", "gpt-oss-120b", 0), rack.job("j2", "other", 1)))
    page = open_page(qtbot, stage, "running")
    link = next(button for button in page.running.findChildren(QAbstractButton) if button.text() == "gpt-oss-120b")
    click(link)
    assert stage.calls == [("open_job", "j1")]


# Forwards -----------------------------------------------------------------------------------------------------------


def test_a_forward_is_opened_closed_and_shown_in_a_browser(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "forwards")
    dashboard, jupyter, webui = page.forwards.rows[:3]
    assert dashboard.url.text() == "http://127.0.0.1:43117/"
    click(dashboard.browser)
    click(dashboard.toggle)
    click(jupyter.toggle)
    click(webui.toggle)
    assert stage.calls == [
        ("open_url", "http://127.0.0.1:43117/"),
        ("close_forward", "dashboard"),
        ("open_forward", "jupyter"),
        ("close_forward", "open-webui"),
    ]
    assert not jupyter.url.isVisible()


def test_only_own_entries_can_be_removed(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "forwards")
    removable = [row for row in page.forwards.rows if row.remove.isVisible()]
    assert [row.forward.spec.title for row in removable if row.forward] == ["Grafana"]
    click(removable[0].remove)
    assert stage.calls == [("remove_forward", "own")]


def test_an_own_forward_is_checked_before_it_is_added(qtbot: QtBot, stage: NodeStage) -> None:
    form = open_page(qtbot, stage, "forwards").forwards.form
    QTest.keyClicks(form.title, "Notebook")
    QTest.keyClicks(form.port, "99999")
    QTest.keyClick(form.port, Qt.Key.Key_Return)
    assert stage.calls == []
    assert form.fields["port"].error() == "A port is a number from 1 to 65535."
    form.port.setText("8889")
    assert form.fields["port"].error() == ""
    QTest.keyClick(form.port, Qt.Key.Key_Return)
    name, spec = stage.calls[0]
    assert (name, spec.title, spec.port, spec.node_id) == ("add_forward", "Notebook", 8889, "node0")  # type: ignore[attr-defined]
    assert form.title.text() == ""


# Doctor -------------------------------------------------------------------------------------------------------------


def test_problems_stand_first_with_their_evidence(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "doctor")
    titles = [row.title for row in page.doctor.list.results.rows]
    assert titles[:3] == ["Docker without sudo", "PCIe width of the second controller", "Kernel memory"]
    assert "groups=1000(nvidia)" in page.doctor.panel.evidence.text()
    click(page.doctor.panel.action)
    assert stage.calls[0][:2] == ("show_fix", "node0")


def test_the_checks_are_walked_by_keyboard_and_filtered(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "doctor")
    page.doctor.list.setFocus()
    QTest.keyClick(page.doctor.list, Qt.Key.Key_Down)
    assert "current_link_width: 1" in page.doctor.panel.evidence.text()
    assert not page.doctor.panel.action.isVisible()
    QTest.keyClicks(page.doctor.filter, "disk")
    assert [row.title for row in page.doctor.list.results.rows] == ["Disk space"]
    page.doctor.filter.clear()
    page.doctor.ways.move_on("all", 1)
    assert len(page.doctor.list.results.rows) == 3


def test_an_unverified_check_turns_to_seen_with_the_day(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "doctor")
    notes = {row.title: row.note.text for row in page.doctor.list.results.rows}
    assert notes["PCIe width of the second controller"] == "Unverified on hardware"
    assert notes["Clock"].startswith("Seen on this node 2025-10-0")
    stage.reports.set({})
    page.refresh()
    assert {row.title: row.note.text for row in page.doctor.list.results.rows}["Clock"] == "Unverified on hardware"


def test_the_checks_and_what_they_rest_on_are_of_the_tables() -> None:
    checks, assumptions = {each.probe.id for each in CHECKS}, {each.probe.id for each in ASSUMPTIONS}
    assert set(ASSUMPTION_OF) <= checks
    assert set(ASSUMPTION_OF.values()) <= assumptions


def test_a_check_up_that_runs_says_how_far_it_is(qtbot: QtBot, stage: NodeStage) -> None:
    stage.check_ups.set({"node0": check_up("running", findings=check_up().findings[:2])})
    page = open_page(qtbot, stage, "doctor")
    assert page.doctor.summary.text() == "Checking, 2 done"
    assert page.doctor.again.is_busy()
    stage.check_ups.set({})
    page.refresh()
    assert page.doctor.empty.isVisible()
    page.doctor.empty.action_clicked.emit()
    assert stage.calls == [("run_doctor", "node0")]


def test_a_check_up_that_failed_says_why_and_what_to_do(qtbot: QtBot, stage: NodeStage) -> None:
    failed = check_up("failed", message="The line was lost", remedy="Run it again.", findings=())
    stage.check_ups.set({"node0": failed})
    page = open_page(qtbot, stage, "doctor")
    assert page.doctor.banner.title() == "The line was lost"
    page.doctor.banner.action_clicked.emit()
    assert stage.calls == [("run_doctor", "node0")]


# Field report -------------------------------------------------------------------------------------------------------


def test_the_field_report_counts_and_shows_what_differs_first(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "field")
    assert page.field.summary.text() == "Held 39, differ 1, not seen 1"
    assert [row.title for row in page.field.list.results.rows] == ["nvidia-smi gives [N/A] for memory.total."]
    page.field.ways.move_on("differs", -1)
    rows = page.field.list.results.rows
    assert len(rows) == 39
    assert rows[0].note.text.startswith("Seen on this node")
    click(page.field.run)
    assert stage.calls == [("run_field_report", "node0")]


def test_a_report_is_saved_where_the_person_says(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "field")
    click(page.field.save)
    dialog = page.field.dialog
    assert dialog is not None
    assert "spark-5c2d" not in dialog.selectedFiles()[0]
    dialog.fileSelected.emit("report.json")
    assert stage.calls == [("save_report", "node0", "report.json")]
    dialog.reject()


def test_without_a_report_it_says_what_it_would_do(qtbot: QtBot, stage: NodeStage) -> None:
    stage.reports.set({})
    page = open_page(qtbot, stage, "field")
    assert page.field.empty.isVisible()
    stage.reports.set({"node0": replace(report("running"), results=report().results[:7])})
    page.refresh()
    assert page.field.summary.text() == "Checking, 7 done"
    assert not page.field.save.isEnabled()


# All of it ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", ["overview", "running", "forwards", "doctor", "field"])
def test_hostile_words_of_a_node_stay_plain_and_bounded(qtbot: QtBot, stage: NodeStage, tab: str) -> None:
    status = rack.status(0, NodeState.UNREACHABLE, HOSTILE, remedy=HOSTILE)
    stage.set_status(replace(status, record=replace(status.record, name=HOSTILE[:20], address=HOSTILE[:40])))
    stage.details.set({"node0": details(kernel=HOSTILE, groups=(HOSTILE,), problems={"nccl": HOSTILE})})
    stage.servers.set((server(title=HOSTILE, models=(HOSTILE, "b"), note=HOSTILE, owner=HOSTILE),))
    findings = tuple(replace(one, message=HOSTILE, evidence=HOSTILE, meaning=HOSTILE) for one in check_up().findings)
    stage.check_ups.set({"node0": check_up(findings=findings)})
    results = tuple(replace(one, seen=HOSTILE) for one in report().results)
    stage.reports.set({"node0": replace(report(), results=results)})
    page = open_page(qtbot, stage, tab)
    assert guessing_labels(page) == []
    assert page.minimumSizeHint().width() <= 1044
    assert "\x1b" not in page.doctor.panel.evidence.text()


def test_the_hidden_page_reads_nothing(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage, "doctor")
    page.hide()
    stage.check_ups.set({})
    QTest.qWait(150)
    assert not page.doctor.empty.isVisibleTo(page.doctor)


def test_every_button_has_a_name(qtbot: QtBot, stage: NodeStage) -> None:
    page = open_page(qtbot, stage)
    buttons = page.findChildren(QAbstractButton)
    nameless = [button for button in buttons if not (button.accessibleName() or button.text())]
    assert [type(button).__name__ for button in nameless if button.parent() and button.isVisibleTo(page)] == []


@pytest.mark.parametrize("tab", ["overview", "running", "forwards", "doctor", "field"])
def test_pictures_of_every_tab(qtbot: QtBot, stage: NodeStage, tab: str) -> None:
    take_pictures(open_page(qtbot, stage, tab), f"node-{tab}")


@pytest.mark.parametrize("tab", ["overview", "running", "forwards", "doctor", "field"])
def test_pictures_without_anything_known(qtbot: QtBot, stage: NodeStage, tab: str) -> None:
    stage.set_status(rack.status(0, NodeState.UNREACHABLE, "No answer on 10.0.20.30:22 for 1 min.", remedy="Is it on?"))
    for feed in (stage.details, stage.check_ups, stage.reports):
        feed.set({})
    stage.servers.set(())
    stage.forwards.set(())
    take_pictures(open_page(qtbot, stage, tab), f"node-{tab}-none")
