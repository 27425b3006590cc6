"""The tools of a proof on simulated nodes: they answer in the documented forms, over packets, and say what they are."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from sparkdesk.core.bringup.proof.judge import measure
from sparkdesk.core.bringup.proof.measurement import Grade, ProofKind
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Run
from sparkdesk.simulator.fabric.port import make_ports
from tests.core.bringup.proof.proofs import make_proof
from tests.simulator.conftest import Simulator, StartSimulator, running
from tests.simulator.test_bringup_network import PORT, TWIN, ask
from tests.simulator.test_read import REMOTE

IMAGE = "nvcr.io/nvidia/vllm:26.05-py3"
DEVICES = ("rocep1s0f1", "roceP2p1s0f1")


def gather_command(
    rank: int, nodes: int, *, devices: str = ",".join(DEVICES), rights: str = "", port: str = PORT
) -> str:
    """One rank of an all_gather, as a proof starts it."""
    rights = rights or "--ulimit memlock=-1 --device /dev/infiniband:/dev/infiniband"
    address = "192.168.100.1" if port == PORT else "192.168.10.11"
    return (
        f"docker run --rm --pull never --name gather-{rank} --network host --ipc host --gpus all {rights} "
        f"--volume /home/nvidia/gather.py:/sparkdesk/all_gather.py:ro --env NCCL_SOCKET_IFNAME={port} "
        f"--env NCCL_DEBUG=INFO --env NCCL_IB_HCA={devices} --entrypoint timeout {IMAGE} -k 5 60 "
        f"python3 -m torch.distributed.run --nnodes {nodes} --nproc-per-node 1 --node-rank {rank} "
        f"--master-addr {address} --master-port 29571 --rdzv-conf timeout=60 /sparkdesk/all_gather.py "
        f"--bytes {1 << 30} --limit-s 15 --iterations 3"
    )


async def gather(simulator: Simulator, nodes: int, **options: Any) -> list[dict[str, Any]]:
    """What each rank says."""
    program = (REMOTE / "all_gather.py").read_text()
    for index in range(nodes):
        async with simulator.connect(index) as connection:
            await connection.run("cat > gather.py", input=program, check=True)
    texts = await asyncio.gather(*(ask(simulator, gather_command(i, nodes, **options), i) for i in range(nodes)))
    assert all(text.startswith("# simulated\n") for _code, text in texts), texts
    return [json.loads(text.splitlines()[-1]) for _code, text in texts]


@pytest.fixture(scope="module")
def packets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Two nodes on a switch with packets between them."""
    home = tmp_path_factory.mktemp("packets")
    with running(home, home / "state", "--nodes", "2") as simulator:
        if not simulator.line["packets"]:
            pytest.skip(f"no real cables here: {simulator.line['packets_reason']}")
        yield simulator


async def test_both_halves_are_measured_at_once_and_say_that_it_is_simulated(packets: Simulator) -> None:
    common = "-i 1 -F --report_gbits -D 1"
    servers = [f"timeout 20 ib_write_bw -d {one} {common} -p {12000 + at}" for at, one in enumerate(DEVICES)]
    clients = [f"sleep 0.5; {one[11:]} 192.168.10{at}.1" for at, one in enumerate(servers)]
    rows = await asyncio.gather(*(ask(packets, one) for one in servers), *(ask(packets, one, 1) for one in clients))
    assert all((code, text.splitlines()[0]) == (0, "# simulated: no data is moved") for code, text in rows), rows
    figures = [text.splitlines()[-2].split() for _code, text in rows[2:]]
    assert [(row[0], row[3]) for row in figures] == [("65536", "92.57"), ("65536", "97.28")]


async def test_latency_is_told_in_perftests_columns(packets: Simulator) -> None:
    command = "ib_write_lat -d rocep1s0f1 -i 1 -p 12010 -F"
    _server, (code, text) = await asyncio.gather(
        ask(packets, f"timeout 20 {command}"), ask(packets, f"sleep 0.5; {command} 192.168.100.1", 1)
    )
    head, row = text.splitlines()[-3:-1]
    assert (code, head.split()[4], row.split()[:2], row.split()[4]) == (0, "t_typical[usec]", ["2", "1000"], "1.80")
    assert "invalid option" in (await ask(packets, "ib_write_lat --nope"))[1]


async def test_a_quiet_ping_and_arping_tell_who_is_there(packets: Simulator) -> None:
    sized = f"ping -n -q -I {PORT} -M do -s 8972 -c 5 -i 0.1 -w 4 192.168.100.2"
    code, text = await ask(packets, sized)
    first, _blank, _line, counts, times = text.splitlines()
    assert (code, first) == (
        0, f"PING 192.168.100.2 (192.168.100.2) from 192.168.100.1 {PORT}: 8972(9000) bytes of data."
    )  # fmt: skip
    assert counts.startswith("5 packets transmitted, 5 received, 0% packet loss, time ")
    assert times.startswith("rtt min/avg/max/mdev = ")
    code, text = await ask(packets, f"arping -D -c 2 -w 2 -I {PORT} 192.168.100.2")
    assert (code, "[4C:BB:47:77:02:0" in text) == (1, True), text
    assert (await ask(packets, f"arping -D -c 1 -w 1 -I {PORT} 192.168.100.77"))[0] == 0
    assert (await ask(packets, "arping -c 1 -I nope 192.168.100.2"))[0] == 2


