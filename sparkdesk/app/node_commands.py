"""The commands about nodes that the keyboard and the palette reach from every page.

The one rule: a command acts on the node that a person sees as chosen; where none is, it says so and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from sparkdesk.app.broken_things import BrokenThings
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.errors import SettingsError
from ui.cluster.view import ClusterPage
from ui.launch.view import LaunchPage

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop
    from sparkdesk.app.node_pages import NodePages

Refresh = Callable[[str], Coroutine[object, object, object]]


class NodeCommands:
    """Adds them to the window's actions, and one per node that leads to its page."""

    def __init__(self, desktop: Desktop, pages: NodePages) -> None:
        self._desktop = desktop
        self._pages = pages
        self._window = desktop.window
        self._inventory = desktop.stack.inventory
        self._listed: dict[str, str] = {}
        registry = self._window.actions_registry
        start = desktop.bridge.start
        registry.add(
            "node.terminal",
            "Node: Open a terminal on the chosen one",
            lambda: start(self._open_terminal),
            shortcut="Ctrl+T",
            icon="terminal",
        )
        registry.add("refresh", "Refresh what is shown", self._refresh, shortcut="F5", icon="refresh-cw")
        self._broken_things = BrokenThings(desktop, self._chosen)
        self._watch = self._inventory.nodes.subscribe(self._list_nodes)
        self._list_nodes(self._inventory.nodes.value)

    def _list_nodes(self, nodes: tuple[NodeStatus, ...]) -> None:
        wanted = {status.record.id: status.record.name for status in nodes}
        registry = self._window.actions_registry
        for node_id, name in tuple(self._listed.items()):
            if wanted.get(node_id) != name:
                registry.remove(f"node.{node_id}")
                del self._listed[node_id]
        for node_id, name in wanted.items():
            if node_id not in self._listed:
                self._listed[node_id] = name
                registry.add(f"node.{node_id}", f"Node: {name}", self._opener(node_id), icon="server")

    def _opener(self, node_id: str) -> Callable[[], None]:
        return lambda: self._pages.show_node(node_id)

    def _chosen(self) -> str:
        """The node whose page is shown, or that is selected on the map, or the only one; "" when there is none."""
        page = self._window.page(self._window.page_key())
        if self._pages.node_page is not None and page is self._pages.node_page:
            return self._pages.node_page.model.node_id
        if isinstance(page, ClusterPage) and page.model.selection[0] == "node":
            return page.model.selection[1]
        nodes = self._inventory.nodes.value
        return nodes[0].record.id if len(nodes) == 1 else ""

    async def _open_terminal(self) -> None:
        node_id = self._chosen()
        if not node_id:
            raise SettingsError("No node is chosen", remedy="Select one on the Cluster page, then press Ctrl+T again.")
        await self._pages.open_terminal(node_id)

    def _refresh(self) -> None:
        """Read anew what the page shows: of the one node, or of all that are live."""
        node_page = self._pages.node_page
        if node_page is not None and self._window.page_key() == "node":
            node_page.read_anew()
            return
        page = self._window.page(self._window.page_key())
        if isinstance(page, LaunchPage):
            page.node_look.look()
            return
        fleet, start = self._desktop.stack.fleet, self._desktop.bridge.start
        readers: dict[str, tuple[Refresh, ...]] = {
            "cluster": (fleet.details.refresh, fleet.servers.look),
            "versions": (fleet.details.refresh,),
        }
        live = [status.record.id for status in self._inventory.nodes.value if status.is_live]
        if self._window.page_key() == "cluster":
            fleet.topology.request()
        for read in readers.get(self._window.page_key(), ()):
            for node_id in live:
                start(read, node_id)

    def close(self) -> None:
        """Stop listening."""
        self._broken_things.close()
        self._watch.close()
