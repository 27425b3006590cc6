"""A newcomer tries another shape of simulated Sparks, pulls a cable on purpose, sees it, and plugs it in again."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from sparkdesk.app.broken_things import FAULTS as OFFERED
from sparkdesk.app.broken_things import GROUPS
from sparkdesk.app.desktop import Desktop
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.cluster.topology import Shape, Topology
from sparkdesk.services.wait import wait_for_value
from sparkdesk.simulator.fault import FAULTS
from tests.app.desk import all_live, play
from ui.cluster.view import ClusterPage
from ui.first_run.view import FirstRunPage

RING = "3 nodes in a ring"


async def until_seen(desktop: Desktop, shape: Shape) -> Topology:
    """Until the cabling is recognised as that."""
    return await wait_for_value(
        desktop.stack.fleet.topology.topology, lambda topology: topology.shape is shape, timeout_s=90
    )


@pytest.mark.timeout(420)
def test_a_ring_is_tried_broken_on_purpose_and_mended(qapp: QApplication) -> None:
    async def story(desktop: Desktop) -> None:
        window = desktop.window
        await wait_for_value(desktop.is_filled, bool, timeout_s=10)
        first = window.findChild(FirstRunPage)
        assert first is not None
        first.shape.set_key(RING)
        QTest.mouseClick(first.simulate_button, Qt.MouseButton.LeftButton)
        await all_live(desktop, 3)
        await until_seen(desktop, Shape.RING)
        page = window.findChild(ClusterPage)
        assert page is not None
        page.refresh()
        assert sum(cable.look == "up" for cable in page.model.scene.cables) == 3
        window.actions_registry.run("simulation.cable-out")
        await until_seen(desktop, Shape.CHAIN)
        page.refresh()
        assert sum(cable.look == "up" for cable in page.model.scene.cables) == 2
        window.actions_registry.run("simulation.mend")
        await until_seen(desktop, Shape.RING)

    assert play(qapp, story, WindowOptions(is_forgetful=True), limit_s=300) == 0


def test_each_fault_that_the_palette_offers_is_one_of_the_simulators_and_has_a_title_of_its_own() -> None:
    assert set(OFFERED) <= set(FAULTS)
    titles = [title for _group, title in OFFERED.values()]
    assert len(titles) == len(set(titles)) == sum(len(rows) for rows in GROUPS.values())
    engines = {name for name in FAULTS if name.startswith(("engine-", "hub-", "pull-"))}
    assert engines <= set(OFFERED), "what can happen to a server can be tried"
