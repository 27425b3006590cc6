"""Reads the answer of remote/beacon.py: what one node told and heard in one look at its cables.

The one rule: the text is a stranger's. Whatever it is, the result is a `NodeView`: bounded, plain, wrong rows left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from sparkdesk.core.cluster.half import Half, HeardBeacon, LldpName, NodeView
from sparkdesk.core.cluster.neighbour import read_neighbourhood
from sparkdesk.core.plain_text import make_line

MAX_PORTS = 8
MAX_HEARD = 4096
MAX_COUNT = 1000
MAX_ADDRESSES = 16
MAX_NAMES = 64
_NETDEV = re.compile(r"[A-Za-z0-9_.-]{1,32}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_LINK_LOCAL = re.compile(r"fe80::?[0-9a-f:]{1,40}")
_ADDRESS = re.compile(r"[0-9a-fA-F.:]{2,45}/[0-9]{1,3}")


def read_view(node_id: str, name: str, answer: Mapping[str, object]) -> NodeView:
    """What the node told. Never raises."""
    around = read_neighbourhood(answer)
    halves = {half.netdev: half for half in _halves(node_id, answer.get("ports"))}
    return NodeView(
        name=name,
        halves=tuple(halves.values()),
        macs=around.macs | {half.mac for half in halves.values() if half.mac},
        heard=tuple(_heard(answer.get("heard"))),
        seen=around.seen,
        lldp=tuple(read_lldp(answer.get("lldp"))),
        sized_sent=frozenset(
            netdev for row in read_rows(answer.get("sized_sent"), MAX_PORTS) if (netdev := read_netdev(row))
        ),
        note=around.note,
    )


def read_rows(value: object, most: int) -> list[object]:
    """A list, cut off; empty when it is none."""
    return value[:most] if isinstance(value, list) else []


def read_match(value: object, pattern: re.Pattern[str]) -> str:
    """A text of this form, else ""."""
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


def read_netdev(value: object) -> str:
    """A netdev's name; "" when it is none."""
    return read_match(value, _NETDEV)


def read_whole(value: object, low: int, high: int) -> int | None:
    """A whole number within these bounds, else None."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and isinstance(value, int) and low <= value <= high else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _halves(node_id: str, value: object) -> Iterator[Half]:
    for row in read_rows(value, MAX_PORTS):
        netdev = read_netdev(row.get("name")) if isinstance(row, dict) else ""
        if not netdev or not isinstance(row, dict):
            continue
        speed = read_whole(row.get("speed_mbps"), 1, 10_000_000)
        mac = row.get("mac")
        yield Half(
            node_id,
            netdev,
            rdma_device=read_netdev(row.get("rdma")),
            mac=read_match(mac.lower() if isinstance(mac, str) else "", MAC),
            link_local=read_match(row.get("link_local"), _LINK_LOCAL),
            carrier=_flag(row.get("carrier")),
            speed_gbps=speed / 1000 if speed is not None else math.nan,
            mtu=read_whole(row.get("mtu"), 68, 65536),
            addresses=tuple(
                one for entry in read_rows(row.get("addresses"), MAX_ADDRESSES) if (one := read_match(entry, _ADDRESS))
            ),
            is_rdma_active=_flag(row.get("is_rdma_active")),
            link_changes=read_whole(row.get("link_changes"), 0, 1_000_000_000),
        )


def _heard(value: object) -> Iterator[HeardBeacon]:
    for row in read_rows(value, MAX_HEARD):
        if not isinstance(row, list) or len(row) != 5:
            continue
        netdev, far = read_netdev(row[0]), read_netdev(row[2])
        plain, sized = read_whole(row[3], 0, MAX_COUNT), read_whole(row[4], 0, MAX_COUNT)
        if (
            netdev
            and far
            and isinstance(row[1], str)
            and len(row[1]) <= 128
            and plain is not None
            and sized is not None
        ):
            yield HeardBeacon(netdev, row[1], far, plain, sized)


def read_lldp(value: object) -> Iterator[LldpName]:
    """Who names itself by LLDP; wrong rows are left out."""
    for row in read_rows(value, MAX_NAMES):
        netdev = read_netdev(row.get("port")) if isinstance(row, dict) else ""
        if not netdev or not isinstance(row, dict):
            continue
        name, mac = row.get("name"), row.get("mac")
        words = make_line(name, max_chars=80) if isinstance(name, str) else ""
        address = read_match(mac.lower() if isinstance(mac, str) else "", MAC)
        if words or address:
            yield LldpName(netdev, words, address, row.get("is_bridge") is True)
