"""A proposal comes when its trouble lasts, goes when it is over, and stays away when it was put aside."""

from __future__ import annotations

from dataclasses import replace

from sparkdesk.app.plan_data import load_catalogue, load_reference
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import GIB, LaunchPlan, MemoryLedger
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.place import NodeRoom, Place
from sparkdesk.core.step import Playbook
from sparkdesk.services.appraisal.forecaster import Forecaster
from sparkdesk.services.appraisal.next_changes import NextChanges

REQUEST = LaunchRequest(
    engine="vllm",
    model="openai/gpt-oss-120b",
    nodes=("spark-a",),
    served_name="m",
    context_tokens=8192,
    concurrency=4,
)
LEDGER = MemoryLedger("spark-a", 120 * GIB, 8 * GIB, 60 * GIB, 20 * GIB, 4 * GIB)
PLAN = LaunchPlan(
    "j", REQUEST, "m", Playbook("m", ()), Playbook("m", ()), Endpoint("spark-a", "h", 1, "m"), (LEDGER,), ()
)
CROWDED = {"requests_running": 4.0, "requests_waiting": 6.0, "kv_used_fraction": 0.3}
QUIET = CROWDED | {"requests_waiting": 0.0}


class Desk:
    """A job whose readings and time a test sets."""

    def __init__(self, plan: LaunchPlan = PLAN) -> None:
        self.now_s = 0.0
        self.jobs: Latest[tuple[JobStatus, ...]] = Latest(())
        place = Place((NodeRoom("spark-a", "spark-a", 120 * GIB, LEDGER.free_bytes),))
        plans = {"j": plan}
        forecaster = Forecaster(load_reference, lambda _: place, load_catalogue(), plans.get)
        self.changes = NextChanges(self.jobs, plans.get, forecaster, self)

    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def monotonic_s(self) -> float:
        return self.now_s

    def pass_s(self, seconds: int, readings: dict[str, float], state: JobState = JobState.READY) -> str:
        """So much time with these readings every 2 s; the key of what is proposed then."""
        for _ in range(0, seconds, 2):
            self.now_s += 2.0
            self.jobs.set((JobStatus("j", "m", "vLLM", ("spark-a",), state, 0, readings=tuple(readings.items())),))
        change = self.changes.next_change("j")
        return change.key if change is not None else ""


def test_what_shows_for_a_moment_only_is_not_proposed() -> None:
    desk = Desk()
    assert desk.pass_s(10, CROWDED) == ""
    assert desk.pass_s(100, QUIET) == ""
    assert desk.pass_s(10, CROWDED) == ""


def test_what_lasts_is_proposed_with_the_planners_figures_until_it_is_gone() -> None:
    desk = Desk()
    assert desk.pass_s(60, CROWDED) == "more_sequences"
    change = desk.changes.next_change("j")
    assert change is not None
    assert change.effect.startswith("Predicted ")
    assert desk.pass_s(20, QUIET) == "more_sequences"
    assert desk.pass_s(100, QUIET) == ""


def test_of_a_simulated_engine_the_planners_figures_are_said_to_be_a_real_sparks() -> None:
    desk = Desk(replace(PLAN, endpoint=replace(PLAN.endpoint, note="simulated vLLM, real llama.cpp")))
    desk.pass_s(60, CROWDED)
    change = desk.changes.next_change("j")
    assert change is not None
    assert change.effect.startswith("On a real Spark: predicted ")


def test_what_was_put_aside_is_not_proposed_again() -> None:
    desk = Desk()
    desk.pass_s(60, CROWDED)
    count = desk.changes.changed.value
    desk.changes.dismiss_change("j", "more_sequences")
    assert desk.changes.changed.value == count + 1
    assert desk.changes.next_change("j") is None
    assert desk.pass_s(100, CROWDED) == ""


def test_a_server_that_stops_has_nothing_proposed() -> None:
    desk = Desk()
    desk.pass_s(60, CROWDED)
    assert desk.pass_s(2, CROWDED, JobState.STOPPING) == ""
    assert desk.changes.next_change("nobody") is None
