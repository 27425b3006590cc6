"""What can my Sparks run, in the whole application: from the palette's command to the launch form."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.desktop import Desktop
from sparkdesk.app.planner import Planner
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.workload import CHAT
from tests.app.desk import all_live, first_run_page, play, until
from ui.models.view import ModelsPage

pytestmark = pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise")


def models_page(desktop: Desktop) -> ModelsPage:
    page = desktop.window.page("models")
    assert isinstance(page, ModelsPage)
    return page


def test_the_command_shows_the_page_and_the_page_leads_to_the_launch_form(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await all_live(desktop, 2)
        desktop.window.actions_registry.run("models.run")
        page = models_page(desktop)
        await until(lambda: not page.model.is_computing, "all rows")
        assert [page.table.cells.heading(at)[1] for at in (5, 6)] == ["not owned"] * 2
        chosen = next(entry for entry in page.model.entries if entry.spec.key == "llama-3.3-70b")
        page.model.choose(chosen.spec.name, 2)
        QTest.mouseClick(page.detail.button, Qt.MouseButton.LeftButton)
        assert desktop.window.page_key() == "launch"
        launch = desktop.pages.launch_page
        assert launch is not None
        spec = launch.model.spec()
        assert spec is not None
        assert spec.name == chosen.spec.name
        assert len(launch.model.form.nodes) == 2
        page.model.choose(next(one.spec.name for one in page.model.entries if one.spec.key == "glm-5"), 2)
        assert "4 nodes" in page.detail.remedy.text()

    options = WindowOptions(is_simulated=True, is_forgetful=True, simulation=("--nodes", "2"))
    assert play(app, story, options) == 0


def test_a_plan_for_one_full_node_looks_at_the_other_nodes_too(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await all_live(desktop, 2)
        planner = Planner(desktop.stack)
        spec = next(one for one in desktop.stack.launcher.catalogue if one.key == "llama-3.3-70b")
        remedies = []
        for node in planner.places.everything().nodes:
            place = planner.place((node.node_id,))
            full = replace(place, nodes=(replace(place.nodes[0], available_bytes=10 << 30),))
            rows = planner.rows(Question(spec, CHAT, full))
            remedies += [problem.remedy for row in rows for problem in row.problems]
        assert any(" instead" in remedy and "on spark-" in remedy for remedy in remedies), remedies

    options = WindowOptions(is_simulated=True, is_forgetful=True, simulation=("--nodes", "2"))
    assert play(app, story, options) == 0


def test_it_can_be_asked_before_there_is_a_spark(app: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        await first_run_page(desktop)
        desktop.window.show_page("models")
        page = models_page(desktop)
        await until(lambda: not page.model.is_computing, "all rows")
        assert page.banner.title() == "No Spark is live"
        assert page.model.obstacle() == "No node is live: add a Spark first"

    assert play(app, story) == 0
