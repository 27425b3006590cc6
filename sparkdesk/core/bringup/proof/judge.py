"""Judges what the steps of a proof printed: one measurement an item, held against its band, with its likely causes.

The one rule: pure and total, whatever nodes print; what was not measured is None and never a pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sparkdesk.core.bringup.proof import band
from sparkdesk.core.bringup.proof import read_output as read
from sparkdesk.core.bringup.proof.cause import explain
from sparkdesk.core.bringup.proof.judge_speed import judge_clock
from sparkdesk.core.bringup.proof.measurement import Band, Grade, Measurement, ProofItem, ProofKind, ProofPart
from sparkdesk.core.bringup.proof.nccl_compare import compare_nccl
from sparkdesk.core.bringup.proof.nccl_steps import IMAGE_ID
from sparkdesk.core.plain_text import make_plain

MAX_DETAIL_CHARS = 4000
ASK_STEP_ID = "proof-ask"
_AGAIN = "Measure again when the node answers."
_WORST = (Grade.FAIL, Grade.UNREAD, Grade.WARN, Grade.SKIPPED, Grade.PASS)


@dataclass(frozen=True, slots=True)
class Told:
    """What an item's steps printed, part by part."""

    item: ProofItem
    outputs: Mapping[str, str]
    results: Mapping[str, str]

    def text(self, part: ProofPart) -> str:
        """What this part's step printed; "" for nothing."""
        return self.outputs.get(part.step_id, "")

    @property
    def all(self) -> str:
        """Everything, each step once."""
        return "\n".join(self.outputs.get(step_id, "") for step_id in self.item.step_ids)

    def silence(self, parts: Iterable[ProofPart]) -> str:
        """Why these parts printed nothing of use, in words."""
        results = {self.results.get(part.step_id, "") for part in parts}
        if "unknown" in results:
            return "Its end is not known: the connection was lost"
        if "cancelled" in results:
            return "It was cancelled"
        if results & {"", "failed"}:
            return "It was not reached" if "failed" not in results else "It could not be run"
        return "It printed nothing that can be read"


def measure(
    item: ProofItem, outputs: Mapping[str, str], results: Mapping[str, str], case_is_simulated: bool
) -> Measurement:
    """What came of one item, judged by itself. `judge_all` knows more causes."""
    return judge_all((item,), outputs, results, case_is_simulated)[0]


def judge_all(
    items: Sequence[ProofItem], outputs: Mapping[str, str], results: Mapping[str, str], case_is_simulated: bool
) -> tuple[Measurement, ...]:
    """What came of every item; causes and the versions of NCCL look at what all the others showed."""
    found = [explain(_measure(item, outputs, results, case_is_simulated), items, outputs) for item in items]
    return compare_nccl(found, outputs)


def _measure(
    item: ProofItem, outputs: Mapping[str, str], results: Mapping[str, str], is_simulated: bool
) -> Measurement:
    if item.skipped:
        return Measurement(item, Grade.SKIPPED, message=item.skipped, is_simulated=is_simulated)
    told = Told(item, outputs, results)
    found = _JUDGES[item.kind](told)
    return replace(
        found,
        detail=make_plain(told.all.strip(), max_chars=MAX_DETAIL_CHARS),
        message=f"{found.message} {item.note}" if item.note and found.value is not None else found.message,
        is_simulated=is_simulated or read.is_marked_simulated(told.all),
    )


def grade_of(value: float | None, against: Band | None) -> Grade:
    """How a value stands against its band; what is no number is UNREAD."""
    if value is None or against is None or math.isnan(value):
        return Grade.UNREAD
    sign = -1 if against.is_lower_better else 1
    if sign * value >= sign * against.pass_at:
        return Grade.PASS
    return Grade.WARN if sign * value >= sign * against.warn_at else Grade.FAIL


def worst_of(grades: Iterable[Grade]) -> Grade:
    """The grade that must be told of several; UNREAD of none."""
    there = set(grades)
    return next((grade for grade in _WORST if grade in there), Grade.UNREAD)


