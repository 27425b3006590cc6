"""What tools print is read as they print it, and whatever else is printed never becomes a figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.bringup.proof import read_output as read

DATA = Path(__file__).parents[3] / "data" / "proof"


def text_of(name: str) -> str:
    """A recorded sample."""
    return (DATA / name).read_text()


def test_the_average_of_ib_write_bw_is_read_from_its_table() -> None:
    assert read.read_bandwidth(text_of("ib_write_bw.txt")) == 92.57


def test_a_table_in_another_unit_is_no_figure_in_gbps() -> None:
    assert read.read_bandwidth(text_of("ib_write_bw.txt").replace("Gb/sec", "MB/sec")) is None
    assert read.read_bandwidth(" 65536      882805           0.00               92.57                0.176554") is None


def test_a_rate_that_no_cage_can_give_is_none() -> None:
    assert read.read_bandwidth(text_of("ib_write_bw.txt").replace("92.57", "9999.")) is None
    assert read.read_gather('{"kind":"all_gather","ok":true,"busbw_gbs":1e9,"wrong":0}').busbw_gbs is None  # type: ignore[union-attr]


def test_the_typical_latency_is_read_from_its_column() -> None:
    assert read.read_latency(text_of("ib_write_lat.txt")) == 1.84


def test_numbers_that_run_into_each_other_do_not_hide_the_latency() -> None:
    """perftest prints so where a deviation is large."""
    row = (
        " 2       1000          453.06         37330.73     692.41            928.05           2465.901216.65  37330.73"
    )
    assert read.read_latency(f"t_typical[usec]\n{row}\n") == 692.41


def test_both_pings_of_a_step_are_read() -> None:
    small, sized = read.read_pings(text_of("ping.txt"))
    assert (small.payload_bytes, small.sent, small.received) == (56, 1, 1)
    assert (sized.payload_bytes, sized.sent, sized.received) == (8972, 10, 10)
    assert sized.mean_ms is not None
    assert 0 < sized.mean_ms < 1


def test_lost_pings_are_counted() -> None:
    small, sized = read.read_pings(text_of("ping_lost.txt"))
    assert small.received == 1
    assert (sized.sent, sized.received, sized.mean_ms) == (5, 0, None)


def test_who_answers_for_an_address_is_read_with_its_hardware_address() -> None:
    assert read.read_arping(text_of("arping.txt")) == read.ArpReading(("62:93:80:f9:78:79",), did_end=True)
    assert read.read_arping(text_of("arping_free.txt")) == read.ArpReading((), did_end=True)
    assert read.read_arping("arping: socket: Operation not permitted") == read.ArpReading((), did_end=False)


def test_what_arrived_by_tcp_is_read_from_the_end_of_iperf3s_json() -> None:
    assert read.read_iperf(text_of("iperf3.json")) == pytest.approx(16.18, abs=0.01)
    assert read.read_iperf('{"error": "unable to connect to server: Connection refused"}') is None
    assert read.last_words('{\n\t"error":\t"unable to connect to server: Connection refused"\n}') == (
        "unable to connect to server: Connection refused"
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("(2, 28, 9)\n", "2.28.9"),
        ("warning (x)\n(2, 27, 3)", "2.27.3"),
        ("2708", ""),
        ("", ""),
        ("(2, 28, 9, b'x')", "2.28.9"),
    ],
)
def test_the_version_of_nccl_is_read_from_what_pytorch_prints(text: str, version: str) -> None:
    assert read.read_version(text) == version


def test_nccl_tests_average_is_read_where_that_ran() -> None:
    found = read.read_gather(text_of("nccl_tests.txt"))
    assert found is not None
    assert found.busbw_gbs == 19.9426


@pytest.mark.parametrize(("count", "is_wrong"), [('"wrong": 0', False), ('"wrong": 7', True), ('"right": 0', True)])
def test_data_that_nobody_compared_does_not_count_as_right(count: str, is_wrong: bool) -> None:
    found = read.read_gather(f'{{"kind": "all_gather", "ok": true, {count}, "busbw_gbs": 23.0}}')
    assert found is not None
    assert found.is_wrong is is_wrong


@pytest.mark.parametrize("wrong", ["NaN", "Infinity", "-1", '"12"x', "true", "[1]", "null"])
def test_a_figure_of_the_all_gather_that_is_none_is_none(wrong: str) -> None:
    found = read.read_gather(f'{{"kind": "all_gather", "ok": true, "wrong": 0, "busbw_gbs": {wrong}}}')
    assert found is None or found.busbw_gbs is None


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("client: 1: ib_write_bw: not found", "ib_write_bw"),
        ("bash: line 1: arping: command not found", "arping"),
        ("env: ‘ping’: No such file or directory", "ping"),
        ("timeout: failed to run command ‘docker’: No such file or directory", "docker"),
    ],
)
def test_a_program_that_is_not_there_is_told_from_one_that_fails(text: str, tool: str) -> None:
    assert read.is_absent(text, tool)
    assert not read.is_absent(text_of("no_rdma.txt"), tool)


def test_a_line_marks_what_is_simulated() -> None:
    assert read.is_marked_simulated("x\n# simulated: no data is moved\n")
    assert not read.is_marked_simulated("not # simulated")


SAMPLES = [path.read_text() for path in sorted(DATA.glob("*.*")) if path.suffix != ".md"]


@given(st.one_of(st.text(max_size=400), st.sampled_from(SAMPLES).flatmap(
    lambda text: st.tuples(st.just(text), st.integers(0, len(text)), st.text(max_size=20)).map(
        lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
    )
)))  # fmt: skip
def test_every_reader_is_total(text: str) -> None:
    for reader in (read.read_bandwidth, read.read_latency, read.read_iperf):
        value = reader(text)
        assert value is None or 0 <= value < 1e7
    read.read_arping(text)
    read.read_gather(text)
    read.read_version(text)
    read.last_words(text)
    read.is_absent(text, "ping")
    link = read.read_link(text, "enp1s0f0np0", "rocep1s0f0")
    assert link.mtu is None or link.mtu >= 0
    for run in read.read_pings(text):
        assert 0 <= run.received <= run.sent


@pytest.mark.parametrize(
    "text", ["9" * 200_000, "1 " * 100_000, '"sum_received":' * 20_000, "(" * 100_000, "{" * 100_000]
)
def test_a_text_without_end_does_not_hold_the_judge_up(text: str) -> None:
    test_every_reader_is_total.hypothesis.inner_test(text)  # type: ignore[attr-defined]
