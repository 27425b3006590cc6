"""The program that looks at cables: what it reads of ports, in an old Python too, and how it fails without a card."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.cluster.beacon import read_view
from sparkdesk.core.program import python_command
from tests.remote.python_version import PYTHONS
from tests.remote.spark_root import write

PROGRAM = (Path(__file__).parents[2] / "sparkdesk" / "remote" / "beacon.py").read_bytes()
PORT = "sys/class/net/enp1s0f0np0"


def run(root: Path, python: str, path: str) -> dict[str, Any]:
    """What the program prints, sent as it is sent to a node."""
    command = python_command([PROGRAM], "token", "n1", "0.2")
    env = {"PATH": path, "LC_ALL": "C", "SPARKDESK_ROOT": str(root)}
    argv = [python, *command.argv[1:]]
    done = subprocess.run(argv, input=PROGRAM, capture_output=True, timeout=30, env=env, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.count(b"\n") == 1
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """`ip` and `lldpctl` of a node with one port, and nothing else on the PATH."""
    folder = tmp_path / "tools"
    folder.mkdir()
    addresses = [{"ifname": "enp1s0f0np0", "addr_info": [
        {"family": "inet", "local": "192.168.100.10", "prefixlen": 24},
        {"family": "inet6", "local": "fe80::4ebb:47ff:fe00:20", "prefixlen": 64},
    ]}]  # fmt: skip
    lldp = "lldp.enp1s0f0np0.chassis.mac=b8:59:9f:00:00:01\nlldp.enp1s0f0np0.chassis.name=sn3700\n"
    lldp += "lldp.enp1s0f0np0.chassis.Bridge.enabled=on\nlldp.enp1s0f0np0.port.descr=swp1\n"
    lldp += "lldp.enp1s0f0np0.chassis.mac=4c:bb:47:00:00:30\nlldp.enp1s0f0np0.chassis.Bridge.enabled=off\n"
    for name, text in {"ip": json.dumps(addresses), "lldpctl": lldp}.items():
        (folder / name).write_text(f"#!{shutil.which('sh')}\necho '{text}'\n")
        os.chmod(folder / name, 0o755)
    return folder


def make_port(root: Path, carrier: str) -> None:
    """One half of a cage, with its RDMA device."""
    for name, text in {"address": "4c:bb:47:00:00:20", "mtu": "9000", "speed": "200000", "carrier": carrier}.items():
        write(root, f"{PORT}/{name}", text + "\n")
    write(root, f"{PORT}/operstate", "down\n")
    write(root, "sys/class/net/enP7s7/address", "4c:bb:47:00:00:10\n")
    write(root, "sys/class/infiniband/rocep1s0f0/ports/1/state", "4: ACTIVE\n")
    (root / "sys/class/infiniband/rocep1s0f0/device/net/enp1s0f0np0").mkdir(parents=True)


@pytest.mark.parametrize("python", PYTHONS)
def test_a_port_is_told_with_its_facts(python: str, tmp_path: Path, tools: Path) -> None:
    make_port(tmp_path, "0")
    view = read_view("n1", "spark-1", run(tmp_path, python, str(tools)))
    (half,) = view.halves
    assert (half.netdev, half.rdma_device, half.is_rdma_active) == ("enp1s0f0np0", "rocep1s0f0", True)
    assert (half.mac, half.link_local) == ("4c:bb:47:00:00:20", "fe80::4ebb:47ff:fe00:20")
    assert (half.carrier, half.speed_gbps, half.mtu) == (False, 200.0, 9000)
    assert half.addresses == ("192.168.100.10/24",)
    assert view.macs == {"4c:bb:47:00:00:20", "4c:bb:47:00:00:10"}
    assert [(one.netdev, one.name, one.mac, one.is_bridge) for one in view.lldp] == [
        ("enp1s0f0np0", "sn3700", "b8:59:9f:00:00:01", True),
        ("enp1s0f0np0", "", "4c:bb:47:00:00:30", False),
    ]
    assert view.heard == ()


@pytest.mark.parametrize("python", PYTHONS)
def test_a_port_that_cannot_be_opened_and_missing_tools_end_in_words_not_in_a_failure(
    python: str, tmp_path: Path
) -> None:
    make_port(tmp_path, "1")
    answer = run(tmp_path, python, "/nowhere")
    assert list(answer["errors"]) == ["enp1s0f0np0"]
    assert answer["seen"] == []
    assert answer["heard"] == []
    assert read_view("n1", "", answer).halves[0].carrier is True


def test_a_port_that_is_switched_off_has_no_link_and_one_that_says_nothing_is_not_known(
    tmp_path: Path, tools: Path
) -> None:
    python = sys.executable
    make_port(tmp_path, "")
    assert run(tmp_path, python, str(tools))["ports"][0]["carrier"] is False
    write(tmp_path, f"{PORT}/operstate", "unknown\n")
    assert run(tmp_path, python, str(tools))["ports"][0]["carrier"] is None


def test_a_machine_without_the_card_says_so(tmp_path: Path, tools: Path) -> None:
    write(tmp_path, "sys/class/net/eth0/address", "00:00:00:00:00:01\n")
    answer = run(tmp_path, sys.executable, str(tools))
    assert answer["ports"] == []
    assert answer["note"] == "no CX-7 port is seen"
