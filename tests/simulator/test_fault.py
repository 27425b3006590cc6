"""Faults by name, from the start and at run time."""

from __future__ import annotations

import asyncio
import functools
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable

import asyncssh
import pytest

from sparkdesk.core.probes.doctor_system import judge_disk
from sparkdesk.core.probes.read import ReadDisk
from sparkdesk.core.step import Run
from sparkdesk.simulator.fault import ACTIONS, FAULTS
from tests.core.probes.spark_answers import Spark
from tests.simulator.conftest import PROJECT, Simulator, StartSimulator, trust


async def read_on(process: asyncssh.SSHClientProcess[str]) -> None:
    """Read what was under way; raises TimeoutError when nothing comes for a second."""
    while True:
        await asyncio.wait_for(process.stdout.readline(), 1.0)


async def test_a_node_that_is_gone_answers_nothing_and_comes_back(start: StartSimulator) -> None:
    with start("--nodes", "2") as simulator:
        async with simulator.connect(0) as held:
            process = await held.create_process("while :; do echo tick; sleep 0.05; done")
            await process.stdout.readline()
            assert json.loads(simulator.control("on", "node-gone", "spark-5c2d").stdout)["ok"] is True
            with pytest.raises(TimeoutError):
                await read_on(process)
            with pytest.raises((TimeoutError, OSError, asyncssh.Error)):
                await simulator.connect(0, connect_timeout=1.5, login_timeout=1.5)
            async with simulator.connect(1) as other:
                assert (await other.run("hostname", check=True)).stdout == "spark-bd26\n"
            simulator.control("off", "node-gone", "spark-5c2d")
            assert await asyncio.wait_for(process.stdout.readline(), 10) == "tick\n"
            async with simulator.connect(0) as again:
                assert (await again.run("hostname", check=True)).stdout == "spark-5c2d\n"
            process.close()


async def test_keepalive_finds_a_node_that_is_gone(start: StartSimulator) -> None:
    with start("--nodes", "1") as simulator:
        connection = await simulator.connect(0, keepalive_interval=0.3, keepalive_count_max=2)
        simulator.control("on", "node-gone", "spark-5c2d")
        await asyncio.wait_for(connection.wait_closed(), 15)


async def test_a_changed_host_key_is_another_key_and_the_old_one_is_kept(start: StartSimulator) -> None:
    with start("--nodes", "2") as simulator:
        first = simulator.node(0)["host_key"]
        reply = json.loads(simulator.control("on", "host-key-changed", "spark-5c2d").stdout)
        assert reply["host_key"] != first
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            await simulator.connect(0)
        changed = asyncssh.import_public_key(reply["host_key"])
        async with simulator.connect(0, known_hosts=([changed], [], [])) as connection:
            assert (await connection.run("hostname", check=True)).stdout == "spark-5c2d\n"
        simulator.control("off", "host-key-changed", "spark-5c2d")
        async with simulator.connect(0):
            pass
    with start("--nodes", "2", "--fault", "host-key-changed:spark-bd26") as simulator:
        assert simulator.node(0)["host_key"] == first
        assert simulator.node(1)["host_key"] != reply["host_key"]


def test_a_fault_or_node_of_another_name_is_refused(start: StartSimulator) -> None:
    with start("--nodes", "1") as simulator:
        for fault, node in (("node-lost", "spark-5c2d"), ("node-gone", "spark-0000")):
            result = simulator.control("on", fault, node)
            assert result.returncode == 1
            assert json.loads(result.stdout)["ok"] is False
    assert simulator.control("on", "node-gone", "spark-5c2d").returncode == 1


LOAD = 'python3 -c \'import json,os,time; p=os.getpid(); \
open(f"/run/sparkdesk-sim/loads/{p}.json","w").write(json.dumps(dict(pid=p,name="x",started_s=0)));\n\
while True: sum(range(9999))\''


@pytest.mark.parametrize(
    ("fault", "command", "words"),
    [
        ("disk-full", "df -h /", " 100% /"),
        ("disk-full", "python3 -I -S -c 'import os; print(os.statvfs(\"/\").f_bavail)'", "0\n"),
        ("memory-pressure", "grep MemAvailable /proc/meminfo", "MemAvailable:    1048576 kB"),
        ("memory-pressure", "cat /proc/pressure/memory", "some avg10=72.00"),
        ("swap-on", "grep SwapFree /proc/meminfo", "10485756 kB"),
        ("clock-skew", "timedatectl show -p NTPSynchronized", "NTPSynchronized=no"),
        ("pcie-width", "cat /sys/bus/pci/devices/0002:01:00.1/current_link_width", "2\n"),
        ("link-down", "cat /sys/class/net/enp1s0f1np1/carrier; ip -br link show dev enp1s0f1np1", "0\n"),
        ("no-docker-group", "id -nG; docker ps 2>&1", "nvidia adm sudo\npermission denied while trying to connect"),
        ("docker-down", "docker ps 2>&1; systemctl is-active docker", "Is the docker daemon running?\ninactive\n"),
        ("no-toolkit", "docker run --gpus all nvcr.io/nvidia/vllm:26.05-py3 2>&1", "could not select device driver"),
        ("driver-other", "nvidia-smi --query-gpu=driver_version --format=csv,noheader; cat /proc/driver/nvidia/version",
         "590.44.01\nNVRM version: NVIDIA UNIX Open Kernel Module for aarch64  590.44.01"),
        ("reboot-required", "cat /run/reboot-required", "System restart required"),
        ("failed-unit", "systemctl --failed --plain --no-legend", "fwupd-refresh.service loaded failed failed"),
    ],
)  # fmt: skip
async def test_a_fault_is_seen_and_goes_away(cluster: Simulator, fault: str, command: str, words: str) -> None:
    async with cluster.connect(1) as connection:
        healthy = await read_until(connection, command, lambda text: words not in text)
        cluster.control("on", fault, "spark-bd26")
        try:
            await read_until(connection, command, lambda text: words in text)
        finally:
            cluster.control("off", fault, "spark-bd26")
        text = await read_until(connection, command, lambda text: words not in text)
        assert text.split() == healthy.split() or fault in ("disk-full", "no-toolkit", "memory-pressure")


