"""The probe tells what it can read, leaves out what it cannot, and leaves the node when nobody listens."""

from __future__ import annotations

import ast
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.program import python_command
from sparkdesk.core.telemetry import probe as parser
from sparkdesk.core.telemetry.builder import SampleBuilder
from sparkdesk.core.telemetry.frame import Line
from sparkdesk.core.telemetry.probe import Hello, RawSample, parse_line
from sparkdesk.core.telemetry.sample import Sample
from tests.remote.python_version import PYTHONS
from tests.remote.spark_root import make_spark, write, write_counters

REMOTE = Path(__file__).parents[2] / "sparkdesk" / "remote"
SOURCES = [(REMOTE / name).read_bytes() for name in ("gpu.py", "probe.py")]
MARKER = "m4rk"


class Probe:
    """A probe that runs, and what it said."""

    def __init__(self, python: str, hz: float = 10, heartbeat_s: float = 8, env: dict[str, str] | None = None) -> None:
        command = python_command(SOURCES, MARKER, f"{hz:g}", f"{heartbeat_s:g}")
        env = {"PATH": "/nowhere", "HOME": "/", "SPARKDESK_NVML": "off"} | (env or {})
        self.process = subprocess.Popen(
            [python, *command.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        os.set_blocking(self.stdout.fileno(), False)
        self._bytes = b""
        self.beat(b"".join(SOURCES))

    def beat(self, data: bytes = b"\n") -> None:
        self.stdin.write(data)
        self.stdin.flush()

    def line(self) -> Line:
        """The next line it prints."""
        until = time.monotonic() + 20
        while b"\n" not in self._bytes:
            assert time.monotonic() < until, "the probe says nothing"
            if select.select([self.stdout], [], [], 0.2)[0]:
                self._bytes += os.read(self.stdout.fileno(), 65536)
        data, _, self._bytes = self._bytes.partition(b"\n")
        return Line(data)

    def raw(self) -> dict[str, Any]:
        """The next line as JSON."""
        marker, _, text = self.line().data.partition(b" ")
        assert marker == MARKER.encode()
        value: dict[str, Any] = json.loads(text)
        return value

    def until(self, key: str) -> dict[str, Any]:
        """The next line that has this key."""
        while key not in (value := self.raw()):
            pass
        return value

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.stdin.close()
        self.stdout.close()


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def spark(tmp_path: Path) -> Path:
    make_spark(tmp_path / "root")
    return tmp_path / "root"


@pytest.fixture
def probes() -> Iterator[list[Probe]]:
    started: list[Probe] = []
    yield started
    for probe in started:
        probe.close()


def constant(file: str, name: str) -> Any:
    """A constant of a program that nobody may import."""
    for node in ast.parse((REMOTE / file).read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    raise AssertionError(name)


def sample_of(builder: SampleBuilder, line: Line) -> Sample:
    raw = parse_line(line, MARKER.encode())
    assert isinstance(raw, RawSample)
    return builder.build(raw, 1)


def test_the_probe_and_the_parser_know_the_same_keys() -> None:
    assert set(constant("probe.py", "KEYS")) == parser.RAW_KEYS
    assert set(constant("probe.py", "MEMORY_KEYS").values()) == parser.MEMORY_KEYS
    assert set(constant("gpu.py", "GPU_KEYS")) == parser.GPU_KEYS
    assert constant("probe.py", "PROTOCOL") == parser.PROTOCOL


def test_this_machine_is_read_and_every_key_is_known(python: str, probes: list[Probe]) -> None:
    probe = Probe(python)
    probes.append(probe)
    hello = parse_line(probe.line(), MARKER.encode())
    assert isinstance(hello, Hello)
    assert hello.facts.hostname == os.uname().nodename
    first, second = probe.raw(), probe.raw()
    assert set(first) <= parser.RAW_KEYS
    assert (first["q"], second["q"]) == (0, 1)
    assert second["m"] > first["m"]
    assert first["mem"]["mt"] > 0


def test_a_spark_is_told_as_it_is_and_its_serial_number_is_not(python: str, spark: Path, probes: list[Probe]) -> None:
    probe = Probe(python, env={"SPARKDESK_ROOT": str(spark)})
    probes.append(probe)
    line = probe.line()
    assert b"SECRET" not in line.data
    hello = parse_line(line, MARKER.encode())
    assert isinstance(hello, Hello)
    facts = hello.facts
    assert (facts.hostname, facts.os_version, facts.cpu_count) == ("spark-afe0", "DGX OS 7.5.0", 20)
    assert (facts.vendor, facts.product, facts.driver_version) == ("NVIDIA", "NVIDIA_DGX_Spark", "580.95.05")
    assert facts.kernel == "6.14.0-1015-nvidia"
    assert facts.others["ib.rocep1s0f0.rate"] == "200 Gb/sec (2X NDR)"
    builder = SampleBuilder("n1")
    sample = sample_of(builder, probe.line())
    assert sample.value("mem_used_bytes") == (127535084 - 120000000) * 1024
    assert sample.value("cpu_temp_c") == 51.5
    assert sample.value("nvme_temp_c") == 39.85
    assert sample.value("psi_memory_some_avg10") == 0.015
    assert sample.value("cage_up.P0") == 2
    assert sample.value("cage_speed_gbps.P0") == 200
    raw = probe.raw()
    assert raw["io"] == [4000, 8000]
    assert "lo" not in raw["net"]
    write_counters(spark, 1)
    until = time.monotonic() + 10
    while not sample_of(builder, probe.line()).value("cage_rx_gbps.P0") > 0:
        assert time.monotonic() < until


@pytest.mark.parametrize(
    "content", ["", "garbage \xff\x00 words: none", "9" * 5000, "-5", "cpu\nMemTotal: kB\nsome avg10=x"]
)
def test_whatever_the_files_hold_the_probe_goes_on(spark: Path, probes: list[Probe], content: str) -> None:
    for path in [path for path in spark.rglob("*") if path.is_file()]:
        path.write_bytes(content.encode("latin-1"))
    probe = Probe(sys.executable, env={"SPARKDESK_ROOT": str(spark)})
    probes.append(probe)
    assert isinstance(parse_line(probe.line(), MARKER.encode()), Hello)
    for _ in range(3):
        raw = parse_line(probe.line(), MARKER.encode())
        assert isinstance(raw, RawSample)
        assert SampleBuilder("n1").build(raw, 1).value("cpu_util") != 0


def test_an_empty_root_leaves_every_cell_out(tmp_path: Path, probes: list[Probe]) -> None:
    probe = Probe(sys.executable, env={"SPARKDESK_ROOT": str(tmp_path)})
    probes.append(probe)
    assert probe.raw()["mem_kb"] is None
    assert set(probe.raw()) <= {"q", "m", "w", "df", "gs", "e"}


def test_a_cage_that_appears_is_told_in_a_new_hello(spark: Path, probes: list[Probe]) -> None:
    shutil.move(spark / "sys/class/infiniband", spark / "kept")
    probe = Probe(sys.executable, env={"SPARKDESK_ROOT": str(spark)})
    probes.append(probe)
    assert probe.raw()["ib"] == {}
    shutil.move(spark / "kept", spark / "sys/class/infiniband")
    assert set(probe.until("hello")["ib"]) == {"rocep1s0f0", "roceP2p1s0f0"}


def test_the_end_of_the_channel_ends_the_probe_at_once(python: str, probes: list[Probe]) -> None:
    probe = Probe(python)
    probes.append(probe)
    probe.raw()
    probe.stdin.close()
    assert probe.process.wait(5) == 0


def test_silence_ends_the_probe_even_when_nobody_reads_what_it_says(python: str, probes: list[Probe]) -> None:
    """A dead link: nothing comes in, and what goes out fills the pipe."""
    probe = Probe(python, heartbeat_s=1)
    probes.append(probe)
    begun = time.monotonic()
    assert probe.process.wait(10) in (0, -signal.SIGALRM)
    assert time.monotonic() - begun < 5


def test_heartbeats_keep_it_and_their_end_does_not(probes: list[Probe]) -> None:
    probe = Probe(sys.executable, heartbeat_s=1)
    probes.append(probe)
    for _ in range(8):
        time.sleep(0.3)
        probe.beat()
    assert probe.process.poll() is None
    assert probe.process.wait(10) == 0


def test_a_heartbeat_with_the_same_rate_does_not_disturb_the_beat(probes: list[Probe]) -> None:
    probe = Probe(sys.executable, hz=1)
    probes.append(probe)
    while (first := probe.until("q"))["q"] == 0:
        pass  # the second reading comes sooner
    for _ in range(10):
        probe.beat(b"hz 1\n")
        time.sleep(0.05)
    second = probe.until("q")
    assert second["m"] - first["m"] > 0.9
    probe.beat(b"hz 10\n")
    assert probe.until("q")["m"] - second["m"] < 0.9


# nvidia-smi ---------------------------------------------------------------------------------------------------------

SMI = """#!/bin/sh
echo $$ >> {folder}/pids
case "$*" in
*query-gpu*) row='0, NVIDIA GB10, GPU-1, 580.95.05, P0, {util}, 61, 21.41, 2522, [N/A], 0x0000000000000004';;
*) row='GPU-1, 114687, /usr/local/bin/python, 19135
GPU-1, 7, a, b, [N/A]';; esac
while :; do echo "$row"; {pace}; done
"""


def put_smi(folder: Path, util: str = "36", pace: str = "/bin/sleep 0.2") -> dict[str, str]:
    """A stand-in on the PATH of the node; what it prints are rows captured from a GB10."""
    (folder / "bin").mkdir()
    (folder / "bin/nvidia-smi").write_text(SMI.format(folder=folder, util=util, pace=pace))
    (folder / "bin/nvidia-smi").chmod(0o755)
    return {"PATH": str(folder / "bin")}


def smi_pids(folder: Path) -> list[int]:
    found = [int(pid) for pid in (folder / "pids").read_text().split()]
    return [pid for pid in found if Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text()]


def test_nvidia_smi_is_read_where_there_is_no_library(python: str, tmp_path: Path, probes: list[Probe]) -> None:
    probe = Probe(python, env=put_smi(tmp_path))
    probes.append(probe)
    hello = probe.until("gpus")
    while not hello["gpus"]:
        hello = probe.until("gpus")
    assert (hello["gpus"], hello["driver"]) == (["NVIDIA GB10"], "580.95.05")
    raw = probe.until("gpu")
    assert raw["gpu"] == [{"u": 36.0, "t": 61.0, "p": 21.41, "c": 2522.0, "th": 4.0}]
    assert raw["gs"] == "smi"
    while not raw["pr"]:
        raw = probe.until("pr")
    assert [114687, "python", 19135 * 2**20] in raw["pr"]
    assert [7, "a,b", None] in raw["pr"]


@pytest.mark.parametrize(
    "spelling", ["[N/A]", "N/A", "[Not Supported]", "Not Supported", "[Unknown Error]", "", "nan", "1e999"]
)
def test_each_way_of_saying_that_there_is_no_figure_is_no_figure(
    spelling: str, tmp_path: Path, probes: list[Probe]
) -> None:
    probe = Probe(sys.executable, env=put_smi(tmp_path, util=spelling))
    probes.append(probe)
    assert "u" not in probe.until("gpu")["gpu"][0]


def test_the_children_go_with_the_probe(python: str, tmp_path: Path, probes: list[Probe]) -> None:
    probe = Probe(python, env=put_smi(tmp_path))
    probes.append(probe)
    probe.until("pr")  # the second child has begun too
    assert len(smi_pids(tmp_path)) == 2
    probe.stdin.close()
    probe.process.wait(5)
    assert smi_pids(tmp_path) == []


def test_the_children_of_a_probe_that_was_killed_end_at_their_next_line(tmp_path: Path, probes: list[Probe]) -> None:
    probe = Probe(sys.executable, env=put_smi(tmp_path))
    probes.append(probe)
    probe.until("gpu")
    probe.process.kill()
    until = time.monotonic() + 10
    while smi_pids(tmp_path):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_program_that_keeps_ending_is_started_ever_more_rarely(tmp_path: Path, probes: list[Probe]) -> None:
    probe = Probe(sys.executable, env=put_smi(tmp_path, pace="exit 9"))
    probes.append(probe)
    begun = time.monotonic()
    while time.monotonic() - begun < 3:
        probe.raw()
    assert len((tmp_path / "pids").read_text().split()) <= 6


def test_without_library_and_program_the_trouble_is_told(probes: list[Probe]) -> None:
    probe = Probe(sys.executable, env={"SPARKDESK_NVML": "libno-such-nvml.so"})
    probes.append(probe)
    raw = probe.until("e")
    assert "gpu" not in raw
    assert any("libno-such-nvml.so" in trouble for trouble in raw["e"])
    assert "nvidia-smi was not found" in raw["e"]


# NVML ---------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to build a stand-in for NVML with")
def test_nvml_without_a_memory_figure_is_read(python: str, tmp_path: Path, probes: list[Probe]) -> None:
    library = tmp_path / "libnvidia-ml.so.1"
    source = Path(__file__).with_name("nvml_stub.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", library, source], check=True, timeout=60)
    probe = Probe(python, env={"SPARKDESK_NVML": str(library)})
    probes.append(probe)
    hello = probe.raw()
    assert hello["gpus"] == ["NVIDIA GB10"]
    raw = probe.raw()
    assert raw["gs"] == "nvml"
    assert raw["gpu"] == [{"u": 96, "t": 61, "p": 21.41, "c": 2522, "cm": 3003, "vp": 1000, "vt": 1001}]
    (name,) = {row[1] for row in raw["pr"] if row[0] == 1}
    assert name == Path("/proc/1/cmdline").read_bytes().split(b"\0")[0].split(b" ")[0].split(b"/")[-1].decode()
    assert [999999999, "", None] in raw["pr"]
    assert [1, name, 19135 * 2**20] in raw["pr"]


def test_a_file_that_is_replaced_is_read_anew(spark: Path, probes: list[Probe]) -> None:
    probe = Probe(sys.executable, env={"SPARKDESK_ROOT": str(spark)})
    probes.append(probe)
    assert probe.until("mem")["mem"]["ma"] == 120000000
    write(spark, "proc/meminfo", "MemTotal: 127535084 kB\nMemAvailable: 5 kB\n")
    until = time.monotonic() + 10
    while probe.until("mem")["mem"]["ma"] != 5:
        assert time.monotonic() < until
