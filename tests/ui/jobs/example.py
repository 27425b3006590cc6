"""The deployments of the documentation's pictures: example data on a cluster called "example-4".

The one rule: no figure in it was measured, and none of it says so; causes and fixes are what the rules themselves say
of the example's evidence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sparkdesk.core.bench.expectation import Expectation
from sparkdesk.core.bench.run import BenchPoint, BenchRun, BenchShape, BenchState
from sparkdesk.core.jobs.appraisal.cause import Evidence, find_causes
from sparkdesk.core.jobs.fix import FailedLaunch, Fix, find_fixes
from sparkdesk.core.jobs.next_change import NextChange
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobState, JobStatus, LogLine, Phase, PhaseState
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.truth import Correction, TruthRow
from sparkdesk.core.jobs.verdict import Pace, Verdict
from tests.ui import rack
from tests.ui.jobs.desk import Desk, readings
from ui.jobs.feeds import DeploymentFeeds

GIB = 1 << 30
READY, SLOW, COMING, BROKEN = "gpt", "qwen", "llama", "coder"
NODES = {READY: 0, SLOW: 2, COMING: 3, BROKEN: 1}
MEMORY = "memory floor: 3.8 GiB available, at least 4.0 GiB wanted"
DONE, TO_DO = PhaseState.DONE, PhaseState.TO_DO
STARTED = (
    Phase("preflight", "Pre-flight", DONE, 4.0),
    Phase("image", "Image", DONE, 1.0, "on disk"),
    Phase("weights", "Weights", DONE, 2.0, "on disk"),
    Phase("start", "Start", DONE, 3.0),
)
SERVES = (
    *STARTED,
    Phase("load", "Load", DONE, 148.0, "14 of 14 shards"),
    Phase("warmup", "Warm-up", DONE, 51.0, "graphs"),
    Phase("token", "First token", DONE, 1.0),
    Phase("ready", "Ready", DONE, 11_520.0),
)
FETCHES = (
    *STARTED[:2],
    Phase("weights", "Weights", PhaseState.CURRENT, 47.0, "12.4 of 42.7 GB, 410 MB/s, 5 of 14 files", 0.29),
    *(Phase(phase.key, phase.title, TO_DO) for phase in SERVES[3:]),
)
BREAKS = (
    *STARTED,
    Phase("load", "Load", PhaseState.FAILED, 92.0, "9 of 14 shards"),
    *(Phase(phase.key, phase.title, TO_DO) for phase in SERVES[5:]),
)


def ask(job_id: str, model: str, **more: object) -> LaunchRequest:
    """What was asked for."""
    return LaunchRequest(
        engine="vllm",
        model=model,
        nodes=(f"node{NODES[job_id]}",),
        served_name=model.partition("/")[2].lower(),
        context_tokens=131_072,
        concurrency=8,
    ).model_copy(update=more)


REQUESTS = {
    READY: ask(READY, "openai/gpt-oss-120b", quantization="mxfp4", tool_parser="openai"),
    SLOW: ask(SLOW, "Qwen/Qwen3.6-35B-A3B", quantization="nvfp4", extra_flags=("--enforce-eager",)),
    COMING: ask(COMING, "nvidia/Llama-3.3-70B-Instruct-NVFP4", quantization="nvfp4", context_tokens=32_768),
    BROKEN: ask(BROKEN, "Qwen/Qwen3-Coder-Next-FP8", quantization="fp8", memory_fraction=0.9),
}
FIX: Fix = find_fixes(FailedLaunch(REQUESTS[BROKEN], MEMORY))[0]
SEEN = Evidence(
    REQUESTS[SLOW],
    "NVFP4",
    {"moe_backend": "EMULATION", "eager": "yes"},
    clock_mhz=1310.0,
    power_capped=0.31,
)
VERDICTS = {
    READY: Verdict(Pace.AS_EXPECTED, 57.9, 57.0, 54.0, 62.0, 0.412, 512, 128, rack.NOW_MS),
    SLOW: Verdict(Pace.SLOWER, 34.0, 57.0, 51.0, 64.0, 0.71, 512, 128, rack.NOW_MS, find_causes(SEEN)),
}
CHANGE = NextChange(
    "more_sequences",
    "Answer 16 requests at once instead of 8",
    "14 requests wait while the KV cache is 38 % full",
    "Predicted 231 tok/s now, 322 tok/s then (28.9 and 20.1 each)",
    "A restart of about 210 s; each answer comes more slowly",
    (("concurrency", 16),),
)
TRUTH = (
    TruthRow("engine_weights_bytes", "Weights", 62.1 * GIB, 62.6 * GIB, "bytes"),
    TruthRow("engine_kv_capacity_tokens", "KV cache", 1_310_720.0, 1_371_904.0, "tokens"),
    TruthRow("engine_graph_bytes", "CUDA graphs", 1.0 * GIB, 1.9 * GIB, "bytes"),
    TruthRow("engine_weights_load_s", "Loading the weights", math.nan, 148.0, "s"),
)
POINTS = (
    BenchPoint(1, 2.63, 0.412, 0.0173, 1243.0, 57.9, 512, 128, 4, 0, "", 0.06),
    BenchPoint(2, 2.98, 0.55, 0.0191, 1862.0, 101.2, 512, 128, 8, 0, "", 0.11),
    BenchPoint(4, 3.9, 0.81, 0.0243, 2528.0, 164.0, 512, 128, 16, 0, "", 0.17),
    BenchPoint(8, 5.71, 1.43, 0.0337, 2864.0, 238.0, 512, 128, 32, 0, "", 0.24),
)
RUN = BenchRun(
    id="run1",
    job_id=READY,
    title="gpt-oss-120b",
    engine="vLLM",
    model="openai/gpt-oss-120b",
    quantization="mxfp4",
    node_names=("spark-5c2d",),
    started_ms=rack.NOW_MS,
    shape=BenchShape(),
    state=BenchState.DONE,
    points=POINTS,
    note="Example data.",
)


def job(job_id: str, state: JobState, phases: tuple[Phase, ...], **more: object) -> JobStatus:
    """One of the example's jobs."""
    name = REQUESTS[job_id].served_name
    found = rack.job(job_id, name, NODES[job_id], state)
    endpoint = replace(rack.endpoint(NODES[job_id], name), port=8000, engine="vllm", context_tokens=131_072)
    return replace(found, engine="vllm", phases=phases, endpoint=endpoint, **more)  # type: ignore[arg-type]


