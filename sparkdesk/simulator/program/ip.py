"""`ip` of a node: addresses, links and routes of its ports, from /sys and the address plan.

The one rule: it shows; what root can change is in ip_change.py. Output as iproute2 6.1 prints it; a plain user is
refused.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import ip_change
import ip_route
from spark_state import ROOT, read_json, read_text

_OBJECTS = {"address": "addr", "addr": "addr", "a": "addr", "link": "link", "l": "link", "route": "route", "r": "route",
            "neighbour": "neigh", "neighbor": "neigh", "neigh": "neigh", "n": "neigh"}  # fmt: skip
_SHOW = ("show", "list", "ls", "sh")
_CHANGES = ("add", "del", "delete", "set", "replace", "change", "flush", "append")
_FLAGS = {
    "-j": "json", "-json": "json", "-br": "brief", "-brief": "brief", "-4": "4", "-6": "6", "-o": "oneline",
    "-p": "pretty", "-pretty": "pretty", "-d": "details", "-s": "stats", "-c": "color",
}  # fmt: skip


class UsageError(Exception):
    """The words for a wrong command line, without the program's name."""


def main(arguments: list[str]) -> int:
    """`ip [options] addr|link|route [show] [dev NAME]`."""
    changed = arguments[1:] if arguments[:1] == ["-4"] else arguments
    if os.getuid() == 0 and ip_change.is_change(changed):
        return ip_change.change(changed)
    try:
        flags, thing, words = parse(arguments)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 255
    except PermissionError:
        print("RTNETLINK answers: Operation not permitted", file=sys.stderr)
        return 2
    if thing == "route":
        return ip_route.show(words, flags, _planned(), _devices)
    device = words[0] if words else ""
    if thing == "neigh":
        return _print_neighbours(flags, device)
    rows = [_link(name) for name in _devices()]
    if device:
        rows = [row for row in rows if row["ifname"] == device]
        if not rows:
            print(f'Device "{device}" does not exist.', file=sys.stderr)
            return 1
    if thing == "addr":
        for row in rows:
            row["addr_info"] = [] if "6" in flags else _addresses(row["ifname"])
            if "4" not in flags and row["ifname"] != "lo" and "NO-CARRIER" not in row["flags"]:
                row["addr_info"].append(_link_local(row["address"]))
    _print_links(rows, flags, has_addresses=thing == "addr")
    return 0


def parse(arguments: list[str]) -> tuple[set[str], str, list[str]]:
    """Options, object, and the words of a route or the device. Raises UsageError, or PermissionError for a change."""
    flags: set[str] = set()
    words = list(arguments)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word not in _FLAGS:
            raise UsageError(f'Option "{word}" is unknown, try "ip -help".')
        flags.add(_FLAGS[word])
    if not words:
        raise UsageError("Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }")
    thing = _OBJECTS.get(words[0], "")
    if not thing:
        raise UsageError(f'Object "{words[0]}" is unknown, try "ip help".')
    words = words[1:]
    if words and words[0] in _CHANGES:
        raise PermissionError
    if thing == "route":
        return flags, thing, words
    if words and words[0] in _SHOW:
        words = words[1:]
    if words and words[0] == "dev":
        words = words[1:]
        if not words:
            raise UsageError('Command line is not complete. Try option "help"')
    if len(words) > 1:
        raise UsageError(f'Error: either "dev" is duplicate, or "{words[-1]}" is a garbage.')
    return flags, thing, words


def _devices() -> list[str]:
    names = os.listdir(f"{ROOT}/sys/class/net")
    return sorted(names, key=lambda name: int(read_text(f"/sys/class/net/{name}/ifindex", "0") or 0))


def _link(name: str) -> dict[str, Any]:
    folder = f"/sys/class/net/{name}"
    state = read_text(f"{folder}/operstate", "unknown").upper()
    has_carrier = read_text(f"{folder}/carrier") == "1"
    if name == "lo":
        flags = ["LOOPBACK", "UP", "LOWER_UP"]
    else:
        flags = (
            ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"]
            if has_carrier
            else ["NO-CARRIER", "BROADCAST", "MULTICAST", "UP"]
        )
    return {
        "ifindex": int(read_text(f"{folder}/ifindex", "0")),
        "ifname": name,
        "flags": flags,
        "mtu": int(read_text(f"{folder}/mtu", "1500")),
        "qdisc": "noqueue" if name == "lo" else "mq",
        "operstate": state,
        "group": "default",
        "txqlen": 1000,
        "link_type": "loopback" if name == "lo" else "ether",
        "address": read_text(f"{folder}/address"),
        "broadcast": "00:00:00:00:00:00" if name == "lo" else "ff:ff:ff:ff:ff:ff",
    }


