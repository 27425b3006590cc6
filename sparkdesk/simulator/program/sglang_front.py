"""SGLang's HTTP face in front of llama.cpp: health that generates, model info, metrics when asked for, keys, errors.

The one rule: bytes of an answer are never touched. Source of paths and shapes: SGLang 0.5.23's entrypoints/
http_server.py, utils/auth.py and observability/metrics_collector.py; not held against a running one.
"""

from __future__ import annotations

import json
import time
from typing import Any

from gateway import Front, Handler, is_stalled
from meter import make_meter
from sglang_plan import Plan

_POSTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/generate", "/v1/messages", "/flush_cache")
_GETS = ("/health", "/health_generate", "/ready", "/get_model_info", "/model_info", "/get_server_info", "/server_info",
         "/v1/models", "/v1/loads", "/metrics")  # fmt: skip
_OPEN = ("/health", "/ready", "/metrics")  # never behind the key
_HEALTH_WAIT_S = 20.0
_FIRST = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 200.0, 400.0)
_BETWEEN = (0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6,
            0.8, 1.0, 2.0, 4.0, 6.0, 8.0)  # fmt: skip


class SglangFront(Front):
    """The listening side of one SGLang."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.listeners, SglangHandler, make_meter(_FIRST, _BETWEEN, _FIRST))
        self.plan = plan
        self.is_ready = False
        self.keys = (plan.key,) if plan.key else ()
        self.is_eager = not plan.has_graphs


class SglangHandler(Handler):
    """One request."""

    owner: SglangFront
    dead_words = "Internal server error"
    dead_event = (
        b'data: {"error": {"message": "Internal server error", "type": "InternalServerError", "code": 500}}\n\n'
    )

    def do_GET(self) -> None:  # noqa: N802  http.server's name
        """The small pages."""
        path, plan = self.path.partition("?")[0], self.owner.plan
        if self._is_refused(path):
            return
        if path in ("/health", "/health_generate", "/ready"):
            self.reply(200 if self._is_well(path) else 503, b"", "")
        elif path == "/v1/models":
            card = {"id": plan.name, "object": "model", "created": int(time.time()), "owned_by": "sglang",
                    "root": plan.name, "parent": None, "max_model_len": plan.context}  # fmt: skip
            self.reply_json(200, {"object": "list", "data": [card]})
        elif path in ("/get_model_info", "/model_info"):
            self.reply_json(200, {"model_path": plan.model, "tokenizer_path": plan.model,
                                  "is_generation": not plan.is_embedding, "weight_version": "default"})  # fmt: skip
        elif path in ("/get_server_info", "/server_info"):
            self.reply_json(200, {"model_path": plan.model, "version": plan.version, "status": "ready",
                                  "max_total_num_tokens": plan.kv_tokens})  # fmt: skip
        elif path == "/v1/loads":
            self.reply_json(200, {"loads": []})
        elif path == "/metrics" and plan.has_metrics:
            self.reply(200, _page(self.owner).encode(), "text/plain; version=1.0.0; charset=utf-8")
        else:
            self._wrong(path, _POSTS)

    def _is_well(self, path: str) -> bool:
        """Whether a token comes, which SGLang's health check waits for."""
        if not self.owner.is_ready or self.owner.is_dead:
            return False
        if path != "/ready" and is_stalled():
            end_s = time.monotonic() + _HEALTH_WAIT_S
            while is_stalled() and time.monotonic() < end_s:
                time.sleep(0.2)
            return not is_stalled()
        return True

    def do_POST(self) -> None:  # noqa: N802  http.server's name
        """Questions, passed to llama.cpp."""
        path, body = self.path.partition("?")[0], self.body()
        if self._is_refused(path):
            return
        if path not in _POSTS:
            self._wrong(path, _GETS)
            return
        if path == "/flush_cache":
            self.reply(200, b"Cache flushed.\n", "text/plain; charset=utf-8")
            return
        try:
            asked = json.loads(body or b"{}")
            asked.get("model")
        except (ValueError, AttributeError) as error:
            self.engine_error(400, f"Invalid JSON: {error}", "BadRequestError")
            return
        if path == "/generate":
            self._generate(asked)
        else:
            if not self.owner.plan.has_cache:
                body = json.dumps({**asked, "cache_prompt": False}).encode()
            self.pass_on(path, body)

    def _generate(self, asked: dict[str, Any]) -> None:
        """SGLang's own form, of text in one piece."""
        if not isinstance(asked.get("text"), str) or asked.get("stream"):
            self.engine_error(400, "a simulated /generate takes one text and does not stream", "BadRequestError")
            return
        parameters = asked.get("sampling_params") or {}
        wish = {"prompt": asked["text"], "max_tokens": int(parameters.get("max_new_tokens", 128)),
                "temperature": float(parameters.get("temperature", 1.0))}  # fmt: skip
        if self.owner.engine is None or self.owner.is_dead:
            self.engine_error(500, self.dead_words, "InternalServerError")
            return
        connection = self.owner.engine.connect(600.0)
        try:
            connection.request("POST", "/v1/completions", json.dumps(wish), {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
            usage = answer["usage"]
            meta = {"id": answer["id"], "finish_reason": {"type": answer["choices"][0]["finish_reason"]},
                    "prompt_tokens": usage["prompt_tokens"],
                    "completion_tokens": usage["completion_tokens"]}  # fmt: skip
            self.reply_json(200, {"text": answer["choices"][0]["text"], "meta_info": meta})
        except (OSError, ValueError, KeyError, IndexError):
            self.engine_error(500, self.dead_words, "InternalServerError")
        finally:
            connection.close()

    def _is_refused(self, path: str) -> bool:
        if path.startswith(_OPEN) or self.owner.allows(self.headers.get("Authorization", "")):
            return False
        self.reply_json(401, {"error": "Unauthorized"})
        return True

    def translate(self, status: int, body: bytes) -> None:
        """An error of llama.cpp in SGLang's shape."""
        try:
            error = json.loads(body)["error"]
            words, kind = str(error["message"]), str(error.get("type", ""))
        except (ValueError, KeyError, TypeError):
            self.reply(status, body, "application/json")
            return
        if kind == "exceed_context_size_error":
            limit, sent = self.owner.plan.context, int(error.get("n_prompt_tokens", self.owner.plan.context + 1))
            words = f"The input ({sent} tokens) is longer than the model's context length ({limit} tokens)."
        self.engine_error(status, words, "BadRequestError" if status < 500 else "InternalServerError")

    def engine_error(self, status: int, words: str, kind: str) -> None:
        """SGLang's error object."""
        self.reply_json(status, {"object": "error", "message": words, "type": kind, "param": None, "code": status})

    def _wrong(self, path: str, others: tuple[str, ...]) -> None:
        if path in others:
            self.reply_json(405, {"detail": "Method Not Allowed"})
        else:
            self.reply_json(404, {"detail": "Not Found"})


def _page(front: SglangFront) -> str:
    """llama.cpp's real counters and the times that were seen here, under SGLang's names."""
    found, plan, meter = front.counts(), front.plan, front.meter
    label = f'engine_type="unified",model_name="{plan.name}",tp_rank="0"'
    read = found.get("llamacpp:prompt_tokens_total", 0.0)
    cached = found.get("llamacpp:prompt_tokens_cached_total", 0.0)
    drafts = found.get("llamacpp:spec_decode_num_drafts_total", 0.0)
    drafted = found.get("llamacpp:spec_decode_num_draft_tokens_total", 0.0)
    taken = found.get("llamacpp:spec_decode_num_accepted_tokens_total", 0.0)
    held = front.held_tokens()
    rows: list[str] = []
    for name, kind, value in (
        ("num_running_reqs", "gauge", found.get("llamacpp:requests_processing", 0.0)),
        ("num_queue_reqs", "gauge", found.get("llamacpp:requests_deferred", 0.0)),
        ("num_used_tokens", "gauge", float(held)),
        ("token_usage", "gauge", held / max(1, plan.kv_tokens)),
        ("gen_throughput", "gauge", found.get("llamacpp:predicted_tokens_seconds", 0.0)),
        ("cache_hit_rate", "gauge", cached / (read + cached) if read + cached else 0.0),
        ("spec_accept_length", "gauge", 1.0 + taken / drafts if drafts else 0.0),
        ("spec_accept_rate", "gauge", taken / drafted if drafted else 0.0),
        ("max_total_num_tokens", "gauge", float(plan.kv_tokens)),
        ("weight_memory_usage_gb", "gauge", plan.size.weights_bytes / 2**30),
        ("kv_cache_memory_usage_gb", "gauge", plan.kv_bytes / 2**30),
        ("num_retracted_reqs", "gauge", 0.0),
        ("prompt_tokens_total", "counter", read + cached),
        ("generation_tokens_total", "counter", found.get("llamacpp:tokens_predicted_total", 0.0)),
        ("cached_tokens_total", "counter", cached),
        ("num_requests_total", "counter", float(meter.requests)),
        ("num_aborted_requests_total", "counter", float(meter.finished.get("abort", 0))),
        ("num_retracted_requests_total", "counter", 0.0),
    ):
        rows += [f"# HELP sglang:{name} Of a simulated SGLang.", f"# TYPE sglang:{name} {kind}"]
        rows.append(f"sglang:{name}{{{label}}} {value}")
    with meter.lock:
        for name, histogram in (
            ("time_to_first_token_seconds", meter.first),
            ("inter_token_latency_seconds", meter.between),
            ("request_time_per_output_token_seconds", meter.per_output),
            ("e2e_request_latency_seconds", meter.whole),
        ):
            rows += histogram.lines(f"sglang:{name}", label)
    return "\n".join(rows) + "\n"
