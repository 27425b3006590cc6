"""A measurement of a running server: the shape of its requests, one point per concurrency, the run that holds them.

The one rule: tokens are the server's own count (its usage), never the number of pieces they came in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class BenchShape:
    """What is sent: tokens of prompt and answer, and how many requests at once, one point each."""

    prompt_tokens: int = 512
    answer_tokens: int = 128
    concurrencies: tuple[int, ...] = (1, 2, 4, 8)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class BenchPoint:
    """One concurrency. Seconds are means over its requests, rates are of all requests together."""

    concurrency: int
    e2e_s: float = NAN
    ttft_s: float = NAN
    tpot_s: float = NAN
    prefill_tok_s: float = NAN
    output_tok_s: float = NAN
    prompt_tokens: int = 0
    """Of one request, as the server counted."""
    answer_tokens: int = 0
    requests: int = 0
    failed: int = 0
    failure: str = ""
    client_cpu_share: float = NAN
    """CPU of this program while it ran, 1.0 = one core all the time: near 1 the figures are the client's, not the
    server's."""


class BenchState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BenchRun:
    """One measurement, with what was measured, so that it can be read again later without the job."""

    id: str
    job_id: str
    title: str
    engine: str
    model: str
    quantization: str
    node_names: tuple[str, ...]
    started_ms: int
    shape: BenchShape
    state: BenchState
    points: tuple[BenchPoint, ...] = ()
    message: str = ""
    note: str = ""
    """E.g. that the engine is a simulated one."""
    request_json: dict[str, object] = field(default_factory=dict)
