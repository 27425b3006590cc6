"""Ollama: a service that the node has. A launch has it pull, load and hold one model; its keeper runs as the job.

The service itself is never installed, started, changed or stopped: what it is told by its environment is a drop-in of
systemd that its owner writes. Source of requests and answers: Ollama's docs/api.md; of variables: its FAQ. On a DGX
Spark itself: unverified on hardware [ollama-on-gb10].
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from sparkdesk.core.jobs.backend import (
    BackendInfo,
    EndpointFailure,
    Finding,
    LoadProgress,
    NodeContext,
    PlanContext,
    Reading,
)
from sparkdesk.core.jobs.engine_page import read_loaded
from sparkdesk.core.jobs.failure import MAX_BODY_BYTES, read_error_object
from sparkdesk.core.jobs.log_rule import FailureRule, LogRule, RuledLog, number, say, tell
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.reading import WEIGHTS_LOAD_S
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.preflight import has_errors, node_problems, refuse_errors
from sparkdesk.core.planning.launch.refusal import room_problems
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
from sparkdesk.core.planning.launch.word import error, lan_refusal
from sparkdesk.core.planning.memory.ledger import launch_ledgers
from sparkdesk.core.planning.setup import Build, EngineProfile, Setup
from sparkdesk.core.playbooks.container import loopback_endpoint
from sparkdesk.core.playbooks.job import FOLDER_WORD, JobSpec, build_plan

PROGRAM = "ollama.py"
SERVICE_PORT = 11434
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,2}(:[A-Za-z0-9][A-Za-z0-9._-]*)?$")
"""[host/][namespace/]model[:tag]: one word of the keeper's command line, and a name in the service's library."""
LIBRARY = {"gpt-oss-120b": "gpt-oss:120b"}
"""Models of the catalogue whose file the service cannot pull from the hub -> their name in its library.
Source: NVIDIA's playbook "vibe-coding"."""
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
"""Of a file in parts: the service pulls none of these from the hub (recalled)."""
DEFAULT_SERVICE_CONTEXT = 4096
"""What the service gives where nobody says. Source: Ollama's FAQ, recalled."""
RUNTIME_BYTES = 512 << 20
"""Buffers and the runner beside weights and KV cache; an allowance, unverified on hardware [llamacpp-buffers]."""
PULL_TIMEOUT_S = 6 * 3600.0
"""It may have to fetch 70 GB before it loads."""
VARIABLES = {
    "kv_dtype": "OLLAMA_KV_CACHE_TYPE",
    "attention_backend": "OLLAMA_FLASH_ATTENTION",
}
"""Fields that are the service's own, for all its models."""

INFO = BackendInfo(
    key="ollama",
    title="Ollama",
    purposes=("chat", "vision", "embed"),
    docs="https://github.com/ollama/ollama/tree/main/docs",
    default_port=SERVICE_PORT,
)
PROFILE = EngineProfile(
    key=INFO.key,
    title=INFO.title,
    formats=("GGUF", "Q4_0", "Q4_1", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "BF16", "F16", "MXFP4_GGUF"),
    kv_dtypes=("auto",),
    parallelisms=(),
    speculatives=(NO_SPECULATION,),
    builds=(Build(STOCK, "The node's service"),),
    runtime_bytes=RUNTIME_BYTES,
)