# Links, pings, addresses ---------------------------------------------------------------------------------------------


def _judge_link(told: Told) -> Measurement:
    item, faults, speeds = told.item, list[tuple[Grade, str, str]](), list[float]()
    for part in item.parts:
        end = part.source
        found = read.read_link(told.text(part), end.netdev, end.rdma_device)
        place = f"{end.netdev} of {end.name}"
        speeds.append(0.0 if found.carrier is False else found.speed_gbps)
        if found.carrier is False:
            remedy = "Put the cable in again at both ends until it clicks; then restart both nodes."
            faults.append((Grade.FAIL, f"{place} has no carrier", remedy))
        elif found.carrier is None or math.isnan(found.speed_gbps):
            faults.append((Grade.UNREAD, f"{place} does not tell its line", _AGAIN))
        elif found.speed_gbps < band.LINK.pass_at:
            grade = grade_of(found.speed_gbps, band.LINK)
            remedy = "On a switch set the port to 200G-baseCR4 without autonegotiation; else try another cable."
            faults.append((grade, f"{place} runs at {found.speed_gbps:.0f} Gb/s", remedy))
        if found.width is not None and found.width < 4:
            faults.append((Grade.WARN, f"{place} has {found.width} PCIe lanes of 4", "Update the node's firmware."))
        if found.mtu is not None and end.mtu is not None and found.mtu < end.mtu:
            faults.append(
                (Grade.WARN, f"{place} has MTU {found.mtu}, not {end.mtu}", "Apply the network's step again.")
            )
        if found.rdma and found.rdma != "ACTIVE":
            remedy = "Restart both nodes: one that restarts alone can leave the other's port down."
            faults.append((Grade.WARN, f"RDMA of {place} is {found.rdma}", remedy))
    grade = worst_of(grade for grade, _, _ in faults) if faults else Grade.PASS if speeds else Grade.UNREAD
    value = min(speeds) if speeds and not any(math.isnan(speed) for speed in speeds) else None
    if not faults:
        message = f"{value:.0f} Gb/s at all {len(speeds)} ends" if value is not None else told.silence(item.parts)
        return Measurement(item, grade if value is not None else Grade.UNREAD, value, "Gb/s", message)
    first = next(fault for fault in faults if fault[0] is grade)
    words = tuple(dict.fromkeys(words for _, words, _ in faults))
    return Measurement(item, grade, value, "Gb/s", "; ".join(words[:3]), causes=words, remedy=first[2])


def _judge_ping(told: Told) -> Measurement:
    item, sent, received = told.item, 0, 0
    times: list[float] = []
    faults: list[tuple[str, str]] = []
    unread: list[ProofPart] = []
    for part in item.parts:
        runs = read.read_pings(told.text(part))
        if len(runs) < 2 or not runs[-1].sent:
            unread.append(part)
            continue
        small, sized = runs[0], runs[-1]
        sent, received = sent + sized.sent, received + sized.received
        times += [sized.mean_ms] if sized.mean_ms is not None else []
        if sized.received < sized.sent:
            faults.append(_ping_fault(part, small, sized))
    loss = 100.0 * (sent - received) / sent if sent else None
    counts = f"{received} of {sent}, both ways on every half" if sent else ""
    if faults:
        words = tuple(dict.fromkeys(words for words, _ in faults))
        return Measurement(item, Grade.FAIL, loss, "% lost", f"{counts}: {words[0]}", words, faults[0][1])
    if unread:
        return _not_read(told, unread, "ping", package="iputils-ping")
    mean = f", {sum(times) / len(times):.2f} ms" if times else ""
    return Measurement(item, grade_of(loss, band.PING), loss, "% lost", f"{counts}{mean}")


