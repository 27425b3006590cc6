"""SGLang in a container: one node, one container, its OpenAI server inside.

Source of the launch form: NVIDIA's DGX Spark playbook "sglang"; of flags, log lines, metrics and failures: SGLang
0.5.23's own source (resources/flags); the log lines in brackets of older releases recalled. Nothing of it could be run
here; on GB10: unverified on hardware [sglang-on-gb10].
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from sparkdesk.core.jobs.backend import BackendInfo, EndpointFailure, Finding, PlanContext, Reading, Told
from sparkdesk.core.jobs.failure import read_error_object
from sparkdesk.core.jobs.image import default_image
from sparkdesk.core.jobs.log_rule import (
    DOCKER_FAILURES,
    GIB,
    GPU_FAILURES,
    FailureRule,
    LogRule,
    RuledLog,
    gib,
    number,
    say,
    say_share,
    tell,
)
from sparkdesk.core.jobs.plan import LaunchPlan, Problem
from sparkdesk.core.jobs.reading import (
    CACHED_TOKENS,
    DECODE_S,
    GENERATED_TOKENS,
    GRAPH_BYTES,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    KV_TOKENS,
    KV_USED,
    PREEMPTIONS,
    PREFIX_HITS,
    PREFIX_QUERIES,
    PROMPT_TOKENS,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    SPECULATION,
    TPOT,
    TTFT,
    TTFT_COUNT,
    TTFT_SUM_S,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
    read_histograms,
    read_prometheus,
)
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.docker import container_problems
from sparkdesk.core.planning.launch.preflight import (
    has_errors,
    node_problems,
    refuse_errors,
    tensor_problems,
)
from sparkdesk.core.planning.launch.request import NO_SPECULATION, STOCK, has_format, launched_weights, share_of
from sparkdesk.core.planning.launch.share import share_launch_problems, share_ledger, share_notes
from sparkdesk.core.planning.launch.trap import Kernels, pinned_problems, trap_problems
from sparkdesk.core.planning.launch.word import Vocabulary, error, lan_refusal, spark_problems, word_problems
from sparkdesk.core.planning.setup import OF_AVAILABLE, Build, EngineProfile
from sparkdesk.core.playbooks.container import (
    before_stages,
    container_argv,
    container_name,
    container_of,
    loopback_endpoint,
    secret_references,
)
from sparkdesk.core.playbooks.job import JobSpec, build_plan

DEFAULT_IMAGE = "lmsysorg/sglang:latest-cu130"
DEFAULT_MEMORY_FRACTION = 0.75
DEFAULT_ATTENTION = "flashinfer"
"""Source of the three: NVIDIA playbook "sglang"."""
RUNTIME_BYTES = 4 << 30
"""CUDA context, graphs, activations and the server, beside weights and KV cache; an allowance,
unverified on hardware [sglang-outside-memory]."""
KV_TYPES = {
    "": "", "auto": "auto", "fp8": "fp8_e4m3", "fp8_e4m3": "fp8_e4m3", "fp8_e5m2": "fp8_e5m2", "bf16": "bf16",
    "bfloat16": "bfloat16", "nvfp4": "nvfp4", "mxfp8": "mxfp8", "fp4_mx_block16": "fp4_mx_block16",
}  # fmt: skip
"""Our word -> SGLang's."""
QUANTIZATIONS = (
    "", "awq", "fp8", "mxfp8", "gguf", "gptq", "gptq_marlin", "awq_marlin", "bitsandbytes", "modelopt", "modelopt_fp8",
    "modelopt_fp4", "nvfp4_online", "modelopt_mixed", "w8a8_int8", "w8a8_fp8", "moe_wna16", "w4afp8", "mxfp4",
    "auto-round", "auto-round-int8", "compressed-tensors", "quark", "humming",
)  # fmt: skip
ATTENTION_BACKENDS = (
    "triton", "torch_native", "flex_attention", "dsa", "fa3", "fa4", "flashinfer", "flashmla", "trtllm_mla",
    "cutedsl_mla", "trtllm_mha",
)  # fmt: skip
MOE_BACKENDS = (
    "auto", "deep_gemm", "triton", "triton_kernel", "flashinfer_trtllm", "flashinfer_cutlass", "flashinfer_mxfp4",
    "flashinfer_cutedsl", "cutlass", "marlin", "humming",
)  # fmt: skip
LOAD_FORMATS = (
    "auto", "pt", "safetensors", "instanttensor", "npcache", "dummy", "sharded_state", "presharded", "mistral",
    "layered", "fastsafetensors", "runai_streamer",
)  # fmt: skip
"""What the flags take and an NVIDIA GPU can run. Source: SGLang 0.5.23's own source."""
METHODS = {"mtp": "NEXTN", "eagle3": "EAGLE3", "draft": "STANDALONE", "ngram": "NGRAM", "dflash": "DFLASH"}
WITH_DRAFT = ("eagle3", "draft", "dflash")
STEPPED = ("mtp", "eagle3", "draft")
"""Methods that take a number of steps; one word is guessed a step (top 1), and one more is checked than guessed."""
DRAFT_STEPS = 3
"""Source: SGLang's own documentation of EAGLE, recalled."""
QUIET_FLAGS = ("--uvicorn-access-log-exclude-prefixes", "--log-level-http")
"""Keeps our own polling out of the server's log; a start that does not know it has a fix (core/jobs/fix.py)."""
KEY_IN_WORDS = "SGLang takes its key on the command line only, where every user of the node can read it"
"""Source: SGLang 0.5.23's own source: --api-key, no variable of the environment."""

