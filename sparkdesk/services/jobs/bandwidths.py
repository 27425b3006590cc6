"""The effective memory bandwidth of each deployment, from its plan and what its engine says.

The one rule: an unknown fact gives a reason and no figure. So does an engine that makes several tokens a step, for the
steps a second are then not known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import KV_TOKENS, REQUESTS_RUNNING, SPECULATION
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.memory.need import VALUE_BYTES
from sparkdesk.core.planning.speed.bandwidth import Bandwidth, effective_bandwidth, facts_of, steps_of

NAN = float("nan")
_SPECULATIVE_FLAGS = ("--speculative", "--spec-", "--num-speculative", "--draft", "--model-draft", "-md")
"""What the flags of engines that guess tokens ahead begin with. Source: vLLM's and llama-server's own --help."""


class Bandwidths:
    """Computes when asked; keeps nothing. `catalogue` is what is known of models."""

    def __init__(
        self,
        jobs: Latest[tuple[JobStatus, ...]],
        plan_of: Callable[[str], LaunchPlan | None],
        catalogue: tuple[ModelSpec, ...],
    ) -> None:
        self._jobs = jobs
        self._plan_of = plan_of
        self._catalogue = catalogue

    def of(self, job_id: str) -> Bandwidth | None:
        """What the deployment reads from memory a second, over all its nodes; None for a job that does not run."""
        job = next((job for job in self._jobs.value if job.job_id == job_id), None)
        if job is None or job.state is not JobState.READY:
            return None
        plan = self._plan_of(job_id)
        if plan is None:
            return _unknown("How this deployment was started is not known")
        match = find_model(self._catalogue, plan.request.model)
        if match is None:
            return _unknown("The model is not in the catalogue, so its shape is not known")
        if job.reading(SPECULATION) > 0 or is_speculative(plan.request):
            return _unknown("It makes several tokens a step (speculative decoding); how many steps is not known")
        return _compute(job, plan, match.spec)


def is_speculative(request: LaunchRequest) -> bool:
    """Whether the launch asked for tokens to be guessed ahead."""
    return any(flag.startswith(_SPECULATIVE_FLAGS) for flag in request.extra_flags)


def _compute(job: JobStatus, plan: LaunchPlan, spec: ModelSpec) -> Bandwidth:
    request = plan.request
    rate, running = job.reading(GENERATED_RATE), job.reading(REQUESTS_RUNNING)
    if running == 0.0:
        return _unknown("No request runs")
    if math.isnan(rate) or math.isnan(running):
        return _unknown("The engine does not say how many tokens it makes and for how many requests")
    value_bytes = VALUE_BYTES.get(request.kv_dtype)
    if value_bytes is None:
        return _unknown(f"How large a value of the KV type {request.kv_dtype} is, is not known")
    kv_tokens = job.reading(KV_TOKENS)
    facts = facts_of(spec, request.model, request.quantization, kv_value_bytes=value_bytes)
    if facts.weight_bytes is None:
        facts = replace(facts, weight_bytes=_planned_weights(plan))
    return effective_bandwidth(
        facts,
        steps_per_s=steps_of(rate, running),
        batch=max(running, 1.0),
        kv_tokens=None if math.isnan(kv_tokens) else kv_tokens,
        nodes=len(set(job.node_ids)),
    )


def _planned_weights(plan: LaunchPlan) -> float | None:
    """Bytes of weights that the plan saw on the node, such as a file's size; None over several nodes, or not known."""
    return plan.ledgers[0].weights_bytes if len(plan.ledgers) == 1 and len(plan.request.nodes) == 1 else None


def _unknown(reason: str) -> Bandwidth:
    return Bandwidth(NAN, NAN, NAN, reason)
