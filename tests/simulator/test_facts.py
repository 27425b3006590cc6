"""What a node tells of itself to those who look closely: packages, units, time, devices, neighbours, makers."""

from __future__ import annotations

import json

import asyncssh
import pytest

from sparkdesk.simulator import identity
from sparkdesk.simulator.machine import gb10
from sparkdesk.simulator.machine.vendor import VENDORS
from tests.simulator.conftest import Simulator, StartSimulator, trust


async def run(cluster: Simulator, command: str, index: int = 0) -> tuple[int | None, str, str]:
    """Exit code, output, errors."""
    async with cluster.connect(index) as connection:
        result = await connection.run(command)
        return result.exit_status, str(result.stdout), str(result.stderr)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("id", "uid=1000(nvidia) gid=1000(nvidia) groups=1000(nvidia),4(adm),27(sudo),989(docker)\n"),
        ("id -nG", "nvidia adm sudo docker\n"),
        ("getent group docker", "docker:x:989:nvidia\n"),
        ("apt list --upgradable", "libssl3t64/noble-updates,noble-security 3.0.13-0ubuntu3.7 arm64 [upgradable from:"),
        ("apt-get -s upgrade", "Inst libssl3t64 [3.0.13-0ubuntu3.6] (3.0.13-0ubuntu3.7 Ubuntu:24.04/noble-updates,"),
        ("dpkg-query -W -f '${Package}\\t${Version}\\t${db:Status-Status}\\n' libnccl2",
         "libnccl2\t2.28.9-1+cuda13.0\tinstalled\n"),
        ("timedatectl show", "NTPSynchronized=yes\n"),
        ("docker image prune --force", "Total reclaimed space: 0B\n"),
        ("systemctl is-active docker", "active\n"),
        ("nvidia-ctk --version", "NVIDIA Container Toolkit CLI version 1.20.0\n"),
        ("docker version --format '{{.Server.Version}}'", "28.3.3\n"),
        ("cat /proc/driver/nvidia/version", "aarch64  580.142  Release Build"),
        ("cat /proc/swaps", "/swap.img                               file\t\t16777212\t0\t\t-2\n"),
        ("lspci -nn", "0002:01:00.1 Ethernet controller [0200]: Mellanox Technologies MT2910 Family [Conn"),
        ("cat /sys/bus/pci/devices/0002:01:00.0/current_link_width", "4\n"),
        ("nvidia-smi -q", "Addressing Mode                       : ATS\n"),
        ("journalctl -k --no-pager", "NVRM: loading NVIDIA UNIX Open Kernel Module for aarch64  580.142\n"),
        ("cat /opt/nvidia/dgx-dashboard-service/jupyterlab_ports.yaml", "jupyterlab_port: 11002\n"),
        ("curl -s http://127.0.0.1:11000/", "DGX Dashboard (simulated)"),
        ("curl -s http://127.0.0.1:11002/lab", "JupyterLab (simulated)"),
    ],
)  # fmt: skip
async def test_a_healthy_node_answers_as_captured(cluster: Simulator, command: str, words: str) -> None:
    code, text, errors = await run(cluster, command)
    assert (code, words in text) == (0, True), text + errors


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("apt list --nope", 100, "E: Command line option --nope is not understood"),
        ("apt-get nope", 100, "E: Invalid operation nope"),
        ("apt-get install -y nope", 100, "E: Unable to locate package nope"),
        ("apt-get upgrade", 100, "are you root?"),
        ("apt-get clean", 100, "Unable to lock directory /var/cache/apt/archives/"),
        ("docker image prune < /dev/null", 1, "image prune has been cancelled"),
        ("docker image prune --force --filter until=24h", 1, "an image prune with a filter is not simulated"),
        ("dpkg-query -W nope", 1, "dpkg-query: no packages found matching nope"),
        ("dpkg-query --nope", 2, "dpkg-query: error: unknown option --nope"),
        ("id --nope", 1, "id: invalid option -- '-'"),
        ("id nope", 1, "'nope': no such user"),
        ("timedatectl set-time 12:00", 1, "is not simulated"),
        ("timedatectl set-ntp true", 1, "Interactive authentication required"),
        ("date -s 12:00", 1, "Operation not permitted"),
        ("systemctl --nope", 1, "unrecognized option '--nope'"),
        ("systemctl is-active nope", 3, "inactive"),
        ("systemctl poweroff", 1, "Interactive authentication required"),
        ("shutdown +5", 1, "only 'now' and '+0' are simulated"),
        ("dmesg", 1, "Operation not permitted"),
        ("ping -c 1 10.99.0.1", 2, "Network is unreachable"),
        ("ip neigh add x", 2, "Operation not permitted"),
        ("ip neigh show dev nope0", 1, 'Cannot find device "nope0"'),
        ("lspci --nope", 1, "invalid option"),
        ("fwupdmgr update", 1, "is not simulated"),
        ("ollama nope", 1, 'unknown command "nope"'),
        ("cat /sys/class/dmi/id/product_serial", 1, "Permission denied"),
        ("nvidia-ctk runtime configure --runtime=docker", 1, "unable to open /etc/docker/daemon.json for writing"),
    ],
)
async def test_what_is_wrong_or_not_allowed_is_refused(cluster: Simulator, command: str, code: int, words: str) -> None:
    found, text, errors = await run(cluster, command)
    assert (found, words in text + errors) == (code, True), text + errors


