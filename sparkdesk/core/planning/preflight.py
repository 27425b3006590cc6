"""Checks of a request against a node that every engine shares."""

from __future__ import annotations

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.backend import NodeContext, PlanContext
from sparkdesk.core.jobs.plan import GIB, Fit, MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.telemetry.free_memory import LOW_BYTES


def has_errors(problems: list[Problem]) -> bool:
    """Whether one of them forbids the launch."""
    return any(problem.severity is Severity.ERROR for problem in problems)


def refuse_errors(problems: list[Problem]) -> None:
    """Raise PlanError for the first problem that forbids the launch."""
    for problem in problems:
        if problem.severity is Severity.ERROR:
            raise PlanError(problem.message, remedy=problem.remedy)


def node_problems(request: LaunchRequest, context: PlanContext) -> list[Problem]:
    """Nodes that are not there, and a number of nodes that this engine cannot use yet."""
    known = {node.record.id for node in context.nodes}
    problems = [
        Problem(
            Severity.ERROR, "A chosen node is not live", "Choose a node that is live, or wait until it is.", "nodes"
        )
        for node_id in request.nodes
        if node_id not in known
    ]
    if len(request.nodes) > 1 or request.tensor_parallel_size * request.pipeline_parallel_size > 1:
        problems.append(
            Problem(
                Severity.ERROR,
                "Serving over several nodes is not built yet",
                "Choose one node, with tensor and pipeline parallel size 1.",
                "nodes",
            )
        )
    return problems


def port_problems(request: LaunchRequest, node: NodeContext) -> list[Problem]:
    """A port that somebody holds on the node, with the next free one."""
    holder = node.used_ports.get(request.port)
    if holder is None:
        return []
    free = next((port for port in range(request.port + 1, 65536) if port not in node.used_ports), None)
    remedy = f"Take port {free}." if free else "Take another port."
    return [Problem(Severity.ERROR, f"Port {request.port} is in use on {node.record.name} by {holder}", remedy, "port")]


def fit_problems(ledger: MemoryLedger, node: NodeContext) -> list[Problem]:
    """What the ledger's word means for the launch."""
    name = node.record.name
    match ledger.fit:
        case Fit.TOO_BIG:
            return [
                Problem(
                    Severity.WARNING,
                    f"Too big for {name}: the node may freeze and need its power cut",
                    "Lower the context or the number of users, or stop what runs there.",
                    "context_tokens",
                )
            ]
        case Fit.RISKY:
            return [
                Problem(
                    Severity.WARNING,
                    f"Less than {LOW_BYTES / GIB:.0f} GiB would be left on {name}: the node may freeze",
                    "Lower the context or the number of users, or stop what runs there.",
                    "context_tokens",
                )
            ]
        case Fit.UNKNOWN:
            return [
                Problem(
                    Severity.WARNING,
                    f"How much memory this takes on {name} is not known",
                    "Watch the node's free memory while it loads; the guard stops the job below its floor.",
                )
            ]
        case _:
            return []
