"""What goes wrong in a bring-up is said plainly, and the nodes are as they were or can be carried on from there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapters import network
from sparkdesk.core.bringup.proof.band import TCP
from sparkdesk.core.bringup.proof.judge import grade_of
from sparkdesk.core.bringup.proof.measurement import ProofKind
from sparkdesk.core.bringup.state import Phase
from sparkdesk.core.step import Output, Step, StepEvent
from tests.lab.bringup.desk import BringUpDesk, opened_bring_up
from tests.lab.bringup.snapshot import Snapshot, differences_of, take_snapshot
from tests.lab.bringup.spark_lab import PAIR, spark_lab
from tests.lab.lab import CAGE_PORTS, USER, Lab, LabNode

pytestmark = [pytest.mark.lab, pytest.mark.timeout(420)]

NETWORK = Choices(chapters=frozenset({"network"}))
PROVED = Choices(chapters=frozenset({"network", "proof"}), picks_image=False)
KEPT, TRIED = "etc/netplan/90-sparkdesk.yaml", "run/netplan/90-sparkdesk.yaml"
THEIRS = "etc/netplan/40-cx7.yaml"
SHORT_TRIAL_S = 12
SHORT_SIGN_IN_S = 10.0
"""Where nobody answers."""
WAIT_S = 60.0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Lab]:
    """Two Sparks and a cable."""
    with spark_lab(PAIR, tmp_path) as (lab, _):
        yield lab


def snapshots(lab: Lab) -> dict[str, Snapshot]:
    """Every node as it stands."""
    return {node.name: take_snapshot(node) for node in lab.nodes}


def assert_untouched(lab: Lab, before: dict[str, Snapshot]) -> None:
    """Every node is as it was."""
    assert {node.name: differences_of(node, before[node.name]) for node in lab.nodes} == {name: [] for name in before}


def write_scheme(node: LabNode, *, host: int, subnet: int = 100) -> Path:
    """A file as NVIDIA's playbooks and others write it, applied. Source: spark's playbooks, 40-cx7.yaml."""
    text = "network:\n  version: 2\n  ethernets:\n"
    for half, port in enumerate(CAGE_PORTS[1]):
        text += f"    {port}:\n      dhcp4: no\n      mtu: 9000\n      addresses: [192.168.{subnet + half}.{host}/24]\n"
    file = node.root / THEIRS
    file.write_text(text)
    file.chmod(0o600)
    node.run("netplan", "apply")
    deadline_s = time.monotonic() + WAIT_S
    while f"192.168.{subnet + 1}.{host}/24" not in node.run("ip", "-4", "addr"):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return file


def once(desk: BringUpDesk, is_it: Callable[[Step, StepEvent], bool], act: Callable[[], object]) -> None:
    """Do something when this event comes for the first time, before anything else is done."""
    done: list[bool] = []

    def hear(step: Step, event: StepEvent) -> None:
        if not done and is_it(step, event):
            done.append(True)
            act()

    desk.stack.runs.on_step.append(hear)


def beside(desk: BringUpDesk, act: Callable[[], object]) -> Callable[[], None]:
    """The same in another thread; a test waits for `desk.running`."""

    def begin() -> None:
        desk.running = asyncio.ensure_future(asyncio.to_thread(act))

    return begin


def assert_sent_by_tcp(desk: BringUpDesk) -> None:
    """iperf3 measured, and not RDMA: how fast the cable is, is the machine's business, and so is the grade."""
    kinds = {one.item.kind: one for one in desk.state.measurements}
    assert not kinds.keys() & {ProofKind.RDMA_BANDWIDTH, ProofKind.RDMA_LATENCY}
    found = kinds[ProofKind.TCP]
    assert found.value, f"{found}\n{desk.words()}"
    assert (found.grade, found.unit, found.is_simulated) == (grade_of(found.value, TCP), "Gb/s", False)
    assert found.message.endswith("both halves · passes at 90"), found.message
    print(found.message)
    assert found.message in Path(desk.state.report_paths[0]).read_text()


def is_tried(node: LabNode) -> Callable[[Step, StepEvent], bool]:
    """The node has said that it tries its new network."""
    return lambda step, event: step.node == node.name and isinstance(event, Output) and "trial_s" in event.text


async def test_a_valid_scheme_of_somebody_elses_is_kept_to_the_byte(pair: Lab) -> None:
    files = [write_scheme(node, host=node.index + 10) for node in pair.nodes]
    stamps = [(file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) for file in files]
    async with opened_bring_up(pair) as desk:
        plan = await desk.look()
        assert plan.scheme.is_kept
        assert not [step.id for step in plan.playbook.steps() if step.phase == "network"]
        await desk.apply()
        assert not [step.id for step in (await desk.look()).playbook.steps()]
    assert [(file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) for file in files] == stamps
    assert not any((node.root / KEPT).exists() for node in pair.nodes)


