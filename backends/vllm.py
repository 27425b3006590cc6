"""vLLM in a container: one node, one container, the OpenAI server inside.

Source of the launch form and images: NVIDIA's DGX Spark playbook "vllm"; of flags: the table extracted from vLLM
0.33.0's own source (resources/flags); of log lines: vLLM 0.33.0's source and vLLM 0.32.0 on CPU, run and captured; of
metrics and failures: the same run. On GB10 itself: unverified on hardware [vllm-on-gb10].
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from backends.vllm_log import FAILURE_RULES, LOG_RULES
from sparkdesk.core.jobs.backend import BackendInfo, EndpointFailure, PlanContext
from sparkdesk.core.jobs.failure import read_error_object
from sparkdesk.core.jobs.image import default_image
from sparkdesk.core.jobs.log_rule import (
    RuledLog,
)
from sparkdesk.core.jobs.plan import LaunchPlan, Problem, Severity
from sparkdesk.core.jobs.reading import (
    ACCEPTED_TOKENS,
    CACHED_TOKENS,
    DECODE_S,
    DRAFT_TOKENS,
    GENERATED_TOKENS,
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
    read_histograms,
    read_labels,
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
from sparkdesk.core.planning.launch.request import (
    NO_SPECULATION,
    SMALL_PURPOSES,
    STOCK,
    has_format,
    launched_weights,
    share_of,
)
from sparkdesk.core.planning.launch.share import share_launch_problems, share_ledger, share_notes
from sparkdesk.core.planning.launch.trap import EAGER, Kernels, pinned_problems, trap_problems
from sparkdesk.core.planning.launch.word import Vocabulary, spark_problems, word_problems
from sparkdesk.core.planning.setup import Build, EngineProfile
from sparkdesk.core.playbooks.container import (
    before_stages,
    container_argv,
    container_name,
    container_of,
    loopback_endpoint,
    secret_references,
)
from sparkdesk.core.playbooks.job import JobSpec, build_plan
from sparkdesk.core.playbooks.tuning import VLLM_TUNINGS as TUNINGS
from sparkdesk.core.playbooks.tuning import Tuning, without_said

DEFAULT_IMAGE = "nvcr.io/nvidia/vllm:26.05-py3"
"""Source: NVIDIA playbook "vllm"."""
DEFAULT_MEMORY_FRACTION = 0.7
"""Leaves a third of unified memory to the system and the page cache; vLLM's own default of 0.92 does not.
Source: community recipes for one Spark use 0.4 to 0.7."""
RUNTIME_BYTES = 4 << 30
"""CUDA context, graphs, activations and the server, beside weights and KV cache; an allowance,
unverified on hardware [vllm-outside-memory]."""
KV_TYPES = (
    "", "auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "nvfp4", "fp8_ds_mla", "nvfp4_ds_mla",
    "int8_per_token_head", "int4_per_token_head", "fp8_per_token_head",
)  # fmt: skip
"""What --kv-cache-dtype takes. Source: vLLM 0.33.0's own source."""

QUANTIZATIONS = (
    "", "awq", "awq_marlin", "gptq", "gptq_marlin", "auto_awq", "auto_gptq", "fp8", "fbgemm_fp8", "modelopt",
    "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed", "mxfp4", "gpt_oss_mxfp4", "mxfp8", "compressed-tensors",
    "quark", "torchao", "moe_wna16", "experts_int8", "fp8_per_tensor", "fp8_per_block", "fp8_per_channel",
    "int8_per_channel_weight_only", "nvfp4_per_token", "inc", "fp_quant", "humming", "deepseek_v4_fp8", "online",
)  # fmt: skip
"""What --quantization takes; a checkpoint that is quantized already needs none. Source: vLLM 0.33.0's own source."""

