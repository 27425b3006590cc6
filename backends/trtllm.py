"""TensorRT-LLM in a container: `trtllm-serve` with a file of options that is part of the job's folder.

Source of the launch form, images and options: NVIDIA's DGX Spark playbooks "trt-llm", "speculative-decoding" and
"nemotron"; of flags: the table read from the engine's source (resources/flags); of log lines and metrics: that source
and logs that its users published. Nothing of it was run here: unverified on hardware [trtllm-on-gb10].
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from sparkdesk.core.jobs.backend import BackendInfo, EndpointFailure, Finding, LoadProgress, PlanContext, Reading
from sparkdesk.core.jobs.engine_page import read_trtllm
from sparkdesk.core.jobs.failure import read_error_object
from sparkdesk.core.jobs.image import default_image
from sparkdesk.core.jobs.log_rule import (
    DOCKER_FAILURES,
    GPU_FAILURES,
    FailureRule,
    LogRule,
    RuledLog,
    gib,
    number,
    say,
    tell,
)
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.reading import (
    ACCEPTED_TOKENS,
    DRAFT_TOKENS,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    PREFIX_HITS,
    PREFIX_QUERIES,
    PROMPT_TOKENS,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
    read_prometheus,
)
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import LayerKind, ModelSpec
from sparkdesk.core.planning.launch.docker import container_problems
from sparkdesk.core.planning.launch.preflight import (
    has_errors,
    node_problems,
    refuse_errors,
    tensor_problems,
)
from sparkdesk.core.planning.launch.refusal import room_problems
from sparkdesk.core.planning.launch.request import NO_SPECULATION, STOCK, live_place, place_of, setup_of, workload_of
from sparkdesk.core.planning.launch.trap import Kernels, pinned_problems, trap_problems
from sparkdesk.core.planning.launch.word import Vocabulary, error, lan_refusal, spark_problems, word_problems
from sparkdesk.core.planning.memory.ledger import launch_ledgers
from sparkdesk.core.planning.setup import Build, EngineProfile
from sparkdesk.core.playbooks.container import (
    container_argv,
    container_name,
    container_of,
    loopback_endpoint,
    secret_references,
)
from sparkdesk.core.playbooks.fetch.stage import fetch_stages
from sparkdesk.core.playbooks.job import FOLDER_WORD, JobSpec, build_plan
from sparkdesk.core.step import Stage

DEFAULT_IMAGE = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13"
DRAFT_IMAGE = "nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc12"
"""The one that NVIDIA's playbook takes for Eagle and draft models."""
OPTIONS_FILE = "options.yaml"
OPTIONS_INSIDE = "/sparkdesk/options.yaml"
FREE_MEMORY_FRACTION = 0.9
"""Of what is free once the weights are loaded, for KV cache. Source: NVIDIA's playbook. The tokens of the plan are the
lower bound of the two: of the free memory of a Spark the system needs its part."""
DEFAULT_MOST_TOKENS = 8192
"""What one step takes where nobody says. Source: the engine's own default, recalled."""
TIKTOKEN = "TIKTOKEN_ENCODINGS_BASE"
RUNTIME_BYTES = 4 << 30
"""CUDA context, graphs, activations and the server; an allowance, recalled."""
DRAFT_KINDS = {"eagle3": ("Eagle", 5), "draft": ("DraftTarget", 4)}
"""Our word -> the engine's, and how many tokens are guessed. Source: NVIDIA's playbook "speculative-decoding"."""
ONE_BY_ONE = "TRT_LLM_DISABLE_LOAD_WEIGHTS_IN_PARALLEL"
"""Set to 1 it reads one file of weights after the other. Source: NVIDIA's playbook "trt-llm", for nodes whose memory
runs out while weights load."""
PEAK_SHARE = 0.6
"""Of what is available: weights above it are warned of, as files that are read at once lie there beside them. Our own
choice, unverified on hardware [trtllm-on-gb10]."""
MTP_LAYERS = 3
"""Source: NVIDIA's playbook "nemotron"."""
NGRAM_TOKENS = 4
"""Unverified on hardware [trtllm-on-gb10]."""
METRIC_NAMES = {
    "trtllm_spec_decode_num_draft_tokens_total": DRAFT_TOKENS,
    "trtllm_spec_decode_num_accepted_tokens_total": ACCEPTED_TOKENS,
    "trtllm_prompt_cached_tokens_total": PREFIX_HITS,
}

