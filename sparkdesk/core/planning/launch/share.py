"""What a launch takes of a node's memory, for engines that take a share of it at their start (vLLM, SGLang).

The one rule: the ledger is the engine's own arithmetic (what its share leaves beside the weights is KV cache), and the
planner's code reckons it (memory/fraction.py), so that form, plan table and launch say the same.
"""

from __future__ import annotations

from sparkdesk.core.jobs.backend import PlanContext
from sparkdesk.core.jobs.plan import MemoryLedger, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.refusal import no_cache_problem, start_refusals
from sparkdesk.core.planning.launch.request import live_place, place_of, setup_of, share_of, workload_of
from sparkdesk.core.planning.memory.fraction import start_note
from sparkdesk.core.planning.memory.ledger import fit_problems, launch_ledgers, share_problems, weights_problems
from sparkdesk.core.planning.setup import EngineProfile


def share_ledger(request: LaunchRequest, context: PlanContext, profile: EngineProfile) -> MemoryLedger:
    """The first node's ledger, as the engine takes its memory when it starts."""
    setup = setup_of(request, context.spec, profile)
    return launch_ledgers(setup, workload_of(request), place_of(request, context))[0]


def share_launch_problems(request: LaunchRequest, context: PlanContext, profile: EngineProfile) -> list[Problem]:
    """Whether the weights fit the node, the share holds them and the workload, and the engine would start with it."""
    parts = (setup_of(request, context.spec, profile), workload_of(request), place_of(request, context))
    found, whole = launch_ledgers(*parts), live_place(context)
    if too_big := weights_problems(*parts, found, whole):
        return [*too_big]
    refused = start_refusals(*parts, whole)
    if any(problem.severity is Severity.ERROR for problem in refused):
        return refused
    problems = [
        no_cache_problem(*parts)
        for ledger in found
        if ledger.weights_bytes is not None and ledger.kv_bytes is not None and ledger.kv_bytes <= 0
    ]
    return problems or [*refused, *share_problems(*parts), *fit_problems(*parts, found, whole)]


def share_notes(request: LaunchRequest, context: PlanContext, profile: EngineProfile) -> tuple[str, ...]:
    """The engine's own check at its start, with its numbers, where it passes."""
    share = share_of(request, context.spec, profile) or 0.0
    notes = (start_note(profile, node, share) for node in place_of(request, context).nodes)
    return tuple(note for note in notes if note)
