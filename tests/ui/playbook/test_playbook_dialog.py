"""The dialog that shows a change before it runs, as a person uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from sparkdesk.core.command import Command
from sparkdesk.core.feed import Latest
from sparkdesk.core.playbooks.run_view import INTERRUPTED, RunView, StepView, begin_again, take_event
from sparkdesk.core.step import (
    Output,
    Playbook,
    Progress,
    PutFile,
    Reconnect,
    Run,
    RunEnded,
    Stage,
    Step,
    StepEnded,
    StepEvent,
    StepStarted,
)
from tests.ui.picture import SHOTS
from tests.ui.walk import guessing_labels
from ui import theme
from ui.playbook.dialog import PlaybookDialog
from ui.playbook.model import PlaybookModel, Proposal, RunFeeds
from ui.playbook.step_list import title_lines

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
UNIT = b"[Service]\nExecStart=/usr/bin/earlyoom -m 2\n"
STEPS = (
    Step(
        "unit",
        "Write the guard's unit",
        "node0",
        (PutFile("/etc/systemd/system/earlyoom.service", UNIT, 0o644, as_root=True),),
        check=(Run(Command(("test", "-f", "/etc/systemd/system/earlyoom.service"))),),
        undo=(Run(Command(("rm", "/etc/systemd/system/earlyoom.service")), as_root=True),),
    ),
    Step("reboot", "Restart the node", "node0", (Run(Command(("systemctl", "reboot")), as_root=True), Reconnect())),
    Step("links", "Look at the links again", "node1", (Run(Command(("ip", "-j", "link"))),)),
)
PLAYBOOK = Playbook("Reboot spark-5c2d", tuple(Stage(step.title, (step,)) for step in STEPS), needs_lock=True)
DANGER = Proposal(
    PLAYBOOK,
    confirm="Reboot spark-5c2d",
    lead="SparkDesk waits for the new boot and looks at the links afterwards.",
    dying=("gpt-oss-120b",),
    warnings=("The P1 port of spark-bd26 can stay down until it was restarted too.",),
    is_danger=True,
)


@dataclass
class Desk:
    """Runs as a service would publish them."""

    runs: Latest[Mapping[str, RunView]] = field(default_factory=lambda: Latest({}))
    calls: list[tuple[str, str]] = field(default_factory=list)
    window: QWidget | None = None
    """Kept alive: the dialog is its child."""

    def start(self, playbook: Playbook) -> str:
        self.calls.append(("start", playbook.title))
        self.runs.set({"r1": RunView("r1", playbook)})
        return "r1"

    def undo(self, run_id: str) -> None:
        self.calls.append(("undo", run_id))
        self.runs.set({run_id: begin_again(self.runs.value[run_id], is_undo=True)})

    def feeds(self) -> RunFeeds:
        return RunFeeds(
            runs=self.runs,
            start=self.start,
            cancel=lambda run_id: self.calls.append(("cancel", run_id)),
            undo=self.undo,
            resume=lambda run_id: self.calls.append(("resume", run_id)),
            set_aside=lambda run_id: self.calls.append(("set_aside", run_id)),
            name_of=lambda node_id: {"node0": "spark-5c2d", "node1": "spark-bd26"}[node_id],
        )

    def send(self, *events: StepEvent) -> None:
        for event in events:
            self.runs.set({"r1": take_event(self.runs.value["r1"], event)})


@pytest.fixture
def desk(dressed: object) -> Desk:
    return Desk()


def open_dialog(qtbot: QtBot, desk: Desk, proposal: Proposal = DANGER, run_id: str = "") -> PlaybookDialog:
    window = QWidget()
    window.resize(1100, 700)
    window.show()
    qtbot.addWidget(window)
    desk.window = window
    dialog = PlaybookDialog(PlaybookModel(proposal, desk.feeds(), run_id=run_id), window)
    dialog.show()
    dialog.activateWindow()
    QTest.qWait(20)
    return dialog


def click(dialog: PlaybookDialog, name: str) -> None:
    QTest.mouseClick(getattr(dialog, name), Qt.MouseButton.LeftButton)
    QTest.qWait(80)


def test_everything_is_shown_before_anything_runs(qtbot: QtBot, desk: Desk) -> None:
    dialog = open_dialog(qtbot, desk)
    said = dialog.text.toPlainText()
    assert "+ ExecStart=/usr/bin/earlyoom -m 2" in said
    assert "systemctl reboot" in said
    assert dialog.warning.lines[0] == "gpt-oss-120b ends now."
    assert dialog.chip.text() == "Nothing has run yet"
    assert desk.calls == []


def test_enter_never_confirms(qtbot: QtBot, desk: Desk) -> None:
    dialog = open_dialog(qtbot, desk)
    assert dialog.cancel.isDefault()
    assert not dialog.confirm.isDefault()
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert desk.calls == []
    assert not dialog.isVisible()


def test_a_run_shows_its_steps_output_and_end(qtbot: QtBot, desk: Desk) -> None:
    dialog = open_dialog(qtbot, desk)
    click(dialog, "confirm")
    click(dialog, "confirm")
    assert desk.calls == [("start", "Reboot spark-5c2d")], "confirmed once"
    desk.send(StepStarted("unit", "apply", 1), Output("unit", 2, "written\n"), StepEnded("unit", 3, "done"))
    desk.send(StepStarted("reboot", "apply", 4), Progress("reboot", 5, "waiting for the node", 0.4))
    QTest.qWait(90)
    rows = [(row.mark.text, row.line) for row in dialog.steps.steps.rows]
    assert rows[0] == ("Done", "spark-5c2d")
    assert rows[1] == ("Running", "spark-5c2d · waiting for the node 40 %")
    assert "written" in dialog.text.toPlainText()
    assert 0.4 < dialog.progress.fraction < 0.5
    click(dialog, "cancel")
    assert desk.calls[-1] == ("cancel", "r1")
    assert dialog.isVisible(), "it stays until the run has ended"
    desk.send(StepEnded("reboot", 6, "cancelled"), RunEnded(7, "cancelled", "Stopped by you", "Start it again."))
    QTest.qWait(90)
    assert dialog.chip.text() == "Stopped"
    assert dialog.banner.title() == "Stopped by you"
    assert dialog.cancel.text() == "Close"


def test_a_failure_says_what_to_do_and_undo_shows_its_commands_first(qtbot: QtBot, desk: Desk) -> None:
    dialog = open_dialog(qtbot, desk)
    click(dialog, "confirm")
    desk.send(StepStarted("unit", "apply", 1), StepEnded("unit", 2, "done"), StepStarted("reboot", "apply", 3))
    desk.send(StepEnded("reboot", 4, "failed", "sudo refused"), RunEnded(5, "failed", "sudo refused", "Look there."))
    QTest.qWait(90)
    assert dialog.banner.title() == "sudo refused"
    click(dialog, "undo")
    assert "rm /etc/systemd/system/earlyoom.service" in dialog.text.toPlainText()
    assert desk.calls[-1][0] == "start", "nothing is undone by the first press"
    click(dialog, "undo")
    assert desk.calls[-1] == ("undo", "r1")
    assert dialog.chip.text() == "Taking back"
    desk.send(StepStarted("unit", "undo", 6), StepEnded("unit", 7, "undone"), RunEnded(8, "done"))
    QTest.qWait(90)
    assert dialog.chip.text() == "Undone"
    assert not dialog.undo.isVisible()
    assert not dialog.resume.isVisible()


def test_closing_the_dialog_does_not_stop_the_run(qtbot: QtBot, desk: Desk) -> None:
    dialog = open_dialog(qtbot, desk)
    click(dialog, "confirm")
    desk.send(StepStarted("unit", "apply", 1))
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    assert desk.calls == [("start", "Reboot spark-5c2d")]


def test_a_run_that_was_interrupted_can_be_carried_on_undone_or_left(qtbot: QtBot, desk: Desk) -> None:
    steps = {"unit": StepView("done"), "reboot": StepView("unknown")}
    why, what_now = "SparkDesk ended in the middle of this", "Carry it on, undo it, or leave it as it is."
    begun = frozenset(steps)
    run = RunView("r1", PLAYBOOK, 1, steps=steps, begun=begun, result=INTERRUPTED, message=why, remedy=what_now)
    desk.runs.set({"r1": run})
    dialog = open_dialog(qtbot, desk, Proposal(PLAYBOOK), run_id="r1")
    assert dialog.chip.text() == "Interrupted"
    assert dialog.banner.title() == why
    assert not dialog.confirm.isVisible()
    assert dialog.undo.isVisible()
    click(dialog, "resume")
    click(dialog, "leave")
    assert desk.calls == [("resume", "r1"), ("set_aside", "r1")]


def test_the_steps_lead_through_the_text_by_keyboard(qtbot: QtBot, desk: Desk) -> None:
    dialog = open_dialog(qtbot, desk)
    dialog.steps.setFocus()
    QTest.keyClick(dialog.steps, Qt.Key.Key_Down)
    QTest.keyClick(dialog.steps, Qt.Key.Key_Down)
    row = dialog.steps.currentIndex().row()
    assert row > 0
    assert dialog.text.textCursor().block().text().startswith(f"{row + 1}. {STEPS[row].title}")


def test_hostile_words_stay_plain(qtbot: QtBot, desk: Desk) -> None:
    hostile = "<img src=x>\x1b[2J\u202e" + "w" * 4000
    playbook = Playbook(hostile, (Stage("s", (Step("unit", hostile, "node0", (Run(Command((hostile,))),)),)),))
    dialog = open_dialog(qtbot, desk, Proposal(playbook, dying=(hostile,), warnings=(hostile,), lead=hostile))
    assert guessing_labels(dialog) == []
    assert dialog.minimumSizeHint().width() <= 1000
    click(dialog, "confirm")
    desk.send(StepEnded("unit", 1, "failed", hostile, hostile), RunEnded(2, "failed", hostile, hostile))
    QTest.qWait(90)
    assert dialog.minimumSizeHint().width() <= 1000


@pytest.mark.parametrize("state", ["plan", "running", "failed", "undo"])
def test_pictures_of_the_dialog(qtbot: QtBot, desk: Desk, state: str) -> None:
    dialog = open_dialog(qtbot, desk)
    if state != "plan":
        click(dialog, "confirm")
        desk.send(StepStarted("unit", "apply", 1), Output("unit", 2, "written\n"), StepEnded("unit", 3, "done"))
        desk.send(StepStarted("reboot", "apply", 4), Progress("reboot", 5, "waiting for the node", 0.4))
    if state in ("failed", "undo"):
        lost = "spark-5c2d did not come back within 5 min"
        desk.send(StepEnded("reboot", 6, "failed", lost), RunEnded(7, "failed", lost, "Look at it on its console."))
    QTest.qWait(90)
    if state == "undo":
        click(dialog, "undo")
    SHOTS.mkdir(parents=True, exist_ok=True)
    for choice in ("dark", "light"):
        theme.set_theme("dark" if choice == "dark" else "light")
        QTest.qWait(60)
        assert dialog.grab().save(str(SHOTS / f"playbook-{state}-{choice}.png"))


def test_a_long_title_of_a_step_takes_a_second_line_before_it_is_cut(qtbot: QtBot, desk: Desk) -> None:
    long = "Wait until spark-5c2d is back with another boot"
    steps = (Step("short", "Restart it", "node0", ()), Step("long", long, "node0", ()))
    dialog = open_dialog(qtbot, desk, Proposal(Playbook("Restart", (Stage("s", steps),))))
    lines = title_lines(long, 196.0)
    assert len(lines) == 2
    assert " ".join(lines) == long, "nothing is cut"
    short, tall = (dialog.steps.visualRect(dialog.steps.steps.index(row)).height() for row in range(2))
    assert tall > short
    assert len(title_lines("word " * 40, 196.0)) == 2
    assert title_lines("w" * 400, 196.0)[0].endswith("\u2026")
