"""Nothing that happens on a simulated node reaches the computer it runs on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.simulator.conftest import TINY_MODEL, Simulator, StartSimulator, ask, llama


def digest_of_etc() -> str:
    """One sum over names, sizes, times and modes of everything in this computer's /etc."""
    total = hashlib.sha256()
    for path in sorted(Path("/etc").rglob("*")):
        info = path.lstat()
        total.update(f"{path} {info.st_size} {info.st_mtime_ns} {info.st_mode}\n".encode())
    return total.hexdigest()


def descendants(pid: int) -> set[int]:
    """The processes below this one."""
    found, todo = set(), [pid]
    while todo:
        parent = todo.pop()
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            for child in map(int, children.read_text().split()):
                if child not in found:
                    found.add(child)
                    todo.append(child)
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_this_computers_etc_and_home_stay_as_they_are(cluster: Simulator, tmp_path: Path) -> None:
    before = digest_of_etc()
    async with cluster.connect() as connection:
        script = "echo mine > ~/a; echo b > /tmp/sim_b; touch /etc/sim_c /usr/bin/sim_c 2>/dev/null; cat ~/a"
        assert (await connection.run(script)).stdout == "mine\n"
    assert digest_of_etc() == before
    assert not Path("/tmp/sim_b").exists()
    assert not Path("/usr/bin/sim_c").exists()
    assert (cluster.state / "nodes/spark-5c2d/root/home/nvidia/a").read_text() == "mine\n"


async def test_files_of_this_computers_people_do_not_exist_in_a_node(cluster: Simulator, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    async with cluster.connect() as connection:
        for path in (secret, Path.cwd(), cluster.state, Path(os.path.expanduser("~"))):
            assert (await connection.run(f"cat '{path}'/* '{path}' 2>/dev/null")).stdout == ""
        assert (await connection.run("ls /home", check=True)).stdout == "nvidia\n"


async def test_only_named_folders_of_this_computer_are_shown_and_read_only(cluster: Simulator) -> None:
    shown = ("/usr", "/state/program", sys.base_prefix, "/xllamacpp", ".gguf")
    own = "/state/nodes/spark-5c2d/root/"
    async with cluster.connect() as connection:
        mounts = str((await connection.run("cat /proc/self/mountinfo", check=True)).stdout).splitlines()
    for mount in mounts:
        fields = mount.split()
        source, place, options, kind = fields[3], fields[4], fields[5], fields[fields.index("-") + 1]
        if kind in ("tmpfs", "proc", "devpts", "devtmpfs") or own in source:
            continue
        assert any(word in source for word in shown), f"{source} is shown at {place}"
        assert options.startswith("ro"), f"{place} can be written"


async def test_a_node_sees_only_its_own_processes_and_its_own_loopback(cluster: Simulator) -> None:
    async with cluster.connect(0) as first, cluster.connect(1) as second:
        names = (await first.run("cat /proc/[0-9]*/comm", check=True)).stdout.split()
        assert len(names) < 12
        server = "import socket,time; s=socket.create_server(('127.0.0.1',4999)); print(1,flush=True); time.sleep(60)"
        serve = f'python3 -c "{server}"'
        process = await first.create_process(serve)
        await process.stdout.readline()
        ask = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\",4999),2)'"
        assert (await first.run(ask)).exit_status == 0
        assert (await second.run(ask)).exit_status == 1
        process.kill()


async def test_killing_the_simulator_leaves_no_process(start: StartSimulator) -> None:
    with start("--nodes", "2") as simulator:
        async with simulator.connect() as connection:
            await connection.run("setsid -f sleep 300 >&- 2>&-; setsid -f sleep 301 >&- 2>&-", check=True)
            below = descendants(simulator.process.pid)
            assert len(below) >= 6
            os.kill(simulator.process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 15
        while (left := [pid for pid in below if is_alive(pid)]) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert left == []


async def test_without_namespaces_commands_are_read_only_and_sudo_always_refuses(start: StartSimulator) -> None:
    if not Path("/sys/kernel/security").exists() and os.uname().release < "5.13":
        pytest.skip("this kernel has no Landlock")
    if os.geteuid() == 0:
        pytest.skip("root's own test is in test_privilege.py")
    with start("--nodes", "1", "--unconfined", "--model", str(TINY_MODEL)) as simulator:
        assert simulator.line["confined"] is False
        assert simulator.line["reason"]
        async with simulator.connect() as connection:
            for command in ("sudo -n true", "echo x | sudo -S true", "sudo true"):
                result = await connection.run(command)
                assert result.exit_status == 1
                assert "not confined" in result.stderr
            outside = simulator.state / "outside"
            assert (await connection.run(f"echo x > {outside}")).exit_status != 0
            assert not outside.exists()
            (simulator.state / "secret").write_text("not yours")
            assert (await connection.run(f"cat {simulator.state}/secret")).stdout == ""
            inside = await connection.run("echo x > ~/inside && cat $SPARKDESK_ROOT/etc/dgx-release", check=True)
            assert 'DGX_NAME="DGX Spark"' in inside.stdout
            assert (await connection.run("hostname", check=True)).stdout == "spark-5c2d\n"
            async with llama(connection, 8099):
                question = {"messages": [{"role": "user", "content": "ping"}], "temperature": 0}
                _status, body = await ask(connection, 8099, "/v1/chat/completions", question)
                assert json.loads(body)["choices"][0]["message"]["content"] == "pong"
            below = descendants(simulator.process.pid)
            await connection.run("setsid -f sleep 300 >&- 2>&-", check=True)
            below |= descendants(simulator.process.pid)
        simulator.process.terminate()
        simulator.process.wait(timeout=30)
        assert [pid for pid in below if is_alive(pid)] == []
