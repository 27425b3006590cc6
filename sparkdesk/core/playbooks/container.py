"""The words of `docker run` that every engine in a container shares; what stands after the image is the engine's own.

The one rule: a container of ours is named and labelled after its job, can never take the whole unified memory, is the
first to go when memory ends, stays until its log and exit state were fetched (no --rm, no restart by docker), and no
secret is among its words: `--env NAME` without a value takes it from the environment of docker itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.jobs.backend import NodeContext, PlanContext
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import GIB, MemoryLedger
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.fetch.stage import fetch_stages, is_from_desk
from sparkdesk.core.playbooks.memory_floor import floor_bytes
from sparkdesk.core.step import Stage

HEADROOM_BYTES = 8 * GIB
"""What a container may take beyond its plan: read buffers while it loads, the compiler's processes, an allowance.

Unverified on hardware [container-headroom]."""
HEADROOM_SHARE = 0.10
OOM_SCORE = 500
"""Raised, so that the kernel ends the engine before it ends sshd or the desktop of the node (-1000 to 1000)."""
HUB_CACHE = (".cache/huggingface", "/root/.cache/huggingface")
"""Where weights lie on the node (below the home), and where the image looks for them."""
COMPILE_CACHES = (
    (".cache/flashinfer", "/root/.cache/flashinfer"),
    (".cache/torch_extensions", "/root/.cache/torch_extensions"),
    (".triton", "/root/.triton"),
)
"""Kept from start to start: compiling again takes minutes. Source: vLLM's, FlashInfer's and Triton's own defaults."""
HUB_VARIABLE, HUB_REFERENCE = "HF_TOKEN", "hub_token?"
"""Where the hub's library looks for a token, and the secret that it is; left out where there is none."""
OFFLINE = (("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "1"))
"""Makes the hub's library look into its cache only. Source: the documentation of huggingface_hub and transformers."""


@dataclass(frozen=True, slots=True)
class Container:
    """One container of ours. Volumes are (path on the node, path inside); `secrets` are names of variables."""

    job_id: str
    plan_digest: str
    image: str
    volumes: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()
    memory_bytes: int | None = None
    """The most it may take, swap included; None sets no limit."""
    entrypoint: str = ""
    """Instead of the image's own; "" keeps it."""
    docker_words: tuple[str, ...] = ()
    """More options of docker, before the image."""

    @property
    def name(self) -> str:
        """What docker calls it."""
        return container_name(self.job_id)


def container_name(job_id: str) -> str:
    """The name of a job's container."""
    return f"sparkdesk-{job_id}"


def container_argv(container: Container, words: tuple[str, ...] = ()) -> tuple[str, ...]:
    """`docker run` in the foreground: its output is the job's log, its end is the job's end."""
    argv = ["docker", "run", "--name", container.name]
    labels = (("job", container.job_id), ("plan", container.plan_digest), ("schema", "1"))
    for key, text in labels:
        argv += ["--label", f"sparkdesk.{key}={text}"]
    argv += ["--restart", "no", "--gpus", "all", "--ipc", "host", "--network", "host"]
    if container.memory_bytes is not None:
        # Swap equal to memory is no swap at all: a swapped engine takes the whole node with it.
        argv += ["--memory", str(container.memory_bytes), "--memory-swap", str(container.memory_bytes)]
    argv += ["--oom-score-adj", str(OOM_SCORE)]
    for outside, inside in container.volumes:
        argv += ["--volume", f"{outside}:{inside}"]
    for name, text in container.environment:
        argv += ["--env", f"{name}={text}"]
    for name in container.secrets:
        argv += ["--env", name]
    if container.entrypoint:
        argv += ["--entrypoint", container.entrypoint]
    return (*argv, *container.docker_words, container.image, *words)


def memory_limit_bytes(ledger: MemoryLedger) -> int | None:
    """The plan's memory of ours plus headroom, in whole MiB, never above the node's total minus the plan's floor.

    Where a part of ours is not known, all but the floor; None where the total is not known.
    """
    model = (ledger.weights_bytes, ledger.kv_bytes) if ledger.undivided_bytes is None else (ledger.undivided_bytes,)
    parts = [part for part in (ledger.runtime_bytes, *model) if part is not None]
    if ledger.total_bytes is None:
        return None
    most = ledger.total_bytes - floor_bytes(ledger)
    ours = sum(parts)
    is_known = len(parts) == 1 + len(model)
    wanted = ours + max(HEADROOM_BYTES, int(ours * HEADROOM_SHARE)) if is_known else most
    return max(min(wanted, most), GIB) >> 20 << 20


def cache_volumes(node: NodeContext, engine_cache: str = "") -> tuple[tuple[str, str], ...]:
    """The hub's cache, the engine's own below ~/.cache, and the compile caches, as volumes of this node."""
    home = node.home or f"/home/{node.record.user}"
    own = ((f".cache/{engine_cache}", f"/root/.cache/{engine_cache}"),) if engine_cache else ()
    return tuple((f"{home}/{outside}", inside) for outside, inside in (HUB_CACHE, *own, *COMPILE_CACHES))


def before_stages(request: LaunchRequest, context: PlanContext, image: str) -> tuple[Stage, ...]:
    """What comes before the start: the image, the model's files and its draft's, each whole on the node."""
    node = context.node(request.nodes[0])
    stages = fetch_stages(request, context, node, image=image, repo=request.model)
    draft = request.speculative_model
    return (*stages, *(fetch_stages(request, context, node, repo=draft) if draft and draft != request.model else ()))


def hub_environment(request: LaunchRequest, context: PlanContext) -> tuple[tuple[str, str], ...]:
    """Variables that keep the engine from asking the hub, where all is there before it starts.

    Code of a model can lie in another repository than its weights, so it is looked for where that was allowed.
    """
    node = context.node(request.nodes[0])
    is_whole = bool(fetch_stages(request, context, node, repo=request.model)) and not request.trust_remote_code
    return OFFLINE if is_whole or is_from_desk(request, node) else ()


def hub_secrets(request: LaunchRequest, context: PlanContext) -> tuple[str, ...]:
    """The variable of the hub's token, for an engine that may ask the hub itself: code of a model can lie elsewhere."""
    node = context.node(request.nodes[0])
    return (HUB_VARIABLE,) if request.trust_remote_code and not is_from_desk(request, node) else ()


def secret_references(names: tuple[str, ...], job_id: str) -> tuple[tuple[str, str], ...]:
    """Where a container's secrets come from: the hub's token, which may be none, or a key of this job's own."""
    return tuple((name, HUB_REFERENCE if name == HUB_VARIABLE else f"api_key:{job_id}") for name in names)


def container_of(
    request: LaunchRequest, context: PlanContext, image: str, ledger: MemoryLedger | None, engine_cache: str = ""
) -> Container:
    """The container of a request's first node, with caches, hub variables, the request's own and its memory limit."""
    node = context.node(request.nodes[0])
    return Container(
        job_id=context.job_id,
        plan_digest=request.digest,
        image=image,
        volumes=cache_volumes(node, engine_cache),
        environment=(*hub_environment(request, context), *request.environment),
        secrets=hub_secrets(request, context),
        memory_bytes=None if ledger is None else memory_limit_bytes(ledger),
    )


def loopback_endpoint(
    request: LaunchRequest, context: PlanContext, engine: str, metrics_path: str = "/metrics"
) -> Endpoint:
    """Where the engine answers us: the node's loopback, also where its network reaches it; we come through SSH."""
    return Endpoint(
        node_id=request.nodes[0],
        host="127.0.0.1",
        port=request.port,
        model=request.served_name,
        engine=engine,
        metrics_path=metrics_path,
        context_tokens=request.context_tokens,
        note=context.engine_notes.get(engine, ""),
    )