async def test_an_image_tells_its_nccl_and_other_words_are_refused(packets: Simulator) -> None:
    run = f"docker run --rm --pull never --network none --entrypoint python3 {IMAGE}"
    code, text = await ask(packets, f"{run} -c 'import torch; print(torch.cuda.nccl.version())'")
    assert (code, text) == (0, "# simulated\n(2, 28, 9)\n")
    assert (await ask(packets, f"{run} -c 'import sys; sys.exit(3)'; echo $?; docker ps -aq"))[1] == "# simulated\n3\n"
    assert (await ask(packets, f"{run} -c 'import torch.nope'"))[0] == 1
    assert (await ask(packets, f"docker run --rm --entrypoint bash {IMAGE} -c 'a; b'"))[0] == 127


async def test_ranks_gather_over_the_network_at_the_rate_of_their_cables(packets: Simulator) -> None:
    for row in await gather(packets, 2):
        assert (row["ok"], row["wrong"], row["world"], row["transports"]) == (True, 0, 2, ["NET/IB"])
        assert (sorted(row["devices"]), round(row["busbw_gbs"], 2)) == (sorted(DEVICES), 23.74)
    (one, _other) = await gather(packets, 2, devices=DEVICES[0])
    assert (one["devices"], round(one["busbw_gbs"], 2)) == ([DEVICES[0]], 12.0)
    (one, _other) = await gather(packets, 2, rights="--label x=y", port="enP7s7")
    assert (one["transports"], round(one["busbw_gbs"], 2)) == (["NET/Socket"], 1.17)


async def test_a_spark_in_its_slow_state_fails_under_the_proofs_load_and_another_passes(packets: Simulator) -> None:
    proof = make_proof(2, Shape.PAIR)
    (item,) = proof.of(ProofKind.GPU_CLOCK)
    runs = [one for step in proof.playbook.stages[-1].steps for one in step.apply if isinstance(one, Run)]
    commands = [shlex.join(one.command.argv) for one in runs if "watch" in one.command.argv]
    folder = "$HOME/.local/state/sparkdesk/bringup/a1b2c3"
    for index in range(2):
        async with packets.connect(index) as connection:
            program = (REMOTE / "gpu_load.py").read_text()
            await connection.run(f"mkdir -p {folder} && cat > {folder}/gpu_load.py", input=program, check=True)
    packets.control("on", "slow-state", "spark-bd26")
    try:
        rows = await asyncio.gather(*(ask(packets, one, index) for index, one in enumerate(commands)))
    finally:
        packets.control("off", "slow-state", "spark-bd26")
    texts = dict(zip(item.step_ids, (text for _code, text in rows), strict=True))
    found = measure(item, texts, proof.results, case_is_simulated=False)
    assert (found.grade, found.is_simulated) == (Grade.FAIL, True), texts
    assert found.message.startswith("2.42 on spark-1, 0.9"), found.message
    (cause,) = found.causes
    assert cause.startswith("spark-2: 9")
    assert "the slow state" in cause
    assert "pull its power adapter" in found.remedy


async def test_a_rank_that_is_alone_says_so(packets: Simulator) -> None:
    async with packets.connect() as connection:
        await connection.run("cat > gather.py", input=(REMOTE / "all_gather.py").read_text(), check=True)
    code, text = await ask(packets, gather_command(1, 2).replace("--limit-s 15", "--limit-s 2"))
    row = json.loads(text.splitlines()[-1])
    assert (code != 0, row["ok"]) == (True, False)


async def test_a_ring_gathers_over_four_devices_and_a_fault_shows_in_the_figures(start: StartSimulator) -> None:
    with start("--shape", "ring", "--nodes", "3") as simulator:
        if not simulator.line["packets"]:
            pytest.skip(f"no real cables here: {simulator.line['packets_reason']}")
        all_four = "rocep1s0f0,roceP2p1s0f0,rocep1s0f1,roceP2p1s0f1"
        (one, *_others) = await gather(simulator, 3, devices=all_four, port="enP7s7")
        assert (one["transports"], round(one["busbw_gbs"], 1)) == (["NET/IB"], 12.4)
        simulator.control("on", "rdma-degraded", "spark-5c2d:P1")
        (one, *_others) = await gather(simulator, 3, devices=all_four, port="enP7s7")
        assert one["busbw_gbs"] < 3


def test_a_fresh_port_has_no_address_and_a_fault_of_it_is_named() -> None:
    ports = make_ports((), (), 1, is_fresh=True)
    assert {(port.address, port.mtu, port.faults) for port in ports} == {("", 1500, ())}
    assert TWIN in {port.netdev for port in ports}


async def test_tcp_is_really_sent_and_told_as_iperf3_tells_it(packets: Simulator) -> None:
    server = ask(packets, "timeout 20 /run/sparkdesk-sim/bin/iperf3 -s -1 -B 192.168.100.1 -p 5300")
    command = f"{'exec /run/sparkdesk-sim/bin/'}iperf3 -J -c 192.168.100.1 -B 192.168.100.2 -p 5300 -P 4 -t 1"
    (code, said), (_code, text) = await asyncio.gather(server, ask(packets, f"sleep 0.7; ({command}) 2>/dev/null", 1))
    sums = json.loads(text)["end"]
    assert (code, said.splitlines()[0]) == (0, "# simulated: over this computer's own packets")
    assert sums["sum_received"]["bytes"] == sums["sum_sent"]["bytes"] > 10**6
    assert (await ask(packets, "iperf3 --nope"))[0] == 1
