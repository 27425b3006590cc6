"""Models on disk as a person uses it: what a cell says, what is refused and why, and how a failed transfer goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.disk.view import DiskCell, DiskKey, DiskNode, DiskRow, DiskView, Holding, Kind, Transfer
from sparkdesk.core.feed import Latest
from tests.ui.picture import host_page
from ui.disk.feeds import DiskActions, DiskFeeds
from ui.disk.model import DiskModel
from ui.disk.view import DiskPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")
MODEL = DiskKey(Kind.MODEL, "o/n")
IMAGE = DiskKey(Kind.IMAGE, "registry/engine:1")
NODES = (
    DiskNode("a", "spark-a", True, 900 * 10**9, 1000 * 10**9, (("vllm", 10**9),), looked_ms=1000),
    DiskNode("b", "spark-b", True, 20 * 10**9, 1000 * 10**9, looked_ms=1000),
    DiskNode("c", "spark-c", False, 500 * 10**9, 1000 * 10**9, looked_ms=1000),
)
ROWS = (
    DiskRow(
        MODEL,
        {
            "a": DiskCell(Holding.WHOLE, 40 * 10**9, "a" * 40),
            "b": DiskCell(Holding.PARTIAL, 3 * 10**9, "b" * 40),
            "c": DiskCell(Holding.NONE),
        },
    ),
    DiskRow(IMAGE, {"a": DiskCell(Holding.NONE), "b": DiskCell(Holding.UNKNOWN), "c": DiskCell(Holding.NONE)}),
)
FAILED = Transfer("r1", "b", MODEL, "fetch", result="failed", message="The hub says 401", remedy="Enter a token.")


class Desk:
    """Feeds that a test sets, and what the page asked for."""

    def __init__(self) -> None:
        self.view = Latest(DiskView(NODES, ROWS))
        self.users: dict[str, tuple[str, ...]] = {}
        self.asked: list[tuple[object, ...]] = []
        feeds = DiskFeeds(self.view, lambda _key, node_id: self.users.get(node_id, ()), lambda: 61_000)
        actions = DiskActions(
            fetch=lambda *words: self.asked.append(("fetch", *words)),
            copy=lambda *words: self.asked.append(("copy", *words)),
            verify=lambda *words: self.asked.append(("verify", *words)),
            remove=lambda *words: self.asked.append(("remove", *words)),
            clean=lambda *words: self.asked.append(("clean", *words)),
            cancel=lambda *words: self.asked.append(("cancel", *words)),
            resume=lambda *words: self.asked.append(("resume", *words)),
            enter_token=lambda: self.asked.append(("token",)),
            look=lambda: self.asked.append(("look",)),
            watch=lambda _is_shown: None,
        )
        self.page = DiskPage(DiskModel(feeds, actions))
        host_page(self.page, 1232, 852)

    def cells(self) -> dict[str, list[str]]:
        return {row[0].text: [cell.text for cell in row[4:]] for row in self.page.table.cells.table.rows}


@pytest.fixture
def desk(dressed: QApplication) -> Desk:
    return Desk()


def test_a_partial_is_not_called_whole_and_what_is_not_known_not_none(desk: Desk) -> None:
    assert desk.cells()["o/n"] == ["whole", "partial, 3.0 GB so far", "none"]
    assert desk.cells()["registry/engine:1"] == ["none", "not known", "none"]
    assert [tile.said.text() for tile in desk.page.strip.tiles] == [
        "Read just now",
        "Nearly full",
        "Away: figures of 1 min ago",
    ]


def test_what_a_server_uses_cannot_be_removed_and_the_reason_names_it(desk: Desk) -> None:
    desk.users["a"] = ("my server",)
    desk.page.model.choose_ident(("model", "o/n"))
    remove = desk.page.drawer.parts["a"].buttons["remove"]
    assert not remove.isEnabled()
    assert "my server" in remove.toolTip()
    desk.users.clear()
    desk.page.refresh()
    QTest.mouseClick(remove, Qt.MouseButton.LeftButton)
    assert desk.asked == [("remove", MODEL, "a")]


def test_a_fetch_to_all_goes_to_live_nodes_that_lack_it(desk: Desk) -> None:
    desk.page.model.choose_ident(("model", "o/n"))
    QTest.mouseClick(desk.page.drawer.fetch_all, Qt.MouseButton.LeftButton)
    assert desk.asked == [("fetch", MODEL, ("b",), "")]


def test_a_failed_fetch_says_why_and_leads_to_the_token_or_goes_on(desk: Desk) -> None:
    desk.view.set(replace(desk.view.value, transfers=(FAILED,)))
    line = desk.page.transfers.lines[0]
    assert "401" in line.said.text()
    QTest.mouseClick(line.token, Qt.MouseButton.LeftButton)
    QTest.mouseClick(line.resume, Qt.MouseButton.LeftButton)
    assert desk.asked == [("token",), ("resume", "r1")]
    running = replace(FAILED, result="", message="", text="1.0 of 2.0 GB, 50 MB/s", fraction=0.5)
    desk.view.set(replace(desk.view.value, transfers=(running,)))
    assert desk.page.transfers.lines[0].said.text() == "1.0 of 2.0 GB, 50 MB/s"
    QTest.mouseClick(desk.page.transfers.lines[0].cancel, Qt.MouseButton.LeftButton)
    assert desk.asked[-1] == ("cancel", "r1")


def test_the_filter_and_the_keyboard_find_a_row_and_escape_leaves_it(desk: Desk) -> None:
    QTest.keyClicks(desk.page.search, "ENGINE")
    assert set(desk.cells()) == {"Images", "registry/engine:1"}
    desk.page.search.clear()
    desk.page.table.setFocus()
    desk.page.table.setCurrentIndex(desk.page.table.cells.index(0, 0))
    QTest.keyClick(desk.page.table, Qt.Key.Key_Down)
    assert desk.page.model.chosen == ("model", "o/n")
    assert desk.page.drawer.isVisible()
    QTest.keyClick(desk.page.table, Qt.Key.Key_Escape)
    assert not desk.page.drawer.isVisible()


def test_a_compile_cache_is_cleaned_where_there_is_one(desk: Desk) -> None:
    desk.page.model.choose_ident(("cache", "vllm"))
    assert "slower" in desk.page.drawer.summary.text()
    assert not desk.page.drawer.parts["b"].buttons["clean"].isEnabled()
    QTest.mouseClick(desk.page.drawer.parts["a"].buttons["clean"], Qt.MouseButton.LeftButton)
    assert desk.asked == [("clean", "vllm", "a")]


def test_a_wrong_id_is_refused_before_anything_is_asked(desk: Desk) -> None:
    QTest.mouseClick(desk.page.get_model, Qt.MouseButton.LeftButton)
    dialog = desk.page.dialog
    assert dialog is not None
    dialog.name.setText("$(reboot)")
    QTest.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    assert (dialog.name_field.error(), desk.asked) == ("Write it as owner/name.", [])
    dialog.name.setText("o/gguf")
    dialog.file.setText("q4.gguf")
    QTest.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    assert desk.asked == [("fetch", DiskKey(Kind.MODEL, "o/gguf"), ("a",), "q4.gguf")]
