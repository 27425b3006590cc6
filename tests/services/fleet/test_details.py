"""Nodes are read for real, by the real program, and what was read is there when they are away."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from sparkdesk.core.errors import CommandFailed, NodeBusy, Unreachable
from sparkdesk.core.probes.read import Answer, Fault, ReadClock, ReadCommand, ReadFile
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.details import KIND, DetailsReader
from sparkdesk.services.fleet.reader import Reader
from tests.fakes.shell import LocalShell
from tests.remote.spark_root import make_spark, write

PROGRAM = (Path(__file__).resolve().parents[3] / "sparkdesk" / "remote" / "reader.py").read_bytes()


class Bench:
    """One node that is a folder of this computer, a store, and what reads the one into the other."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        if not self.root.exists():
            make_spark(self.root)
        self.shell = LocalShell(self.home, env={"SPARKDESK_ROOT": str(self.root)})
        self.store = SqliteStore(folder / "data")
        clock = SystemClock()
        self.reader = Reader(program=PROGRAM, shells=lambda _: self.shell, clock=clock)
        self.details = DetailsReader(reader=self.reader, store=self.store, clock=clock, settle_s=0)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_the_reader_answers_more_reads_than_one_request_holds(bench: Bench) -> None:
    for number in range(150):
        write(bench.root, f"etc/many/{number}", f"text {number}")
    reads = [ReadFile(f"/etc/many/{number}") for number in range(150)]
    answers = await bench.reader.read("n1", [*reads, *reads, ReadClock()])
    assert [answers[read].text for read in reads] == [f"text {number}" for number in range(150)]
    assert len(answers) == 151
    assert len(bench.shell.lines) == 3


async def test_answers_that_have_no_room_are_asked_for_again(bench: Bench) -> None:
    for number in range(8):
        (bench.root / f"etc/big{number}").write_bytes(b"\xff" * 65536)
    reads = [ReadFile(f"/etc/big{number}", max_bytes=65536) for number in range(8)]
    answers = await bench.reader.read(bench.shell, reads)
    assert {len(answers[read].text) for read in reads} == {65536}
    assert len(bench.shell.lines) > 1


async def test_the_clocks_offset_is_measured_over_the_request(bench: Bench) -> None:
    answers = await bench.reader.read(bench.shell, [ReadClock(), ReadCommand(("sleep", "1"))])
    numbers = answers[ReadClock()].numbers
    assert numbers is not None
    assert abs(numbers["offset_ms"]) <= numbers["error_ms"] + 50
    assert numbers["error_ms"] >= 0


async def test_a_node_that_cannot_be_asked_raises_and_is_never_an_empty_answer(bench: Bench) -> None:
    bench.shell.is_full = True
    with pytest.raises(NodeBusy):
        await bench.reader.read(bench.shell, [ReadClock()])
    bench.shell.is_full = False
    bench.shell.cut()
    with pytest.raises(Unreachable):
        await bench.reader.read(bench.shell, [ReadClock()])


@pytest.mark.parametrize("program", [b'print("{}")', b"print('{\"reader\": 2}')", b"raise SystemExit(3)", b"print(1)"])
async def test_a_strangers_answer_is_refused(bench: Bench, program: bytes) -> None:
    reader = Reader(program=program, shells=lambda _: bench.shell, clock=SystemClock())
    with pytest.raises(CommandFailed):
        await reader.read("n1", [ReadClock()])


async def test_answers_that_never_come_are_faults_and_not_asked_for_for_ever(bench: Bench) -> None:
    program = b'print(\'{"reader": 1, "answers": [null, null]}\')'
    reader = Reader(program=program, shells=lambda _: bench.shell, clock=SystemClock())
    answers = await reader.read("n1", [ReadClock(), ReadFile("/x")])
    assert {answer.fault for answer in answers.values()} == {Fault.UNREADABLE}
    assert isinstance(answers[ReadClock()], Answer)


async def test_details_are_read_kept_and_there_again_after_a_restart(bench: Bench, tmp_path: Path) -> None:
    await bench.store.open()
    await bench.details.on_live("n1", bench.shell)
    found = bench.details.details.value["n1"]
    assert (found.vendor, found.dgx_os, found.driver) == ("NVIDIA", "DGX OS 7.5.0", "580.95.05")
    assert (found.mem_total_bytes, len(found.serial_hash)) == (127535084 * 1024, 64)
    assert "SECRET" not in (await bench.store.documents(KIND))["n1"].decode()
    await bench.store.save_document(KIND, "n2", b"{not json")
    await bench.store.close()

    again = Bench(tmp_path)
    await again.store.open()
    again.shell.cut()
    await again.details.load()
    assert again.details.details.value == {"n1": found}
    await again.details.on_live("n1", again.shell)  # read lately: not again
    with pytest.raises(Unreachable):
        await again.details.refresh("n1")
    assert again.details.details.value == {"n1": found}
    await again.details.forget("n1")
    assert (again.details.details.value, "n1" in await again.store.documents(KIND)) == ({}, False)
    await again.store.close()


async def test_a_node_that_is_lost_as_it_comes_is_no_error_to_a_person(bench: Bench) -> None:
    bench.shell.cut()
    await bench.details.on_live("n1", bench.shell)
    assert bench.details.details.value == {}


async def test_a_reading_that_is_ended_leaves_what_was_known(bench: Bench) -> None:
    await bench.store.open()
    first = await bench.details.refresh("n1")
    write(bench.root, "proc/sys/kernel/osrelease", "9.9.9-1-nvidia\n")
    reading = asyncio.gather(bench.details.refresh("n1"))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert bench.details.details.value["n1"] == first
    assert (await bench.details.refresh("n1")).kernel == "9.9.9-1-nvidia"
    await bench.store.close()


async def test_programs_out_of_the_way_are_found(bench: Bench) -> None:
    tool = bench.home / "bin" / "nvidia-ctk"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho NVIDIA Container Toolkit CLI version 1.20.0\n")
    tool.chmod(0o755)
    path = f"{tool.parent}:{os.environ['PATH']}"
    bench.shell = LocalShell(bench.home, env={"SPARKDESK_ROOT": str(bench.root), "PATH": path})
    await bench.store.open()
    found = await bench.details.refresh("n1")
    assert found.container_toolkit == "1.20.0"
    assert json.loads((await bench.store.documents(KIND))["n1"])["container_toolkit"] == "1.20.0"
    await bench.store.close()


async def test_what_was_read_keeps_its_age_when_this_computers_clock_is_set(bench: Bench) -> None:
    read = await bench.details.refresh("n1")
    bench.details.move_times(3_600_000)
    assert bench.details.details.value["n1"].t_ms == read.t_ms + 3_600_000