async def test_firmware_is_told_as_json(cluster: Simulator) -> None:
    _code, text, _errors = await run(cluster, "fwupdmgr get-devices --json")
    names = [device["Name"] for device in json.loads(text)["Devices"]]
    assert {"UEFI Device Firmware", "Embedded Controller"} <= set(names)


async def test_a_node_sees_its_neighbour_by_its_link_local_address(cluster: Simulator) -> None:
    command = "ping -6 -n -c 2 -w 2 -I enp1s0f1np1 ff02::1; ip -6 neigh show dev enp1s0f1np1"
    _code, text, _errors = await run(cluster, command)
    address = gb10.link_local(2, 4)
    assert f"64 bytes from {address}%enp1s0f1np1: icmp_seq=1" in text
    assert f"{address} lladdr {gb10.hardware_address(2, 4)} " in text
    _code, text, _errors = await run(cluster, "ip -br addr show dev enp1s0f1np1", index=1)
    assert f"{address}/64" in text


@pytest.mark.parametrize(
    "host", ["spark-bd26", "192.168.10.12", "192.168.100.2", gb10.link_local(2, 4) + "%enp1s0f1np1"]
)
async def test_a_neighbour_is_reached_through_a_node(cluster: Simulator, host: str) -> None:
    async with cluster.connect(0) as first:
        reader, writer = await first.open_connection(host, 22, encoding=None)
        assert (await reader.readline()).startswith(b"SSH-2.0-")
        writer.close()
        node = cluster.node(1)
        known = trust(node["host_key"])
        key = str(cluster.state / "client_ed25519")
        way = asyncssh.connect(
            host, 22, tunnel=first, username="nvidia", client_keys=[key], known_hosts=known, config=[]
        )
        async with way as second:
            assert (await second.run("hostname", check=True)).stdout == "spark-bd26\n"


async def test_each_maker_has_its_own_strings(start: StartSimulator) -> None:
    makers = list(VENDORS)
    words = [word for at, name in enumerate(makers, start=1) for word in ("--vendor", f"{name}:{identity.name_of(at)}")]
    with start("--nodes", str(len(makers)), *words) as simulator:
        for at, name in enumerate(makers):
            read = (
                "cd /sys/class/dmi/id; cat sys_vendor product_name product_family; grep DGX_PLATFORM /etc/dgx-release"
            )
            _code, text, _errors = await run(simulator, read, index=at)
            vendor = VENDORS[name]
            platform = f'DGX_PLATFORM="{vendor.platform}"'
            assert text.splitlines() == [vendor.sys_vendor, vendor.product_name, "DGX Spark", platform]


def test_every_node_has_a_name_of_its_own() -> None:
    names = [identity.name_of(index) for index in range(1, identity.MAX_NODES + 1)]
    assert len(set(names)) == identity.MAX_NODES
    assert names[:4] == list(identity.NODE_NAMES)
