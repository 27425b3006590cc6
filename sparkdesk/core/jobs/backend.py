"""The adapter seam: one engine is one value that fulfils `Backend`. Pure: no I/O, no clock, no globals.

Third parties register a Backend through the entry-point group `sparkdesk.backends`. The protocol is at version 1 and
grows only by optional fields of its values. A complete adapter reads a LaunchRequest and a PlanContext and gives
problems and a plan; it reads the engine's log lines and metrics page; it names the engine's own failures:

    class Echo:
        info = BackendInfo(key="echo", title="Echo", purposes=("chat",))
        def problems(self, request, context): return []
        def plan(self, request, context): return build_plan(...)
        def log_reader(self): return NullReader()
        def readings(self, text): return {}
        def failure(self, status, body): return None
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from sparkdesk.core.cluster.node import NodeFacts, NodeRecord
from sparkdesk.core.jobs.flag_table import FlagTables
from sparkdesk.core.jobs.image import Images
from sparkdesk.core.jobs.plan import LaunchPlan, Problem
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec

API_VERSION = 1


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """What a backend is and can do."""

    key: str
    title: str
    purposes: tuple[str, ...]
    api: int = API_VERSION
    quantizations: tuple[str, ...] = ()
    parallelisms: tuple[str, ...] = ("single",)
    docs: str = ""
    default_port: int = 8000
    needs_weights_path: bool = False


LOOKED_FOR = (
    "llama-server", "docker", "python3", "systemd-run", "nvidia-smi", "python", "uv", "ollama", "vllm", "trtllm-serve",
)  # fmt: skip
"""Programs that a look at a node searches its PATH for; of another one nothing is known."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A server of ours that a node has already. `memory_bytes` is what its plan gives it; None is not known."""

    job_id: str
    title: str
    memory_bytes: int | None = None
    is_loading: bool = False
    """It starts, and does not have all of that yet."""
    coming_bytes: int | None = None
    """What it does not have yet, by how much less is available than before it started; None is not known."""


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What a plan may lean on about one node; None and empty mean not known."""

    record: NodeRecord
    facts: NodeFacts = field(default_factory=NodeFacts)
    mem_total_bytes: int | None = None
    mem_available_bytes: int | None = None
    disk_free_bytes: int | None = None
    cpu_count: int | None = None
    images: tuple[str, ...] | None = None
    weight_files: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Path on the node -> bytes, of the model files that were found there."""
    hub_repos: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Hub id -> bytes of its safetensors, of those that lie whole in the hub's cache."""
    used_ports: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    """Port -> who holds it, in words."""
    open_ports: frozenset[int] | None = None
    """Ports there that listen beyond the loopback."""
    programs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Program name -> path, of those that were looked for and found."""
    home: str = ""
    docker_problem: str | None = None
    """What is wrong with docker there: "absent", "down", "group" (this user may not ask it), "runtime" (it knows no
    NVIDIA GPU); "" is nothing, None not known."""
    image_architectures: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Image -> "arm64", of those that lie there."""
    partial_repos: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Hub id -> bytes so far, of downloads that were begun and are not whole."""
    shm_bytes: int | None = None
    """Free in /dev/shm."""
    mem_free_bytes: int | None = None
    """Free memory without the page cache: what the GPU's driver gets without waiting."""
    reaches_hub: bool | None = None
    """Whether the hub answers from the node."""
    loading: tuple[str, ...] = ()
    """Titles of our servers that are starting there and do not have all of their memory yet."""
    residents: tuple[Resident, ...] = ()
    """Our servers that run or start there."""
    hub_answers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Hub id -> whether its files would be given out, of those that were asked for: "ok", or a word of
    core/planning/launch/hub_access.ANSWERS."""


@dataclass(frozen=True, slots=True)
class PlanContext:
    """Everything that a plan leans on, gathered before."""

    job_id: str
    owner: str
    """user@computer, for the job folder."""
    nodes: tuple[NodeContext, ...]
    spec: ModelSpec | None = None
    """None: a model of unknown shape: memory is not known."""
    engine_notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Backend key -> what must stand beside its answers on screen, from the cluster's record."""
    job_program: bytes = b""
    """remote/job.py, which the plan puts beside the job."""
    images: Images = field(default_factory=lambda: MappingProxyType({}))
    """Known images by engine (resources/images.toml); empty: each adapter's own default."""
    programs: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """Our own programs for a node by the name of their module in remote/, for plans that need more than the job's."""
    flag_tables: FlagTables = field(default_factory=lambda: MappingProxyType({}))
    """The engines' own flags by engine (resources/flags); without an engine's table its added flags are not checked."""

    def node(self, node_id: str) -> NodeContext:
        """One node's context. Raises KeyError."""
        for node in self.nodes:
            if node.record.id == node_id:
                return node
        raise KeyError(node_id)


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """The engine's log told how far the start is. `phase` is a key of the timeline; `fraction` None = not known."""

    phase: str
    text: str
    fraction: float | None = None
    is_result: bool = False
    """What the phase came to: said of it also once it is over."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The engine's log gave a metric."""

    key: str
    value: float


@dataclass(frozen=True, slots=True)
class Told:
    """The engine's log told a fact in words: `key` is "version", "attention_backend", "moe_backend", "eager"..."""

    key: str
    text: str


Finding = LoadProgress | Reading | Told
"""What a line of a log can tell beside a failure."""


@dataclass(frozen=True, slots=True)
class LogFailure:
    """The engine's log named why it will not come up: cause and remedy."""

    message: str
    remedy: str


class LogReader(Protocol):
    """Reads one rank's log, line by line; keeps its own state. Total: any text is fine."""

    def feed(self, line: str) -> Sequence[Finding | LogFailure]:
        """What this line tells."""
        ...


@dataclass(frozen=True, slots=True)
class EndpointFailure:
    """An HTTP failure in the engine's own words, understood."""

    kind: str
    """context_overflow, answer_limit, model_not_found, loading, unauthorized, overloaded, engine_dead, bad_request,
    not_model_server, unreachable, lost, untrusted (its certificate), other."""
    message: str
    remedy: str
    prompt_tokens: int | None = None
    context_tokens: int | None = None
    retry_after_s: float | None = None
    """After so long the server wants to be asked again; None is not told."""


class Backend(Protocol):
    """One engine."""

    @property
    def info(self) -> BackendInfo:
        """What it is."""
        ...

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against the request; empty is fine."""
        ...

    def plan(self, request: LaunchRequest, context: PlanContext) -> LaunchPlan:
        """The plan. Raises PlanError when `problems` has an error."""
        ...

    def log_reader(self) -> LogReader:
        """A new reader for one rank's log."""
        ...

    def readings(self, text: str) -> dict[str, float]:
        """The engine's metrics page as values by metric key. Total: any text is fine."""
        ...

    def failure(self, status: int, body: bytes) -> EndpointFailure | None:
        """What an HTTP failure means; None when it is not the engine's."""
        ...
