"""What a bring-up reads of a node's network: ports, addresses, routes, and over which port this sign-in came.

The one rule: what `ip` and /sys do not tell stays unknown, with its reason; a name that no port can have is left out.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sparkdesk.core.bringup import unit_reading
from sparkdesk.core.bringup.gaps import Gaps
from sparkdesk.core.bringup.reading import Interface
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes import form
from sparkdesk.core.probes.cage_half import CAGE_NAMES, HALF_READS, NET_ADDRESSES, build_halves
from sparkdesk.core.probes.read import Answer, Read, ReadCommand, ReadFile

_PLACE_SCRIPT = """printf 'home %s\\nhost %s\\nconnection %s\\n' "$HOME" "$(uname -n)" "${SSH_CONNECTION-}\""""
PLACE = ReadCommand(("sh", "-c", _PLACE_SCRIPT), max_bytes=2048)
ADDRESSES = ReadCommand(("ip", "-j", "-4", "addr", "show"), max_bytes=64 * 1024)
ROUTES = ReadCommand(("ip", "-j", "-4", "route", "show"), max_bytes=64 * 1024)
ALL_ROUTES = ReadCommand(("ip", "-j", "-4", "route", "show", "table", "all"), max_bytes=64 * 1024)
"""Networks of VPNs stand in tables of their own; where `ip` does not know the word, the main table must do."""
NET_MTUS, NET_CARRIERS, NET_SPEEDS, NET_STATES = (
    ReadFile(f"/sys/class/net/*/{name}", max_bytes=64, max_files=256)
    for name in ("mtu", "carrier", "speed", "operstate")
)
"""A port that is switched off refuses carrier and speed. Source: the kernel's sysfs-class-net ABI."""
UPPERS = ReadFile("/sys/class/net/*/upper_*/uevent", max_bytes=256, max_files=64)
"""What is built on a port. Source: the kernel's sysfs-class-net and netdev_adjacent_sysfs_add."""
INET6 = ReadFile("/proc/net/if_inet6", max_bytes=16384)
ROUTES6 = ReadFile("/proc/net/ipv6_route", max_bytes=32768)
RDMA_STATES = ReadFile("/sys/class/infiniband/*/ports/1/state", max_bytes=64, max_files=32)

READS: tuple[Read, ...] = (
    *HALF_READS, NET_MTUS, NET_CARRIERS, NET_SPEEDS, NET_STATES, UPPERS, RDMA_STATES, INET6, ROUTES6, PLACE, ADDRESSES,
    ROUTES, ALL_ROUTES, *unit_reading.READS,
)  # fmt: skip

MAX_ITEMS = 256
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,15}")
"""An interface's name as we take it. Source: the kernel's IFNAMSIZ; dev_valid_name allows more than we ever need."""
_TAKEN_TYPES = ("unicast", "blackhole", "unreachable", "prohibit", "throw")
"""Routes that claim a network; "local" and the like are of the node's own addresses. Source: ip-route(8)."""


def fill_network(gaps: Gaps) -> dict[str, Any]:
    """The fields of a reading that are the network's."""
    interfaces = _read_interfaces(gaps)
    main = gaps.rows("routes", ROUTES)
    every = gaps.rows("", ALL_ROUTES)
    is_half_told = every is None and gaps.answer(ALL_ROUTES).is_ok
    if is_half_told:  # networks of a VPN may stand in what was cut off
        gaps.problems["routes"] = "its routing tables are longer than is read, or not understood"
    rows = [*(main or []), *(every or [])]
    defaults = [*_default_netdevs(rows), *_default_netdevs6(gaps.answer(ROUTES6))]
    netdev, address, client = _read_management(gaps, interfaces)
    return {
        "interfaces": interfaces,
        "routes": None if is_half_told or (main is None and every is None) else tuple(dict.fromkeys(_networks(rows))),
        "default_netdevs": tuple(dict.fromkeys(defaults)),
        "management": netdev,
        "management_address": address,
        "client_address": client,
    }


def _read_interfaces(gaps: Gaps) -> Mapping[str, Interface]:
    rows = gaps.rows("interfaces", ADDRESSES) or []
    addresses = {str(row.get("ifname", "")): dict(_addresses_of(row)) for row in rows}
    uppers = dict(_uppers(gaps.answer(UPPERS)))
    mtus, carriers, speeds = (form.by_device(gaps.answer(read)) for read in (NET_MTUS, NET_CARRIERS, NET_SPEEDS))
    macs, links = form.by_device(gaps.answer(NET_ADDRESSES)), form.by_device(gaps.answer(NET_STATES))
    states = form.by_device(gaps.answer(RDMA_STATES), depth=3)
    units = unit_reading.read_units(gaps.answers)
    rdma = {half.netdev: half.rdma_device for half in build_halves(gaps.answers)[0]}
    names = sorted({*macs, *mtus, *addresses}, key=lambda one: (one not in CAGE_NAMES, not addresses.get(one), one))
    found = {}
    for name in (one for one in names if _NAME.fullmatch(one)):
        speed_mbps = form.parse_number(speeds.get(name, ""))
        device = rdma.get(name, "")
        found[name] = Interface(
            name=name,
            mac=make_line(macs.get(name, "").lower(), max_chars=17),
            mtu=form.parse_whole(mtus.get(name, "")),
            carrier=_read_carrier(carriers.get(name, ""), links.get(name, "")),
            speed_gbps=speed_mbps / 1000 if speed_mbps is not None and speed_mbps > 0 else math.nan,
            addresses=tuple(addresses.get(name, ())),
            leased=tuple(text for text, is_leased in addresses.get(name, {}).items() if is_leased),
            part_of=uppers.get(name, ""),
            rdma_device=device,
            is_rdma_active="ACTIVE" in states[device].split() if device in states else None,
            unit_addresses=units.get(name, (None, None))[0],
            unit_mtu=units.get(name, (None, None))[1],
        )
        if len(found) >= MAX_ITEMS:
            break
    return found


