"""What a node tells of its own QSFP ports and of what came in through them: the ground on which cabling is recognised.

The one rule: a fact is what the node itself read or heard in this look; what it could not read is None or empty.
Each cage is two halves, each with a netdev and an RDMA device. Source: NVIDIA/dgx-spark-playbooks, connect-two-sparks.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace

from sparkdesk.core.cluster.neighbour import SeenHost
from sparkdesk.core.cluster.port import CAGE_NETDEVS

End = tuple[str, str]
"""One cage of one node: node id and "P0" or "P1"."""

_CAGE_OF = {netdev: cage for cage, netdevs in CAGE_NETDEVS.items() for netdev in netdevs}
_SUFFIX = re.compile(r"f([01])(?:np[01])?$")


def cage_of(netdev: str) -> str:
    """The cage of a netdev, by the f0/f1 in its name; "" when the name has none."""
    known = _CAGE_OF.get(netdev)
    if known is not None:
        return known
    found = _SUFFIX.search(netdev)
    return f"P{found.group(1)}" if found is not None else ""


@dataclass(frozen=True, slots=True)
class Half:
    """One half of a cage, as its node reads it. `speed_gbps` is NaN when unknown, `addresses` are "192.168.1.2/24"."""

    node_id: str
    netdev: str
    rdma_device: str = ""
    mac: str = ""
    link_local: str = ""
    carrier: bool | None = None
    speed_gbps: float = math.nan
    mtu: int | None = None
    addresses: tuple[str, ...] = ()
    is_rdma_active: bool | None = None
    """None when the node shows no RDMA devices at all."""
    link_changes: int | None = None
    """How often the link has come or gone since the node started; None when it is not told."""

    @property
    def cage(self) -> str:
        """The cage that this half belongs to; "" when the name does not tell."""
        return cage_of(self.netdev)


@dataclass(frozen=True, slots=True)
class HeardBeacon:
    """How often a half heard another one: `plain` small beacons, `sized` ones as long as the sender's MTU allows."""

    netdev: str
    from_node: str
    from_netdev: str
    plain: int
    sized: int = 0


@dataclass(frozen=True, slots=True)
class HeardFrame:
    """How often a half heard another one below all addresses: frames to `everybody`, and to the `nearest` bridge.

    No bridge passes on the second kind: who hears the first only is behind a switch. Source: IEEE 802.1Q, table 8-1.
    """

    netdev: str
    from_node: str
    from_netdev: str
    everybody: int
    nearest: int = 0


@dataclass(frozen=True, slots=True)
class LldpName:
    """How the device at the other end names itself on a half, by LLDP. Untrusted text, bounded."""

    netdev: str
    name: str
    mac: str = ""
    is_bridge: bool = False


@dataclass(frozen=True, slots=True)
class NodeView:
    """All that one node told in one look. `macs` are all its own hardware addresses, of other ports too."""

    name: str = ""
    halves: tuple[Half, ...] = ()
    macs: frozenset[str] = frozenset()
    heard: tuple[HeardBeacon, ...] = ()
    seen: tuple[SeenHost, ...] = ()
    """Who answered a ping of all hosts, in this look."""
    lldp: tuple[LldpName, ...] = ()
    sized_sent: frozenset[str] = field(default_factory=frozenset)
    """The netdevs that sent sized beacons."""
    did_answer: bool = True
    note: str = ""
    frames: tuple[HeardFrame, ...] = ()
    """Heard in an earlier look below all addresses, on links that have not changed since."""
    askers: tuple[tuple[str, str], ...] = ()
    """(netdev, hardware address) of who asked for an IPv4 address in that look."""

    def as_absent(self) -> NodeView:
        """The same node when it could not be asked: its hardware addresses are still its own, nothing else is told."""
        halves = tuple(Half(half.node_id, half.netdev, mac=half.mac) for half in self.halves)
        return replace(
            self, halves=halves, heard=(), seen=(), lldp=(), sized_sent=frozenset(), did_answer=False, note="",
            frames=(), askers=(),
        )  # fmt: skip