METRIC_NAMES = {
    "sglang:generation_tokens_total": GENERATED_TOKENS,
    "sglang:prompt_tokens_total": PROMPT_TOKENS,
    "sglang:cached_tokens_total": CACHED_TOKENS,
    "sglang:num_running_reqs": REQUESTS_RUNNING,
    "sglang:num_queue_reqs": REQUESTS_WAITING,
    "sglang:token_usage": KV_USED,
    "sglang:full_token_usage": KV_USED,
    "sglang:num_used_tokens": KV_TOKENS,
    "sglang:kv_used_tokens": KV_TOKENS,
    "sglang:num_retracted_requests_total": PREEMPTIONS,
    "sglang:spec_verify_calls_total": SPECULATION,
    "sglang:time_to_first_token_seconds_sum": TTFT_SUM_S,
    "sglang:time_to_first_token_seconds_count": TTFT_COUNT,
    "sglang:inter_token_latency_seconds_sum": DECODE_S,
}
HISTOGRAMS = {"sglang:time_to_first_token_seconds": TTFT, "sglang:inter_token_latency_seconds": TPOT}

INFO = BackendInfo(
    key="sglang",
    title="SGLang",
    purposes=("chat", "vision", "embed"),
    quantizations=QUANTIZATIONS,
    docs="https://docs.sglang.ai/advanced_features/server_arguments.html",
    default_port=30000,
)
PROFILE = EngineProfile(
    key=INFO.key,
    title=INFO.title,
    formats=("BF16", "FP8", "INT8", "NVFP4", "MXFP4", "AWQ", "GPTQ", "INT4"),
    kv_dtypes=("auto", "fp8"),
    parallelisms=(),  # over nodes it is not launched yet, so more of them are not proposed either
    speculatives=(NO_SPECULATION, "mtp", "eagle3", "ngram"),
    builds=(Build(STOCK, "Stock image"),),
    runtime_bytes=RUNTIME_BYTES,
    memory_fraction=DEFAULT_MEMORY_FRACTION,
    share_of=OF_AVAILABLE,
)
"""What this adapter launches; a test holds it against the planner's table of engines."""
WORDS = Vocabulary(
    PROFILE,
    quantizations=QUANTIZATIONS,
    kv_types=tuple(KV_TYPES),
    attention_backends=ATTENTION_BACKENDS,
    moe_backends=MOE_BACKENDS,
    load_formats=LOAD_FORMATS,
    draft_methods=WITH_DRAFT,
    free_methods=("ngram",),
)
KERNELS = Kernels(
    INFO.title,
    ("fa3", "fa4"),
    "flashinfer or triton",
    "--moe-runner-backend",
    "flashinfer_cutlass or marlin",
    long_context="SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN",
)


