"""Machines that may be Sparks: what a search found, why, and what is known of each before anybody signs in.

The one rule: a candidate is a hint, never an identity. Nothing secret goes to one before its host key was confirmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.cluster.node import JumpHost


class Source(StrEnum):
    """Where a candidate was seen."""

    MDNS = "mdns"
    SSH_CONFIG = "ssh_config"
    RANGE = "range"
    NEIGHBOUR = "neighbour"
    """A known node sees it through one of its CX-7 ports."""


class SearchState(StrEnum):
    """How one source's search stands."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    UNAVAILABLE = "unavailable"
    """Cannot be searched here, and `note` says why."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One reason why a machine is on the list, in words a person understands."""

    source: Source
    words: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A machine that was found. All text is untrusted and shown as plain text."""

    id: str
    """Stable while the search lasts."""
    name: str
    address: str
    port: int = 22
    user: str = ""
    """From the user's own SSH config; "" means not known."""
    sightings: tuple[Sighting, ...] = ()
    other_addresses: tuple[str, ...] = ()
    jump: JumpHost | None = None
    """The way to it leads through this machine."""
    jump_host: str = ""
    """The user's own SSH config names a jump host, "[user@]host[:port]", whose key was not confirmed here yet."""
    likeness: str = ""
    """What speaks for a Spark: its name's pattern, its MAC's vendor, its banner. "" when nothing does."""
    known_as: str = ""
    """The name of the node in a cluster of this computer that it is, for all that is known."""


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How one source's search stands; `found` counts candidates."""

    source: Source
    state: SearchState = SearchState.IDLE
    found: int = 0
    note: str = ""
    fraction: float | None = None


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Where to look. `ranges` is what a person typed: "10.0.20.0/24, 192.168.1.10-40"; "" is none."""

    sources: frozenset[Source] = frozenset({Source.MDNS, Source.SSH_CONFIG, Source.NEIGHBOUR})
    ranges: str = ""
