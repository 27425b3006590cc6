"""llama.cpp's `llama-server`: one GGUF file, one node, one process.

Source of flags: the table extracted from build b11434's own source (resources/flags); of log lines and failures: that
build and b11549, run and captured (tests/data/captures). On GB10 itself: unverified on hardware [llamacpp-on-gb10].
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

from backends.llamacpp_log import LlamaCppLog
from sparkdesk.core.jobs.backend import (
    BackendInfo,
    EndpointFailure,
    NodeContext,
    PlanContext,
)
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.failure import read_count, read_error_object
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.reading import (
    ACCEPTED_TOKENS,
    CACHED_TOKENS,
    DECODE_S,
    DRAFT_TOKENS,
    GENERATED_TOKENS,
    KV_TOKENS,
    KV_USED,
    PREFIX_HITS,
    PREFIX_QUERIES,
    PROMPT_TOKENS,
    REQUESTS_RUNNING,
    REQUESTS_WAITING,
    SPECULATION,
    read_prometheus,
)
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.docker import disk_problems, repo_problems
from sparkdesk.core.planning.launch.gguf_file import hub_files, is_missing, path_on_node, projector_beside, seen_bytes
from sparkdesk.core.planning.launch.hub_access import hub_problems
from sparkdesk.core.planning.launch.preflight import (
    has_errors,
    node_problems,
    port_problems,
    refuse_errors,
    tensor_problems,
)
from sparkdesk.core.planning.launch.refusal import room_problems
from sparkdesk.core.planning.launch.request import (
    NO_SPECULATION,
    STOCK,
    live_place,
    place_of,
    setup_of,
    with_weights,
    workload_of,
)
from sparkdesk.core.planning.memory.ledger import launch_ledgers
from sparkdesk.core.planning.memory.need import sequences_bytes
from sparkdesk.core.planning.setup import Build, EngineProfile, Setup
from sparkdesk.core.planning.workload import Workload
from sparkdesk.core.playbooks.fetch.stage import fetch_stages
from sparkdesk.core.playbooks.fetch.weights import file_path
from sparkdesk.core.playbooks.job import JobSpec, build_plan
from sparkdesk.core.step import Stage

PROGRAM = "llama-server"
KEY_VARIABLE = "LLAMA_API_KEY"
"""Where the server looks for its key when no word names one. Source: `llama-server --help`, build b11434."""
KV_TYPES = ("", "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
LOAD_MODES = ("", "auto", "none", "mmap", "mlock", "dio")
REASONING_FORMATS = ("", "auto", "none", "deepseek", "deepseek-legacy")
ATTENTION = ("", "on", "off", "auto")
VERBOSITY = 4
"""llama-server tells buffer sizes, build and warm-up from this level on; no prompt is among its lines (seen)."""
PROMPT_CACHE_MIB = 2048
"""What finished prompts may keep of memory; the server's own limit of 8192 is much beside weights on unified memory."""
BUFFER_BYTES = 512 << 20
"""Compute buffers and the program itself; an allowance, unverified on hardware [llamacpp-buffers]."""
RUNTIME_BYTES = BUFFER_BYTES + (PROMPT_CACHE_MIB << 20)
"""With the finished prompts that it may keep."""
REUSED_CHUNK_TOKENS = 256
"""The shortest piece of an earlier prompt that is used again. Source: llama.cpp's own presets (common/arg.cpp)."""
MOST_MICRO_BATCH = 2048
"""Tokens of a prompt computed at once; more takes larger compute buffers. Source: llama.cpp's figures for Spark."""
EMBEDDING_TOKENS = 8192
"""The most tokens of one text to embed or rank, unless the request says more: it is computed in one piece."""
LAST_POOLED = "qwen3-embedding"
"""Models whose vector is that of the last token, which the file does not always say. Source: their model card."""
DRAFTS = {"draft": "draft-simple", "eagle3": "draft-eagle3", "dflash": "draft-dflash"}
"""Methods that need a file with a draft model, and their word for --spec-type."""
WORDLESS = {"mtp": "draft-mtp", "ngram": "ngram-mod"}
"""Methods that need none: the model's own head, and the words that were there before."""
DRAFT_TOKENS_A_STEP = 3
"""Tokens that are guessed a step. Source: NVIDIA's playbook "llama-cpp"; the server's own default too."""

