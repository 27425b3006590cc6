"""vLLM in a container: one node, one container, the OpenAI server inside.

Source of the launch form and images: NVIDIA's DGX Spark playbook "vllm"; of flags: the table extracted from vLLM
0.33.0's own source (resources/flags); of log lines, metrics and failures: vLLM 0.32.0 on CPU, run and captured.
On GB10 itself: unverified on hardware [vllm-on-gb10].
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace

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
from sparkdesk.core.jobs.failure import read_error_object
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.reading import (
    CACHED_TOKENS,
    GENERATED_TOKENS,
    KV_TOKENS,
    KV_USED,
    PREEMPTIONS,
    PROMPT_TOKENS,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    SPECULATION,
    TTFT_COUNT,
    TTFT_SUM_S,
    read_labels,
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
from sparkdesk.core.planning.launch.request import (
    NO_SPECULATION,
    STOCK,
    has_format,
    launched_weights,
    live_place,
    place_of,
    setup_of,
    workload_of,
)
from sparkdesk.core.planning.memory.ledger import (
    fit_problems,
    launch_ledgers,
    share_problems,
    start_note,
    weights_problems,
)
from sparkdesk.core.planning.setup import Build, EngineProfile
from sparkdesk.core.playbooks.job import JobSpec, build_plan

DEFAULT_IMAGE = "nvcr.io/nvidia/vllm:26.05-py3"
"""Source: NVIDIA playbook "vllm"."""
DEFAULT_MEMORY_FRACTION = 0.7
"""Leaves a third of unified memory to the system and the page cache; vLLM's own default of 0.92 does not.
Source: community recipes for one Spark use 0.4 to 0.7."""
RUNTIME_BYTES = 4 << 30
"""CUDA context, graphs, activations and the server, beside weights and KV cache; an allowance,
unverified on hardware [vllm-outside-memory]."""
KV_TYPES = ("", "auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "nvfp4")

QUANTIZATIONS = (
    "", "awq", "awq_marlin", "gptq", "gptq_marlin", "auto_awq", "auto_gptq", "fp8", "fbgemm_fp8", "modelopt",
    "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed", "mxfp4", "gpt_oss_mxfp4", "mxfp8", "compressed-tensors",
    "quark", "torchao", "moe_wna16", "experts_int8",
)  # fmt: skip
"""What --quantization takes; a checkpoint that is quantized already needs none. Source: vLLM 0.33.0's own source."""

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
    "vllm:time_to_first_token_seconds_sum": TTFT_SUM_S,
    "vllm:time_to_first_token_seconds_count": TTFT_COUNT,
}

INFO = BackendInfo(
    key="vllm",
    title="vLLM",
    purposes=("chat",),
    quantizations=QUANTIZATIONS,
    docs="https://docs.vllm.ai/en/stable/cli/serve/",
    default_port=8000,
)
EAGER, TUNED_BUILD = "eager", "tuned"
PROFILE = EngineProfile(
    key=INFO.key,
    title=INFO.title,
    formats=("BF16", "FP8", "INT8", "NVFP4", "MXFP4", "AWQ", "GPTQ", "INT4"),
    kv_dtypes=("auto", "fp8"),
    parallelisms=(),  # over nodes it is not launched yet, so more of them are not proposed either
    speculatives=(NO_SPECULATION, "mtp", "ngram"),
    builds=(Build(STOCK, "Stock image"), Build(TUNED_BUILD, "Tuned image"), Build(EAGER, "Without CUDA graphs")),
    runtime_bytes=RUNTIME_BYTES,
    memory_fraction=DEFAULT_MEMORY_FRACTION,
)
"""What this adapter launches; a test holds it against the planner's table of engines."""
DRAFT_TOKENS = {"mtp": 3, "ngram": 5}
"""Tokens guessed a step. Source: NVIDIA's recipes (mtp), vLLM's documentation (ngram)."""
NGRAM_LOOKUP = 4
"""The longest run of words that is looked up in the prompt. Source: vLLM's documentation."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What makes a model's tuned build: words after the stock ones, variables, an image of its own ("": the stock)."""

    flags: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    image: str = ""
    note: str = ""


