"""What plans lean on about each live node: gathered read-only when a node becomes live and again before a launch.

The one rule: what a node says is typed and bounded here; a cell that is missing or wrong is "not known", never a guess.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeGuard

from sparkdesk.core.cluster.node import NodeFacts, NodeRecord, NodeStatus
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.backend import LOOKED_FOR, NodeContext, Resident
from sparkdesk.core.jobs.request import MODEL_PATTERN
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import Shell
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.remote_program import run_program

if TYPE_CHECKING:
    from sparkdesk.services.telemetry import Telemetry

log = logging.getLogger(__name__)

DOCKER_PROBLEMS = ("", "absent", "down", "group", "runtime")
SURVEY_TIMEOUT_S = 30.0
MAX_ITEMS = 2000
MAX_BYTES = 1 << 50


class NodeContexts:
    """Gathers and keeps the context of each live node, in the cluster's order."""

    def __init__(
        self,
        inventory: Inventory,
        telemetry: Telemetry,
        program: bytes,
        own_ports: Callable[[str], Mapping[int, str]] = lambda _node_id: {},
        hub_answers: Callable[[str], Mapping[str, str]] = lambda _node_id: {},
        residents: Callable[[str, int | None], tuple[Resident, ...]] = lambda _node_id, _available: (),
    ) -> None:
        """`own_ports`: by node, what our jobs hold already, also where nothing listens there yet. `hub_answers`: by
        node, what the hub said about models (services/disk/hub_access.py). `residents`: by node and
        its available memory, our servers that run or start there."""
        self._own_ports = own_ports
        self._hub_answers = hub_answers
        self._residents = residents
        self._inventory = inventory
        self._telemetry = telemetry
        self._program = program
        self._surveys: dict[str, Mapping[str, object]] = {}
        self._freed: dict[str, frozenset[int]] = {}
        """By node, ports that jobs of ours held and gave back after its survey was begun."""
        self._known: tuple[tuple[NodeRecord, NodeFacts], ...] = ()
        """Of the nodes that were connected when `latest` was made anew."""
        self.latest: Latest[tuple[NodeContext, ...]] = Latest(())
        self._subscription = inventory.nodes.subscribe(self._follow_nodes)

    async def refresh(self, node_id: str, shell: Shell) -> None:
        """Look at the node again. Raises a NodeError when it cannot be looked at; the old look then is dropped."""
        freed = self._freed.get(node_id, frozenset())
        try:
            self._surveys[node_id] = await run_program(shell, self._program, LOOKED_FOR, timeout_s=SURVEY_TIMEOUT_S)
            self._freed[node_id] = self._freed.get(node_id, frozenset()) - freed
        except SparkDeskError:
            self._surveys.pop(node_id, None)
            raise
        finally:
            self.publish()

    def free_ports(self, ports: Iterable[tuple[str, int]]) -> None:
        """These, by node, were given back: the look at a node that saw them in use is older than that."""
        for node_id, port in ports:
            self._freed[node_id] = self._freed.get(node_id, frozenset()) | {port}

    def current(self) -> tuple[NodeContext, ...]:
        """The contexts with the memory of this moment: quick, asks nobody."""
        live = (status for status in self._inventory.nodes.value if status.is_connected)
        return tuple(self._context(status) for status in live)

    def close(self) -> None:
        """Stop following the nodes."""
        self._subscription.close()

    def _follow_nodes(self, nodes: tuple[NodeStatus, ...]) -> None:
        live = {status.record.id for status in nodes if status.is_connected}
        for node_id in [node_id for node_id in self._surveys if node_id not in live]:
            del self._surveys[node_id]
        known = tuple((status.record, status.facts) for status in nodes if status.is_connected)
        if known != self._known:  # else only a line's words have changed, as they do often
            self._known = known
            self.publish()

    def publish(self) -> None:
        """Have `latest` say what `current` says."""
        contexts = self.current()
        if contexts != self.latest.value:
            self.latest.set(contexts)

    def _context(self, status: NodeStatus) -> NodeContext:
        node_id = status.record.id
        context = read_survey(NodeContext(status.record, status.facts), self._surveys.get(node_id, {}))
        context = self._with_memory(context)
        freed = self._freed.get(node_id, frozenset())
        used = {port: holder for port, holder in context.used_ports.items() if port not in freed}
        ports = {**self._own_ports(node_id), **used}
        answers, residents = dict(self._hub_answers(node_id)), self._residents(node_id, context.mem_available_bytes)
        loading = tuple(one.title for one in residents if one.is_loading)
        return replace(context, used_ports=ports, hub_answers=answers, loading=loading, residents=residents)

    def _with_memory(self, context: NodeContext) -> NodeContext:
        """As its newest sample says, which is younger than its survey."""
        sample = self._telemetry.latest(context.record.id).value
        total = sample.value("mem_total_bytes") if sample is not None else math.nan
        available = sample.value("mem_available_bytes") if sample is not None else math.nan
        if math.isfinite(total) and math.isfinite(available):
            return replace(context, mem_total_bytes=round(total), mem_available_bytes=round(available))
        return context


def read_survey(context: NodeContext, found: Mapping[str, object]) -> NodeContext:
    """The context with what remote/survey.py said of the node. Total: any JSON object is fine."""
    facts = context.facts
    images = found.get("images")
    return replace(
        context,
        mem_total_bytes=_count(found.get("mem_total_bytes")) or facts.mem_total_bytes,
        mem_available_bytes=_count(found.get("mem_available_bytes")),
        disk_free_bytes=_count(found.get("disk_free_bytes")),
        cpu_count=_count(found.get("cpu_count")) or facts.cpu_count,
        images=tuple(_texts(images)) if isinstance(images, list) else None,
        weight_files={
            path: size for path, value in _pairs(found.get("weights")) if (size := _count(value)) is not None
        },
        hub_repos=_repos(found.get("repos")),
        partial_repos=_repos(found.get("partials")),
        docker_problem=docker
        if (docker := found.get("docker")) in DOCKER_PROBLEMS and isinstance(docker, str)
        else None,
        image_architectures={name: kind for name, kind in _pairs(found.get("architectures")) if _is_word(kind)},
        shm_bytes=_count(found.get("shm_bytes")),
        mem_free_bytes=_count(found.get("mem_free_bytes")),
        reaches_hub=hub if isinstance(hub := found.get("hub"), bool) else None,
        used_ports={
            int(port): make_line(value, max_chars=100)
            for port, value in _pairs(found.get("ports"))
            if port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536 and isinstance(value, str)
        },
        open_ports=frozenset(number for one in opened if (number := _count(one)) is not None)
        if isinstance(opened := found.get("open_ports"), list)
        else None,
        programs={name: value for name, value in _pairs(found.get("programs")) if _is_word(value)},
        home=home if _is_word(home := found.get("home")) else facts.home,
    )


def _repos(value: object) -> dict[str, int]:
    return {
        repo: size for repo, cell in _pairs(value) if MODEL_PATTERN.match(repo) and (size := _count(cell)) is not None
    }


def _is_word(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable()


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_BYTES
    return value if is_count and isinstance(value, int) else None


def _texts(values: list[object]) -> list[str]:
    return [value for value in values[:MAX_ITEMS] if isinstance(value, str) and _is_word(value)]


def _pairs(value: object) -> list[tuple[str, object]]:
    if not isinstance(value, dict):
        return []
    return [(key, item) for key, item in list(value.items())[:MAX_ITEMS] if isinstance(key, str) and _is_word(key)]
