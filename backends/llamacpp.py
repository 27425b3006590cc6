"""llama.cpp's `llama-server`: one GGUF file, one node, one process.

Source of flags, log lines and failures: the llama-server of build b11434, run and captured (tests/data/captures), and
its README. On GB10 itself: unverified on hardware [llamacpp-on-gb10].
"""

from __future__ import annotations

import re

from sparkdesk.core.jobs.backend import (
    BackendInfo,
    EndpointFailure,
    LoadProgress,
    LogFailure,
    NodeContext,
    PlanContext,
    Reading,
)
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.failure import read_count, read_error_object
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.reading import (
    CACHED_TOKENS,
    GENERATED_TOKENS,
    KV_TOKENS,
    KV_USED,
    PROMPT_TOKENS,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    SPECULATION,
    read_prometheus,
)
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.preflight import (
    has_errors,
    node_problems,
    port_problems,
    refuse_errors,
    tensor_problems,
)
from sparkdesk.core.planning.launch.request import NO_SPECULATION, STOCK, place_of, setup_of, with_weights, workload_of
from sparkdesk.core.planning.memory.ledger import fit_problems, launch_ledgers
from sparkdesk.core.planning.setup import Build, EngineProfile, Setup
from sparkdesk.core.playbooks.job import JobSpec, build_plan

