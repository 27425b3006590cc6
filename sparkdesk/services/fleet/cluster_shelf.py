"""The clusters of this computer: what is saved, what a person renames, groups and removes.

The one rule: what people see changes at once and the store follows; a cluster of simulated nodes stays by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from sparkdesk.core.cluster.name import check_name, make_name
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.errors import SettingsError
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Store
from sparkdesk.services.ident import new_id

DEFAULT_NAME = "My Sparks"
KIND = "open_cluster"
LAST = "last"


class ClusterShelf:
    """Every cluster of real nodes, and the simulated one that was put in while it runs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_loaded = False
        self._loading = asyncio.Lock()
        self._last_id = ""
        self.clusters: Latest[tuple[ClusterRecord, ...]] = Latest(())

    async def load(self) -> None:
        """Read what is saved; the second call does nothing. Raises StoreError."""
        async with self._loading:
            if self._is_loaded:
                return
            saved = await self._store.clusters()
            self._last_id = (await self._store.documents(KIND)).get(LAST, b"").decode("utf-8", "replace")
            self._is_loaded = True
        shown = {cluster.id: cluster for cluster in self.clusters.value}
        kept = [shown.pop(cluster.id, cluster) for cluster in saved if not cluster.is_simulated or cluster.id in shown]
        self.clusters.set((*_without_doubles(kept), *shown.values()))

    def real(self) -> tuple[ClusterRecord, ...]:
        """The clusters of real nodes, oldest first."""
        return tuple(cluster for cluster in self.clusters.value if not cluster.is_simulated)

    async def note_opened(self, cluster: ClusterRecord) -> None:
        """Remember, for the next start, that this cluster is the open one. Raises StoreError."""
        if not cluster.is_simulated and cluster.id != self._last_id:
            self._last_id = cluster.id
            await self._store.save_document(KIND, LAST, cluster.id.encode())

    def last_opened(self) -> ClusterRecord | None:
        """The real cluster that was open last, else the oldest."""
        real = self.real()
        return next((cluster for cluster in real if cluster.id == self._last_id), real[0] if real else None)

    def get(self, cluster_id: str) -> ClusterRecord:
        """A cluster. KeyError when there is none."""
        for cluster in self.clusters.value:
            if cluster.id == cluster_id:
                return cluster
        raise KeyError(cluster_id)

    def holder(self, node_id: str) -> ClusterRecord:
        """The cluster that a node is in. KeyError when it is in none."""
        for cluster in self.clusters.value:
            if any(node.id == node_id for node in cluster.nodes):
                return cluster
        raise KeyError(node_id)

    def real_nodes(self, *, but: str = "") -> Iterator[NodeRecord]:
        """Every real node but the one with this id."""
        for cluster in self.real():
            yield from (node for node in cluster.nodes if node.id != but)

    def check_node_name(self, name: str, node_id: str) -> str:
        """The name as it is kept. Raises SettingsError when it is none or another node has it."""
        return check_name(name, (node.name for node in self.real_nodes(but=node_id)))

    def make_node_name(self, name: str, node_id: str) -> str:
        """A name that is free, as near to this one as can be."""
        return make_name(name, (node.name for node in self.real_nodes(but=node_id)))

    async def put(self, *changed: ClusterRecord) -> None:
        """Take in or replace clusters, as one change for who watches, and save them. Raises StoreError."""
        self.show(*changed)
        for cluster in changed:
            await self.save(cluster.id)

    async def save(self, cluster_id: str) -> None:
        """Save a cluster as it is now, not as it was when somebody asked for it. Raises StoreError."""
        for cluster in self.clusters.value:
            if cluster.id == cluster_id:  # one that was removed meanwhile needs no saving
                await self._store.save_cluster(cluster)

    def show(self, *changed: ClusterRecord) -> None:
        """As `put`, without saving."""
        new = {cluster.id: cluster for cluster in changed}
        kept = [new.pop(cluster.id, cluster) for cluster in self.clusters.value]
        self.clusters.set((*kept, *new.values()))

    def hide_simulated(self, but: str) -> None:
        """Take simulated clusters but this one out of sight: they are started anew, by themselves."""
        kept = tuple(cluster for cluster in self.clusters.value if not cluster.is_simulated or cluster.id == but)
        if kept != self.clusters.value:
            self.clusters.set(kept)

    async def create(self, name: str) -> ClusterRecord:
        """A new cluster without nodes. Raises SettingsError, StoreError."""
        await self.load()
        cluster = ClusterRecord(id=new_id(), name=check_name(name, self._names()), nodes=())
        await self.put(cluster)
        return cluster

    async def create_first(self) -> ClusterRecord:
        """A new cluster for nodes that nobody has grouped yet. Raises StoreError."""
        return await self.create(make_name(DEFAULT_NAME, self._names()))

    async def rename(self, cluster_id: str, name: str) -> ClusterRecord:
        """The cluster with another name. Raises KeyError, SettingsError, StoreError."""
        await self.load()
        cluster = self.get(cluster_id)
        if cluster.is_simulated:
            raise SettingsError("The simulated cluster keeps its name", remedy="Rename a cluster of your own nodes.")
        cluster = replace(cluster, name=check_name(name, self._names(but=cluster_id)))
        await self.put(cluster)
        return cluster

    async def remove(self, cluster_id: str) -> None:
        """Forget a cluster that has no nodes. Raises KeyError, SettingsError, StoreError."""
        await self.load()
        cluster = self.get(cluster_id)
        if cluster.nodes and not cluster.is_simulated:
            count = len(cluster.nodes)
            raise SettingsError(
                f"{cluster.name} has {count} node{'s' * (count > 1)}",
                remedy="Move them to another cluster, or remove them, first.",
            )
        self.clusters.set(tuple(other for other in self.clusters.value if other.id != cluster_id))
        await self._store.remove_cluster(cluster_id)

    def _names(self, *, but: str = "") -> list[str]:
        return [cluster.name for cluster in self.clusters.value if cluster.id != but]


def with_node(cluster: ClusterRecord, record: NodeRecord) -> ClusterRecord:
    """The cluster with this node, in its old place if it was there."""
    if any(node.id == record.id for node in cluster.nodes):
        return replace(cluster, nodes=tuple(record if node.id == record.id else node for node in cluster.nodes))
    return replace(cluster, nodes=(*cluster.nodes, record))


def without_node(cluster: ClusterRecord, node_id: str) -> ClusterRecord:
    """The cluster without this node."""
    return replace(cluster, nodes=tuple(node for node in cluster.nodes if node.id != node_id))


def _without_doubles(clusters: list[ClusterRecord]) -> Iterator[ClusterRecord]:
    """A node that was being moved when the program ended stands in both clusters: it stays where it was."""
    seen: set[str] = set()
    for cluster in clusters:
        kept = tuple(node for node in cluster.nodes if node.id not in seen)
        if not cluster.is_simulated:
            seen.update(node.id for node in kept)
        yield cluster if cluster.is_simulated or len(kept) == len(cluster.nodes) else replace(cluster, nodes=kept)