MOE_BACKENDS = (
    "auto", "triton", "deep_gemm", "cutlass", "flashinfer_trtllm", "flashinfer_cutlass", "flashinfer_cutedsl",
    "flashinfer_b12x", "b12x", "marlin", "humming", "triton_unfused", "emulation",
)  # fmt: skip
"""What --moe-backend takes and an NVIDIA GPU can run. Source: vLLM 0.33.0's own source."""
ATTENTION_BACKENDS = (
    "FLASH_ATTN", "FLASHINFER", "TRITON_ATTN", "FLASHINFER_MLA", "TRITON_MLA", "CUTLASS_MLA", "FLASHMLA",
    "FLASHINFER_MLA_SPARSE", "FLASHINFER_MLA_SPARSE_SM120", "FLEX_ATTENTION", "B12X",
)  # fmt: skip
LOAD_FORMATS = (
    "auto", "hf", "pt", "safetensors", "instanttensor", "fastsafetensors", "runai_streamer", "runai_streamer_sharded",
    "sharded_state", "tensorizer", "mistral", "npcache", "dummy",
)  # fmt: skip
KEY_VARIABLE = "VLLM_API_KEY"
"""Guards paths below /v1 only; /health and /metrics answer without it. Source: vLLM 0.33.0's own source."""
QUIET_FLAGS = ("--disable-access-log-for-endpoints", "--disable-uvicorn-access-log")
"""The first came with vLLM 0.16; a start that does not know it has a fix (core/jobs/fix.py)."""
CACHE_FLAG = "--enable-prompt-tokens-details"
"""With it an answer's usage tells how much of the prompt came out of the cache. Source: a real vLLM 0.32.0."""
REMOVED_VARIABLES = ("VLLM_NVFP4_GEMM_BACKEND", "VLLM_USE_FLASHINFER_MOE_FP4")
"""Of older playbooks; vLLM 0.33.0 has them no more and warns only. Source: its list of variables."""

METRIC_NAMES = {
    "vllm:generation_tokens_total": GENERATED_TOKENS,
    "vllm:prompt_tokens_total": PROMPT_TOKENS,
    "vllm:prompt_tokens_cached_total": CACHED_TOKENS,
    "vllm:num_requests_running": REQUESTS_RUNNING,
    "vllm:num_requests_waiting": REQUESTS_WAITING,
    "vllm:kv_cache_usage_perc": KV_USED,
    "vllm:gpu_cache_usage_perc": KV_USED,
    "vllm:num_preemptions_total": PREEMPTIONS,
    "vllm:spec_decode_num_drafts_total": SPECULATION,
    "vllm:spec_decode_num_draft_tokens_total": DRAFT_TOKENS,
    "vllm:spec_decode_num_accepted_tokens_total": ACCEPTED_TOKENS,
    "vllm:prefix_cache_queries_total": PREFIX_QUERIES,
    "vllm:prefix_cache_hits_total": PREFIX_HITS,
    "vllm:time_to_first_token_seconds_sum": TTFT_SUM_S,
    "vllm:time_to_first_token_seconds_count": TTFT_COUNT,
    "vllm:inter_token_latency_seconds_sum": DECODE_S,
}

HISTOGRAMS = {
    "vllm:time_to_first_token_seconds": TTFT,
    "vllm:inter_token_latency_seconds": TPOT,
    "vllm:time_per_output_token_seconds": TPOT,
}
"""The last is the older name of the one before."""

INFO = BackendInfo(
    key="vllm",
    title="vLLM",
    purposes=("chat", "vision", "embed", "rerank"),
    quantizations=QUANTIZATIONS,
    docs="https://docs.vllm.ai/en/stable/cli/serve/",
    default_port=8000,
)
TUNED_BUILD = "tuned"
PROFILE = EngineProfile(
    key=INFO.key,
    title=INFO.title,
    formats=("BF16", "FP8", "INT8", "NVFP4", "MXFP4", "AWQ", "GPTQ", "INT4"),
    kv_dtypes=("auto", "fp8"),
    parallelisms=(),  # over nodes it is not launched yet, so more of them are not proposed either
    speculatives=(NO_SPECULATION, "mtp", "eagle3", "draft", "ngram", "dflash"),
    builds=(Build(STOCK, "Stock image"), Build(TUNED_BUILD, "Tuned image"), Build(EAGER, "Without CUDA graphs")),
    runtime_bytes=RUNTIME_BYTES,
    memory_fraction=DEFAULT_MEMORY_FRACTION,
)
"""What this adapter launches; a test holds it against the planner's table of engines."""
METHODS = {
    "mtp": ("mtp", 3),
    "ngram": ("ngram", 5),
    "eagle3": ("eagle3", 3),
    "draft": ("draft_model", 4),
    "dflash": ("dflash", 15),
}
"""Our word -> vLLM's, and how many tokens it guesses a step where nobody says. Source of the numbers: NVIDIA's recipes
(mtp, eagle3, draft), vLLM's documentation (ngram), the community's recipe (dflash)."""
WITH_DRAFT = ("eagle3", "draft", "dflash")
NGRAM_LOOKUP = 4
"""The longest run of words that is looked up in the prompt. Source: vLLM's documentation."""

