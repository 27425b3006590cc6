"""Who works on the nodes already: our jobs and found servers, as the planner's neighbours.

The one rule: how busy one is, is what its engine said just now. One whose engine says that no request runs is idle; of
one that says nothing, nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger
from sparkdesk.core.jobs.rate import GENERATED_RATE, PROMPT_RATE
from sparkdesk.core.jobs.reading import MODEL_BYTES, REQUESTS_RUNNING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.planning.place import Neighbour
from sparkdesk.core.planning.speed.bandwidth import Bandwidth

NAN = math.nan
NO_READINGS: Mapping[str, float] = MappingProxyType({})
PROMPT_TFLOPS = 50.0
"""10^12 operations a second that reading a prompt reaches on a node. Computed: 40 % of the 125 dense ones of 16 bit."""


def _no_share(_job_id: str) -> float:
    return NAN


@dataclass(frozen=True, slots=True)
class Busyness:
    """Whom to ask of each deployment. All are quick and ask no node."""

    plan_of: Callable[[str], LaunchPlan | None]
    bandwidth_of: Callable[[str], Bandwidth | None]
    server_reading: Callable[[str, str], float]
    """Of a found server (id, key): NaN is not known."""
    active_parameters_of: Callable[[str], float] = field(default=_no_share)
    """Of a job's model; NaN is not known."""


def job_neighbours(
    jobs: tuple[JobStatus, ...], busyness: Busyness, link_gb_per_s: Mapping[str, float]
) -> Iterator[Neighbour]:
    """Our jobs that run, are starting, or of which nobody knows. `link_gb_per_s`: node -> what goes over its cables."""
    spread = [job for job in jobs if _holds_nodes(job) and len(set(job.node_ids)) > 1]
    for job in jobs:
        if _holds_nodes(job):
            yield _job_neighbour(job, busyness, _link_of(job, spread, link_gb_per_s))


def server_neighbours(servers: tuple[FoundServer, ...], busyness: Busyness) -> Iterator[Neighbour]:
    """Servers that others started. What they read from memory is known only of those that are idle."""
    for server in servers:
        is_idle = (
            busyness.server_reading(server.id, REQUESTS_RUNNING) == 0.0
            or busyness.server_reading(server.id, MODEL_BYTES) == 0.0
        )
        yield Neighbour(
            job_id=server.id,
            title=server.title or server.engine or f"a server on port {server.port}",
            node_ids=(server.node_id,),
            gb_per_s=0.0 if is_idle else NAN,
            tokens_per_s=0.0 if is_idle else busyness.server_reading(server.id, GENERATED_RATE),
        )


def held_bytes(plan: LaunchPlan | None, node_id: str) -> int | None:
    """What a job takes of a node by its plan; None where a part is not known."""
    ledger = next((one for one in plan.ledgers if one.node_id == node_id), None) if plan is not None else None
    return _taken(ledger) if ledger is not None else None


def _taken(ledger: MemoryLedger) -> int | None:
    model = (ledger.weights_bytes, ledger.kv_bytes) if ledger.undivided_bytes is None else (ledger.undivided_bytes,)
    parts = [part for part in (*model, ledger.runtime_bytes) if part is not None]
    return sum(parts) if len(parts) == len(model) + 1 else None


def _holds_nodes(job: JobStatus) -> bool:
    return not job.state.is_over and job.state is not JobState.PLANNED


def _job_neighbour(job: JobStatus, busyness: Busyness, link_gb_per_s: float) -> Neighbour:
    plan = busyness.plan_of(job.job_id)
    held = [held_bytes(plan, node_id) for node_id in dict.fromkeys(job.node_ids)]
    known = [one for one in held if one is not None]
    is_idle = job.state is JobState.READY and job.reading(REQUESTS_RUNNING) == 0.0
    return Neighbour(
        job_id=job.job_id,
        title=job.title,
        node_ids=tuple(dict.fromkeys(job.node_ids)),
        gb_per_s=0.0 if is_idle else _gb_per_s(job, busyness),
        tokens_per_s=0.0 if is_idle else job.reading(GENERATED_RATE),
        bytes_held=max(known) if known and len(known) == len(held) else None,
        compute_share=0.0 if is_idle else _compute_share(job, busyness),
        link_gb_per_s=0.0 if is_idle else link_gb_per_s,
    )


def _gb_per_s(job: JobStatus, busyness: Busyness) -> float:
    """What it reads on each of its nodes; NaN: not known."""
    found = busyness.bandwidth_of(job.job_id) if job.state is JobState.READY else None
    return found.gb_per_s / max(1, len(set(job.node_ids))) if found is not None else NAN


def _compute_share(job: JobStatus, busyness: Busyness) -> float:
    """From the prompts that it reads; 0 where its engine does not count them (the decoding is counted as memory)."""
    operations = 2.0 * busyness.active_parameters_of(job.job_id) * job.reading(PROMPT_RATE)
    share = operations / (PROMPT_TFLOPS * 1e12 * max(1, len(set(job.node_ids))))
    return min(1.0, share) if math.isfinite(share) and share > 0.0 else 0.0


def _link_of(job: JobStatus, spread: list[JobStatus], link_gb_per_s: Mapping[str, float]) -> float:
    """What it sends over a node's cables: of several on one node each the same part, as nobody can tell them apart."""
    nodes = set(job.node_ids)
    if len(nodes) < 2:
        return 0.0
    shares = [link_gb_per_s.get(node_id, NAN) / sum(node_id in other.node_ids for other in spread) for node_id in nodes]
    return NAN if any(math.isnan(share) for share in shares) else max(shares)
