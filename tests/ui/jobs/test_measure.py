"""Measuring a deployment: what is sent, the rows as they come, and what is taken away from it."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.bench.expectation import NOTHING
from sparkdesk.core.bench.run import BenchPoint, BenchShape, BenchState
from sparkdesk.core.errors import PlanError
from tests.ui.jobs.desk import MEASURED, READY, Desk, measured
from tests.ui.picture import SHOTS, cut_labels, host_page
from ui.jobs.measure.dialog import LEAST, MeasureDialog
from ui.jobs.measure.words import csv_of, markdown_of, read_users
from ui.jobs.model import DeploymentsModel
from ui.jobs.view import DeploymentsPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def desk(dressed: object) -> Desk:
    found = Desk()
    found.serve(READY, seconds=5)
    return found


@pytest.fixture
def dialog(qtbot: QtBot, desk: Desk) -> MeasureDialog:
    page = DeploymentsPage(DeploymentsModel(desk.feeds()))
    qtbot.addWidget(host_page(page, 1232, 852))
    QTest.mouseClick(page.detail.head.measure_button, LEFT)
    found = page.detail.measure
    assert found is not None
    QTest.qWait(20)
    return found


def rows(dialog: MeasureDialog) -> list[list[str]]:
    return [[cell.text for cell in row] for row in dialog.table.cells.table.rows]


def test_what_is_refused_is_said_in_the_dialog_until_the_next_start(qtbot: QtBot, desk: Desk) -> None:
    def refuse(_job_id: str, shape: BenchShape) -> None:
        if shape.prompt_tokens > 4096:
            raise PlanError("100,000 tokens do not fit into 4,096", remedy="Send fewer.")

    dialog = MeasureDialog(DeploymentsModel(replace(desk.feeds(), measure=refuse)), "j1")
    qtbot.addWidget(dialog)
    dialog.show()
    assert not dialog.refused.isVisible()
    dialog.shapes.move_on("long", 1)
    dialog.prompt.setValue(100_000)
    QTest.mouseClick(dialog.start, LEFT)
    assert dialog.refused.isVisible()
    assert dialog.refused.text() == "100,000 tokens do not fit into 4,096. Send fewer."
    dialog.prompt.setValue(512)
    QTest.mouseClick(dialog.start, LEFT)
    assert not dialog.refused.isVisible()


def test_a_shape_and_users_are_chosen_and_sent(dialog: MeasureDialog, desk: Desk) -> None:
    assert not dialog.isModal()
    assert not dialog.prompt.isEnabled()
    dialog.shapes.move_on("short", 1)
    QTest.mouseClick(dialog.start, LEFT)
    dialog.shapes.move_on("long", 1)
    dialog.prompt.setValue(8192)
    dialog.users.setText("1 16")
    QTest.mouseClick(dialog.start, LEFT)
    assert desk.asked == [
        ("measure", "j1", BenchShape(2048, 512, (1, 2, 4, 8))),
        ("measure", "j1", BenchShape(8192, 512, (1, 16))),
    ]


def test_users_that_are_none_are_named_and_nothing_is_sent(dialog: MeasureDialog, desk: Desk) -> None:
    dialog.users.setText("1, two")
    QTest.mouseClick(dialog.start, LEFT)
    assert dialog.users_field.error() == "two is not a number of users"
    assert desk.asked == []


@pytest.mark.parametrize("words", ["", "0", "1025", "-1", "1,,x", "9" * 9, "²"])
def test_what_is_no_number_of_users_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="user"):
        read_users(words)


def test_rows_come_live_beside_predicted_and_published(dialog: MeasureDialog, desk: Desk) -> None:
    assert dialog.empty.isVisible()
    desk.runs.set((measured(points=()),))
    assert [row[1] for row in rows(dialog)] == ["measuring", "to come", "to come", "to come"]
    desk.runs.set((measured(),))
    assert rows(dialog)[0][:6] == ["1", "2.63 s", "412 ms", "1,243", "57.9", "54.0 – 62.0"]
    assert rows(dialog)[3][0:2] == ["8", "measuring"]
    assert rows(dialog)[3][6] == "231", "what was published for this point"
    assert not dialog.start.isVisible(), "one run at a time"


def test_a_busy_client_and_failed_requests_are_marked(dialog: MeasureDialog, desk: Desk) -> None:
    desk.runs.set((measured(),))
    assert dialog.warning.text().startswith("At 4 users this computer was busy itself")
    assert dialog.table.cells.table.rows[2][0].hint == "1 of 16 requests failed"
    assert dialog.table.cells.table.rows[2][7].look == "warn"
    desk.runs.set((measured(points=MEASURED[:2]),))
    assert not dialog.warning.isVisible()


def test_a_run_is_cancelled_by_its_id_and_what_came_stays(dialog: MeasureDialog, desk: Desk) -> None:
    desk.runs.set((measured(),))
    QTest.mouseClick(dialog.cancel, LEFT)
    assert desk.asked == [("cancel_measure", "run1")]
    desk.runs.set((measured(BenchState.CANCELLED, message="Cancelled"),))
    assert dialog.chip.text() == "Cancelled"
    assert not dialog.failure.isVisible(), "no failure is said of what a person chose"
    assert rows(dialog)[3][1] == "not measured"
    assert dialog.start.isVisible()


def test_earlier_runs_are_kept_and_a_new_one_is_shown_at_once(dialog: MeasureDialog, desk: Desk) -> None:
    old = measured(BenchState.DONE, id="old", started_ms=1_700_000_000_000)
    other = measured(BenchState.DONE, id="other", job_id="j9")
    desk.runs.set((old, other))
    assert dialog.runs.count() == 1, "another deployment's runs are not here"
    desk.runs.set((old, other, measured(id="new")))
    assert dialog.runs.key() == "new"
    dialog.runs.set_key("old")
    desk.runs.set((old, other, measured(BenchState.DONE, id="new")))
    assert dialog.runs.key() == "old", "who looks at an old one goes on looking at it"


def test_a_failed_run_says_why(dialog: MeasureDialog, desk: Desk) -> None:
    broken = BenchPoint(1, failure="HTTP 500: engine dead")
    desk.runs.set((measured(BenchState.FAILED, points=(broken,), message="The server went away"),))
    assert dialog.failure.text() == "The server went away; 1 user: HTTP 500: engine dead"
    assert rows(dialog)[0][1] == "failed"


def test_it_is_taken_away_as_markdown_and_csv(dialog: MeasureDialog, desk: Desk) -> None:
    desk.runs.set((measured(note="simulated vLLM"),))
    QTest.mouseClick(dialog.copy_markdown, LEFT)
    assert "| 1 | 2.63 s | 412 ms | 1,243 | 57.9 |" in QGuiApplication.clipboard().text()
    assert "_simulated vLLM_" in QGuiApplication.clipboard().text()
    QTest.mouseClick(dialog.copy_csv, LEFT)
    table = list(csv.DictReader(io.StringIO(QGuiApplication.clipboard().text())))
    assert [row["concurrency"] for row in table] == ["1", "2", "4"]
    assert (table[0]["ttft_s"], table[0]["published_tok_s"]) == ("0.412", "")


def test_hostile_names_stay_text_in_a_spreadsheet_and_in_markdown() -> None:
    run = replace(measured(), title='=HYPERLINK("x")', model="a|b\nc")
    expected = lambda _users: NOTHING  # noqa: E731
    assert '"\'=HYPERLINK(""x"")"' in csv_of(run, expected)
    assert "a\\|b c" in markdown_of(run, expected)


def test_pictures_of_a_measurement(dialog: MeasureDialog, desk: Desk) -> None:
    desk.runs.set((measured(),))
    QTest.qWait(60)
    assert not cut_labels(dialog)
    SHOTS.mkdir(parents=True, exist_ok=True)
    assert dialog.grab().save(str(SHOTS / "deployment-measure.png"))


def test_figures_stand_below_each_other_at_the_right_and_are_never_cut(dialog: MeasureDialog, desk: Desk) -> None:
    desk.runs.set((measured(points=(*MEASURED, BenchPoint(8, 123.4, 98.7, 0.05, 12_345.0, 11_728.0, 512, 128, 8))),))
    for width in (LEAST[0], 840):
        dialog.resize(width, 560)
        QTest.qWait(40)
        table = dialog.table
        assert table.horizontalScrollBar().maximum() == 0
        columns = range(table.cells.columnCount())
        assert all(table.columnWidth(column) >= table.sizeHintForColumn(column) for column in columns)
        side = table.cells.headerData(4, Qt.Orientation.Horizontal, Qt.ItemDataRole.TextAlignmentRole)
        assert isinstance(side, int)
        assert side & int(Qt.AlignmentFlag.AlignRight)
