"""Chosen nodes become a place: with their memory, files, cable, and whoever works there, as it was heard last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import NodeFacts, NodeRecord
from sparkdesk.core.cluster.topology import Topology, build_topology
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import GIB, LaunchPlan, MemoryLedger
from sparkdesk.core.jobs.rate import GENERATED_RATE, PROMPT_RATE
from sparkdesk.core.jobs.reading import KV_TOKENS, MODEL_BYTES, REQUESTS_RUNNING
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.figure import UNKNOWN
from sparkdesk.core.planning.memory.need import room_of
from sparkdesk.core.planning.neighbour import is_known, share_left
from sparkdesk.core.planning.place import Place
from sparkdesk.core.planning.prediction import Prediction
from sparkdesk.core.step import Playbook
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.jobs.bandwidths import Bandwidths
from sparkdesk.services.planning.neighbourhood import Busyness
from sparkdesk.services.planning.places import Places, clock_share, device_of
from sparkdesk.services.records.reading_book import ReadingBook
from tests.core.cluster.cabling import pair

SPEC = ModelSpec(
    "Qwen/Qwen3-8B",
    "Qwen3 8B",
    parameters=8_000_000_000,
    formats=(WeightFormat("BF16", 16_000_000_000, repo="Qwen/Qwen3-8B"),),
)
NOTHING: Mapping[str, float] = MappingProxyType({})
READINGS = {GENERATED_RATE: 10.0, REQUESTS_RUNNING: 1.0, KV_TOKENS: 0.0, PROMPT_RATE: 0.0}


class Desk:
    """A pair of nodes with what services hold about them."""

    def __init__(self) -> None:
        self.contexts = {name: self.context(name) for name in ("n1", "n2")}
        self.topology = Latest(replace(build_topology(pair().views(), {}), seen_ms=1))
        self.jobs: Latest[tuple[JobStatus, ...]] = Latest(())
        self.servers: Latest[tuple[FoundServer, ...]] = Latest(())
        self.samples: dict[str, Sample] = {}
        self.plans: dict[str, LaunchPlan] = {}
        self.readings = ReadingBook(lambda: 1_000)
        busyness = Busyness(
            plan_of=self.plans.get,
            bandwidth_of=Bandwidths(self.jobs, self.plans.get, (SPEC,)).of,
            server_reading=self.readings.newest,
            active_parameters_of=lambda _job_id: 8e9,
        )
        self.places = Places(
            contexts=lambda: tuple(self.contexts.values()),
            topology=self.topology,
            jobs=self.jobs,
            servers=self.servers,
            samples=self.samples.get,
            busyness=busyness,
            catalogue=(SPEC,),
        )

    def context(self, name: str, **fields: object) -> NodeContext:
        record = NodeRecord(name, f"spark-{name}", "127.0.0.1", 22, "spark")
        plain = NodeContext(record, NodeFacts(gpu_name="NVIDIA GB10"), 121 * GIB, 100 * GIB)
        return replace(plain, **fields)  # type: ignore[arg-type]

    def run(
        self, *nodes: str, state: JobState = JobState.READY, job_id: str = "j1", told: Mapping[str, float] = NOTHING
    ) -> None:
        """One job more, with its plan and what its engine says."""
        request = LaunchRequest(engine="vllm", model=SPEC.name, nodes=nodes, served_name="qwen")
        ledgers = tuple(MemoryLedger(node, 121 * GIB, 0, 15 * GIB, 20 * GIB, 5 * GIB) for node in nodes)
        endpoint = Endpoint(nodes[0], "127.0.0.1", 8000, "qwen")
        nothing = Playbook("", ())
        self.plans[job_id] = LaunchPlan(job_id, request, "qwen", nothing, nothing, endpoint, ledgers, ())
        readings = tuple({**READINGS, **told}.items()) if told or state is JobState.READY else ()
        self.jobs.set((*self.jobs.value, JobStatus(job_id, "qwen", "vLLM", nodes, state, 0, readings=readings)))

    def sample(self, node: str, **values: float) -> None:
        self.samples[node] = Sample(node, 1, 1, "b", {key.replace("__", "."): each for key, each in values.items()})

    def serve(self, engine: str, told: Mapping[str, float] = NOTHING) -> None:
        """A server that somebody else started."""
        self.servers.set((FoundServer("n1:11434", "n1", "127.0.0.1", 11434, "ollama", engine, "Ollama"),))
        if told:
            self.readings.add("n1:11434", told)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def alone(place: Place) -> bool:
    return not place.neighbours


def test_nodes_stand_in_rank_order_with_their_memory_and_cable(desk: Desk) -> None:
    place = desk.places.place(("n2", "n1", "n2"))
    assert [node.node_id for node in place.nodes] == list(desk.topology.value.rank_order)
    assert {(node.total_bytes, node.available_bytes, node.device) for node in place.nodes} == {
        (121 * GIB, 100 * GIB, "gb10")
    }
    assert place.nodes[0].name == "spark-n1"
    assert place.link is not None
    assert place.link.title == "200G cable"
    assert alone(place)
    assert desk.places.everything() == desk.places.place(("n1", "n2"))


def test_one_node_and_an_unseen_cabling_have_no_link(desk: Desk) -> None:
    assert desk.places.place(("n1",)).link is None
    desk.topology.set(Topology())
    assert desk.places.place(("n1", "n2")).link is None


def test_a_gpu_with_its_own_memory_has_its_devices_and_not_the_systems(desk: Desk) -> None:
    facts = NodeFacts(gpu_name="NVIDIA H100 80GB HBM3")
    desk.contexts["n1"] = desk.context("n1", facts=facts, mem_total_bytes=2000 * GIB, mem_available_bytes=1900 * GIB)
    place = desk.places.place(("n1",))
    (node,) = place.nodes
    assert (node.device, node.total_bytes, node.available_bytes) == ("h100", None, None)
    assert room_of(node, place).total_bytes == 80 * GIB


def test_a_node_that_nobody_knows_is_one_of_which_nothing_was_read(desk: Desk) -> None:
    (node,) = desk.places.place(("n9",)).nodes
    assert (node.total_bytes, node.available_bytes, node.held_repos) == (None, None, frozenset())


def test_a_busy_job_is_a_neighbour_with_what_it_reads(desk: Desk) -> None:
    desk.run("n1")
    (neighbour,) = desk.places.place(("n1", "n2")).neighbours
    assert neighbour.gb_per_s == pytest.approx(160.0)  # 16 GB of weights, ten times a second
    assert (neighbour.tokens_per_s, neighbour.bytes_held, neighbour.link_gb_per_s) == (10.0, 40 * GIB, 0.0)
    assert desk.places.place(("n2",)).neighbours == ()


def test_reading_prompts_counts_as_compute(desk: Desk) -> None:
    desk.run("n1", told={PROMPT_RATE: 1000.0})
    (neighbour,) = desk.places.place(("n1",)).neighbours
    assert neighbour.compute_share == pytest.approx(2 * 8e9 * 1000.0 / 50e12)


def test_an_idle_job_takes_memory_only(desk: Desk) -> None:
    desk.run("n1", told={REQUESTS_RUNNING: 0.0, GENERATED_RATE: 0.0})
    (neighbour,) = desk.places.place(("n1",)).neighbours
    assert (neighbour.gb_per_s, neighbour.tokens_per_s, neighbour.bytes_held) == (0.0, 0.0, 40 * GIB)


def test_an_engine_that_says_nothing_is_not_taken_for_idle(desk: Desk) -> None:
    desk.run("n1", told=dict.fromkeys(READINGS, math.nan))
    place = desk.places.place(("n1",))
    assert math.isnan(place.neighbours[0].gb_per_s)
    assert math.isnan(place.neighbours[0].tokens_per_s)
    unknown = Prediction(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, (), (), memory_gb_per_s=100.0)
    assert not is_known(share_left(place, unknown))


def test_a_job_that_ended_is_no_neighbour_and_one_of_which_nothing_is_known_is(desk: Desk) -> None:
    for at, state in enumerate((JobState.STOPPED, JobState.FAILED, JobState.ENDED, JobState.PLANNED)):
        desk.run("n1", state=state, job_id=f"over{at}")
    assert alone(desk.places.place(("n1",)))
    desk.run("n1", state=JobState.UNKNOWN, job_id="lost")
    (neighbour,) = desk.places.place(("n1",)).neighbours
    assert math.isnan(neighbour.gb_per_s)


def test_a_job_that_loads_has_its_memory_already(desk: Desk) -> None:
    desk.run("n1", state=JobState.LOADING)
    assert desk.places.place(("n1",)).nodes[0].available_bytes == 81 * GIB
    desk.contexts["n1"] = desk.context("n1", mem_available_bytes=60 * GIB)
    assert desk.places.place(("n1",)).nodes[0].available_bytes == 60 * GIB


def test_a_job_over_two_nodes_sends_what_their_cables_send(desk: Desk) -> None:
    desk.run("n1", "n2")
    assert math.isnan(desk.places.place(("n1",)).neighbours[0].link_gb_per_s)
    desk.sample("n1", cage_tx_gbps__P1=16.0)
    desk.sample("n2", cage_tx_gbps__P1=8.0, cage_tx_gbps__P0=16.0)
    assert desk.places.place(("n1", "n2")).neighbours[0].link_gb_per_s == pytest.approx(3.0)
    desk.run("n1", "n2", job_id="j2")
    assert desk.places.place(("n1",)).neighbours[0].link_gb_per_s == pytest.approx(1.5)
    assert desk.places.place(("n1",)).neighbours[0].gb_per_s == pytest.approx(80.0)


def test_a_found_server_is_idle_only_where_it_says_so(desk: Desk) -> None:
    desk.serve("ollama")
    (neighbour,) = desk.places.place(("n1",)).neighbours
    assert (neighbour.title, neighbour.job_id) == ("Ollama", "n1:11434")
    assert math.isnan(neighbour.gb_per_s)
    desk.serve("ollama", {MODEL_BYTES: 0.0})
    assert desk.places.place(("n1",)).neighbours[0].gb_per_s == 0.0
    assert alone(desk.places.place(("n2",)))


def test_a_node_says_whose_files_it_holds(desk: Desk) -> None:
    desk.contexts["n2"] = desk.context("n2", hub_repos={"Qwen/Qwen3-8B": 16})
    held = {node.node_id: node.held_repos for node in desk.places.place(("n1", "n2")).nodes}
    assert held == {"n1": frozenset(), "n2": frozenset({"Qwen/Qwen3-8B"})}


def test_the_slow_state_shows_under_load_only(desk: Desk) -> None:
    desk.sample("n1", gpu_util=0.95, gpu_sm_clock_mhz=800.0)
    assert desk.places.place(("n1",)).nodes[0].sm_clock_share == pytest.approx(1 / 3)
    for values in ({"gpu_util": 0.02, "gpu_sm_clock_mhz": 210.0}, {"gpu_util": 0.95, "gpu_sm_clock_mhz": 2100.0}, {}):
        desk.sample("n1", **values)
        assert clock_share(desk.samples["n1"]) == 1.0
    assert clock_share(None) == 1.0


@pytest.mark.parametrize(
    ("name", "key"), [("NVIDIA GB10", "gb10"), ("", "gb10"), ("NVIDIA H100 80GB HBM3", "h100"), ("RTX 9000", "")]
)
def test_a_gpu_is_told_by_its_name(name: str, key: str) -> None:
    assert device_of(NodeFacts(gpu_name=name)) == key
