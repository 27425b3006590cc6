"""The bring-up page as a person uses it: three clicks to a cluster, everything to be read before, and the way back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QComboBox, QWidget

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapter import Chapter, FileDiff
from sparkdesk.core.bringup.matrix import Cell, CellState, Matrix
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.node import NodeState
from tests.ui import rack
from tests.ui.bringup import real_story, story
from tests.ui.bringup.story import Desk, wait_for
from tests.ui.walk import guessing_labels
from ui.bringup.view import LOOK_AFTER_MS

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
CHOICES = Choices()


@pytest.fixture
def desk(dressed: object) -> Desk:
    return Desk()


def click(button: QWidget) -> None:
    assert wait_for(button.isVisible), button
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    QTest.qWait(20)


def click_cell(desk: Desk, row_id: str, column: int) -> None:
    table = desk.page.checks.table
    index = table.cells.index(desk.model.grid().row_ids.index(row_id), column)
    table.scrollTo(index)
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=table.visualRect(index).center())
    QTest.qWait(20)


def test_the_page_reads_the_nodes_by_itself_and_one_click_applies_the_plan_that_was_read(desk: Desk) -> None:
    page = desk.show()
    assert wait_for(lambda: bool(desk.asked))
    assert desk.asked == [("look", story.IDS, CHOICES)]
    desk.state.set(story.reading())
    desk.rest()
    assert page.buttons["look"].is_busy()
    click(page.buttons["look"])
    desk.state.set(story.planned())
    desk.rest()
    assert page.buttons["apply"].text() == "Bring up 4 nodes"
    click(page.buttons["apply"])
    assert desk.asked[1:] == [("apply", frozenset())]


def test_it_reads_by_itself_only_where_nothing_was_read_yet(desk: Desk) -> None:
    desk.show(story.interrupted())
    QTest.qWait(30)
    assert desk.asked == []


def test_a_node_that_is_left_out_is_read_no_more_and_the_old_plan_cannot_run(desk: Desk) -> None:
    page = desk.show(story.planned())
    click(page.setup.nodes["node3"])
    click(page.setup.guard)
    desk.rest()
    assert "apply" not in page.buttons
    assert page.buttons["look"].text() == "Check 3 nodes"
    assert wait_for(lambda: bool(desk.asked))
    QTest.qWait(LOOK_AFTER_MS + 50)
    assert desk.asked == [("look", story.IDS[:3], replace(CHOICES, wants_guard=True))]


def test_a_node_that_is_away_cannot_be_chosen_and_says_why(desk: Desk) -> None:
    desk.nodes.set((rack.status(0), rack.status(1, NodeState.UNREACHABLE, "No answer on 10.0.20.31")))
    check = desk.show(story.planned()).setup.nodes["node1"]
    assert not check.isEnabled()
    assert "No answer on 10.0.20.31" in check.accessibleDescription()


def test_whose_password_is_asked_for_is_said_before(desk: Desk) -> None:
    assert desk.show(story.planned()).setup.note.text() == story.PASSWORD


PICKED = "vllm:26.05-py3 · automatic"


def test_an_image_is_picked_by_itself_unless_one_or_none_is_chosen(desk: Desk) -> None:
    page = desk.show(story.planned(plan=story.plan(choices=Choices())))
    choice = page.setup.image
    assert [choice.itemText(at) for at in range(choice.count())] == [
        PICKED, story.IMAGE, "none: NCCL is not proved",
    ]  # fmt: skip
    assert choice.currentText() == PICKED
    assert page.buttons["apply"].isEnabled()
    desk.images.set(())
    assert choice.currentText() == PICKED
    assert page.buttons["apply"].isEnabled()


def test_a_cell_leads_to_its_evidence_and_escape_leads_back(desk: Desk) -> None:
    page = desk.show(story.planned())
    QTest.qWait(30)
    click_cell(desk, "cabling-speed", 2)
    assert page.drawer.isVisible()
    assert "/sys/class/net/enp1s0f1np1/speed" in page.panel.read.toPlainText()
    assert page.panel.title.text() == "Link speed · spark-afe0"
    assert page.panel.unverified.isVisible()
    QTest.keyClick(page.panel.close_button, Qt.Key.Key_Escape)
    assert not page.drawer.isVisible()
    table = page.checks.table
    table.setCurrentIndex(table.cells.index(table.currentIndex().row(), 3))
    QTest.keyClick(table, Qt.Key.Key_Return)
    assert page.panel.title.text() == "Link speed · spark-3995"


def test_the_evidence_follows_the_run(desk: Desk) -> None:
    page = desk.show(story.planned())
    click_cell(desk, "network-mtu", 1)
    assert "192.168.100.31/24" in page.panel.steps.toPlainText()
    desk.state.set(story.running())
    desk.rest()
    assert page.panel.chip.text() == "Running"


def test_words_of_a_node_stay_plain_text(desk: Desk) -> None:
    evil = "<b>x</b><img src=http://h/>\x1b[2J\u202e"
    row = replace(story.matrix().rows[0], title=evil, cells={"node0": Cell(CellState.FAIL, evil, evil, evil)})
    page = desk.show(story.planned(matrix=Matrix(story.IDS, (row,))))
    page.show_evidence(row.id, "node0")
    assert not guessing_labels(page)
    shown = page.panel.read.toPlainText() + page.panel.said.text()
    assert "<b>x</b>" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_only_problems_and_back(desk: Desk) -> None:
    page = desk.show(story.planned())
    whole = len(page.checks.table.cells.table.rows)
    click(page.checks.only)
    desk.rest()
    assert len(page.checks.table.cells.table.rows) == 5
    click(page.checks.only)
    desk.rest()
    assert len(page.checks.table.cells.table.rows) == whole


def test_titles_of_rows_stay_when_the_matrix_scrolls_sideways(desk: Desk) -> None:
    page = desk.show(story.planned(), (1044, 652))
    QTest.qWait(30)
    table = page.checks.table
    table.horizontalScrollBar().setValue(table.horizontalScrollBar().maximum())
    assert table.verticalHeader().isVisible()
    assert table.verticalHeader().width() > 100
    assert table.model().headerData(1, Qt.Orientation.Vertical) == "Host key pinned"


def test_each_file_and_each_command_can_be_read_before_it_runs(desk: Desk) -> None:
    page = desk.show(story.planned())
    assert page.change.title.text() == story.PATH
    assert "192.168.100.30/24" in page.change.diff.toPlainText()
    tabs = {part.key: part for part in page.change.tabs.findChildren(QAbstractButton) if part.isVisible()}  # type: ignore[attr-defined]
    click(tabs["node2"])
    assert page.change.diff.rows[3].sign == "-"
    page.change.ways.set_key("run")
    page.change.refresh()
    assert "link_trial.py' try" in page.change.text.toPlainText().replace(" \\\n  ", " ")
    for key in ("keys", "docker", "proof"):
        desk.model.choose_chapter(key)
        desk.rest()
        assert page.change.text.toPlainText().startswith("1. ") is (key != "proof")
    assert page.change.text.toPlainText() == "# Nothing of this chapter runs on spark-afe0."
    desk.model.node_id = ""
    page.change.refresh()
    assert "ping" in page.change.text.toPlainText()
    assert desk.asked == []


def test_of_several_files_of_a_chapter_one_is_chosen(desk: Desk) -> None:
    keys = tuple(
        FileDiff(node, path, None, f"{path} of {node}\n", chapter=Chapter.KEYS)
        for node in story.IDS
        for path in ("~/.ssh/authorized_keys", "~/.ssh/config")
    )
    page = desk.show(story.planned(plan=story.plan(diffs=(*story.diffs(), *keys))))
    assert not page.change.file.isVisible()
    desk.model.choose_chapter("keys")
    desk.rest()
    assert page.change.file.isVisible()
    assert page.change.diff.toPlainText() == "~/.ssh/authorized_keys of node0"
    page.change.file.setFocus()
    QTest.keyClick(page.change.file, Qt.Key.Key_Down)
    desk.model.node_id = "node3"
    page.change.refresh()
    assert page.change.diff.toPlainText() == "~/.ssh/config of node3"


def test_the_chapters_are_walked_with_the_arrow_keys(desk: Desk) -> None:
    page = desk.show(story.planned())
    page.side.list.setFocus()
    at = page.side.list.currentIndex().row()
    QTest.keyClick(page.side.list, Qt.Key.Key_Up)
    desk.rest()
    assert page.side.list.currentIndex().row() == at - 1
    assert desk.model.chapter.value == "cabling"
    assert "Cables are changed by hand" in page.change.text.toPlainText()


def test_step_by_step_each_chapter_has_its_own_button(desk: Desk) -> None:
    page = desk.show(story.planned())
    click(page.setup.step_by_step)
    desk.rest()
    assert "apply" not in page.buttons
    assert (desk.model.chapter, page.buttons["chapter"].text()) == (Chapter.KEYS, "Apply: SSH keys")
    click(page.buttons["chapter"])
    desk.model.choose_chapter("docker")
    desk.rest()
    assert page.change.apply.text() == page.buttons["chapter"].text() == "Apply: Docker and NVIDIA runtime"
    click(page.change.apply)
    desk.model.choose_chapter("proof")
    desk.rest()
    click(page.buttons["prove"])
    desk.model.choose_chapter("cabling")
    desk.rest()
    assert not page.change.apply.isVisible()
    assert list(page.buttons) == ["look"]
    assert desk.asked == [("apply", frozenset({"keys"})), ("apply", frozenset({"docker"})), ("prove",)]


@pytest.mark.parametrize("size", [(1232, 852), (1044, 652)])
def test_step_by_step_the_way_on_is_in_sight_also_in_a_small_window(desk: Desk, size: tuple[int, int]) -> None:
    desk.model.set_step_by_step(True)
    page = desk.show(story.planned(), size)
    button = page.buttons["chapter"]
    corner = button.mapTo(page, QPoint(button.width(), button.height()))
    assert button.isVisible()
    assert (corner.x() <= page.width(), corner.y() < 80) == (True, True)


def test_a_run_can_be_paused_continued_and_stopped(desk: Desk) -> None:
    page = desk.show(story.running())
    click(page.buttons["pause"])
    click(page.buttons["cancel"])
    desk.state.set(replace(story.running(), phase=Phase.PAUSED))
    desk.rest()
    click(page.buttons["resume"])
    assert desk.asked == [("pause",), ("cancel",), ("resume",)]
    assert not page.setup.isVisible()


def test_the_small_clock_counts_down_and_rolls_back_at_once(desk: Desk) -> None:
    page = desk.show(story.running(story.trial(1), story.trial(2, 37.0)))
    assert [line.words.text() for line in page.lines.lines] == [
        "spark-bd26 restores itself in 0:42 unless kept",
        "spark-afe0 restores itself in 0:37 unless kept",
    ]
    assert not page.clock.isVisible()
    desk.now_ms += 5000
    assert wait_for(lambda: page.lines.lines[0].words.text() == "spark-bd26 restores itself in 0:37 unless kept")
    click(page.lines.lines[1].roll_back)
    assert desk.asked == [("roll_back", "node2")]


def test_the_clock_stands_still_while_nobody_sees_it(desk: Desk) -> None:
    page = desk.show(story.running(story.trial(1)))
    page.hide()
    desk.now_ms += 5000
    QTest.qWait(1100)
    assert page.lines.lines[0].words.text() == "spark-bd26 restores itself in 0:42 unless kept"


@pytest.mark.parametrize("size", [(1232, 852), (1044, 652)])
def test_a_question_is_large_and_both_answers_are_asked_for(desk: Desk, size: tuple[int, int]) -> None:
    page = desk.show(story.running(story.trial(2, question=story.QUESTION)), size)
    QTest.qWait(30)
    assert page.clock.question.text() == story.QUESTION
    assert not page.lines.isVisible()
    click(page.clock.keep)
    click(page.clock.roll_back)
    assert desk.asked == [("answered", "node2", True), ("roll_back", "node2")]
    for button in (page.clock.keep, page.clock.roll_back):
        corner = button.mapTo(page, QPoint(button.width(), button.height()))
        assert corner.x() <= page.width()
        assert corner.y() <= page.height()
    desk.now_ms += 60_000
    assert wait_for(lambda: not page.clock.keep.isEnabled())


def test_another_spark_behind_a_cable_is_offered_to_be_added(desk: Desk) -> None:
    page = desk.show(story.planned())
    assert not page.stranger.isVisible()
    desk.find_stranger()
    desk.rest()
    assert page.stranger.title() == "Found on spark-5c2d P1: another Spark. Add it?"
    click(page.stranger.findChildren(QAbstractButton)[0])
    assert desk.asked == [("add", "node0", "P1")]


def test_chosen_steps_are_taken_back_and_all_at_once(desk: Desk) -> None:
    page = desk.show(story.done())
    click(page.side.undo)
    dialog = page.dialog
    assert dialog is not None
    assert dialog.parts[0].step.id == "network-keep-node3"
    assert not dialog.chosen.isEnabled()
    for part in dialog.parts[:2]:
        click(part.check)
    assert dialog.text.toPlainText().startswith("1. Keep the addresses on spark-3995")
    assert "Keep the addresses on spark-bd26" not in dialog.text.toPlainText()
    click(dialog.chosen)
    assert desk.asked == [("undo", frozenset({"network-keep-node3", "network-keep-node2"}), ())]
    click(page.side.manifest)
    dialog = page.dialog
    assert dialog is not None
    assert dialog.ways.key() == "run"
    click(dialog.all)
    assert desk.asked[1:] == [("undo", None, ())]


def test_what_cannot_be_taken_back_is_not_offered_to_be(desk: Desk) -> None:
    page = desk.show(story.done())
    page.open_manifest(shows_undo=True)
    dialog = page.dialog
    assert dialog is not None
    click(dialog.every)
    assert not any(step_id.startswith("docker-perftest") for step_id in dialog.chosen_ids())
    assert len(dialog.chosen_ids()) == 16


def test_nothing_is_taken_back_by_escape(desk: Desk) -> None:
    page = desk.show(story.done())
    page.open_manifest(shows_undo=True)
    assert page.dialog is not None
    assert page.dialog.keep.isDefault()
    QTest.keyClick(page.dialog, Qt.Key.Key_Escape)
    QTest.qWait(20)
    assert page.dialog is None
    assert desk.asked == []


def test_while_something_runs_nothing_can_be_taken_back(desk: Desk) -> None:
    page = desk.show(story.running())
    assert not page.side.undo.isEnabled()
    assert page.side.manifest.text() == "Manifest, 16"


def test_below_the_title_stands_what_became_of_the_nodes_also_without_a_time(desk: Desk) -> None:
    page = desk.show(story.planned())
    assert page.side.since.text() == "nothing was changed yet"
    desk.state.set(replace(story.done(), phase=Phase.PLANNED, started_ms=0))
    desk.rest()
    assert page.side.since.text() == "changed by the last bring-up"
    desk.state.set(replace(story.undone(), started_ms=0))
    desk.rest()
    assert page.side.since.text() == "everything was taken back"


def test_an_interrupted_bring_up_goes_on_or_is_taken_back(desk: Desk) -> None:
    page = desk.show(story.interrupted())
    click(page.buttons["resume"])
    click(next(button for button in page.banner.findChildren(QAbstractButton) if button.text() == "Undo…"))
    assert desk.asked == [("resume",)]
    assert page.dialog is not None
    assert page.dialog.ways.key() == "undo"


def test_a_failure_says_what_to_do_and_how_the_others_stand(desk: Desk) -> None:
    page = desk.show(story.failed())
    assert page.banner.isVisible()
    assert "spark-bd26: all 5 steps are done" in page.banner.accessibleName()
    page.banner.clear()
    page.refresh()
    assert not page.banner.isVisible()


def test_the_report_and_the_plan_are_saved_from_where_they_are_read(desk: Desk) -> None:
    page = desk.show(story.done())
    for button in (page.proof.markdown, page.proof.json, page.change.export):
        click(button)
    assert desk.asked == [("save", "markdown"), ("save", "json"), ("save", "plan")]
    assert "bring-up-rack-4.md" in page.proof.saved.text()


def test_a_simulated_figure_says_so_and_a_real_one_does_not(desk: Desk) -> None:
    page = desk.show(story.done())
    assert page.proof.simulated.isVisible()
    some = story.measured()
    mixed = (replace(some[0], is_simulated=False), *some[1:])
    desk.state.set(story.done(measurements=mixed))
    desk.rest()
    assert not page.proof.simulated.isVisible()
    rows = [view for group in page.proof.groups for view in group.rows]
    assert [view.row.is_simulated for view in rows if view.row.key == "ping-01"] == [False]


def test_a_measurement_that_comes_leaves_the_other_pairs_as_they_are(desk: Desk) -> None:
    page = desk.show(story.proving())
    before = page.proof.groups
    desk.state.set(replace(story.proving(), measurements=story.measured()[:3]))
    desk.rest()
    after = page.proof.groups
    assert [one is other for one, other in zip(before, after, strict=True)] == [True, False, True, True]
    assert [group.rows[0].row.state for group in after] == ["pass", "pass", "waiting", "waiting"]


def test_an_empty_page_says_what_comes_first(dressed: object) -> None:
    desk = Desk(count=0)
    page = desk.show(BringUpState())
    QTest.qWait(30)
    assert page.buttons == {}
    assert desk.asked == []
    click(page.empty.findChildren(QAbstractButton)[0])
    assert desk.asked == [("close",)]


def test_everything_that_can_be_pressed_has_a_name_and_takes_the_focus(desk: Desk) -> None:
    desk.find_stranger()
    page = desk.show(story.running(story.trial(1), story.trial(2, question=story.QUESTION)))
    for button in page.findChildren(QAbstractButton):
        if button.isVisible() and button.metaObject().className() != "QTableCornerButton":
            assert button.text() or button.accessibleName(), button
            assert button.focusPolicy() & Qt.FocusPolicy.TabFocus, button.text() or button.accessibleName()
    for choice in page.findChildren(QComboBox):
        assert choice.accessibleName()


def test_closing_is_asked_for(desk: Desk) -> None:
    click(desk.show(story.planned()).close_button)
    assert desk.asked == [("close",)]


def test_an_undo_of_a_bring_up_that_began_nothing_asks_for_no_choice(desk: Desk) -> None:
    page = desk.show(replace(story.planned(), phase=Phase.INTERRUPTED, message="SparkDesk ended in the middle of it"))
    asked: list[object] = []
    page.undo_asked.connect(lambda *said: asked.append(said))
    page.banner.action_clicked.emit()
    assert (asked, page.dialog) == ([(None, ())], None)
    desk.show(replace(story.planned(), phase=Phase.UNDONE, message="Nothing was changed."))
    assert page.banner.title() == "Nothing was changed."


def test_four_nodes_fit_a_small_window_and_what_is_cut_has_a_tooltip(dressed: object) -> None:
    desk = real_story.desk()
    page = desk.show(real_story.planned(), (1044, 652))
    table = page.checks.table
    assert table.horizontalScrollBar().maximum() == 0
    assert all(150 <= table.columnWidth(column) <= 154 for column in range(4))
    said = table.model().data(table.model().index(page.checks._grid.row_ids.index("network-file"), 3), 3)
    assert said == "<qt>no file of ours, will be changed: tried, then kept</qt>"
    assert not page.words.toolTip(), "the head's sentence has room"


def test_the_keyboard_reaches_the_heads_buttons_first_and_enter_presses_them(dressed: object) -> None:
    desk = real_story.desk()
    page = desk.show(real_story.planned())
    page.setFocus()
    reached = []
    for _ in range(3):
        page.focusNextChild()
        reached.append(page.focusWidget())
    assert reached == [page.buttons["look"], page.buttons["apply"], page.close_button]
    page.buttons["apply"].setFocus()
    QTest.keyClick(page.buttons["apply"], Qt.Key.Key_Return)
    assert desk.asked == [("apply", frozenset())]
