"""Deployments with everything that services can tell of them, as plain values. No figure in it was measured."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sparkdesk.core.bench.expectation import Expectation
from sparkdesk.core.bench.run import BenchPoint, BenchRun, BenchShape, BenchState
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.fix import Fix
from sparkdesk.core.jobs.next_change import NextChange
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.record import JobState, JobStatus, LogLine, Phase, PhaseState
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.jobs.truth import Correction, TruthRow
from sparkdesk.core.jobs.verdict import Cause, Pace, Verdict
from sparkdesk.core.planning.speed.bandwidth import Bandwidth
from sparkdesk.core.telemetry.energy import EnergyView
from sparkdesk.services.jobs.reach.doors import Door
from tests.ui import rack
from tests.ui.stage import Stage
from ui.jobs.feeds import DeploymentFeeds

GIB = 1 << 30
AS_EXPECTED = Verdict(Pace.AS_EXPECTED, 57.9, 57.0, 54.0, 62.0, 0.412, 512, 128, rack.NOW_MS)
CAUSES = (
    Cause("eager", "It runs in eager mode", "enforce_eager=True", "Launch it without --enforce-eager."),
    Cause(
        "moe",
        "No MoE kernel for this GPU was found",
        "WARNING fused_moe.py: Using default MoE config. Performance might be sub-optimal!",
        "Choose a build with kernels for sm_121.",
    ),
    Cause("clock", "The clock was low while it was measured", "SM clock 1,310 MHz of 2,411 MHz", "Look at its power."),
)
SLOW = Verdict(Pace.SLOWER, 34.0, 57.0, 54.0, 62.0, 0.71, 512, 128, rack.NOW_MS, CAUSES)
TRUTH = (
    TruthRow("engine_weights_bytes", "Weights", 62.1 * GIB, 62.6 * GIB, "bytes"),
    TruthRow("engine_kv_capacity_tokens", "KV cache", 1_310_720.0, 1_371_904.0, "tokens"),
    TruthRow("engine_graph_bytes", "CUDA graphs", 1.0 * GIB, 1.9 * GIB, "bytes"),
    TruthRow("engine_weights_load_s", "Loading the weights", math.nan, 158.0, "s"),
)
CORRECTION = Correction("gpt-oss-120b", "vLLM", "0.33", 3, 1.01, 1.05)
CHANGE = NextChange(
    "more_sequences",
    "serve 16 users at once instead of 8",
    "14 requests wait while the KV cache is 38 % full.",
    "about 320 tok/s in all, first token in 0.9 s instead of 4.1 s",
    "a restart of about 4 min; each user gets about 20 tok/s instead of 29",
    (("concurrency", 16),),
)
FIX = Fix("Less context leaves the memory that was missing.", (("context_tokens", 65_536), ("kv_dtype", "fp8")))
PHASES = (
    Phase("preflight", "Pre-flight", PhaseState.DONE, 4.0, "22 checks"),
    Phase("image", "Image", PhaseState.DONE, 1.0, "on disk"),
    Phase("weights", "Weights", PhaseState.DONE, 2.0, "on disk, 65.2 GB"),
    Phase("start", "Start", PhaseState.DONE, 3.0),
    Phase("load", "Load", PhaseState.DONE, 148.0, "62.1 GiB"),
    Phase("warmup", "Warm-up", PhaseState.DONE, 51.0, "graphs, 14 sizes"),
    Phase("token", "First token", PhaseState.DONE, 1.0, '"ok", 412 ms'),
    Phase("ready", "Ready", PhaseState.DONE, 11_520.0, "since 09:31"),
)
FETCHING = (
    *PHASES[:2],
    Phase("weights", "Weights", PhaseState.CURRENT, 47.0, "12.4 of 65.2 GB, 410 MB/s, 5 of 14 files", 0.19),
    *(Phase(p.key, p.title, PhaseState.TO_DO) for p in PHASES[3:]),
)
FAILED = (
    *PHASES[:4],
    Phase("load", "Load", PhaseState.FAILED, 92.0, "MemAvailable fell to 3.8 GiB"),
    *(Phase(p.key, p.title, PhaseState.TO_DO) for p in PHASES[5:]),
)
MEMORY_FELL = "MemAvailable fell to 3.8 GiB on spark-bd26 during load; the guard stopped it before the node froze."
READY = replace(rack.job("j1", "gpt-oss-120b", 0), engine="vllm", phases=PHASES)
SLOW_ONE = replace(rack.job("j2", "qwen3.6-35b", 2), engine="vllm", phases=PHASES)
COMING = replace(
    rack.job("j3", "llama-3.3-70b", 1, JobState.LOADING), engine="trtllm", phases=FETCHING, eta_s=134.0, readings=()
)
DEGRADED = replace(
    rack.job("j6", "nemotron-3-nano", 3, JobState.DEGRADED),
    engine="vllm",
    phases=PHASES,
    message="The engine is dead, although its API still answers.",
    remedy="SparkDesk's guard starts it again, try 2 of 3. If that fails too, the cause line stands in the log.",
    restarts=1,
)
BROKEN = replace(
    rack.job("j5", "qwen3.5-397b", 1, JobState.FAILED, message=MEMORY_FELL, remedy="Lower the context."),
    engine="vllm",
    phases=FAILED,
)
STOPPED = replace(rack.job("j4", "qwen3-coder-next", 3, JobState.STOPPED), engine="vllm", phases=PHASES)
MEASURED = (
    BenchPoint(1, 2.63, 0.412, 0.0173, 1243.0, 57.9, 512, 128, 4, 0, "", 0.06),
    BenchPoint(2, 2.98, 0.55, 0.0191, 1862.0, 101.2, 512, 128, 8, 0, "", 0.11),
    BenchPoint(4, 3.9, 0.81, 0.0243, 2528.0, 164.0, 512, 128, 16, 1, "", 0.86),
)


def measured(state: BenchState = BenchState.RUNNING, **more: object) -> BenchRun:
    """A run of three of four points."""
    run = BenchRun(
        id="run1",
        job_id="j1",
        title="gpt-oss-120b",
        engine="vLLM 0.33",
        model="openai/gpt-oss-120b",
        quantization="mxfp4",
        node_names=("spark-5c2d",),
        started_ms=rack.NOW_MS,
        shape=BenchShape(),
        state=state,
        points=MEASURED,
    )
    return replace(run, **more) if more else run  # type: ignore[arg-type]


def readings(k: int) -> tuple[tuple[str, float], ...]:
    """What an engine with every series tells in second `k`."""
    wave = math.sin(k / 20)
    return (
        ("generated_tokens_per_s", 228.0 + 20 * wave),
        ("prompt_tokens_per_s", 1846.0 + 300 * wave),
        ("requests_running", 8.0),
        ("requests_waiting", max(0.0, k - 60) / 4),
        ("kv_used_fraction", min(0.38, 0.2 + k / 900)),
        ("ttft_p50_s", 0.9 + 0.1 * wave),
        ("ttft_p95_s", 2.4 + wave),
        ("tpot_p50_s", 0.0173),
        ("tpot_p95_s", 0.031),
        ("prefix_hit_share", 0.63),
    )


@dataclass
class Desk:
    """Services as the page sees them; what it asked for is written down."""

    stage: Stage = field(default_factory=Stage)
    verdicts: dict[str, Verdict] = field(default_factory=lambda: {"j1": AS_EXPECTED, "j2": SLOW})
    firsts: dict[str, Verdict] = field(default_factory=dict)
    changes: dict[str, NextChange] = field(default_factory=lambda: {"j1": CHANGE})
    fixes: dict[str, Fix] = field(default_factory=lambda: {"j5": FIX})
    corrections: dict[str, Correction] = field(default_factory=lambda: {"j1": CORRECTION})
    runs: Latest[tuple[BenchRun, ...]] = field(default_factory=lambda: Latest(()))
    changed: Latest[int] = field(default_factory=lambda: Latest(0))
    asked: list[tuple[object, ...]] = field(default_factory=list)
    doors: Latest[Mapping[str, Door]] = field(default_factory=lambda: Latest({}))
    answers: dict[str, Callable[..., Awaitable[Any]]] = field(default_factory=dict)
    last: LaunchPlan | None = None

    def serve(self, *jobs: JobStatus, seconds: int = 90) -> None:
        """These jobs are there, and have been for a while."""
        self.stage.serve(*jobs)
        for job in jobs:
            plan = self.stage.plans[job.job_id]
            request = plan.request.model_copy(update={"quantization": "mxfp4", "context_tokens": 131_072})
            self.stage.plans[job.job_id] = replace(plan, request=request)
        for k in range(seconds):
            self.stage.now_ms += 1000
            now = self.stage.jobs.value
            fresh = (replace(j, readings=readings(k)) if j.readings and j.engine == "vllm" else j for j in now)
            self.stage.jobs.set(tuple(fresh))

    def ask(self, name: str) -> Callable[..., object]:
        """Something the page may start; it is written down."""
        return lambda *args: self.asked.append((name, *args))

    def start(self, fn: Callable[..., Awaitable[Any]], *args: object) -> None:
        """Run an async function whose answer is there at once."""
        steps = fn(*args).__await__()
        try:
            next(steps)
        except StopIteration:
            return
        raise AssertionError("the answer was not there at once")

    def _question(self, name: str, answer: object) -> Callable[..., Awaitable[Any]]:
        async def reply(*args: object) -> object:
            self.asked.append((name, *args))
            given = self.answers.get(name)
            return await given(*args) if given is not None else answer

        return reply

    def correct(self, job_id: str, is_applied: bool) -> None:
        """Apply a correction, or take it back."""
        self.corrections[job_id] = replace(self.corrections[job_id], is_applied=is_applied)
        self.changed.set(self.changed.value + 1)

    def launch_again(self, request: LaunchRequest) -> None:
        """The last launch is wanted again."""
        self.asked.append(("launch_again", request))

    def feeds(self) -> DeploymentFeeds:
        """What the page reads."""
        return replace(
            self.stage.deployment_feeds(),
            engine_titles={"vllm": "vLLM", "trtllm": "TensorRT-LLM", "llamacpp": "llama.cpp"},
            bandwidth=lambda _job_id: Bandwidth(178.0, 178.0 / 273.0, 5.87e9),
            energy=lambda _job_id: EnergyView(7200.0, 18_000.0, math.nan, "", math.nan, 1.25, 0.98, 1, "Of the GPU."),
            changed=self.changed,
            verdict=self.verdicts.get,
            first_verdict=self.firsts.get,
            check_again=self.ask("check_again"),
            truth=lambda job_id: TRUTH if job_id == "j1" else (),
            correction=self.corrections.get,
            set_correction=self.correct,
            next_change=self.changes.get,
            dismiss_change=lambda job_id, _key: self.changes.pop(job_id),
            expected=lambda _job_id, _shape, users: Expectation(
                57.0 * users**0.7, 54.0 * users**0.7, 62.0 * users**0.7, 0.4, 231.0 if users == 8 else math.nan, "c8"
            ),
            runs=self.runs,
            measure=self.ask("measure"),
            cancel_measure=self.ask("cancel_measure"),
            fix_of=self.fixes.get,
            restart=self.ask("restart"),
            switch=self.ask("switch"),
            embed_beside=self.ask("embed_beside"),
            last_plan=lambda: self.last,
            launch_again=self.launch_again,
            start=self.start,
            older_lines=self._question("older_lines", ()),
            search_lines=self._question("search_lines", None),
            save_log=self._question("save_log", None),
            open_door=self._open_door,
            doors=self.doors,
            close_door=self.ask("close_door"),
            api_key=self._question("api_key", "sk-secret"),
        )

    async def _open_door(self, job_id: str) -> str:
        self.asked.append(("open_door", job_id))
        if "open_door" in self.answers:
            return str(await self.answers["open_door"](job_id))
        self.doors.set({job_id: Door(job_id, "http://127.0.0.1:8000/v1", 8000, is_open=True)})
        return "http://127.0.0.1:8000/v1"

    def log(self, job_id: str, *lines: LogLine) -> None:
        """Lines come into a job's log."""
        for line in lines:
            self.stage.log(job_id).put(line)

    def chatter(self, job_id: str = "j1", count: int = 60) -> None:
        """Lines as an engine writes them, and ours between."""
        t_ms = self.stage.now_ms - count * 900
        for i in range(count):
            said = (
                f"Engine 000: Avg generation throughput: {228 + i % 9}.4 tokens/s, Running: 8 reqs, Waiting: {i % 15}"
            )
            text = said if i % 3 else 'INFO: 127.0.0.1 "POST /v1/chat/completions HTTP/1.1" 200 OK'
            self.log(job_id, LogLine(t_ms + i * 900, "engine", "info", text, offset=100_000 + i * 120))
        busy = "All 8 sequences are busy for 3 min, 14 requests wait"
        self.log(job_id, LogLine(self.stage.now_ms, "SparkDesk", "warning", busy))
        self.log(job_id, LogLine(self.stage.now_ms, "job", "info", "MemAvailable 16.4 GiB, PSI 0.0, floor 8.0 GiB"))