def _ping_fault(part: ProofPart, small: read.PingReading, sized: read.PingReading) -> tuple[str, str]:
    target = part.target.name if part.target is not None else "the other end"
    way = f"{part.source.name} to {target} by {part.source.netdev}"
    if small.received and not sized.received:
        return (
            f"{way}: short packets arrive, long ones are lost: an MTU on the way is smaller",
            f"Set the MTU of {target}, and of the switch's ports, to 9000 or more.",
        )
    if not small.received:
        remedy = "See that both ends have their addresses, and that the cable is the one that SparkDesk shows."
        return f"{way}: nothing arrives", remedy
    return f"{way}: some packets are lost", "Put the cable in again at both ends, then try another cable."


def _judge_duplicate(told: Told) -> Measurement:
    item, owners, names = told.item, dict(told.item.facts), dict(told.item.names)
    unread: list[ProofPart] = []
    doubles: list[str] = []
    twins = 0
    for part in item.parts:
        found, end = read.read_arping(told.text(part)), part.source
        if not found.did_end or end.node_id not in owners.values():
            unread.append(part)
            continue
        for mac in found.macs:
            # A node's own twin answers for it too (ARP flux): that is no duplicate.
            if owners.get(mac) == end.node_id:
                twins += 1
            else:
                other = names.get(owners.get(mac, ""), "another device")
                doubles.append(f"{end.address} of {end.name} is also at {other} [{mac}]")
    if doubles:
        remedy = "Take the address off the other device, or run the bring-up again so that another one is chosen."
        return Measurement(item, Grade.FAIL, float(len(doubles)), "duplicates", doubles[0], tuple(doubles[:4]), remedy)
    if unread or not item.parts:
        return _not_read(told, unread, "arping", package="iputils-arping")
    note = " (only twins of the same node answer)" if twins else ""
    return Measurement(item, Grade.PASS, 0.0, "duplicates", f"{len(item.parts)} addresses, each at one node{note}")


# Bandwidth and latency -----------------------------------------------------------------------------------------------


def _judge_bandwidth(told: Told) -> Measurement:
    return _judge_halves(told, read.read_bandwidth, "ib_write_bw", "perftest")


def _judge_tcp(told: Told) -> Measurement:
    return _judge_halves(told, read.read_iperf, "iperf3", "iperf3")


def _judge_halves(told: Told, reader: Callable[[str], float | None], tool: str, package: str) -> Measurement:
    """The sum over both halves, of the weaker way where both were measured; a half that gave nothing leaves it unknown,
    and is told."""
    item = told.item
    values = [(part, reader(told.text(part))) for part in item.parts]
    without = [part for part, value in values if value is None]
    is_both_ways = len({part.source.node_id for part in item.parts}) > 1
    if without or not values:
        found = _not_read(told, without, tool, package=package)
        known = [
            f"{value:.1f} Gb/s on half {part.half + 1}{_way_words(part) if is_both_ways else ''}"
            for part, value in values if value is not None
        ]  # fmt: skip
        return replace(found, message=f"{', '.join(known)}; else: {found.message}") if known else found
    ways: dict[str, tuple[str, list[float]]] = {}
    for part, value in values:
        _, amounts = ways.setdefault(part.source.node_id, (_way_words(part), []))
        amounts += [value] if value is not None else []
    total = min(sum(amounts) for _, amounts in ways.values())
    grade = grade_of(total, item.band)
    is_half = all(len(amounts) == 1 for _, amounts in ways.values())
    mark = f" · passes at {item.band.pass_at:.0f}" if item.band is not None else ""
    if is_half and grade is Grade.PASS:
        grade = Grade.WARN
    words = ", ".join(
        " + ".join(f"{amount:.1f}" for amount in amounts) + (way if is_both_ways else "")
        for way, amounts in ways.values()
    )
    halves = "one half only" if is_half else "both halves"
    return Measurement(item, grade, total, "Gb/s", f"{words}, {halves}{mark}")


def _way_words(part: ProofPart) -> str:
    return f" to {part.target.name}" if part.target is not None else ""


