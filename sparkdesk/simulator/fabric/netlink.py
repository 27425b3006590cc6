"""The few words of the kernel's routing socket that cables need: links, bridges, addresses. Without any program.

The one rule: every call waits for the kernel's answer and raises OSError with its errno; none decides anything.
Numbers. Source: linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/veth.h.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_NEWLINK, _DELLINK, _SETLINK, _NEWADDR, _DELADDR = 16, 17, 19, 20, 21
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_ERROR = 2
_NESTED = 0x8000
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_PROTINFO = 1, 3, 4, 10, 12
_IFLA_LINKINFO, _IFLA_AF_SPEC, _IFLA_NET_NS_FD = 18, 26, 28
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_BR_FORWARD_DELAY, _BR_GROUP_FWD_MASK, _BR_MCAST_SNOOPING = 1, 9, 23
_ALL_GROUPS = 0xFFF8  # all that Linux lets one choose
_BRPORT_LEARNING, _BRPORT_UNICAST_FLOOD, _BRPORT_MCAST_FLOOD, _BRPORT_BCAST_FLOOD = 8, 9, 27, 30
_INET6_ADDR_GEN_MODE, _GEN_NONE = 8, 1
_IFF_UP = 0x1
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Far:
    """The other end of a new veth: it comes up in the network behind `network`, an open file, with this number."""

    name: str
    mac: str
    number: int
    mtu: int
    network: int


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _nest(kind: int, *parts: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(parts))


def _link(number: int = 0, *, family: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", family, 0, number, flags, change)


def _name(name: str) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode("ascii") + b"\0")


def _mac(mac: str) -> bytes:
    return _attribute(_IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


class Netlink:
    """A routing socket of the network that this process is in."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))
        self._socket.settimeout(_TIMEOUT_S)
        self._count = 0

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._count += 1
        head = struct.pack("=IHHII", 16 + len(body), kind, flags | _REQUEST | _ACK, self._count, 0)
        self._socket.send(head + body)
        while True:
            data = self._socket.recv(65536)
            _length, answer, _flags, count, _port = struct.unpack_from("=IHHII", data)
            if answer == _ERROR and count == self._count:
                (error,) = struct.unpack_from("=i", data, 16)
                if error:
                    raise OSError(-error, f"netlink {kind}")
                return

    def add_bridge(self, name: str, *, is_switch: bool) -> None:
        """A bridge that is up, passes on at once and has no address of its own.

        A cable, other than a switch, passes on what is for the nearest bridge, too.
        """
        settings = _number(_BR_FORWARD_DELAY, 0) + _attribute(_BR_MCAST_SNOOPING, b"\0")
        if not is_switch:
            settings += _attribute(_BR_GROUP_FWD_MASK, struct.pack("=H", _ALL_GROUPS))
        info = _nest(_IFLA_LINKINFO, _attribute(_INFO_KIND, b"bridge"), _nest(_INFO_DATA, settings))
        self._ask(_NEWLINK, _CREATE | _EXCL, _link() + _name(name) + info)
        self.hide(socket.if_nametoindex(name))
        self.set_up(socket.if_nametoindex(name), is_up=True)

    def add_veth(self, name: str, number: int, far: Far, *, mtu: int) -> None:
        """A cable from `name` here, with this number, to the far end."""
        peer = _link(far.number) + _name(far.name) + _mac(far.mac) + _number(_IFLA_MTU, far.mtu)
        if far.network >= 0:
            peer += _number(_IFLA_NET_NS_FD, far.network)
        data = _nest(_INFO_DATA, _attribute(_VETH_PEER | _NESTED, peer))
        info = _nest(_IFLA_LINKINFO, _attribute(_INFO_KIND, b"veth"), data)
        self._ask(_NEWLINK, _CREATE | _EXCL, _link(number) + _name(name) + _number(_IFLA_MTU, mtu) + info)

    def hide(self, number: int) -> None:
        """Give this link no IPv6 address when it comes up: it is a part of a cable and says nothing."""
        mode = _nest(socket.AF_INET6, _attribute(_INET6_ADDR_GEN_MODE, bytes([_GEN_NONE])))
        self._ask(_SETLINK, 0, _link(number) + _nest(_IFLA_AF_SPEC, mode))

    def set_up(self, number: int, *, is_up: bool) -> None:
        """Switch a link on or off; the other end of a veth sees its carrier come and go."""
        self._ask(_SETLINK, 0, _link(number, flags=_IFF_UP if is_up else 0, change=_IFF_UP))

    def set_mtu(self, number: int, mtu: int) -> None:
        """The largest packet that this link takes."""
        self._ask(_SETLINK, 0, _link(number) + _number(_IFLA_MTU, mtu))

    def set_master(self, number: int, bridge: int) -> None:
        """Put a link on a bridge, or on none (0)."""
        self._ask(_SETLINK, 0, _link(number) + _number(_IFLA_MASTER, bridge))

    def set_deaf(self, number: int, *, is_deaf: bool) -> None:
        """Let nothing that others send come out at this link of a bridge, or everything."""
        kinds = (_BRPORT_LEARNING, _BRPORT_UNICAST_FLOOD, _BRPORT_MCAST_FLOOD, _BRPORT_BCAST_FLOOD)
        parts = [_attribute(kind, bytes([not is_deaf])) for kind in kinds]
        self._ask(_SETLINK, 0, _link(number, family=socket.AF_BRIDGE) + _nest(_IFLA_PROTINFO, *parts))

    def remove(self, number: int) -> None:
        """Take a link away, with its other end."""
        self._ask(_DELLINK, 0, _link(number))

    def add_address(self, number: int, address: str) -> None:
        """Give a link an IPv4 address, "192.168.100.1/24"."""
        self._ask(_NEWADDR, _CREATE | _EXCL, _address(number, address))

    def remove_address(self, number: int, address: str) -> None:
        """Take it away again."""
        self._ask(_DELADDR, 0, _address(number, address))

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


def _address(number: int, address: str) -> bytes:
    text, _slash, prefix = address.partition("/")
    data = socket.inet_aton(text)
    wide = int.from_bytes(data, "big") | (1 << (32 - int(prefix))) - 1
    head = struct.pack("=BBBBI", socket.AF_INET, int(prefix), 0, 0, number)
    parts = ((_IFA_LOCAL, data), (_IFA_ADDRESS, data), (_IFA_BROADCAST, wide.to_bytes(4, "big")))
    return head + b"".join(_attribute(kind, value) for kind, value in parts)
