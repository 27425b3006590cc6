"""A launch request as the planner sees it: its setup, its load, its nodes; so form and plan table say the same.

The one rule: a launch takes what its request says; where the request is silent, what the adapter's profile says.
"""

from __future__ import annotations

import math
from dataclasses import replace

from sparkdesk.core.jobs.backend import NodeContext, PlanContext, Resident
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.catalogue import weights_of
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Neighbour, NodeRoom, Place
from sparkdesk.core.planning.setup import Build, EngineProfile, Setup
from sparkdesk.core.planning.workload import Workload

NAN = math.nan
STOCK = "stock"
NO_SPECULATION = "none"
SMALL_PURPOSES = ("embed", "rerank")
SMALL_FRACTION = 0.2
"""The share of a server for vectors or scores where nobody chose one: a model of 8B in 16 bit and its runtime, so that
it fits beside a chat model. Ours, an allowance."""


SMALLEST_FRACTION = 0.1
"""The same for one whose weights are known to be at most SMALLEST_BYTES: a model of 0.6B in 16 bit, its cache of 32,768
tokens and the runtime take 8.6 GiB. Ours, an allowance."""
SMALLEST_BYTES = 2_000_000_000


def setup_of(request: LaunchRequest, spec: ModelSpec | None, profile: EngineProfile) -> Setup:
    """The setup that a request asks for. An engine that takes a share takes the request's, else its profile's."""
    key = request.build or STOCK
    return Setup(
        spec=spec if spec is not None else ModelSpec(request.model, request.served_name),
        weights=launched_weights(request, spec),
        engine=profile,
        build=next((build for build in profile.builds if build.key == key), Build(key, key)),
        parallelism=Parallelism(
            request.tensor_parallel_size, request.pipeline_parallel_size, request.data_parallel_size
        ),
        kv_dtype=request.kv_dtype,
        speculative=request.speculative or NO_SPECULATION,
        memory_fraction=share_of(request, spec, profile),
    )


def share_of(request: LaunchRequest, spec: ModelSpec | None, profile: EngineProfile) -> float | None:
    """The share of memory that the engine is told: the request's, else its adapter's. None: it takes none."""
    if profile.memory_fraction is None or request.memory_fraction is not None:
        return None if profile.memory_fraction is None else request.memory_fraction
    if request.purpose not in SMALL_PURPOSES:
        return profile.memory_fraction
    return SMALLEST_FRACTION if 0 < launched_weights(request, spec).weight_bytes <= SMALLEST_BYTES else SMALL_FRACTION


def launched_weights(request: LaunchRequest, spec: ModelSpec | None) -> WeightFormat:
    """The checkpoint that a request names, by its hub id and format; 0 bytes where it is not known.

    Quantized on line (the engine's own word, not a format of the model) it is counted as it lies on disk: it is loaded
    so, and what is left of it is not more.
    """
    key = request.quantization if has_format(spec, request.quantization) else ""
    found = weights_of(spec, request.model, key) if spec is not None else None
    return found or WeightFormat(request.quantization, 0, repo=request.model)


def has_format(spec: ModelSpec | None, key: str) -> bool:
    """Whether this word names a checkpoint of the model: then the engine needs no word for it."""
    return spec is not None and any(each.key == key for each in spec.formats)


def workload_of(request: LaunchRequest) -> Workload:
    """Its users, each with a request as long as it allows."""
    answer = min(512, request.context_tokens // 4)
    return Workload("custom", "This launch", request.context_tokens - answer, answer, request.concurrency)


def place_of(request: LaunchRequest, context: PlanContext) -> Place:
    """The chosen nodes that are known, as they were read. Where it was not read who is there, nobody knows it."""
    return _place([node for node_id in request.nodes for node in context.nodes if node.record.id == node_id])


def live_place(context: PlanContext) -> Place:
    """All nodes that could be chosen, as they were read."""
    return _place(list(context.nodes))


def _place(chosen: list[NodeContext]) -> Place:
    unread = tuple(
        Neighbour("", "what runs there", (node.record.id,), NAN, NAN)
        for node in chosen
        if node.mem_available_bytes is None
    )
    known = tuple(_neighbour(one, node.record.id) for node in chosen for one in node.residents)
    return Place(tuple(_room(node) for node in chosen), neighbours=(*known, *unread))


def _neighbour(one: Resident, node_id: str) -> Neighbour:
    """Of one that loads, what it has by now and what still comes; where that was not seen, its plan stands for both."""
    held, coming = one.memory_bytes, one.memory_bytes
    if one.coming_bytes is not None and held is not None:
        held, coming = max(held - one.coming_bytes, 0), one.coming_bytes
    here = (node_id,)
    return Neighbour(
        one.job_id, one.title, here, NAN, NAN, bytes_held=held, is_loading=one.is_loading, coming_bytes=coming
    )


def _room(node: NodeContext) -> NodeRoom:
    # No device: what was not read of a live node is not known, and nobody's nominal size stands in for it.
    record = node.record
    return NodeRoom(record.id, record.name, node.mem_total_bytes, node.mem_available_bytes, device="")


def with_weights(setup: Setup, weight_bytes: int | None) -> Setup:
    """The same setup with the weights' size as it was seen on the node; unchanged where nobody saw it."""
    if weight_bytes is None:
        return setup
    return replace(setup, weights=replace(setup.weights, weight_bytes=weight_bytes))
