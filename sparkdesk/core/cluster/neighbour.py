"""Reads what a node sees through its CX-7 ports, and which of it is a stranger.

The one rule: a hardware address that a known node owns is no stranger, not even the node's own other half.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sparkdesk.core.plain_text import make_line

MAX_SEEN = 256
_MAC = re.compile(r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")
_LINK_LOCAL = re.compile(r"^fe80::?[0-9a-f:]{1,40}$")
_PORT = re.compile(r"^[A-Za-z0-9_.-]{1,32}$")


@dataclass(frozen=True, slots=True)
class SeenHost:
    """One address behind a port. `greeting` is its SSH server's first line, "" when none answered."""

    port: str
    address: str
    """Link-local, without the scope."""
    mac: str
    greeting: str = ""

    @property
    def scoped_address(self) -> str:
        """The address as the seeing node dials it: "fe80::1%enp1s0f0np0"."""
        return f"{self.address}%{self.port}"


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A node's own hardware addresses and what it sees."""

    macs: frozenset[str] = frozenset()
    seen: tuple[SeenHost, ...] = ()
    note: str = ""


def read_neighbourhood(answer: Mapping[str, object]) -> Neighbourhood:
    """From remote/neighbours.py's answer; what is not as it should be is left out. Never raises."""
    macs = answer.get("macs")
    own = frozenset(str(mac).lower() for mac in macs[:MAX_SEEN]) if isinstance(macs, list) else frozenset()
    rows = answer.get("seen")
    seen = []
    for row in rows[:MAX_SEEN] if isinstance(rows, list) else ():
        host = _read_host(row)
        if host is not None:
            seen.append(host)
    note = answer.get("note")
    return Neighbourhood(
        frozenset(mac for mac in own if _MAC.match(mac)),
        tuple(seen),
        make_line(note, max_chars=200) if isinstance(note, str) else "",
    )


def _read_host(row: object) -> SeenHost | None:
    if not isinstance(row, dict):
        return None
    port, address, mac = (str(row.get(key, "")) for key in ("port", "address", "mac"))
    if not (_PORT.match(port) and _LINK_LOCAL.match(address.lower()) and _MAC.match(mac.lower())):
        return None
    greeting = row.get("greeting")
    words = make_line(greeting, max_chars=120) if isinstance(greeting, str) else ""
    return SeenHost(port, address.lower(), mac.lower(), words)


def strangers(views: Mapping[str, Neighbourhood]) -> dict[str, tuple[tuple[SeenHost, ...], ...]]:
    """By node: each group is one machine that nobody knows, as that node sees it; those that answer SSH first.

    The two halves of one cage are two hardware addresses of one machine. They are taken for one where a node sees no
    more than two strangers through a cage; behind a switch, where it may see many, each is its own group.
    """
    owned = frozenset[str]().union(*(view.macs for view in views.values()))
    found = {}
    for node_id, view in views.items():
        by_cage: dict[str, dict[str, SeenHost]] = {}
        for host in view.seen:
            if host.mac not in owned:
                known = by_cage.setdefault(_cage_of(host.port), {}).get(host.mac)
                if known is None or (host.greeting and not known.greeting):
                    by_cage[_cage_of(host.port)][host.mac] = host
        found[node_id] = tuple(group for hosts in by_cage.values() for group in _groups(hosts.values()))
    return found


def _cage_of(port: str) -> str:
    """The part of a port's name that both halves share: "f0np0" of enp1s0f0np0 and enP2p1s0f0np0."""
    return port.rpartition("s0")[2] or port


def _groups(hosts: Iterable[SeenHost]) -> list[tuple[SeenHost, ...]]:
    ordered = tuple(sorted(hosts, key=lambda host: (not host.greeting, host.mac)))
    return [ordered] if len(ordered) <= 2 else [(host,) for host in ordered]
