"""The cabling is looked at when something changes, on all nodes at once, and a look that fails takes nothing away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import NodeRecord, NodeState, NodeStatus
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.cluster.topology import LookState, Shape, Topology
from sparkdesk.core.errors import Unreachable
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Shell
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.topology import TopologyWatch
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.fakes.shell import LocalShell

PROGRAM = b"""
import os, sys
open("asked", "a").write(sys.argv[1] + "\\n")
is_once = os.path.exists("once.json")
print(open("once.json" if is_once else "answer.json").read())
if is_once:
    os.remove("once.json")
"""
"""Tells what the test has laid down, and notes that it was asked. The real one is tried in the lab."""
STORAGE = "00:1b:21:00:00:01"
LLDP = {"port": CAGE_NETDEVS["P1"][0], "name": "sn3700", "mac": "b8:59:9f:00:00:01", "is_bridge": True}
P1 = CAGE_NETDEVS["P1"]


def answer(node: int, peer: int, count: int = 9) -> dict[str, object]:
    """A node whose cage P1 leads to the peer's, with a storage box at P0."""
    ports = [
        {"name": name, "mac": f"4c:bb:47:01:{node:02x}:{half:02x}", "carrier": True, "link_local": "fe80::1"}
        for half, name in enumerate((*P1, CAGE_NETDEVS["P0"][0], CAGE_NETDEVS["P0"][1]))
    ]
    heard = [[name, f"n{peer}", name, count, 0] for name in P1] if count else []
    seen = [{"port": CAGE_NETDEVS["P0"][0], "address": "fe80::9", "mac": STORAGE}] if node == 1 else []
    return {"ports": ports if node == 1 else ports[:2], "macs": [], "heard": heard, "seen": seen}


class Desk:
    """Two nodes that are folders of this computer."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(None)
        self.tasks = Tasks()
        self.shells: dict[str, LocalShell] = {}
        self.homes: dict[str, Path] = {}
        self.samples: dict[str, Latest[Sample | None]] = {}
        for number in (1, 2):
            node_id = f"n{number}"
            self.homes[node_id] = folder / node_id
            self.homes[node_id].mkdir()
            self.shells[node_id] = LocalShell(self.homes[node_id], node=f"spark-{number}")
            self.samples[node_id] = Latest(None)
            self.lay(node_id, answer(number, 3 - number))
        self.nodes: Latest[tuple[NodeStatus, ...]] = Latest(tuple(map(self.status, self.shells)))
        self.watch = self.make()

    def make(self, again_s: float = 600.0) -> TopologyWatch:
        return TopologyWatch(
            tasks=self.tasks,
            nodes=self.nodes,
            shells=self.shell,
            samples=self.samples.__getitem__,
            store=self.store,
            program=PROGRAM,
            clock=SystemClock(),
            settle_s=0.05,
            again_s=again_s,
        )

    def status(self, node_id: str, state: NodeState = NodeState.LIVE) -> NodeStatus:
        name = f"spark-{node_id[1:]}"
        return NodeStatus(NodeRecord(id=node_id, name=name, address="x", port=22, user="me"), state, 0)

    def shell(self, node_id: str) -> Shell:
        if self.shells[node_id].is_cut:
            raise Unreachable(f"{node_id} is away", remedy="Wait.", node=node_id)
        return self.shells[node_id]

    def lay(self, node_id: str, told: dict[str, object]) -> None:
        (self.homes[node_id] / "answer.json").write_text(json.dumps(told))

    def asked(self, node_id: str) -> list[str]:
        path = self.homes[node_id] / "asked"
        return path.read_text().split() if path.exists() else []

    def sample(self, node_id: str, carrier: float, management: float = 1.0) -> None:
        values = {f"net_carrier.{P1[0]}": carrier, "net_carrier.enP7s7": management}
        self.samples[node_id].set(Sample(node_id, 1, 1, "b", values))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    await desk.store.open()
    yield desk
    desk.watch.close()
    await desk.tasks.close()
    await desk.store.close()


async def test_a_look_asks_every_live_node_once_with_one_token(desk: Desk) -> None:
    topology = await desk.watch.look()
    assert topology is desk.watch.topology.value
    assert (topology.state, topology.shape) == (LookState.DONE, Shape.PAIR)
    assert [cable.key for cable in topology.cables] == ["n1:P0-other", "n1:P1-n2:P1"]
    assert topology.seen_ms > 0
    assert len(desk.asked("n1")) == 1
    assert desk.asked("n1") == desk.asked("n2")
    await desk.watch.look()
    assert len(set(desk.asked("n1"))) == 2


async def test_a_node_that_began_late_is_given_one_more_look(desk: Desk) -> None:
    desk.lay("n1", answer(1, 2, count=0))
    desk.lay("n2", answer(2, 1, count=1))
    topology = await desk.watch.look()
    assert len(desk.asked("n1")) == 2
    assert topology.shape is Shape.PAIR
    assert not any(cable.is_one_way for cable in topology.cables)


async def test_a_look_that_fails_keeps_what_was_seen_and_says_why(desk: Desk) -> None:
    before = await desk.watch.look()
    for shell in desk.shells.values():
        shell.cut()
    after = await desk.watch.look()
    assert after.state is LookState.FAILED
    assert "away" in after.message
    assert after.remedy
    assert (after.cables, after.seen_ms) == (before.cables, before.seen_ms)
    desk.nodes.set(tuple(desk.status(node_id, NodeState.UNREACHABLE) for node_id in desk.shells))
    nobody = await desk.watch.look()
    assert (nobody.state, nobody.message) == (LookState.FAILED, "No node is connected")


async def test_a_node_that_is_away_is_still_known_by_its_hardware_addresses(desk: Desk) -> None:
    await desk.watch.look()
    desk.shells["n2"].cut()
    seen = [{"port": P1[0], "address": "fe80::2", "mac": "4c:bb:47:01:02:00"}]
    desk.lay("n1", {**answer(1, 2, count=0), "seen": seen})
    topology = await desk.watch.look()
    assert [cable.key for cable in topology.cables] == ["n1:P0-other", "n1:P1-n2:P1"]
    assert {(problem.id, problem.node_id) for problem in topology.problems} >= {("not-asked", "n2")}


async def test_what_is_no_answer_is_a_failed_look(desk: Desk) -> None:
    for home in desk.homes.values():
        (home / "answer.json").write_text("hello")
    assert (await desk.watch.look()).state is LookState.FAILED


async def test_a_look_follows_a_node_that_becomes_live_a_changed_carrier_and_a_node_that_goes(desk: Desk) -> None:
    hook = asyncio.ensure_future(desk.watch.on_live("n1", desk.shells["n1"]))
    await _until_asked(desk, 1)
    for management in (1.0, 1.0, 0.0):
        desk.sample("n1", 1.0, management)
    await asyncio.sleep(0.3)
    assert len(desk.asked("n1")) == 1
    desk.sample("n1", 0.0)
    desk.sample("n1", 1.0)
    await _until_asked(desk, 2)
    hook.cancel()
    await _until_asked(desk, 3)
    await asyncio.gather(hook, return_exceptions=True)
    desk.sample("n1", 0.0)
    await asyncio.sleep(0.3)
    assert len(desk.asked("n1")) == 3


def small(port: dict[str, object]) -> None:
    port["mtu"] = 1500


def foreign(port: dict[str, object]) -> None:
    port["addresses"] = [str(port["addresses"]).replace("10.0.", "10.9.")[2:-2]]


def deaf(port: dict[str, object]) -> None:
    port["is_rdma_active"] = False


def whole(node: int, *, spoil: Callable[[dict[str, object]], None] | None = None) -> dict[str, object]:
    """A node's answer with all that no carrier tells, right, or one half of it wrong."""
    told = answer(node, 3 - node)
    for half, port in enumerate(told["ports"]):  # type: ignore[var-annotated,arg-type]
        port.update(mtu=9000, addresses=[f"10.0.{half}.{node}/24"], rdma=f"rocep{half}", is_rdma_active=True)
    if spoil is not None:
        spoil(told["ports"][1])  # type: ignore[index]
    return told