INFO = BackendInfo(
    key="trtllm",
    title="TensorRT-LLM",
    purposes=("chat", "vision"),
    docs="https://nvidia.github.io/TensorRT-LLM/commands/trtllm-serve/trtllm-serve.html",
    default_port=8355,
)
PROFILE = EngineProfile(
    key=INFO.key,
    title=INFO.title,
    formats=("BF16", "FP8", "INT8", "NVFP4", "MXFP4", "AWQ", "GPTQ", "INT4"),
    kv_dtypes=("auto", "fp8"),
    parallelisms=(),  # over nodes it is not launched yet, so more of them are not proposed either
    speculatives=(NO_SPECULATION, "mtp", "eagle3", "draft", "ngram"),
    builds=(Build(STOCK, "Stock image"),),
    runtime_bytes=RUNTIME_BYTES,
)
"""What this adapter launches; a test holds it against the planner's table of engines."""
WORDS = Vocabulary(
    PROFILE,
    quantizations=("",),
    kv_types=("", "auto", "fp8", "nvfp4"),
    attention_backends=("TRTLLM", "FLASHINFER", "VANILLA"),
    moe_backends=("CUTLASS", "TRTLLM", "CUTEDSL", "DEEPGEMM", "TRITON", "VANILLA", "WIDEEP"),
    load_formats=("auto",),
    draft_methods=tuple(DRAFT_KINDS),
    free_methods=("ngram",),
)
"""Backends: the engine's documentation, recalled; another word is only warned of."""
KERNELS = Kernels(INFO.title, nvfp4_moe="CUTLASS", long_context="TLLM_ALLOW_LONG_MAX_MODEL_LEN")
"""Source: NVIDIA's playbook "nemotron"."""