def _planned() -> list[dict[str, Any]]:
    """The IPv4 addresses of all ports: device, address, prefix."""
    rows = list(read_json("node")["addresses"])
    for port in read_json("ports")["ports"]:
        for whole in port.get("addresses", [port["address"]] if port["address"] else []):
            address, _slash, prefix = whole.partition("/")
            rows.append({"device": port["netdev"], "address": address, "prefix": int(prefix)})
    return rows


def _addresses(name: str) -> list[dict[str, Any]]:
    return [
        {
            "family": "inet",
            "local": row["address"],
            "prefixlen": row["prefix"],
            **(
                {"broadcast": ip_route.network(row["address"], row["prefix"])[1], "noprefixroute": True}
                if name != "lo"
                else {}
            ),
            "scope": "host" if name == "lo" else "global",
            "label": name,
            "valid_life_time": 4294967295,
            "preferred_life_time": 4294967295,
        }
        for row in _planned()
        if row["device"] == name
    ]


def _link_local(mac: str) -> dict[str, Any]:
    """The IPv6 address that follows from the MAC. Source: RFC 4291, appendix A."""
    return {"family": "inet6", "local": eui64(mac), "prefixlen": 64, "scope": "link",
            "valid_life_time": 4294967295, "preferred_life_time": 4294967295}  # fmt: skip


def eui64(mac: str) -> str:
    """The link-local address of a MAC."""
    octets = [int(part, 16) for part in mac.split(":")]
    words = (octets[0] ^ 2) << 8 | octets[1], octets[2] << 8 | 0xFF, 0xFE00 | octets[3], octets[4] << 8 | octets[5]
    return "fe80::" + ":".join(f"{word:x}" for word in words)


def neighbours(device: str) -> list[tuple[str, str, str]]:
    """(device, address, MAC) of who is at the other end of the fast ports, IPv6 before IPv4.

    The kernel's own table where packets run over the cables; else whom the model of the cables joins with the port.
    How long an entry lasts was never seen on hardware.
    """
    told = read_json("ports")
    if told["is_real"]:
        import neighbour_table  # here: it costs time that other questions need not wait

        names = {port["netdev"] for port in told["ports"]}
        rows = [row for row in neighbour_table.read() if row[0] in names]
        return [row for row in rows if not device or row[0] == device]
    found = []
    for port in told["ports"]:
        for mac, address in port["peers"] if not device or port["netdev"] == device else ():
            found.append((port["netdev"], eui64(mac), mac))
            found += [(port["netdev"], address, mac)] if address else []
    return found


def _print_neighbours(flags: set[str], device: str) -> int:
    """`ip neigh [show] [dev NAME]`."""
    if device and device not in _devices():
        print(f'Cannot find device "{device}"', file=sys.stderr)
        return 1
    rows = [row for row in neighbours(device) if not ({"4", "6"} & flags) or ((":" in row[1]) == ("6" in flags))]
    if "json" in flags:
        print(json.dumps([{"dst": address, **({} if device else {"dev": name}), "lladdr": mac, "state": ["STALE"]}
                          for name, address, mac in rows], separators=(",", ":")))  # fmt: skip
        return 0
    for name, address, mac in rows:
        print(f"{address} {'' if device else f'dev {name} '}lladdr {mac} STALE ")
    return 0


def _print_links(rows: list[dict[str, Any]], flags: set[str], *, has_addresses: bool) -> None:
    if "json" in flags:
        print(
            json.dumps(
                rows, separators=None if "pretty" in flags else (",", ":"), indent=4 if "pretty" in flags else None
            )
        )
        return
    for row in rows:
        if "brief" in flags:
            if has_addresses:
                tail = " ".join(f"{info['local']}/{info['prefixlen']}" for info in row["addr_info"])
            else:
                tail = f"{row['address']} <{','.join(row['flags'])}>"
            print(f"{row['ifname']:<16} {row['operstate']:<14} {tail} ")
            continue
        print(
            f"{row['ifindex']}: {row['ifname']}: <{','.join(row['flags'])}> mtu {row['mtu']} qdisc {row['qdisc']} "
            f"state {row['operstate']} group default qlen 1000"
        )
        print(f"    link/{row['link_type']} {row['address']} brd {row['broadcast']}")
        for info in row.get("addr_info", []):
            wide = f" brd {info['broadcast']}" if "broadcast" in info else ""
            extra = " noprefixroute" if info.get("noprefixroute") else ""
            if info["family"] == "inet6":
                print(f"    inet6 {info['local']}/64 scope link \n       valid_lft forever preferred_lft forever")
                continue
            print(f"    inet {info['local']}/{info['prefixlen']}{wide} scope {info['scope']}{extra} {info['label']}")
            print("       valid_lft forever preferred_lft forever")
