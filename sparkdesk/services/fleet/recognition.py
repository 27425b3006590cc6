"""Whether a machine that was just signed in to is a node that is known already, and what follows from it.

The one rule: two machines are never merged silently, and a changed host key is never taken over because something else
is the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.identity import Likeness, compare, copy_error, with_address, write_address
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.errors import NodeError
from sparkdesk.core.feed import Latest
from sparkdesk.services.fleet.enrol_screen import Screen


class Fleet(Protocol):
    """The nodes of this computer, and where a new one is kept."""

    clusters: Latest[tuple[ClusterRecord, ...]]

    async def add_node(self, record: NodeRecord, *, password: str = "") -> None:
        """Keep it and connect to it. Raises NodeError, StoreError."""
        ...

    async def update_node(self, record: NodeRecord) -> None:
        """Keep what is new about it. Raises KeyError, NodeError, StoreError."""
        ...


def known_nodes(fleet: Fleet) -> list[NodeRecord]:
    """Every node of this computer that is no simulated one."""
    return [node for cluster in fleet.clusters.value if not cluster.is_simulated for node in cluster.nodes]


class Recognition:
    """Compares one machine with those that are known, and asks the person where that is not enough."""

    def __init__(self, fleet: Fleet, screen: Screen) -> None:
        self._fleet = fleet
        self._screen = screen

    async def is_new(self, record: NodeRecord, known: NodeRecord | None) -> bool:
        """Whether to go on; a machine that is known already is dealt with here."""
        if known is not None and _likeness(replace(record, id=known.id), known) is Likeness.COPY:
            raise copy_error(replace(record, name=f"The machine at {record.address}"), known)
        for other in known_nodes(self._fleet):
            if other.id == record.id:
                continue
            if _likeness(record, other) is Likeness.COPY:
                raise copy_error(record, other)
            if record.host_key == other.host_key:
                await self._add_address(record, other)
                return False
            if record.machine_id and record.machine_id == other.machine_id and not _is_told_apart(record, other):
                await self._ask_reinstalled(record, other)
        return True

    async def _add_address(self, record: NodeRecord, other: NodeRecord) -> None:
        """The same machine, met at another address: a person says so, and the address is kept with it."""
        self._screen.say(f"it has the host key of {other.name}, and nothing tells the two apart")
        self._screen.note(
            message=f"This is {other.name}, met at another address",
            remedy="If it is the same machine, the address is added to it.",
            known_as=other.name,
        )
        answer = await self._screen.ask(EnrolStage.SAME_NODE)
        if not answer.is_yes:
            raise copy_error(record, other)
        if record.jump is None:
            where = write_address(record.address, record.port)
            await self._fleet.update_node(with_address(other, record.address, record.port))
            words = f"{where} is now another address of {other.name}"
        else:
            words = f"{other.name} is known already; a way through a jump host is not kept as a second address"
        self._screen.finish(other.id, words)

    async def _ask_reinstalled(self, record: NodeRecord, other: NodeRecord) -> None:
        """The same machine id behind another host key: installed anew, or a copy. Raises NodeError unless a copy."""
        self._screen.note(
            message=f"It has the machine id of {other.name}, but another host key",
            remedy=f"If it is {other.name}, installed anew, say that it is the same. If it is another machine, whose "
            "disk was copied, it is added as a node of its own.",
            known_as=other.name,
        )
        answer = await self._screen.ask(EnrolStage.SAME_NODE)
        if answer.is_yes:
            raise NodeError(
                f"{other.name} is kept with another host key",
                remedy=f"Remove {other.name} here first, then add it again: its new key is not taken over silently.",
                node=record.name,
            )
        self._screen.note()


def _likeness(record: NodeRecord, other: NodeRecord) -> Likeness:
    """As `compare`, but a machine without one network port of the other's is a copy of it, too."""
    likeness = compare(record, other)
    return Likeness.COPY if likeness is Likeness.SAME and _has_other_ports(record, other) else likeness


def _is_told_apart(record: NodeRecord, other: NodeRecord) -> bool:
    has_other_serial = bool(record.serial_hash and other.serial_hash) and record.serial_hash != other.serial_hash
    return has_other_serial or _has_other_ports(record, other)


def _has_other_ports(record: NodeRecord, other: NodeRecord) -> bool:
    return bool(record.macs and other.macs) and not set(record.macs) & set(other.macs)