TUNINGS = {
    "openai/gpt-oss-120b": Tuning(
        ("--quantization", "mxfp4", "--mxfp4-backend", "CUTLASS", "--mxfp4-layers", "moe,qkv,o,lm_head",
         "--attention-backend", "FLASHINFER"),
        (("VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8", "1"),),
        "sparkarena/spark-vllm-docker:mxfp4",
        "The tuned build is a container image of the community, not of NVIDIA or vLLM",
    ),
    "nvidia/qwen3.6-35b-a3b-nvfp4": Tuning(
        ("--attention-backend", "flashinfer", "--moe-backend", "marlin", "--max-num-batched-tokens", "8192",
         "--enable-chunked-prefill", "--async-scheduling", "--enable-prefix-caching", "--load-format",
         "fastsafetensors"),
    ),
    "qwen/qwen3-coder-next-fp8": Tuning(("--attention-backend", "flashinfer")),
    "nvidia/nvidia-nemotron-3-super-120b-a12b-nvfp4": Tuning(
        ("--moe-backend", "marlin", "--mamba-ssm-cache-dtype", "float32"),
    ),
}  # fmt: skip
"""By hub id in lower case. Source: NVIDIA's playbooks "vllm" and "nemotron", the community's recipes for one Spark."""


class Vllm:
    """The adapter; holds no state."""

    info = INFO

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against the request."""
        problems = node_problems(request, context) + tensor_problems(request, context.spec)
        problems += _word_problems(request, context.spec)
        if has_errors(problems):
            return problems
        node = context.node(request.nodes[0])
        problems += _docker_problems(request, node) + port_problems(request, node)
        return problems + _memory_problems(request, context)

    def plan(self, request: LaunchRequest, context: PlanContext) -> LaunchPlan:
        """The plan. Raises PlanError when the request has an error."""
        refuse_errors(self.problems(request, context))
        node = context.node(request.nodes[0])
        container = f"sparkdesk-{context.job_id}"
        endpoint = Endpoint(
            node_id=request.nodes[0],
            host="127.0.0.1",
            port=request.port,
            model=request.served_name,
            engine=INFO.key,
            metrics_path="/metrics",
            context_tokens=request.context_tokens,
            note=context.engine_notes.get(INFO.key, ""),
        )
        spec = JobSpec(
            job_id=context.job_id,
            node_id=request.nodes[0],
            title=request.served_name,
            engine=INFO.title,
            owner=context.owner,
            argv=_argv(request, node, container, context.spec),
            endpoint=endpoint,
            stop_argv=(("docker", "stop", "--time", "20", container), ("docker", "rm", container)),
            extra={"container": container},
        )
        plan = build_plan(request, context, spec, ledger=_ledger(request, context), command_title="docker run")
        return replace(plan, notes=(*plan.notes, *_start_notes(request, context), *_build_notes(request)))

    def log_reader(self) -> VllmLog:
        """A new reader."""
        return VllmLog()

    def readings(self, text: str) -> dict[str, float]:
        """The /metrics page."""
        found = read_prometheus(text, METRIC_NAMES)
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


def _argv(request: LaunchRequest, node: NodeContext, container: str, spec: ModelSpec | None) -> tuple[str, ...]:
    home = node.home or f"/home/{node.record.user}"
    tuning = _tuning(request)
    words = ["docker", "run", "--name", container, "--label", f"sparkdesk.job={container.removeprefix('sparkdesk-')}"]
    words += ["--label", f"sparkdesk.plan={request.digest}", "--label", "sparkdesk.schema=1"]
    words += ["--restart", "no", "--gpus", "all", "--ipc", "host"]
    words += ["--network", "host", "--volume", f"{home}/.cache/huggingface:/root/.cache/huggingface"]
    for name, value in (*(tuning.environment if tuning else ()), *request.environment):
        words += ["--env", f"{name}={value}"]
    image = _image(request)
    words.append(image)
    if not image.partition(":")[0].endswith("vllm/vllm-openai"):
        # The upstream image's entry point is the server already; NVIDIA's needs the words.
        words += ["vllm", "serve"]
    words += [request.model, "--served-model-name", request.served_name]
    words += ["--host", "127.0.0.1", "--port", str(request.port)]
    words += ["--max-model-len", str(request.context_tokens), "--max-num-seqs", str(request.concurrency)]
    words += ["--gpu-memory-utilization", f"{request.memory_fraction or DEFAULT_MEMORY_FRACTION:.2f}"]
    if request.kv_dtype:
        words += ["--kv-cache-dtype", request.kv_dtype]
    # The model's own format needs no word: the checkpoint carries it. A word of vLLM's quantizes as it loads.
    if request.quantization and not has_format(spec, request.quantization):
        words += ["--quantization", request.quantization]
    words += _speculation(request, spec)
    if request.build == EAGER:
        words.append("--enforce-eager")
    return (*words, *(tuning.flags if tuning else ()), *request.extra_flags)


def _speculation(request: LaunchRequest, spec: ModelSpec | None) -> list[str]:
    """The flag of a speculative method; none for none."""
    method = request.speculative
    if method not in DRAFT_TOKENS:
        return []
    config: dict[str, str | int] = {"method": method, "num_speculative_tokens": DRAFT_TOKENS[method]}
    if method == "ngram":
        config["prompt_lookup_max"] = NGRAM_LOOKUP
    elif spec is not None and spec.experts is not None and launched_weights(request, spec).key == "NVFP4":
        # The head's experts are not quantized: the kernels of the model's own do not take them (NVIDIA's recipes).
        config["moe_backend"] = "triton"
    return ["--speculative-config", json.dumps(config, separators=(",", ":"))]


def _tuning(request: LaunchRequest) -> Tuning | None:
    return TUNINGS.get(request.model.casefold()) if request.build == TUNED_BUILD else None


def _image(request: LaunchRequest) -> str:
    tuning = _tuning(request)
    return request.image or (tuning.image if tuning else "") or DEFAULT_IMAGE


def _start_notes(request: LaunchRequest, context: PlanContext) -> tuple[str, ...]:
    share = request.memory_fraction or DEFAULT_MEMORY_FRACTION
    notes = (start_note(node, share, INFO.title) for node in place_of(request, context).nodes)
    return tuple(note for note in notes if note)


def _build_notes(request: LaunchRequest) -> tuple[str, ...]:
    """What stands beside a build that is not the stock one."""
    if request.build != TUNED_BUILD:
        return ()
    tuning = _tuning(request)
    if tuning is None:
        return (f"No tuned build of {request.model} is known: it is launched as the stock one",)
    return (tuning.note,) if tuning.note else ()


def _word_problems(request: LaunchRequest, spec: ModelSpec | None) -> list[Problem]:
    """Words that this engine does not have."""
    problems = []
    if request.kv_dtype not in KV_TYPES:
        problems.append(_error(f"vLLM has no KV type {request.kv_dtype}", "Choose another one.", "kv_dtype"))
    if has_format(spec, request.quantization):
        if not PROFILE.can_run(launched_weights(request, spec)):
            words = f"vLLM does not run the {request.quantization} weights of this model"
            problems.append(_error(words, "Choose another format, or another engine.", "quantization"))
    elif request.quantization not in QUANTIZATIONS:
        remedy = "Choose one of vLLM's, or none for a checkpoint that is quantized already."
        problems.append(_error(f"vLLM has no quantization {request.quantization}", remedy, "quantization"))
    if request.build not in ("", *(build.key for build in PROFILE.builds)):
        keys = ", ".join(build.key for build in PROFILE.builds)
        problems.append(_error(f"vLLM has no build {request.build} here", f"Choose one of: {keys}.", "build"))
    return problems + _speculative_problems(request, spec)


def _speculative_problems(request: LaunchRequest, spec: ModelSpec | None) -> list[Problem]:
    method, field = request.speculative, "speculative"
    if method in ("", NO_SPECULATION, "ngram"):
        return []
    remedy = "Choose ngram, which needs no weights, or none."
    if method != "mtp":
        words = f"Speculative decoding by {method} needs a draft model beside the model, and none is named"
        more = "Write --speculative-config with the draft model's hub id among the further flags, or choose ngram."
        return [_error(words, more, field)]
    if spec is None:
        words = f"Whether {request.model} has an mtp head is not known"
        return [Problem(Severity.WARNING, words, "Without one, vLLM stops at its start: then choose ngram.", field)]
    if method not in spec.speculatives:
        return [_error(f"{spec.title} has no mtp head, as far as is known", remedy, field)]
    return []


def _ledgers(request: LaunchRequest, context: PlanContext) -> tuple[MemoryLedger, ...]:
    setup = setup_of(request, context.spec, PROFILE)
    return launch_ledgers(setup, workload_of(request), place_of(request, context))


def _ledger(request: LaunchRequest, context: PlanContext) -> MemoryLedger:
    """vLLM takes its whole share at the start: what weights and runtime leave of it becomes KV cache."""
    return _ledgers(request, context)[0]


def _memory_problems(request: LaunchRequest, context: PlanContext) -> list[Problem]:
    parts = (setup_of(request, context.spec, PROFILE), workload_of(request), place_of(request, context))
    found, whole = _ledgers(request, context), live_place(context)
    if too_big := weights_problems(*parts, found, whole):
        return [*too_big]
    problems = [
        _error(
            "The memory share leaves no room for the KV cache",
            "Raise the memory share or choose a smaller model.",
            "memory_fraction",
        )
        for ledger in found
        if ledger.weights_bytes is not None and ledger.kv_bytes is not None and ledger.kv_bytes <= 0
    ]
    if problems:
        return problems
    return [*share_problems(*parts), *fit_problems(*parts, found, whole)]


def _error(message: str, remedy: str, field: str) -> Problem:
    return Problem(Severity.ERROR, message, remedy, field)


def _docker_problems(request: LaunchRequest, node: NodeContext) -> list[Problem]:
    name, image = node.record.name, _image(request)
    if node.programs and "docker" not in node.programs:
        return [Problem(Severity.ERROR, f"docker was not found on {name}", "Install it (DGX OS has it).", "engine")]
    if node.images is not None and image not in node.images:
        return [
            Problem(
                Severity.WARNING,
                f"{image} is not on {name}: docker will download it first, which takes minutes",
                "Wait for it, or choose an image that is there.",
                "image",
            )
        ]
    return []


class VllmLog:
    """Reads the container's log."""

    _SHARDS = re.compile(r"checkpoint shards:\s{0,9}(\d{1,3})% Completed \| (\d{1,5})/(\d{1,5})")
    _GRAPHS = re.compile(r"Capturing CUDA graphs?[^:]{0,80}:\s{0,9}(\d{1,3})%")
    _KV_TOKENS = re.compile(r"KV cache size: ([\d,]{1,15}) tokens")
    _FAILURES = (
        ("unrecognized arguments", "Remove the flag that this release of vLLM does not know."),
        ("unknown flag", "Remove the option that docker does not know."),
        ("invalid choice", "Choose one of the values that vLLM names."),
        ("Cannot connect to the Docker daemon", "Start docker on the node: sudo systemctl start docker."),
        ("permission denied while trying to connect", "Add the user to the docker group and sign in again."),
        ("could not select device driver", "Install the NVIDIA container toolkit on the node."),
        ("No such image", "Pull the image first, or choose another one."),
        ("less than desired GPU memory utilization", "Stop what runs there, drop the page cache, or lower the share."),
        ("No available memory for the cache blocks", "Raise the memory share or lower the context."),
        ("CUDA out of memory", "Lower the memory share or stop what runs on the node."),
        ("is not a valid model identifier", "Check the model's name, and whether it needs a token."),
        ("GatedRepoError", "Accept the model's licence on its page and give your token."),
        ("Address already in use", "Take another port."),
    )

    def feed(self, line: str) -> list[LoadProgress | Reading | LogFailure]:
        """What this line tells."""
        line = line[:4096]
        if match := self._SHARDS.search(line):
            return [LoadProgress("load", f"Weights {match[2]} of {match[3]} files", min(1.0, int(match[1]) / 100))]
        if match := self._GRAPHS.search(line):
            return [LoadProgress("load", "Capturing CUDA graphs", min(1.0, int(match[1]) / 100))]
        if match := self._KV_TOKENS.search(line):
            return [LoadProgress("load", f"KV cache of {match[1]} tokens")]
        if "Starting to load model" in line:
            return [LoadProgress("load", "Loading weights", 0.0)]
        if "Application startup complete" in line:
            return [LoadProgress("token", "Server listens")]
        for words, remedy in self._FAILURES:
            if words in line:
                return [LogFailure(line.strip()[:400], remedy)]
        return []


backend = Vllm()
