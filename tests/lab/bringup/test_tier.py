"""A lab node with systemd-networkd takes a netplan as a machine does, and nothing of it comes out of the node."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.lab.lab import CAGE_PORTS, MANAGEMENT_PORT, Lab, LabNode
from tests.lab.patchbay import Patchbay, Wire

pytestmark = pytest.mark.lab

PORT, TWIN = CAGE_PORTS[1]
TRIED, KEPT = "run/netplan/90-test.yaml", "etc/netplan/90-test.yaml"
WAIT_S = 60.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes with a cable from cage 1 to cage 1."""
    with Lab(2, tmp_path_factory.mktemp("pair"), marker="tier", cables=None, with_networkd=True) as lab:
        bay = Patchbay(lab, wires=1)
        bay.patch([Wire(((0, 1), (1, 1)))])
        yield lab
        bay.close()


def write_netplan(node: LabNode, path: str, host: int) -> None:
    """Addresses 192.168.100.HOST and 192.168.101.HOST, MTU 9000."""
    text = "network:\n  version: 2\n  ethernets:\n"
    for half, port in enumerate((PORT, TWIN)):
        text += f"    {port}:\n      mtu: 9000\n      addresses: [192.168.{100 + half}.{host}/24]\n"
    file = node.root / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    file.chmod(0o600)


def addresses(node: LabNode, port: str) -> list[str]:
    """The IPv4 addresses of a port."""
    words = node.run("ip", "-4", "-o", "addr", "show", "dev", port).split()
    return [after for word, after in pairwise(words) if word == "inet"]


def wait_for_addresses(node: LabNode, *wanted: str) -> None:
    """netplan returns before the addresses are there."""
    deadline_s = time.monotonic() + WAIT_S
    while (now := [one for port in (PORT, TWIN) for one in addresses(node, port)]) != list(wanted):
        assert time.monotonic() < deadline_s, now
        time.sleep(0.05)


def test_a_netplan_gives_addresses_and_a_large_mtu_over_the_cable(pair: Lab) -> None:
    for host, node in enumerate(pair.nodes, 1):
        write_netplan(node, TRIED, host)
        node.run("netplan", "apply")
        wait_for_addresses(node, f"192.168.100.{host}/24", f"192.168.101.{host}/24")
    first = pair.nodes[0]
    for half, port in enumerate((PORT, TWIN)):
        first.run("ping", "-c2", "-W2", "-M", "do", "-s", "8972", "-I", port, f"192.168.{100 + half}.2")
    assert addresses(first, MANAGEMENT_PORT) == ["10.42.0.11/24"]
    for node in pair.nodes:
        (node.root / TRIED).unlink()
        node.run("netplan", "apply")
        wait_for_addresses(node)


def test_a_restart_forgets_what_was_tried_and_keeps_what_was_kept(pair: Lab) -> None:
    node = pair.nodes[1]
    write_netplan(node, TRIED, 7)
    node.run("netplan", "apply")
    wait_for_addresses(node, "192.168.100.7/24", "192.168.101.7/24")
    node.restart(0.1)
    assert not (node.root / TRIED).exists()
    wait_for_addresses(node)
    assert node.run("cat", f"/sys/class/net/{PORT}/mtu").strip() == "1500"
    write_netplan(node, KEPT, 8)
    node.restart(0.1)
    wait_for_addresses(node, "192.168.100.8/24", "192.168.101.8/24")
    assert node.run("cat", f"/sys/class/net/{PORT}/mtu").strip() == "9000"
    assert addresses(node, MANAGEMENT_PORT) == ["10.42.0.12/24"]
    (node.root / KEPT).unlink()
    node.run("netplan", "apply")
    wait_for_addresses(node)


def test_a_netplan_with_a_mistake_is_refused_and_changes_nothing(pair: Lab) -> None:
    node = pair.nodes[0]
    file = node.root / "run/netplan/91-wrong.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("network:\n  version: 2\n  ethernets:\n    x:\n      addresses: [nonsense]\n")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        node.run("netplan", "apply")
    file.unlink()
    assert "91-wrong.yaml" in refused.value.stderr
    assert addresses(node, MANAGEMENT_PORT) == ["10.42.0.11/24"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("restart", "nothing"), "Unit nothing.service not found."),
        (("isolate", "rescue"), "Unknown command verb isolate."),
        (("--user", "status"), "unrecognized option '--user'"),
    ],
)
def test_what_stands_for_systemctl_refuses_what_it_does_not_know(pair: Lab, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        pair.nodes[0].run("systemctl", *words)
    assert said in refused.value.stderr


def test_the_machine_below_keeps_its_files_and_its_network(tmp_path: Path) -> None:
    def look() -> tuple[str, str, list[str]]:
        addresses = subprocess.run(["ip", "addr"], capture_output=True, text=True, check=True).stdout
        files = [str(path) for path in Path("/etc/netplan").glob("*")] if Path("/etc/netplan").exists() else []
        return addresses, Path("/etc/group").read_text(), sorted(files)

    before = look()
    with Lab(1, tmp_path, with_networkd=True, cables=None) as lab:
        write_netplan(lab.nodes[0], KEPT, 1)
        lab.nodes[0].run("netplan", "apply")
    now = look()
    assert [line.split("valid_lft")[0] for line in now[0].splitlines()] == [
        line.split("valid_lft")[0] for line in before[0].splitlines()
    ]
    assert now[1:] == before[1:]
