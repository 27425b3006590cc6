"""The page speaks of one moment: chips, ledgers, table, list and port follow the nodes together."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from sparkdesk.core.planning.place import Neighbour, Place
from tests.ui import rack
from tests.ui.launch.desk import LaunchDesk, choose_nodes, node, open_page
from tests.ui.launch.real import answer, best_cell, catalogue, reference
from ui.launch.node.moment import has_changed, has_moved
from ui.launch.view import LaunchPage

GPT = "gpt-oss-120b"


@pytest.fixture
def desk() -> LaunchDesk:
    made = LaunchDesk(answer, [spec for spec in catalogue() if spec.key == GPT], reference().engines)
    made.best_cell = best_cell
    return made


def left_of(page: LaunchPage) -> tuple[float, float]:
    """What is left on the node after the launch: by the ledger, and by the form's own row, in GiB."""
    plan, row = page.model.preview.plan, page.model.row
    assert plan is not None
    assert row is not None
    sizes = plan.ledgers[0].free_bytes, row.ledgers[0].free_bytes
    return tuple(round((size or math.nan) / rack.GIB, 1) for size in sizes)  # type: ignore[return-value]


def test_what_a_server_took_is_seen_everywhere_at_once(qtbot: QtBot, dressed: object, desk: LaunchDesk) -> None:
    page = open_page(qtbot, desk)
    choose_nodes(page, 0)
    assert min(left_of(page)) > 0
    used = 80.0

    def read() -> None:
        full = replace(node(0, used), used_ports={8000: "unknown-9b", 8080: "smollm2"})
        desk.contexts.set((full, *desk.contexts.value[1:]))

    desk.refresh_memory = read
    page.model.look_again()
    assert page.model.form.port not in ("8000", "8080"), "an untouched port is a free one"
    qtbot.waitUntil(lambda: bool(page.model.preview.errors))
    assert "41.6 GiB" in page.model.blocker(), "the engine itself could not load it"
    assert page.model.row is not None
    assert (page.model.row.ledgers[0].free_bytes or 0) < 0, "the table counts the same memory"
    chip = next(chip for chip in page.form.nodes.chips if chip.node_id == "node0")
    assert chip.accessibleName().endswith("41.6 GiB free")
    qtbot.waitUntil(lambda: page.model.standings[page.model.feeds.catalogue[0].name].fit.text == "Too big")
    assert "port" not in page.model.preview.errors


def test_every_plan_is_of_the_memory_of_its_own_moment(qtbot: QtBot, dressed: object, desk: LaunchDesk) -> None:
    page = open_page(qtbot, desk)
    choose_nodes(page, 0)
    desk.refresh_memory = lambda: desk.contexts.set((node(0, 30.0), *desk.contexts.value[1:]))
    page.model.recompute()
    assert page.model.row is not None
    assert page.model.row.place.nodes[0].available_bytes == node(0, 30.0).mem_available_bytes


def test_memory_that_breathes_makes_no_new_plan(qtbot: QtBot, dressed: object, desk: LaunchDesk) -> None:
    page = open_page(qtbot, desk)
    choose_nodes(page, 0)
    plan = page.model.preview.plan
    desk.refresh_memory = lambda: desk.contexts.set((node(0, 6.3), *desk.contexts.value[1:]))
    page.model.look_again()
    qtbot.wait(150)
    assert page.model.preview.plan is plan, "commands that somebody reads or copies stay as they are"


def test_a_node_that_comes_or_is_read_is_a_change() -> None:
    one = node(0, 6.0)
    assert has_moved(None, ())
    assert has_moved((), (one,))
    assert has_moved((replace(one, mem_available_bytes=None),), (one,))
    assert has_moved((one,), (replace(one, used_ports={8000: "vllm"}),))
    assert not has_moved((one,), (node(0, 6.1),))


def test_a_neighbour_that_works_more_is_a_change() -> None:
    idle = Neighbour("job1", "gpt-oss-120b", ("node0",), 0.0, 0.0)
    free, beside, busy = Place(()), Place((), neighbours=(idle,)), replace(idle, gb_per_s=150.0)
    assert has_changed(free, beside)
    assert has_changed(beside, Place((), neighbours=(busy,)))
    assert has_changed(beside, Place((), neighbours=(replace(idle, gb_per_s=math.nan),)))
    assert not has_changed(beside, Place((), neighbours=(replace(idle, gb_per_s=9.0),)))