METRIC_NAMES = {
    "llamacpp:tokens_predicted_total": GENERATED_TOKENS,
    "llamacpp:tokens_predicted_seconds_total": DECODE_S,
    "llamacpp:prompt_tokens_total": PROMPT_TOKENS,
    "llamacpp:prompt_tokens_cached_total": CACHED_TOKENS,
    "llamacpp:requests_processing": REQUESTS_RUNNING,
    "llamacpp:requests_deferred": REQUESTS_WAITING,
    "llamacpp:spec_decode_num_drafts_total": SPECULATION,
    "llamacpp:spec_decode_num_draft_tokens_total": DRAFT_TOKENS,
    "llamacpp:spec_decode_num_accepted_tokens_total": ACCEPTED_TOKENS,
    "llamacpp:kv_cache_usage_ratio": KV_USED,
    "llamacpp:kv_cache_tokens": KV_TOKENS,
}

_NO_MODEL = re.compile(r"^model '.*' not found$|^model name is missing from the request$")
"""What a server with several models (its router mode) says; one with a single model answers to every name."""

INFO = BackendInfo(
    key="llamacpp",
    title="llama.cpp",
    purposes=("chat", "vision", "embed", "rerank"),
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
    speculatives=(NO_SPECULATION, "draft", "mtp"),
    builds=(Build(STOCK, "CUDA build"),),
    runtime_bytes=RUNTIME_BYTES,
)
"""What this adapter launches; a test holds it against the planner's table of engines."""


