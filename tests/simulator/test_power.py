"""A node that restarts or is shut down: its lines drop, it is another boot, its files stay."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import asyncssh

from sparkdesk.simulator.power import is_magic
from tests.simulator.conftest import Simulator, StartSimulator

LOOK = "cat /proc/sys/kernel/random/boot_id; cut -d. -f1 /proc/uptime; cat ~/kept; pgrep -c sleep"


async def until_back(simulator: Simulator) -> Any:
    """A connection, as soon as there is one."""
    end_s = time.monotonic() + 40
    while True:
        try:
            return await simulator.connect(connect_timeout=2, login_timeout=5)
        except (OSError, asyncssh.Error, TimeoutError):
            assert time.monotonic() < end_s
            await asyncio.sleep(0.1)


async def test_a_reboot_drops_the_line_and_comes_back_as_another_boot(start: StartSimulator) -> None:
    with start("--nodes", "1", "--boot-seconds", "1") as simulator:
        word = (simulator.state / "password").read_text()
        async with simulator.connect() as connection:
            await connection.run("echo mine > ~/kept; setsid -f sleep 500 >&- 2>&-", check=True)
            await connection.run("until pgrep -x sleep; do :; done", check=True, timeout=30)
            before = str((await connection.run(LOOK, check=True)).stdout).split()
            plain = await connection.run("systemctl reboot")
            assert (plain.exit_status, "authentication required" in str(plain.stderr)) == (1, True)
            await connection.run("sleep 2", check=True)
            done = await connection.run("sudo -S -p '' systemctl reboot", input=word)
            assert done.exit_status == 0
            await asyncio.wait_for(connection.wait_closed(), 10)
        async with await until_back(simulator) as connection:
            after = str((await connection.run(LOOK)).stdout).split()
        assert before[2:] == ["mine", "1"]
        assert after[2:] == ["mine", "0"]
        assert before[0] != after[0]
        assert int(after[1]) <= int(before[1]) + 2


async def test_a_node_that_was_shut_down_stays_away_until_it_is_waked(start: StartSimulator) -> None:
    with start("--nodes", "1", "--boot-seconds", "0") as simulator:
        word = (simulator.state / "password").read_text()
        async with simulator.connect() as connection:
            await connection.run("sudo -S -p '' shutdown -h now", input=word, check=True)
            await asyncio.wait_for(connection.wait_closed(), 10)
        await asyncio.sleep(1)
        try:
            await simulator.connect(connect_timeout=2, login_timeout=2)
        except (OSError, asyncssh.Error, TimeoutError):
            pass
        else:
            raise AssertionError("it answers")
        assert json.loads(simulator.control("on", "wake", "spark-5c2d").stdout)["ok"] is True
        async with await until_back(simulator) as connection:
            assert (await connection.run("hostname", check=True)).stdout == "spark-5c2d\n"
        again = json.loads(simulator.control("on", "wake", "spark-5c2d").stdout)
        assert (again["ok"], again["error"]) == (False, "spark-5c2d is not switched off")


async def test_actions_of_control_restart_a_node(start: StartSimulator) -> None:
    with start("--nodes", "1", "--boot-seconds", "0") as simulator:
        async with simulator.connect() as connection:
            assert json.loads(simulator.control("on", "reboot", "spark-5c2d").stdout)["ok"] is True
            await asyncio.wait_for(connection.wait_closed(), 10)
        async with await until_back(simulator):
            pass
        assert json.loads(simulator.control("off", "reboot", "spark-5c2d").stdout)["ok"] is False


def test_only_a_magic_packet_for_its_own_mac_wakes_a_node() -> None:
    mac = "4c:bb:47:77:01:01"
    good = b"\xff" * 6 + bytes.fromhex("4cbb47770101") * 16
    assert is_magic(good, mac)
    assert is_magic(b"before" + good + b"after", mac)
    assert not is_magic(good[:-1], mac)
    assert not is_magic(b"\xff" * 6 + bytes.fromhex("4cbb47770201") * 16, mac)
