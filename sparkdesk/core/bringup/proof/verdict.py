"""What all measurements of a proof come to: whether the network is proved, whether NCCL is, and the GPUs' speed.

The one rule: what was left out is never counted as proved; where no collective ran over the nodes, NCCL is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sparkdesk.core.bringup.proof.measurement import Grade, Measurement, ProofKind

BAD = (Grade.FAIL, Grade.WARN, Grade.UNREAD)
_NETWORK = (ProofKind.LINK, ProofKind.PING, ProofKind.RDMA_BANDWIDTH, ProofKind.RDMA_LATENCY, ProofKind.TCP)
_LOADS = (ProofKind.RDMA_BANDWIDTH, ProofKind.TCP)


def open_parts(measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """What no measurement speaks of, because it was left out: "bandwidth" and "NCCL", of which one node has neither,
    and "full speed", of the GPUs under load."""
    over = [one for one in measurements if len(set(one.item.node_ids)) > 1]
    found = []
    for name, kinds in (("bandwidth", _LOADS), ("NCCL", (ProofKind.ALL_GATHER,))):
        grades = {one.grade for one in over if one.item.kind in kinds}
        if grades == {Grade.SKIPPED}:
            found.append(name)
    if {one.grade for one in measurements if one.item.kind is ProofKind.GPU_CLOCK} == {Grade.SKIPPED}:
        found.append("full speed")
    return tuple(found)


def verdict_words(measurements: Sequence[Measurement]) -> str:
    """ "proved"; "network proved, NCCL not proved"; "2 of 8 measurements stand out"; "nothing measured"."""
    grades = Counter(one.grade for one in measurements)
    if bad := sum(grades[grade] for grade in BAD):
        return f"{bad} of {grades.total()} measurements stand out"
    if not grades[Grade.PASS]:
        return "nothing measured"
    missing = open_parts(measurements)
    if not missing:
        return "proved"
    passed = {one.item.kind for one in measurements if one.grade is Grade.PASS}
    proved = " and ".join(
        name for name, kinds in (("network", _NETWORK), ("NCCL", (ProofKind.ALL_GATHER,))) if passed & set(kinds)
    )
    return ", ".join([*([f"{proved} proved"] if proved else []), *(f"{part} not proved" for part in missing)])


def counted_words(measurements: Sequence[Measurement]) -> str:
    """ "6 passed · 2 skipped"."""
    grades = Counter(one.grade for one in measurements)
    parts = ((Grade.FAIL, "failed"), (Grade.WARN, "warned"), (Grade.UNREAD, "not measured"))
    said = [f"{grades[grade]} {word}" for grade, word in parts if grades[grade]]
    passed = [f"{grades[Grade.PASS]} passed"] if grades[Grade.PASS] or not said else []
    return " · ".join([*passed, *said, *([f"{grades[Grade.SKIPPED]} skipped"] if grades[Grade.SKIPPED] else [])])
