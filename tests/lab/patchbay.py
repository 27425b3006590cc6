"""Plugs cables in and out of a whole lab at once: what is on which wire changes in a moment, no node is started anew.

The one rule: nothing is made or ended between two cablings; the far ends of all ports move among wires that are there.

    lab = Lab(4, folder, cables=None)
    bay = Patchbay(lab, wires=8, guests=(Guest("00:1b:21:00:00:01"),))
    bay.patch([Wire(((0, 0), (1, 0)))])
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.lab.lab import CAGE_PORTS, Holder, Lab, run_ip

Plug = tuple[int, int]
"""A node's index, and its cage."""
WIRE_MTU = 9216
PORT_MTU = 1500
SPEED_MBPS = 200_000
LINK_TIMEOUT_S = 60.0
_NO_PROOF = "/proc/sys/net/ipv6/conf/default/accept_dad"
"""0: an address is used at once. Nobody else can have these, and the proof of it takes a second at each new link."""


@dataclass(frozen=True, slots=True)
class Guest:
    """A machine that is no node of ours: it has a port or two, answers a ping, and that is all."""

    macs: tuple[str, ...]
    has_ipv6: bool = True


@dataclass(frozen=True, slots=True)
class Wire:
    """What is plugged together. `halves_out` are (plug, half 0 or 1) without a link."""

    plugs: tuple[Plug, ...]
    guests: tuple[int, ...] = ()
    is_switch: bool = False
    halves_out: tuple[tuple[Plug, int], ...] = ()
    deaf: Plug | None = None
    """Nothing that others send comes out at this plug."""
    mtu: int = WIRE_MTU


class Patchbay:
    """The plugs of a lab that was made with `cables=None`. Close it before the lab."""

    def __init__(self, lab: Lab, *, wires: int, guests: Sequence[Guest] = ()) -> None:
        self._lab = lab
        self._fabric = lab.nodes[0].fabric
        self._count = wires
        self._ends = [end_of((node.index, cage), half) for node in lab.nodes for cage in CAGE_PORTS for half in (0, 1)]
        self._guests: list[tuple[Holder, list[str]]] = []
        self._touched: set[tuple[int, str]] = set()
        for number in range(wires):
            self._fabric.add_bridge(f"wire{number}")
        for number, guest in enumerate(guests):
            self._add_guest(number, guest)
        for node in lab.nodes:
            node.run("sh", "-c", "for one in /proc/sys/net/ipv6/conf/en*/accept_dad; do echo 0 > $one; done")

    def _add_guest(self, number: int, guest: Guest) -> None:
        holder = Holder(
            ["--net"],
            ["bash", "-c", f"echo 0 > {_NO_PROOF}; read -r pid _ < /proc/self/stat; echo pid $pid; read -r _"],
            {"SPARKDESK_LAB": self._lab.marker},
        )
        ends = [f"g{number}p{half}" for half in range(len(guest.macs))]
        self._guests.append((holder, ends))
        for half, (end, mac) in enumerate(zip(ends, guest.macs, strict=True)):
            self._fabric.plug("", end, pid=holder.pid, port=f"eth{half}", mac=mac)
            mode = "" if guest.has_ipv6 else "addrgenmode none"
            run_ip(holder.pid, f"link set eth{half} {mode} up")
        self._ends += ends

    def guest_pid(self, number: int) -> int:
        """The process that holds a guest's network."""
        return self._guests[number][0].pid

    def patch(self, wires: Sequence[Wire]) -> None:
        """Pull every plug, then put these in."""
        assert len(wires) <= self._count
        self.reset_ports()
        lines = [line for end in self._ends for line in (f"link set {end} down", f"link set {end} nomaster")]
        for number, wire in enumerate(wires):
            lines += _lines_of(wire, f"wire{number}", self._plugged_ends(wire))
        run_ip(self._fabric.holder.pid, *lines)
        self._wait_until_up([end for wire in wires for end in self._plugged_ends(wire) if end.startswith("n")])

    def _wait_until_up(self, ends: Iterable[str]) -> None:
        """Linux tells a node of a new link within a second; nothing is sent before."""
        deadline_s = time.monotonic() + LINK_TIMEOUT_S
        for end in ends:
            index, cage, half = int(end[1:-3]), int(end[-2]), "ab".index(end[-1])
            state = self._lab.nodes[index].root / "sys/class/net" / CAGE_PORTS[cage][half] / "operstate"
            while state.read_text().strip() != "up":
                if time.monotonic() > deadline_s:
                    raise RuntimeError(f"{end} has no link")
                time.sleep(0.01)

    def _plugged_ends(self, wire: Wire) -> list[str]:
        ends = [end_of(plug, half) for plug in wire.plugs for half in (0, 1) if (plug, half) not in wire.halves_out]
        return ends + [end for number in wire.guests for end in self._guests[number][1]]

    # What is set on the nodes -------------------------------------------------------------------------------------

    def set_mtu(self, plug: Plug, mtu: int) -> None:
        """The MTU of both halves of a cage, until the next `patch` or `reset_ports`."""
        self._set(plug, *(f"link set {port} mtu {mtu}" for port in CAGE_PORTS[plug[1]]))

    def add_address(self, plug: Plug, half: int, address: str) -> None:
        """An address on one half, until the next `patch` or `reset_ports`."""
        self._set(plug, f"addr add {address} dev {CAGE_PORTS[plug[1]][half]}")

    def set_speed(self, plug: Plug, mbps: int) -> None:
        """What the node reads as the speed of both halves of a cage, until the next `patch` or `reset_ports`."""
        for port in CAGE_PORTS[plug[1]]:
            self._touched.add((plug[0], port))
            self._lab.nodes[plug[0]].set_speed(port, mbps)

    def _set(self, plug: Plug, *lines: str) -> None:
        self._touched |= {(plug[0], port) for port in CAGE_PORTS[plug[1]]}
        run_ip(self._lab.nodes[plug[0]].holder.pid, *lines)

    def reset_ports(self) -> None:
        """Take back what was set on the nodes; no plug is touched."""
        for index in {index for index, _ in self._touched}:
            ports = [port for one, port in self._touched if one == index]
            node = self._lab.nodes[index]
            for port in ports:
                node.set_speed(port, SPEED_MBPS)
            run_ip(node.holder.pid, *(f"link set {port} mtu {PORT_MTU}" for port in ports),
                   *(f"addr flush dev {port} scope global" for port in ports))  # fmt: skip
        self._touched.clear()

    def close(self) -> None:
        """End the guests."""
        for holder, _ in self._guests:
            with suppress(OSError):
                holder.close()


def end_of(plug: Plug, half: int) -> str:
    """The far end, in the fabric, of one half of a cage."""
    return f"n{plug[0]}p{plug[1]}{'ab'[half]}"


def _lines_of(wire: Wire, bridge: str, ends: Iterable[str]) -> list[str]:
    # A cable passes the frames that neighbours send to each other and no bridge passes on (LLDP's); a switch does not.
    mask = 0 if wire.is_switch else 0x4000
    lines = [f"link set {bridge} type bridge group_fwd_mask {mask}"]
    for end in ends:
        is_deaf = wire.deaf is not None and end in {end_of(wire.deaf, half) for half in (0, 1)}
        word = "off" if is_deaf else "on"
        lines += [
            f"link set {end} mtu {wire.mtu}",
            f"link set {end} master {bridge}",
            f"link set {end} type bridge_slave flood {word} mcast_flood {word} bcast_flood {word} learning {word}",
            f"link set {end} up",
        ]
    return lines
