"""Listens on this node's CX-7 ports below all addresses: for machines without any, and for a switch that names itself.

    frames.py TOKEN NODE_ID [SECONDS]

Needs root; run it on all nodes at the same time. On each CX-7 port with a carrier it sends small Ethernet frames of the
type for local experiments (0x88B5, IEEE 802) that name this node and port: one to everybody, and one to the address of
the nearest bridge (01:80:C2:00:00:0E), which no bridge passes on. So where the first kind arrives and the second does
not, there is a switch between; where both do, it is a cable. It counts those of the same token that come in, and
notes who sends what only a switch sends (spanning tree), who names itself (LLDP), and who asks for an IPv4 address
(ARP). Changes nothing, leaves nothing, passes nothing on of what it hears but names. Prints one JSON object.
Stdlib only, 3.8+. That a ConnectX-7 hands up frames for the nearest bridge: unverified on hardware [nearest-bridge].
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 0x0003
EXPERIMENT, LLDP, ARP = 0x88B5, 0x88CC, 0x0806
EVERYBODY = b"\xff" * 6
NEAREST_BRIDGE = b"\x01\x80\xc2\x00\x00\x0e"
SPANNING_TREE = b"\x01\x80\xc2\x00\x00\x00"
# Linux's numbers (linux/if_packet.h), which Python does not name. What this machine sends is heard, too.
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_ALLMULTI = 263, 1, 2
PACKET_OUTGOING = 4
PERIOD_S = 0.2
LISTEN_S = 4.0
"""A spanning tree speaks every 2 s, LLDP every 30 s."""
MAX_LISTEN_S = 60.0
MAX_FRAME_BYTES = 2048
MAX_PORTS = 8
MAX_HEARD = 4096
MAX_NAMES = 64
MELLANOX = "0x15b3"
CX7_NAME = re.compile(r"^en[pP]\d*[pP]?\d*s0f\d+np\d+$")
ROOT = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")
NET = ROOT + "/sys/class/net"
CHASSIS_ID, SYSTEM_NAME, CAPABILITIES = 1, 5, 7
MAC_SUBTYPE, BRIDGE_BIT = 4, 0x0004
"""Source: IEEE 802.1AB, 8.5.2.2 and 8.5.8.1."""


def read_text(path: str) -> str:
    """A small file, stripped; empty when it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read(200).strip()
    except OSError:
        return ""


def find_ports() -> list[str]:
    """The ports of ConnectX cards that have a link, by the PCI vendor, else by name."""
    try:
        names = sorted(os.listdir(NET))
    except OSError:
        names = []
    found = [name for name in names if read_text(f"{NET}/{name}/device/vendor") == MELLANOX]
    found = (found or [name for name in names if CX7_NAME.match(name)])[:MAX_PORTS]
    return [name for name in found if read_text(f"{NET}/{name}/carrier") == "1"]


def mac_text(raw: bytes) -> str:
    """ "4c:bb:47:00:00:01"."""
    return ":".join(f"{byte:02x}" for byte in raw)


def read_lldp(payload: bytes) -> dict[str, object]:
    """Who it says it is: name, hardware address, whether it is a bridge. Whatever comes in, nothing is raised."""
    found: dict[str, object] = {}
    at = 0
    while at + 2 <= len(payload):
        head = struct.unpack_from("!H", payload, at)[0]
        kind, size = head >> 9, head & 0x1FF
        value = payload[at + 2 : at + 2 + size]
        at += 2 + size
        if kind == 0 or len(value) < size:
            break
        if kind == CHASSIS_ID and value[:1] == bytes([MAC_SUBTYPE]) and size == 7:
            found["mac"] = mac_text(value[1:])
        elif kind == SYSTEM_NAME:
            found["name"] = value.decode("utf-8", "replace")[:200]
        elif kind == CAPABILITIES and size == 4:
            found["is_bridge"] = bool(struct.unpack("!HH", value)[1] & BRIDGE_BIT)
    return found


