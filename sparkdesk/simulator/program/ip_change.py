"""What root may change with `ip` on a node: addresses and MTU of the fast ports.

The one rule: the node's resident does it, to the port itself; what is not simulated says so and fails. Words as
iproute2 6.1 has them.
"""

from __future__ import annotations

import os
import sys

from door import DoorClosed, ask_as_root
from spark_state import ROOT, read_json

_ADDRESS = ("address", "addr", "a")
_LINK = ("link", "l")


def is_change(words: list[str]) -> bool:
    """Whether these words, without options, are a change that is simulated."""
    if words[:1] and words[0] in _LINK:
        return words[1:2] == ["set"]
    return bool(words[:1]) and words[0] in _ADDRESS and words[1:2] in (["add"], ["del"], ["delete"], ["flush"])


def change(words: list[str]) -> int:
    """Do it, as root."""
    return _set_link(words[2:]) if words[0] in _LINK else _set_address(words[1], words[2:])


def _fail(words: str, code: int = 2) -> int:
    print(words, file=sys.stderr)
    return code


def _no_device(name: str) -> int:
    return _fail(f'Cannot find device "{name}"', 1)


def _has_device(name: str) -> bool:
    return bool(name) and "/" not in name and os.path.isdir(f"{ROOT}/sys/class/net/{name}")


def _set_link(words: list[str]) -> int:
    """`ip link set [dev] NAME up`, `... [up] mtu N [up]`."""
    words = words[1:] if words[:1] == ["dev"] else words
    if not words or not _has_device(words[0]):
        return _no_device(words[0] if words else "")
    rest = [word for word in words[1:] if word != "up"]  # all ports are up: a link is for the cable to give
    if not rest and words[1:]:
        return 0
    if len(rest) == 2 and rest[0] == "mtu" and rest[1].isdecimal():
        try:
            ask_as_root({"op": "network", "netdev": words[0], "mtu": int(rest[1])})
        except DoorClosed:
            return _fail("Error: mtu greater than device maximum.")
        return 0
    return _fail(f"ip link set {' '.join(words)} is not simulated")


def _set_address(verb: str, words: list[str]) -> int:
    """`ip addr add|del ADDRESS/PREFIX dev NAME`, with `brd +` and `noprefixroute` or without; `flush dev NAME`."""
    left, device, addresses = list(words), "", []
    while left:
        word = left.pop(0)
        if word in ("dev", "broadcast", "brd", "label", "scope") and not left:
            return _fail('Command line is not complete. Try option "help"', 255)
        if word == "dev":
            device = left.pop(0)
        elif word in ("broadcast", "brd", "label", "scope"):
            left.pop(0)
        elif word not in ("noprefixroute", "local"):
            addresses.append(word)
    if not device:
        return _fail('Not enough information: "dev" argument is required.', 255)
    if not _has_device(device):
        return _no_device(device)
    if device not in {port["netdev"] for port in read_json("ports")["ports"]}:
        return _fail(f"ip addr {verb} on {device} is not simulated")
    if verb == "flush":
        return _ask(device, {"addresses": []}, "RTNETLINK answers: Operation not permitted")
    if len(addresses) != 1:
        return _fail('Command line is not complete. Try option "help"', 255)
    address = addresses[0] if "/" in addresses[0] else f"{addresses[0]}/32"
    host, _slash, prefix = address.partition("/")
    parts = host.split(".")
    if len(parts) != 4 or not all(part.isdecimal() and int(part) < 256 for part in parts) or not prefix.isdecimal():
        return _fail(f'Error: any valid prefix is expected rather than "{addresses[0]}".', 1)
    if verb == "add":
        return _ask(device, {"add": address}, "RTNETLINK answers: File exists")
    return _ask(device, {"remove": address}, "RTNETLINK answers: Cannot assign requested address")


def _ask(device: str, message: dict[str, object], words: str) -> int:
    try:
        ask_as_root({"op": "network", "netdev": device, **message})
    except DoorClosed:
        return _fail(words)
    return 0
