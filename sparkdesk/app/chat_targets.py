"""What the chat can talk to: deployments that are ready, servers found on nodes, and those connected to by URL.

The one rule: what is told of a deployment beside its answers (pool, energy, speed) comes from what was measured or
planned of it, and is unknown where neither was.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from sparkdesk.core.chat.context import PoolUse
from sparkdesk.core.chat.message import Sampling
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.reading import KV_CAPACITY_TOKENS, KV_USED, REQUESTS_RUNNING, REQUESTS_WAITING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.models.catalogue import find_model
from sparkdesk.core.planning.workload import Workload
from sparkdesk.services.chat.answering.energy import answer_energy_j
from sparkdesk.services.chat.endpoint import ChatEndpoint
from sparkdesk.services.chat.found_link import offer_found

if TYPE_CHECKING:
    from sparkdesk.app.stack import Stack

LONG_PROMPT = Workload("chat", "A long prompt", 8192, 128, 1)
"""What the speed of reading is predicted for: the bar it is needed for is of long prompts."""


class ChatTargets:
    """Keeps the list of what can be talked to."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.endpoints: Latest[tuple[ChatEndpoint, ...]] = Latest(())
        feeds = (
            stack.launcher.jobs,
            stack.chat.links.endpoints,
            stack.fleet.servers.servers,
            stack.inventory.nodes,
        )
        self._watches = [feed.subscribe(lambda _value: self._list()) for feed in feeds]

    def close(self) -> None:
        """Stop listening."""
        for watch in self._watches:
            watch.close()

    def _list(self) -> None:
        stack = self._stack
        jobs = stack.launcher.jobs.value
        ready = [self._deployment(job) for job in jobs if job.state is JobState.READY and self._can_chat(job)]
        found = offer_found(stack.fleet.servers, stack.inventory.nodes.value)
        offered = (*ready, *found, *stack.chat.links.endpoints.value)
        if [known.endpoint for known in offered] != [known.endpoint for known in self.endpoints.value]:
            self.endpoints.set(offered)

    def _can_chat(self, job: JobStatus) -> bool:
        """Whether it answers in words: vectors and scores are asked for by other programs."""
        plan = self._stack.launcher.plan_of(job.job_id)
        is_talker = plan is None or plan.request.purpose in ("chat", "vision")
        return is_talker and job.endpoint is not None and bool(job.endpoint.base_path)

    def _deployment(self, job: JobStatus) -> ChatEndpoint:
        assert job.endpoint is not None
        stack, job_id = self._stack, job.job_id
        plan = stack.launcher.plan_of(job_id)
        return ChatEndpoint(
            id=job_id,
            endpoint=job.endpoint,
            source=lambda: stack.launcher.client(job_id),
            node=stack.inventory.names().get(job.endpoint.node_id, ""),
            system_prompt=plan.request.system_prompt if plan else "",
            sampling=Sampling(temperature=plan.request.temperature if plan else None),
            doubt=lambda: stack.launcher.doubt(job_id),
            pool=lambda: self._pool(job_id),
            energy_j=lambda since_s: self._energy_j(job_id, since_s),
            prefill_tokens_per_s=lambda: self._prefill_tokens_per_s(job_id),
            takes_images=self._takes_images(plan),
            thinks=self._thinks(plan),
            embed=self._embedder,
        )

    def _pool(self, job_id: str) -> PoolUse | None:
        job, plan = self._stack.launcher.status(job_id), self._stack.launcher.plan_of(job_id)
        if job is None:
            return None
        told = {row.key: row.told for row in self._stack.assessment.corrections.truth(job_id)}
        used = job.reading(KV_USED)
        return PoolUse(
            used_fraction=used if math.isfinite(used) else None,
            capacity_tokens=_whole(told.get(KV_CAPACITY_TOKENS, math.nan)),
            running=_whole(job.reading(REQUESTS_RUNNING)),
            waiting=_whole(job.reading(REQUESTS_WAITING)),
            slots=plan.request.concurrency if plan is not None else None,
        )

    def _energy_j(self, job_id: str, since_s: float) -> float:
        job = self._stack.launcher.status(job_id)
        if job is None:
            return math.nan
        span_s = self._stack.clock.monotonic_s() - since_s
        return answer_energy_j(self._stack.telemetry, job.node_ids, span_s)

    def _prefill_tokens_per_s(self, job_id: str) -> float:
        """NaN also for a simulated engine: what answers is this computer, not a GB10."""
        job, plan = self._stack.launcher.status(job_id), self._stack.launcher.plan_of(job_id)
        if job is None or plan is None or (job.endpoint is not None and job.endpoint.note):
            return math.nan
        predicted = self._stack.assessment.forecaster.predict(plan.request, LONG_PROMPT, job_id)
        return predicted.prefill_tok_s.value if predicted is not None else math.nan

    def _takes_images(self, plan: LaunchPlan | None) -> bool | None:
        """By what it was launched for; a plain launch of a model that the catalogue does not know is not known."""
        if plan is None:
            return None
        if plan.request.purpose == "vision":
            return True
        purposes = self._purposes(plan)
        return "vision" in purposes if purposes else None

    def _thinks(self, plan: LaunchPlan | None) -> bool | None:
        """By the catalogue; a model that it does not have is not known."""
        purposes = self._purposes(plan) if plan is not None else ()
        return "reasoning" in purposes if purposes else None

    def _purposes(self, plan: LaunchPlan) -> tuple[str, ...]:
        match = find_model(self._stack.launcher.catalogue, plan.request.model)
        return match.spec.purposes if match is not None else ()

    def longest_context(self, plan: LaunchPlan) -> int | None:
        """The longest context that the model was trained for; None is not known."""
        match = find_model(self._stack.launcher.catalogue, plan.request.model)
        return match.spec.context_tokens if match is not None else None

    def _embedder(self) -> ChatEndpoint | None:
        """A server of vectors of ours that is ready."""
        stack = self._stack
        for job in stack.launcher.jobs.value:
            plan = stack.launcher.plan_of(job.job_id)
            if plan is None or plan.request.purpose != "embed" or job.state is not JobState.READY:
                continue
            if job.endpoint is not None:
                client = partial(stack.launcher.client, job.job_id)
                return ChatEndpoint(id=job.job_id, endpoint=job.endpoint, source=client)
        return None


def _whole(value: float) -> int | None:
    return round(value) if math.isfinite(value) else None
