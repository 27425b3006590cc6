"""The addresses of a cluster's cables: adopted where a valid scheme stands, else chosen free of every node's routes.

The one rule: what stands and works is kept; nothing that another file set is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["kept", "chosen"]
"""KEPT: the node has this address, or a file of it gives it as soon as a link comes. CHOSEN: our file will give it."""


@dataclass(frozen=True, slots=True)
class HalfAddress:
    """The address of one half of a cage: node, netdev, "192.168.100.2/24", and where it comes from."""

    node_id: str
    cage: str
    netdev: str
    address: str
    origin: Origin = "chosen"
    mtu: int = 9000
    needs_mtu: bool = False
    """Whether our file must set the MTU, because what stands has another one."""
    is_set_elsewhere: bool = False
    """Of a kept one: whether another netplan file, which could be read, gives it. Our own file then need not."""
    leased: tuple[str, ...] = ()
    """What DHCP gave this netdev: it stays on, and nothing of it is written down."""
    beside: tuple[str, ...] = ()
    """Other addresses that stand on this netdev and stay there."""
    waits: bool = False
    """Whether the half has no link: systemd-networkd sets its address when that comes, and not before."""
    is_lasting: bool | None = True
    """Of a kept one: whether a netplan file gives it after the next start; None where not every file could be read."""
    is_mtu_lasting: bool | None = True
    """The same of the MTU that stands, where it is large enough."""

    @property
    def is_to_set(self) -> bool:
        """Whether our file must give it something that is not there, or would not stay."""
        return self.origin == "chosen" or self.needs_mtu or False in (self.is_lasting, self.is_mtu_lasting)

    @property
    def is_leased(self) -> bool:
        """Whether the address itself is one of DHCP."""
        return self.address in self.leased

    @property
    def host(self) -> str:
        """The address without its prefix."""
        return self.address.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Lane:
    """The halves that share one subnet: the two ends of one half of a cable, or one half of every node on a switch."""

    cable: str
    """The key of the cable, or "switch", "switch2"."""
    half: int
    """0 or 1: which PCIe half."""
    subnet: str
    ends: tuple[HalfAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Scheme:
    """All lanes of the cluster. `problems` are sentences on what cannot be addressed, and why."""

    lanes: tuple[Lane, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences on what a person should know: what was adopted, which foreign address should go."""

    def of_node(self, node_id: str) -> tuple[HalfAddress, ...]:
        """The addresses of one node, in the order of the lanes."""
        return tuple(end for lane in self.lanes for end in lane.ends if end.node_id == node_id)

    @property
    def is_kept(self) -> bool:
        """Whether nothing is to be set: every address and MTU stands already."""
        return not any(end.is_to_set for lane in self.lanes for end in lane.ends)