def _read_carrier(carrier: str, state: str) -> bool | None:
    if carrier in ("0", "1"):
        return carrier == "1"
    return False if state in ("down", "lowerlayerdown", "notpresent") else None


def _addresses_of(row: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """The global IPv4 addresses of one row of `ip -j addr`, "192.168.100.2/24", and whether each runs out.

    Source: ip-address(8): dynamic is what an address is that was not set for ever.
    """
    info = row.get("addr_info")
    for one in info[:16] if isinstance(info, list) else ():
        if isinstance(one, dict) and one.get("scope", "global") == "global":
            text = f"{one.get('local')}/{one.get('prefixlen')}"
            try:
                yield str(ipaddress.IPv4Interface(text)), one.get("dynamic") is True
            except ValueError:
                continue


def _uppers(answer: Answer) -> Iterator[tuple[str, str]]:
    """Ports that are part of something else. What runs beside them (macvlan, ipvlan) leaves them as they are."""
    for path, text in answer.texts if answer.fault is None else ():
        cells = path.split("/")
        kind = next((line[8:] for line in form.lines_of(text) if line.startswith("DEVTYPE=")), "").strip()
        if len(cells) == 7 and kind in ("bond", "bridge", "vlan"):
            yield cells[4], make_line(f"{cells[5].removeprefix('upper_')} ({kind})", max_chars=30)


def _networks(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Every network that a row claims; the default is none."""
    for row in rows[: 8 * MAX_ITEMS]:
        target = row.get("dst")
        if row.get("type", "unicast") not in _TAKEN_TYPES or not isinstance(target, str) or target == "default":
            continue
        try:
            yield str(ipaddress.IPv4Network(target, strict=False))
        except ValueError:
            continue


def _default_netdevs(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        if row.get("dst") == "default":
            hops = row.get("nexthops")
            ways = [row, *(one for one in hops if isinstance(one, dict))] if isinstance(hops, list) else [row]
            yield from (str(way["dev"]) for way in ways if _NAME.fullmatch(str(way.get("dev", ""))))


def _default_netdevs6(answer: Answer) -> Iterator[str]:
    """Source: the kernel's ipv6_route_seq_show: target, its length, ..., flags, device; lo holds the rejecting one."""
    for line in form.lines_of(answer.text) if answer.is_ok else ():
        cells = line.split()
        if len(cells) == 10 and cells[0] == "0" * 32 and cells[1] == "00" and cells[9] != "lo":
            yield from (cell for cell in cells[9:] if _NAME.fullmatch(cell))


def _read_management(gaps: Gaps, interfaces: Mapping[str, Interface]) -> tuple[str, str, str]:
    """This sign-in's interface, its address, and whence it came, by SSH_CONNECTION. Source: ssh(1), "ENVIRONMENT"."""
    answer = gaps.answer(PLACE)
    words = read_place(answer).get("connection", "").split()
    address, client = (_address_of(words[index] if len(words) == 4 else "") for index in (2, 0))
    if address is None:
        gaps.note("management", answer, "the sign-in does not say to which address it came")
        return "", "", ""
    if isinstance(address, ipaddress.IPv4Address):
        text = str(address)
        owners = [one.name for one in interfaces.values() if any(a.split("/")[0] == text for a in one.addresses)]
    else:
        text, _, scope = str(address).partition("%")
        owners = [scope] if scope in interfaces else list(_owners6(gaps.answer(INET6), text))
    if not owners:
        gaps.problems["management"] = make_line(f"no interface has {text}, to which this sign-in came", max_chars=200)
    return (owners[0] if owners else ""), text, str(client or "").partition("%")[0]


def _address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, an IPv4 one that is written as IPv6 as what it is; None for anything else."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _owners6(answer: Answer, address: str) -> Iterator[str]:
    """Source: the kernel's if6_seq_show: the address, index, prefix length, scope, flags and device."""
    wanted = ipaddress.IPv6Address(address).packed.hex()
    for line in form.lines_of(answer.text) if answer.is_ok else ():
        cells = line.split()
        if len(cells) == 6 and cells[0] == wanted and _NAME.fullmatch(cells[5]):
            yield cells[5]


def read_place(answer: Answer) -> dict[str, str]:
    """home, host and connection, each a line."""
    rows = (line.partition(" ") for line in form.lines_of(answer.text))
    return {row[0]: make_line(row[2].strip(), max_chars=256) for row in rows if row[1]} if answer.is_ok else {}