class LlamaCpp:
    """The adapter; holds no state."""

    info = INFO

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against the request."""
        problems = node_problems(request, context) + tensor_problems(request, context.spec)
        problems += _word_problems(request, context.spec)
        if not request.weights_path:
            remedy = "Choose a model that is on the node, or write the file's path."
            problems.append(_error("llama.cpp needs the path of a GGUF file on the node", remedy, "weights_path"))
        if has_errors(problems):
            return problems
        node = context.node(request.nodes[0])
        problems += _file_problems(request, node, context.spec)
        if node.programs and PROGRAM not in node.programs:
            remedy = "Build llama.cpp there (NVIDIA's llama-cpp playbook) and put it on the PATH."
            problems.append(_error(f"{PROGRAM} was not found on {node.record.name}", remedy, "engine"))
        problems += port_problems(request, node)
        setup, load, place = _setup(request, context), workload_of(request), place_of(request, context)
        problems += disk_problems(node, 0, _coming_bytes(request, node, setup))
        return [*problems, *room_problems(setup, load, place, live_place(context))]

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
            note=context.engine_notes.get(INFO.key, ""),
        )
        is_open = request.reach == "lan"
        spec = JobSpec(
            job_id=context.job_id,
            node_id=request.nodes[0],
            title=request.served_name,
            engine=INFO.title,
            owner=context.owner,
            argv=_argv(request, context.node(request.nodes[0])),
            env=request.environment,
            endpoint=endpoint,
            secrets=((KEY_VARIABLE, f"api_key:{context.job_id}"),) if is_open else (),
            key_env=KEY_VARIABLE if is_open else "",
            before=_fetches(request, context),
        )
        plan = build_plan(request, context, spec, ledger=_ledger(request, context), command_title=PROGRAM)
        return replace(plan, notes=(*plan.notes, *_notes(request)))

    def log_reader(self) -> LlamaCppLog:
        """A new reader."""
        return LlamaCppLog()

    def readings(self, text: str) -> dict[str, float]:
        """The /metrics page. What was computed and what came from the cache are counted apart there."""
        found = read_prometheus(text, METRIC_NAMES)
        if PROMPT_TOKENS in found and CACHED_TOKENS in found:
            asked = found[PROMPT_TOKENS] + found[CACHED_TOKENS]
            found |= {PREFIX_QUERIES: asked, PREFIX_HITS: found[CACHED_TOKENS]}
        return found

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
        if status == 400 and _NO_MODEL.search(message):
            return EndpointFailure("model_not_found", message, "Use a name that the server lists.")
        return EndpointFailure("bad_request" if status < 500 else "other", message, "Look at the server's log.")


def _fetches(request: LaunchRequest, context: PlanContext) -> tuple[Stage, ...]:
    """The model's file and its draft's, where the path says of which repository it is. Else it is only looked up."""
    node = context.node(request.nodes[0])
    paths = (request.weights_path, request.speculative_model if request.speculative in DRAFTS else "")
    found = [hub_files(path, node) for path in dict.fromkeys(paths)]
    stages = [fetch_stages(request, context, node, repo=repo, files=files) for repo, files in found if repo]
    return tuple(stage for each in stages for stage in each)


def _coming_bytes(request: LaunchRequest, node: NodeContext, setup: Setup) -> int:
    """What is fetched of the model, as large as the catalogue says; 0 is nothing, or not known."""
    return setup.weights.weight_bytes if hub_files(request.weights_path, node)[0] else 0


def _argv(request: LaunchRequest, node: NodeContext) -> tuple[str, ...]:
    words = [PROGRAM, "--model", path_on_node(request.weights_path, node), "--alias", request.served_name]
    words += ["--host", "0.0.0.0" if request.reach == "lan" else "127.0.0.1", "--port", str(request.port)]
    # --ctx-size is shared by the slots, a request gets its part (seen: -c 4096 -np 2 gives 2048 a request).
    words += ["--ctx-size", str(request.context_tokens * request.concurrency), "--parallel", str(request.concurrency)]
    # One CPU thread: with every layer on the GPU more only spin (two beside one busy core: 35 times slower).
    words += ["--threads", str(request.threads or 1), "--n-gpu-layers", "99"]
    words += ["--flash-attn", request.attention_backend or "on"]
    if request.kv_dtype:
        words += ["--cache-type-k", request.kv_dtype, "--cache-type-v", request.kv_dtype]
    if request.load_format:
        words += ["--load-mode", request.load_format]
    words += [*_batch(request), *_caches(request), *_speculation(request, node), *_purpose(request, node)]
    if request.reasoning_parser:
        words += ["--reasoning-format", request.reasoning_parser]
    words += ["--metrics", "--slots", "--jinja", "--verbosity", str(VERBOSITY)]
    return (*words, *request.extra_flags)


def _batch(request: LaunchRequest) -> list[str]:
    """Tokens of prompts that are computed together."""
    tokens = request.max_batched_tokens
    if request.purpose in ("embed", "rerank"):
        # Each text is computed in one piece: a longer one is refused ("too large to process").
        tokens = tokens or min(request.context_tokens, EMBEDDING_TOKENS)
        return ["--batch-size", str(tokens), "--ubatch-size", str(tokens)]
    return ["--batch-size", str(tokens), "--ubatch-size", str(min(tokens, MOST_MICRO_BATCH))] if tokens else []


def _caches(request: LaunchRequest) -> list[str]:
    """What is kept of prompts that were answered."""
    if request.purpose in ("embed", "rerank"):
        return ["--cache-ram", "0"]
    if request.prefix_caching is False:
        return ["--no-cache-prompt", "--cache-ram", "0"]
    reuse = ["--cache-reuse", str(REUSED_CHUNK_TOKENS)] if request.prefix_caching else []
    return [*reuse, "--cache-ram", str(PROMPT_CACHE_MIB)]


def _speculation(request: LaunchRequest, node: NodeContext) -> list[str]:
    """The flags of a speculative method; none for none."""
    method, tokens = request.speculative, str(request.speculative_tokens or DRAFT_TOKENS_A_STEP)
    if method in DRAFTS:
        path = path_on_node(request.speculative_model, node)
        words = ["--model-draft", path, "--spec-type", DRAFTS[method], "--spec-draft-n-max", tokens]
        return [*words, "--n-gpu-layers-draft", "99"]
    if method == "mtp":
        return ["--spec-type", WORDLESS[method], "--spec-draft-n-max", tokens]
    if method == "ngram":
        # Its own defaults guess 48 to 64 tokens at once; only a number that was asked for changes them.
        asked = request.speculative_tokens
        length = ["--spec-ngram-mod-n-min", "1", "--spec-ngram-mod-n-max", str(asked)] if asked else []
        return ["--spec-type", WORDLESS[method], *length]
    return []


def _purpose(request: LaunchRequest, node: NodeContext) -> list[str]:
    if request.purpose == "embed":
        is_told = any(word.partition("=")[0] == "--pooling" for word in request.extra_flags)
        is_last = LAST_POOLED in f"{request.model} {request.weights_path}".casefold() and not is_told
        return ["--embedding", *(("--pooling", "last") if is_last else ())]
    if request.purpose == "rerank":
        return ["--reranking"]
    projector = projector_beside(request.weights_path, node) if request.purpose == "vision" else ""
    return ["--mmproj", projector] if projector and "--mmproj" not in request.extra_flags else []


def _notes(request: LaunchRequest) -> tuple[str, ...]:
    """What the ledger does not say."""
    if not _keeps_prompts(request):
        return ()
    return (f"Runtime holds the {PROMPT_CACHE_MIB / 1024:.0f} GiB of finished prompts that it may keep in memory",)


def _keeps_prompts(request: LaunchRequest) -> bool:
    return request.purpose not in ("embed", "rerank") and request.prefix_caching is not False


def _setup(request: LaunchRequest, context: PlanContext) -> Setup:
    """The request's setup, with the weights as large as their files on the node, where they were seen."""
    node = context.node(request.nodes[0])
    paths = [path_on_node(request.weights_path, node)]
    if request.speculative in DRAFTS:
        paths.append(path_on_node(request.speculative_model, node))
    if request.purpose == "vision":
        paths.append(projector_beside(request.weights_path, node))
    sizes = [seen_bytes(path, node) for path in paths]
    known = [size for size in sizes if size is not None]
    profile = PROFILE if _keeps_prompts(request) else replace(PROFILE, runtime_bytes=BUFFER_BYTES)
    setup = with_weights(setup_of(request, context.spec, profile), None if sizes[0] is None else sum(known))
    if request.speculative in DRAFTS and sizes[0] and sizes[1]:
        more = _draft_cache_bytes(setup, workload_of(request), sizes[1] / sizes[0])
        setup = replace(setup, engine=replace(profile, runtime_bytes=profile.runtime_bytes + more))
    # A draft that was seen takes the place of the planner's allowance for one.
    return replace(setup, speculative=NO_SPECULATION) if len(known) == len(sizes) > 1 else setup


