"""The service shows as live what is live, says why something is not, and brings a probe back. The probe is real."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import NodeFacts
from sparkdesk.core.telemetry.probe import RawSample
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.telemetry import STALE_PERIODS, NodeFeed, Pulse, PulseState, Telemetry
from sparkdesk.services.wait import wait_for_value
from tests.fakes.shell import LocalShell

REMOTE = Path(__file__).parents[2] / "sparkdesk" / "remote"
PROGRAMS = tuple((REMOTE / name).read_bytes() for name in ("gpu.py", "probe.py"))
NODE = "n1"


def make_telemetry(programs: tuple[bytes, ...] = PROGRAMS, hz: float = 10.0, dead_s: float = 15.0) -> Telemetry:
    return Telemetry(clock=SystemClock(), programs=programs, hz=hz, dead_s=dead_s)


@asynccontextmanager
async def watching(telemetry: Telemetry, shell: LocalShell) -> AsyncIterator[None]:
    task = asyncio.create_task(telemetry.watch(NODE, shell))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def next_sample(telemetry: Telemetry, is_right: Callable[[Sample], bool] = lambda _: True) -> Sample:
    before = telemetry.latest(NODE).value
    found = await wait_for_value(
        telemetry.latest(NODE), lambda now: now is not None and now is not before and is_right(now), timeout_s=90
    )
    assert found is not None
    return found


def is_told(pulse: Pulse) -> bool:
    """Whether a state that needs words has them; before the first probe it has none."""
    return bool(pulse.message) or pulse.state in (PulseState.LIVE, PulseState.STARTING, PulseState.PAUSED)


async def pulse_in(telemetry: Telemetry, *states: PulseState, words: str = "") -> Pulse:
    def is_right(pulse: Pulse) -> bool:
        return pulse.state in states and is_told(pulse) and words in pulse.message

    return await wait_for_value(telemetry.pulse(NODE), is_right, timeout_s=90)


def probes_of(home: Path) -> list[int]:
    """Processes whose HOME is this test's: the probe and what it started."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if f"HOME={home}\0".encode() in Path("/proc", name, "environ").read_bytes():
                found.append(int(name))
        except OSError:
            continue
    return found


async def test_a_node_gives_facts_samples_and_history(tmp_path: Path) -> None:
    telemetry = make_telemetry()
    facts: list[tuple[str, NodeFacts]] = []
    telemetry.on_facts = lambda node_id, found: facts.append((node_id, found))
    async with watching(telemetry, LocalShell(tmp_path)):
        first = await next_sample(telemetry)
        later = await next_sample(telemetry, lambda sample: not math.isnan(sample.value("cpu_util")))
        assert telemetry.pulse(NODE).value.state is PulseState.LIVE
        assert telemetry.feed(NODE).age_s() < 5
    assert facts[0][0] == NODE
    assert facts[0][1].hostname == os.uname().nodename
    assert first.value("mem_total_bytes") > 0
    assert later.t_ms > first.t_ms
    assert 0 <= later.value("cpu_util") <= 1
    assert len(telemetry.history(NODE).series("mem_used_bytes", 60)[0]) >= 2


async def test_when_the_node_goes_the_last_sample_stays_and_the_pulse_says_so(tmp_path: Path) -> None:
    telemetry = make_telemetry()
    shell = LocalShell(tmp_path)
    async with watching(telemetry, shell):
        await next_sample(telemetry)
        shell.cut()
        pulse = await pulse_in(telemetry, PulseState.STOPPED)
        assert "spark-1" in pulse.message
        assert pulse.remedy
    assert telemetry.latest(NODE).value is not None
    assert telemetry.pulse(NODE).value.message == "spark-1 is not connected"
    shell.mend()
    async with watching(telemetry, shell):
        await next_sample(telemetry)
        assert telemetry.pulse(NODE).value.state is PulseState.LIVE


async def test_nothing_is_left_on_the_node_when_watching_ends(tmp_path: Path) -> None:
    telemetry = make_telemetry()
    async with watching(telemetry, LocalShell(tmp_path)):
        await next_sample(telemetry)
        assert probes_of(tmp_path)
    await asyncio.sleep(0.3)
    assert probes_of(tmp_path) == []


