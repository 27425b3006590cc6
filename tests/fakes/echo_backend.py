"""A complete adapter for tests/servers/echo_engine.py: the seam with a real plan, log reader and metrics page."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from sparkdesk.core.jobs.backend import (
    BackendInfo,
    EndpointFailure,
    Finding,
    LoadProgress,
    LogFailure,
    PlanContext,
    Reading,
    Told,
)
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, Problem
from sparkdesk.core.jobs.reading import GENERATED_TOKENS, WEIGHTS_BYTES, read_prometheus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.preflight import node_problems, port_problems, refuse_errors
from sparkdesk.core.playbooks.job import JobSpec, build_plan
from sparkdesk.services.secret_store import key_reference

KEY_VARIABLE = "ECHO_API_KEY"
ENGINE = Path(__file__).resolve().parents[1] / "servers" / "echo_engine.py"


class EchoLog:
    """Reads the engine's log."""

    def feed(self, line: str) -> list[Finding | LogFailure]:
        """What this line tells."""
        if "50 percent" in line:
            return [LoadProgress("load", "Halfway", 0.5)]
        if "warming up" in line:
            return [LoadProgress("warmup", "Warming up")]
        if "weights" in line:
            return [Reading(WEIGHTS_BYTES, float(line.split()[2])), Told("version", line.split()[-1])]
        if "Address already in use" in line:
            return [LogFailure("The port is taken", "Take another port.")]
        if "out of memory" in line:
            return [LogFailure("The engine has no memory", "Ask for less.")]
        return []


class Echo:
    """The adapter. `extra_flags` of the request go to the engine; `program` is the engine as its node knows it."""

    info = BackendInfo(key="echo", title="Echo", purposes=("chat",))
    load_timeout_s = 60.0
    memory_floor_bytes = 0
    weights_bytes: int | None = None
    """What its ledger says that it takes."""

    def __init__(self, program: tuple[str, ...] = (sys.executable, str(ENGINE))) -> None:
        self._program = program

    def problems(self, request: LaunchRequest, context: PlanContext) -> list[Problem]:
        """What speaks against it."""
        problems = node_problems(request, context)
        return problems or port_problems(request, context.node(request.nodes[0]))

    def plan(self, request: LaunchRequest, context: PlanContext) -> LaunchPlan:
        """The plan."""
        refuse_errors(self.problems(request, context))
        endpoint = Endpoint(
            request.nodes[0], "127.0.0.1", request.port, request.served_name, engine="echo", metrics_path="/metrics"
        )
        is_open = request.reach == "lan"
        spec = JobSpec(
            job_id=context.job_id,
            node_id=request.nodes[0],
            title=request.served_name,
            engine=self.info.title,
            owner=context.owner,
            argv=(*self._program, "--port", str(request.port), *request.extra_flags),
            endpoint=endpoint,
            load_timeout_s=self.load_timeout_s,
            memory_floor_bytes=self.memory_floor_bytes,
            secrets=((KEY_VARIABLE, key_reference(context.job_id)),) if is_open else (),
            key_env=KEY_VARIABLE if is_open else "",
            extra={"stop_grace_s": 1.5},
        )
        known = None if self.weights_bytes is None else 0
        ledger = MemoryLedger(request.nodes[0], None, None, self.weights_bytes, known, known)
        plan = build_plan(request, context, spec, ledger=ledger, command_title="echo")
        return replace(plan, notes=("an engine for tests",))

    def log_reader(self) -> EchoLog:
        """A new reader."""
        return EchoLog()

    def readings(self, text: str) -> dict[str, float]:
        """The metrics page."""
        return read_prometheus(text, {"echo_tokens_total": GENERATED_TOKENS})

    def failure(self, status: int, body: bytes) -> EndpointFailure | None:
        """Nothing special."""
        return None
