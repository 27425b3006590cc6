"""Custom: a server that no adapter knows, in a container, in a Python environment, or as a program of the node.

The one rule: its words are the person's own and no shell reads them; a placeholder that is not known is an error, and
what is put in its place is one plain word. Nothing is known of its memory, so the guard on the node holds its floor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from sparkdesk.core.jobs.backend import LOOKED_FOR, BackendInfo, EndpointFailure, NodeContext, PlanContext
from sparkdesk.core.jobs.failure import read_error_object
from sparkdesk.core.jobs.log_rule import DOCKER_FAILURES, GPU_FAILURES, RuledLog
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.request import PATH_PATTERN, CustomServer, LaunchRequest
from sparkdesk.core.planning.launch.docker import container_problems
from sparkdesk.core.planning.launch.preflight import (
    has_errors,
    node_problems,
    port_problems,
    refuse_errors,
)
from sparkdesk.core.planning.launch.request import NO_SPECULATION, STOCK, place_of, setup_of, workload_of
from sparkdesk.core.planning.launch.word import error, lan_refusal
from sparkdesk.core.planning.memory.ledger import launch_ledgers
from sparkdesk.core.planning.setup import Build, EngineProfile
from sparkdesk.core.playbooks.container import (
    container_argv,
    container_name,
    container_of,
    hub_environment,
    loopback_endpoint,
)
from sparkdesk.core.playbooks.fetch.stage import fetch_stages
from sparkdesk.core.playbooks.job import FOLDER_WORD, JobSpec, build_plan

MAX_WORD_CHARS = 16_384
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LONE_INTERFACE = "lo"
"""On one node nothing goes over the cable, and its port may have no address."""
FIRST_HCA = "rocep1s0f0"
"""The same name on every DGX Spark. Source: NVIDIA's connect-two-sparks playbook."""
UNUSED = (
    "kv_dtype", "speculative", "speculative_model", "tool_parser", "reasoning_parser", "attention_backend",
    "moe_backend", "load_format", "weights_path",
)  # fmt: skip
"""Fields that only an engine that we know can be told."""
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{[^{}]{0,64}\}|[{}]")
_OPEN = re.compile(r"0\.0\.0\.0|(?:^|[=/\[])::(?:$|[\]:])")
"""An address that means all of a computer's networks."""
_VALUE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")

INFO = BackendInfo(key="custom", title="Custom", purposes=("chat", "vision", "embed", "rerank"))
PROFILE = EngineProfile(
    key=INFO.key,
    title=INFO.title,
    formats=(),
    kv_dtypes=("auto",),
    parallelisms=(),
    speculatives=(NO_SPECULATION,),
    builds=(Build(STOCK, "As its command says"),),
    runtime_bytes=0,
)


class UnknownPlaceholder(ValueError):
    """A word names a placeholder that there is not."""


def expand(word: str, values: Mapping[str, str]) -> str:
    """A word with its placeholders filled in; {{ and }} are a brace. Raises UnknownPlaceholder with what stood there.

    Words of JSON need their braces doubled, so that a misspelt placeholder is never passed on as it stands.
    """

    def fill(match: re.Match[str]) -> str:
        text = match[0]
        if text in ("{{", "}}"):
            return text[0]
        if text[1:-1] not in values:
            raise UnknownPlaceholder(text)
        return values[text[1:-1]]

    return _PLACEHOLDER.sub(fill, word)


def fill_known(words: str, values: Mapping[str, str]) -> str:
    """Words of a log or a path with the placeholders in them filled in; all other braces stay: a log may have some."""
    return re.sub(r"\{(\w{1,16})\}", lambda match: values.get(match[1], match[0]), words)


def placeholder_values(request: LaunchRequest, rank: int = 0) -> dict[str, str]:
    """What each placeholder stands for on the node of this rank. Each value is one plain word."""
    values = {
        "rank": str(rank),
        "nodes": str(len(request.nodes)),
        "head_ip": "127.0.0.1",
        "cx7_ifname": LONE_INTERFACE,
        "hca": FIRST_HCA,
        "port": str(request.port),
    }
    return {name: value for name, value in values.items() if _VALUE.match(value)}


