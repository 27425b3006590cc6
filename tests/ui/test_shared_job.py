"""Jobs of other computers and other accounts: whose they are is said, and what is not ours has no buttons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.playbooks.job_takeover import takeover_playbook
from tests.ui import rack
from tests.ui.picture import SHOTS, host_page, take_pictures
from tests.ui.stage import HERE, Stage
from ui import theme
from ui.jobs.mark import mark_of_job
from ui.jobs.model import DeploymentsModel
from ui.jobs.origin import describe_origin
from ui.jobs.view import DeploymentsPage

OURS = rack.job("ours", "gpt-oss-120b", 0, owner=HERE)
THEIRS = rack.job("theirs", "qwen3.6-35b", 2, owner="anna@there", is_adopted=True)
FOREIGN = rack.job(
    "foreign",
    "ghcr.io/eve/server:1",
    3,
    JobState.UNKNOWN,
    account="eve",
    engine="",
    endpoint=None,
    phases=(),
    message="It runs under the account eve",
    remedy="Ask them, or sign in to the node as that account.",
)
ENDED = rack.job("ended", "llama-3.3-70b", 1, JobState.STOPPED, owner="anna@there", is_adopted=True)
STRANGE = rack.job(
    "strange",
    "strange",
    1,
    JobState.UNKNOWN,
    endpoint=None,
    phases=(),
    is_adopted=True,
    message="Its folder on the node is from another release of SparkDesk, or its launch was cut off",
    remedy="If another release of SparkDesk started it, stop it there; else remove the folder.",
)


@pytest.fixture
def stage(dressed: object) -> Stage:
    found = Stage()
    found.serve(OURS, THEIRS, FOREIGN, ENDED, STRANGE)
    found.locked |= {"foreign", "strange"}
    found.takeovers["theirs"] = takeover_playbook("theirs", "node2", THEIRS.title, HERE)
    found.live(30)
    found.write("theirs", *(f"slot {i % 8} | processing task {i}" for i in range(40)))
    return found


@pytest.fixture
def page(qtbot: QtBot, stage: Stage) -> DeploymentsPage:
    page = DeploymentsPage(DeploymentsModel(stage.deployment_feeds()))
    host = host_page(page, 1232, 852)
    qtbot.addWidget(host)
    host.activateWindow()
    QTest.qWait(20)
    return page


def buttons(page: DeploymentsPage) -> list[str]:
    """The words on the buttons of the deployment's head."""
    head = page.detail.head
    return [each.text() for each in head.findChildren(QPushButton) if each.isVisible() and each is not head.fold]


def select(page: DeploymentsPage, title: str) -> None:
    """Click the job's row in the list."""
    row = next(i for i, entry in enumerate(page.list.entries.rows) if entry.title == title)
    index = page.list.entries.index(row)
    page.list.scrollTo(index)
    QTest.mouseClick(
        page.list.viewport(), Qt.MouseButton.LeftButton, pos=page.list.visualRect(index).center()
    )  # as a person does
    assert page.model.job_id == page.list.entries.rows[row].job_id


@pytest.mark.parametrize(
    ("owner", "holder", "said"),
    [
        (HERE, "", ""),
        (HERE, HERE, ""),
        ("", "", ""),
        ("anna@there", "", "Started from anna@there"),
        ("anna@there", "anna@there", "Started from anna@there"),
        ("anna@there", HERE, "Started from anna@there, taken over by this computer"),
        ("anna@there", "bob@lab", "Started from anna@there, taken over by bob@lab"),
        (HERE, "anna@there", "Taken over by anna@there"),
    ],
)
def test_who_started_a_job_and_who_has_it_is_said(owner: str, holder: str, said: str) -> None:
    assert describe_origin(replace(THEIRS, owner=owner, holder=holder), HERE) == said


def test_names_from_a_node_are_one_short_line() -> None:
    said = describe_origin(replace(THEIRS, owner="a\n" + "b" * 500), HERE)
    assert "\n" not in said
    assert len(said) < 90


def test_a_job_of_ours_says_nothing_of_it(page: DeploymentsPage) -> None:
    select(page, OURS.title)
    assert page.detail.head.origin() == ""
    assert buttons(page) == ["Chat", "Stop…"]


def test_a_job_from_another_computer_says_so_and_can_be_used_and_stopped(page: DeploymentsPage) -> None:
    select(page, THEIRS.title)
    assert page.detail.head.origin() == "Started from anna@there"
    assert page.detail.head.chips() == ["Ready"]
    assert sorted(buttons(page)) == ["Chat", "Stop…", "Take over…"]
    entry = next(entry for entry in page.model.entries() if entry.job_id == "theirs")
    assert entry.line == "llama.cpp · spark-afe0 · anna@there"


def test_taking_over_asks_first_and_shows_what_is_written(page: DeploymentsPage) -> None:
    select(page, THEIRS.title)
    spy = QSignalSpy(page.takeover_confirmed)
    QTest.mouseClick(page.detail.head.takeover_button, Qt.MouseButton.LeftButton)
    dialog = page.dialog
    assert dialog is not None
    assert dialog.windowTitle() == "Take over qwen3.6-35b?"
    assert "anna@there still sees it" in dialog.accessibleDescription()
    assert "write ~/.local/state/sparkdesk/jobs/theirs/holder.json" in dialog.commands.text()
    QTest.keyClick(dialog, Qt.Key.Key_Return)
    assert spy.count() == 0, "Enter leaves it"
    assert not dialog.isVisible()


