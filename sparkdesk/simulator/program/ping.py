"""`ping` of a node: of all nodes on a link (ff02::1), which is how neighbours are found; nothing else is reachable.

The one rule: there are no packets between simulated nodes, so no address of a peer is ever said to answer; only the
neighbours that a switch would show are told. Words as iputils 20240117 has them.
"""

from __future__ import annotations

import os
import sys

from ip import eui64, neighbours
from spark_state import ROOT, read_text

_FLAGS = ("-4", "-6", "-n", "-q", "-b", "-D", "-O")
_VALUES = ("-c", "-w", "-W", "-I", "-i", "-s", "-M", "-t")


def main(arguments: list[str]) -> int:
    """`ping -I IF ff02::1`, or `ff02::1%IF`."""
    values: dict[str, str] = {}
    hosts, left = [], list(arguments)
    while left:
        word = left.pop(0)
        if word in _VALUES and left:
            values[word] = left.pop(0)
        elif word[:2] in _VALUES and len(word) > 2:
            values[word[:2]] = word[2:]
        elif word.startswith("-") and word not in _FLAGS:
            print(f"ping: invalid option -- '{word[1:2]}'", file=sys.stderr)
            return 2
        elif not word.startswith("-"):
            hosts.append(word)
    if len(hosts) != 1:
        print("ping: usage error: Destination address required", file=sys.stderr)
        return 2
    host, _percent, scope = hosts[0].partition("%")
    device = scope or values.get("-I", "")
    if host != "ff02::1":
        print("ping: connect: Network is unreachable", file=sys.stderr)
        return 2
    if not device or "/" in device or not os.path.isdir(f"{ROOT}/sys/class/net/{device}"):
        print(f"ping: unknown iface: {device}", file=sys.stderr)
        return 2
    return _ask_all(device, max(1, int(values.get("-c", "1"))) if values.get("-c", "1").isdigit() else 1)


def _ask_all(device: str, count: int) -> int:
    own = eui64(read_text(f"/sys/class/net/{device}/address"))
    has_carrier = read_text(f"/sys/class/net/{device}/carrier") == "1"
    print(f"PING ff02::1 (ff02::1) from {own}%{device} {device}: 56 data bytes")
    others = [address for _device, address, _mac in neighbours(device) if ":" in address]
    for number in range(1, count + 1 if has_carrier else 1):
        print(f"64 bytes from {own}%{device}: icmp_seq={number} ttl=64 time=0.05 ms")
        for address in others if number < count or count == 1 else []:
            print(f"64 bytes from {address}%{device}: icmp_seq={number} ttl=64 time=0.30 ms")
    received = count if has_carrier else 0
    lost = 0 if received else 100
    print(f"\n--- ff02::1 ping statistics ---\n{count} packets transmitted, {received} received, {lost}% packet loss")
    return 0 if received else 1
