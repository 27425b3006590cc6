"""What a deployment takes of its machine is kept beside what its engine said, of the same moment, for charts."""

from __future__ import annotations

import math

import pytest

from sparkdesk.core.cluster.node import NodeFacts, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.reading import GENERATED_TOKENS, KV_TOKENS, REQUESTS_RUNNING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.step import Playbook
from sparkdesk.core.telemetry.metric import BANDWIDTH, ENERGY, TOKEN_ENERGY, find_metric, title_of
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.jobs.bandwidths import Bandwidths
from sparkdesk.services.jobs.effort import Efforts
from sparkdesk.services.jobs.trace import Traces
from sparkdesk.services.records.energies import Energies
from sparkdesk.services.telemetry import Telemetry

SPEC = ModelSpec(
    name="own/model", title="Model", parameters=10**9, formats=(WeightFormat("BF16", 2 * 10**9, repo="own/model"),)
)
REQUEST = LaunchRequest(engine="vllm", model="own/model", nodes=("n1",), served_name="model")


class Desk:
    """One node that draws 20 W and one deployment of 10 tokens a second."""

    def __init__(self) -> None:
        record = NodeRecord("n1", "n1", "a", 22, "me")
        nodes = Latest((NodeStatus(record, NodeState.LIVE, 0, facts=NodeFacts(gpu_name="NVIDIA GB10")),))
        self.jobs: Latest[tuple[JobStatus, ...]] = Latest(())
        self.telemetry = Telemetry(clock=SystemClock(), programs=())
        self.now_ms = 1_000_000
        endpoint = Endpoint("n1", "127.0.0.1", 8000, "model")
        plan = LaunchPlan("j1", REQUEST, "model", Playbook("", ()), Playbook("", ()), endpoint, (), ())
        energies = Energies(telemetry=self.telemetry, nodes=nodes, jobs=self.jobs)
        bandwidths = Bandwidths(self.jobs, lambda _job_id: plan, (SPEC,))
        self.traces = Traces(self.jobs, lambda: self.now_ms, Efforts(energies, bandwidths).of)
        self.tokens = 0.0

    def run(self, *, running: float) -> None:
        """Two seconds, and then a reading."""
        for _ in range(2):
            self.now_ms += 1000
            self.telemetry.latest("n1").set(Sample("n1", self.now_ms, 0, "b", {"gpu_power_w": 20.0}))
        self.tokens += 20.0 * running
        told = {
            GENERATED_TOKENS: self.tokens,
            REQUESTS_RUNNING: running,
            KV_TOKENS: 0.0,
            GENERATED_RATE: 10.0 * running,
        }
        job = JobStatus("j1", "model", "vLLM", ("n1",), JobState.READY, 0, readings=tuple(told.items()))
        self.jobs.set((job,))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_bandwidth_and_energy_are_series_like_what_the_engine_says(desk: Desk) -> None:
    desk.run(running=1.0)
    for _ in range(3):
        desk.run(running=1.0)
    assert desk.traces.newest("j1", BANDWIDTH) == pytest.approx(20e9)
    assert desk.traces.newest("j1", TOKEN_ENERGY) == pytest.approx(2.0)
    assert desk.traces.newest("j1", ENERGY) > 0
    assert len([value for value in desk.traces.series("j1", BANDWIDTH)[1] if value == value]) == 4


def test_while_nothing_runs_bandwidth_and_energy_of_a_token_are_missing_and_not_zero(desk: Desk) -> None:
    for running in (1.0, 1.0, 0.0, 0.0):
        desk.run(running=running)
    assert math.isnan(desk.traces.newest("j1", BANDWIDTH))
    assert math.isnan(desk.traces.newest("j1", TOKEN_ENERGY))
    assert desk.traces.newest("j1", GENERATED_RATE) == 0.0


def test_what_is_reckoned_or_estimated_says_so_in_its_title() -> None:
    assert "computed" in title_of(BANDWIDTH)
    assert "estimate" in title_of("wall_power_w")
    for key in (ENERGY, TOKEN_ENERGY):
        assert "GPU rail" in title_of(key)
    assert find_metric(BANDWIDTH).to_screen(178e9) == pytest.approx(178.0)
    assert find_metric(ENERGY).to_screen(3600.0) == pytest.approx(1.0)