RERANKER = re.compile(r"^Qwen/Qwen3-Reranker-")
RANKER_CONFIG = {
    "architectures": ["Qwen3ForSequenceClassification"],
    "classifier_from_token": ["no", "yes"],
    "is_original_qwen3_reranker": True,
}
"""These checkpoints are chat models whose scores are two words'. Source: vLLM's own example of a Qwen3 reranker."""

WORDS = Vocabulary(
    PROFILE,
    quantizations=QUANTIZATIONS,
    kv_types=KV_TYPES,
    attention_backends=ATTENTION_BACKENDS,
    moe_backends=MOE_BACKENDS,
    load_formats=LOAD_FORMATS,
    draft_methods=WITH_DRAFT,
    free_methods=("ngram",),
)
KERNELS = Kernels(
    INFO.title,
    ("FLASH_ATTN",),
    "FLASHINFER or TRITON_ATTN",
    "--moe-backend",
    "marlin or flashinfer_cutlass",
    long_context="VLLM_ALLOW_LONG_MAX_MODEL_LEN",
)


class Vllm:
    """The adapter; holds no state."""

    info = INFO

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against the request."""
        problems = node_problems(request, context) + tensor_problems(request, context.spec)
        problems += word_problems(request, context.spec, WORDS)
        if has_errors(problems):
            return problems
        node = context.node(request.nodes[0])
        size = launched_weights(request, context.spec).weight_bytes or None
        image = _image(request, context)
        problems += container_problems(request, node, image=image, weights_bytes=size, repo=request.model)
        problems += share_launch_problems(request, context, PROFILE)
        problems += spark_problems(request, context.spec, node.mem_total_bytes)
        problems += trap_problems(request, context.spec, image, KERNELS)
        problems += pinned_problems(request, image, context.images.get(INFO.key, ()))
        return problems + _variable_problems(request) + _ranker_problems(request)

    def plan(self, request: LaunchRequest, context: PlanContext) -> LaunchPlan:
        """The plan. Raises PlanError when the request has an error."""
        refuse_errors(self.problems(request, context))
        ledger = share_ledger(request, context, PROFILE)
        tuning = _tuning(request)
        container = container_of(request, context, _image(request, context), ledger, INFO.key)
        container = replace(
            container,
            environment=(*(tuning.environment if tuning else ()), *container.environment),
            secrets=(*container.secrets, *((KEY_VARIABLE,) if request.reach == "lan" else ())),
        )
        is_server = container.image.partition(":")[0].endswith("vllm/vllm-openai")
        # The upstream image's entry point is the server already; NVIDIA's needs the words.
        words = (*(() if is_server else ("vllm", "serve")), *_words(request, context.spec))
        spec = JobSpec(
            job_id=context.job_id,
            node_id=request.nodes[0],
            title=request.served_name,
            engine=INFO.title,
            owner=context.owner,
            argv=container_argv(container, words),
            endpoint=loopback_endpoint(request, context, INFO.key),
            before=before_stages(request, context, container.image),
            container=container_name(context.job_id),
            secrets=secret_references(container.secrets, context.job_id),
            key_env=KEY_VARIABLE if request.reach == "lan" else "",
        )
        plan = build_plan(request, context, spec, ledger=ledger, command_title="docker run")
        notes = (*share_notes(request, context, PROFILE), *_build_notes(request), *_reach_notes(request))
        return replace(plan, notes=(*plan.notes, *notes))

    def log_reader(self) -> RuledLog:
        """A new reader."""
        return RuledLog(LOG_RULES, FAILURE_RULES)

    def readings(self, text: str) -> dict[str, float]:
        """The /metrics page."""
        found = read_prometheus(text, METRIC_NAMES) | read_histograms(text, HISTOGRAMS)
        capacity = _kv_capacity_tokens(text)
        return found | {KV_TOKENS: found[KV_USED] * capacity} if capacity and KV_USED in found else found

    def failure(self, status: int, body: bytes) -> EndpointFailure | None:
        """What an HTTP failure means."""
        error = read_error_object(body)
        if error is None:
            return None
        message = str(error.get("message", ""))[:1000]
        limit = re.search(r"maximum context length is (\d{1,9}) tokens", message)
        if limit:
            prompt = re.search(r"at least (\d{1,9}) input tokens", message)
            return EndpointFailure(
                "context_overflow",
                message,
                "Shorten the conversation, or launch the model with a longer context.",
                prompt_tokens=int(prompt[1]) if prompt else None,
                context_tokens=int(limit[1]),
            )
        if status == 404:
            return EndpointFailure("model_not_found", message, "Use the name that the server was launched with.")
        if status == 401:
            return EndpointFailure("unauthorized", message or "API key refused", "Give this server's API key.")
        if "EngineCore" in message:
            return EndpointFailure("engine_dead", message, "Look at the server's log and launch it again.")
        return EndpointFailure("bad_request" if status < 500 else "other", message, "Look at the server's log.")


def _kv_capacity_tokens(text: str) -> int | None:
    """Tokens that the KV cache of one engine holds; None when it is not told, or of several engines.

    Where the size is not told, blocks times their length: too much for models with several kinds of layers.
    """
    labels = read_labels(text, "vllm:cache_config_info")
    if len(labels) != 1:
        return None
    words = [labels[0].get(name, "") for name in ("kv_cache_size_tokens", "num_gpu_blocks", "block_size")]
    size, blocks, length = (int(word) if re.fullmatch(r"\d{1,12}", word) else 0 for word in words)
    return size or blocks * length or None


def _words(request: LaunchRequest, spec: ModelSpec | None) -> tuple[str, ...]:
    """The server's own words: the model, then flags."""
    words = [request.model, "--served-model-name", request.served_name]
    words += ["--host", "0.0.0.0" if request.reach == "lan" else "127.0.0.1", "--port", str(request.port)]
    words += ["--max-model-len", str(request.context_tokens), "--max-num-seqs", str(request.concurrency)]
    words += ["--gpu-memory-utilization", f"{share_of(request, spec, PROFILE) or 0.0:.2f}"]
    if request.purpose in SMALL_PURPOSES:
        words += ["--runner", "pooling", *_reranking(request)]
    else:
        words.append(CACHE_FLAG)
    if request.kv_dtype:
        words += ["--kv-cache-dtype", request.kv_dtype]
    # The model's own format needs no word: the checkpoint carries it. A word of vLLM's quantizes as it loads.
    if request.quantization and not has_format(spec, request.quantization):
        words += ["--quantization", request.quantization]
    words += [*_speculation(request, spec), *_chosen(request)]
    if request.build == EAGER:
        words.append("--enforce-eager")
    tuning = _tuning(request)
    words += without_said(tuning.flags, words) if tuning else ()
    return (*words, *_quiet_words(request), *request.extra_flags)