class Sglang:
    """The adapter; holds no state."""

    info = INFO

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against the request."""
        problems = node_problems(request, context) + tensor_problems(request, context.spec)
        problems += word_problems(request, context.spec, WORDS) + lan_refusal(request, INFO.title, KEY_IN_WORDS)
        if request.purpose not in INFO.purposes:
            problems.append(error(f"SGLang is not launched for {request.purpose} here", "Choose vLLM.", "purpose"))
        if has_errors(problems):
            return problems
        node = context.node(request.nodes[0])
        size = launched_weights(request, context.spec).weight_bytes or None
        image = _image(request, context)
        problems += container_problems(request, node, image=image, weights_bytes=size, repo=request.model)
        problems += share_launch_problems(request, context, PROFILE)
        problems += spark_problems(request, context.spec, node.mem_total_bytes)
        problems += pinned_problems(request, image, context.images.get(INFO.key, ()))
        return problems + trap_problems(request, context.spec, image, KERNELS)

    def plan(self, request: LaunchRequest, context: PlanContext) -> LaunchPlan:
        """The plan. Raises PlanError when the request has an error."""
        refuse_errors(self.problems(request, context))
        ledger = share_ledger(request, context, PROFILE)
        container = container_of(request, context, _image(request, context), ledger)
        spec = JobSpec(
            job_id=context.job_id,
            node_id=request.nodes[0],
            title=request.served_name,
            engine=INFO.title,
            owner=context.owner,
            argv=container_argv(container, _words(request, context.spec)),
            endpoint=loopback_endpoint(request, context, INFO.key),
            before=before_stages(request, context, container.image),
            container=container_name(context.job_id),
            secrets=secret_references(container.secrets, context.job_id),
        )
        plan = build_plan(request, context, spec, ledger=ledger, command_title="docker run")
        return replace(plan, notes=(*plan.notes, *share_notes(request, context, PROFILE)))

    def log_reader(self) -> RuledLog:
        """A new reader."""
        return RuledLog(LOG_RULES, FAILURE_RULES)

    def readings(self, text: str) -> dict[str, float]:
        """The /metrics page."""
        found = read_prometheus(text, METRIC_NAMES) | read_histograms(text, HISTOGRAMS)
        if CACHED_TOKENS in found and PROMPT_TOKENS in found:
            # Each token of a prompt is looked up in the radix cache.
            found |= {PREFIX_HITS: found[CACHED_TOKENS], PREFIX_QUERIES: found[PROMPT_TOKENS]}
        return found

    def failure(self, status: int, body: bytes) -> EndpointFailure | None:
        """What an HTTP failure means."""
        message = _message_of(body)
        if message is None:
            return None
        limit = re.search(r"context length (?:of )?\(?(\d{1,9}) tokens", message)
        if limit:
            prompt = re.search(r"input \((\d{1,9}) tokens\)|(\d{1,9}) tokens from the input", message)
            return EndpointFailure(
                "context_overflow",
                message,
                "Shorten the conversation, or launch the model with a longer context.",
                prompt_tokens=int(prompt[1] or prompt[2]) if prompt else None,
                context_tokens=int(limit[1]),
            )
        if status == 404:
            return EndpointFailure("model_not_found", message, "Use the name that the server was launched with.")
        if status == 401:
            return EndpointFailure("unauthorized", message or "API key refused", "Give this server's API key.")
        if status == 503:
            return EndpointFailure("overloaded", message, "Wait a moment, or look at the server's log.")
        return EndpointFailure("bad_request" if status < 500 else "other", message, "Look at the server's log.")


def _message_of(body: bytes) -> str | None:
    """The error's words: under "error" in a stream, else the answer itself. None when it is no such answer."""
    found = read_error_object(body)
    if found is None:
        try:
            answer = json.loads(body[:65536])
        except (ValueError, RecursionError):
            return None
        found = answer if isinstance(answer, dict) and answer.get("object") == "error" else None
    return None if found is None else str(found.get("message", ""))[:1000]


