"""Breaking things on purpose in the simulated cluster, to see what SparkDesk makes of it.

The one rule: only the simulation is ever asked; with real nodes open none of these commands is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus

if TYPE_CHECKING:
    from sparkdesk.app.desktop import Desktop

GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "cables": (
        ("cable-out", "Pull a cable"),
        ("half-down", "Take half of a cable"),
        ("slow-line", "Slow a cable down to 100G"),
        ("mtu", "Give a port an MTU of 1500"),
        ("wrong-subnet", "Give a port an address of another subnet"),
        ("storage", "Plug a storage machine into a free port"),
        ("stranger", "Plug a stranger into a free port"),
    ),
    "node": (
        ("node-gone", "Cut a node off"),
        ("disk-full", "Fill the disk"),
        ("memory-pressure", "Fill the memory"),
        ("swap-on", "Swap memory to the disk"),
        ("slow-state", "Hold the GPU's clock down"),
        ("power-capped", "Hold the GPU by its power cap"),
        ("driver-other", "Change the driver"),
        ("docker-down", "Stop docker"),
        ("no-docker-group", "Take the user out of the group docker"),
    ),
    "downloads": (
        ("pull-cut", "Cut an image's download off near its end"),
        ("hub-cut", "Cut a model's download off near its end"),
        ("hub-slow", "Slow a model's download down"),
        ("hub-gated", "Have the hub ask for a token"),
    ),
    "next start of a server": (
        ("engine-gated", "The model is gated, and no token is given"),
        ("engine-unsupported", "The engine does not know the model"),
        ("engine-no-kv", "No memory is left for the KV cache"),
        ("engine-ptxas", "Its kernels do not compile for this GPU"),
        ("engine-hang", "It stands still while it loads"),
        ("engine-oom", "The system kills it while it loads"),
        ("engine-crash", "It crashes after it loaded, each time"),
        ("engine-crash-twice", "It crashes twice, then it comes up"),
    ),
    "running servers": (
        ("engine-slow", "They answer at half their speed"),
        ("engine-stall", "They stand still, but their API answers"),
        ("engine-dead", "They die, but their API goes on"),
        ("engine-leak", "They eat more and more memory"),
    ),
}
"""The simulator's name of a fault, and what a person would say, by what is broken; each is for one node."""
FAULTS = {fault: (group, title) for group, rows in GROUPS.items() for fault, title in rows}
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
        for fault, (group, title) in FAULTS.items():
            key = f"simulation.{fault}"
            if is_simulated:
                self._registry.add(key, f"Break things, {group}: {title}", self._breaker(fault), icon="unplug")
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
        _group, title = FAULTS[fault]
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