def jobs() -> tuple[JobStatus, ...]:
    """All of them: two serve, one comes, one failed."""
    message = f"The server is gone: {MEMORY}"
    return (
        job(READY, JobState.READY, SERVES, readings=spoken(READY, 0)),
        job(SLOW, JobState.READY, SERVES, readings=spoken(SLOW, 0)),
        job(COMING, JobState.LOADING, FETCHES, eta_s=134.0, readings=()),
        job(BROKEN, JobState.FAILED, BREAKS, message=message, remedy="Read the log for the cause."),
    )


def expect(_job_id: str, _shape: BenchShape, users: int) -> Expectation:
    """What plan and published tables say of so many users."""
    rate = 57.0 * users**0.68
    return Expectation(rate, 0.92 * rate, 1.1 * rate, 0.4, 231.0 if users == 8 else math.nan, "c8")


@dataclass
class ExampleDesk(Desk):
    """The desk of the documentation."""

    verdicts: dict[str, Verdict] = field(default_factory=lambda: dict(VERDICTS))
    changes: dict[str, NextChange] = field(default_factory=lambda: {READY: CHANGE})
    fixes: dict[str, Fix] = field(default_factory=lambda: {BROKEN: FIX})
    corrections: dict[str, Correction] = field(
        default_factory=lambda: {READY: Correction("gpt-oss-120b", "vLLM", "0.33.0", 3, 1.01, 1.05)}
    )

    def open(self) -> None:
        """Everything has run for five minutes."""
        for one in jobs():
            self.stage.plans[one.job_id] = self._plan(one)
        self.stage.jobs.set(jobs())
        for second in range(300):
            self.stage.now_ms += 1000
            fresh = (replace(j, readings=spoken(j.job_id, second)) if j.readings else j for j in jobs())
            self.stage.jobs.set(tuple(fresh))
        self.runs.set((RUN,))
        for job_id, write in LOGS.items():
            self.log(job_id, *write(self.stage.now_ms))

    def _plan(self, one: JobStatus) -> LaunchPlan:
        plan = rack.plan(one.job_id, NODES[one.job_id])
        assert one.endpoint is not None
        return replace(plan, request=REQUESTS[one.job_id], title=one.title, endpoint=one.endpoint)

    def feeds(self) -> DeploymentFeeds:
        """As the page reads them."""
        titles = {"vllm": "vLLM"}
        truth = {READY: TRUTH}
        return replace(
            super().feeds(), engine_titles=titles, expected=expect, truth=lambda job_id: truth.get(job_id, ())
        )


