"""The catalogue's list on the launch page: how fast, whether it fits, who holds the files; search and filters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QAbstractItemModel, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.planning.place import NodeRoom, Place
from tests.ui.launch.desk import LaunchDesk, choose_nodes
from tests.ui.launch.real import answer, best_cell, catalogue, reference
from tests.ui.picture import host_page
from ui.launch.model import LaunchModel
from ui.launch.standing import describe_spec, find_holders
from ui.launch.view import LaunchPage

FEW = tuple(s for s in catalogue() if s.key in ("gpt-oss-120b", "llama-3.3-70b", "qwen3.5-397b-a17b", "gpt-oss-20b"))
HELD = {"node1": frozenset({"openai/gpt-oss-120b"}), "node2": frozenset({"openai/gpt-oss-120b"})}


def open_with(qtbot: QtBot, used_gib: tuple[float, ...] = (6.2, 6.2, 6.2, 6.2)) -> LaunchPage:
    desk = LaunchDesk(answer, FEW, reference().engines, used_gib)

    def place(node_ids: tuple[str, ...]) -> Place:
        found = desk.place(node_ids)
        return replace(found, nodes=tuple(_holding(node) for node in found.nodes))

    page = LaunchPage(LaunchModel(replace(desk.feeds(), place=place, best_cell=best_cell)))
    qtbot.addWidget(host_page(page, 1232, 852))
    page.window().activateWindow()
    page.model.recompute()
    settled(qtbot, page)
    return page


def _holding(node: NodeRoom) -> NodeRoom:
    return replace(node, held_repos=HELD.get(node.node_id, frozenset()))


def settled(qtbot: QtBot, page: LaunchPage) -> None:
    """Wait until every model has its word."""
    seen = page.model.standings
    seen.clear()
    page.model.survey.look_at_all(page.model.form.pool)
    qtbot.waitUntil(lambda: len(seen) == len(FEW), timeout=5000)
    QTest.qWait(5)


@pytest.fixture
def page(qtbot: QtBot, dressed: object) -> LaunchPage:
    return open_with(qtbot)


def by_key(key: str) -> str:
    """A model's name."""
    return next(spec.name for spec in FEW if spec.key == key)


def rows(page: LaunchPage) -> list[str]:
    model: QAbstractItemModel = page.catalogue.entries
    return [str(model.index(i, 0).data()) for i in range(model.rowCount())]


def row(page: LaunchPage, title: str) -> str:
    return next(each for each in rows(page) if each.startswith(title))


def test_every_row_says_fit_speed_and_who_holds_the_files(page: LaunchPage) -> None:
    said = row(page, "gpt-oss 120B")
    assert ", Fits, " in said
    assert " tok/s, " in said
    assert said.endswith("on spark-bd26, spark-afe0")
    assert "on spark" not in row(page, "gpt-oss 20B"), "nobody was seen to hold it"


def test_a_model_that_is_too_big_shows_no_speed(page: LaunchPage) -> None:
    said = row(page, "Qwen3.5 397B")
    assert "Too big" in said
    assert "tok/s" not in said


def test_more_nodes_make_another_word(qtbot: QtBot, page: LaunchPage) -> None:
    choose_nodes(page, 0, 1, 2, 3)
    settled(qtbot, page)
    assert "Too big" not in row(page, "Qwen3.5 397B")
    assert "TP 4" in page.model.standings[next(s.name for s in FEW if s.key == "qwen3.5-397b-a17b")].plan


def test_filters_keep_what_fits_and_what_is_on_disk(page: LaunchPage) -> None:
    QTest.mouseClick(page.catalogue.fits, Qt.MouseButton.LeftButton)
    assert len(rows(page)) == len(FEW) - 1
    QTest.mouseClick(page.catalogue.on_disk, Qt.MouseButton.LeftButton)
    assert [each.split(",")[0] for each in rows(page)] == ["gpt-oss 120B"]
    QTest.keyClicks(page.catalogue.search, "qwen")
    assert rows(page) == []
    assert "take a filter off" in page.catalogue.foot.text()


def test_a_search_finds_by_key_hub_id_and_several_words(page: LaunchPage) -> None:
    for needle, found in (("llama nvfp4", 1), ("openai/", 2), ("qwen3.5-397b-a17b", 1), ("nothing at all", 0)):
        page.catalogue.search.setText(needle)
        assert len(rows(page)) == found, needle


