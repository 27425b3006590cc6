"""`ip route` of a node: the routes that follow from the addresses of its ports.

The one rule: the gateway is told and leads nowhere, as nothing of this computer's network can be reached from a node.
Output as iproute2 6.1 prints it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from spark_state import read_text

Row = dict[str, Any]
_MANAGEMENT = "enP7s7"
_METRIC = 100
_METRIC_V6 = 256  # Source: linux/ipv6_route.h IP6_RT_PRIO_ADDRCONF is 256


def network(address: str, prefix: int) -> tuple[str, str]:
    """The first and the last address of the network that this one is in."""
    number = int.from_bytes(bytes(map(int, address.split("."))), "big")
    rest = (1 << (32 - prefix)) - 1
    first, last = ((number & ~rest).to_bytes(4, "big"), (number | rest).to_bytes(4, "big"))
    return ".".join(map(str, first)), ".".join(map(str, last))


def show(words: list[str], flags: set[str], planned: Iterable[Row], devices: Callable[[], list[str]]) -> int:
    """`ip route [show|list] [default] [table main|all|local] [dev NAME]`; `planned` are addresses with their ports."""
    left = words[1:] if words[:1] and words[0] in ("show", "list", "ls", "sh") else list(words)
    table, device, is_default = "main", "", False
    while left:
        word = left.pop(0)
        if word in ("table", "dev") and left:
            table, device = (left.pop(0), device) if word == "table" else (table, left.pop(0))
        elif word == "default":
            is_default = True
        else:
            print(f'Error: either "to" is duplicate, or "{word}" is a garbage.', file=sys.stderr)
            return 255
    if table not in ("main", "all", "local"):
        print(f'Error: argument "{table}" is wrong: table id value is invalid', file=sys.stderr)
        return 255
    if device and device not in devices():
        print(f'Cannot find device "{device}"', file=sys.stderr)
        return 1
    rows = _rows_v6(devices()) if "6" in flags else _rows(list(planned), table)
    rows = [row for row in rows if device in ("", row["dev"]) and (not is_default or row["dst"] == "default")]
    if device:
        rows = [{key: value for key, value in row.items() if key != "dev"} for row in rows]
    _print(rows, flags)
    return 0


def _rows(planned: list[Row], table: str) -> list[Row]:
    rows: list[Row] = []
    for row in planned:
        first = network(row["address"], row["prefix"])[0]
        if row["device"] == _MANAGEMENT:
            gateway = f"{first.rpartition('.')[0]}.1"
            rows.insert(0, {"dst": "default", "gateway": gateway, "dev": row["device"], "protocol": "dhcp",
                            "prefsrc": row["address"], "metric": _METRIC, "flags": []})  # fmt: skip
        if row["device"] != "lo" and row["prefix"] < 32:
            rows.append({"dst": f"{first}/{row['prefix']}", "dev": row["device"], "protocol": "kernel", "scope": "link",
                         "prefsrc": row["address"], "metric": _METRIC, "flags": []})  # fmt: skip
    local = [row for one in planned for row in _local(one)]
    return {"main": rows, "local": local, "all": [*rows, *local]}[table]


def _local(one: Row) -> list[Row]:
    """What the kernel adds for an address of the node's own."""
    common = {"table": "local", "dev": one["device"], "protocol": "kernel", "prefsrc": one["address"], "flags": []}
    rows = [{"type": "local", "dst": one["address"], "scope": "host", **common}]
    if one["device"] == "lo":
        return [{"type": "local", "dst": "127.0.0.0/8", "scope": "host", **common}, *rows]
    last = network(one["address"], one["prefix"])[1]
    return [*rows, {"type": "broadcast", "dst": last, "scope": "link", **common}]


def _rows_v6(devices: list[str]) -> list[Row]:
    """Only links have IPv6: the network of link-local addresses on each port with a carrier."""
    has_link = [name for name in devices if name != "lo" and read_text(f"/sys/class/net/{name}/carrier") == "1"]
    return [
        {"dst": "fe80::/64", "dev": name, "protocol": "kernel", "metric": _METRIC_V6, "flags": [], "pref": "medium"}
        for name in has_link
    ]


def _print(rows: list[Row], flags: set[str]) -> None:
    if "json" in flags:
        print(json.dumps(rows, separators=(",", ":")))
        return
    for row in rows:
        kind = f"{row['type']} " if "type" in row else ""
        via = f" via {row['gateway']}" if "gateway" in row else ""
        dev = f" dev {row['dev']}" if "dev" in row else ""
        table = f" table {row['table']}" if "table" in row else ""
        scope = f" scope {row['scope']}" if "scope" in row else ""
        source = f" src {row['prefsrc']}" if "prefsrc" in row else ""
        metric = f" metric {row['metric']}" if "metric" in row else ""
        pref = f" pref {row['pref']}" if "pref" in row else ""
        print(f"{kind}{row['dst']}{via}{dev}{table} proto {row['protocol']}{scope}{source}{metric}{pref} ")
