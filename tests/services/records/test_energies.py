"""Energy is counted only where samples cover the time, never priced without a price, and survives a restart."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.node import NodeFacts, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.reading import GENERATED_TOKENS, REQUESTS_RUNNING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.telemetry.energy import SPARK_WALL
from sparkdesk.core.telemetry.energy_rate import EnergyRates
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.records.energies import MAX_KEPT, Energies
from sparkdesk.services.telemetry import Telemetry

NAN = math.nan
SPARK = NodeFacts(gpu_name="NVIDIA GB10")
JOB = JobStatus("j1", "gpt-oss", "vLLM", ("n1", "n2"), JobState.READY, 0)


def node(node_id: str, facts: NodeFacts = SPARK) -> NodeStatus:
    return NodeStatus(NodeRecord(node_id, node_id, "a", 22, "me"), NodeState.LIVE, 0, facts=facts)


class Desk:
    """Energies over the feeds of two nodes."""

    def __init__(self) -> None:
        self.nodes = Latest((node("n1"), node("n2")))
        self.jobs: Latest[tuple[JobStatus, ...]] = Latest(())
        self.telemetry = Telemetry(clock=SystemClock(), programs=())
        self.rates = EnergyRates()
        self.energies = Energies(telemetry=self.telemetry, nodes=self.nodes, jobs=self.jobs, rates=lambda: self.rates)
        self.t_ms = 1_000_000

    def run(self, seconds: int, *watts: float) -> None:
        """A sample a second of each node: n1, n2; NaN is not told."""
        for _ in range(seconds):
            self.t_ms += 1000
            for at, power_w in enumerate(watts, 1):
                values = {} if math.isnan(power_w) else {"gpu_power_w": power_w}
                self.telemetry.latest(f"n{at}").set(Sample(f"n{at}", self.t_ms, 0, "b", values))

    def joule(self, subject: str) -> float:
        view = self.energies.energy(subject)
        return NAN if view is None else view.joule


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_spark_s_energy_is_the_gpu_rail_s_and_the_wall_is_an_estimate(desk: Desk) -> None:
    assert desk.energies.energy("n1") is None
    desk.run(101, 40.0)
    view = desk.energies.energy("n1")
    assert view is not None
    assert view.joule == pytest.approx(4000)
    assert view.wall_joule == pytest.approx(100 * SPARK_WALL.estimate_w(40.0))
    assert (view.covered, view.since_ms) == (1.0, 1_001_000)
    assert "the wall, an estimate" in view.words


def test_without_a_price_there_is_no_cost_and_with_one_it_is_of_the_wall(desk: Desk) -> None:
    desk.run(101, 40.0)
    view = desk.energies.energy("n1")
    assert view is not None
    assert math.isnan(view.cost)
    assert math.isnan(view.co2_g)
    assert view.words.endswith("No price is set.")
    desk.rates = EnergyRates(0.36, "EUR", 400.0)
    view = desk.energies.energy("n1")
    assert view is not None
    kwh = view.wall_joule / 3.6e6
    assert (view.cost, view.currency, view.co2_g) == (pytest.approx(0.36 * kwh), "EUR", pytest.approx(400 * kwh))


def test_for_another_machine_there_is_no_wall_and_the_words_say_so(desk: Desk) -> None:
    desk.nodes.set((node("n1", NodeFacts(gpu_name="NVIDIA H100")),))
    desk.run(11, 100.0)
    view = desk.energies.energy("n1")
    assert view is not None
    assert view.joule == pytest.approx(1000)
    assert math.isnan(view.wall_joule)
    assert "the GPU rail alone" in view.words


def test_a_machine_that_says_what_it_is_a_moment_after_its_power_has_a_wall(desk: Desk) -> None:
    desk.nodes.set((node("n1", NodeFacts()),))
    desk.run(3, 40.0)
    view = desk.energies.energy("n1")
    assert view is not None
    assert math.isnan(view.wall_joule)
    desk.nodes.set((node("n1"),))
    desk.run(98, 40.0)
    view = desk.energies.energy("n1")
    assert view is not None
    assert view.wall_joule == pytest.approx(100 * SPARK_WALL.estimate_w(40.0))


def test_a_job_of_which_one_node_is_no_spark_or_not_known_has_no_wall(desk: Desk) -> None:
    for other in (NodeFacts(gpu_name="NVIDIA H100"), NodeFacts()):
        desk.energies.forget("j1")
        desk.nodes.set((node("n1"), node("n2", other)))
        desk.jobs.set((JOB,))
        desk.run(50, 10.0, 20.0)
        view = desk.energies.energy("j1")
        assert view is not None
        assert view.joule > 0
        assert math.isnan(view.wall_joule)


def test_time_without_power_is_a_gap_and_not_zero(desk: Desk) -> None:
    desk.run(5, NAN)
    view = desk.energies.energy("n1")
    assert view is not None
    assert math.isnan(view.joule)
    assert math.isnan(view.cost)
    desk.run(5, 40.0)
    desk.t_ms += 95_000
    desk.run(1, 40.0)
    view = desk.energies.energy("n1")
    assert view is not None
    assert view.joule == pytest.approx(160)
    assert view.covered == pytest.approx(4 / 105)


def test_a_job_has_the_energy_of_its_nodes_while_it_ran(desk: Desk) -> None:
    desk.run(10, 10.0, 20.0)
    desk.jobs.set((JOB,))
    desk.run(100, 10.0, 20.0)
    assert desk.joule("j1") == pytest.approx(3000)
    desk.jobs.set((replace(JOB, state=JobState.STOPPED),))
    desk.run(100, 10.0, 20.0)
    assert desk.joule("j1") == pytest.approx(3000)
    assert desk.joule("n1") == pytest.approx(2090)


def tell(desk: Desk, tokens: float, running: float = 1.0) -> None:
    desk.jobs.set((replace(JOB, readings=((GENERATED_TOKENS, tokens), (REQUESTS_RUNNING, running))),))


def j_per_token(desk: Desk) -> float:
    view = desk.energies.energy("j1")
    return NAN if view is None else view.j_per_token


def test_a_token_costs_what_was_drawn_while_tokens_were_made(desk: Desk) -> None:
    tell(desk, 100.0)
    desk.run(2, 10.0, 20.0)
    tell(desk, 100.0, 0.0)
    desk.run(10, 10.0, 20.0)  # idle: not the tokens' doing
    tell(desk, 100.0, 0.0)
    desk.run(10, 10.0, 20.0)
    tell(desk, 160.0)
    assert j_per_token(desk) == pytest.approx(300 / 60)
    desk.run(10, 10.0, 20.0)
    tell(desk, 160.0)  # an engine that counts an answer at its end
    desk.run(10, 10.0, 20.0)
    tell(desk, 280.0)
    assert j_per_token(desk) == pytest.approx(900 / 180)


def test_the_newest_tokens_have_an_energy_of_their_own(desk: Desk) -> None:
    newest = desk.energies.newest_j_per_token
    tell(desk, 100.0)
    desk.run(2, 10.0, 20.0)
    tell(desk, 100.0)
    assert math.isnan(newest("j1"))
    desk.run(10, 10.0, 20.0)
    tell(desk, 160.0)
    desk.run(10, 30.0, 30.0)
    tell(desk, 220.0)
    assert newest("j1") == pytest.approx(600 / 60, rel=0.05)
    desk.run(10, 10.0, 20.0)
    tell(desk, 220.0, 0.0)
    assert math.isnan(newest("j1")), "no token was made"
    assert math.isnan(newest("nobody"))


def test_a_counter_of_tokens_that_jumps_back_and_a_gap_count_nothing(desk: Desk) -> None:
    tell(desk, 100.0)
    desk.run(10, 10.0, 20.0)
    tell(desk, 5.0)
    desk.run(10, 10.0, 20.0)
    tell(desk, 65.0)
    assert j_per_token(desk) == pytest.approx(300 / 60)
    desk.t_ms += 60_000
    desk.run(1, 10.0, 20.0)
    tell(desk, 9000.0)
    assert j_per_token(desk) == pytest.approx(300 / 60)
    tell(desk, NAN)
    desk.run(10, 10.0, 20.0)
    tell(desk, 9060.0)
    assert j_per_token(desk) == pytest.approx(300 / 60)


def test_a_restart_forgets_nothing_and_counts_its_time_as_a_gap(desk: Desk) -> None:
    desk.jobs.set((JOB,))
    desk.run(101, 10.0, 20.0)
    kept = desk.energies.changes()
    assert set(kept) == {"n1", "n2", "j1"}
    assert desk.energies.changes() == {}
    again = Desk()
    again.energies.restore(kept)
    again.jobs.set((JOB,))
    assert again.joule("j1") == desk.joule("j1")
    again.t_ms = desk.t_ms + 99_000
    again.run(101, 10.0, 20.0)
    assert again.joule("j1") == pytest.approx(6000, rel=0.02)
    for subject in ("n1", "j1"):
        view = again.energies.energy(subject)
        assert view is not None
        assert view.covered == pytest.approx(200 / 300)
        assert view.since_ms == 1_001_000


def test_what_was_counted_before_the_file_was_read_is_added(desk: Desk) -> None:
    desk.run(11, 10.0)
    kept = desk.energies.changes()
    desk.run(10, 10.0)
    desk.energies.forget("n1")
    desk.run(11, 10.0)
    desk.energies.restore(kept)
    assert desk.joule("n1") == pytest.approx(100 + 110)


@given(
    st.binary(max_size=60)
    | st.dictionaries(
        st.sampled_from(("since_ms", "last_ms", "joule", "covered_s", "gap_s", "wall_joule", "wall_s", "tokens")),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    ).map(lambda data: json.dumps({"token_joule": 1, **data}).encode())
)
def test_whatever_was_kept_is_read_or_left_out(data: bytes) -> None:
    desk = Desk()
    desk.energies.restore({"n1": data})
    desk.run(3, 10.0)
    view = desk.energies.energy("n1")
    assert view is not None
    assert view.joule >= 0
    assert 0 <= view.covered <= 1


def test_the_sums_are_bounded_and_the_newest_stay(desk: Desk) -> None:
    for number in range(MAX_KEPT + 20):
        desk.jobs.set((replace(JOB, job_id=f"j{number}"),))
        desk.run(1, 10.0)
    kept = desk.energies.changes()
    assert len(kept) <= MAX_KEPT
    assert f"j{MAX_KEPT + 19}" in kept
    assert "j1" not in kept


def test_a_node_that_is_removed_is_listened_to_no_more(desk: Desk) -> None:
    desk.run(11, 10.0)
    desk.nodes.set(())
    desk.run(11, 10.0)
    assert desk.joule("n1") == pytest.approx(100)
    desk.energies.close()
