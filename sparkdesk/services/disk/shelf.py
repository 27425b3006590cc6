"""Models on disk: what lies on each node's disk, looked at when a node becomes live and after each change.

The one rule: everything that changes a disk is a playbook, which a person reads first; the matrix follows the runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.disk.view import (
    DiskCell,
    DiskKey,
    DiskNode,
    DiskRow,
    DiskView,
    Holding,
    Kind,
    Listing,
    Transfer,
    read_listing,
)
from sparkdesk.core.errors import CommandFailed, NodeError
from sparkdesk.core.feed import Latest
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.playbooks.fetch import upkeep
from sparkdesk.core.playbooks.fetch.weights import weights_step
from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import Playbook, Stage
from sparkdesk.services.clock import Clock
from sparkdesk.services.playbooks.runs import PlaybookRuns
from sparkdesk.services.remote_program import run_program
from sparkdesk.services.tasks import Tasks

LOOK_TIMEOUT_S = 120.0
SIZE_TIMEOUT_S = 60.0
TASKS = ("fetch", "copy", "verify", "remove", "clean")


@dataclass(frozen=True, slots=True)
class _Errand:
    """What a run of ours is about."""

    node_id: str
    key: DiskKey | None
    task: str
    file: str = ""
    """The one file of a model that was asked for; "" for all."""


class DiskShelf:
    """The matrix of models and images by nodes, with what can be done to it."""

    def __init__(  # noqa: PLR0913 - called once, where the program is put together
        self,
        *,
        tasks: Tasks,
        nodes: Latest[tuple[NodeStatus, ...]],
        shells: Callable[[str], Shell],
        runs: PlaybookRuns,
        clock: Clock,
        programs: Mapping[str, bytes],
        on_change: Callable[[str], None] = lambda _node_id: None,
    ) -> None:
        """`programs`: remote/'s by name (core/playbooks/fetch/transfer.PROGRAMS). `on_change` hears which node's disk
        is another now."""
        self._tasks = tasks
        self._nodes = nodes
        self._shells = shells
        self._runs = runs
        self._clock = clock
        self._programs = programs
        self._on_change = on_change
        self._listings: dict[str, tuple[int, Listing]] = {}
        self._problems: dict[str, NodeError] = {}
        self._errands: dict[str, _Errand] = {}
        self._ended: set[str] = set()
        self._is_watched = False
        self._live: frozenset[str] = frozenset()
        self.rows: Latest[DiskView] = Latest(DiskView())
        self._subscriptions = (nodes.subscribe(self._follow_nodes), runs.runs.subscribe(self._follow_runs))

    # Looking --------------------------------------------------------------------------------------------------

    def watch(self, is_watched: bool) -> None:
        """The page is shown, or no more: nodes are looked at while it is."""
        was_watched, self._is_watched = self._is_watched, is_watched
        if is_watched and not was_watched:
            self.look_at_all()

    def look_at_all(self) -> None:
        """Look at every live node again, each by itself."""
        for status in self._nodes.value:
            if status.is_connected:
                self._look_soon(status.record.id)

    async def look(self, node_id: str) -> None:
        """Look at one node's disk; what goes wrong stands in its column."""
        try:
            shell = self._shells(node_id)
            found = await run_program(shell, self._programs["hub_cache"], ("list",), timeout_s=LOOK_TIMEOUT_S)
        except NodeError as error:
            self._problems[node_id] = error  # what was told before stays, with its age
        else:
            self._problems.pop(node_id, None)
            self._listings[node_id] = (self._clock.now_ms(), read_listing(found))
        self._publish()

    # Doing ----------------------------------------------------------------------------------------------------

    def plan(self, task: str, key: DiskKey, node_id: str, *, source: str = "", file: str = "") -> Playbook:
        """The playbook of a task (TASKS without "clean") for a person to read. `file`: only this one of a model.
        Raises PlanError."""
        if task == "fetch" and file:
            step = weights_step(node_id, key.name, self._programs, files=(file,))
            return Playbook(step.title, (Stage(step.title, (step,)),))
        if task == "fetch":
            return upkeep.fetch_playbook(key, node_id, self._programs)
        if task == "copy":
            return upkeep.copy_playbook(key, node_id, self._programs, source=source)
        if task == "verify":
            return upkeep.verify_playbook(key, node_id, self._programs)
        size = self._row(key).cell(node_id).size_bytes
        return upkeep.remove_playbook(key, node_id, self._programs, size_bytes=size)

    def plan_clean(self, cache: str, node_id: str) -> Playbook:
        """The playbook that empties a compile cache. Raises PlanError."""
        node = next((one for one in self.rows.value.nodes if one.node_id == node_id), None)
        size = dict(node.caches).get(cache) if node is not None else None
        return upkeep.clean_playbook(cache, node_id, self._programs, size_bytes=size)

    def start(self, task: str, key: DiskKey | None, node_id: str, playbook: Playbook, *, file: str = "") -> str:
        """Start what `plan` gave, which the person has read; gives the run's id."""
        run_id = self._runs.start(playbook)
        self._errands[run_id] = _Errand(node_id, key, task, file)
        self._publish()
        return run_id

    def wanted_file(self, key: DiskKey, node_id: str) -> str:
        """The one file that the last fetch of a model to a node was about, where that did not end well; "" for all."""
        for run_id, errand in reversed(self._errands.items()):
            if (errand.key, errand.node_id, errand.task) == (key, node_id, "fetch"):
                run = self._runs.runs.value.get(run_id)
                return errand.file if run is not None and run.result != "done" else ""
        return ""

    async def ask_size(self, name: str, node_id: str, *, file: str = "") -> int:
        """What a model of the hub, or one file of it, takes, asked from a node. Raises NodeError."""
        words = ("size", name, "main", *((file,) if file else ()))
        found = await run_program(self._shells(node_id), self._programs["hub"], words, timeout_s=SIZE_TIMEOUT_S)
        size = found.get("bytes")
        if found.get("ok") is not True or not isinstance(size, int) or isinstance(size, bool) or size < 0:
            said = make_line(str(found.get("message") or "The hub does not tell the size"), max_chars=300)
            remedy = make_line(str(found.get("remedy") or "Check the name."), max_chars=300)
            raise CommandFailed(said, remedy=remedy, node=node_id)
        return size

    def cancel(self, run_id: str) -> None:
        """End a transfer that is under way; what came stays, and the next one goes on from there."""
        self._runs.cancel(run_id)

    def resume(self, run_id: str) -> None:
        """Carry a transfer on that was cancelled or failed."""
        self._ended.discard(run_id)
        self._runs.resume(run_id)

    def close(self) -> None:
        """Follow nothing any more."""
        for subscription in self._subscriptions:
            subscription.close()

    # Following ------------------------------------------------------------------------------------------------

    def _follow_nodes(self, nodes: tuple[NodeStatus, ...]) -> None:
        live = frozenset(status.record.id for status in nodes if status.is_connected)
        known = {status.record.id for status in nodes}
        for kept in (self._listings, self._problems):
            for node_id in [node_id for node_id in kept if node_id not in known]:
                del kept[node_id]
        new, self._live = live - self._live, live
        if self._is_watched:
            for node_id in new:
                self._look_soon(node_id)
        self._publish()

    def _follow_runs(self, runs: Mapping[str, RunView]) -> None:
        for run_id, errand in self._errands.items():
            run = runs.get(run_id)
            if run is not None and run.is_over and run_id not in self._ended:
                self._ended.add(run_id)
                self._look_soon(errand.node_id)
                self._on_change(errand.node_id)
        if self._errands:
            self._publish()

    def _look_soon(self, node_id: str) -> None:
        self._tasks.start_exclusive(f"disk {node_id}", self.look, node_id)

    def _row(self, key: DiskKey) -> DiskRow:
        return next((row for row in self.rows.value.rows if row.key == key), DiskRow(key))

    def _publish(self) -> None:
        transfers = tuple(self._transfers())
        nodes = tuple(self._column(status) for status in self._nodes.value)
        view = DiskView(nodes, self._matrix(transfers), transfers)
        if view != self.rows.value:
            self.rows.set(view)

    def _column(self, status: NodeStatus) -> DiskNode:
        record = status.record
        node = DiskNode(record.id, record.name, status.is_connected, user=record.user)
        problem = self._problems.get(record.id)
        if problem is not None:
            node = replace(node, problem=problem.message, remedy=problem.remedy)
        if record.id not in self._listings:
            return node
        looked_ms, listing = self._listings[record.id]
        return replace(
            node,
            free_bytes=listing.free_bytes,
            total_bytes=listing.total_bytes,
            caches=listing.caches,
            looked_ms=looked_ms,
            docker_problem=listing.docker_problem,
        )

    def _matrix(self, transfers: tuple[Transfer, ...]) -> tuple[DiskRow, ...]:
        coming = {
            (one.key, one.node_id)
            for one in transfers
            if one.key is not None and not one.result and one.task in ("fetch", "copy")
        }
        keys = {key for _, listing in self._listings.values() for key in listing.cells}
        keys |= {key for key, _ in coming}
        order = list(Kind)
        return tuple(
            DiskRow(key, MappingProxyType(dict(self._cells(key, coming))))
            for key in sorted(keys, key=lambda key: (order.index(key.kind), key.name.casefold()))
        )

    def _cells(self, key: DiskKey, coming: set[tuple[DiskKey, str]]) -> list[tuple[str, DiskCell]]:
        cells = []
        for status in self._nodes.value:
            node_id = status.record.id
            listing = self._listings[node_id][1] if node_id in self._listings else None
            cell = DiskCell(Holding.UNKNOWN)
            if listing is not None and key.kind in listing.kinds:
                cell = listing.cells.get(key, DiskCell(Holding.NONE))
            if (key, node_id) in coming:
                cell = replace(cell, holding=Holding.DOWNLOADING)
            cells.append((node_id, cell))
        return cells

    def _transfers(self) -> list[Transfer]:
        found = []
        for run_id, errand in list(self._errands.items()):
            run = self._runs.runs.value.get(run_id)
            if run is None:
                del self._errands[run_id]
                continue
            step = next((run.step(step.id) for step in run.playbook.steps()), None)
            text, fraction = (step.text, step.fraction) if step is not None else ("", None)
            found.append(
                Transfer(
                    run_id, errand.node_id, errand.key, errand.task, text, fraction, run.result, run.message, run.remedy
                )
            )
        return found