PROGRAM = "llama-server"
KV_TYPES = ("", "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
RUNTIME_BYTES = 512 << 20
"""Compute buffers and the program itself; an allowance, unverified on hardware [llamacpp-buffers]."""

METRIC_NAMES = {
    "llamacpp:tokens_predicted_total": GENERATED_TOKENS,
    "llamacpp:prompt_tokens_total": PROMPT_TOKENS,
    "llamacpp:prompt_tokens_cached_total": CACHED_TOKENS,
    "llamacpp:requests_processing": REQUESTS_RUNNING,
    "llamacpp:requests_deferred": REQUESTS_WAITING,
    "llamacpp:spec_decode_num_drafts_total": SPECULATION,
    "llamacpp:kv_cache_usage_ratio": KV_USED,
    "llamacpp:kv_cache_tokens": KV_TOKENS,
}

INFO = BackendInfo(
    key="llamacpp",
    title="llama.cpp",
    purposes=("chat",),
    quantizations=("Q4_0", "Q4_1", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "BF16", "MXFP4"),
    docs="https://github.com/ggml-org/llama.cpp/tree/master/tools/server",
    default_port=8080,
    needs_weights_path=True,
)


PROFILE = EngineProfile(
    key=INFO.key,
    title=INFO.title,
    formats=("GGUF", *INFO.quantizations),
    kv_dtypes=("auto", "q8_0", "q4_0"),
    parallelisms=(),  # over nodes it is not launched yet, so more of them are not proposed either
    speculatives=(NO_SPECULATION, "mtp"),
    builds=(Build(STOCK, "CUDA build"),),
    runtime_bytes=RUNTIME_BYTES,
)
"""What this adapter launches; a test holds it against the planner's table of engines."""
MTP_TOKENS = 3
"""Tokens that a model's own head guesses a step. Source: NVIDIA's playbook "llama-cpp"."""


class LlamaCpp:
    """The adapter; holds no state."""

    info = INFO

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against the request."""
        problems = node_problems(request, context) + tensor_problems(request, context.spec)
        problems += _word_problems(request, context.spec)
        if not request.weights_path:
            problems.append(
                Problem(
                    Severity.ERROR,
                    "llama.cpp needs the path of a GGUF file on the node",
                    "Choose a model that is on the node, or write the file's path.",
                    "weights_path",
                )
            )
        if has_errors(problems):
            return problems
        node = context.node(request.nodes[0])
        problems += _file_problems(request, node)
        if node.programs and PROGRAM not in node.programs:
            problems.append(
                Problem(
                    Severity.ERROR,
                    f"{PROGRAM} was not found on {node.record.name}",
                    "Build llama.cpp there (NVIDIA's llama-cpp playbook) and put it on the PATH.",
                    "engine",
                )
            )
        problems += port_problems(request, node)
        setup, load, place = _setup(request, context), workload_of(request), place_of(request, context)
        return [*problems, *fit_problems(setup, load, place, launch_ledgers(setup, load, place))]

    def plan(self, request: LaunchRequest, context: PlanContext) -> LaunchPlan:
        """The plan. Raises PlanError when the request has an error."""
        refuse_errors(self.problems(request, context))
        endpoint = Endpoint(
            node_id=request.nodes[0],
            host="127.0.0.1",
            port=request.port,
            model=request.served_name,
            engine=INFO.key,
            metrics_path="/metrics",
            context_tokens=request.context_tokens,
        )
        spec = JobSpec(
            job_id=context.job_id,
            node_id=request.nodes[0],
            title=request.served_name,
            engine=INFO.title,
            owner=context.owner,
            argv=_argv(request, _weights_path(request, context.node(request.nodes[0]))),
            env=request.environment,
            endpoint=endpoint,
        )
        return build_plan(request, context, spec, ledger=_ledger(request, context), command_title=PROGRAM)

    def log_reader(self) -> LlamaCppLog:
        """A new reader."""
        return LlamaCppLog()

    def readings(self, text: str) -> dict[str, float]:
        """The /metrics page."""
        return read_prometheus(text, METRIC_NAMES)

    def failure(self, status: int, body: bytes) -> EndpointFailure | None:
        """What an HTTP failure means."""
        error = read_error_object(body)
        if error is None:
            return None
        kind, message = str(error.get("type", "")), str(error.get("message", ""))[:1000]
        if kind == "exceed_context_size_error":
            return EndpointFailure(
                "context_overflow",
                message,
                "Shorten the conversation, or launch the model with a longer context.",
                prompt_tokens=read_count(error.get("n_prompt_tokens")),
                context_tokens=read_count(error.get("n_ctx")),
            )
        if status == 503:
            return EndpointFailure("loading", message, "Wait until the model is loaded.")
        if status == 401:
            return EndpointFailure("unauthorized", message, "Give this server's API key.")
        return EndpointFailure("bad_request" if status < 500 else "other", message, "Look at the server's log.")


def _weights_path(request: LaunchRequest, node: NodeContext) -> str:
    """The file as the program must be told it: no shell reads its command line, so nobody else knows what ~ is."""
    path = request.weights_path
    return f"{node.home.rstrip('/')}{path[1:]}" if path.startswith("~/") and node.home else path


def _argv(request: LaunchRequest, weights_path: str) -> tuple[str, ...]:
    words = [PROGRAM, "--model", weights_path, "--alias", request.served_name]
    # --ctx-size is shared by the slots, a request gets its part (seen: -c 4096 -np 2 gives 2048 a request).
    words += ["--host", "127.0.0.1", "--port", str(request.port)]
    words += ["--ctx-size", str(request.context_tokens * request.concurrency), "--parallel", str(request.concurrency)]
    # One CPU thread: with every layer on the GPU more only spin (two beside one busy core: 35 times slower).
    words += ["--threads", str(request.threads or 1), "--n-gpu-layers", "99", "--flash-attn", "on"]
    if request.kv_dtype:
        words += ["--cache-type-k", request.kv_dtype, "--cache-type-v", request.kv_dtype]
    if request.speculative == "mtp":
        words += ["--spec-type", "draft-mtp", "--spec-draft-n-max", str(MTP_TOKENS)]
    return (*words, "--metrics", "--slots", "--jinja", *request.extra_flags)


def _setup(request: LaunchRequest, context: PlanContext) -> Setup:
    """The request's setup, with the weights as large as their file on the node, where it was seen."""
    node = context.node(request.nodes[0])
    return with_weights(setup_of(request, context.spec, PROFILE), node.weight_files.get(_weights_path(request, node)))


def _ledger(request: LaunchRequest, context: PlanContext) -> MemoryLedger:
    return launch_ledgers(_setup(request, context), workload_of(request), place_of(request, context))[0]


def _word_problems(request: LaunchRequest, spec: ModelSpec | None) -> list[Problem]:
    """Words that this engine does not have."""
    problems = []
    if request.kv_dtype not in KV_TYPES:
        problems.append(_error(f"llama.cpp has no KV type {request.kv_dtype}", "Choose another one.", "kv_dtype"))
    if request.build not in ("", STOCK):
        words = f"llama.cpp has no build {request.build} here"
        problems.append(_error(words, "Choose stock: it is the llama-server that is on the node.", "build"))
    method, field = request.speculative, "speculative"
    if method == "mtp" and spec is not None and method not in spec.speculatives:
        words = f"{spec.title} has no mtp head, as far as is known"
        problems.append(_error(words, "Choose none, or a GGUF that holds the head.", field))
    elif method == "mtp":
        words = "Speculative decoding by mtp needs a GGUF that holds the model's own head"
        problems.append(Problem(Severity.NOTE, words, "Such files have MTP in their names.", field))
    elif method not in ("", NO_SPECULATION):
        words = f"Speculative decoding by {method} needs a draft model's file, and none is named"
        problems.append(
            _error(words, "Write --model-draft with its path among the further flags, or none here.", field)
        )
    return problems


def _error(message: str, remedy: str, field: str) -> Problem:
    return Problem(Severity.ERROR, message, remedy, field)


def _file_problems(request: LaunchRequest, node: NodeContext) -> list[Problem]:
    if _weights_path(request, node).startswith("~/"):
        return [
            Problem(
                Severity.ERROR,
                f"The home folder on {node.record.name} is not known yet",
                "Wait a moment, or write the whole path.",
                "weights_path",
            )
        ]
    if _weights_path(request, node) in node.weight_files:
        return []
    return [
        Problem(
            Severity.WARNING,
            f"{request.weights_path} was not seen on {node.record.name}",
            "Check the path; the launch fails at once if the file is not there.",
            "weights_path",
        )
    ]


class LlamaCppLog:
    """Reads llama-server's log."""

    _LOADING = re.compile(r"load_model: loading model|llama_model_loader: loaded meta data|load_tensors:")
    _SLOTS = re.compile(r"n_slots = (\d{1,6}), n_ctx_slot = (\d{1,9})")
    _SPEED = re.compile(r"\beval time = .*?([\d.]{1,12}) tokens per second")

    def feed(self, line: str) -> list[LoadProgress | Reading | LogFailure]:
        """What this line tells."""
        line = line[:4096]
        if "model loaded" in line:
            return [LoadProgress("load", "Model loaded", 1.0)]
        if "listening on http" in line:
            return [LoadProgress("token", "Server listens")]
        if match := self._SLOTS.search(line):
            return [LoadProgress("load", f"{match[1]} slots of {int(match[2]):,} tokens")]
        if self._LOADING.search(line):
            return [LoadProgress("load", "Loading the model")]
        return self._failures(line)

    @staticmethod
    def _failures(line: str) -> list[LoadProgress | Reading | LogFailure]:
        lower = line.lower()
        if "invalid argument" in lower:
            return [LogFailure(line.strip()[:400], "Remove the flag that this build of llama.cpp does not know.")]
        if "failed to load model" in lower or "failed to open gguf" in lower or "error loading model" in lower:
            return [LogFailure(line.strip()[:400], "Check that the file is a whole GGUF and that this build knows it.")]
        if "couldn't bind" in lower or "address already in use" in lower:
            return [LogFailure(line.strip()[:400], "Take another port.")]
        if "out of memory" in lower or "failed to allocate" in lower:
            return [LogFailure(line.strip()[:400], "Lower the context or the number of users.")]
        return []


backend = LlamaCpp()