def spoken(job_id: str, second: int) -> tuple[tuple[str, float], ...]:
    """What the engines say in a second of the five minutes: the first has more to do than it may, the other little."""
    told = dict(readings(second // 3))
    ripple = math.sin(second / 2.3) + 0.6 * math.sin(second / 0.9)
    told["generated_tokens_per_s"] += 7.0 * ripple
    if job_id == SLOW:
        told |= {"generated_tokens_per_s": 33.0 + ripple, "requests_running": 1.0, "requests_waiting": 0.0}
    else:
        told["requests_waiting"] = max(0.0, round((second - 90) / 15 + ripple))
        told["kv_used_fraction"] = 0.2 + 0.18 * second / 300
    return tuple(told.items())


def _serving(now_ms: int) -> list[LogLine]:
    """Forms of the lines: vLLM's own (tests/data/captures/vllm_cpu)."""
    lines = []
    for i in range(40):
        text = '(APIServer pid=214) INFO:     127.0.0.1:41822 - "POST /v1/chat/completions HTTP/1.1" 200 OK'
        if i % 3 == 2:
            text = (
                f"(APIServer pid=214) INFO 10-09 08:5{2 + i // 8}:{7 * (i % 8):02} [loggers.py:335] Engine 000: "
                f"Avg prompt throughput: 1846.0 tokens/s, Avg generation throughput: {224 + 3 * (i % 5)}.4 tokens/s, "
                f"Running: 8 reqs, Waiting: {i // 3} reqs"
            )
        lines.append(LogLine(now_ms - (40 - i) * 3300, "engine", "info", text, offset=100_000 + i * 120))
    return lines


def _loading(now_ms: int) -> list[LogLine]:
    """Up to its end."""
    said = "(APIServer pid=214) INFO 10-09 08:58:0"
    lines = [
        (9000, "engine", "info", f"{said}1 [model.py:733] Resolved architecture: Qwen3NextForCausalLM"),
        (8500, "engine", "info", f"{said}1 [model.py:2152] Using max model len 131072"),
    ]
    for i in range(10):
        text = f"Loading safetensors checkpoint shards: {round(100 * i / 14):3}% Completed | {i}/14"
        lines.append((8000 - i * 800, "engine", "info", text))
    lines += [
        (300, "job", "warning", MEMORY),
        (100, "SparkDesk", "warning", f"The server is gone: {MEMORY}"),
    ]
    return [LogLine(now_ms - ago, source, level, text) for ago, source, level, text in lines]


def _slow(now_ms: int) -> list[LogLine]:
    eager = "Enforce eager set, disabling torch.compile, CUDAGraphs, and JIT kernel warmup."
    lines = (
        ("warning", f"(APIServer pid=214) WARNING 10-09 08:43:20 [vllm.py:1703] {eager}"),
        ("info", "(EngineCore pid=307) INFO 10-09 08:43:20 Using 'EMULATION' NvFp4 MoE backend"),
    )
    return [LogLine(now_ms - 900_000, "engine", level, text) for level, text in lines] + _serving(now_ms)[:6]


LOGS: dict[str, Callable[[int], list[LogLine]]] = {READY: _serving, BROKEN: _loading, SLOW: _slow}
