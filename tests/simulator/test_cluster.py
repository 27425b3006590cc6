"""What a cluster of simulated Sparks says of itself, and that it is what its nodes say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import asyncssh
import pytest

from tests.simulator.conftest import Simulator, StartSimulator


def test_the_line_names_every_node_with_its_own_address_and_key(cluster: Simulator) -> None:
    line = cluster.line
    assert (line["schema"], line["name"], line["shape"], line["confined"]) == (1, "simulated-2", "switch", True)
    assert [node["name"] for node in line["nodes"]] == ["spark-5c2d", "spark-bd26"]
    assert [node["address"] for node in line["nodes"]] == ["127.77.0.1", "127.77.0.2"]
    assert len({node["host_key"] for node in line["nodes"]}) == 2


async def test_each_node_proves_itself_with_its_own_host_key(cluster: Simulator) -> None:
    for index in range(2):
        async with cluster.connect(index) as connection:
            assert (await connection.run("hostname", check=True)).stdout == f"{cluster.node(index)['name']}\n"
    other = asyncssh.import_public_key(cluster.node(1)["host_key"])
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await cluster.connect(0, known_hosts=([other], [], []))


async def test_only_the_right_key_and_the_right_user_get_in(cluster: Simulator) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await cluster.connect(0, client_keys=[stranger])
    with pytest.raises(asyncssh.PermissionDenied):
        await cluster.connect(0, username="root")
    with pytest.raises(asyncssh.PermissionDenied):
        await cluster.connect(0, client_keys=None, password="nvidia", preferred_auth="password")


async def test_a_node_says_that_it_is_a_spark(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        facts = (
            "cat /etc/dgx-release; uname -rm; cat /sys/class/dmi/id/product_family; grep -c ^processor /proc/cpuinfo"
        )
        text = (await connection.run(facts, check=True)).stdout
        assert 'DGX_NAME="DGX Spark"' in text
        assert 'DGX_OTA_VERSION="7.5.0"' in text
        assert "6.17.0-1014-nvidia aarch64\nDGX Spark\n20\n" in text
        memory = (await connection.run("cat /proc/meminfo", check=True)).stdout
        assert "MemTotal:       127535084 kB" in memory


async def test_one_cage_is_cabled_and_the_other_is_not(cluster: Simulator) -> None:
    async with cluster.connect(1) as connection:
        text = (
            await connection.run("cd /sys/class/infiniband && grep . */ports/1/state */ports/1/rate", check=True)
        ).stdout
        assert text.count("4: ACTIVE") == 2
        assert text.count("1: DOWN") == 2
        assert "rocep1s0f1/ports/1/rate:200 Gb/sec (2X NDR)" in text
        addresses = (await connection.run("ip -br addr", check=True)).stdout
        assert "192.168.100.2/24" in addresses
        assert "192.168.101.2/24" in addresses


async def test_a_restart_is_the_same_nodes_on_the_same_ports_but_another_boot(start: StartSimulator) -> None:
    seen = []
    for _round in range(2):
        with start("--nodes", "1") as simulator:
            async with simulator.connect() as connection:
                ids = await connection.run("cat /etc/machine-id; nvidia-smi -L; cat ~/kept; echo x >> ~/kept")
                boot = await connection.run("cat /proc/sys/kernel/random/boot_id", check=True)
            seen.append((simulator.node(0), ids.stdout, boot.stdout))
    assert seen[0][0] == seen[1][0]
    assert seen[1][1] == seen[0][1] + "x\n"
    assert seen[0][2] != seen[1][2]


def test_a_second_simulator_on_the_same_state_is_refused(start: StartSimulator) -> None:
    with start("--nodes", "1") as simulator:
        result = subprocess.run(simulator.process.args, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        assert result.returncode == 1
        assert b"another simulator uses" in result.stderr


def test_it_ends_when_its_input_ends(start: StartSimulator) -> None:
    with start("--nodes", "1", "--until-eof") as simulator:
        simulator.process.stdin.close()
        assert simulator.process.wait(timeout=30) == 0


async def test_given_public_keys_are_the_only_way_in(start: StartSimulator, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    file = tmp_path / "keys.pub"
    file.write_bytes(key.export_public_key())
    with start("--nodes", "1", "--authorized-keys", str(file)) as simulator:
        assert not (simulator.state / "client_ed25519").exists()
        async with simulator.connect(client_keys=[key]) as connection:
            assert (await connection.run("id -un", check=True)).stdout == "nvidia\n"
