"""`arping` of a node: ARP requests over one of its fast ports, by real packets.

The one rule: only who really answered is told. The socket comes from the node's resident, as the program of iputils
has the right to one by its file; it can say and hear ARP on one port and nothing else. Words as iputils 20240117 has
them; an answer to -D is a code of 1.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time

from door import Door, DoorClosed
from spark_state import ROOT, read_json, read_text

_VALUES = {"-c": "count", "-w": "deadline", "-I": "device", "-i": "interval", "-s": "source"}
_FLAGS = ("-D", "-q", "-f", "-b")
_ETHERNET, _IPV4, _REQUEST, _REPLY, _ARP = 1, 0x0800, 1, 2, 0x0806  # Source: RFC 826
_FORM = "!HHBBH6s4s6s4s"
_ALL = b"\xff" * 6
_PAUSE_S = 1.0


class Refused(Exception):
    """The words for what cannot be; the exit code is 2."""


def main(arguments: list[str]) -> int:
    """`arping [-Dqfb] [-c N] [-w S] [-i S] [-s SOURCE] -I IF HOST`."""
    try:
        values, flags, host = _parse(arguments)
        device = values.get("device", "")
        if "/" in device or not device or not os.path.isdir(f"{ROOT}/sys/class/net/{device}"):
            raise Refused(f"arping: Device {device} not available.")
        if not read_json("ports")["is_real"]:
            raise Refused("arping: not simulated here, as no packets run over these cables")
        return _ask(_open(device), device, host, values, flags)
    except Refused as error:
        print(error, file=sys.stderr)
        return 2


def _parse(arguments: list[str]) -> tuple[dict[str, str], set[str], str]:
    values: dict[str, str] = {}
    flags, hosts, left = set(), [], list(arguments)
    while left:
        word = left.pop(0)
        if word in _VALUES and left:
            values[_VALUES[word]] = left.pop(0)
        elif word.startswith("-") and word not in _FLAGS:
            raise Refused(f"arping: invalid option -- '{word[1:2]}'\n\nUsage:\n  arping [options] <destination>")
        elif word.startswith("-"):
            flags.add(word)
        else:
            hosts.append(word)
    for name in ("count", "deadline", "interval"):
        if name in values and not values[name].replace(".", "", 1).isdecimal():
            raise Refused(f"arping: invalid argument: '{values[name]}'")
    if len(hosts) != 1:
        raise Refused("arping: usage error: Destination address required")
    for address in (hosts[0], values.get("source", hosts[0])):
        try:
            socket.inet_aton(address)
        except OSError as error:
            raise Refused(f"arping: {address}: Name or service not known") from error
    return values, flags, hosts[0]


def _open(device: str) -> socket.socket:
    try:
        door = Door()
        door.say({"op": "arp", "netdev": device})
        end = door.take_socket()
    except DoorClosed as error:
        raise Refused("arping: socket: Operation not permitted") from error
    return end


def _ask(end: socket.socket, device: str, host: str, values: dict[str, str], flags: set[str]) -> int:
    """Ask and hear until the time, or the number of questions, is over."""
    is_duplicate_look, target = "-D" in flags, socket.inet_aton(host)
    own = bytes.fromhex(read_text(f"/sys/class/net/{device}/address").replace(":", ""))
    source = bytes(4) if is_duplicate_look else socket.inet_aton(values.get("source") or _address_of(device))
    begun_s = time.monotonic()
    over_s = begun_s + float(values["deadline"]) if "deadline" in values else float("inf")
    most = int(float(values.get("count", "0")))
    sent, received = 0, 0
    if "-q" not in flags:
        print(f"ARPING {host} from {socket.inet_ntoa(source)} {device}", flush=True)
    while (not most or sent < most) and time.monotonic() < over_s:
        packet = struct.pack(_FORM, _ETHERNET, _IPV4, 6, 4, _REQUEST, own, source, _ALL, target)
        end.sendto(packet, (device, _ARP, 0, _ETHERNET, _ALL))
        sent, asked_s = sent + 1, time.monotonic()
        is_last = bool(most) and sent == most
        until_s = min(over_s, asked_s + float(values.get("interval", _PAUSE_S)))
        if is_last and is_duplicate_look and over_s < float("inf"):
            until_s = over_s  # it listens until its time is over
        while (mac := _hear(end, target, until_s)) is not None:
            received += 1
            if "-q" not in flags:
                took_ms = (time.monotonic() - asked_s) * 1000
                print(f"Unicast reply from {host} [{mac.upper()}]  {took_ms:.3f}ms", flush=True)
            if is_duplicate_look or "-f" in flags:
                return _sum_up(sent, received, flags)
            if is_last:
                break
    return _sum_up(sent, received, flags)


def _sum_up(sent: int, received: int, flags: set[str]) -> int:
    if "-q" not in flags:
        print(f"Sent {sent} probes ({sent} broadcast(s))\nReceived {received} response(s)")
    return int(received > 0) if "-D" in flags else int(received == 0)


def _hear(end: socket.socket, target: bytes, until_s: float) -> str | None:
    """The MAC of who says that it has the address."""
    while (left_s := until_s - time.monotonic()) > 0 and select.select([end], [], [], left_s)[0]:
        data = end.recv(256)
        if len(data) >= struct.calcsize(_FORM):
            _kind, _protocol, _mac, _ip, what, sender, address, _to, _for = struct.unpack_from(_FORM, data)
            if what == _REPLY and address == target:
                return str(sender.hex(":"))
    return None


def _address_of(device: str) -> str:
    for port in read_json("ports")["ports"]:
        if port["netdev"] == device and port["address"]:
            return str(port["address"]).partition("/")[0]
    for row in read_json("node")["addresses"]:
        if row["device"] == device:
            return str(row["address"])
    return "0.0.0.0"
