"""The shell around a client really asks again until the server is there, and shows no more than fits."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from sparkdesk.core.bringup.proof import read_output as read
from sparkdesk.core.bringup.proof.nccl_steps import SHORT
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Serve
from tests.core.bringup.cases import make_case
from tests.core.bringup.proof.proofs import make_proof, without_rdma
from tests.infra.sshd import require


def script_of(kind: str) -> str:
    """The script around the client of a step."""
    case = make_case(2, Shape.PAIR, is_ready=True)
    proof = make_proof(2, Shape.PAIR, without_rdma(case) if kind == "proof-tcp" else case, scheme_stays=True)
    step = next(step for step in proof.playbook.steps() if step.id.startswith(kind))
    (serve,) = step.apply
    assert isinstance(serve, Serve)
    return serve.client.argv[serve.client.argv.index("-c") + 1]


def ran(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """How it ends around this client."""
    command = ["timeout", "20", "sh", "-c", script, "client", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_client_asks_again_until_the_server_is_there(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    count = 'n=$(cat "$1" 2>/dev/null || echo 0)\necho $((n+1)) > "$1"\n'
    tool.write_text(f'#!/bin/sh\n{count}[ $n -ge 2 ] && echo "row $n"\n')
    tool.chmod(0o755)
    done = ran(script_of("proof-bandwidth"), str(tool), str(tmp_path / "count"))
    assert (done.returncode, done.stdout) == (0, "row 2\n")


def test_a_program_that_is_not_there_is_not_asked_again() -> None:
    for kind, tool in (("proof-bandwidth", "ib_write_bw-of-nobody"), ("proof-tcp", "iperf3-of-nobody")):
        done = ran(script_of(kind), tool)
        assert done.stderr.count("not found") == 1
        assert read.is_absent(done.stderr, tool)


def test_the_end_of_iperf3s_json_tells_what_arrived_though_its_server_came_late() -> None:
    require(shutil.which("iperf3") is not None, "iperf3 is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    late = subprocess.Popen(["sh", "-c", f"sleep 0.7; exec timeout 15 iperf3 -s -1 -B 127.0.0.1 -p {port} >/dev/null"])
    done = ran(script_of("proof-tcp"), "iperf3", "-J", "-c", "127.0.0.1", "-p", port, "-P", "4", "-t", "1")
    assert late.wait(20) == 0
    assert len(done.stdout) <= 2500
    value = read.read_iperf(done.stdout)
    assert value is not None
    assert value > 0.1


def test_what_a_container_complains_of_is_cut_and_what_it_prints_is_not() -> None:
    noise = "i=0; while [ $i -lt 400 ]; do echo noise-$i >&2; i=$((i+1)); done; echo '{\"kind\": 1}'; exit 7"
    done = subprocess.run(
        ["sh", "-c", SHORT, "x", "sh", "-c", noise], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stdout == '{"kind": 1}\n'
    assert len(done.stderr) == 800
    assert done.stderr.endswith("noise-399\n")
