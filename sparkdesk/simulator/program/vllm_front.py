"""vLLM's HTTP face in front of llama.cpp: health, models, metrics, keys and errors in vLLM's shapes.

The one rule: bytes of an answer are never touched. Shapes as captured from vLLM 0.32 on a CPU; keys, routes of a
pooling runner and the scores of two vectors (their cosine) from 0.33's own source.
"""

from __future__ import annotations

import json
import math
import operator
import time
import uuid
from typing import Any

from gateway import TIMEOUT_S, Front, Handler
from meter import make_meter
from vllm_plan import Plan

_ASK = ("/v1/chat/completions", "/v1/completions", "/v1/messages")
_TOKENS = ("/tokenize", "/detokenize")
_EMBED = ("/v1/embeddings",)
_RERANK = ("/rerank", "/v1/rerank", "/v2/rerank")
_GETS = ("/health", "/ping", "/version", "/v1/models", "/metrics", "/load")
_GUARDED = ("/v1", "/v2", "/inference", "/cohere")
_DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
# Source: the bounds of vLLM 0.32's own page, captured.
_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
          160.0, 640.0, 2560.0)  # fmt: skip
_BETWEEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
_WHOLE = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0)


class VllmFront(Front):
    """The listening side of one vLLM."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.listeners, VllmHandler, make_meter(_FIRST, _BETWEEN, _WHOLE))
        self.plan = plan
        self.names = plan.names
        self.keys = plan.keys
        self.is_eager = plan.is_eager
        self.created = int(time.time())

    def posts(self) -> tuple[str, ...]:
        """The paths that this runner has."""
        return (*_EMBED, *_RERANK, *_TOKENS) if self.plan.is_pooling else (*_ASK, *_TOKENS)


class VllmHandler(Handler):
    """One request."""

    owner: VllmFront
    dead_words = _DEAD
    dead_event = (
        b"data: "
        + json.dumps({"error": {"message": _DEAD, "type": "InternalServerError", "param": None, "code": 500}}).encode()
        + b"\n\ndata: [DONE]\n\n"
    )

    def do_GET(self) -> None:  # noqa: N802  http.server's name
        """The small pages."""
        path = self.path.partition("?")[0]
        if self._is_refused(path):
            return
        if path in ("/health", "/ping"):
            self.reply(503 if self.owner.is_dead else 200, b"", "")
        elif path == "/version":
            self.reply_json(200, {"version": self.owner.plan.version})
        elif path == "/v1/models":
            self.reply_json(200, {"object": "list", "data": [self._model(name) for name in self.owner.names]})
        elif path == "/load":
            self.reply_json(200, {"server_load": 0})
        elif path == "/metrics":
            self.reply(200, _page(self.owner).encode(), "text/plain; version=1.0.0; charset=utf-8")
        else:
            self._wrong(path, self.owner.posts())

    def do_POST(self) -> None:  # noqa: N802  http.server's name
        """Questions, passed to llama.cpp."""
        path, body = self.path.partition("?")[0], self.body()
        if self._is_refused(path):
            return
        if path not in self.owner.posts():
            self._wrong(path, _GETS)
            return
        try:
            asked = json.loads(body or b"{}")
            name = asked.get("model", self.owner.names[0])
        except (ValueError, AttributeError) as error:
            self._error(400, f"Invalid JSON: {error}", "Bad Request", None)
            return
        if name not in self.owner.names:
            aliases = ", ".join(self.owner.names)
            self._error(404, f"The model `{name}` does not exist. Valid aliases: {aliases}.", "NotFoundError", "model")
        elif path in _RERANK:
            self._rerank(asked)
        else:
            if not self.owner.plan.has_prefix_cache:
                body = json.dumps({**asked, "cache_prompt": False}).encode()
            self.pass_on(path, body)

    def _is_refused(self, path: str) -> bool:
        """Whether the key is missing or wrong; then the answer is given."""
        if not path.startswith(_GUARDED) or self.owner.allows(self.headers.get("Authorization", "")):
            return False
        self.reply_json(401, {"error": "Unauthorized"})
        return True

    def _rerank(self, asked: dict[str, Any]) -> None:
        """Documents by the cosine of their vector and the query's, as vLLM scores with an embedding model."""
        query, documents = asked.get("query"), asked.get("documents")
        if (
            not isinstance(query, str)
            or not isinstance(documents, list)
            or not all(isinstance(text, str) for text in documents)
        ):
            self._error(400, "query must be a string, documents a list of strings", "Bad Request", None)
            return
        vectors, tokens = self._embed([query, *documents])
        if not vectors:
            self._error(500, _DEAD, "InternalServerError", None)
            return
        scored = [(_cosine(vectors[0], vector), at) for at, vector in enumerate(vectors[1:])]
        top = int(asked.get("top_n") or 0) or len(scored)
        results = [
            {"index": at, "document": {"text": documents[at], "multi_modal": None}, "relevance_score": score}
            for score, at in sorted(scored, key=lambda pair: -pair[0])[:top]
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        self.reply_json(200, {"id": f"rerank-{uuid.uuid4().hex}", "model": self.owner.names[0], "usage": usage,
                              "results": results})  # fmt: skip

    def _embed(self, texts: list[str]) -> tuple[list[list[float]], int]:
        """The real vectors of these texts, and their tokens; none when llama.cpp cannot."""
        if self.owner.engine is None or self.owner.is_dead:
            return [], 0
        connection = self.owner.engine.connect(TIMEOUT_S)
        try:
            body = json.dumps({"input": texts, "model": self.owner.names[0]})
            connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
            rows = sorted(answer["data"], key=lambda row: int(row["index"]))
            return [row["embedding"] for row in rows], int(answer["usage"]["total_tokens"])
        except (OSError, ValueError, KeyError, TypeError):
            return [], 0
        finally:
            connection.close()

    def translate(self, status: int, body: bytes) -> None:
        """An error of llama.cpp in vLLM's shape."""
        try:
            error = json.loads(body)["error"]
            words, kind = str(error["message"]), str(error.get("type", ""))
        except (ValueError, KeyError, TypeError):
            self.reply(status, body, "application/json")
            return
        if kind == "exceed_context_size_error":
            limit = self.owner.plan.context
            words = (
                f"This model's maximum context length is {limit} tokens. However, your prompt contains at least "
                f"{limit + 1} input tokens, which exceeds this limit even without any output tokens. Please reduce the "
                f"length of the input prompt. (parameter=input_tokens, value={limit + 1})"
            )
            self._error(400, words, "BadRequestError", "input_tokens")
        else:
            self._error(status, words, "BadRequestError" if status == 400 else "InternalServerError", None)

    def _model(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self.owner.created, "owned_by": "vllm",
                "root": self.owner.plan.model, "parent": None, "max_model_len": self.owner.plan.context}  # fmt: skip

    def _wrong(self, path: str, others: tuple[str, ...]) -> None:
        if path in others:
            self.reply_json(405, {"detail": "Method Not Allowed"})
        else:
            self.reply_json(404, {"detail": "Not Found"})

    def engine_error(self, status: int, words: str, kind: str) -> None:
        """vLLM's error object."""
        self._error(status, words, kind, None)

    def _error(self, status: int, words: str, kind: str, parameter: str | None) -> None:
        self.reply_json(status, {"error": {"message": words, "type": kind, "param": parameter, "code": status}})


def _cosine(one: list[float], other: list[float]) -> float:
    length = math.hypot(*one) * math.hypot(*other)
    return math.fsum(map(operator.mul, one, other)) / length if length else 0.0


def _page(front: VllmFront) -> str:
    """llama.cpp's real counters and the times that were seen here, under vLLM's names."""
    found, plan, meter = front.counts(), front.plan, front.meter
    label = f'engine="0",model_name="{front.names[0]}"'
    cached, read = found.get("llamacpp:prompt_tokens_cached_total", 0.0), found.get("llamacpp:prompt_tokens_total", 0.0)
    held = front.held_tokens()
    rows: list[str] = []
    for name, kind, value in (
        ("vllm:num_requests_running", "gauge", found.get("llamacpp:requests_processing", 0.0)),
        ("vllm:num_requests_waiting", "gauge", found.get("llamacpp:requests_deferred", 0.0)),
        ("vllm:kv_cache_usage_perc", "gauge", held / plan.kv_tokens if plan.kv_tokens > 0 else 0.0),
        ("vllm:prompt_tokens_total", "counter", read + cached),
        ("vllm:prompt_tokens_cached_total", "counter", cached),
        ("vllm:generation_tokens_total", "counter", found.get("llamacpp:tokens_predicted_total", 0.0)),
        ("vllm:prefix_cache_queries_total", "counter", read + cached if plan.has_prefix_cache else 0.0),
        ("vllm:prefix_cache_hits_total", "counter", cached),
        ("vllm:num_preemptions_total", "counter", 0.0),
        *(_speculation(found) if "--speculative-config" in plan.options else ()),
    ):
        family = name.removesuffix("_total") if kind == "counter" else name
        rows += [f"# HELP {family} Of a simulated vLLM.", f"# TYPE {family} {kind}", f"{name}{{{label}}} {value}"]
    with meter.lock:
        for reason in ("stop", "length", "abort"):
            count = float(meter.finished.get(reason, 0))
            rows.append(f'vllm:request_success_total{{finished_reason="{reason}",{label}}} {count}')
        for name, histogram in (
            ("vllm:time_to_first_token_seconds", meter.first),
            ("vllm:inter_token_latency_seconds", meter.between),
            ("vllm:request_time_per_output_token_seconds", meter.per_output),
            ("vllm:e2e_request_latency_seconds", meter.whole),
            ("vllm:request_prompt_tokens", meter.prompts),
            ("vllm:request_generation_tokens", meter.answers),
        ):
            rows += histogram.lines(name, label)
    blocks = f'num_gpu_blocks="{max(0, plan.kv_tokens) // 16}",block_size="16",kv_cache_size_tokens="{plan.kv_tokens}"'
    rows.append(f"vllm:cache_config_info{{{blocks},{label}}} 1.0")
    return "\n".join(rows) + "\n"


def _speculation(found: dict[str, float]) -> tuple[tuple[str, str, float], ...]:
    """What llama.cpp's own drafting counted; 0 where it drafted nothing."""
    names = ("num_drafts", "num_draft_tokens", "num_accepted_tokens")
    return tuple(
        (f"vllm:spec_decode_{name}_total", "counter", found.get(f"llamacpp:spec_decode_{name}_total", 0.0))
        for name in names
    )
