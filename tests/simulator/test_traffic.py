"""What crosses a cable moves the counters of both its ends, of the right kind, and of no other port."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import asyncssh
import pytest

from sparkdesk.simulator.machine import gb10, live, traffic
from tests.simulator.conftest import Simulator
from tests.simulator.test_fault import read_until

RDMA = "cat /sys/class/infiniband/{}/ports/1/counters/port_{}_data"
PACKETS = "cat /sys/class/net/{}/statistics/{}_bytes"
CABLE = "bash -c 'cat /sys/class/net/{{enp1s0f1np1,enP2p1s0f1np1}}/statistics/{}_bytes'"
"""Both halves: around a switch either answers for the other's address, as Linux has it."""
SEND_BYTES = 3_000_000


async def read_number(link: asyncssh.SSHClientConnection, command: str) -> int:
    return int(str((await link.run(command, check=True)).stdout))


async def test_rdma_moves_the_counters_of_both_ends_and_of_no_other_port(cluster: Simulator) -> None:
    async with cluster.connect(0) as first, cluster.connect(1) as second:
        others = "cat /sys/class/infiniband/{rocep1s0f0,roceP2p1s0f0,roceP2p1s0f1}/ports/1/counters/port_*_data"
        waiting = await second.create_process("exec ib_write_bw -d rocep1s0f1 -F --report_gbits")
        await waiting.stdout.readuntil("Waiting for client")
        running = await first.create_process(
            "exec ib_write_bw -d rocep1s0f1 -F --report_gbits --run_infinitely 192.168.100.2"
        )
        await running.stdout.readuntil("#bytes")
        for link, way in ((first, "xmit"), (second, "rcv")):
            await read_until(link, RDMA.format("rocep1s0f1", way), lambda text: int(text) > 10**9)
        assert await read_number(first, RDMA.format("rocep1s0f1", "rcv")) == 0
        assert set(str((await first.run(f"bash -c '{others}'", check=True)).stdout).split()) == {"0"}
        running.terminate()
        await asyncio.wait_for(waiting.wait(), 20)
        await until_still(second, RDMA.format("rocep1s0f1", "rcv"))


async def until_still(link: asyncssh.SSHClientConnection, command: str) -> None:
    """Wait until a number stays as it is for longer than the files of a node take to move."""
    async with asyncio.timeout(90):
        while await read_number(link, command) != await read_number(link, f"sleep {2 * live.TICK_S}; {command}"):
            pass


async def test_a_run_of_a_given_length_takes_that_long_and_tells_the_rate(cluster: Simulator) -> None:
    async with cluster.connect(0) as first, cluster.connect(1) as second:
        waiting = await second.create_process("exec ib_write_bw -d roceP2p1s0f1 -p 12001")
        await waiting.stdout.readuntil("Waiting for client")
        done = await first.run("ib_write_bw -d roceP2p1s0f1 -p 12001 -D 1 --report_gbits 192.168.101.2", check=True)
        assert "simulated: no data is moved" in str(done.stdout)
        (row,) = [line.split() for line in str(done.stdout).splitlines() if line.startswith(" 65536 ")]
        assert row[3] == "97.28"
        assert int(row[1]) >= 92.57e9 / 8 / 65536


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ib_write_bw -d rocep1s0f0", "Port number 1 state is Down"),
        ("ib_write_bw -d nope", "IB device nope not found"),
        ("ib_write_bw --nope", "invalid option"),
        ("ib_write_bw -d rocep1s0f1 192.168.100.2", "Couldn't connect to 192.168.100.2"),
        ("lldpctl --nope", "invalid option"),
        ("ping -c 1 -s 8000 -M do 192.168.100.2", "1 packets transmitted, 1 received, 0% packet loss"),
        ("ping -c 1 -s 9000 -M do 192.168.100.2", "local error: message too long, mtu=9000"),
        ("ping -c 1 -W 1 192.168.100.77", "100% packet loss"),
        ("lldpctl -f keyvalue enp1s0f1np1", "lldp.enp1s0f1np1.chassis.name=switch-1\n"),
    ],
)
async def test_programs_of_the_cables_say_what_is(cluster: Simulator, command: str, words: str) -> None:
    async with cluster.connect(0) as link:
        done = await link.run(command)
        assert words in f"{done.stdout}{done.stderr}"


async def test_packets_move_the_devices_counters_and_not_those_of_rdma(cluster: Simulator) -> None:
    serve = (
        "import socket; s = socket.create_server(('192.168.100.2', 5201)); print(1, flush=True); e = s.accept()[0]\n"
        "while e.recv(65536): pass"
    )
    send = f"import socket; socket.create_connection(('192.168.100.2', 5201)).sendall(bytes({SEND_BYTES}))"
    async with cluster.connect(0) as first, cluster.connect(1) as second:
        before = await read_number(second, RDMA.format("rocep1s0f1", "rcv"))
        listener = await second.create_process(f'python3 -c "{serve}"')
        await listener.stdout.readline()
        await first.run(f'python3 -c "{send}"', check=True)
        for link, way in ((first, "tx"), (second, "rx")):
            await read_until(link, CABLE.format(way), lambda text: sum(map(int, text.split())) >= SEND_BYTES)
        assert await read_number(second, RDMA.format("rocep1s0f1", "rcv")) == before
        assert await read_number(second, PACKETS.format("enp1s0f0np0", "rx")) == 0


def test_what_is_declared_is_bounded_and_forgotten_with_its_process(tmp_path: Path) -> None:
    def write(name: str, row: object) -> None:
        (tmp_path / f"{name}.json").write_text(json.dumps(row))

    write("1", {"pid": 1, "device": "rocep1s0f1", "received": 1e30, "sent": -5})
    write("2", {"pid": 2, "device": "rocep1s0f1", "received": 8, "sent": 8})
    write("3", ["nonsense"])
    write("4", {"pid": 1, "device": "nope", "received": float("nan"), "sent": 1})
    counts = traffic.count(traffic.start_counts(), 2.0, None, tmp_path, {1})
    assert counts["enp1s0f1np1"].rdma_received_bytes == int(2 * traffic.MAX_BYTES_PER_S)
    assert counts["enp1s0f1np1"].rdma_sent_bytes == 0
    assert [path.name for path in tmp_path.iterdir()] == ["1.json", "4.json"]
    assert all(counts[half.netdev] == traffic.Counts() for half in gb10.HALVES if half.netdev != "enp1s0f1np1")
