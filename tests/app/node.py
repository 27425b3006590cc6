"""From the map to one node's page, as a person goes.

The one rule: by clicks on what is shown.
"""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from sparkdesk.app.desktop import Desktop
from tests.app.adding import click, cluster_page
from tests.app.desk import until
from ui.node.view import NodePage


async def choose_on_map(desktop: Desktop, node_id: str) -> None:
    """Click the node's card on the map."""
    page = await cluster_page(desktop)
    await until(lambda: node_id in page.map.map_layout().nodes, "the node on the map")
    middle = page.map.map_layout().nodes[node_id].center().toPoint()
    QTest.mouseClick(page.map, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, middle)
    assert page.model.selection == ("node", node_id)


async def node_page(desktop: Desktop) -> NodePage:
    """The page of one node, once it is shown."""
    await until(lambda: desktop.window.page_key() == "node", "the node's page")
    page = desktop.window.page("node")
    assert isinstance(page, NodePage)
    return page


async def open_node(desktop: Desktop, node_id: str) -> NodePage:
    """Go from the map to a node's page."""
    await choose_on_map(desktop, node_id)
    button = (await cluster_page(desktop)).inspector.buttons.open
    await until(button.isVisible, "the button that opens the node")
    click(button)
    return await node_page(desktop)