def test_a_takeover_that_is_meant_goes_out_once_and_is_then_shown(
    qtbot: QtBot, page: DeploymentsPage, stage: Stage
) -> None:
    select(page, THEIRS.title)
    spy = QSignalSpy(page.takeover_confirmed)
    QTest.mouseClick(page.detail.head.takeover_button, Qt.MouseButton.LeftButton)
    assert page.dialog is not None
    QTest.mouseClick(page.dialog.go, Qt.MouseButton.LeftButton)
    assert [list(spy.at(i)) for i in range(spy.count())] == [["theirs"]]
    del stage.takeovers["theirs"]
    jobs = (replace(job, holder=HERE) if job.job_id == "theirs" else job for job in stage.jobs.value)
    stage.jobs.set(tuple(jobs))
    said = "Started from anna@there, taken over by this computer"
    qtbot.waitUntil(lambda: page.detail.head.origin() == said, timeout=10_000)
    assert buttons(page) == ["Chat", "Stop…"]


def test_a_job_that_was_taken_from_us_names_who_has_it_and_can_be_taken_back(
    qtbot: QtBot, page: DeploymentsPage, stage: Stage
) -> None:
    select(page, OURS.title)
    stage.takeovers["ours"] = takeover_playbook("ours", "node0", OURS.title, HERE)
    jobs = (replace(job, holder="anna@there") if job.job_id == "ours" else job for job in stage.jobs.value)
    stage.jobs.set(tuple(jobs))
    qtbot.waitUntil(lambda: page.detail.head.origin() == "Taken over by anna@there", timeout=10_000)
    assert "Take over…" in buttons(page)


def test_a_job_of_another_account_names_it_and_has_no_buttons(page: DeploymentsPage) -> None:
    select(page, FOREIGN.title)
    assert page.detail.head.origin() == "Belongs to the account eve: it is shown here and not changed"
    assert page.detail.head.chips() == ["Read-only"]
    assert buttons(page) == []
    assert page.detail.closed.isVisible()
    assert not page.detail.log.isVisible()
    assert not page.detail.charts.isVisible()
    assert not page.detail.banner.isVisible(), "it is said once"
    entry = next(entry for entry in page.model.entries() if entry.job_id == "foreign")
    assert (entry.mark.text, entry.line) == ("Read-only", "spark-3995 · the account eve")


@pytest.mark.parametrize("state", list(JobState))
def test_no_state_gives_another_accounts_job_a_button(page: DeploymentsPage, stage: Stage, state: JobState) -> None:
    select(page, FOREIGN.title)
    jobs = (replace(job, state=state) if job.job_id == "foreign" else job for job in stage.jobs.value)
    stage.jobs.set(tuple(jobs))
    page.refresh()
    assert buttons(page) == []
    signals: list[Callable[[], None]] = [lambda: page.detail.stop_asked.emit("foreign")]
    signals += [lambda: page.detail.forget_asked.emit("foreign"), lambda: page.detail.takeover_asked.emit("foreign")]
    for signal in signals:
        signal()
        assert page.dialog is None
    assert mark_of_job(replace(FOREIGN, state=state)).text == "Read-only"


def test_a_folder_of_another_release_has_no_buttons_and_says_what_to_do(page: DeploymentsPage) -> None:
    select(page, STRANGE.title)
    assert buttons(page) == []
    assert "another release" in page.detail.banner.title()


def test_an_ended_job_of_another_computer_can_be_removed_and_not_taken_over(page: DeploymentsPage) -> None:
    select(page, ENDED.title)
    assert "Take over…" not in buttons(page)
    assert "Remove…" in buttons(page)


@pytest.mark.parametrize("job_id", ["theirs", "foreign"])
def test_pictures_of_shared_jobs(page: DeploymentsPage, job_id: str) -> None:
    page.model.select(job_id)
    take_pictures(page, f"deployments-{job_id}")


def test_pictures_of_a_job_that_goes_from_computer_to_computer(page: DeploymentsPage, stage: Stage) -> None:
    taken = replace(THEIRS, owner="anna@the-other-workstation", holder="bob@laptop-in-the-lab")
    stage.jobs.set(tuple(taken if job.job_id == "theirs" else job for job in stage.jobs.value))
    page.model.select("theirs")
    take_pictures(page, "deployments-taken")


@pytest.mark.parametrize("choice", ["dark", "light"])
def test_pictures_of_the_question_before_a_takeover(page: DeploymentsPage, choice: str) -> None:
    theme.set_theme("dark" if choice == "dark" else "light")
    page.model.select("theirs")
    page.detail.head.takeover_button.click()
    assert page.dialog is not None
    QTest.qWait(50)
    SHOTS.mkdir(parents=True, exist_ok=True)
    assert page.dialog.grab().save(str(SHOTS / f"deployments-takeover-{choice}.png"))