def kinds(topology: Topology) -> set[str]:
    return {problem.id for problem in topology.problems if problem.severity == "warn"}


@pytest.mark.parametrize(
    ("spoil", "kind"), [(small, "mtu-mismatch"), (foreign, "subnet-mismatch"), (deaf, "rdma-inactive")]
)
async def test_what_no_carrier_tells_appears_by_itself_and_goes_by_itself(
    desk: Desk, spoil: Callable[[dict[str, object]], None], kind: str
) -> None:
    watch = desk.make(again_s=0.1)
    for number in (1, 2):
        desk.lay(f"n{number}", whole(number))
    assert kinds(await watch.look()) == set()
    states: set[LookState] = set()
    watch.topology.subscribe(lambda now: states.add(now.state))
    desk.lay("n2", whole(2, spoil=spoil))
    await wait_for_value(watch.topology, lambda now: kinds(now) == {kind}, timeout_s=20)
    desk.lay("n2", whole(2))
    await wait_for_value(watch.topology, lambda now: not kinds(now), timeout_s=20)
    assert states == {LookState.DONE}, "nobody asked, so nobody is told that it is looked"
    watch.close()


async def test_what_is_other_in_one_quiet_look_alone_is_not_told(desk: Desk) -> None:
    first = await desk.watch.look()
    told: list[Topology] = []
    desk.watch.topology.subscribe(told.append)
    await desk.watch.look_quietly()
    assert len(desk.asked("n1")) == 2, "as before: once is enough"
    (desk.homes["n2"] / "once.json").write_text(json.dumps({**answer(2, 1), "ports": []}))
    await desk.watch.look_quietly()
    assert len(desk.asked("n1")) == 4, "something other must be seen twice"
    assert {one.cables for one in told} == {first.cables}
    assert told[-1].seen_ms >= first.seen_ms