def _words(request: LaunchRequest, spec: ModelSpec | None) -> tuple[str, ...]:
    """The server's own words after the image."""
    words = ["python3", "-m", "sglang.launch_server", "--model-path", request.model]
    words += ["--served-model-name", request.served_name, "--host", "127.0.0.1", "--port", str(request.port)]
    words += ["--context-length", str(request.context_tokens), "--max-running-requests", str(request.concurrency)]
    words += ["--mem-fraction-static", f"{share_of(request, spec, PROFILE) or 0.0:.2f}", "--enable-metrics"]
    # The second: an answer's usage tells how much of its prompt came out of the cache. Source: SGLang's own arguments.
    words.append("--is-embedding" if request.purpose == "embed" else "--enable-cache-report")
    if request.kv_dtype:
        words += ["--kv-cache-dtype", KV_TYPES[request.kv_dtype]]
    if quantization := _quantization(request, spec):
        words += ["--quantization", quantization]
    words += _speculation(request)
    if request.prefix_caching is False:
        words.append("--disable-radix-cache")
    for flag, value in (
        ("--tool-call-parser", request.tool_parser),
        ("--reasoning-parser", request.reasoning_parser),
        ("--attention-backend", request.attention_backend or (DEFAULT_ATTENTION if request.purpose == "chat" else "")),
        ("--moe-runner-backend", request.moe_backend),
        ("--load-format", request.load_format),
        ("--chunked-prefill-size", request.max_batched_tokens),
    ):
        if value:
            words += [flag, str(value)]
    if request.trust_remote_code:
        words.append("--trust-remote-code")
    if not any(word.partition("=")[0] in QUIET_FLAGS for word in request.extra_flags):
        words += [QUIET_FLAGS[0], "/health", "/metrics"]
    return (*words, *request.extra_flags)


def _quantization(request: LaunchRequest, spec: ModelSpec | None) -> str:
    """NVIDIA's NVFP4 checkpoints want the word (the playbook has it); other formats are in the checkpoint."""
    weights = launched_weights(request, spec)
    if request.quantization and not has_format(spec, request.quantization):
        return request.quantization
    return "modelopt_fp4" if weights.key == "NVFP4" and weights.repo.casefold().startswith("nvidia/") else ""


def _speculation(request: LaunchRequest) -> list[str]:
    """The flags of a speculative method; none for none."""
    method, tokens = request.speculative, request.speculative_tokens
    if method not in METHODS:
        return []
    words = ["--speculative-algorithm", METHODS[method]]
    if method in WITH_DRAFT:
        words += ["--speculative-draft-model-path", request.speculative_model]
    if method in STEPPED:
        steps = tokens or DRAFT_STEPS
        words += ["--speculative-num-steps", str(steps), "--speculative-eagle-topk", "1"]
        words += ["--speculative-num-draft-tokens", str(steps + 1)]
    elif tokens:
        words += ["--speculative-num-draft-tokens", str(tokens)]
    return words


def _image(request: LaunchRequest, context: PlanContext) -> str:
    return request.image or default_image(context.images, INFO.key, DEFAULT_IMAGE)


def _read_arguments(match: re.Match[str]) -> tuple[Finding, ...]:
    """The server's line of all its arguments, as a mapping or (in older releases) as a call."""
    words = []
    for key, name in (
        ("attention_backend", "attention_backend"),
        ("moe_backend", "moe_runner_backend"),
        ("kv_dtype", "kv_cache_dtype"),
        ("quantization", "quantization"),
    ):
        found = re.search(rf"(?<![\w])['\"]?{name}['\"]?[=:] ?['\"]([\w.-]{{1,40}})['\"]", match[1])
        if found:
            words.append((key, found[1]))
    if re.search(r"['\"]?disable_cuda_graph['\"]?[=:] ?True", match[1]):
        words.append(("eager", "yes"))
    return tuple(Told(key, text) for key, text in words)