class Ear:
    """Raw sockets on all ports, and what came in."""

    def __init__(self, token: str, node_id: str) -> None:
        self.token, self.node_id = token, node_id
        self.sockets: dict[socket.socket, str] = {}
        self.errors: dict[str, str] = {}
        self.heard: dict[tuple[str, str, str], list[int]] = {}
        """(port, node, its port): how many to everybody, how many to the nearest bridge."""
        self.lldp: dict[tuple[str, str], dict[str, object]] = {}
        self.bridges: dict[str, str] = {}
        self.askers: dict[tuple[str, str], None] = {}

    def open(self, name: str) -> None:
        """Listen to all frames of one port; also to those for addresses of groups that nobody here has joined."""
        try:
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            end.bind((name, ETH_P_ALL))
            request = struct.pack("iHH8s", socket.if_nametoindex(name), PACKET_MR_ALLMULTI, 0, b"")
            end.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)  # until the socket is closed
            end.setblocking(False)
        except OSError as error:
            self.errors[name] = str(error)
            return
        self.sockets[end] = name

    def send(self) -> None:
        """One frame of each kind on each port."""
        for end, name in self.sockets.items():
            own = end.getsockname()[4]
            for number, target in enumerate((EVERYBODY, NEAREST_BRIDGE)):
                text = json.dumps([self.token, self.node_id, name, number]).encode()
                frame = target + own + struct.pack("!H", EXPERIMENT) + text
                try:
                    end.send(frame.ljust(60, b"\0"))
                except OSError as error:
                    self.errors[name] = str(error)

    def receive(self, wait_s: float) -> None:
        """Take one frame of each port that has some."""
        for end in select.select(list(self.sockets), [], [], wait_s)[0]:
            try:
                data, source = end.recvfrom(MAX_FRAME_BYTES)
            except OSError:
                continue
            if source[2] != PACKET_OUTGOING and len(data) >= 14:
                self.take(self.sockets[end], data)

    def take(self, port: str, data: bytes) -> None:
        """Note what a frame tells."""
        target, sender, kind = data[:6], mac_text(data[6:12]), struct.unpack_from("!H", data, 12)[0]
        if kind == EXPERIMENT:
            self.count(port, data[14:].rstrip(b"\0"))
        elif kind == LLDP and len(self.lldp) < MAX_NAMES:
            self.lldp[port, sender] = {"port": port, "mac": sender, **read_lldp(data[14:])}
        elif target == SPANNING_TREE:
            self.bridges.setdefault(port, sender)
        elif kind == ARP and len(self.askers) < MAX_NAMES:
            self.askers[port, sender] = None

    def count(self, port: str, text: bytes) -> None:
        """One of our own frames."""
        try:
            token, node_id, name, number = json.loads(text)
            place = [0, 1].index(number)
        except (ValueError, TypeError, RecursionError):
            return
        key = (port, str(node_id)[:128], str(name)[:32])
        if token == self.token and (key in self.heard or len(self.heard) < MAX_HEARD):
            self.heard.setdefault(key, [0, 0])[place] += 1

    def listen(self, seconds: float) -> None:
        """Send and listen for so long."""
        end_s = time.monotonic() + seconds
        next_s = 0.0
        while (now_s := time.monotonic()) < end_s:
            if now_s >= next_s:
                next_s = now_s + PERIOD_S
                self.send()
            self.receive(max(0.0, min(next_s, end_s) - time.monotonic()))


def main() -> None:
    """Speak, listen, tell."""
    token, node_id = [*sys.argv[1:3], "", ""][:2]
    seconds = min(float(sys.argv[3]) if len(sys.argv) > 3 else LISTEN_S, MAX_LISTEN_S)
    ports = find_ports()
    ear = Ear(token, node_id)
    changes = {name: read_text(f"{NET}/{name}/carrier_changes") for name in ports}
    for name in ports:
        ear.open(name)
    if ear.sockets:
        ear.listen(seconds)
    for end in ear.sockets:
        with contextlib.suppress(OSError):
            end.close()
    answer = {
        "node": node_id,
        "frames": [[*key, *counts] for key, counts in sorted(ear.heard.items())],
        "lldp": list(ear.lldp.values()),
        "bridges": ear.bridges,
        "askers": [list(key) for key in ear.askers],
        "changes": {name: int(text) for name, text in changes.items() if text.isdigit() and len(text) < 10},
        "errors": ear.errors,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