class TensorRtLlm:
    """The adapter; holds no state."""

    info = INFO

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against the request."""
        problems = node_problems(request, context) + tensor_problems(request, context.spec)
        problems += word_problems(request, context.spec, WORDS)
        problems += lan_refusal(request, INFO.title, "it has no key of its own")
        if request.purpose not in INFO.purposes:
            problems.append(error(f"TensorRT-LLM serves no {request.purpose} here", "Take vLLM for it.", "purpose"))
        if has_errors(problems):
            return problems
        node = context.node(request.nodes[0])
        setup, load = setup_of(request, context.spec, PROFILE), workload_of(request)
        place, weights_bytes = place_of(request, context), setup.weights.weight_bytes or None
        problems += container_problems(
            request, node, image=_image(request, context), weights_bytes=weights_bytes, repo=request.model
        )
        problems += trap_problems(request, context.spec, _image(request, context), KERNELS)
        problems += pinned_problems(request, _image(request, context), context.images.get(INFO.key, ()))
        problems += spark_problems(request, context.spec, node.mem_total_bytes) + _model_problems(request, context.spec)
        problems += _peak_problems(request, weights_bytes, node.mem_available_bytes)
        return [*problems, *room_problems(setup, load, place, live_place(context))]

    def plan(self, request: LaunchRequest, context: PlanContext) -> LaunchPlan:
        """The plan. Raises PlanError when the request has an error."""
        refuse_errors(self.problems(request, context))
        ledger, image = _ledger(request, context), _image(request, context)
        container = container_of(request, context, image, ledger)
        volumes = (*container.volumes, (f"{FOLDER_WORD}/{OPTIONS_FILE}", f"{OPTIONS_INSIDE}:ro"), *_encodings(request))
        container = replace(container, volumes=volumes)
        endpoint = loopback_endpoint(request, context, INFO.key, metrics_path="/prometheus/metrics")
        spec = JobSpec(
            job_id=context.job_id,
            node_id=request.nodes[0],
            title=request.served_name,
            engine=INFO.title,
            owner=context.owner,
            argv=container_argv(container, _words(request)),
            # It has no word for another name: the model's id is what requests must say.
            endpoint=replace(endpoint, model=request.model),
            files=((OPTIONS_FILE, _options(request, context.spec), 0o644),),
            before=_fetches(request, context, image),
            container=container_name(context.job_id),
            secrets=secret_references(container.secrets, context.job_id),
        )
        plan = build_plan(request, context, spec, ledger=ledger, command_title="docker run")
        options = f"{OPTIONS_FILE} of the job's folder is mounted read-only; it is shown with the plan's steps"
        name = f"Requests name the model {request.model}: trtllm-serve has no other name for it"
        return replace(plan, notes=(*plan.notes, options, *((name,) if request.served_name != request.model else ())))

    def log_reader(self) -> RuledLog:
        """A new reader."""
        return RuledLog(LOG_RULES, FAILURE_RULES)

    def readings(self, text: str) -> dict[str, float]:
        """/prometheus/metrics: each series is optional, older releases have a few of them only."""
        found = read_trtllm(text) | read_prometheus(text, METRIC_NAMES)
        if PREFIX_HITS in found and PROMPT_TOKENS in found:
            found[PREFIX_QUERIES] = found[PROMPT_TOKENS]
        return found

    def failure(self, status: int, body: bytes) -> EndpointFailure | None:
        """What an HTTP failure means. Shapes: OpenAI's, as in the engine's source; unverified [trtllm-on-gb10]."""
        error_ = read_error_object(body)
        flat = error_ if error_ is not None else _flat_error(body)
        if flat is None:
            return None
        message = str(flat.get("message", ""))[:1000]
        limit = re.search(r"(?:max_seq_len|max_num_tokens)\D{0,20}(\d{1,9})", message)
        if limit:
            remedy = "Shorten the conversation, or launch the model with a longer context."
            return EndpointFailure("context_overflow", message, remedy, context_tokens=int(limit[1]))
        if status == 404:
            return EndpointFailure("model_not_found", message, "Use the model's own id.")
        if status >= 500:
            return EndpointFailure("other", message, "Look at the server's log.")
        return EndpointFailure("bad_request", message, "Look at the server's log.")


def _flat_error(body: bytes) -> Mapping[str, object] | None:
    """An error whose fields stand at the top: {"object": "error", "message": ...}; None when it is none."""
    try:
        answer = json.loads(body[:65536])
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and answer.get("object") == "error" else None


def _image(request: LaunchRequest, context: PlanContext) -> str:
    if request.image or request.speculative not in DRAFT_KINDS:
        return request.image or default_image(context.images, INFO.key, DEFAULT_IMAGE)
    return DRAFT_IMAGE


def _ledger(request: LaunchRequest, context: PlanContext) -> MemoryLedger:
    setup = setup_of(request, context.spec, PROFILE)
    return launch_ledgers(setup, workload_of(request), place_of(request, context))[0]


def _fetches(request: LaunchRequest, context: PlanContext, image: str) -> tuple[Stage, ...]:
    """Image, weights, and the draft's weights where there is one."""
    node = context.node(request.nodes[0])
    draft = request.speculative_model if request.speculative in DRAFT_KINDS else ""
    stages = fetch_stages(request, context, node, image=image, repo=request.model)
    return (*stages, *fetch_stages(request, context, node, repo=draft))


def _words(request: LaunchRequest) -> tuple[str, ...]:
    """The server's own words."""
    words = ["trtllm-serve", request.model, "--host", "127.0.0.1", "--port", str(request.port)]
    words += ["--max_batch_size", str(request.concurrency), "--max_seq_len", str(request.context_tokens)]
    for flag, value in (
        ("--max_num_tokens", request.max_batched_tokens),
        ("--tool_parser", request.tool_parser),
        ("--reasoning_parser", request.reasoning_parser),
    ):
        if value:
            words += [flag, str(value)]
    if request.trust_remote_code:
        words.append("--trust_remote_code")
    return (*words, "--extra_llm_api_options", OPTIONS_INSIDE, *request.extra_flags)


