"""Pictures of the plan column in its states, for people to look at."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from tests.ui.launch import made
from tests.ui.launch.desk import choose_nodes, open_page, settle
from tests.ui.launch.test_plan_column import desk
from tests.ui.picture import take_pictures


def test_pictures_of_made_rows(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk())
    choose_nodes(page, 0, 1)
    take_pictures(page, "plan-made")


def test_pictures_beside_a_neighbour(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk(made.shared_row(), *made.rows()[1:]))
    take_pictures(page, "plan-made-shared")


def test_pictures_of_an_unreadable_number(qtbot: QtBot, dressed: object) -> None:
    page = open_page(qtbot, desk())
    page.model.set_field("prompt_tokens", "abc")
    settle(page)
    take_pictures(page, "plan-made-old")