def _judge_latency(told: Told) -> Measurement:
    item = told.item
    values = [(part, read.read_latency(told.text(part))) for part in item.parts]
    without = [part for part, value in values if value is None]
    if without or not values:
        return _not_read(told, without, "ib_write_lat", package="perftest")
    amounts = [value for _, value in values if value is not None]
    grade = grade_of(max(amounts), item.band)
    remedy = "" if grade is Grade.PASS else "Measure again without other load on the nodes; see that bandwidth passes."
    words = " and ".join(f"{amount:.2f}" for amount in amounts)
    return Measurement(item, grade, max(amounts), "µs", f"{words} µs, one way, half by half", remedy=remedy)


# NCCL ----------------------------------------------------------------------------------------------------------------


def _judge_nccl_host(told: Told) -> Measurement:
    versions = [version for _, version in told.item.facts]
    if not any(versions):
        return Measurement(told.item, Grade.SKIPPED, message="No NCCL on the hosts; images bring their own.")
    if len(set(versions)) == 1:
        return Measurement(told.item, Grade.PASS, message=f"{versions[0]} on all {len(versions)} nodes")
    words = ", ".join(f"{version or 'none'} on {name}" for name, version in told.item.facts)
    remedy = "Install the same NCCL on every node, if programs outside images are to run over several nodes."
    return Measurement(told.item, Grade.WARN, message=words[:300], remedy=remedy)


def _judge_nccl_image(told: Told) -> Measurement:
    """One image on the nodes that have it: those that lack it are named, and fail nothing."""
    item = told.item
    versions = {part: read.read_version(told.text(part)) for part in item.parts}
    found = [(part.source.name, version) for part, version in versions.items() if version]
    silent = [part for part, version in versions.items() if not version]
    lacking = [part for part in silent if read.has_no_image(told.text(part))]
    if bare := [part.source.name for part in silent if read.has_no_torch(told.text(part))]:
        words = f"It has no PyTorch with NCCL, by what it says on {bare[0]}: there is nothing to compare"
        remedy = "Choose another image, then prove again." if item.id == IMAGE_ID else ""
        return Measurement(item, Grade.SKIPPED, message=words, remedy=remedy)
    if not found or len(silent) > len(lacking):
        return _not_read(
            told, [part for part in silent if part not in lacking] or silent, "docker", package="docker-ce"
        )
    gone = f"Not on {', '.join(part.source.name for part in lacking)}." if lacking else ""
    notes = " ".join(filter(None, (gone, item.note)))
    note = f". {notes}" if notes else ""
    if len({version for _, version in found}) > 1:
        message = f"{', '.join(f'{version} on {name}' for name, version in found)[:300]}{note}"
        grade = Grade.FAIL if item.id == IMAGE_ID else Grade.WARN  # nobody may mean to use one of the others
        remedy = "Put the same image, by its digest, on every node."
        return Measurement(item, grade, message=message, remedy=remedy, causes=("The images are not the same",))
    where = f"all {len(found)} nodes" if 1 < len(found) == len(item.node_ids) else ", ".join(name for name, _ in found)
    good = "" if found[0][1] != band.GOOD_NCCL else ", with which others measured 23.7 GB/s"
    return Measurement(item, Grade.PASS, message=f"{found[0][1]} on {where}{good}{note}")


_UNSEEN = "its way not seen"