class Ollama:
    """The adapter; holds no state."""

    info = INFO

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against the request."""
        problems = node_problems(request, context) + _word_problems(request)
        problems += lan_refusal(request, INFO.title, "it has no key, and its address is the service's own setting")
        if has_errors(problems):
            return problems
        problems += _service_problems(request, context.node(request.nodes[0]))
        setup, load, place = _setup(request, context.spec), workload_of(request), place_of(request, context)
        return [*problems, *room_problems(setup, load, place, live_place(context))]

    def plan(self, request: LaunchRequest, context: PlanContext) -> LaunchPlan:
        """The plan. Raises PlanError when the request has an error."""
        refuse_errors(self.problems(request, context))
        tag = tag_of(request, context.spec)
        spec = JobSpec(
            job_id=context.job_id,
            node_id=request.nodes[0],
            title=request.served_name,
            engine=INFO.title,
            owner=context.owner,
            argv=_argv(request, tag),
            endpoint=replace(loopback_endpoint(request, context, INFO.key, metrics_path="/api/ps"), model=tag),
            files=((PROGRAM, context.programs.get("ollama", b""), 0o700),),
            ready_kind="log",
            ready_value="[ollama] holding",
            load_timeout_s=PULL_TIMEOUT_S,
        )
        plan = build_plan(request, context, spec, ledger=_ledger(request, context), command_title="Ollama's keeper")
        return replace(plan, notes=(*plan.notes, *_notes(request, tag)))

    def log_reader(self) -> RuledLog:
        """A new reader, of the keeper's lines."""
        return RuledLog(LOG_RULES, FAILURE_RULES)

    def readings(self, text: str) -> dict[str, float]:
        """/api/ps: the service has no page of metrics."""
        return read_loaded(text)

    def failure(self, status: int, body: bytes) -> EndpointFailure | None:
        """What an HTTP failure means: the error is an object on the paths of OpenAI's form and a word on its own."""
        found = read_error_object(body)
        message = str(found.get("message", ""))[:1000] if found is not None else _word(body)
        if not message:
            return None
        if status == 404 and "not found" in message:
            return EndpointFailure("model_not_found", message, "Launch the model, or use the name that it was given.")
        if "runner process" in message:
            return EndpointFailure("engine_dead", message, "Look at the service's log: journalctl -u ollama.")
        if status == 503:
            return EndpointFailure("overloaded", message, "Wait: the service's queue is full.")
        if "system memory" in message:
            return EndpointFailure("other", message, "Stop what runs on the node, or take a smaller model.")
        return EndpointFailure("bad_request" if status < 500 else "other", message, "Look at the service's log.")


def _word(body: bytes) -> str:
    """The error of Ollama's own paths: {"error": "words"}; "" where there is none."""
    try:
        answer = json.loads(body[:MAX_BODY_BYTES])
    except (ValueError, RecursionError):
        return ""
    word = answer.get("error") if isinstance(answer, dict) else None
    return word[:1000] if isinstance(word, str) else ""


def tag_of(request: LaunchRequest, spec: ModelSpec | None) -> str:
    """The name that the service itself has for the model, and that requests must say.

    What a person wrote as such a name stays as it is; a plain name is taken for a title where the model's own file says
    what the service would pull.
    """
    name, key = request.served_name, request.quantization
    if ":" in name or "/" in name or spec is None or not has_format(spec, key):
        return name
    weights = launched_weights(request, spec)
    if weights.key not in PROFILE.formats or not weights.file.endswith(".gguf"):
        return name
    if "/" in weights.file or _PART.search(weights.file):
        return LIBRARY.get(spec.key, name)
    return f"hf.co/{weights.repo}:{weights.key}"


def _argv(request: LaunchRequest, tag: str) -> tuple[str, ...]:
    words = ["python3", "-I", f"{FOLDER_WORD}/{PROGRAM}", tag, "--port", str(request.port)]
    words += ["--context", str(request.context_tokens)]
    if request.purpose == "embed":
        words += ["--purpose", "embed"]
    if request.weights_from == "desk":
        words.append("--no-pull")
    return tuple(words)


def _setup(request: LaunchRequest, spec: ModelSpec | None) -> Setup:
    """The request's setup. Which weights a tag of Ollama's has is known only where the request names them."""
    is_known = has_format(spec, request.quantization) and launched_weights(request, spec).key in PROFILE.formats
    return setup_of(request, spec if is_known else None, PROFILE)


def _ledger(request: LaunchRequest, context: PlanContext) -> MemoryLedger:
    return launch_ledgers(_setup(request, context.spec), workload_of(request), place_of(request, context))[0]


def _word_problems(request: LaunchRequest) -> list[Problem]:
    """What the service does not take from a launch."""
    problems = []
    if not NAME.match(request.served_name):
        words = "The name must be one of Ollama's library: name:tag, or hf.co/owner/name:quantization"
        problems.append(error(words, "Write it as `ollama pull` takes it.", "served_name"))
    if request.purpose == "rerank":
        problems.append(error("Ollama ranks no texts", "Take vLLM or llama.cpp for it.", "purpose"))
    for field, variable in VARIABLES.items():
        if getattr(request, field) not in ("", "auto"):
            words = f"{field.replace('_', ' ').capitalize()} is a setting of the whole service: {variable}"
            remedy = "Its owner sets it in a drop-in: sudo systemctl edit ollama. Leave it out here."
            problems.append(error(words, remedy, field))
    if request.environment:
        words = "The service's environment is its own: a launch cannot change it"
        problems.append(error(words, "Set it in a drop-in: sudo systemctl edit ollama.", "environment"))
    others = ("extra_flags", "tool_parser", "reasoning_parser", "moe_backend", "load_format", "image")
    for field in (*others, "weights_path", "speculative_model"):
        if getattr(request, field):
            words = f"Ollama takes no {field.replace('_', ' ')} from a launch"
            problems.append(error(words, "Leave it out, or take llama.cpp.", field))
    if request.speculative not in ("", NO_SPECULATION):
        problems.append(error("Ollama has no speculative decoding", "Choose none.", "speculative"))
    if request.build not in ("", STOCK):
        words = f"Ollama has no build {request.build} here"
        problems.append(error(words, "Choose stock: it is the node's service.", "build"))
    return problems