def _read_weights(match: re.Match[str]) -> tuple[Finding, ...]:
    seconds = re.search(r"elapsed=([\d.]{1,12}) s", match[0])
    taken = (Reading(WEIGHTS_LOAD_S, number(seconds[1])),) if seconds else ()
    return (*say("load", "Weights loaded", 1.0)(match), gib(WEIGHTS_BYTES, match[1]), *taken)


def _read_cache(match: re.Match[str]) -> tuple[Finding, ...]:
    sizes = re.findall(r"(?:K|V|KV) size: ([\d.]{1,12}) ?GB", match[2])
    total = sum(number(size) for size in sizes[:2]) * GIB
    return (
        *say("load", "KV cache of {1} tokens", is_result=True)(match),
        Reading(KV_CAPACITY_TOKENS, number(match[1])),
        *((Reading(KV_CAPACITY_BYTES, total),) if sizes else ()),
    )


def _read_graphs(match: re.Match[str]) -> tuple[Finding, ...]:
    return (*say("warmup", "CUDA graphs captured", 1.0)(match), gib(GRAPH_BYTES, match[1]))


LOG_RULES = tuple(
    LogRule(re.compile(pattern), read)
    for pattern, read in (
        (r"checkpoint shards:\s{0,9}(\d{1,3})% Completed \| (\d{1,5})/(\d{1,5})",
         say_share("load", "Weights {2} of {3} files")),
        (r"checkpoint shards:\s{0,9}(\d{1,3})%", say_share("load", "Loading weights")),
        (r"Capturing batches \([^)]{0,80}\):\s{0,9}(\d{1,3})%", say_share("warmup", "Capturing CUDA graphs")),
        (r"server_args=(.+)", _read_arguments),
        (r"Load weight begin", say("load", "Loading weights", 0.0)),
        (r"Load weight end\..{0,400}?mem usage=(-?[\d.]{1,12}) ?GB", _read_weights),
        (r"(?:is allocated|VA upper bound)\. .{0,60}#tokens: (\d{1,12}), (.{1,120})", _read_cache),
        (r"max_total_num_tokens=(\d{1,12}), chunked_prefill_size",
         lambda match: (Reading(KV_CAPACITY_TOKENS, number(match[1])),)),
        (r"Capture (?:target decode |target verify )?(?:CUDA|cuda) graphs? end\..{0,400}?mem usage=(-?[\d.]{1,12}) ?GB",
         _read_graphs),
        (r"Capture .{0,40}(?:CUDA|cuda) graphs? begin", say("warmup", "Capturing CUDA graphs", 0.0)),
        (r"\[simulated\] (simulated SGLang[^:]{0,60})", tell("simulated")),
        (r"The server is fired up and ready to roll", say("token", "Server answers")),
        (r"Application startup complete|Uvicorn running on", say("token", "Server listens")),
    )
)  # fmt: skip
FAILURE_RULES = (
    *(
        FailureRule(re.compile(pattern), remedy)
        for pattern, remedy in (
            (r"unrecognized arguments", "Remove the flag that this release of SGLang does not know."),
            (r"invalid choice", "Choose one of the values that SGLang names."),
            (r"Raise --mem-fraction-static above ([\d.]{1,6})", "Raise the memory share above {1}."),
            (r"Not enough memory\. Please try to increase --mem-fraction-static", "Raise the memory share."),
            (r"Capture cuda graph failed", "Lower the memory share, or stop what runs on the node."),
            (r"Invalid attention backend", "Choose another attention backend."),
            (r"greater than the derived context_length \((\d{1,9})\).{1,400}SGLANG_ALLOW_OVERWRITE",
             "Lower the context to {1} tokens, for which the model was trained."),
        )
    ),
    *DOCKER_FAILURES,
    *GPU_FAILURES,
)  # fmt: skip
"""Source of both: SGLang 0.5.23's own source."""


backend = Sglang()
