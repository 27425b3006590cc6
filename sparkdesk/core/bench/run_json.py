"""A measurement as the JSON that is stored, and back.

The one rule: what comes back is bounded and typed like a stranger's; a figure that is not known is `null`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sparkdesk.core.bench.run import BenchPoint, BenchRun, BenchShape, BenchState

SCHEMA = 1
MAX_POINTS = 64
MAX_CHARS = 2000


def to_json(run: BenchRun) -> bytes:
    """The run, whole."""
    data = asdict(run)
    data["points"] = [{key: _told(value) for key, value in point.items()} for point in data["points"]]
    return json.dumps({"schema": SCHEMA, **data}, allow_nan=False).encode()


def from_json(text: bytes) -> BenchRun:
    """Raises KeyError, TypeError or ValueError for what is not a run of this schema."""
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError("not a stored measurement of this schema")
    shape, points = data["shape"], data["points"]
    request = data.get("request_json")
    return BenchRun(
        **{key: str(data[key])[:MAX_CHARS] for key in _WORDS},
        node_names=tuple(str(name)[:MAX_CHARS] for name in data["node_names"]),
        started_ms=int(data["started_ms"]),
        shape=BenchShape(
            prompt_tokens=int(shape["prompt_tokens"]),
            answer_tokens=int(shape["answer_tokens"]),
            concurrencies=tuple(int(number) for number in shape["concurrencies"])[:MAX_POINTS],
            seed=int(shape["seed"]),
        ),
        state=BenchState(data["state"]),
        points=tuple(_point(point) for point in points[:MAX_POINTS]),
        request_json=request if isinstance(request, dict) else {},
    )


_WORDS = ("id", "job_id", "title", "engine", "model", "quantization", "message", "note")


def _point(data: Mapping[str, Any]) -> BenchPoint:
    return BenchPoint(
        concurrency=int(data["concurrency"]),
        e2e_s=_figure(data["e2e_s"]),
        ttft_s=_figure(data["ttft_s"]),
        tpot_s=_figure(data["tpot_s"]),
        prefill_tok_s=_figure(data["prefill_tok_s"]),
        output_tok_s=_figure(data["output_tok_s"]),
        prompt_tokens=int(data["prompt_tokens"]),
        answer_tokens=int(data["answer_tokens"]),
        requests=int(data["requests"]),
        failed=int(data["failed"]),
        failure=str(data["failure"])[:MAX_CHARS],
        client_cpu_share=_figure(data["client_cpu_share"]),
    )


def _figure(value: Any) -> float:
    return math.nan if value is None else float(value)


def _told(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value
