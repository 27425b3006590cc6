"""Judges the QSFP cages: a link that is gone, half of one, a slow one, and one that is only unlike its neighbours'.

The one rule: a cage is held against the best that was seen of it, else against the same cage of the other nodes; a cage
of which nothing was ever expected is no concern without a cable. What leads to another device is a note: no job waits
for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sparkdesk.core.cluster.port import CAGE_NETDEVS, CAGES
from sparkdesk.core.findings.cable_fix import make_link_fix
from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id
from sparkdesk.core.findings.judge_topology import HALF_COST
from sparkdesk.core.findings.view import CageRecord, NodeNow, Past
from sparkdesk.core.probes.finding import NO_STEP
from sparkdesk.core.step import Playbook
from sparkdesk.core.telemetry.cage import CABLE_GBPS

RULE = "link"
FRESH_S = 15.0
SUSTAINED_S = 6.0
"""Own choice: longer than a link takes to train again after a cable was moved."""
WHOLE = CageRecord(2, CABLE_GBPS)
_EMPTY = CageRecord(0, 0.0)
_LOOK = "Look at the cable at both ends, and put it in again until it clicks."
_UP_FIRST = "Bring the half up; where that does not help it takes a hand."


def read_cages(past: Past) -> dict[str, CageRecord]:
    """The cages as the newest readings tell them; one that they do not tell whole is left out."""
    found = {}
    for cage in CAGES:
        up, gbps = past.last(f"cage_up.{cage}", FRESH_S), past.last(f"cage_speed_gbps.{cage}", FRESH_S)
        if up <= 0 or (up > 0 and gbps > 0):
            found[cage] = CageRecord(int(up), min(gbps, CABLE_GBPS) if up > 0 else 0.0)
    return found


def best_of(before: CageRecord | None, now: CageRecord) -> CageRecord:
    """What is to be expected of a cage after this reading."""
    if before is None:
        return now
    return CageRecord(max(before.halves, now.halves), max(before.gbps, now.gbps))


def moved_from(known: Mapping[str, CageRecord], now: Mapping[str, CageRecord]) -> str | None:
    """The cage out of which a cable was moved into this node's other cage, where it works as well; None for none.

    A cable that comes up in a cage that never had one, while the other cage has lost its own, is that cable.
    """
    for cage in CAGES:
        other = next(each for each in CAGES if each != cage)
        had, has, gained = known.get(cage, _EMPTY), now.get(cage), now.get(other, _EMPTY)
        if not had.halves or has is None or has.halves or known.get(other, _EMPTY).halves:
            continue
        if gained.halves >= had.halves and gained.gbps >= had.gbps:
            return cage
    return None


def judge_cages(view: NodeNow, views: tuple[NodeNow, ...]) -> Iterator[Judgement]:
    """Both cages of a node."""
    others = [other for other in views if other.node_id != view.node_id]
    for cage in CAGES:
        key = concern_id(RULE, view.node_id, cage)
        now = view.cages.get(cage)
        if now is None:
            yield Judgement(key, is_known=False)
            continue
        concern = _judge(view, cage, now, _expected(view, cage, others)) or _compare(view, cage, others)
        yield Judgement(key, concern, appear_s=SUSTAINED_S, clear_s=SUSTAINED_S)


def _expected(view: NodeNow, cage: str, others: list[NodeNow]) -> CageRecord | None:
    """What was seen of the cage before; else that of the others, where this node has no link at all."""
    known = view.best_cages.get(cage)
    if known is not None and known.halves > 0:
        return known
    if _linked(view):
        return None  # it is joined by its other cage
    seen = [other.cages[cage] for other in others if cage in other.cages]
    linked = [found for found in seen if found.halves > 0]
    return max(linked, key=lambda one: one.gbps) if linked and 2 * len(linked) > len(seen) else None


def _down_halves(view: NodeNow, cage: str) -> list[str]:
    """The halves that the node shows and that have no carrier; of one that is switched off it tells its counters."""

    def is_down(netdev: str) -> bool:
        carrier, received = (view.past.last(f"{key}.{netdev}", FRESH_S) for key in ("net_carrier", "net_rx_gbps"))
        return carrier == 0 or (carrier != carrier and received == received)

    return [netdev for netdev in CAGE_NETDEVS[cage] if is_down(netdev)]


def _linked(view: NodeNow) -> set[str]:
    """The cages that have a link."""
    return {cage for cage, found in view.cages.items() if found.halves > 0}


def _judge(view: NodeNow, cage: str, now: CageRecord, expected: CageRecord | None) -> Concern | None:
    is_foreign = cage in view.foreign_cages

    def tell(kind: str, title: str, evidence: str, cost: str, remedy: str, fix: Playbook | None = None) -> Concern:
        severity = Severity.NOTE if is_foreign else Severity.WARN
        return Concern(
            RULE, view.node_id, severity, title, evidence, remedy,
            subject=cage, cost="" if is_foreign else cost, fix=fix, fingerprint=kind,
        )  # fmt: skip

    if now.halves == 0:
        if expected is None:
            return None
        return tell(
            "down",
            f"Port {cage} has no link",
            f"No carrier on either half; {expected.gbps:.0f} Gb/s are expected",
            "Models over several nodes cannot use this cable.",
            f"{_LOOK} If the node on the other side is off or restarts, wait for it. If the cable was taken out on "
            "purpose, accept this.",
        )
    if now.halves < WHOLE.halves:
        down = _down_halves(view, cage)
        fix = make_link_fix(view.node_id, down[0]) if len(down) == 1 else None
        return tell(
            "half",
            f"Half of port {cage} is missing",
            f"{now.halves} of {WHOLE.halves} halves has a carrier{f'; {down[0]} has none' if fix else ''}",
            HALF_COST,
            f"{_UP_FIRST if fix else NO_STEP} {_LOOK} If it stays, restart the nodes at both ends: a port can be lost "
            "when its peer restarts.",
            fix,
        )
    goal_gbps = max(WHOLE.gbps, expected.gbps if expected is not None else 0.0)
    if now.gbps < goal_gbps:
        return tell(
            f"slow {now.gbps:.0f}",
            f"Port {cage} runs below its speed",
            f"{now.gbps:.0f} of {goal_gbps:.0f} Gb/s",
            f"Models over several nodes wait {goal_gbps / max(now.gbps, 1.0):.1f} times as long for each other.",
            f"{NO_STEP} At a switch, set the port to 200G-baseCR4 and turn its autonegotiation off; else try another "
            "cable.",
        )
    return None


def _compare(view: NodeNow, cage: str, others: list[NodeNow]) -> Concern | None:
    """A note where this node's only link is in the cage that no other node uses: it works, and surprises."""
    used = _linked(view)
    linked = [cages for other in others if (cages := _linked(other))]
    if used != {cage} or len(linked) < 2 or any(cage in cages for cages in linked):
        return None
    other = "".join(sorted(set.union(*linked))[:1])
    return Concern(
        RULE,
        view.node_id,
        Severity.NOTE,
        f"The cable is in {cage}, on the other nodes in {other}",
        f"{cage} runs at {CABLE_GBPS:.0f} Gb/s; {len(linked)} other nodes use {other}",
        "Nothing has to be done. Settings that name a port by hand must name this node's own.",
        subject=cage,
        fingerprint="other-cage",
    )
