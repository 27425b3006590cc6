"""Puts what several sources saw together into one list of candidates.

The one rule: two sightings are one machine only when they share an address and port (and the way there); a shared name
alone proves nothing. All text came from strangers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from sparkdesk.core.cluster.candidate import Candidate
from sparkdesk.core.cluster.half import cage_of
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord

MAX_CANDIDATES = 500
SPARK_NAME = re.compile(r"^spark-[0-9a-f]{4}(\.local\.?)?$", re.IGNORECASE)
"""The name that a Spark has from the factory. Source: NVIDIA's connect-to-your-spark playbook; owners rename freely."""


def merge(candidates: tuple[Candidate, ...], found: Candidate) -> tuple[Candidate, ...]:
    """The list with what was found: a new entry at the end, or one more reason at the entry that it is."""
    for index, known in enumerate(candidates):
        if _places(known) & _places(found) and known.jump == found.jump:
            return (*candidates[:index], _joined(known, found), *candidates[index + 1 :])
    return (*candidates, found) if len(candidates) < MAX_CANDIDATES else candidates


def _joined(known: Candidate, found: Candidate) -> Candidate:
    others = dict.fromkeys(
        address
        for address in (*known.other_addresses, found.address, *found.other_addresses)
        if address != known.address
    )
    is_named = known.name != known.address
    return replace(
        known,
        name=known.name if is_named else found.name,
        user=known.user or found.user,
        jump_host=known.jump_host or found.jump_host,
        sightings=tuple(dict.fromkeys((*known.sightings, *found.sightings))),
        other_addresses=tuple(others),
        likeness=known.likeness or found.likeness,
        known_as=known.known_as or found.known_as,
    )


def _places(candidate: Candidate) -> set[tuple[str, int]]:
    return {(address.lower(), candidate.port) for address in (candidate.address, *candidate.other_addresses)}


def likeness_of(name: str, greeting: str = "") -> str:
    """What speaks for a Spark before anybody signed in; "" when nothing does."""
    reasons = []
    if SPARK_NAME.match(name):
        reasons.append("named like a Spark")
    if "Ubuntu" in greeting:
        reasons.append("runs Ubuntu's SSH server")
    return ", ".join(reasons)


def known_name(candidate: Candidate, clusters: Iterable[ClusterRecord]) -> str:
    """The name of the node that was last met at one of the candidate's places; "" for none."""
    places = _places(candidate)
    for cluster in clusters:
        for node in cluster.nodes:
            if places & _places_of(node) and (candidate.jump is None) == (node.jump is None):
                return node.name
    return ""


def seen_behind(candidates: Iterable[Candidate], node: NodeRecord, cage: str) -> tuple[Candidate, ...]:
    """Those that a node sees through one of its cages ("P0"): one machine on a cable, more behind a switch."""
    return tuple(
        each
        for each in candidates
        if each.jump is not None
        and (each.jump.address, each.jump.port, each.jump.host_key) == (node.address, node.port, node.host_key)
        and any(cage_of(address.rpartition("%")[2]) == cage for address in (each.address, *each.other_addresses))
    )


def _places_of(node: NodeRecord) -> set[tuple[str, int]]:
    places = {(node.address.lower(), node.port)}
    for other in node.other_addresses:
        address, _, port = other.rpartition(":")
        if port.isdigit():
            places.add((address.strip("[]").lower(), int(port)))
    return places