def _options(request: LaunchRequest, spec: ModelSpec | None) -> bytes:
    """The file of options: YAML, whose values are written as JSON (which YAML reads)."""
    options: dict[str, object] = {
        "print_iter_log": False,
        "enable_iter_perf_stats": True,
        "return_perf_metrics": True,
        "disable_overlap_scheduler": True,
        "cuda_graph_config": {"enable_padding": True},
        "kv_cache_config": _cache_options(request, spec),
    }
    if request.context_tokens > (request.max_batched_tokens or DEFAULT_MOST_TOKENS):
        options["enable_chunked_prefill"] = True  # else a prompt longer than one step is refused
    if request.moe_backend:
        options["moe_config"] = {"backend": request.moe_backend.upper()}
    if request.attention_backend:
        options["attn_backend"] = request.attention_backend.upper()
    if speculation := _speculation(request):
        options["speculative_config"] = speculation
    return "".join(_yaml(key, value) for key, value in options.items()).encode()


def _cache_options(request: LaunchRequest, spec: ModelSpec | None) -> dict[str, object]:
    cache: dict[str, object] = {
        "dtype": request.kv_dtype or "auto",
        "free_gpu_memory_fraction": request.memory_fraction or FREE_MEMORY_FRACTION,
        "max_tokens": request.context_tokens * request.concurrency,
    }
    if _reuses_no_blocks(request, spec):
        cache["enable_block_reuse"] = False
    elif request.prefix_caching:
        cache["enable_block_reuse"] = True
    if "nemotron" in request.model.casefold() and _is_hybrid(spec):
        cache["mamba_ssm_cache_dtype"] = "float32"
    return cache


def _reuses_no_blocks(request: LaunchRequest, spec: ModelSpec | None) -> bool:
    """Layers with a state cannot take blocks again; NVIDIA's form of Eagle and draft models does not either."""
    return _is_hybrid(spec) or request.prefix_caching is False or request.speculative in DRAFT_KINDS


def _is_hybrid(spec: ModelSpec | None) -> bool:
    return spec is not None and any(group.kind is LayerKind.LINEAR for group in spec.layers)


def _speculation(request: LaunchRequest) -> dict[str, object]:
    method, tokens = request.speculative, request.speculative_tokens
    if method in DRAFT_KINDS:
        kind, usual = DRAFT_KINDS[method]
        return {
            "decoding_type": kind,
            "max_draft_len": tokens or usual,
            "speculative_model_dir": request.speculative_model,
        }
    if method == "mtp":
        return {"decoding_type": "MTP", "num_nextn_predict_layers": tokens or MTP_LAYERS}
    if method == "ngram":
        return {"decoding_type": "NGram", "max_draft_len": tokens or NGRAM_TOKENS}
    return {}


def _yaml(key: str, value: object) -> str:
    if isinstance(value, dict):
        return f"{key}:\n" + "".join(f"  {name}: {json.dumps(each)}\n" for name, each in value.items())
    return f"{key}: {json.dumps(value)}\n"


def _encodings(request: LaunchRequest) -> tuple[tuple[str, str], ...]:
    """The folder with gpt-oss's encodings, under the same name inside."""
    path = dict(request.environment).get(TIKTOKEN, "")
    return ((path, f"{path}:ro"),) if re.fullmatch(r"/[\w./-]{1,400}", path) and ".." not in path else ()


def _peak_problems(request: LaunchRequest, weights_bytes: int | None, available: int | None) -> list[Problem]:
    """Weights whose load may take the node's memory, though they fit once they are loaded."""
    is_set = any(name == ONE_BY_ONE for name, _ in request.environment)
    if is_set or not weights_bytes or not available or weights_bytes <= PEAK_SHARE * available:
        return []
    words = "TensorRT-LLM reads several files of weights at once, which takes memory beside the weights while it loads"
    return [Problem(Severity.WARNING, words, f"Set {ONE_BY_ONE}=1 in the environment.", "environment")]