async def test_an_address_that_two_nodes_have_is_told_and_not_adopted(pair: Lab) -> None:
    for node in pair.nodes:
        write_scheme(node, host=1)
    async with opened_bring_up(pair) as desk:
        plan = await desk.look()
        told = [*plan.scheme.problems, *plan.obstacles, *plan.notes.get("network", ())]
        assert not plan.scheme.is_kept
        assert any("192.168.100.1" in words for words in told), told


async def test_a_wrong_password_on_one_node_changes_nothing_there_until_its_own_is_given(pair: Lab) -> None:
    node = pair.nodes[1]
    node.run("sh", "-c", f"usermod -p \"$(openssl passwd -6 'its own')\" {USER}")
    before = snapshots(pair)
    async with opened_bring_up(pair) as desk:
        await desk.look()
        desk.passwords["spark-2"] = "wrong"
        state = await desk.apply(Phase.FAILED)
        assert "spark-2" in state.message
        assert state.remedy
        assert [line for line in differences_of(node, before["spark-2"], settle_s=0.0) if "/.ssh" not in line] == []
        desk.passwords["spark-2"] = "its own"
        await desk.resume()
        assert (await desk.look()).change_count == 0
        await desk.undo()
    assert_untouched(pair, before)


async def test_a_full_disk_at_the_keeping_gives_the_old_network_back_and_without_rdma_tcp_is_proved(pair: Lab) -> None:
    node = pair.nodes[0]
    node.run(
        "sh", "-c",
        "cp -a /etc/netplan /tmp/netplan; mount -t tmpfs -o size=16k,mode=755 netplan /etc/netplan; "
        "cp -a /tmp/netplan/. /etc/netplan; cat /dev/zero > /etc/netplan/ballast 2> /dev/null || true",
    )  # fmt: skip
    before = snapshots(pair)
    async with opened_bring_up(pair) as desk:
        await desk.look(NETWORK)
        state = await desk.apply(Phase.FAILED)
        assert "spark-1" in state.message
        assert not (pair.nodes[1].root / TRIED).exists(), "the first node is the canary"
        if state.run is not None and state.run.can_undo:
            await desk.undo()
        assert_untouched(pair, before)
        (node.root / "etc/netplan/ballast").unlink()
        node.run("sh", "-c", "rm -rf /sys/class/infiniband/*")
        await desk.look(PROVED)
        await desk.apply()
        assert (node.root / KEPT).exists()
        assert_sent_by_tcp(desk)


async def test_a_node_that_restarts_in_the_middle_of_its_trial_is_carried_on(pair: Lab) -> None:
    before = snapshots(pair)
    node = pair.nodes[1]
    async with opened_bring_up(pair) as desk:
        await desk.look(NETWORK)
        once(desk, is_tried(node), beside(desk, node.restart))
        state = await desk.apply(Phase.DONE, Phase.FAILED)
        assert desk.running is not None
        await desk.running
        if state.phase is Phase.FAILED:
            assert "spark-2" in state.message
            await desk.reconnect("spark-2")
            await desk.resume()
        assert (node.root / KEPT).exists()
        assert (await desk.look(NETWORK)).change_count == 0
        await desk.undo()
    assert_untouched(pair, before)


async def test_a_node_that_is_not_to_be_reached_after_the_change_takes_its_old_network_back_itself(
    pair: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "TRIAL_S", SHORT_TRIAL_S)
    monkeypatch.setattr(network, "SIGN_IN_S", SHORT_SIGN_IN_S)
    before = snapshots(pair)
    node = pair.nodes[0]
    async with opened_bring_up(pair) as desk:
        await desk.look(NETWORK)
        once(desk, is_tried(node), lambda: node.set_link(False))
        state = await desk.apply(Phase.FAILED)
        assert "spark-1" in state.message
        deadline_s = time.monotonic() + WAIT_S
        while (node.root / TRIED).exists() or "192.168." in node.run("ip", "-4", "addr"):
            assert time.monotonic() < deadline_s, "its own timer restores it"
            await asyncio.sleep(0.2)
        assert not (node.root / KEPT).exists()
        node.set_link(True)
        await desk.reconnect("spark-1")
        await desk.resume()
        assert (await desk.look(NETWORK)).change_count == 0
        await desk.undo()
    assert_untouched(pair, before)
