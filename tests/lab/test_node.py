"""A lab node behaves as a machine does: sudo asks, cables join what they join, a restart is a new boot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sparkdesk.core.command import Command
from sparkdesk.infra.ssh import SshConnector
from tests.lab.lab import CAGE_PORTS, PASSWORD, Cable, Lab

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes with a cable from cage 1 to cage 1."""
    with Lab(2, tmp_path_factory.mktemp("pair"), marker="pair", cables=(Cable(0, 1, 1, 1),)) as lab:
        yield lab


async def test_the_password_opens_ssh_and_sudo(pair: Lab) -> None:
    with pair.workstation():
        session = await SshConnector().connect(pair.nodes[0].record())
        refused = await session.run(Command(("sudo", "-n", "id", "-u")), timeout_s=30)
        asked = await session.run(
            Command(("sudo", "-S", "-p", "", "id", "-u")), stdin=f"{PASSWORD}\n".encode(), timeout_s=30
        )
        await session.close()
    assert not refused.is_ok
    assert asked.text.strip() == "0"


def test_a_cable_joins_both_halves_of_two_cages_and_nothing_else(pair: Lab) -> None:
    first, second = pair.nodes
    port = CAGE_PORTS[1][0]
    said = first.run("sh", "-c", f"ping -6 -n -c3 -w4 -I {port} ff02::1 || true; ip -6 neigh show dev {port}")
    assert "4c:bb:47:01:01:20" in said
    assert (first.root / f"sys/class/net/{port}/carrier").read_text().strip() == "1"
    second.set_cable(1, False)
    assert first.run("cat", f"/sys/class/net/{port}/carrier").strip() == "1", "the far end alone was pulled"
    first.set_cable(1, False)
    assert first.run("cat", f"/sys/class/net/{port}/carrier").strip() == "0"


def test_a_restart_is_a_new_boot_and_keeps_its_files(pair: Lab) -> None:
    node = pair.nodes[0]
    before = node.boot_id
    node.run("touch", "/home/nvidia/kept")
    node.restart(0.1)
    assert node.boot_id != before
    assert node.run("cat", "/proc/sys/kernel/random/boot_id").strip() == node.boot_id
    assert node.run("ls", "/home/nvidia").split() == ["kept"]


def test_a_swapped_host_key_can_be_swapped_back(pair: Lab) -> None:
    node = pair.nodes[1]
    before = node.host_key
    node.swap_host_key()
    node.swap_host_key()
    assert node.host_key != before
    node.restore_host_key()
    assert node.host_key == before


def test_a_full_home_takes_no_byte_until_it_is_freed(pair: Lab) -> None:
    node = pair.nodes[1]
    write = ("sh", "-c", "echo word > /home/nvidia/word && cat /home/nvidia/word || true")
    node.fill_home()
    assert node.run(*write) == ""
    node.free_home()
    assert node.run(*write) == "word\n"


async def test_a_frozen_server_answers_again_when_it_is_thawed(pair: Lab) -> None:
    node = pair.nodes[1]
    with pair.workstation():
        session = await SshConnector().connect(node.record())
        node.freeze_sshd()
        frozen = await session.run(Command(("true",)), timeout_s=1)
        node.thaw_sshd()
        thawed = await session.run(Command(("true",)), timeout_s=30)
        await session.close()
    assert not frozen.is_ok
    assert thawed.is_ok


async def test_an_option_of_sshd_can_be_set_and_taken_back(pair: Lab) -> None:
    node = pair.nodes[1]
    node.set_sshd_options("PubkeyAuthentication no")
    assert "pubkeyauthentication no" in node.run("/usr/sbin/sshd", "-T").splitlines()
    node.set_sshd_options()
    assert "pubkeyauthentication yes" in node.run("/usr/sbin/sshd", "-T").splitlines()
