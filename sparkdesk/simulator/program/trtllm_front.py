"""TensorRT-LLM's HTTP face in front of llama.cpp: JSON statistics at /metrics, Prometheus text where it was asked for.

The one rule: bytes of an answer are never touched. Source: TensorRT-LLM's documentation of trtllm-serve (the keys of
/metrics, of which each reading takes what came since the last), tensorrt_llm/metrics/collector.py (names); not held
against a running one.
"""

from __future__ import annotations

import json
import time
from typing import Any

from gateway import Front, Handler
from meter import make_meter
from trtllm_plan import BLOCK_TOKENS, Plan

_POSTS = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
_GETS = ("/health", "/health_generate", "/version", "/v1/models", "/metrics", "/prometheus/metrics", "/server_info")
_BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
           160.0, 640.0, 2560.0)  # fmt: skip


class TrtllmFront(Front):
    """The listening side of one TensorRT-LLM."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.listeners, TrtllmHandler, make_meter(_BOUNDS, _BOUNDS, _BOUNDS))
        self.plan = plan
        self.is_eager = not plan.has_graphs
        self.told_iteration = 0.0


class TrtllmHandler(Handler):
    """One request."""

    owner: TrtllmFront
    dead_words = "Internal server error"
    dead_event = (
        b'data: {"object":"error","message":"Internal server error","type":"InternalServerError","code":500}\n\n'
    )

    def do_GET(self) -> None:  # noqa: N802  http.server's name
        """The small pages."""
        path, plan = self.path.partition("?")[0], self.owner.plan
        if path == "/health":
            self.reply(503 if self.owner.is_dead else 200, b"", "")
        elif path == "/version":
            self.reply_json(200, {"version": plan.version})
        elif path == "/v1/models":
            card = {"id": plan.name, "object": "model", "created": int(time.time()), "owned_by": "tensorrt_llm"}
            self.reply_json(200, {"object": "list", "data": [card]})
        elif path == "/metrics":
            self.reply_json(200, self._statistics())
        elif path == "/prometheus/metrics" and plan.has_perf_metrics:
            self.reply(200, _page(self.owner).encode(), "text/plain; version=1.0.0; charset=utf-8")
        else:
            self._wrong(path, _POSTS)

    def _statistics(self) -> list[dict[str, Any]]:
        """What came since the last reading; without enable_iter_perf_stats nothing ever does."""
        plan, found = self.owner.plan, self.owner.counts()
        iteration = found.get("llamacpp:n_decode_total", 0.0)
        if not plan.has_iteration_stats or iteration == self.owner.told_iteration:
            return []
        self.owner.told_iteration = iteration
        blocks = plan.kv_tokens // BLOCK_TOKENS
        used = -(-self.owner.held_tokens() // BLOCK_TOKENS)
        read, cached = (found.get(f"llamacpp:prompt_tokens_{kind}", 0.0) for kind in ("total", "cached_total"))
        statistics = {"maxNumBlocks": blocks, "freeNumBlocks": blocks - used, "usedNumBlocks": used,
                      "tokensPerBlock": BLOCK_TOKENS, "reusedBlocks": int(cached) // BLOCK_TOKENS,
                      "missedBlocks": int(read) // BLOCK_TOKENS,
                      "cacheHitRate": cached / (read + cached) if read + cached else 0.0}  # fmt: skip
        return [{"iter": int(iteration), "gpuMemUsage": plan.reserved_bytes,
                 "numActiveRequests": int(found.get("llamacpp:requests_processing", 0.0)),
                 "numQueuedRequests": int(found.get("llamacpp:requests_deferred", 0.0)),
                 "kvCacheStats": statistics}]  # fmt: skip

    def do_POST(self) -> None:  # noqa: N802  http.server's name
        """Questions, passed to llama.cpp."""
        path, body = self.path.partition("?")[0], self.body()
        if path not in _POSTS:
            self._wrong(path, _GETS)
            return
        try:
            asked = json.loads(body or b"{}")
            asked.get("model")
        except (ValueError, AttributeError) as error:
            self.engine_error(400, f"JSON decode error: {error}", "BadRequestError")
            return
        if not self.owner.plan.has_reuse:
            body = json.dumps({**asked, "cache_prompt": False}).encode()
        self.pass_on(path, body)

    def translate(self, status: int, body: bytes) -> None:
        """An error of llama.cpp in TensorRT-LLM's shape."""
        try:
            words = str(json.loads(body)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            self.reply(status, body, "application/json")
            return
        self.engine_error(status, words, "BadRequestError" if status < 500 else "InternalServerError")

    def engine_error(self, status: int, words: str, kind: str) -> None:
        """TensorRT-LLM's error object."""
        self.reply_json(status, {"object": "error", "message": words, "type": kind, "param": None, "code": status})

    def _wrong(self, path: str, others: tuple[str, ...]) -> None:
        if path in others:
            self.reply_json(405, {"detail": "Method Not Allowed"})
        else:
            self.reply_json(404, {"detail": "Not Found"})


def _page(front: TrtllmFront) -> str:
    """llama.cpp's real counters and the times that were seen here, under TensorRT-LLM's names."""
    found, plan, meter = front.counts(), front.plan, front.meter
    label = f'engine_type="trtllm",model_name="{plan.name}"'
    read, cached = (found.get(f"llamacpp:prompt_tokens_{kind}", 0.0) for kind in ("total", "cached_total"))
    blocks, used = plan.kv_tokens // BLOCK_TOKENS, -(-front.held_tokens() // BLOCK_TOKENS)
    rows: list[str] = []
    for name, kind, value in (
        ("num_requests_running", "gauge", found.get("llamacpp:requests_processing", 0.0)),
        ("num_requests_waiting", "gauge", found.get("llamacpp:requests_deferred", 0.0)),
        ("kv_cache_utilization", "gauge", used / max(1, blocks)),
        ("kv_cache_hit_rate", "gauge", cached / (read + cached) if read + cached else 0.0),
        ("kv_cache_max_blocks", "gauge", float(blocks)),
        ("kv_cache_used_blocks", "gauge", float(used)),
        ("gpu_memory_usage_bytes", "gauge", float(plan.reserved_bytes)),
        ("prompt_tokens_total", "counter", read + cached),
        ("prompt_cached_tokens_total", "counter", cached),
        ("generation_tokens_total", "counter", found.get("llamacpp:tokens_predicted_total", 0.0)),
        ("spec_decode_num_draft_tokens_total", "counter",
         found.get("llamacpp:spec_decode_num_draft_tokens_total", 0.0)),
        ("spec_decode_num_accepted_tokens_total", "counter",
         found.get("llamacpp:spec_decode_num_accepted_tokens_total", 0.0)),
    ):  # fmt: skip
        rows += [f"# HELP trtllm_{name} Of a simulated TensorRT-LLM.", f"# TYPE trtllm_{name} {kind}"]
        rows.append(f"trtllm_{name}{{{label}}} {value}")
    with meter.lock:
        for name, histogram in (
            ("time_to_first_token_seconds", meter.first),
            ("time_per_output_token_seconds", meter.per_output),
            ("e2e_request_latency_seconds", meter.whole),
        ):
            rows += histogram.lines(f"trtllm_{name}", label)
    return "\n".join(rows) + "\n"