GROW = (
    'python3 -u -c \'import time\nwith open("grown", "wb", 0) as file:\n while True:\n  time.sleep(0.05)\n'
    '  try: file.write(b"x"); print("grew")\n  except OSError as error: print(error.strerror)\''
)


async def test_on_a_full_disk_no_file_grows_also_of_what_runs_already_until_there_is_room(cluster: Simulator) -> None:
    async with cluster.connect(1) as connection:
        process = await connection.create_process(GROW)
        try:
            await read_line_of(process, "grew")
            cluster.control("on", "disk-full", "spark-bd26")
            await read_line_of(process, "File too large")
            done = await connection.run("echo words > kept; docker images; rm -f grown; ls")
            assert "File too large" in str(done.stderr)
            assert "REPOSITORY" in str(done.stdout), "what stands for a daemon goes on"
            assert "grown" not in str(done.stdout), "room can be made"
            cluster.control("off", "disk-full", "spark-bd26")
            await read_line_of(process, "grew")
        finally:
            cluster.control("off", "disk-full", "spark-bd26")
            process.close()


async def read_line_of(process: asyncssh.SSHClientProcess[str], words: str) -> None:
    """Read on until it prints this."""
    async with asyncio.timeout(90):
        while words not in await process.stdout.readline():
            pass


async def read_until(connection: asyncssh.SSHClientConnection, command: str, is_right: Callable[[str], bool]) -> str:
    """The first right output of a command: the files of a node move twice a second."""
    text = ""
    try:
        async with asyncio.timeout(90):
            while True:
                text = str((await connection.run(command)).stdout)
                if is_right(text):
                    return text
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{command!r} still says {text!r}")


async def test_only_the_nodes_reported_time_is_skewed(cluster: Simulator) -> None:
    cluster.control("on", "clock-skew", "spark-bd26")
    try:
        async with cluster.connect(1) as connection:
            before_s = time.time()
            script = "python3 -I -S -u -c 'import time; print(time.time())'; date +%s; date -u -d @0 +%Y"
            rows = str((await connection.run(script, check=True)).stdout).split()
    finally:
        cluster.control("off", "clock-skew", "spark-bd26")
    assert all(int(before_s) + 600 <= float(row) <= time.time() + 600 for row in rows[:2])
    assert rows[2] == "1970"


@pytest.mark.parametrize(
    ("fault", "repair", "undo", "look", "healthy", "faulty"),
    [
        ("docker-down", "systemctl start docker", "systemctl stop docker",
         "systemctl is-active docker", "active\n", "inactive\n"),
        ("no-docker-group", "usermod -aG docker nvidia", "gpasswd -d nvidia docker",
         "id -nG", "nvidia adm sudo docker\n", "nvidia adm sudo\n"),
        ("no-toolkit", "apt-get install -y nvidia-container-toolkit", "apt-get remove -y nvidia-container-toolkit",
         "nvidia-ctk --version | head -c 24", "NVIDIA Container Toolkit", ""),
        ("clock-skew", "timedatectl set-ntp true", "timedatectl set-ntp false",
         "timedatectl show -p NTP --value", "yes\n", "no\n"),
    ],
)  # fmt: skip
async def test_root_repairs_what_a_doctor_finds_and_takes_it_back(
    cluster: Simulator, fault: str, repair: str, undo: str, look: str, healthy: str, faulty: str
) -> None:
    word = (cluster.state / "password").read_text()
    cluster.control("on", fault, "spark-bd26")
    try:
        for command, words in ((repair, healthy), (undo, faulty)):
            async with cluster.connect(1) as connection:
                done = await connection.run(f"sudo -S -p '' {command}", input=word)
                assert done.exit_status == 0, done.stderr
            async with cluster.connect(1) as connection:
                assert (await connection.run(look)).stdout == words
    finally:
        cluster.control("off", fault, "spark-bd26")