def _service_problems(request: LaunchRequest, node: NodeContext) -> list[Problem]:
    """Whether the service is there, as far as the node's ports tell."""
    name, port = node.record.name, request.port
    holder = node.used_ports.get(port, "")
    if node.used_ports and not holder:
        words = f"No Ollama service listens on port {port} of {name}"
        remedy = f"Start it there (sudo systemctl start ollama), or write its port; the usual one is {SERVICE_PORT}."
        return [error(words, remedy, "port")]
    if holder and "ollama" not in holder.lower() and port != SERVICE_PORT:
        words = f"Port {port} of {name} is held by {holder}, which may be no Ollama"
        return [Problem(Severity.WARNING, words, f"The usual port is {SERVICE_PORT}.", "port")]
    return []


def _notes(request: LaunchRequest, tag: str) -> tuple[str, ...]:
    """What is different with a service."""
    notes = [f"Requests name the model {tag}: Ollama has no other name for it"] if tag != request.served_name else []
    notes += ["Ollama is shared: requests of other programs on the node use the same service and the same model"]
    if request.context_tokens != DEFAULT_SERVICE_CONTEXT:
        notes.append(
            "A request may have the service load the model anew with its own context: OLLAMA_CONTEXT_LENGTH in a "
            f"drop-in of systemd (sudo systemctl edit ollama) makes {request.context_tokens:,} tokens its own"
        )
    if request.concurrency > 1:
        notes.append(f"So many requests at once need OLLAMA_NUM_PARALLEL={request.concurrency} in such a drop-in")
    return tuple(notes)


def _read_pull(match: re.Match[str]) -> tuple[Finding, ...]:
    share, done, total, rate = (number(match[index]) for index in range(1, 5))
    text = f"Pulled {done / 1e9:.1f} of {total / 1e9:.1f} GB, {rate / 1e6:.0f} MB/s"
    return (LoadProgress("load", text, min(1.0, share / 100)),)


def _read_loaded(match: re.Match[str]) -> tuple[Finding, ...]:
    """No reading of the weights: the service tells one size of weights, cache and buffers together."""
    text = f"Model loaded: {number(match[1]) / (1 << 30):.1f} GiB with a context of {int(match[2]):,} tokens"
    return (LoadProgress("token", text, 1.0), Reading(WEIGHTS_LOAD_S, number(match[3])))


_PULL = r"^\[ollama\] pull (\d{1,3}\.\d)% (\d{1,18}) of (\d{1,18}) bytes, (\d{1,18}) bytes/s: "
_LOADED = r"^\[ollama\] loaded (\d{1,18}) bytes, \d{1,18} of them for the GPU, context (\d{1,9}), in ([\d.]{1,12}) s"
LOG_RULES = tuple(
    LogRule(re.compile(pattern), read)
    for pattern, read in (
        (_PULL, _read_pull),
        (r"^\[ollama\] pull (verifying|writing|pulling manifest)", say("load", "Pull: {1}")),
        (r"^\[ollama\] service (\S{1,60}) on port", tell("version")),
        (r"^\[ollama\] loading ", say("load", "Loading the model")),
        (_LOADED, _read_loaded),
    )
)
FAILURE_RULES = tuple(
    FailureRule(re.compile(r"^\[ollama\] error: .{0,400}?" + pattern), remedy)
    for pattern, remedy in (
        ("no Ollama service answers", "Start it on the node: sudo systemctl start ollama."),
        ("file does not exist", "Check the model's name and tag: Ollama's library has no such model."),
        ("no space left", "Free disk space on the node (Models on disk), then launch it again."),
        ("not to be pulled", "Pull it where the node has a network, or let it come from the network."),
        ("pull failed", "Launch it again: the download goes on where it was."),
        ("system memory", "Stop what runs on the node, or take a smaller model or context."),
        ("unloaded by somebody else", "See who uses the service (its log tells), then launch it again."),
        ("load failed", "Look at the service's log: journalctl -u ollama."),
        ("does not answer|went away", "Look at the service: systemctl status ollama."),
    )
)


backend = Ollama()