class Custom:
    """The adapter; holds no state."""

    info = INFO

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against the request."""
        problems = node_problems(request, context)
        problems += lan_refusal(request, "A custom server", "whether it asks for a key is not known")
        if request.custom is None:
            problems.append(error("A custom server needs a command", "Write the words that start it.", "custom"))
        if has_errors(problems) or request.custom is None:
            return problems
        node = context.node(request.nodes[0])
        problems += _word_problems(request, request.custom) + _ready_problems(request.custom)
        problems += _venv_problems(request, request.custom, node) + _absent_program(request, request.custom, node)
        if request.image:
            problems += container_problems(request, node, image=request.image)
        else:
            problems += port_problems(request, node)
        return problems + _notices(request)

    def plan(self, request: LaunchRequest, context: PlanContext) -> LaunchPlan:
        """The plan. Raises PlanError when the request has an error."""
        refuse_errors(self.problems(request, context))
        assert request.custom is not None
        server, values, node = request.custom, placeholder_values(request), context.node(request.nodes[0])
        words = tuple(expand(word, values) for word in (*server.command, *request.extra_flags))
        environment = tuple((name, expand(text, values)) for name, text in request.environment)
        ledger = _ledger(request, context)
        spec = JobSpec(
            job_id=context.job_id,
            node_id=request.nodes[0],
            title=request.served_name,
            engine=INFO.title,
            owner=context.owner,
            argv=words,
            env=(*_venv_environment(server, node), *environment),
            endpoint=replace(
                loopback_endpoint(request, context, INFO.key, metrics_path=""), base_path=server.base_path
            ),
            stop_argv=(tuple(expand(word, values) for word in server.stop_command),) if server.stop_command else (),
            ready_kind=server.ready,
            ready_value="" if server.ready == "port" else fill_known(server.ready_value, values),
            # Without OpenAI's protocol nothing can be asked of it: its own check is all the proof there is.
            proof="" if server.base_path else "none",
        )
        if request.image:
            container = container_of(request, context, request.image, ledger)
            container = replace(container, environment=(*hub_environment(request, context), *environment))
            stages = fetch_stages(request, context, node, image=request.image)
            name = container_name(context.job_id)
            spec = replace(spec, argv=container_argv(container, words), env=(), container=name, before=stages)
        title = "docker run" if request.image else words[0][:60]
        plan = build_plan(request, context, spec, ledger=ledger, command_title=title)
        return replace(plan, notes=(*plan.notes, *_notes(server)))

    def log_reader(self) -> RuledLog:
        """A new reader: of what docker and every engine on PyTorch can say."""
        return RuledLog((), (*GPU_FAILURES, *DOCKER_FAILURES))

    def readings(self, text: str) -> dict[str, float]:
        """No page of metrics is known."""
        return {}

    def failure(self, status: int, body: bytes) -> EndpointFailure | None:
        """What an HTTP failure means, where it has OpenAI's form."""
        found = read_error_object(body)
        if found is None:
            return None
        kinds = {401: "unauthorized", 403: "unauthorized", 404: "model_not_found", 429: "overloaded", 503: "loading"}
        kind = kinds.get(status, "bad_request" if status < 500 else "other")
        return EndpointFailure(kind, str(found.get("message", ""))[:1000], "Look at the server's log.")


def _ledger(request: LaunchRequest, context: PlanContext) -> MemoryLedger:
    """Nothing of it is known but what runs there already."""
    return launch_ledgers(setup_of(request, None, PROFILE), workload_of(request), place_of(request, context))[0]


def _word_problems(request: LaunchRequest, server: CustomServer) -> list[Problem]:
    """Words that cannot be run, each at its field."""
    values, problems = placeholder_values(request), []
    environment = tuple(text for _, text in request.environment)
    for field, words in (
        ("custom", (*server.command, *server.stop_command)),
        ("extra_flags", request.extra_flags),
        ("environment", environment),
    ):
        for word in words:
            try:
                text = expand(word, values)
            except UnknownPlaceholder as unknown:
                known = " ".join(f"{{{name}}}" for name in values)
                remedy = f"Known are {known}; a brace of its own is written twice: {{{{ or }}}}."
                problems.append(error(f"{str(unknown)[:70]} is no placeholder", remedy, field))
                continue
            if "\0" in text or len(text) > MAX_WORD_CHARS:
                problems.append(error("A word is too long, or holds a zero byte", "Shorten it.", field))
            if FOLDER_WORD in text:
                problems.append(error(f"{FOLDER_WORD} has a meaning of its own on the node", "Leave it out.", field))
    if not server.command[0].strip() or server.command[0].startswith("-"):
        problems.append(error("The first word is the program to run", "Write its name or path.", "custom"))
    return problems


