"""Details and doctor over real SSH, on simulated Sparks: what is asked for is answered, and a healthy node is one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sparkdesk.core.cluster.details import NodeDetails, SudoMode
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.ports import Connection
from sparkdesk.core.probes.check import CheckUp, Verdict
from sparkdesk.core.probes.details import DETAILS, build_details
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.doctor import Doctor
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.ident import new_id
from sparkdesk.services.playbooks.root import AskPassword
from sparkdesk.services.playbooks.runner import Runner
from tests.simulator.conftest import Simulator, StartSimulator

REMOTE = Path(__file__).parents[2] / "sparkdesk" / "remote"


def read_remote(name: str) -> bytes:
    """The source of a program for nodes."""
    return (REMOTE / f"{name}.py").read_bytes()


@asynccontextmanager
async def connected(simulator: Simulator) -> AsyncIterator[Connection]:
    """A new sign-in to the first node."""
    node = simulator.node(0)
    key = str(simulator.state / "client_ed25519")
    record = NodeRecord("n1", node["name"], node["address"], node["port"], node["user"], node["host_key"], key_path=key)
    connection = await SshConnector().connect(record)
    try:
        yield connection
    finally:
        await connection.close()


def reader_on(connection: Connection) -> Reader:
    """A reader of this node."""
    return Reader(program=read_remote("reader"), shells=lambda _: connection, clock=SystemClock())


def runner_on(connection: Connection, store: SqliteStore, ask_password: AskPassword) -> Runner:
    """A runner of playbooks on this node."""
    return Runner(
        shells=lambda _: connection,
        store=store,
        clock=SystemClock(),
        ask_password=ask_password,
        lock_program=read_remote("lock"),
        owner="anna@desk",
    )


async def details_of(simulator: Simulator) -> NodeDetails:
    async with connected(simulator) as connection:
        return build_details("n1", await reader_on(connection).read("n1", DETAILS.reads), 1)


async def check_up_of(simulator: Simulator) -> CheckUp:
    async with connected(simulator) as connection:
        return await Doctor(reader=reader_on(connection), clock=SystemClock()).run("n1")


async def test_a_simulated_spark_is_known_in_detail(cluster: Simulator) -> None:
    found = await details_of(cluster)
    assert (found.vendor, found.product, found.dgx_os) == ("NVIDIA", "NVIDIA_DGX_Spark", "DGX OS 7.5.0")
    assert (found.kernel, found.driver, found.nic_firmware) == ("6.17.0-1014-nvidia", "580.142", "28.45.4028")
    assert (found.mem_total_bytes, found.cpu_count) == (127535084 * 1024, 20)
    assert [(half.netdev, half.pcie_width, half.pcie_gts) for half in found.halves] == [
        ("enp1s0f0np0", 4, 32.0), ("enP2p1s0f0np0", 4, 32.0), ("enp1s0f1np1", 4, 32.0), ("enP2p1s0f1np1", 4, 32.0),
    ]  # fmt: skip
    assert found.macs == ("4c:bb:47:77:01:01",)
    assert found.sudo is SudoMode.PASSWORD
    assert len(found.serial_hash) == 64
    assert found.clock_offset_s is not None
    assert abs(found.clock_offset_s) < 5


async def test_a_simulated_spark_has_nothing_that_fails(cluster: Simulator) -> None:
    found = await check_up_of(cluster)
    assert found.state == "done"
    verdicts = {finding.check_id: finding.verdict for finding in found.findings}
    # The disk is this computer's own, and a clock under load needs a load.
    judged = {
        check_id: verdict for check_id, verdict in verdicts.items() if check_id not in ("disk-space", "slow-state")
    }
    assert {check_id for check_id, verdict in judged.items() if verdict is Verdict.FAIL} == set()
    must_pass = ("gpu-answers", "driver-branch", "swap", "page-cache", "docker-daemon", "docker-group", "pcie-width",
                 "kernel-signature", "reboot-required", "throttle", "temperature", "memory-pressure")  # fmt: skip
    assert {check_id: verdicts[check_id] for check_id in must_pass} == dict.fromkeys(must_pass, Verdict.PASS)
    assert verdicts["slow-state"] is Verdict.UNREAD


FAULTS = {
    "pcie-width": "pcie-width",
    "swap-on": "swap",
    "reboot-required": "reboot-required",
    "failed-unit": "failed-units",
    "disk-full": "disk-space",
    "clock-skew": "clock-skew",
}
"""A fault of the simulator, and the check that finds it."""


async def test_what_is_wrong_with_a_simulated_spark_is_found(start: StartSimulator) -> None:
    words = [word for fault in FAULTS for word in ("--fault", f"{fault}:spark-5c2d")]
    with start("--nodes", "1", *words) as simulator:
        found = await check_up_of(simulator)
    by_check = {finding.check_id: finding for finding in found.findings}
    assert {
        check: by_check[check].verdict for check in FAULTS.values() if by_check[check].verdict is Verdict.PASS
    } == {}
    assert {check for check in FAULTS.values() if by_check[check].verdict is Verdict.UNREAD} == set()
    assert by_check["kernel-signature"].verdict is Verdict.PASS


async def test_what_the_doctor_offers_heals_a_simulated_spark(start: StartSimulator, tmp_path: Path) -> None:
    """The fixes run as a person runs them: as playbooks, through the node's sudo, with the user's password."""
    faults = {"no-docker-group": "docker-group", "clock-skew": "clock-skew", "docker-down": "docker-daemon"}
    store = SqliteStore(tmp_path / "data")
    await store.open()
    with start("--nodes", "1", *(word for fault in faults for word in ("--fault", f"{fault}:spark-5c2d"))) as simulator:
        password: str = (simulator.state / "password").read_text().strip()

        async def give_password(*_: str) -> str:
            return password

        for _ in range(2):  # who may use docker is seen once it runs
            async with connected(simulator) as connection:
                runner = runner_on(connection, store, give_password)
                found = await Doctor(reader=reader_on(connection), clock=SystemClock()).run("n1")
                for finding in found.findings:
                    if finding.fix is not None:
                        assert (await runner.run(new_id(), finding.fix, on_event=lambda _: None)).result == "done"
        healed = {finding.check_id: finding.verdict for finding in (await check_up_of(simulator)).findings}
    await store.close()
    assert {check: healed[check] for check in faults.values()} == dict.fromkeys(faults.values(), Verdict.PASS)


async def test_a_node_that_can_only_be_read_is_read_below_its_own_root(start: StartSimulator) -> None:
    if os.getuid() == 0:
        pytest.skip("root's temporary folders are closed to an unconfined node")
    with start("--nodes", "1", "--unconfined") as simulator:
        found = await details_of(simulator)
    assert (found.vendor, found.kernel) == ("NVIDIA", "6.17.0-1014-nvidia")
    assert found.mem_total_bytes == 127535084 * 1024
