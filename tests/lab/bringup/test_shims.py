"""What stands for a Spark's programs in a lab node refuses what a Spark refuses, and meets before it tells."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import CAGE_PORTS, Lab, LabNode
from tests.lab.patchbay import Patchbay, Wire

pytestmark = pytest.mark.lab

IMAGE = "nvcr.io/nvidia/vllm:26.01-py3"
PROGRAM = Path(__file__).resolve().parents[3] / "sparkdesk" / "remote" / "all_gather.py"
RDMA = ("rocep1s0f1", "roceP2p1s0f1")
RUN = (
    "docker run --rm --gpus all --network host --ipc host --ulimit memlock=-1 --device /dev/infiniband:/dev/infiniband "
    "-e NCCL_IB_HCA=rocep1s0f1,roceP2p1s0f1 -e NCCL_SOCKET_IFNAME=enp1s0f1np1 -v /home/nvidia/all_gather.py:/w/a.py:ro "
    f"--entrypoint python3 {IMAGE} -m torch.distributed.run --nnodes=2 --nproc-per-node=1 --master-addr=192.168.100.1 "
    "--master-port=29500"
)
TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes with a cable from cage 1 to cage 1, their halves addressed, their user in the group docker."""
    with Lab(2, tmp_path_factory.mktemp("pair"), marker="shims", cables=None, with_networkd=True) as lab:
        bay = Patchbay(lab, wires=1)
        bay.patch([Wire(((0, 1), (1, 1)))])
        for host, node in enumerate(lab.nodes, 1):
            for half, port in enumerate(CAGE_PORTS[1]):
                node.run("ip", "addr", "add", f"192.168.{100 + half}.{host}/24", "dev", port)
            node.run("usermod", "-aG", "docker", "nvidia")
            node.run("apt-get", "install", "-y", "perftest")
            (node.root / "home/nvidia/all_gather.py").write_bytes(PROGRAM.read_bytes())
        yield lab
        bay.close()