def _judge_gather(told: Told) -> Measurement:
    item = told.item
    if told.results.get(ASK_STEP_ID) in ("failed", "cancelled"):
        return Measurement(item, Grade.SKIPPED, message="Left out: jobs run on its nodes, and nobody said yes.")
    found = [(part, read.read_gather(told.text(part))) for part in item.parts]
    # A rank that names its own trouble says more than those that waited for it in vain.
    troubles = [one for _, one in found if one is not None and one.busbw_gbs is None and one.message]
    failed = min(troubles, key=lambda one: one.remedy.startswith("Look at the cables"), default=None)
    without = [part for part, one in found if one is None or one.busbw_gbs is None]
    there = [one for _, one in found if one is not None and one.busbw_gbs is not None]
    if wrong := [part.source.name for part, one in found if one is not None and one.is_wrong]:
        remedy = "Do not use this cluster for jobs over several nodes; measure again, then try another image."
        causes = ("The image's NCCL, or a cable that corrupts data",)
        return Measurement(item, Grade.FAIL, None, "GB/s", f"Wrong data arrived at {wrong[0]}", causes, remedy)
    if failed is not None:
        return Measurement(item, Grade.FAIL, None, "GB/s", failed.message, remedy=failed.remedy or _AGAIN)
    if without or not there:
        return _not_read(told, without, "docker", package="docker-ce")
    value = min(one.busbw_gbs for one in there if one.busbw_gbs is not None)
    ways = sorted({way for one in there for way in one.transports})
    grade = grade_of(value, item.band)
    mark = f" · NVIDIA's pass mark {item.band.pass_at:.1f}" if item.band is not None else ""
    message = f"bus bandwidth, {' and '.join(ways) or _UNSEEN}{mark}"
    if "NET/Socket" in ways:
        grade = Grade.FAIL
    elif grade is Grade.PASS and not all(one.transports for one in there):
        remedy = "Look at the NCCL_DEBUG lines of a job: NET/IB must be there, not NET/Socket."
        some = "" if not ways else f" · {_UNSEEN} at every node"
        return Measurement(item, Grade.WARN, value, "GB/s", f"{message}{some}", remedy=remedy)
    return Measurement(item, grade, value, "GB/s", message)


# What was not measured -----------------------------------------------------------------------------------------------


def _not_read(told: Told, parts: Sequence[ProofPart], tool: str, *, package: str) -> Measurement:
    """SKIPPED where the tool or image is not there, FAIL where the tool ran and got nowhere, else UNREAD."""
    item, unit = told.item, told.item.band.unit if told.item.band is not None else ""
    absent = [part.source.name for part in parts if read.is_absent(told.text(part), tool)]
    if absent:
        words, remedy = f"{tool} is not on {absent[0]}", f"Install it there: sudo apt install {package}"
        return Measurement(item, Grade.SKIPPED, None, unit, words, remedy=remedy)
    if lacking := [part.source.name for part in parts if tool == "docker" and read.has_no_image(told.text(part))]:
        words = f"The image is not on {lacking[0]}"
        return Measurement(item, Grade.SKIPPED, None, unit, words, remedy="Bring the image there, then measure again.")
    spoken = [part for part in parts if told.text(part).strip()]
    if not spoken:
        return Measurement(item, Grade.UNREAD, None, unit, told.silence(parts), remedy=_AGAIN)
    first = spoken[0]
    words = f"{first.source.name}: {read.last_words(told.text(first)) or 'no words'}"
    if read.is_denied(told.text(first)):
        remedy = f"Let this account use {tool} on {first.source.name}, then measure again."
        return Measurement(item, Grade.UNREAD, None, unit, words, remedy=remedy)
    has_failed = item.kind in _FAILING and told.results.get(first.step_id) == "done"
    remedy = "See that the link and ping measurements pass, then measure again." if has_failed else _AGAIN
    return Measurement(item, Grade.FAIL if has_failed else Grade.UNREAD, None, unit, words, remedy=remedy)


_FAILING = (ProofKind.RDMA_BANDWIDTH, ProofKind.RDMA_LATENCY, ProofKind.TCP)
"""What a tool that ran without a figure says something bad of; of the others it says nothing."""

_JUDGES: Mapping[ProofKind, Callable[[Told], Measurement]] = {
    ProofKind.LINK: _judge_link,
    ProofKind.PING: _judge_ping,
    ProofKind.DUPLICATE: _judge_duplicate,
    ProofKind.RDMA_BANDWIDTH: _judge_bandwidth,
    ProofKind.RDMA_LATENCY: _judge_latency,
    ProofKind.TCP: _judge_tcp,
    ProofKind.NCCL_HOST: _judge_nccl_host,
    ProofKind.NCCL_IMAGE: _judge_nccl_image,
    ProofKind.ALL_GATHER: _judge_gather,
    ProofKind.GPU_CLOCK: lambda told: judge_clock(told, partial(_not_read, tool="docker", package="docker-ce")),
}
