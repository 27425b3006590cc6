"""The moving files and the count of what runs: safe against readers that keep files open, and against liars."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from sparkdesk.simulator.machine import census
from sparkdesk.simulator.machine.live import LiveFile
from sparkdesk.simulator.node import wire


def test_a_reader_that_keeps_a_file_open_sees_each_new_text_whole(tmp_path: Path) -> None:
    file = LiveFile(tmp_path / "deep" / "file")
    file.write("123456\n")
    with open(tmp_path / "deep" / "file", "rb") as reader:
        assert os.pread(reader.fileno(), 100, 0) == b"123456\n"
        file.write("99\n")
        assert os.pread(reader.fileno(), 100, 0) == b"99    \n"
        file.write("12345678\n")
        assert os.pread(reader.fileno(), 100, 0) == b"12345678\n"


def write_load(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.json").write_text(text)


def test_declared_loads_are_bounded_and_those_of_dead_processes_forgotten(tmp_path: Path) -> None:
    alive = census.tasks(Path("/proc"), None)
    own = os.getpid()
    assert own in alive
    write_load(tmp_path, "good", json.dumps({"pid": own, "name": "x" * 999, "memory_bytes": 10**30, "threads": 0}))
    write_load(tmp_path, "dead", json.dumps({"pid": 2**30, "name": "x"}))
    for number, text in enumerate(("", "{", "[]", "null", '{"pid": "x"}', '{"pid": 1e999, "name": 1}', '"x"')):
        write_load(tmp_path, f"bad{number}", text)
    (load,) = census.loads(tmp_path, alive)
    assert (load.pid, len(load.name), load.threads) == (own, 200, 1)
    assert load.memory_bytes < 2**37
    assert [path.name for path in tmp_path.iterdir()] == ["good.json"]
    (tmp_path / "1.json.part").write_text(json.dumps({"pid": own, "name": "half written"}))
    assert len(census.loads(tmp_path, alive)) == 1
    del alive[own]
    assert census.loads(tmp_path, alive) == []
    assert (tmp_path / "good.json").exists(), "who began after the count is not forgotten"


def test_a_process_that_is_dead_but_not_buried_does_not_count() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{process.pid}").exists()
        assert process.pid not in census.tasks(Path("/proc"), None)


def test_an_engine_is_as_busy_as_its_processes_are(tmp_path: Path) -> None:
    parent = census.Task(pid=5, parent=1, cpu_s=9, resident_bytes=100, private_bytes=50)
    child = census.Task(pid=6, parent=5, cpu_s=9, resident_bytes=30, private_bytes=10)
    load = census.Load(pid=5, name="x", threads=2, memory_bytes=0, ramp_s=0, started_s=3, cached_bytes=0)
    (engine,) = census.engines([load], {5: parent, 6: child}, {5: 0.5, 6: 0.9}, now_s=10)
    assert (engine.busy, engine.resident_bytes, engine.age_s) == (0.7, 130, 7)


def test_packets_carry_files_and_end_with_none() -> None:
    ours, theirs = wire.pair()
    with ours, theirs:
        read_end, write_end = os.pipe()
        wire.send(ours, {"op": "x", "text": "ä"}, (write_end,))
        os.close(write_end)
        packet = wire.receive(theirs)
        assert packet is not None
        assert packet[0] == {"op": "x", "text": "ä"}
        os.write(packet[1][0], b"through")
        assert os.read(read_end, 99) == b"through"
        wire.close_all([read_end, *packet[1]])
        with pytest.raises(ValueError, match="a message of"):
            wire.send(ours, {"text": "x" * wire.MAX_PACKET_BYTES})
        ours.close()
        assert wire.receive(theirs) is None