async def test_a_killed_probe_is_started_again_and_the_reason_is_told(tmp_path: Path) -> None:
    telemetry = make_telemetry()
    async with watching(telemetry, LocalShell(tmp_path)):
        await next_sample(telemetry)
        for pid in probes_of(tmp_path):
            os.kill(pid, signal.SIGKILL)
        pulse = await pulse_in(telemetry, PulseState.STOPPED)
        assert "ended by SIGKILL" in pulse.message
        assert pulse.restarts == 1
        await next_sample(telemetry)
        assert telemetry.pulse(NODE).value.state is PulseState.LIVE


async def test_a_frozen_probe_is_slow_then_stale_and_goes_on_after(tmp_path: Path) -> None:
    telemetry = make_telemetry()
    async with watching(telemetry, LocalShell(tmp_path)):
        await next_sample(telemetry)
        frozen = probes_of(tmp_path)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        pulse = await pulse_in(telemetry, PulseState.STALE)
        assert pulse.message == "No telemetry from spark-1"
        assert telemetry.feed(NODE).age_s() >= 0.3
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        await pulse_in(telemetry, PulseState.LIVE)


class HandClock(SystemClock):
    """A clock that a test sets."""

    now_s = 0.0

    def monotonic_s(self) -> float:
        """As set."""
        return self.now_s


@pytest.mark.parametrize("starting_s", [0.0, 0.5, 4.0, 20.0])
def test_a_feed_is_looked_at_in_the_moment_when_it_becomes_stale(starting_s: float) -> None:
    clock = HandClock()
    feed = NodeFeed("n1", clock, 1.0)
    feed.begin()
    look_at_s = feed.next_look_s(1.0, 15.0)
    while look_at_s < starting_s:
        clock.now_s = look_at_s
        feed.look_at_age("spark-1", 1.0)
        look_at_s += feed.next_look_s(1.0, 15.0)
    clock.now_s = starting_s  # its first sample comes between two looks, and is its last
    feed.take_reading(RawSample(1, "boot", 1.0, 1.0))
    while feed.pulse.value.state is not PulseState.STALE:
        clock.now_s = look_at_s
        feed.look_at_age("spark-1", 1.0)
        look_at_s += feed.next_look_s(1.0, 15.0)
        assert feed.age_s() < STALE_PERIODS + 0.05
    assert feed.age_s() > STALE_PERIODS


async def test_a_probe_that_hangs_is_given_up_and_another_takes_its_place(tmp_path: Path) -> None:
    telemetry = make_telemetry(dead_s=1.0)
    async with watching(telemetry, LocalShell(tmp_path)):
        await next_sample(telemetry)
        for pid in probes_of(tmp_path):
            os.kill(pid, signal.SIGSTOP)
        assert (await pulse_in(telemetry, PulseState.STOPPED)).message == "The probe on spark-1 has hung"
        await next_sample(telemetry)
        assert telemetry.pulse(NODE).value.restarts == 1


async def test_a_node_without_python_is_told_so(tmp_path: Path) -> None:
    telemetry = make_telemetry()
    (tmp_path / "bin").mkdir()
    for name in ("sh", "env"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    async with watching(telemetry, LocalShell(tmp_path, env={"PATH": str(tmp_path / "bin")})):
        pulse = await pulse_in(telemetry, PulseState.STOPPED)
        assert pulse.message == "spark-1 has no python3"
        assert "apt install python3" in pulse.remedy


async def test_a_probe_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    telemetry = make_telemetry((b"raise SystemExit('no luck today')",))
    async with watching(telemetry, LocalShell(tmp_path)):
        pulse = await pulse_in(telemetry, PulseState.STOPPED)
        assert "exit code 1: no luck today" in pulse.message


@pytest.mark.parametrize(("is_told", "levels"), [(True, []), (False, [logging.WARNING])])
async def test_a_probe_that_was_told_to_end_is_nothing_to_warn_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_told: bool, levels: list[int]
) -> None:
    telemetry = make_telemetry()
    async with watching(telemetry, LocalShell(tmp_path)):
        await next_sample(telemetry)
        for number in probes_of(tmp_path):
            os.kill(number, signal.SIGTERM if is_told else signal.SIGKILL)
        await pulse_in(telemetry, PulseState.STOPPED)
    assert [record.levelno for record in caplog.records if record.levelno >= logging.WARNING] == levels


