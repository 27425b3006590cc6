"""Count what crosses the fast ports: packets of the kernel, and RDMA that a program of the node declares.

The one rule: as on a Spark, RDMA passes the kernel by. Packets move the network device's counters, RDMA those of the
RDMA device, and where nothing runs both stand still.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from sparkdesk.simulator.machine import gb10

MAX_BYTES_PER_S = 25e9  # of a cage: 200 Gb/s
_MAX_FILE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Counts:
    """What a port counted so far."""

    received_bytes: int = 0
    received_packets: int = 0
    sent_bytes: int = 0
    sent_packets: int = 0
    rdma_received_bytes: int = 0
    rdma_sent_bytes: int = 0
    link_changes: int = 1
    """How often the link came or went; the first is that of the start."""


def start_counts() -> dict[str, Counts]:
    """Every fast port of a node that has just started, by network device."""
    return {half.netdev: Counts() for half in gb10.HALVES}


def count_change(before: Counts, *, has_changed: bool) -> Counts:
    """The counts of a port after its link came or went."""
    return replace(before, link_changes=before.link_changes + 1) if has_changed else before


def count(
    before: dict[str, Counts], dt_s: float, packets: Path | None, rdma: Path, alive: Collection[int]
) -> dict[str, Counts]:
    """The counts `dt_s` later. `packets` is the kernel's table of devices, `rdma` the folder of what is declared."""
    after = dict(before)
    for netdev, numbers in (_read_packets(packets) if packets is not None else {}).items():
        if netdev in after:
            after[netdev] = replace(
                after[netdev],
                received_bytes=numbers[0],
                received_packets=numbers[1],
                sent_bytes=numbers[8],
                sent_packets=numbers[9],
            )
    netdevs = {half.rdma: half.netdev for half in gb10.HALVES}
    for device, received, sent in _read_declared(rdma, alive):
        now = after.get(netdevs.get(device, ""))
        if now is not None:
            after[netdevs[device]] = replace(
                now,
                rdma_received_bytes=now.rdma_received_bytes + int(received * dt_s),
                rdma_sent_bytes=now.rdma_sent_bytes + int(sent * dt_s),
            )
    return after


def _read_packets(file: Path) -> dict[str, list[int]]:
    found = {}
    try:
        lines = file.read_text("ascii", "replace").splitlines()[2:]
    except OSError:
        return {}
    for line in lines:
        name, _colon, rest = line.partition(":")
        numbers = [int(word) for word in rest.split()]
        if len(numbers) >= 10:
            found[name.strip()] = numbers
    return found


def _read_declared(folder: Path, alive: Collection[int]) -> list[tuple[str, float, float]]:
    """Device, bytes received and sent a second, of processes that live. What a file claims is bounded."""
    found = []
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    for name in names:
        row = _read_row(folder / name, alive)
        if row is not None:
            found.append(row)
        elif name.endswith(".json"):
            try:
                os.unlink(folder / name)
            except OSError:
                continue
    return found


def _read_row(file: Path, alive: Collection[int]) -> tuple[str, float, float] | None:
    try:
        with open(file, "rb") as stream:
            row = json.loads(stream.read(_MAX_FILE_BYTES))
        if int(row["pid"]) not in alive:
            return None
        rates = [min(MAX_BYTES_PER_S, max(0.0, float(row[name]))) for name in ("received", "sent")]
        return str(row["device"])[:32], rates[0], rates[1]
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError):
        return None
