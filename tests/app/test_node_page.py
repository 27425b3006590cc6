"""One node's page in the window: the doctor and the field report, run by their buttons against a Spark with faults."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLineEdit, QToolButton

from sparkdesk.app.desktop import Desktop
from sparkdesk.core.probes.assumption import Hold
from sparkdesk.core.probes.check import Verdict
from tests.app.adding import click, words_on
from tests.app.desk import all_live, play, until
from tests.app.node import open_node
from tests.app.picture import take_pictures
from tests.app.sparks import record_of, running_sparks
from tests.simulator.conftest import Simulator
from ui.node.view import NodePage
from ui.playbook.dialog import PlaybookDialog
from ui.widgets.button import Button

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
FAULTS = ("no-docker-group", "swap-on", "pcie-width")
READ_S = 30.0


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A Spark with some of the faults that a doctor is for."""
    words = [word for fault in FAULTS for word in ("--fault", f"{fault}:spark-5c2d")]
    with running_sparks(tmp_path_factory.mktemp("spark"), 1, *words) as simulator:
        yield simulator


async def page_of(desktop: Desktop, spark: Simulator) -> NodePage:
    """The Spark's page."""
    await until(lambda: desktop.is_filled.value, "the window")
    desktop.window.resize(1440, 900)
    desktop.pages.add_all()
    await desktop.stack.inventory.open(record_of(spark))
    (node,) = await all_live(desktop, 1)
    desktop.window.show_page("cluster")
    return await open_node(desktop, node.record.id)


def choose_tab(page: NodePage, title: str) -> None:
    """Press the tab."""
    (tab,) = [each for each in page.tabs.findChildren(QToolButton) if each.text().startswith(title)]
    click(tab)


def test_the_doctor_names_what_is_wrong_with_evidence_and_shows_the_step(app: QApplication, spark: Simulator) -> None:
    async def story(desktop: Desktop) -> None:
        page = await page_of(desktop, spark)
        choose_tab(page, "Doctor")
        (start,) = [each for each in page.doctor.empty.findChildren(Button) if each.isVisible()]
        click(start)
        await until(lambda: page.model.check_up().state == "done", "the end of the check-up", timeout_s=READ_S)
        found = {finding.check_id: finding for finding in page.model.check_up().findings}
        rows = page.doctor.list.model()
        await until(lambda: rows.rowCount() == len(found), "a row for every check")
        wrong = {key for key, finding in found.items() if finding.verdict in (Verdict.WARN, Verdict.FAIL)}
        assert {"docker-group", "swap", "pcie-width"} <= wrong
        failed = sum(finding.verdict is Verdict.FAIL for finding in found.values())
        assert f"{failed} failed" in page.doctor.summary.text()
        (row,) = [i for i in range(rows.rowCount()) if "Docker without sudo" in str(rows.index(i, 0).data())]
        assert row < failed, "what fails does not come first"
        middle = page.doctor.list.visualRect(rows.index(row, 0)).center()
        QTest.mouseClick(page.doctor.list.viewport(), Qt.MouseButton.LeftButton, pos=middle)
        panel = page.doctor.panel
        assert "nvidia may not use docker" in words_on(panel)
        assert "docker" in panel.evidence.text()
        await take_pictures(desktop, "doctor")
        click(panel.action)
        await until(lambda: desktop.window.findChildren(PlaybookDialog), "the step as a plan")
        (dialog,) = desktop.window.findChildren(PlaybookDialog)
        assert "usermod -aG docker nvidia" in " ".join(dialog.text.toPlainText().replace("\\\n", " ").split())
        assert dialog.confirm.text() == "Run the fix"
        click(dialog.cancel)
        assert desktop.stack.runs.runs.value == {}

    assert play(app, story) == 0


def test_the_field_report_is_counted_shown_and_saved_without_names(
    app: QApplication, spark: Simulator, tmp_path: Path
) -> None:
    async def story(desktop: Desktop) -> None:
        page = await page_of(desktop, spark)
        choose_tab(page, "Field report")
        (start,) = [each for each in page.field.empty.findChildren(Button) if each.isVisible()]
        click(start)
        await until(lambda: page.model.report().state == "done", "the end of the report", timeout_s=READ_S)
        report = page.model.report()
        counts = f"held {report.count(Hold.HELD)}, differ {report.count(Hold.DIFFERS)}"
        await until(lambda: page.field.summary.text().lower().startswith(counts), f"{counts} on the page")
        assert report.count(Hold.HELD) > report.count(Hold.DIFFERS)
        await take_pictures(desktop, "field-report")
        click(page.field.save)
        await until(lambda: desktop.window.findChildren(QFileDialog), "the dialog")
        (dialog,) = desktop.window.findChildren(QFileDialog)
        await until(dialog.isVisible, "the dialog on screen")
        (field,) = dialog.findChildren(QLineEdit, "fileNameEdit")
        saved = tmp_path / "report.json"
        field.setText(str(saved))
        QTimer.singleShot(0, dialog.accept)
        await until(lambda: saved.exists() and saved.stat().st_size > 0, "the file")
        text = saved.read_text()
        assert len(json.loads(text)["results"]) == len(report.results)
        assert stat.S_IMODE(saved.stat().st_mode) == 0o600
        for name in ("spark-5c2d", "nvidia@", str(spark.node(0)["address"]), spark.node(0)["mac"]):
            assert name not in text, f"{name} is in the report"

    assert play(app, story) == 0