async def test_a_node_that_is_away_keeps_the_shape_and_draws_no_cable(desk: Desk) -> None:
    assert (await desk.watch.look()).shape is Shape.PAIR
    desk.shells["n2"].cut()
    desk.lay("n1", {**answer(1, 2, count=0)})
    alone = await desk.watch.look()
    assert (alone.shape, alone.away) == (Shape.PAIR, ("n2",))
    assert not any(cable.b for cable in alone.cables)
    again = await desk.make().look()
    assert again.shape is Shape.SINGLE, "nobody has seen how it was"


async def test_many_wishes_within_a_moment_are_one_look(desk: Desk) -> None:
    for _ in range(20):
        desk.watch.request()
    await _until_asked(desk, 1)
    await asyncio.sleep(0.3)
    assert len(desk.asked("n1")) == 1


async def test_who_wants_to_know_lately_looks_only_where_nobody_just_did(desk: Desk) -> None:
    first = await desk.watch.look_lately(60.0)
    assert first.state is LookState.DONE
    assert await desk.watch.look_lately(60.0) == first
    assert len(desk.asked("n1")) == 1
    await desk.watch.look_lately(-1.0)
    assert len(desk.asked("n1")) == 2
    looking = asyncio.ensure_future(desk.watch.look())
    await asyncio.sleep(0)
    assert (await desk.watch.look_lately(60.0)).seen_ms == (await looking).seen_ms
    assert len(desk.asked("n1")) == 3, "one that is under way is waited for"


async def test_what_was_seen_before_a_node_came_is_not_lately(desk: Desk) -> None:
    both = desk.nodes.value
    desk.nodes.set(both[:1])
    assert (await desk.watch.look_lately(60.0)).shape is Shape.SINGLE
    desk.nodes.set(both)
    assert (await desk.watch.look_lately(60.0)).shape is Shape.PAIR
    assert await desk.watch.look_lately(60.0) == desk.watch.topology.value
    assert len(desk.asked("n1")) == 2


async def test_a_cancelled_look_leaves_what_was_there(desk: Desk) -> None:
    before = await desk.watch.look()
    looking = asyncio.ensure_future(desk.watch.look())
    await wait_for_value(desk.watch.topology, lambda now: now.state is LookState.LOOKING, timeout_s=10)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert desk.watch.topology.value == before


async def test_a_label_names_a_device_at_once_and_is_kept(desk: Desk) -> None:
    await desk.watch.look()
    await desk.watch.label(STORAGE, " Storage\x1b[31m ")
    (stranger,) = desk.watch.topology.value.strangers
    assert (stranger.label, stranger.kind) == ("Storage", "device")
    assert desk.watch.topology.value.state is LookState.DONE
    again = desk.make()
    await again.load()
    assert (await again.look()).strangers[0].label == "Storage"
    await again.label(STORAGE, "")
    assert again.topology.value.strangers[0].label == ""
    third = desk.make()
    await third.load()
    assert (await third.look()).strangers[0].label == ""


async def test_a_device_that_never_says_a_word_is_labelled_by_the_cage_that_it_is_in(desk: Desk) -> None:
    desk.lay("n1", {**answer(1, 2), "seen": []})
    await desk.watch.look()
    await desk.watch.label("n1:P0", "Storage")
    (stranger,) = desk.watch.topology.value.strangers
    assert (stranger.mac, stranger.label) == ("", "Storage")


async def test_a_switchs_name_is_kept_with_each_of_its_cages_over_a_restart(desk: Desk) -> None:
    for number in (1, 2):
        desk.lay(f"n{number}", {**answer(number, 3 - number), "lldp": [dict(LLDP)]})
    assert (await desk.watch.look()).switch_name == "sn3700"
    told: list[str] = []
    subscription = desk.watch.topology.subscribe(lambda now: told.append(now.switch_name))
    await desk.watch.label_all(("n1:P1", "n2:P1"), " Rack\x1b[31m 4 ")
    subscription.close()
    assert told[-1] == "Rack 4"
    assert told.count("Rack 4") == 1, "it is built anew once, not for each cage"
    again = desk.make()
    await again.load()
    assert (await again.look()).switch_name == "Rack 4"
    await again.label("n1:P1", "")
    assert again.topology.value.switch_name == "Rack 4", "the other cage has it still"
    await again.label_all(("n1:P1", "n2:P1"), "")
    assert again.topology.value.switch_name == "sn3700"


async def test_a_node_that_was_removed_leaves_the_map_without_a_look(desk: Desk) -> None:
    await desk.watch.look()
    desk.nodes.set((desk.status("n1"),))
    topology = await wait_for_value(desk.watch.topology, lambda now: now.shape is Shape.SINGLE, timeout_s=10)
    assert len(desk.asked("n1")) == 1
    assert topology.rank_order == ("n1",)
    desk.nodes.set(())
    assert desk.watch.topology.value.state is LookState.NONE


async def _until_asked(desk: Desk, times: int) -> None:
    for _ in range(200):
        if len(desk.asked("n1")) >= times and desk.watch.topology.value.state is LookState.DONE:
            break
        await asyncio.sleep(0.05)
    assert len(desk.asked("n1")) == times