def start(node: LabNode, *argv: str) -> subprocess.Popen[str]:
    """A command as the node's user, with the groups that a sign-in has now."""
    user = ("setpriv", "--reuid=1001", "--regid=1001", "--init-groups")
    words = ["nsenter", "-t", str(node.holder.pid), "-a", *user, *argv]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code and what it said."""
    said, _ = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, said


def test_only_a_sign_in_that_is_in_the_group_may_ask_docker(pair: Lab) -> None:
    node, ask = pair.nodes[0], ("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    assert end(start(node, *ask)) == (0, f"{IMAGE}\n")
    older = ("setpriv", "--reuid=1001", "--regid=1001", "--clear-groups")
    done = subprocess.run(
        ["nsenter", "-t", str(node.holder.pid), "-a", *older, *ask], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "permission denied while trying to connect to the Docker daemon socket" in done.stderr
    node.run("systemctl", "stop", "docker")
    code, said = end(start(node, *ask))
    node.run("systemctl", "start", "docker")
    assert (code, "Is the docker daemon running?" in said) == (1, True)


def test_an_option_that_docker_does_not_have_is_refused(pair: Lab) -> None:
    code, said = end(start(pair.nodes[0], "docker", "run", "--rm", "--gpu", "all", IMAGE, "true"))
    assert (code, "unknown flag: --gpu" in said) == (125, True)


def test_docker_knows_the_toolkit_and_its_configuration_as_they_were_at_its_start(pair: Lab) -> None:
    node, setting = pair.nodes[0], pair.nodes[0].root / "etc/docker/daemon.json"
    ask = ("docker", "info", "--format", "{{json .Runtimes}}")
    run = ("docker", "run", "--rm", "--gpus", "all", IMAGE, "true")
    former = setting.read_bytes()
    node.run("apt-get", "remove", "-y", "nvidia-container-toolkit")
    setting.unlink()
    assert ("nvidia" in node.run(*ask), end(start(node, *run))[0]) == (True, 0)
    node.run("systemctl", "restart", "docker")
    code, said = end(start(node, *run))
    assert (code, "could not select device driver" in said, "nvidia" in node.run(*ask)) == (125, True, False)
    node.run("apt-get", "install", "-y", "nvidia-container-toolkit")
    node.run("nvidia-ctk", "runtime", "configure", "--runtime=docker")
    assert ("nvidia" in node.run(*ask), end(start(node, *run))[0]) == (False, 125)
    node.run("systemctl", "restart", "docker")
    assert ("nvidia" in node.run(*ask), end(start(node, *run))[0], setting.read_bytes()) == (True, 0, former)


@pytest.mark.parametrize("name", ["ib_write_bw", "ib_write_lat"])
def test_both_halves_of_a_cable_are_measured_at_once(pair: Lab, name: str) -> None:
    options = ("--report_gbits",) if name == "ib_write_bw" else ()
    waiting = [
        start(pair.nodes[1], name, "-d", device, "-F", "-p", str(12000 + half), *options)
        for half, device in enumerate(RDMA)
    ]
    asking = [
        start(pair.nodes[0], "sh", "-c", 'until "$@" 2>/dev/null; do sleep 0.1; done', "sh", name, "-d", device, "-F",
              "-p", str(12000 + half), *options, f"192.168.{100 + half}.2")
        for half, device in enumerate(RDMA)
    ]  # fmt: skip
    ended = [end(one) for one in (*asking, *waiting)]
    assert [code for code, _ in ended] == [0] * 4, ended
    assert all(said.startswith("# simulated\n") for _, said in ended)
    rows = [line.split() for _, said in ended[:2] for line in said.splitlines() if line.startswith((" 65536", " 2 "))]
    assert [row[3] for row in rows] == (["92.57", "97.28"] if name == "ib_write_bw" else ["5.40", "5.40"])


def test_a_port_without_an_address_has_no_way_for_rdma(pair: Lab) -> None:
    code, said = end(start(pair.nodes[0], "ib_write_bw", "-d", "rocep1s0f0", "-F", "192.168.100.2"))
    assert (code, "Port number 1 state is Down" in said) == (1, True)


def test_the_all_gather_meets_over_the_network_and_tells_which_way_it_went(pair: Lab) -> None:
    ranks = [start(node, *RUN.split(), f"--node-rank={rank}", "/w/a.py") for rank, node in enumerate(pair.nodes)]
    for code, said in map(end, ranks):
        assert code == 0, said
        first, *_, last = said.splitlines()
        told = json.loads(last)
        assert (first, told["nccl"], told["world"], told["wrong"]) == ("# simulated", "2.28.9", 2, 0)
        assert (round(told["busbw_gbs"], 2), told["transports"]) == (23.74, ["NET/IB"])


def test_a_container_without_rdma_devices_goes_by_sockets(pair: Lab) -> None:
    words = [word for word in RUN.split() if not word.startswith(("--device", "/dev/infiniband"))]
    ranks = [start(node, *words, f"--node-rank={rank}", "/w/a.py") for rank, node in enumerate(pair.nodes)]
    for code, said in map(end, ranks):
        assert code == 0, said
        assert json.loads(said.splitlines()[-1])["transports"] == ["NET/Socket"]


def test_without_a_network_no_package_comes(pair: Lab) -> None:
    node = pair.nodes[0]
    (node.root / "var/lib/lab/no-network").touch()
    with pytest.raises(subprocess.CalledProcessError) as refused:
        node.run("apt-get", "install", "-y", "earlyoom")
    (node.root / "var/lib/lab/no-network").unlink()
    assert "Temporary failure resolving" in refused.value.stderr
    assert node.run("systemctl", "is-active", "docker") == "active\n"
    node.run("apt-get", "install", "-y", "earlyoom")
    assert node.run("systemctl", "is-active", "earlyoom") == "active\n"
