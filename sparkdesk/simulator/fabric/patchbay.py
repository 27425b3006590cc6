"""The process that owns the network between the nodes: bridges for wires and switches, and the far ends of all ports.

The one rule: it does what the model (port.py) says and decides nothing; it has a network of its own and never sees that
of this computer. When the simulator's end of its socket closes it ends, and its network with it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

from sparkdesk.simulator.confinement import namespace, privilege
from sparkdesk.simulator.confinement import syscall as sc
from sparkdesk.simulator.fabric.netlink import Far, Netlink
from sparkdesk.simulator.node import wire

_DEVICE_MTU = 9000
_BRIDGE_MTU = 9216


def main() -> None:
    """Serve on the open socket whose number is this process's last argument."""
    number = int(sys.argv[-1])
    os.set_inheritable(number, False)
    control = socket.socket(fileno=number)
    namespace.die_with_parent(os.getppid())
    try:
        files = _leave_host()
        bay = Patchbay()
    except OSError as error:
        wire.send(control, {"op": "failed", "reason": str(error)})
        return
    wire.send(control, {"op": "ready"}, files)
    wire.close_all(list(files))
    while (packet := wire.receive(control)) is not None:
        message, got = packet
        try:
            bay.do(message, got)
            wire.send(control, {"op": "done"})
        except OSError as error:
            wire.send(control, {"op": "failed", "reason": str(error)})
        finally:
            wire.close_all(got)


def _leave_host() -> tuple[int, ...]:
    """Take a network of one's own. An ordinary user needs a user namespace for it, which the nodes must be in, too.

    Returns an open file of that user namespace, if there is one. Raises OSError.
    """
    if os.geteuid() == 0:
        sc.unshare(sc.CLONE_NEWNET)
        privilege.keep_network_rights()
        files: tuple[int, ...] = ()
    else:
        user, group = os.geteuid(), os.getegid()
        sc.unshare(sc.CLONE_NEWUSER | sc.CLONE_NEWNET)
        namespace.map_one(os.getpid(), user=(user, user), group=(group, group))
        files = (os.open("/proc/self/ns/user", os.O_RDONLY | os.O_CLOEXEC),)
    namespace.settle_network(Path("/proc/sys/net"))
    return files


class Patchbay:
    """The far ends and what they are on."""

    def __init__(self) -> None:
        self._netlink = Netlink()
        self._known: dict[str, dict[str, Any]] = {}
        """Per far end what was done to it last."""
        self._devices: dict[str, str] = {}

    def do(self, message: wire.Message, files: list[int]) -> None:
        """plug: make the ports of a node in its network, an open file. wires: let everything be as told."""
        if message["op"] == "plug":
            for port in message["ports"]:
                self._plug(port, files[0])
        elif message["op"] == "wires":
            self._set_wires(message["ports"], message["devices"])

    def _plug(self, port: dict[str, Any], network: int) -> None:
        name = str(port["end"])
        self._drop(name)
        far = Far(str(port["netdev"]), str(port["mac"]), int(port["number"]), int(port["mtu"]), network)
        self._netlink.add_veth(name, int(port["index"]), far, mtu=_BRIDGE_MTU)
        self._netlink.hide(int(port["index"]))

    def _drop(self, name: str) -> None:
        """A node that went down took its ends along, but the kernel may not be done yet."""
        self._known.pop(name, None)
        with contextlib.suppress(OSError):
            self._netlink.remove(socket.if_nametoindex(name))

    def _set_wires(self, ports: list[dict[str, Any]], devices: list[dict[str, Any]]) -> None:
        there = {name: number for number, name in socket.if_nameindex()}
        wanted = {str(port["segment"]): bool(port["is_switched"]) for port in ports if port["segment"]}
        for segment in sorted(wanted.keys() - there.keys()):
            self._netlink.add_bridge(segment, is_switch=wanted[segment])
            there[segment] = socket.if_nametoindex(segment)
        for port in ports:
            name = str(port["end"])
            if name in there and self._known.get(name) != port:
                self._known.pop(name, None)
                self._set_port(there[name], port, there)
                self._known[name] = port
        self._set_devices({str(device["segment"]): str(device["mac"]) for device in devices}, there)

    def _set_port(self, number: int, port: dict[str, Any], there: dict[str, int]) -> None:
        self._netlink.set_up(number, is_up=False)
        self._netlink.set_master(number, 0)  # forgets who is behind it, too
        self._netlink.set_mtu(number, int(port["mtu"]))
        if port["segment"]:
            self._netlink.set_master(number, there[str(port["segment"])])
            if port["is_deaf"]:
                self._netlink.set_deaf(number, is_deaf=True)
        if port["carrier"]:
            self._netlink.set_up(number, is_up=True)

    def _set_devices(self, wanted: dict[str, str], there: dict[str, int]) -> None:
        for segment in self._devices.keys() - wanted.keys():
            self._netlink.remove(socket.if_nametoindex(f"{segment}x"))
            del self._devices[segment]
        for segment, mac in wanted.items():
            if segment in self._devices or segment not in there:
                continue
            far = Far(f"{segment}y", mac, 0, _DEVICE_MTU, -1)
            self._netlink.add_veth(f"{segment}x", 0, far, mtu=_BRIDGE_MTU)
            plug = socket.if_nametoindex(f"{segment}x")
            self._netlink.hide(plug)
            self._netlink.set_master(plug, there[segment])
            for number in (plug, socket.if_nametoindex(f"{segment}y")):
                self._netlink.set_up(number, is_up=True)
            self._devices[segment] = mac
