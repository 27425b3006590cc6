"""Charts get nodes, deployments and found servers in one form; what was kept joins what is measured, with gaps."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from sparkdesk.core.cluster.found_server import FoundServer
from sparkdesk.core.cluster.node import NodeFacts, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.feed import Latest
from sparkdesk.core.jobs.rate import GENERATED_RATE
from sparkdesk.core.jobs.record import JobState, JobStatus
from sparkdesk.core.telemetry.energy import SPARK_WALL
from sparkdesk.core.telemetry.frame import Line
from sparkdesk.core.telemetry.past import STEP_MS, Means
from sparkdesk.core.telemetry.probe import RawSample, parse_line
from sparkdesk.core.telemetry.series import ChartSource, Gap
from sparkdesk.services.jobs.trace import Traces
from sparkdesk.services.records.absence import Absences
from sparkdesk.services.records.reading_book import ReadingBook
from sparkdesk.services.records.series import Past, SeriesBook, SeriesParts
from sparkdesk.services.telemetry import PulseState, Telemetry

NOW = 1_900_000_000_000
MARK = b"m"


class HandClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.ms = NOW

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000.0


class Desk:
    """The book over real telemetry that is fed with probe lines."""

    def __init__(self, clock: HandClock | None = None) -> None:
        self.clock = clock or HandClock()
        self.nodes: Latest[tuple[NodeStatus, ...]] = Latest(())
        self.jobs: Latest[tuple[JobStatus, ...]] = Latest(())
        self.servers: Latest[tuple[FoundServer, ...]] = Latest(())
        self.telemetry = Telemetry(clock=self.clock, programs=())
        self.past = Past()
        self.absences = Absences(self.nodes, self.telemetry.pulse, self.clock.now_ms)
        self.server_readings = ReadingBook(self.clock.now_ms)
        self.book = SeriesBook(
            SeriesParts(
                telemetry=self.telemetry,
                nodes=self.nodes,
                jobs=self.jobs,
                servers=self.servers,
                job_readings=Traces(self.jobs, self.clock.now_ms),
                server_readings=self.server_readings,
                absences=self.absences,
                past=self.past,
                now_ms=self.clock.now_ms,
            )
        )
        self.sequence = 0
        self.show(NodeState.LIVE)

    def show(self, state: NodeState, gpu: str = "") -> None:
        record = NodeRecord(id="n1", name="spark-1", address="a", port=22, user="me")
        self.nodes.set((NodeStatus(record, state, self.clock.ms, facts=NodeFacts(gpu_name=gpu)),))

    def sample(self, *, seconds: int = 1, power_w: float = 10.0, boot: str = "b") -> None:
        """Lines of the probe, one a second."""
        for _ in range(seconds):
            self.clock.ms += 1000
            self.sequence += 1
            told = {"q": self.sequence, "b": boot, "m": self.clock.ms / 1000, "w": self.clock.ms / 1000}
            data = json.dumps({**told, "gpu": [{"u": 50, "p": power_w}], "ld": [1, 2, 3]}).encode()
            raw = parse_line(Line(MARK + b" " + data), MARK)
            assert isinstance(raw, RawSample)
            self.telemetry.feed("n1").take_reading(raw)

    def keep(self, source_id: str, first_ms: int, rows: int, key: str = "gpu_power_w") -> None:
        times = np.arange(rows, dtype=np.int64) * STEP_MS + first_ms
        self.past.means = {**self.past.means, source_id: Means(times, (key,), np.full((rows, 1), 7.0))}


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_each_kind_of_source_is_listed_once_it_told_something(desk: Desk) -> None:
    job = JobStatus("j1", "gpt-oss", "vLLM", ("n1",), JobState.READY, 0)
    server = FoundServer("n1:8000", "n1", "127.0.0.1", 8000, "openai", "vllm", title="qwen · vLLM")
    desk.jobs.set((job,))
    desk.servers.set((server,))
    assert desk.book.sources() == (ChartSource("n1", "spark-1", "node"),)
    desk.jobs.set((JobStatus("j1", "gpt-oss", "vLLM", ("n1",), JobState.READY, 0, readings=((GENERATED_RATE, 5.0),)),))
    desk.server_readings.add("n1:8000", {GENERATED_RATE: 6.0, "nobody_knows": 1.0})
    assert desk.book.sources() == (
        ChartSource("n1", "spark-1", "node"),
        ChartSource("j1", "gpt-oss", "job"),
        ChartSource("n1:8000", "qwen · vLLM", "server"),
    )
    assert desk.book.keys("n1:8000") == [GENERATED_RATE]
    assert desk.book.series("j1", GENERATED_RATE, 300)[1].tolist() == [5.0]
    assert desk.book.series("n1:8000", GENERATED_RATE, 300)[1].tolist() == [6.0]


def test_a_node_s_quantities_stand_in_the_order_of_the_table(desk: Desk) -> None:
    desk.sample(seconds=2)
    keys = list(desk.book.keys("n1"))
    assert keys[:2] == ["gpu_util", "gpu_power_w"]
    assert keys.index("load1") < keys.index("load5")
    assert desk.book.keys("nobody") == []
    assert desk.book.series("nobody", "load1", 300)[0].tolist() == []
    assert desk.book.gaps("nobody", 300) == ()


def test_a_spark_s_wall_is_reckoned_from_its_rail_now_and_in_the_past(desk: Desk) -> None:
    desk.keep("n1", NOW - 120_000, 3)
    desk.show(NodeState.LIVE, gpu="NVIDIA GB10")
    desk.sample(seconds=2, power_w=50.0)
    keys = list(desk.book.keys("n1"))
    assert keys[keys.index("gpu_power_w") + 1] == "wall_power_w"
    times_ms, wall_w = desk.book.series("n1", "wall_power_w", 300)
    rail_ms, rail_w = desk.book.series("n1", "gpu_power_w", 300)
    assert times_ms.tolist() == rail_ms.tolist()
    assert rail_w[0] == 7.0
    assert wall_w[0] == pytest.approx(SPARK_WALL.estimate_w(7.0))
    assert wall_w[-1] == pytest.approx(SPARK_WALL.estimate_w(50.0))
    assert np.isnan(wall_w).tolist() == np.isnan(rail_w).tolist(), "a gap is a gap"
    desk.sample(power_w=200.0)
    assert desk.book.series("n1", "wall_power_w", 300)[1][-1] == SPARK_WALL.most_w


@pytest.mark.parametrize("gpu", ["", "NVIDIA GeForce RTX 4090"])
def test_another_machine_has_no_wall(desk: Desk, gpu: str) -> None:
    desk.show(NodeState.LIVE, gpu=gpu)
    desk.sample(seconds=2)
    assert "wall_power_w" not in desk.book.keys("n1")
    assert not np.isfinite(desk.book.series("n1", "wall_power_w", 300)[1]).any()


def test_after_a_restart_the_past_stands_before_a_gap_that_says_sparkdesk_was_closed(desk: Desk) -> None:
    desk.keep("n1", NOW - 1_200_000, 60)  # until ten minutes ago
    desk.past.closed = ((NOW - 605_000, NOW - 1000),)
    desk.sample(seconds=5)
    times, values = desk.book.series("n1", "gpu_power_w", 3600)
    assert times[0] == NOW - 1_200_000
    assert values[:60].tolist() == [7.0] * 60
    assert math.isnan(values[60])
    assert values[61:].tolist() == [10.0] * 5
    last_ms = NOW - 1_200_000 + 59 * STEP_MS
    assert desk.book.gaps("n1", 3600) == (Gap(last_ms, NOW + 1000, "SparkDesk was closed"),)
    assert desk.book.series("n1", "gpu_power_w", 300)[1].tolist() == [10.0] * 5
    assert desk.book.gaps("n1", 300) == (Gap(NOW + 5000 - 300_000, NOW + 1000, "SparkDesk was closed"),)


def test_a_past_of_a_time_to_come_is_not_mixed_with_what_is_measured(desk: Desk) -> None:
    desk.keep("n1", NOW - 60_000, 20)  # kept before this computer's clock was set back
    desk.sample(seconds=50)
    times, values = desk.book.series("n1", "gpu_power_w", 3600)
    assert (np.diff(times) > 0).all()
    assert values[-50:].tolist() == [10.0] * 50


def test_a_source_that_told_nothing_yet_shows_its_past_and_what_it_waits_for(desk: Desk) -> None:
    desk.keep("n1", NOW - 900_000, 30)
    desk.past.closed = ((NOW - 600_000, NOW - 300_000),)
    desk.clock.ms = NOW - 300_000
    desk.show(NodeState.UNREACHABLE)
    desk.clock.ms = NOW
    assert desk.book.series("n1", "gpu_power_w", 3600)[1].tolist() == [7.0] * 30
    assert desk.book.gaps("n1", 3600) == (
        Gap(NOW - 610_000, NOW - 300_000, "SparkDesk was closed"),
        Gap(NOW - 300_000, NOW, "node unreachable"),
    )


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (NodeState.UNREACHABLE, "node unreachable"),
        (NodeState.ASLEEP, "asleep"),
        (NodeState.RECONNECTING, "connection lost"),
        (NodeState.STALE, "no samples"),
    ],
)
def test_a_gap_says_why_nothing_was_measured(desk: Desk, state: NodeState, words: str) -> None:
    desk.sample(seconds=10)
    start_ms = desk.clock.ms
    desk.clock.ms += 2000
    desk.show(state)
    desk.clock.ms += 60_000
    desk.show(NodeState.LIVE)
    desk.sample(seconds=3)
    assert desk.book.gaps("n1", 3600) == (Gap(start_ms, desk.clock.ms - 2000, words),)
    assert np.isnan(desk.book.series("n1", "load1", 3600)[1]).sum() == 1


def test_a_gap_that_is_open_lasts_until_now(desk: Desk) -> None:
    desk.sample(seconds=10)
    desk.show(NodeState.UNREACHABLE)
    desk.clock.ms += 30_000
    assert desk.book.gaps("n1", 300) == (Gap(NOW + 10_000, NOW + 40_000, "node unreachable"),)


def test_a_probe_that_was_started_again_and_a_pause_are_said(desk: Desk) -> None:
    desk.sample(seconds=10)
    feed = desk.telemetry.feed("n1")
    feed.tell(PulseState.STOPPED, "it ended", restarts=1)
    desk.clock.ms += 10_000
    desk.sample(seconds=10)
    feed.rest()
    desk.clock.ms += 10_000
    desk.sample(seconds=2)
    assert [gap.words for gap in desk.book.gaps("n1", 300)] == ["probe restarted", "measuring was paused"]


def test_the_sleep_of_this_computer_is_said_of_every_node(desk: Desk) -> None:
    desk.sample(seconds=10)
    desk.clock.ms += 600_000
    desk.absences.note_sleep(NOW + 10_000, NOW + 610_000)
    desk.sample(seconds=2)
    assert [gap.words for gap in desk.book.gaps("n1", 3600)] == ["this computer slept"]


def test_a_deployment_s_gap_has_its_node_s_reason(desk: Desk) -> None:
    def tell(rate: float) -> None:
        readings = ((GENERATED_RATE, rate),)
        desk.jobs.set((JobStatus("j1", "gpt-oss", "vLLM", ("n1",), JobState.READY, 0, readings=readings),))

    tell(5.0)
    desk.show(NodeState.UNREACHABLE)
    desk.clock.ms += 60_000
    desk.show(NodeState.LIVE)
    tell(6.0)
    assert desk.book.gaps("j1", 300) == (Gap(NOW, NOW + 60_000, "node unreachable"),)


def test_a_deployment_that_ended_is_not_running_and_not_unreachable(desk: Desk) -> None:
    job = JobStatus("j1", "gpt-oss", "vLLM", ("n1",), JobState.READY, 0, readings=((GENERATED_RATE, 5.0),))
    desk.jobs.set((job,))
    desk.show(NodeState.UNREACHABLE)
    desk.jobs.set((replace(job, state=JobState.STOPPED),))
    desk.clock.ms += 60_000
    assert desk.book.gaps("j1", 300) == (Gap(NOW, NOW + 60_000, "not running"),)


def test_a_reboot_leaves_no_spike_and_a_gap(desk: Desk) -> None:
    desk.sample(seconds=5, boot="one")
    desk.clock.ms += 90_000
    desk.sample(seconds=5, boot="two")
    values = desk.book.series("n1", "gpu_power_w", 300)[1]
    assert np.nanmax(values) == 10.0
    assert len(desk.book.gaps("n1", 300)) == 1


def test_after_our_clock_was_set_back_nothing_of_a_time_to_come_is_shown(desk: Desk) -> None:
    desk.sample(seconds=20)
    desk.clock.ms -= 3_600_000
    desk.sample(seconds=5, boot="other")
    times, _ = desk.book.series("n1", "gpu_power_w", 3600)
    assert times.max() <= desk.clock.ms
