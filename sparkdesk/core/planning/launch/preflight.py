"""Checks of a request against a node that every engine shares."""

from __future__ import annotations

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.backend import NodeContext, PlanContext
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.launch.division import tensor_problem
from sparkdesk.core.planning.launch.flag import table_problems, word_and_variable_problems
from sparkdesk.core.planning.launch.request import launched_weights

ONE_NODE_ONLY = Problem(
    Severity.ERROR,
    "Serving over several nodes is not built yet",
    "Choose one node, with tensor, pipeline and data parallel size 1.",
    "nodes",
)
"""What no engine can do yet: who shows it tells it apart from a mistake in the request."""


def has_errors(problems: list[Problem]) -> bool:
    """Whether one of them forbids the launch."""
    return any(problem.severity is Severity.ERROR for problem in problems)


def refuse_errors(problems: list[Problem]) -> None:
    """Raise PlanError for the first problem that forbids the launch."""
    for problem in problems:
        if problem.severity is Severity.ERROR:
            raise PlanError(problem.message, remedy=problem.remedy)


def node_problems(request: LaunchRequest, context: PlanContext) -> list[Problem]:
    """Nodes that are not there, a number of nodes that this engine cannot use yet, and added words it may not have."""
    known = {node.record.id for node in context.nodes}
    problems = [
        Problem(
            Severity.ERROR, "A chosen node is not live", "Choose a node that is live, or wait until it is.", "nodes"
        )
        for node_id in request.nodes
        if node_id not in known
    ]
    sizes = request.tensor_parallel_size * request.pipeline_parallel_size * request.data_parallel_size
    if len(request.nodes) > 1 or sizes > 1:
        problems.append(ONE_NODE_ONLY)
    problems += word_and_variable_problems(request) + table_problems(request, context.flag_tables)
    return problems + name_problems(launched_weights(request, context.spec))


def name_problems(weights: WeightFormat) -> list[Problem]:
    """A checkpoint whose repository nobody looked up: a launch would find out only when it fetches."""
    if not weights.is_repo_recalled:
        return []
    remedy = "Look the name up before you launch it: the download may find nothing."
    return [Problem(Severity.NOTE, f"Repository name not checked: {weights.repo}", remedy, "model")]


def port_problems(request: LaunchRequest, node: NodeContext) -> list[Problem]:
    """A port that somebody holds on the node, with the next free one."""
    holder = node.used_ports.get(request.port)
    if holder is None:
        return []
    free = next((port for port in range(request.port + 1, 65536) if port not in node.used_ports), None)
    remedy = f"Take port {free}." if free else "Take another port."
    return [Problem(Severity.ERROR, f"Port {request.port} is in use on {node.record.name} by {holder}", remedy, "port")]


def tensor_problems(request: LaunchRequest, spec: ModelSpec | None) -> list[Problem]:
    """A tensor parallel size that does not divide the model, as far as its shape is known."""
    size = request.tensor_parallel_size
    if spec is None or not (reason := tensor_problem(spec, size)):
        return []
    remedy = f"Divide it by layers (pipeline parallel size {size}), or run {size} copies (data parallel size {size})."
    return [Problem(Severity.ERROR, reason, remedy, "tensor_parallel_size")]
