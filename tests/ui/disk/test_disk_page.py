"""Models on disk as a person uses it: what a cell says, what is refused and why, and how a failed transfer goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.core.disk.view import DiskCell, DiskFile, DiskKey, DiskNode, DiskRow, DiskView, Holding, Kind, Transfer
from sparkdesk.core.feed import Latest
from tests.ui.picture import host_page
from ui import text
from ui.disk import words
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
        self.sizes: list[tuple[str, str, str, Callable[[int | None, str], None]]] = []
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
            ask_size=lambda *words: self.sizes.append(words),
        )
        self.page = DiskPage(DiskModel(feeds, actions))
        host_page(self.page, 1232, 852)

    def cells(self) -> dict[str, list[str]]:
        return {row[0].text: [cell.text for cell in row[4:]] for row in self.page.table.cells.table.rows}


@pytest.fixture
def desk(dressed: QApplication) -> Desk:
    return Desk()


def test_a_partial_is_not_called_whole_and_what_is_not_known_not_none(desk: Desk) -> None:
    assert desk.cells()["o/n"] == ["whole", "partial, 3.0 of 40.0 GB", "none"]
    assert desk.cells()["registry/engine:1"] == ["none", "not known", "none"]
    assert [tile.said.text() for tile in desk.page.strip.tiles] == [
        "Read 1 min ago",
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
    assert desk.asked == []
    *words, then = desk.sizes.pop()
    assert words == ["o/gguf", "q4.gguf", "a"]
    then(950 * 10**9, "")
    assert "Not enough room" in dialog.problem.text()
    assert "900.0 GB free" in dialog.problem.text()
    QTest.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    assert desk.asked == [], "it is asked again, not fetched"
    desk.sizes.pop()[3](4 * 10**9, "")
    assert (dialog.size_label.text(), dialog.go.text()) == ("It takes 4.0 GB on each node.", "Show the steps…")
    QTest.mouseClick(dialog.go, Qt.MouseButton.LeftButton)
    assert desk.asked == [("fetch", DiskKey(Kind.MODEL, "o/gguf"), ("a",), "q4.gguf")]


def test_a_failed_look_keeps_the_figures_with_their_age_and_never_calls_them_new(desk: Desk) -> None:
    late = replace(NODES[0], problem="spark-a does not answer", remedy="Wait for it.")
    desk.view.set(DiskView((late, *NODES[1:]), ROWS))
    tile = desk.page.strip.tiles[0]
    assert tile.said.text() == "As of 1 min ago: spark-a does not answer. Wait for it."
    assert tile.free.text() == "900.0 GB free of 1.00 TB"
    assert desk.cells()["o/n"][0] == "whole"


def test_images_that_are_not_known_tell_what_is_wrong_with_docker_there(desk: Desk) -> None:
    for problem, said in (("down", "systemctl start docker"), ("group", "usermod -aG docker spark"), ("", "answer")):
        desk.view.set(DiskView((NODES[0], replace(NODES[1], docker_problem=problem, user="spark"), NODES[2]), ROWS))
        row = next(row for row in desk.page.table.cells.table.rows if row[0].text == IMAGE.name)
        assert said in row[5].hint


def test_a_model_of_which_only_a_part_is_there_has_the_size_of_the_whole(desk: Desk) -> None:
    part = DiskCell(Holding.PARTIAL, 17_500_000_000, whole_bytes=42_700_000_000)
    desk.view.set(DiskView(NODES, (DiskRow(MODEL, {"a": part}),)))
    row = next(row for row in desk.page.table.cells.table.rows if row[0].text == "o/n")
    assert (row[1].text, row[4].text) == ("42.7 GB", "partial, 17.5 of 42.7 GB")
    desk.view.set(DiskView(NODES, (DiskRow(MODEL, {"a": replace(part, whole_bytes=None)}),)))
    row = next(row for row in desk.page.table.cells.table.rows if row[0].text == "o/n")
    assert (row[1].text, row[4].text) == ("n/a", "partial, 17.5 GB so far")


def test_a_download_shows_share_rate_and_time_left_in_its_cell(desk: Desk) -> None:
    said = "12.4 of 42.7 GB, 410 MB/s, 1 min left"
    of_launch = DiskCell(Holding.DOWNLOADING, 12 * 10**9, coming=said, fraction=0.29)
    ours = Transfer("r2", "b", MODEL, "fetch", said, 0.29)
    desk.view.set(DiskView(NODES, (DiskRow(MODEL, {"a": of_launch}),), (ours,)))
    assert desk.cells()["o/n"][:2] == ["downloading 29\u202f%, 410 MB/s, 1 min left"] * 2


def test_the_drawer_lists_files_and_says_which_node_holds_which_revision(desk: Desk) -> None:
    whole, part = DiskFile("model.safetensors", 10**9, 10**9), DiskFile("model.safetensors", 10**8, 10**9)
    cells = {"a": DiskCell(Holding.WHOLE, 10**9, "a" * 40, files=(whole, DiskFile("config.json", 2000, 2000)))}
    cells["b"] = DiskCell(Holding.PARTIAL, 10**8, "b" * 40, files=(part,))
    desk.view.set(DiskView(NODES, (DiskRow(MODEL, cells),)))
    desk.page.model.choose_ident(("model", "o/n"))
    said = desk.page.drawer.files.text()
    assert "model.safetensors: 1.0 GB, partial on spark-b" in said
    assert "config.json: 2.0 kB, not on spark-b" in said
    assert "aaaaaaaa on spark-a; bbbbbbbb on spark-b" in desk.page.drawer.summary.text()


def test_in_a_narrow_window_the_drawer_lies_over_the_table_and_squeezes_nothing(desk: Desk) -> None:
    desk.page.window().resize(1044, 640)
    desk.page.resize(1044, 640)
    QTest.qWait(20)
    before = desk.page.table.width()
    desk.page.model.choose_ident(("model", "o/n"))
    QTest.qWait(20)
    drawer = desk.page.drawer.geometry()
    assert desk.page.table.width() == before
    assert desk.page.rect().contains(drawer)
    assert drawer.height() > 200
    assert drawer.left() < desk.page.table.mapTo(desk.page, desk.page.table.rect().topRight()).x()


def test_the_token_is_offered_only_where_the_hub_refused_a_fetch(desk: Desk) -> None:
    for message, is_offered in (("The hub says 403", True), ("the node's disk is full", False)):
        desk.view.set(replace(desk.view.value, transfers=(replace(FAILED, message=message, remedy="Mend it."),)))
        assert desk.page.transfers.lines[0].token.isVisible() is is_offered


def test_an_open_drawer_stays_in_sight_when_the_window_becomes_narrow(desk: Desk) -> None:
    desk.page.model.choose_ident(("model", "o/n"))
    QTest.qWait(20)
    desk.page.window().resize(1044, 640)
    desk.page.resize(1044, 640)
    QTest.qWait(20)
    drawer = desk.page.drawer.geometry()
    assert desk.page.rect().contains(drawer)
    assert drawer.height() > 200


def test_a_failed_fetch_that_was_begun_anew_is_shown_no_more(desk: Desk) -> None:
    anew = replace(FAILED, run_id="r9", result="", message="", text="line cut, trying again 2 of 5 in 4 s")
    desk.view.set(replace(desk.view.value, transfers=(FAILED, anew)))
    assert [line.run_id for line in desk.page.transfers.lines] == ["r9"]
    desk.view.set(replace(desk.view.value, transfers=(FAILED, replace(anew, result="done"))))
    assert desk.page.transfers.lines == []


def test_a_failure_is_told_without_the_title_that_stands_beside_it(desk: Desk) -> None:
    message = f"Fetch {MODEL.name}: the node's disk is full"
    desk.view.set(replace(desk.view.value, transfers=(replace(FAILED, message=message, remedy="Make room."),)))
    (line,) = desk.page.transfers.lines
    assert (line.said.text(), line.help.text(), line.resume.text()) == (
        "The node's disk is full",
        "Make room.",
        "Try again",
    )
    full = "The disk of b is full: ~/.local/state/x could not be written: cat: write error"
    desk.view.set(replace(desk.view.value, transfers=(replace(FAILED, message=full, remedy="Make room."),)))
    assert line.said.text() == "The disk of b is full"
    assert "Make room." in line.said.toolTip()


def test_a_node_that_is_away_says_so_and_not_how_the_last_look_failed() -> None:
    away = replace(NODES[2], problem="spark-c did not begin a command: the connection is gone", remedy="Wait.")
    assert words.state_words(away, 61_000) == "Away: figures of 1 min ago"
    assert "did not begin" in words.state_words(replace(away, looked_ms=None), 61_000)


def test_a_full_disk_and_a_part_of_nothing_are_words_and_no_zeros() -> None:
    full = replace(NODES[1], free_bytes=40_000)
    assert words.free_words(full) == "nothing free of 1.00 TB"
    assert words.state_words(full, 61_000) == "Full"
    assert words.state_words(NODES[1], 61_000) == "Nearly full"
    begun = words.cell_of(DiskCell(Holding.PARTIAL, 300), NODES[0], Kind.MODEL, None, 6_300_000)
    assert begun.text == "partial, hardly any of it"


def test_a_cell_says_that_it_waits_for_another_try_and_what_began_is_not_yet_coming() -> None:
    said = "5.8 of 6.3 MB; line cut at 92 %, trying again 2 of 5 in 4 s; 6 of 7 files"
    assert words.coming_cell(0.92, said).text == f"downloading {text.percent(0.92)}, trying again 2 of 5 in 4 s"
    assert words.coming_cell(0.5, "1.0 of 2.0 GB, 50 MB/s, 20 s left; 1 of 2 files").text.endswith(
        ", 50 MB/s, 20 s left"
    )
    assert words.coming_cell(None, "").text == "asking for it"
