"""Whether two records mean one machine: host key, machine id, and the serial's hash where copies share both.

The one rule: what cannot be told apart is never merged silently; and an address or a name is no evidence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.errors import NodeError

_NEW_KEYS = "sudo rm /etc/ssh/ssh_host_* && sudo dpkg-reconfigure openssh-server"
_NEW_ID = "sudo rm /etc/machine-id && sudo systemd-machine-id-setup"


class Likeness(StrEnum):
    """What two records are to each other."""

    OTHER = "other"
    SAME = "same"
    """One machine, as far as can be told."""
    COPY = "copy"
    """Two machines, one of which was copied from the other: they share a host key."""


def compare(one: NodeRecord, two: NodeRecord) -> Likeness:
    """Whether two records mean one machine. A machine id or serial that one of them lacks is no difference."""
    if not one.host_key or one.host_key != two.host_key:
        return Likeness.OTHER
    has_other_id = bool(one.machine_id and two.machine_id) and one.machine_id != two.machine_id
    has_other_serial = bool(one.serial_hash and two.serial_hash) and one.serial_hash != two.serial_hash
    return Likeness.COPY if has_other_id or has_other_serial else Likeness.SAME


def check_new(record: NodeRecord, others: Iterable[NodeRecord]) -> None:
    """Raise NodeError when the record means a machine that is known already, or a copy of one."""
    for other in others:
        match compare(record, other):
            case Likeness.SAME:
                raise NodeError(
                    f"{record.name} has the same host key as {other.name}",
                    remedy=f"It is the same machine, or one was copied from the other. If it is the same, add this "
                    f"address to {other.name}; if it is a copy, make new keys on it: {_NEW_KEYS}",
                    node=record.name,
                )
            case Likeness.COPY:
                raise copy_error(record, other)


def copy_error(record: NodeRecord, other: NodeRecord) -> NodeError:
    """The error for a machine that another one was copied from: whoever holds one's keys can pose as the other."""
    has_same_id = bool(record.machine_id) and record.machine_id == other.machine_id
    shared = "host key and machine id" if has_same_id else "host key"
    fix = f"{_NEW_ID}; {_NEW_KEYS}" if has_same_id else _NEW_KEYS
    return NodeError(
        f"{record.name} and {other.name} are two machines with the same {shared}",
        remedy=f"One was copied from the other. On the copy run: {fix}; then restart it and add it again.",
        node=record.name,
    )


def addresses_of(record: NodeRecord) -> tuple[tuple[str, int], ...]:
    """Where the node may be met, its main address first. What cannot be read as "address:port" is left out."""
    found = [(record.address, record.port)]
    for text in record.other_addresses:
        address, _, port = text.rpartition(":")
        address = address.removeprefix("[").removesuffix("]")
        if address and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            place = (address, int(port))
            if place not in found:
                found.append(place)
    return tuple(found)


def write_address(address: str, port: int) -> str:
    """As `NodeRecord.other_addresses` keeps it; an IPv6 address in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def with_address(record: NodeRecord, address: str, port: int) -> NodeRecord:
    """The record with one more address where this same machine was met."""
    if (address, port) in addresses_of(record):
        return record
    return replace(record, other_addresses=(*record.other_addresses, write_address(address, port)))