@pytest.mark.parametrize(
    ("line", "reason"),
    [("b'9' * 10_000_000", "a line of 10000017 bytes"), (r"b'\xff\xfe'", "not UTF-8 at byte 0"), ("b'{'", "not JSON")],
)
async def test_lines_that_cannot_be_read_are_told_and_the_stream_goes_on(
    tmp_path: Path, line: str, reason: str
) -> None:
    """Bad lines for a while, then good ones."""
    program = f"""
import sys, time, json
mark = sys.argv[1].encode() + b" "
def say(data):
    sys.stdout.buffer.write(mark + data + bytes([10])); sys.stdout.buffer.flush()
say(json.dumps({{"q": 0, "m": 1.0, "w": 1.0, "b": "b"}}).encode())
for n in range(8):
    say({line}); time.sleep(0.1)
for n in range(1000):
    say(json.dumps({{"q": n + 1, "m": n + 2.0, "w": n + 2.0, "b": "b"}}).encode()); time.sleep(0.1)
"""
    telemetry = make_telemetry((program.encode(),))
    async with watching(telemetry, LocalShell(tmp_path)):
        pulse = await pulse_in(telemetry, PulseState.SLOW, PulseState.STALE, words="lines that cannot be read")
        assert reason in pulse.message
        await next_sample(telemetry, lambda sample: sample.sequence > 1)
        assert telemetry.pulse(NODE).value.restarts == 0


async def test_what_the_login_shell_prints_is_no_trouble(tmp_path: Path) -> None:
    greeting = b'print("Welcome to Ubuntu\\n\\x1b[31m{not json", flush=True)\n'
    telemetry = make_telemetry((greeting, *PROGRAMS))
    async with watching(telemetry, LocalShell(tmp_path)):
        await next_sample(telemetry)
        assert telemetry.pulse(NODE).value.message == ""


async def test_lines_of_others_are_not_blamed_on_the_probe(tmp_path: Path) -> None:
    program = b"""
import sys, time
print(sys.argv[1], '{"q": 0, "m": 1.0, "w": 1.0}', flush=True)
while True:
    print("somebody else", flush=True); time.sleep(0.05)
"""
    telemetry = make_telemetry((program,))
    async with watching(telemetry, LocalShell(tmp_path)):
        pulse = await pulse_in(telemetry, PulseState.STALE)
        assert pulse.message == "No telemetry from spark-1"


async def test_the_rate_changes_and_a_pause_rests_without_ending_the_probe(tmp_path: Path) -> None:
    telemetry = make_telemetry(hz=0.2)
    async with watching(telemetry, LocalShell(tmp_path)):
        await next_sample(telemetry)
        telemetry.set_rate(10)
        assert telemetry.history(NODE).period_s == 0.1
        before_ms = 0
        for _ in range(4):
            before_ms = (await next_sample(telemetry)).t_ms
        assert (await next_sample(telemetry)).t_ms - before_ms < 2500
        before = probes_of(tmp_path)
        telemetry.pause()
        await pulse_in(telemetry, PulseState.PAUSED)
        await asyncio.sleep(0.3)
        rested = telemetry.latest(NODE).value
        await asyncio.sleep(0.7)
        assert telemetry.latest(NODE).value is rested
        assert telemetry.pulse(NODE).value.state is PulseState.PAUSED
        telemetry.resume()
        await next_sample(telemetry)
        assert probes_of(tmp_path) == before


class MovedClock(SystemClock):
    """A clock that a test puts forward."""

    moved_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.moved_s


async def test_what_came_seldom_as_asked_is_not_late_when_more_is_asked(tmp_path: Path) -> None:
    clock = MovedClock()
    telemetry = Telemetry(clock=clock, programs=PROGRAMS, hz=0.2)
    async with watching(telemetry, LocalShell(tmp_path)):
        await next_sample(telemetry)
        clock.moved_s = 4.0
        telemetry.set_rate(1.0)
        assert telemetry.pulse(NODE).value.state is PulseState.LIVE
        assert telemetry.feed(NODE).age_s() >= 4.0, "it is as old as it is"
        await next_sample(telemetry)


async def test_a_silence_is_heard_by_the_new_rate_at_once(tmp_path: Path) -> None:
    telemetry = make_telemetry(hz=0.1)
    async with watching(telemetry, LocalShell(tmp_path)):
        await next_sample(telemetry)
        for number in probes_of(tmp_path):
            os.kill(number, signal.SIGSTOP)
        telemetry.set_rate(10.0)
        stale = await pulse_in(telemetry, PulseState.STALE)
        assert stale.remedy
        for number in probes_of(tmp_path):
            os.kill(number, signal.SIGCONT)
