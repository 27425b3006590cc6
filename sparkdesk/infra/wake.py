"""Wakes a node over the network: a magic packet by UDP broadcast. The one rule: it sends, and never says that
it worked.

Unverified on hardware [wake-on-lan]: whether a Spark's RJ45 port is armed after a shut-down.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence

from sparkdesk.core.errors import Unreachable

PORTS = (9, 7)
"""Discard and echo, the two that are used for this. Source: AMD, Magic Packet Technology (1995): any port will do."""
LIMITED = "255.255.255.255"
COPIES = 3
_MAC = re.compile(r"^[0-9a-f]{2}([:-][0-9a-f]{2}){5}\Z", re.IGNORECASE)


def magic_packet(mac: str) -> bytes:
    """Six times 0xFF, then the hardware address sixteen times. Raises ValueError for what is no such address.

    Source: AMD, Magic Packet Technology, white paper 20213 (1995).
    """
    if not _MAC.match(mac):
        raise ValueError(f"not a hardware address: {mac!r}")
    return b"\xff" * 6 + bytes.fromhex(re.sub("[:-]", "", mac)) * 16


def broadcast_addresses(addresses: Sequence[str]) -> tuple[str, ...]:
    """Where to send: this network, and the last networks of the node, each taken for a /24."""
    found = [LIMITED]
    for address in addresses:
        try:
            network = ipaddress.ip_network(f"{address}/24", strict=False)
        except ValueError:
            continue  # a name: nobody answers for it now
        if network.version == 4:
            found.append(str(network.broadcast_address))
    return tuple(dict.fromkeys(found))


class MagicPacketWaker:
    """Fulfils core's Waker."""

    def __init__(self, ports: Sequence[int] = PORTS) -> None:
        self._ports = tuple(ports)

    async def wake(self, macs: Sequence[str], addresses: Sequence[str]) -> None:
        """Send to each hardware address. Raises Unreachable when nothing could be sent."""
        packets = [magic_packet(mac) for mac in macs if _MAC.match(mac)]
        problem, sent = "no hardware address is known", 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for packet in packets * COPIES:
                for address in broadcast_addresses(addresses):
                    for port in self._ports:
                        try:
                            sent += sender.sendto(packet, (address, port))
                        except OSError as error:
                            problem = str(error)
        if not sent:
            raise Unreachable(
                f"No wake-up could be sent: {problem}",
                remedy="Connect this computer to the Spark's network by cable or WLAN, or press its power button.",
            )