def _draft_cache_bytes(setup: Setup, load: Workload, share: float) -> int:
    """The draft's own KV cache, of which only the file's size is known: it grows about as the root of the weights do
    (1B beside 70B: a tenth; 8B: four tenths), an allowance, unverified on hardware [llamacpp-buffers]."""
    own = sequences_bytes(setup, tokens=load.context_tokens, users=load.users)
    return math.ceil((own or 0.0) * min(1.0, math.sqrt(share)))


def _ledger(request: LaunchRequest, context: PlanContext) -> MemoryLedger:
    return launch_ledgers(_setup(request, context), workload_of(request), place_of(request, context))[0]


def _word_problems(request: LaunchRequest, spec: ModelSpec | None) -> list[Problem]:
    """Words that this engine does not have."""
    choices = (
        ("kv_dtype", request.kv_dtype, KV_TYPES, "KV type"),
        ("build", request.build, ("", STOCK), "build"),
        ("load_format", request.load_format, LOAD_MODES, "way to load"),
        ("attention_backend", request.attention_backend, ATTENTION, "attention backend"),
        ("moe_backend", request.moe_backend, ("",), "MoE backend"),
        ("reasoning_parser", request.reasoning_parser, REASONING_FORMATS, "reasoning format"),
        ("tool_parser", request.tool_parser, ("",), "tool parser: it follows the model's own template, so no"),
    )
    problems = [
        _error(f"llama.cpp has no {what} {word}", f"Choose {' or '.join(known[1:]) or 'none'}.", field)
        for field, word, known, what in choices
        if word not in known
    ]
    if request.image:
        words = "llama.cpp is started as a program of the node, and the image is not used"
        problems.append(Problem(Severity.WARNING, words, "Take the engine custom for a container.", "image"))
    return problems + _speculation_problems(request, spec)