def _reranking(request: LaunchRequest) -> list[str]:
    """What makes a ranker of a checkpoint that is saved as a chat model."""
    is_plain = RERANKER.match(request.model) and not _is_told(request, "--hf-overrides")
    return ["--hf-overrides", json.dumps(RANKER_CONFIG, separators=(",", ":"))] if is_plain else []


def _is_told(request: LaunchRequest, flag: str) -> bool:
    """Whether a person gives this flag, or one whose name begins so; vLLM takes underscores for dashes."""
    return any(word.replace("_", "-").startswith(flag) for word in request.extra_flags)


def _ranker_problems(request: LaunchRequest) -> list[Problem]:
    """Its answers are scores all the same without its own form of a prompt, and they mean nothing."""
    is_told = _is_told(request, "--chat-template")
    if request.purpose != "rerank" or is_told or not RERANKER.match(request.model):
        return []
    words = f"vLLM scores with {request.model} only in the model's own form of a prompt, which the checkpoint lacks"
    remedy = "Name its template's file in the container (--chat-template), or take its GGUF with llama.cpp."
    return [Problem(Severity.WARNING, words, remedy, "purpose")]


def _quiet_words(request: LaunchRequest) -> tuple[str, ...]:
    """What keeps our own polling out of the server's log; nothing where the person says it.

    An image of a tuned build may be older than the flag that leaves other requests in the log.
    """
    if any(word.partition("=")[0].replace("_", "-") in QUIET_FLAGS for word in request.extra_flags):
        return ()
    tuning = _tuning(request)
    if tuning is not None and tuning.image and not request.image:
        return (QUIET_FLAGS[1],)
    return (QUIET_FLAGS[0], "/health,/metrics")