async def test_root_empties_what_a_full_disk_can_do_without(cluster: Simulator) -> None:
    word = (cluster.state / "password").read_text()
    spark = Spark()
    spark.disk = (4e12, 5e9)
    fix = judge_disk(spark.answers((ReadDisk("/"),)), "n").fix
    assert fix is not None
    (step,) = fix.steps()
    async with cluster.connect(1) as connection:
        for action in step.apply:
            assert isinstance(action, Run)
            done = await connection.run(f"sudo -S -p '' {shlex.join(action.command.argv)}", input=word)
            assert done.exit_status == 0, done.stderr
        assert done.stdout == "Total reclaimed space: 0B\n"
        assert (await connection.run("docker images --quiet", check=True)).stdout, "what has a name stays"


async def test_the_container_runtime_is_named_beside_what_stands_in_dockers_configuration(cluster: Simulator) -> None:
    word = (cluster.state / "password").read_text()
    script = """sudo -S -p '' sh -c 'echo {\\"data-root\\":\\"/srv\\"} > /etc/docker/daemon.json
    nvidia-ctk runtime configure --runtime=docker'; cat /etc/docker/daemon.json"""
    async with cluster.connect(1) as connection:
        kept = await connection.run("cat /etc/docker/daemon.json", check=True)
        done = await connection.run(script, input=word, check=True)
        path = "/etc/docker/daemon.json"
        await connection.run(f"cat > /tmp/d; echo {word.strip()} | sudo -S cp /tmp/d {path}", input=kept.stdout)
        assert (await connection.run(f"cat {path}", check=True)).stdout == kept.stdout
    setting = json.loads(str(done.stdout))
    assert setting["data-root"] == "/srv"
    assert setting["runtimes"]["nvidia"]["path"] == "nvidia-container-runtime"


async def test_the_slow_state_and_the_power_cap_hold_the_clock_down(cluster: Simulator) -> None:
    read = (
        "nvidia-smi --query-gpu=clocks.sm,utilization.gpu --format=csv,noheader,nounits; nvidia-smi -q -d PERFORMANCE"
    )
    text = ""
    async with cluster.connect(1) as connection:
        process = await connection.create_process(LOAD)
        try:
            for fault, low, high in (("slow-state", 450, 960), ("power-capped", 1000, 1600)):
                cluster.control("on", fault, "spark-bd26")
                try:
                    text = await read_until(connection, read, functools.partial(is_held, low, high))
                finally:
                    cluster.control("off", fault, "spark-bd26")
            counted = int(text.partition("SW Power Capping")[2].split()[1])
            assert counted > 0
        finally:
            process.kill()


def is_held(low_mhz: float, high_mhz: float, text: str) -> bool:
    """Whether a GPU under load has a clock between these."""
    clock_mhz, load_percent = map(float, text.splitlines()[0].split(","))
    return load_percent > 20 and low_mhz < clock_mhz < high_mhz


async def test_a_clone_has_the_identity_of_another_node(start: StartSimulator) -> None:
    with start("--nodes", "2") as simulator:
        reply = json.loads(simulator.control("on", "same-identity", "spark-bd26").stdout)
        assert reply["host_key"] == simulator.node(0)["host_key"]
        known = trust(reply["host_key"])
        ids = []
        for index in range(2):
            async with simulator.connect(index, known_hosts=known) as connection:
                ids.append((await connection.run("cat /etc/machine-id", check=True)).stdout)
        assert ids[0] == ids[1]
        simulator.control("off", "same-identity", "spark-bd26")
        async with simulator.connect(1) as connection:
            assert (await connection.run("cat /etc/machine-id", check=True)).stdout != ids[0]


async def test_another_machine_at_an_address_has_another_key_and_another_id(start: StartSimulator) -> None:
    with start("--nodes", "1") as simulator:
        async with simulator.connect() as connection:
            own = (await connection.run("cat /etc/machine-id", check=True)).stdout
        reply = json.loads(simulator.control("on", "other-machine", "spark-5c2d").stdout)
        with pytest.raises(asyncssh.HostKeyNotVerifiable):
            await simulator.connect(0)
        known = trust(reply["host_key"])
        async with simulator.connect(0, known_hosts=known) as connection:
            assert (await connection.run("cat /etc/machine-id", check=True)).stdout != own


async def test_slow_ssh_still_works(start: StartSimulator) -> None:
    with start("--nodes", "1", "--fault", "slow-ssh:spark-5c2d") as simulator:
        before_s = time.monotonic()
        async with simulator.connect() as connection:
            assert (await connection.run("echo up", check=True)).stdout == "up\n"
        assert time.monotonic() - before_s > 4


def test_every_fault_is_listed_with_words() -> None:
    words = [sys.executable, "-m", "sparkdesk", "simulate", "--list-faults"]
    shown = subprocess.run(words, cwd=PROJECT, capture_output=True, timeout=30, check=True).stdout.decode()
    assert {line.split()[0] for line in shown.splitlines()} == {*FAULTS, *ACTIONS}
    assert all(len(line.split()) > 2 for line in shown.splitlines())