def _model_problems(request: LaunchRequest, spec: ModelSpec | None) -> list[Problem]:
    """What goes wrong with some models."""
    problems = []
    if "gpt-oss" in request.model.casefold() and TIKTOKEN not in dict(request.environment):
        words = "gpt-oss needs the files o200k_base.tiktoken and cl100k_base.tiktoken with TensorRT-LLM"
        remedy = f"Put both into a folder on the node and name it: {TIKTOKEN}=/that/folder in the environment."
        problems.append(Problem(Severity.WARNING, words, remedy, "environment"))
    if request.prefix_caching and _is_hybrid(spec):
        words = f"{spec.title if spec else request.model} has layers with a state, whose prefixes cannot be used again"
        problems.append(error(words, "Leave prefix caching to the engine.", "prefix_caching"))
    elif request.prefix_caching and request.speculative in DRAFT_KINDS:
        words = "NVIDIA's form of this speculative method is without prefix caching, and it is left out"
        problems.append(Problem(Severity.WARNING, words, "Leave prefix caching to the engine.", "prefix_caching"))
    if request.speculative in DRAFT_KINDS and request.concurrency > 1:
        words = "NVIDIA's figures for this speculative method are for one user"
        problems.append(Problem(Severity.NOTE, words, "Measure it with your number of users.", "concurrency"))
    return problems


def _read_weights(match: re.Match[str]) -> tuple[Finding, ...]:
    return (LoadProgress("load", f"Weights {match[2]} of {match[3]} parts", min(1.0, int(match[1]) / 100)),)


def _read_cache(match: re.Match[str]) -> tuple[Finding, ...]:
    words = LoadProgress("load", f"KV cache of {int(match[2]):,} tokens", is_result=True)
    return (words, gib(KV_CAPACITY_BYTES, match[1]), Reading(KV_CAPACITY_TOKENS, number(match[2])))


_WEIGHTS = (
    r"Loading (?:safetensors )?weights (?:in parallel|concurrently):\s{1,9}(\d{1,3})%\D{0,200}?(\d{1,6})/(\d{1,6})"
)
LOG_RULES = tuple(
    LogRule(re.compile(pattern), read)
    for pattern, read in (
        (_WEIGHTS, _read_weights),
        (r"Model init total -- ([\d.]{1,12})s", lambda match: (Reading(WEIGHTS_LOAD_S, number(match[1])),)),
        (r"Memory used after loading model weights \(inside torch\)[^:]{0,60}: ([\d.]{1,12}) GiB",
         lambda match: (gib(WEIGHTS_BYTES, match[1]),)),
        (r"Allocated ([\d.]{1,12}) GiB for max tokens in paged KV cache \((\d{1,12})\)", _read_cache),
        (r"TensorRT[- ]LLM version: ([\w.+-]{1,40})", tell("version")),
        (r"(?i)cuda graph.{0,60}warm|warm.{0,60}cuda graph|autotuner warmup", say("warmup", "Warm-up and CUDA graphs")),
        (r"Application startup complete", say("token", "Server listens")),
    )
)  # fmt: skip
"""Weights, memory and cache: the engine's source and logs that its users published; warm-up: recalled."""
FAILURE_RULES = (
    *(
        FailureRule(re.compile(pattern), remedy)
        for pattern, remedy in (
            (r"No such option", "Remove the flag that this release of TensorRT-LLM does not know."),
            (r"Invalid value for '?--\w{2,40}", "Correct the value: this release of TensorRT-LLM does not take it."),
            (r"Extra inputs are not permitted", "This release does not know one of the options: take another image."),
            (r"Failed to bind socket", "Take another port."),
            (r"Insufficient GPU memory for the KV cache",
             "Lower the context or the users, choose smaller weights, or stop what runs on the node."),
            (r"(?i)error downloading or loading vocab file|tiktoken.{0,80}(?:error|failed)",
             f"Give gpt-oss its encodings: {TIKTOKEN} in the environment."),
            (r"(?i)not supported in TRT-LLM yet|Unknown architecture",
             "Take another engine: this release does not know the model's kind."),
        )
    ),
    *GPU_FAILURES,
    *DOCKER_FAILURES,
    FailureRule(re.compile(r"Failed to initialize executor"), "Look at the lines before it in the log."),
)  # fmt: skip
"""Source: click's and pydantic's own words, the engine's source; tiktoken's recalled."""


backend = TensorRtLlm()
