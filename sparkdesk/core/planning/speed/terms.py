"""The conditions that both phases share: a setup's shape, the device's reachable rates, the cable, the calibration.

The one rule: all shares, caps and the slowest node are applied here once; the phases only divide work by rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparkdesk.core.planning.memory.need import VALUE_BYTES
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Device, Link, Place
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.share import Share
from sparkdesk.core.planning.speed.cable import DEFAULT_LINK
from sparkdesk.core.planning.speed.calibration import Calibration, EngineSpeed, Fitted, Speculation
from sparkdesk.core.planning.speed.shape import Growth, Shape, growth_of, shape_of

DEFAULT_ENGINE = EngineSpeed(chunk_tokens=2048, step_tokens=8192)
EAGER, TUNED = "eager", "tuned"
FOUR_BITS = 4


@dataclass(frozen=True, slots=True)
class Terms:
    """One setup on its nodes."""

    shape: Shape
    growth: Growth
    """Of one sequence on one tensor parallel rank."""
    parallelism: Parallelism
    link: Link
    fitted: Fitted
    engine: EngineSpeed
    speculation: Speculation | None
    step_overhead_s: float
    """Of a step over all layers, but for what sequences add."""
    weight_bytes_per_s: float
    """On the slowest node, as far as neighbours leave its memory."""
    kv_bytes_per_s: float
    operations_per_s: float
    """Of multiplying by weights, on the slowest node."""
    attention_operations_per_s: float
    peak_operations_per_s: float
    """At the weights' precision."""

    @property
    def stage_share(self) -> float:
        """Of the layers, that the fullest pipeline stage has."""
        stages = self.parallelism.pipeline_parallel_size
        return math.ceil(self.shape.layers / stages) / self.shape.layers


def terms_of(setup: Setup, place: Place, devices: list[Device], calibration: Calibration, share: Share) -> Terms | None:
    """The terms, or None when the model's shape, its cache's values or what neighbours leave are not known."""
    shares = calibration.tuned_shared_shares if setup.build.key in (TUNED, EAGER) else {}
    shape = shape_of(setup.spec, setup.weights, shares.get(setup.weights.key, 1.0))
    growth = growth_of(setup.spec, VALUE_BYTES.get(setup.kv_dtype, 0.0), setup.parallelism.tensor_parallel_size)
    parts = (share.memory, share.compute, share.link)
    if shape is None or growth is None or not devices or not all(0.0 < part <= 1.0 for part in parts):
        return None
    clock = min((node.sm_clock_share for node in place.nodes), default=1.0)
    if not 0.0 < clock <= 1.0 or not _is_possible(setup.parallelism, place.link, devices):
        return None
    link, engine = place.link or DEFAULT_LINK, calibration.engines.get(setup.engine.key, DEFAULT_ENGINE)
    fitted, build = calibration.fitted, setup.build.key
    vendor_share = fitted.expert_efficiency if shape.is_mixture else fitted.dense_efficiency
    memory = min(one.peak_gb_per_s for one in devices) * 1e9 * share.memory
    compute = 1e12 * share.compute * clock
    peak = min(_tflops(one, _bits(shape, engine, one, build)) for one in devices) * compute
    half = min(_tflops(one, 16) for one in devices) * compute
    vendors = peak * (fitted.expert_utilisation if shape.is_mixture else fitted.dense_utilisation)
    return Terms(
        shape=shape,
        growth=growth,
        parallelism=setup.parallelism,
        link=Link(link.gb_per_s * share.link, link.latency_s),
        fitted=fitted,
        engine=engine,
        speculation=calibration.speculations.get(setup.speculative),
        step_overhead_s=_overhead_s(shape, engine, fitted, is_eager=build == EAGER),
        weight_bytes_per_s=memory * (fitted.own_efficiency if engine.has_own_kernels else vendor_share),
        kv_bytes_per_s=memory * fitted.kv_efficiency,
        operations_per_s=half * fitted.own_utilisation if engine.has_own_kernels else vendors,
        attention_operations_per_s=half * fitted.attention_utilisation,
        peak_operations_per_s=peak,
    )


def _is_possible(parallelism: Parallelism, link: Link | None, devices: list[Device]) -> bool:
    """Whether sizes, rates and latencies are ones that something can have."""
    sizes = (parallelism.tensor_parallel_size, parallelism.pipeline_parallel_size, parallelism.data_parallel_size)
    rates = [one.peak_gb_per_s for one in devices] + [_tflops(one, 16) for one in devices]
    if link is not None:
        rates.append(link.gb_per_s)
    latency_s = link.latency_s if link else 0.0
    return min(sizes) >= 1 and all(0.0 < rate < math.inf for rate in rates) and 0.0 <= latency_s < math.inf


def _overhead_s(shape: Shape, engine: EngineSpeed, fitted: Fitted, *, is_eager: bool) -> float:
    """What a step takes beside its work; an engine with kernels of its own is taken to need none."""
    if engine.has_own_kernels:
        return 0.0
    return shape.mixture_layers * fitted.layer_overhead_s + shape.layers * fitted.eager_overhead_s * is_eager


def _bits(shape: Shape, engine: EngineSpeed, device: Device, build: str) -> int:
    """Of the numbers that are multiplied: the weights', or more where an engine unpacks a 4 bit mixture's first."""
    if not (shape.is_mixture and shape.number_bits == FOUR_BITS and device.is_fitted):
        return shape.number_bits
    return engine.tuned_mixture_bits if build in (TUNED, EAGER) else engine.mixture_bits


def _tflops(device: Device, bits: int) -> float:
    """At this precision, or the next that the device has."""
    return max((rate for width, rate in device.peak_tflops.items() if width >= bits), default=0.0)
