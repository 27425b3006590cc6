"""What the planner says of a launch that runs, or would run, on its nodes as they are now.

The one rule: it is the planner's own arithmetic, with the job itself left out of the neighbours; what the planner
cannot say is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.jobs.appraisal.outlook import Outlook
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.catalogue import find_model, weights_of
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.launch.request import setup_of, with_weights, workload_of
from sparkdesk.core.planning.memory.ledger import launch_ledgers, worst_fit
from sparkdesk.core.planning.memory.need import sequences_bytes
from sparkdesk.core.planning.neighbour import predict_shared
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.setup import EngineProfile, Setup
from sparkdesk.core.planning.speed.performance import predict
from sparkdesk.core.planning.workload import Workload

NAN = float("nan")


class Forecaster:
    """Answers from what is known now; asks no node. `place` gives nodes as they are, with all who work there."""

    def __init__(
        self,
        reference: Callable[[], Reference],
        place: Callable[[tuple[str, ...]], Place],
        catalogue: tuple[ModelSpec, ...],
        plan_of: Callable[[str], LaunchPlan | None],
    ) -> None:
        self._reference = reference
        self._place = place
        self._catalogue = catalogue
        self._plan_of = plan_of

    def predict(self, request: LaunchRequest, load: Workload, job_id: str) -> Prediction | None:
        """Speed under this load. None: the model's shape or the engine is not known."""
        found = self.outlook(request, load, job_id)
        return found.prediction if found is not None else None

    def outlook(self, request: LaunchRequest, load: Workload, job_id: str) -> Outlook | None:
        """Speed under this load, and memory as the launch itself takes it. `job_id`: whose place it would take."""
        setup = self.setup(request, job_id)
        reference = self._known_reference()
        if setup is None or reference is None:
            return None
        place = _without(self._place(request.nodes), job_id)
        alone = predict(setup, load, place, reference)
        shared = predict_shared(place, alone, lambda share: predict(setup, load, place, reference, share=share))
        is_shared = shared is not None and shared.e2e_s.is_known
        ledgers = launch_ledgers(setup, workload_of(request), self._freed(place, job_id))
        left = [ledger.free_bytes for ledger in ledgers]
        known = [free for free in left if free is not None]
        return Outlook(
            prediction=shared if shared is not None and is_shared else alone,
            fit=worst_fit(ledgers),
            left_bytes=min(known) if known and len(known) == len(left) else None,
            is_shared=is_shared,
            step_tokens=_step_tokens(setup, reference),
        )

    def setup(self, request: LaunchRequest, job_id: str = "") -> Setup | None:
        """The request as the planner sees it; None where model or engine is not known."""
        match = find_model(self._catalogue, request.model)
        profile = self.profile(request.engine)
        if match is None or profile is None:
            return None
        setup, plan = setup_of(request, match.spec, profile), self._plan_of(job_id) if job_id else None
        share = _share_of(plan) if request.memory_fraction is None else None
        if profile.memory_fraction is not None and share is not None:
            setup = replace(setup, memory_fraction=share)  # as its adapter gave it, which may not be the engine's own
        if setup.weights.weight_bytes <= 0 and plan is not None and len(plan.ledgers) == 1:
            return with_weights(setup, plan.ledgers[0].weights_bytes)
        return setup

    def weights(self, model: str, quantization: str) -> tuple[str, WeightFormat] | None:
        """The model's name and the checkpoint that a launch of these words loads; None where it is not known."""
        match = find_model(self._catalogue, model)
        found = weights_of(match.spec, model, quantization) if match is not None else None
        if match is not None and found is None and not quantization:
            found = match.weights
        return (match.spec.name, found) if match is not None and found is not None else None

    def profile(self, engine: str) -> EngineProfile | None:
        """What the planner knows of an engine."""
        reference = self._known_reference()
        return reference.engines.get(engine) if reference is not None else None

    def token_bytes(self, request: LaunchRequest) -> float:
        """What one token of context takes of KV cache, on the fullest node; NaN: not known."""
        setup = self.setup(request)
        if setup is None:
            return NAN
        held = sequences_bytes(setup, tokens=request.context_tokens, users=1)
        return NAN if held is None else held / request.context_tokens

    def reference(self) -> Reference | None:
        """The planner's data; None where it cannot be read."""
        return self._known_reference()

    def _known_reference(self) -> Reference | None:
        try:
            return self._reference()
        except SettingsError:
            return None

    def _freed(self, place: Place, job_id: str) -> Place:
        """The nodes as they would be with the job gone: what its plan takes is available again."""
        plan = self._plan_of(job_id)
        taken = (
            {
                ledger.node_id: _held(ledger.free_bytes, ledger.total_bytes, ledger.others_bytes)
                for ledger in plan.ledgers
            }
            if plan
            else {}
        )
        nodes = tuple(
            replace(node, available_bytes=_least(node.total_bytes, node.available_bytes + held))
            if node.available_bytes is not None and (held := taken.get(node.node_id)) is not None
            else node
            for node in place.nodes
        )
        return replace(place, nodes=nodes)


def _step_tokens(setup: Setup, reference: Reference) -> float:
    """What the planner expects of a step with guesses: each is taken by its chance, given the one before it."""
    guesses = reference.calibration.speculations.get(setup.speculative)
    if guesses is None:
        return 1.0
    return 1.0 + sum(guesses.acceptance**length for length in range(1, guesses.draft_tokens + 1))


def _held(free: int | None, total: int | None, others: int | None) -> int | None:
    """What a plan takes of a node: what is neither free nor others'."""
    return total - others - free if free is not None and total is not None and others is not None else None


def _share_of(plan: LaunchPlan | None) -> float | None:
    """The share of memory that a plan gave its engine; None where it is not known."""
    if plan is None or not plan.ledgers:
        return None
    ledger = plan.ledgers[0]
    taken = _held(ledger.free_bytes, ledger.total_bytes, ledger.others_bytes)
    if taken is None or not ledger.total_bytes:
        return None
    share = (taken - ledger.reserve_bytes) / ledger.total_bytes
    return round(share, 2) if 0.0 < share <= 1.0 else None


def _least(total: int | None, amount: int) -> int:
    return amount if total is None else min(total, amount)


def _without(place: Place, job_id: str) -> Place:
    others = tuple(one for one in place.neighbours if one.job_id != job_id)
    return replace(place, neighbours=others)


def busy_neighbours(place: Place, job_id: str) -> Iterable[tuple[str, float]]:
    """Title and tokens a second of those who work on these nodes now, beside the job itself."""
    for one in place.neighbours:
        if one.job_id != job_id and one.tokens_per_s > 0.0:
            yield one.title, one.tokens_per_s