def _speculation_problems(request: LaunchRequest, spec: ModelSpec | None) -> list[Problem]:
    method, field = request.speculative, "speculative"
    if method in ("", NO_SPECULATION, "ngram"):
        return []
    if method == "mtp" and spec is not None and method not in spec.speculatives:
        words = f"{spec.title} has no mtp head, as far as is known"
        return [_error(words, "Choose none, or a GGUF that holds the head.", field)]
    if method == "mtp":
        words = "Speculative decoding by mtp needs a GGUF that holds the model's own head"
        return [Problem(Severity.NOTE, words, "Such files have MTP in their names.", field)]
    if method not in DRAFTS:
        return [_error(f"llama.cpp has no speculative decoding by {method}", "Choose draft, mtp or none.", field)]
    if not re.match(r"^(~/|/)[^\0\n]+$", request.speculative_model) or ".." in request.speculative_model.split("/"):
        words = f"Speculative decoding by {method} needs a draft model's file on the node"
        return [_error(words, "Write the path of its GGUF, or choose none.", "speculative_model")]
    return []


def _error(message: str, remedy: str, field: str) -> Problem:
    return Problem(Severity.ERROR, message, remedy, field)


def _missing(field: str, path: str, node: NodeContext, spec: ModelSpec | None) -> Problem:
    """A file that is not where the request says, with the way to fetch it where the catalogue knows its repository."""
    name, formats = path.rpartition("/")[2], spec.formats if spec is not None else ()
    known = next((each for each in formats if each.repo and each.file.rpartition("/")[2] == name), None)
    words = f"{path} is not on {node.record.name}"
    if known is None:
        return _error(words, "Fetch it on the page Models on disk, or choose a file that is there.", field)
    fix = Fix(f"Fetch it from {known.repo}", ((field, file_path(known.repo, known.file)),))
    return replace(_error(words, f"Have it fetched from {known.repo} first.", field), fixes=(fix,))


def _file_problems(request: LaunchRequest, node: NodeContext, spec: ModelSpec | None) -> list[Problem]:
    paths = [("weights_path", request.weights_path)]
    if request.speculative in DRAFTS:
        paths.append(("speculative_model", request.speculative_model))
    problems = []
    for field, path in paths:
        if path_on_node(path, node).startswith("~/"):
            words = f"The home folder on {node.record.name} is not known yet"
            problems.append(_error(words, "Wait a moment, or write the whole path.", field))
        elif repo := hub_files(path, node)[0]:
            words = f"{path} is not on {node.record.name}: it is fetched first, from {repo}"
            problems.append(Problem(Severity.NOTE, words, "Wait for it, or choose a file that is there.", field))
            problems += repo_problems(request, node, repo) + hub_problems(request, node, repo)
        elif is_missing(path, node):
            problems.append(_missing(field, path, node, spec))
        elif seen_bytes(path, node) is None:
            words = f"{path} was not seen on {node.record.name}"
            remedy = "Check the path; the launch fails at once if the file is not there."
            problems.append(Problem(Severity.WARNING, words, remedy, field))
    if (
        request.purpose == "vision"
        and "--mmproj" not in request.extra_flags
        and not projector_beside(request.weights_path, node)
    ):
        words = "Pictures need the model's projector, and no mmproj file was seen beside the model"
        remedy = "Put it into the same folder, or write --mmproj with its path among the further flags."
        problems.append(_error(words, remedy, "purpose"))
    return problems


backend = LlamaCpp()
