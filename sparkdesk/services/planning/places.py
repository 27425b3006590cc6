"""Chosen nodes as the planner sees them at this moment: memory, files, cables, and who works there already.

The one rule: it asks nobody; what was heard last is told as it was heard, and what nobody said is None or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import NodeFacts
from sparkdesk.core.cluster.port import CAGES
from sparkdesk.core.cluster.rank import ranked
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.held_weights import held_repos
from sparkdesk.core.planning.link import NO_MEASUREMENTS, link_between, links_within
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from sparkdesk.core.probes.doctor_gpu import HEALTHY_MHZ
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.planning.neighbourhood import Busyness, job_neighbours, server_neighbours

DEVICES = MappingProxyType({"NVIDIA GB10": "gb10", "NVIDIA H100": "h100", "NVIDIA B200": "b200"})
"""How a GPU names itself, or begins to -> key of resources/planning/devices.toml."""
UNIFIED = "gb10"
"""The device whose memory is the system's."""
SUSTAINED_MHZ = 2400.0
"""A GB10's clock under load where nothing holds it down: 2.4 to 2.5 GHz."""
BUSY_SHARE = 0.5
"""Below this a low clock only says that there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a place is built from, of one moment."""

    contexts: tuple[NodeContext, ...]
    topology: Topology
    jobs: tuple[JobStatus, ...]
    servers: tuple[FoundServer, ...]
    samples: Mapping[str, Sample]
    """By node id, of those that told one."""
    measured_gb_per_s: Mapping[str, float] = field(default_factory=lambda: NO_MEASUREMENTS)
    """Cable key -> what a collective was measured at."""


def build_place(
    node_ids: Iterable[str], sight: Sight, busyness: Busyness, catalogue: Iterable[ModelSpec] = ()
) -> Place:
    """The chosen nodes in rank order, what joins them, and who works there. Pure. Total: a node that nobody knows is
    one of which nothing was read."""
    chosen = ranked(node_ids, sight.topology.rank_order)
    traffic = {node_id: _sent_gb_per_s(sample) for node_id, sample in sight.samples.items()}
    everybody = (*job_neighbours(sight.jobs, busyness, traffic), *server_neighbours(sight.servers, busyness))
    neighbours = tuple(one for one in everybody if set(chosen).intersection(one.node_ids))
    contexts = {context.record.id: context for context in sight.contexts}
    starting = frozenset(job.job_id for job in sight.jobs if job.state in (JobState.STARTING, JobState.LOADING))
    specs = tuple(catalogue)
    return Place(
        nodes=tuple(
            _room(contexts[node_id], sight.samples.get(node_id), neighbours, starting, specs)
            if node_id in contexts
            else NodeRoom(node_id, node_id)
            for node_id in chosen
        ),
        link=link_between(sight.topology, chosen, sight.measured_gb_per_s),
        neighbours=neighbours,
        links=links_within(sight.topology, chosen, sight.measured_gb_per_s),
    )


def device_of(facts: NodeFacts) -> str:
    """The key of the node's device; a GB10 where it did not say, "" for a GPU that the planner does not know."""
    if not facts.gpu_name:
        return UNIFIED
    return next((key for name, key in DEVICES.items() if facts.gpu_name.startswith(name)), "")


def clock_share(sample: Sample | None) -> float:
    """The clock under load over the usual one, where something holds it down for good; else 1.

    Only the slow state counts, which no restart ends; between it and the full clock power decides from load to load.
    """
    if sample is None or not sample.value("gpu_util") >= BUSY_SHARE:
        return 1.0
    clock_mhz = sample.value("gpu_sm_clock_mhz")
    return clock_mhz / SUSTAINED_MHZ if 0.0 < clock_mhz < HEALTHY_MHZ else 1.0


def _room(
    context: NodeContext,
    sample: Sample | None,
    neighbours: tuple[Neighbour, ...],
    starting: frozenset[str],
    specs: tuple[ModelSpec, ...],
) -> NodeRoom:
    node_id = context.record.id
    here = [one for one in neighbours if node_id in one.node_ids]
    device = device_of(context.facts)
    # What a node reads is its system's memory; a GPU with memory of its own has its device's.
    is_read = device not in DEVICES.values() or device == UNIFIED
    return NodeRoom(
        node_id=node_id,
        name=context.record.name,
        total_bytes=context.mem_total_bytes if is_read else None,
        available_bytes=_available_bytes(context, here, starting) if is_read else None,
        device=device,
        held_repos=held_repos(context, specs),
        sm_clock_share=clock_share(sample),
    )


def _available_bytes(context: NodeContext, here: list[Neighbour], starting: frozenset[str]) -> int | None:
    """As it was read; while a job loads, at most what is left when all have what their plans take."""
    available, total = context.mem_available_bytes, context.mem_total_bytes
    if available is None or total is None or not any(one.job_id in starting for one in here):
        return available
    planned = sum(one.bytes_held for one in here if one.bytes_held is not None)
    return max(0, min(available, total - planned))


def _sent_gb_per_s(sample: Sample) -> float:
    """What the node sends over its QSFP cages, 10^9 bytes a second; NaN: no cage told."""
    told = [value for cage in CAGES if math.isfinite(value := sample.value(f"cage_tx_gbps.{cage}"))]
    return math.fsum(told) / 8.0 if told else math.nan


class Places:
    """Builds places from what services hold. All parts are read when asked; nothing is kept."""

    def __init__(  # noqa: PLR0913 - called once, where the program is put together; every one is a part of it
        self,
        *,
        contexts: Callable[[], tuple[NodeContext, ...]],
        topology: Latest[Topology],
        jobs: Latest[tuple[JobStatus, ...]],
        servers: Latest[tuple[FoundServer, ...]],
        samples: Callable[[str], Sample | None],
        busyness: Busyness,
        catalogue: tuple[ModelSpec, ...],
        measured_gb_per_s: Callable[[], Mapping[str, float]] = lambda: NO_MEASUREMENTS,
    ) -> None:
        self._contexts = contexts
        self._topology = topology
        self._jobs = jobs
        self._servers = servers
        self._samples = samples
        self._busyness = busyness
        self._catalogue = catalogue
        self._measured = measured_gb_per_s

    def place(self, node_ids: Iterable[str]) -> Place:
        """These nodes, as they are now."""
        return build_place(tuple(node_ids), self._sight(), self._busyness, self._catalogue)

    def everything(self) -> Place:
        """All live nodes, as they are now."""
        return self.place(context.record.id for context in self._contexts())

    def _sight(self) -> Sight:
        contexts = self._contexts()
        found = {context.record.id: self._samples(context.record.id) for context in contexts}
        return Sight(
            contexts=contexts,
            topology=self._topology.value,
            jobs=self._jobs.value,
            servers=self._servers.value,
            samples={node_id: sample for node_id, sample in found.items() if sample is not None},
            measured_gb_per_s=self._measured(),
        )
