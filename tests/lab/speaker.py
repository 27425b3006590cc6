"""What a switch or a storage box says by itself, in real frames: run in a guest's network, until it is ended.

speaker.py KIND PORT...     KIND: switch (LLDP and spanning tree) or storage (ARP)
"""

from __future__ import annotations

import socket
import struct
import sys
import time

SWITCH_NAME = "sn3700"


def make_lldp(mac: bytes) -> bytes:
    """Chassis id, port id, time to live, system name, capabilities (bridge), end. Source: IEEE 802.1AB, 8.5."""
    parts = [
        (1, b"\x04" + mac),
        (2, b"\x05swp1"),
        (3, b"\0x"),
        (5, SWITCH_NAME.encode()),
        (7, b"\0\x04\0\x04"),
        (0, b""),
    ]
    payload = b"".join(struct.pack("!H", kind << 9 | len(value)) + value for kind, value in parts)
    return b"\x01\x80\xc2\x00\x00\x0e" + mac + b"\x88\xcc" + payload


def make_bpdu(mac: bytes) -> bytes:
    """A configuration message of the spanning tree (IEEE 802.3 length, LLC 42-42-03)."""
    body = b"\x42\x42\x03" + bytes(35)
    return b"\x01\x80\xc2\x00\x00\x00" + mac + struct.pack("!H", len(body)) + body


def make_arp(mac: bytes) -> bytes:
    """Who has 192.168.100.10? tell 192.168.100.99."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    body += mac + bytes([192, 168, 100, 99]) + bytes(6) + bytes([192, 168, 100, 10])
    return b"\xff" * 6 + mac + b"\x08\x06" + body


def main() -> None:
    """Say it four times a second."""
    kind, *ports = sys.argv[1:]
    ends = []
    for port in ports:
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        end.bind((port, 0))
        ends.append(end)
    while True:
        for end in ends:
            mac = end.getsockname()[4]
            for frame in (make_lldp(mac), make_bpdu(mac)) if kind == "switch" else (make_arp(mac),):
                end.send(frame.ljust(60, b"\0"))
        time.sleep(0.25)


if __name__ == "__main__":
    main()
