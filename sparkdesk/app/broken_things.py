"""Breaking things on purpose in the simulated cluster, to see what SparkDesk makes of it.

The one rule: only the simulation is ever asked; with real nodes open none of these commands is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop

FAULTS = (
    ("cable-out", "Pull a cable"),
    ("half-down", "Take half of a cable"),
    ("slow-line", "Slow a cable down to 100G"),
    ("mtu", "Give a port an MTU of 1500"),
    ("wrong-subnet", "Give a port an address of another subnet"),
    ("storage", "Plug a storage machine into a free port"),
    ("stranger", "Plug a stranger into a free port"),
    ("node-gone", "Cut a node off"),
    ("disk-full", "Fill the disk"),
    ("driver-other", "Change the driver"),
)
"""The simulator's name of a fault, and what a person would say; each is for one node."""
MEND = "simulation.mend"


class BrokenThings:
    """Commands of the palette that break the first node of the simulated cluster, or the one that is chosen."""

    def __init__(self, desktop: Desktop, chosen: Callable[[], str]) -> None:
        self._desktop = desktop
        self._inventory = desktop.stack.inventory
        self._registry = desktop.window.actions_registry
        self._chosen = chosen
        self._broken: set[tuple[str, str]] = set()
        self._cluster_id = ""
        self._is_listed = False
        self._watch = self._inventory.cluster.subscribe(self._list)
        self._list(self._inventory.cluster.value)

    def _list(self, cluster: ClusterRecord | None) -> None:
        cluster_id = cluster.id if cluster is not None else ""
        if cluster_id != self._cluster_id:  # its record is set anew with every change of a node
            self._cluster_id = cluster_id
            self._broken.clear()
        is_simulated = cluster is not None and cluster.is_simulated
        if is_simulated == self._is_listed:
            return
        self._is_listed = is_simulated
        for fault, title in FAULTS:
            key = f"simulation.{fault}"
            if is_simulated:
                self._registry.add(key, f"Break things: {title}", self._breaker(fault), icon="unplug")
            else:
                self._registry.remove(key)
        if is_simulated:
            self._registry.add(MEND, "Break things: Mend everything", self._start_mending, icon="undo-2")
        else:
            self._registry.remove(MEND)

    def _breaker(self, fault: str) -> Callable[[], None]:
        return lambda: self._desktop.bridge.start(self.break_it, fault)

    def _start_mending(self) -> None:
        self._desktop.bridge.start(self.mend)

    async def break_it(self, fault: str) -> None:
        """Switch a fault on. Raises SimulationFailed."""
        node = self._node()
        simulation = self._desktop.stack.simulation
        if node is None or simulation is None:
            return
        name = node.record.name
        await simulation.control(fault, name, is_on=True)
        self._broken.add((fault, name))
        title = next(title for key, title in FAULTS if key == fault)
        self._desktop.tell("warn", f"{title}: done on {name}", "Ctrl+K, Mend everything takes it back.")

    async def mend(self) -> None:
        """Take back all that was broken here. Raises SimulationFailed."""
        simulation = self._desktop.stack.simulation
        if simulation is None:
            return
        for fault, name in tuple(self._broken):
            await simulation.control(fault, name, is_on=False)
            self._broken.discard((fault, name))
        self._desktop.tell("ok", "Everything is mended", "What was broken on purpose is as it was before.")

    def _node(self) -> NodeStatus | None:
        nodes = self._inventory.nodes.value
        chosen = self._chosen()
        return next((node for node in nodes if node.record.id == chosen), nodes[0] if nodes else None)

    def close(self) -> None:
        """Stop listening."""
        self._watch.close()
