"""What a launch and the deployments beside it take from each other: memory bandwidth, compute and the cable.

The rule of sharing: a device's reachable bandwidth, its compute and a cable are each divided in proportion to what is
asked of them. While the sum of what all ask is within reach nobody is slowed; beyond it all are slowed by the same
factor, reach over sum. Reading a prompt asks all of the compute, because programs take turns on one GPU.
The one rule: how busy a neighbour is, is read and never supposed. Where it is not known the figures are NaN.

Source of the turns: CUDA runs the work of several processes one after the other (NVIDIA, Multi-Process Service,
"Volta MPS" chapter: without it kernels of different processes cannot run at once). How GB10 divides between two that
are bound by memory: unverified on hardware [memory-sharing].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from sparkdesk.core.planning.place import Neighbour, Place
from sparkdesk.core.planning.prediction import UNKNOWN_PREDICTION, Prediction
from sparkdesk.core.planning.row import Toll
from sparkdesk.core.planning.share import ALL, Share
from sparkdesk.core.planning.speed.cable import DEFAULT_LINK

NAN = math.nan
REACHABLE_GB_PER_S = 192.0
"""10^9 bytes a second that programs get of a GB10's 273 together. Source: 180 to 192 reported as the reachable budget;
a program that alone gets more raises it."""


def neighbours_of(place: Place) -> tuple[Neighbour, ...]:
    """Those that run on one of the place's nodes."""
    nodes = {node.node_id for node in place.nodes}
    return tuple(one for one in place.neighbours if nodes.intersection(one.node_ids))


def is_known(share: Share) -> bool:
    """Whether it can be said what is left."""
    return all(math.isfinite(part) for part in (share.memory, share.compute, share.link))


def share_left(place: Place, prediction: Prediction, *, reachable_gb_per_s: float = REACHABLE_GB_PER_S) -> Share:
    """What the neighbours leave of what `prediction` (made alone) asks, on the node that leaves least: 0 to 1 each.

    NaN where how busy a neighbour is, is not known. Idle neighbours leave all.
    """
    others = neighbours_of(place)
    if not others:
        return ALL
    shares = [_share_on(node.node_id, others, prediction, reachable_gb_per_s) for node in place.nodes]
    link = _link_factor(place, others, prediction) if len(place.nodes) > 1 else 1.0
    return Share(
        memory=_least(memory for memory, _ in shares), compute=_least(compute for _, compute in shares), link=link
    )


def predict_shared(place: Place, alone: Prediction, predict: Callable[[Share], Prediction]) -> Prediction | None:
    """The prediction while the neighbours are as busy as now; None where there are none, NaN where it is not known."""
    if not neighbours_of(place):
        return None
    share = share_left(place, alone)
    if not is_known(share):
        return UNKNOWN_PREDICTION
    return alone if share == ALL else predict(share)


def tolls(place: Place, prediction: Prediction, *, reachable_gb_per_s: float = REACHABLE_GB_PER_S) -> tuple[Toll, ...]:
    """What the launch, while it is busy as `prediction` (made alone) says, costs each neighbour: tokens a second then
    over those of now, 0 to 1. One that is idle loses nothing; one that is not known loses NaN."""
    others = neighbours_of(place)
    return tuple(
        Toll(one.job_id, one.title, _slowdown(one, place, others, prediction, reachable_gb_per_s)) for one in others
    )


def busyness_words(place: Place) -> str:
    """What is not known of the neighbours, for the screen; "" where all is."""
    silent = [one.title for one in neighbours_of(place) if not math.isfinite(one.gb_per_s + one.link_gb_per_s)]
    return f"How busy {_join(silent)} {'is' if len(silent) == 1 else 'are'} now is not known" if silent else ""


# One node ------------------------------------------------------------------------------------------------------------


def _share_on(node_id: str, others: Iterable[Neighbour], mine: Prediction, reachable: float) -> tuple[float, float]:
    """What is left on one node: of memory bandwidth while it decodes, of compute while it reads prompts."""
    here = [one for one in others if node_id in one.node_ids]
    asked = math.fsum(one.gb_per_s for one in here)
    # Who alone gets more than that has shown that it can be reached; a neighbour's more is not left for this one.
    memory = _factor(asked, mine.memory_gb_per_s, max(reachable, mine.memory_gb_per_s))
    return memory, 1.0 / (1.0 + _busy_share(here, reachable))


def _factor(asked: float, more: float, reachable: float) -> float:
    """By what all are slowed when `more` comes to what is `asked` already."""
    total = asked + more
    if math.isnan(total):
        return NAN
    return min(1.0, reachable / total) if total > 0.0 else 1.0


def _busy_share(here: Iterable[Neighbour], reachable: float) -> float:
    """Parts of its time in which the node's GPU works for these; 0 when all are idle, NaN when one is not known."""
    return math.fsum(_duty(one, reachable) for one in here)


def _duty(one: Neighbour, reachable: float) -> float:
    memory, compute = one.gb_per_s / reachable, one.compute_share
    return NAN if math.isnan(memory) or math.isnan(compute) else min(1.0, max(memory, compute, 0.0))


def _slowdown(one: Neighbour, place: Place, others: tuple[Neighbour, ...], mine: Prediction, reachable: float) -> float:
    if math.isnan(one.gb_per_s):
        return NAN
    if one.gb_per_s <= 0.0 and one.compute_share <= 0.0:
        return 1.0
    prompt_share = mine.prompt_share if math.isfinite(mine.prompt_share) else 0.0
    factors = []
    for node_id in (node.node_id for node in place.nodes if node.node_id in one.node_ids):
        here = [other for other in others if node_id in other.node_ids]
        asked = math.fsum(other.gb_per_s for other in here)
        memory = _factor(asked, mine.memory_gb_per_s, max(reachable, asked))
        busy = _busy_share(here, reachable)  # above 1 they wait for each other already
        factors.append(prompt_share * max(1.0, busy) / (1.0 + busy) + (1.0 - prompt_share) * memory)
    if not one.link_gb_per_s <= 0.0 and len(place.nodes) > 1:
        factors.append(_link_factor(place, others, mine))
    return _least(factors)


def _link_factor(place: Place, others: Iterable[Neighbour], mine: Prediction) -> float:
    """What is left of the cable of the node whose cable is asked most."""
    asked = _most(
        math.fsum(one.link_gb_per_s for one in others if node.node_id in one.node_ids) for node in place.nodes
    )
    return _factor(asked, mine.link_gb_per_s, (place.link or DEFAULT_LINK).gb_per_s)


def _least(values: Iterable[float]) -> float:
    found = list(values)
    return NAN if any(math.isnan(value) for value in found) else min(found, default=1.0)


def _most(values: Iterable[float]) -> float:
    found = list(values)
    return NAN if any(math.isnan(value) for value in found) else max(found, default=0.0)


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
