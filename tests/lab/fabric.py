"""Changes to the lab's cables while it runs: what a person, a switch or a broken wire would do to them."""

from __future__ import annotations

from tests.lab.lab import CAGE_PORTS, Lab, run_ip


def _run(lab: Lab, *lines: str) -> None:
    run_ip(lab.nodes[0].fabric.holder.pid, *lines)


def join_switch(lab: Lab) -> None:
    """Put the plugs of all nodes' first cages into one switch."""
    _run(lab, *(f"link set n{node.index}p0{half} master cable0" for node in lab.nodes for half in "ab"))


def set_wire_mtu(lab: Lab, mtu: int, *, cage: int) -> None:
    """What the first cable, between these cages of the first two nodes, can carry."""
    _run(lab, *(f"link set n{index}p{cage}{half} mtu {mtu}" for index in (0, 1) for half in "ab"))
    _run(lab, f"link set cable0 mtu {mtu}")


def set_one_way(lab: Lab, *, deaf: int, cage: int) -> None:
    """Nothing that others send comes out at this node's end of its cable; what it sends gets through."""
    _run(lab, *(f"link set n{deaf}p{cage}{half} type bridge_slave flood off mcast_flood off bcast_flood off"
                for half in "ab"))  # fmt: skip


def use_stable_addresses(lab: Lab) -> None:
    """Give every port a link-local address that does not hold its hardware address, as some systems do."""
    for node in lab.nodes:
        for port in (port for ports in CAGE_PORTS.values() for port in ports):
            node.run("ip", "link", "set", port, "down")
            node.run("ip", "link", "set", port, "addrgenmode", "random")
            node.run("ip", "link", "set", port, "up")