def _ready_problems(server: CustomServer) -> list[Problem]:
    problems = []
    value = server.ready_value
    if server.ready == "http" and not re.match(r"^/[!-~]{0,399}\Z", value):
        problems.append(error("A ready check over HTTP is a path", "Write one that begins with /.", "custom"))
    if server.ready == "log" and (not value.strip() or not value.isprintable()):
        problems.append(error("A ready check by the log needs words of a line", "Write some of them.", "custom"))
    if server.base_path and not re.match(r"^/[A-Za-z0-9._/-]{0,199}\Z", server.base_path):
        remedy = "Write one such as /v1, or nothing where it does not speak OpenAI's protocol."
        problems.append(error("The base path begins with / and has plain letters", remedy, "custom"))
    return problems


def _venv_problems(request: LaunchRequest, server: CustomServer, node: NodeContext) -> list[Problem]:
    if not server.venv:
        return []
    if request.image:
        return [error("A container has its own Python environment", "Name an image or an environment.", "custom")]
    if not PATH_PATTERN.match(server.venv) or ".." in server.venv.split("/") or ":" in server.venv:
        remedy = "Write the folder's whole path: /home/me/venv, or ~/venv."
        return [error("The Python environment is a folder on the node", remedy, "custom")]
    if server.venv.startswith("~/") and not node.home:
        words = f"The home folder on {node.record.name} is not known yet"
        return [error(words, "Wait a moment, or write the whole path.", "custom")]
    return []


def _absent_program(request: LaunchRequest, server: CustomServer, node: NodeContext) -> list[Problem]:
    """A program that was looked for on the node and is not there; of others only the launch can tell."""
    program = server.command[0]
    has_own_path = bool(request.image or server.venv) or any(name == "PATH" for name, _ in request.environment)
    if has_own_path or not node.programs or program not in LOOKED_FOR or program in node.programs:
        return []
    remedy = "Install it there, or write the whole path of the program."
    return [error(f"{program} is not on {node.record.name}", remedy, "custom")]


def _venv_environment(server: CustomServer, node: NodeContext) -> tuple[tuple[str, str], ...]:
    """What activating the environment does."""
    if not server.venv:
        return ()
    folder = server.venv.rstrip("/")
    folder = f"{node.home.rstrip('/')}{folder[1:]}" if folder.startswith("~/") else folder
    return (("PATH", f"{folder}/bin:{SYSTEM_PATH}"), ("VIRTUAL_ENV", folder))


def _notices(request: LaunchRequest) -> list[Problem]:
    """What does not stop a launch."""
    words = "How much memory this takes is not known"
    remedy = "Watch the node's free memory while it loads; the guard stops the job below its floor."
    problems = [Problem(Severity.WARNING, words, remedy)]
    for field in UNUSED:
        if getattr(request, field) not in ("", NO_SPECULATION):
            words = f"A custom server is told nothing of {field.replace('_', ' ')}"
            problems.append(Problem(Severity.WARNING, words, "Write it among the command's words.", field))
    server = request.custom
    if server is not None and any(_OPEN.search(word) for word in server.command):
        words = "The command listens on every network of the node, perhaps without a key"
        problems.append(Problem(Severity.WARNING, words, "Have it listen on 127.0.0.1.", "custom"))
    return problems


def _notes(server: CustomServer) -> tuple[str, ...]:
    notes = ["Its memory is not planned: only the floor of the node's memory is held"]
    if not server.base_path:
        notes.append("It is ready when its own check says so: no token is asked of it")
    return tuple(notes)


backend = Custom()
