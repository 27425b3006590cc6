"""Several named clusters: made, renamed, removed, nodes moved between them, and the same again after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import ClusterRecord, NodeFacts, NodeRecord, NodeState
from sparkdesk.core.errors import NodeError, SettingsError, Unreachable
from sparkdesk.infra.store import SqliteStore
from tests.fakes.connector import LocalConnector
from tests.services.fleet.fleet_desk import FleetDesk


def node(number: int, **changes: str) -> NodeRecord:
    record = NodeRecord(f"n{number}", f"spark-{number}", f"10.0.0.{number}", 22, "nvidia", host_key=f"key {number}")
    return replace(record, **changes)  # type: ignore[arg-type]


SIMULATED = ClusterRecord("sim", "Simulated", (node(91), node(92)), is_simulated=True)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def desk(store: SqliteStore, tmp_path: Path) -> AsyncIterator[FleetDesk]:
    desk = FleetDesk(store, LocalConnector(tmp_path / "nodes"))
    yield desk
    await desk.close()


def names(desk: FleetDesk) -> list[str]:
    return [cluster.name for cluster in desk.inventory.clusters.value]


def shown(desk: FleetDesk) -> list[str]:
    return [status.record.name for status in desk.inventory.nodes.value]


async def saved(desk: FleetDesk, is_right: Callable[[tuple[ClusterRecord, ...]], bool]) -> None:
    """Wait until what is kept is as wanted: what a node says of itself is kept a moment later."""
    async with asyncio.timeout(20.0):
        while not is_right(await desk.store.clusters()):
            await asyncio.sleep(0.02)


async def reopened(desk: FleetDesk, store: SqliteStore) -> FleetDesk:
    """The program closed and started again."""
    await desk.close()
    again = FleetDesk(store, LocalConnector(Path("/nowhere")))
    await again.inventory.load()
    return again


async def test_clusters_are_made_renamed_opened_and_found_again(desk: FleetDesk, store: SqliteStore) -> None:
    inventory = desk.inventory
    await inventory.add_node(node(1))
    lab = await inventory.create_cluster("  Lab ")
    assert names(desk) == ["My Sparks", "Lab"]
    assert inventory.cluster.value is not None
    assert inventory.cluster.value.name == "My Sparks", "a new cluster is not opened"
    await inventory.rename_cluster(inventory.cluster.value.id, "Home")
    assert inventory.cluster.value.name == "Home"
    await inventory.open_known(lab.id)
    assert shown(desk) == []
    await inventory.add_node(node(2))
    await desk.wait_for(NodeState.LIVE)
    assert shown(desk) == ["spark-2"]
    again = await reopened(desk, store)
    assert [(c.name, [n.name for n in c.nodes]) for c in again.inventory.clusters.value] == [
        ("Home", ["spark-1"]),
        ("Lab", ["spark-2"]),
    ]
    with pytest.raises(KeyError):
        await again.inventory.open_known("none")


async def test_names_are_unique_of_their_kind_and_a_node_without_a_chosen_one_gets_a_free_one(desk: FleetDesk) -> None:
    inventory = desk.inventory
    await inventory.add_node(node(1))
    await inventory.add_node(node(2, name="spark-1"))
    assert shown(desk) == ["spark-1", "spark-1 2"]
    with pytest.raises(SettingsError, match="already"):
        await inventory.rename_node("n2", "SPARK-1")
    with pytest.raises(SettingsError, match="empty"):
        await inventory.rename_node("n2", "  ")
    with pytest.raises(SettingsError, match="already"):
        await inventory.create_cluster("my sparks")
    with pytest.raises(SettingsError, match="empty"):
        await inventory.create_cluster("")
    await inventory.rename_node("n2", "My Sparks")  # another kind
    assert shown(desk) == ["spark-1", "My Sparks"]


async def test_a_renamed_node_keeps_its_connection_and_another_address_makes_a_new_one(desk: FleetDesk) -> None:
    inventory = desk.inventory
    await inventory.add_node(node(1))
    await desk.wait_for(NodeState.LIVE)
    kept = inventory.shell("n1")
    await inventory.rename_node("n1", "Left")
    record = replace(inventory.status("n1").record, other_addresses=("10.0.0.7:22",), macs=("4c:bb:47:00:00:01",))
    await inventory.update_node(record)
    assert inventory.shell("n1") is kept
    assert inventory.status("n1").record == record
    assert (await desk.store.clusters())[0].nodes == (record,)
    await inventory.update_node(replace(record, port=2222))
    await desk.wait(lambda status: status.is_live and status.record.port == 2222)
    assert inventory.shell("n1") is not kept


async def test_a_node_moves_between_clusters_and_is_never_in_none(desk: FleetDesk, store: SqliteStore) -> None:
    inventory = desk.inventory
    await inventory.add_node(node(1))
    await inventory.add_node(node(2))
    lab = await inventory.create_cluster("Lab")
    await inventory.move_node("n1", lab.id)
    assert shown(desk) == ["spark-2"]
    with pytest.raises(Unreachable, match="no longer"):
        inventory.shell("n1")
    await inventory.move_node("n1", lab.id)  # it is there
    home = inventory.cluster.value
    assert home is not None
    await inventory.move_node("n1", home.id)
    await desk.wait(lambda status: status.record.name == "spark-2" and status.is_live)
    assert shown(desk) == ["spark-2", "spark-1"]
    # The program ended between the two writes of a move: the node stands in both.
    await store.save_cluster(replace(lab, nodes=(node(1), node(3))))
    again = await reopened(desk, store)
    assert [[n.id for n in c.nodes] for c in again.inventory.clusters.value] == [["n2", "n1"], ["n3"]]


async def test_a_removed_node_is_forgotten_and_what_can_be_undone_is_told(desk: FleetDesk) -> None:
    inventory = desk.inventory
    await inventory.add_node(replace(node(1), setup_runs=("first", "second")))
    lab = await inventory.create_cluster("Lab")
    await inventory.move_node("n1", lab.id)
    assert inventory.setup_runs_of("n1") == ("second", "first")
    assert await inventory.remove_node("n1") == ("second", "first")
    assert [cluster.nodes for cluster in await desk.store.clusters()] == [(), ()]
    with pytest.raises(KeyError):
        await inventory.remove_node("n1")


async def test_a_cluster_with_nodes_is_not_removed_and_an_empty_open_one_gives_way(desk: FleetDesk) -> None:
    inventory = desk.inventory
    await inventory.add_node(node(1))
    home = inventory.cluster.value
    assert home is not None
    lab = await inventory.create_cluster("Lab")
    with pytest.raises(SettingsError, match="My Sparks has 1 node") as caught:
        await inventory.remove_cluster(home.id)
    assert "Move them" in caught.value.remedy
    await inventory.move_node("n1", lab.id)
    await inventory.remove_cluster(home.id)
    assert inventory.cluster.value is not None
    assert inventory.cluster.value.name == "Lab"
    await desk.wait_for(NodeState.LIVE)
    await inventory.remove_node("n1")
    await inventory.remove_cluster(lab.id)
    assert inventory.cluster.value is None
    assert names(desk) == []
    assert await desk.store.clusters() == ()


async def test_simulated_nodes_stay_among_themselves(desk: FleetDesk) -> None:
    inventory = desk.inventory
    await inventory.open(SIMULATED)
    await desk.wait_for(NodeState.LIVE)
    with pytest.raises(SettingsError, match="keeps its name"):
        await inventory.rename_cluster("sim", "Mine")
    await inventory.add_node(node(1))
    home = inventory.cluster.value
    assert home is not None
    assert (home.name, home.is_simulated, shown(desk)) == ("My Sparks", False, ["spark-1"])
    assert names(desk) == ["My Sparks"], "a simulated cluster that is closed is not offered"
    await inventory.open(SIMULATED)
    assert names(desk) == ["My Sparks", "Simulated"]
    for node_id, cluster_id in (("n91", home.id), ("n1", "sim")):
        with pytest.raises(SettingsError, match="stay among themselves"):
            await inventory.move_node(node_id, cluster_id)
    assert shown(desk) == ["spark-91", "spark-92"]


async def test_a_node_of_another_cluster_is_known_and_a_copy_of_it_is_told_from_it(desk: FleetDesk) -> None:
    inventory = desk.inventory
    await inventory.add_node(node(1, machine_id="m", serial_hash="s1"))
    lab = await inventory.create_cluster("Lab")
    await inventory.open_known(lab.id)
    with pytest.raises(NodeError, match="same host key as spark-1"):
        await inventory.add_node(node(2, host_key="key 1", machine_id="m"))
    with pytest.raises(NodeError, match="two machines with the same host key and machine id"):
        await inventory.add_node(node(2, host_key="key 1", machine_id="m", serial_hash="s2"))
    assert shown(desk) == []


async def test_a_serial_is_learned_once_and_another_one_closes_the_line(desk: FleetDesk) -> None:
    inventory = desk.inventory
    await inventory.add_node(node(1))
    await desk.wait_for(NodeState.LIVE)
    inventory.set_serial_hash("n1", "")
    inventory.set_serial_hash("n1", "s1")
    assert inventory.status("n1").record.serial_hash == "s1"
    inventory.set_serial_hash("n1", "s1")
    assert inventory.status("n1").is_live
    inventory.set_serial_hash("n1", "s2")
    held = inventory.status("n1")
    assert held.state is NodeState.IDENTITY_CHANGED
    assert "product serial" in held.detail
    with pytest.raises(NodeError, match="another machine") as caught:
        await inventory.provide_password("n1", "secret")
    assert caught.value.remedy
    await saved(desk, lambda clusters: clusters[0].nodes[0].serial_hash == "s1")


async def test_what_many_nodes_say_of_themselves_at_once_is_all_kept(desk: FleetDesk, store: SqliteStore) -> None:
    inventory = desk.inventory
    numbers = range(1, 9)
    await inventory.open(ClusterRecord("c", "Lab", tuple(node(number) for number in numbers)))
    for number in numbers:
        inventory.set_facts(f"n{number}", NodeFacts(machine_id=f"m{number}"))
    await inventory.rename_node("n1", "Left")
    await saved(desk, lambda clusters: all(record.machine_id for record in clusters[0].nodes))
    again = await reopened(desk, store)
    (cluster,) = again.inventory.clusters.value
    assert [record.machine_id for record in cluster.nodes] == [f"m{number}" for number in numbers]
    assert cluster.nodes[0].name == "Left"


async def test_the_cluster_that_was_open_last_is_the_one_to_reopen(desk: FleetDesk, store: SqliteStore) -> None:
    inventory = desk.inventory
    await inventory.add_node(node(1))
    second = await inventory.create_cluster("Second")
    await inventory.open_known(second.id)
    await inventory.open(SIMULATED)
    again = await reopened(desk, store)
    await again.inventory.load()
    last = again.inventory.last_opened()
    assert last is not None
    assert last.id == second.id
    await again.inventory.remove_cluster(second.id)
    left = again.inventory.last_opened()
    assert left is not None
    assert left.id != second.id
    await again.close()