def _chosen(request: LaunchRequest) -> list[str]:
    """Flags of what a person chose among the engine's own parts."""
    words = []
    if request.prefix_caching is not None:
        words.append("--enable-prefix-caching" if request.prefix_caching else "--no-enable-prefix-caching")
    if request.tool_parser:
        words += ["--enable-auto-tool-choice", "--tool-call-parser", request.tool_parser]
    for flag, value in (
        ("--reasoning-parser", request.reasoning_parser),
        ("--attention-backend", request.attention_backend),
        ("--moe-backend", request.moe_backend),
        ("--load-format", request.load_format),
        ("--max-num-batched-tokens", request.max_batched_tokens),
    ):
        if value:
            words += [flag, str(value)]
    if request.trust_remote_code:
        words.append("--trust-remote-code")
    return words


def _speculation(request: LaunchRequest, spec: ModelSpec | None) -> list[str]:
    """The flag of a speculative method; none for none."""
    method = request.speculative
    if method not in METHODS:
        return []
    name, tokens = METHODS[method]
    config: dict[str, str | int] = {"method": name}
    if method in WITH_DRAFT:
        config["model"] = request.speculative_model
    config["num_speculative_tokens"] = request.speculative_tokens or tokens
    if method == "ngram":
        config["prompt_lookup_max"] = NGRAM_LOOKUP
    elif method == "mtp" and spec is not None and spec.experts and launched_weights(request, spec).key == "NVFP4":
        # The head's experts are not quantized: the kernels of the model's own do not take them (NVIDIA's recipes).
        config["moe_backend"] = "triton"
    return ["--speculative-config", json.dumps(config, separators=(",", ":"))]


def _tuning(request: LaunchRequest) -> Tuning | None:
    return TUNINGS.get(request.model.casefold()) if request.build == TUNED_BUILD else None


def _image(request: LaunchRequest, context: PlanContext) -> str:
    tuning = _tuning(request)
    chosen = request.image or (tuning.image if tuning else "")
    return chosen or default_image(context.images, INFO.key, DEFAULT_IMAGE)


def _build_notes(request: LaunchRequest) -> tuple[str, ...]:
    """What stands beside a build that is not the stock one."""
    if request.build != TUNED_BUILD:
        return ()
    tuning = _tuning(request)
    if tuning is None:
        return (f"No tuned build of {request.model} is known: it is launched as the stock one",)
    return (tuning.note,) if tuning.note else ()


def _reach_notes(request: LaunchRequest) -> tuple[str, ...]:
    if request.reach != "lan":
        return ()
    return ("Everybody on the node's networks reaches the server; its key guards /v1, not /health and /metrics",)


def _variable_problems(request: LaunchRequest) -> list[Problem]:
    """Variables that this release reads no more."""
    words, remedy = "{} is of older releases: vLLM 0.33 does not read it", "Choose the MoE backend instead."
    return [
        Problem(Severity.WARNING, words.format(name), remedy, "environment")
        for name, _ in request.environment
        if name in REMOVED_VARIABLES
    ]


backend = Vllm()
