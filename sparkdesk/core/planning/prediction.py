"""What the performance model says of one setup under one load, with where the time goes and what it leans on.

The one rule: times are of one request among the workload's users; rates say whether they are one user's or all users'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sparkdesk.core.planning.figure import UNKNOWN, Figure, Parts


@dataclass(frozen=True, slots=True)
class MeasuredCase:
    """A published measurement that stands near a prediction."""

    key: str
    """Of its row in resources/planning/measurements.toml."""
    title: str
    """Source and conditions in a line: "NVIDIA table 3: NVFP4, TP 4, 32K/1K, 1 user"."""
    figures: str
    """What it measured, with units: "15.55 s, 72 ms"."""
    distance: str = ""
    """What is not the same here: "" where it is this very case."""
    ttft_s: float | None = None
    """What was measured; None: it was not. To stand beside a figure only where `distance` is ""."""
    tpot_s: float | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """Speed of one setup. `output_tok_s` counts the answers of all users while they decode: users / TPOT."""

    ttft_s: Figure
    tpot_s: Figure
    e2e_s: Figure
    prefill_tok_s: Figure
    """New prompt tokens of all users over the time to the last first token."""
    output_tok_s: Figure
    ttft_parts: Parts
    """compute, communication, queue; sums to ttft_s.value."""
    tpot_parts: Parts
    """weights, kv, communication, bubble, overhead; sums to tpot_s.value."""
    leans_on: tuple[MeasuredCase, ...] = ()
    """The nearest measured cases, nearest first; empty: none is near, so the band is the model's widest."""
    is_fitted: bool = True
    """False: roofline only, "estimate, not fitted"."""
    memory_gb_per_s: float = 0.0
    """What it reads from each node's memory while it decodes, 10^9 bytes a second."""
    compute_share: float = 0.0
    """Of a node's compute while it decodes, 0 to 1."""
    link_gb_per_s: float = 0.0
    """What it sends over a node's cable while it decodes."""

    @property
    def prompt_share(self) -> float:
        """Part of a request's time until its first token, 0 to 1; NaN: not known."""
        if not (self.ttft_s.is_known and self.e2e_s.is_known) or self.e2e_s.value <= 0.0:
            return math.nan
        return min(1.0, max(0.0, self.ttft_s.value / self.e2e_s.value))

    @property
    def user_tok_s(self) -> Figure:
        """Tokens a second that one user sees."""
        return self.tpot_s.inverse()


UNKNOWN_PREDICTION = Prediction(
    ttft_s=UNKNOWN,
    tpot_s=UNKNOWN,
    e2e_s=UNKNOWN,
    prefill_tok_s=UNKNOWN,
    output_tok_s=UNKNOWN,
    ttft_parts=(),
    tpot_parts=(),
    memory_gb_per_s=math.nan,
    compute_share=math.nan,
    link_gb_per_s=math.nan,
)
"""Where something that a prediction needs is not known."""
