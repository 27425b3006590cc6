"""The conditions that both phases share: a setup's shape, the device's reachable rates, the cable, the calibration.

The one rule: all shares, caps and the slowest node are applied here once; the phases only divide work by rates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparkdesk.core.planning.memory import VALUE_BYTES
from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.place import Device, Link, Place
from sparkdesk.core.planning.setup import Setup
from sparkdesk.core.planning.share import Share
from sparkdesk.core.planning.speed.cable import DEFAULT_LINK
from sparkdesk.core.planning.speed.calibration import Calibration, EngineSpeed, Fitted, Speculation
from sparkdesk.core.planning.speed.shape import Growth, Shape, growth_of, shape_of

DEFAULT_ENGINE = EngineSpeed(chunk_tokens=2048, step_tokens=8192)
EAGER, TUNED = "eager", "tuned"


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
    is_eager: bool
    bytes_per_s: float
    """Peak of the slowest node's memory, as far as neighbours leave it."""
    operations_per_s: float
    """Peak compute at the weights' precision, of the slowest node."""
    attention_operations_per_s: float
    """The same at 16 bit."""

    @property
    def stage_share(self) -> float:
        """Of the layers, that the fullest pipeline stage has."""
        stages = self.parallelism.pipeline_parallel_size
        return math.ceil(self.shape.layers / stages) / self.shape.layers


def terms_of(setup: Setup, place: Place, devices: list[Device], calibration: Calibration, share: Share) -> Terms | None:
    """The terms, or None when the model's shape, its cache's values or what neighbours leave are not known."""
    bits = calibration.tuned_shared_bits if setup.build.key in (TUNED, EAGER) else calibration.shared_bits
    shape = shape_of(setup.spec, setup.weights, bits.get(setup.weights.key))
    growth = growth_of(setup.spec, VALUE_BYTES.get(setup.kv_dtype, 0.0), setup.parallelism.tensor_parallel_size)
    parts = (share.memory, share.compute, share.link)
    if shape is None or growth is None or not devices or not all(0.0 < part <= 1.0 for part in parts):
        return None
    clock = min((node.sm_clock_share for node in place.nodes), default=1.0)
    if not 0.0 < clock <= 1.0:
        return None
    link = place.link or DEFAULT_LINK
    return Terms(
        shape=shape,
        growth=growth,
        parallelism=setup.parallelism,
        link=Link(link.gb_per_s * share.link, link.latency_s),
        fitted=calibration.fitted,
        engine=calibration.engines.get(setup.engine.key, DEFAULT_ENGINE),
        speculation=calibration.speculations.get(setup.speculative),
        is_eager=setup.build.key == EAGER,
        bytes_per_s=min(one.peak_gb_per_s for one in devices) * 1e9 * share.memory,
        operations_per_s=min(_tflops(one, shape.number_bits) for one in devices) * 1e12 * share.compute * clock,
        attention_operations_per_s=min(_tflops(one, 16) for one in devices) * 1e12 * share.compute * clock,
    )


def _tflops(device: Device, bits: int) -> float:
    """At this precision, or the next that the device has."""
    return max((rate for width, rate in device.peak_tflops.items() if width >= bits), default=0.0)
