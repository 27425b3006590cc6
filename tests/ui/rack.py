"""A rack of four nodes as plain values, for tests and pictures of the pages. No figure in it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sparkdesk.core.cluster.node import ClusterRecord, NodeFacts, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.command import Command
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, ShownCommand
from sparkdesk.core.jobs.reading import KV_USED, REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobState, JobStatus, Phase, PhaseState
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.step import Expect, Playbook, PutFile, Run, Stage, Step, Wait
from sparkdesk.core.telemetry.sample import Sample

GIB = 1 << 30
TOTAL = round(121.6 * GIB)
NOW_MS = 1_760_000_000_000
NAMES = ("spark-5c2d", "spark-bd26", "spark-afe0", "spark-3995")


def record(i: int) -> NodeRecord:
    """Node `i` as it is kept."""
    name = NAMES[i] if i < len(NAMES) else f"spark-{i:04x}"
    return NodeRecord(f"node{i}", name, f"10.0.20.{30 + i}", 22, "nvidia", host_key="ssh-ed25519 AAAA")


def status(i: int, state: NodeState = NodeState.LIVE, message: str = "", **more: object) -> NodeStatus:
    """Node `i` as it is now."""
    facts = NodeFacts(
        hostname=record(i).name,
        os_version="DGX OS 7.5.0",
        kernel="6.17.0-1014-nvidia",
        python_version="3.12.3",
        driver_version="580.159.03",
        gpu_name="NVIDIA GB10",
        product="NVIDIA DGX Spark",
        cpu_count=20,
        mem_total_bytes=TOTAL,
    )
    found = NodeStatus(record(i), state, NOW_MS - 60_000, message=message, facts=facts)
    return replace(found, **more) if more else found  # type: ignore[arg-type]


def cluster(count: int = 4, shape: str = "switch", *, is_simulated: bool = True) -> ClusterRecord:
    """A cluster record."""
    return ClusterRecord("c1", "rack-4", tuple(record(i) for i in range(count)), is_simulated, shape, "MikroTik CRS804")


def sample(i: int, used_gib: float = 6.2, values: Mapping[str, float] | None = None, *, t_ms: int = NOW_MS) -> Sample:
    """What node `i` measured."""
    found = {
        "gpu_util": 0.58,
        "gpu_temp_c": 58.0,
        "gpu_power_w": 44.0,
        "gpu_sm_clock_mhz": 2411.0,
        "cpu_util": 0.22,
        "mem_total_bytes": float(TOTAL),
        "mem_available_bytes": TOTAL - used_gib * GIB,
        "mem_used_bytes": used_gib * GIB,
        "mem_page_cache_bytes": 24.3 * GIB,
        "cage_up.P0": 0.0,
        "cage_up.P1": 2.0,
        "cage_speed_gbps.P1": 200.0,
        "cage_rx_gbps.P1": 11.6,
        "cage_tx_gbps.P1": 11.8,
    }
    found.update(values or {})
    return Sample(f"node{i}", t_ms, 1, "boot", {key: value for key, value in found.items() if value == value})


def request(i: int = 0, **changes: object) -> LaunchRequest:
    """A launch request for node `i`."""
    base = LaunchRequest(
        engine="llamacpp",
        model="smollm2-135m",
        weights_path="~/models/smollm2-135m-q8_0.gguf",
        nodes=(f"node{i}",),
        served_name="smollm2-135m",
        port=8080,
        concurrency=8,
    )
    return base.model_copy(update=changes)


def plan(job_id: str, i: int = 0, weights_gib: float = 22.4, kv_gib: float = 20.9, **changes: object) -> LaunchPlan:
    """A launch plan on node `i`, with its steps as a person reads them."""
    asked = request(i, **changes)
    folder = f"~/.local/state/sparkdesk/jobs/{job_id}"
    serve = Command(("llama-server", "--model", asked.weights_path, "--port", str(asked.port), "--parallel", "8"))
    steps = (
        Step("folder", "Make the job folder", f"node{i}", (PutFile(f"{folder}/spec.json", b"{}"),), phase="prepare"),
        Step("start", "Start the server", f"node{i}", (Run(serve),), phase="load"),
        Step(
            "ready",
            "Wait until it answers",
            f"node{i}",
            (Wait(Command(("python3", "job.py", "ready", folder)), Expect(), timeout_s=600),),
            phase="load",
        ),
        Step("token", "Generate one token", f"node{i}", (_job_verb("token", folder),), phase="token"),
    )
    end = Step("stop", "End the process group", f"node{i}", (_job_verb("stop", folder),))
    stop = Playbook("Stop", (Stage("Stop", (end,)),))
    return LaunchPlan(
        job_id=job_id,
        request=asked,
        title=asked.served_name,
        playbook=Playbook("Launch", tuple(Stage(step.title, (step,)) for step in steps)),
        stop=stop,
        endpoint=endpoint(i, asked.served_name),
        ledgers=(MemoryLedger(f"node{i}", TOTAL, 6 * GIB, round(weights_gib * GIB), round(kv_gib * GIB), 2 * GIB),),
        commands=(ShownCommand(f"node{i}", "llama-server", serve.to_shell().replace(" --", " \\\n  --")),),
        notes=("One CPU thread: with every layer on the GPU more only spin.",),
    )


def _job_verb(verb: str, folder: str) -> Run:
    return Run(Command(("python3", "job.py", verb, folder)))


def endpoint(i: int, model: str) -> Endpoint:
    """Where a model answers on node `i`."""
    return Endpoint(f"node{i}", "127.0.0.1", 8080, model, engine="llamacpp", context_tokens=4096)


PHASES = (
    Phase("prepare", "Prepare", PhaseState.DONE, 4.0, "22 checks"),
    Phase("load", "Load", PhaseState.DONE, 158.0, "22.4 GiB"),
    Phase("warm", "Warm-up", PhaseState.DONE, 51.0),
    Phase("token", "First token", PhaseState.DONE, 1.0, '"ok", 412 ms'),
    Phase("ready", "Ready", PhaseState.DONE, 11_520.0, "since 09:31"),
)
LOADING_PHASES = (
    PHASES[0],
    Phase("load", "Load", PhaseState.CURRENT, 31.0, "62 %"),
    Phase("warm", "Warm-up", PhaseState.TO_DO),
    Phase("token", "First token", PhaseState.TO_DO),
    Phase("ready", "Ready", PhaseState.TO_DO),
)
FAILED_PHASES = (PHASES[0], Phase("load", "Load", PhaseState.FAILED, 12.0, "exit code 1"), *LOADING_PHASES[2:])


def job(job_id: str, title: str, i: int = 0, state: JobState = JobState.READY, **more: object) -> JobStatus:
    """A job on node `i`."""
    known = {JobState.READY: PHASES, JobState.LOADING: LOADING_PHASES, JobState.FAILED: FAILED_PHASES}
    phases = known.get(state, PHASES[:1])
    found = JobStatus(
        job_id=job_id,
        title=title,
        engine="llamacpp",
        node_ids=(f"node{i}",),
        state=state,
        created_ms=NOW_MS - 3_600_000,
        phases=phases,
        endpoint=endpoint(i, title),
        readings=readings(8, 14) if state is JobState.READY else (),
    )
    return replace(found, **more) if more else found  # type: ignore[arg-type]


def readings(running: float, waiting: float, rate: float = 228.0, kv: float = 0.38) -> tuple[tuple[str, float], ...]:
    """What an engine said."""
    return ((REQUESTS_RUNNING, running), (REQUESTS_WAITING, waiting), ("generated_tokens_per_s", rate), (KV_USED, kv))