def test_what_is_chosen_stays_marked_while_the_list_changes(page: LaunchPage) -> None:
    page.model.pick(FEW[2].name)
    QTest.mouseClick(page.catalogue.on_disk, Qt.MouseButton.LeftButton)
    QTest.mouseClick(page.catalogue.on_disk, Qt.MouseButton.LeftButton)
    assert page.catalogue.entries.shown[page.catalogue.list.currentIndex().row()].name == FEW[2].name


def test_another_format_of_the_model_keeps_its_row_marked(page: LaunchPage) -> None:
    llama = next(spec for spec in FEW if spec.key == "llama-3.3-70b")
    page.model.pick(llama.name)
    page.model.set_field("quantization", "FP8")
    page.model.recompute()
    assert page.model.form.model != llama.name
    assert page.catalogue.entries.shown[page.catalogue.list.currentIndex().row()].name == llama.name


def test_a_key_or_a_title_that_was_typed_becomes_the_catalogues_own_name(page: LaunchPage) -> None:
    field = page.form.model_name
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, "gpt-OSS-20b")
    assert page.model.spec() is None, "nothing is corrected while it is typed"
    QTest.keyClick(field, Qt.Key.Key_Return)
    page.model.recompute()
    assert field.text() == "openai/gpt-oss-20b"
    assert (page.model.form.engine, page.model.form.quantization) == ("vllm", "MXFP4"), "the checkpoint of that name"
    page.model.set_field("engine", "llamacpp")
    QTest.keyClicks(field, "x")
    field.selectAll()
    QTest.keyClicks(field, "gpt-oss-120b")
    QTest.keyClick(field, Qt.Key.Key_Return)
    page.model.recompute()
    assert page.model.form.engine == "llamacpp", "what was chosen stays"
    assert field.text() == "ggml-org/gpt-oss-120b-GGUF", "and the checkpoint follows it"


def test_holders_are_named_as_long_as_they_are_few(page: LaunchPage) -> None:
    contexts = page.model.feeds.ranked_contexts()
    gpt = next(spec for spec in FEW if spec.key == "gpt-oss-120b")
    for count, words in ((0, ""), (1, "on spark-5c2d"), (3, "on 3 of 4 nodes"), (4, "on all 4 nodes")):
        held = frozenset({"openai/gpt-oss-120b"})
        nodes = tuple(NodeRoom(c.record.id, "", held_repos=held) for c in contexts[:count])
        assert find_holders(gpt, contexts, Place(nodes)) == words


def test_a_model_that_one_node_does_not_hold_takes_as_many_as_it_needs(page: LaunchPage) -> None:
    model = page.model
    model.pick(by_key("qwen3.5-397b-a17b"))
    model.recompute()
    assert len(model.form.nodes) == 2
    assert model.row is not None
    assert model.row.fit in (Fit.FITS, Fit.TIGHT)
    assert model.nodes_hint() == "2 is the fewest it fits on"
    model.pick(by_key("gpt-oss-120b"))
    model.recompute()
    assert (len(model.form.nodes), model.nodes_hint()) == (1, ""), "nobody chose two"


def test_nodes_that_were_chosen_are_not_changed_by_a_model(qtbot: QtBot, page: LaunchPage) -> None:
    choose_nodes(page, 1)
    page.model.pick(by_key("qwen3.5-397b-a17b"))
    page.model.recompute()
    assert page.model.form.nodes == ("node1",)
    assert page.model.nodes_hint() == ""


def test_a_model_that_fits_nowhere_takes_all_nodes_and_says_so(qtbot: QtBot, dressed: object) -> None:
    page = open_with(qtbot, (100.0, 100.0, 100.0, 100.0))
    page.model.pick(by_key("qwen3.5-397b-a17b"))
    page.model.recompute()
    assert len(page.model.form.nodes) == 4
    assert page.model.nodes_hint() == "too big even for 4"


def test_a_size_that_nobody_knows_is_not_written() -> None:
    spec = next(spec for spec in FEW if spec.key == "gpt-oss-20b")
    unknown = replace(spec, formats=(replace(spec.formats[0], weight_bytes=1),))
    assert "MB" not in describe_spec(unknown, {})
    assert "13.7 GB" in describe_spec(replace(spec, formats=spec.formats[:1]), {})
