"""A box as it comes: nobody is in the group docker, and nodes sign in to each other by keys that they made."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.simulator.conftest import Simulator
from tests.simulator.test_bringup_network import as_root, ask, boxes

__all__ = ["boxes"]
MAKE = "mkdir -p -m 700 ~/.ssh; test -f ~/.ssh/k || ssh-keygen -q -t ed25519 -N '' -C x -f ~/.ssh/k; cat ~/.ssh/k.pub"


async def test_a_group_counts_from_the_next_sign_in_on(boxes: Simulator) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user gives a node one id and no groups: its docker goes by the file alone")
    async with boxes.connect() as connection:
        assert "docker" not in str((await connection.run("id -nG", check=True)).stdout)
        await as_root(boxes, "usermod -aG docker nvidia")
        assert "permission denied" in str((await connection.run("docker ps")).stderr)
    code, text = await ask(boxes, "id -nG; docker ps")
    assert (code, "docker" in text.split(), "CONTAINER ID" in text) == (0, True, True)
    await as_root(boxes, "gpasswd -d nvidia docker")
    assert "permission denied" in (await ask(boxes, "docker ps"))[1]


async def test_a_node_signs_in_to_its_peer_by_its_own_key_over_the_management_port(boxes: Simulator) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("this computer has no OpenSSH, so its nodes have none")
    sign_in = "ssh -o BatchMode=yes -i ~/.ssh/k 192.168.10.12 'hostname; echo $SSH_CONNECTION'"
    known = f"echo '192.168.10.12 {boxes.node(1)['host_key']}' > ~/.ssh/known_hosts"
    public = (await ask(boxes, MAKE))[1].strip()
    code, text = await ask(boxes, f"{known}; {sign_in}")
    assert (code, "Permission denied (publickey" in text) == (255, True), text
    await ask(boxes, f"umask 077; mkdir -p ~/.ssh; echo '{public}' >> ~/.ssh/authorized_keys", 1)
    code, text = await ask(boxes, sign_in)
    host, connection = text.splitlines()
    assert (code, host, connection.split()[0], connection.split()[2:]) == (
        0, "spark-bd26", "192.168.10.11", ["192.168.10.12", "22"]
    )  # fmt: skip
    await ask(boxes, "chmod go+w ~/.ssh/authorized_keys", 1)
    assert (await ask(boxes, sign_in))[0] == 255
    await ask(boxes, "rm ~/.ssh/authorized_keys", 1)


async def test_a_peer_with_another_host_key_is_refused(boxes: Simulator) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("this computer has no OpenSSH, so its nodes have none")
    wrong = f"mkdir -p ~/.ssh; echo '192.168.10.12 {boxes.node(0)['host_key']}' > ~/.ssh/known_hosts"
    code, text = await ask(
        boxes, f"{wrong}; ssh -o BatchMode=yes 192.168.10.12 true; a=$?; rm ~/.ssh/known_hosts; exit $a"
    )
    assert (code, "Host key verification failed" in text) == (255, True)


async def test_a_package_brings_its_programs_and_its_service_and_takes_them_along(boxes: Simulator) -> None:
    look = "command -v earlyoom; dpkg-query -W -f '${Package} ' perftest earlyoom; systemctl is-active earlyoom"
    assert "inactive" in (await ask(boxes, look))[1]
    assert (await ask(boxes, "command -v ib_write_bw"))[0] != 0
    assert (await ask(boxes, "apt-get install -y perftest"))[0] == 100
    text = await as_root(boxes, "apt-get update && apt-get install -y perftest earlyoom")
    assert ("Setting up perftest" in text, "2 newly installed" in text) == (True, True)
    code, text = await ask(boxes, look)
    assert (code, text.split()[-3:]) == (0, ["perftest", "earlyoom", "active"]), text
    await as_root(boxes, "systemctl disable --now earlyoom")
    assert await ask(boxes, "systemctl is-active earlyoom; systemctl is-enabled earlyoom") == (
        1,
        "inactive\ndisabled\n",
    )
    await as_root(boxes, "apt-get remove -y perftest earlyoom")
    assert (await ask(boxes, "command -v ib_write_bw || command -v earlyoom"))[0] != 0
    assert (await ask(boxes, "systemctl is-enabled earlyoom"))[1] == "not-found\n"
