"""Why a figure of the proof lies outside its band: the likely causes in order, each with what helps.

The one rule: what was seen comes before what is only likely, and what another measurement ruled out is not named.
The figures of the causes are unverified on hardware [link-speed, rdma-rate, cx7-width], and so is a twin that
answers for its other half: unverified on hardware [arp-ignore].
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sparkdesk.core.bringup.proof import band
from sparkdesk.core.bringup.proof import read_output as read
from sparkdesk.core.bringup.proof.measurement import Grade, Measurement, ProofEnd, ProofItem, ProofKind, ProofPart

Outputs = Mapping[str, str]
LONG_BYTES = 8000
"""A ping of at least so many bytes proves that no MTU of 1500 is on its way."""
_POWER = (
    "Shut both nodes down, take their power adapters off for a minute, then start both: starting one alone can leave "
    "the other's port down."
)
_OWN_MTU = "Apply the network's step of that node again: its interface does not have the MTU of its file."
_SWITCH = "On the switch set the port to 200G-baseCR4 and turn its autonegotiation off; else try another cable."


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause and what helps against it."""

    words: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Silence:
    """A way on one half on which neither short nor long pings are answered."""

    source: ProofEnd
    target: ProofEnd


@dataclass(frozen=True, slots=True)
class Seen:
    """What all measurements together tell. Of `small_mtu`, `narrow` and the like: sentences' parts that name places."""

    small_mtu: tuple[str, ...] = ()
    low_mtu: tuple[str, ...] = ()
    """Interfaces that have a smaller MTU than the plan leaves them at."""
    one_way: tuple[Silence, ...] = ()
    """Nothing arrives this way though both ends have carrier, and pings the other way are answered."""
    both_ways: tuple[Silence, ...] = ()
    """The same, where nothing is answered either way."""
    is_mtu_proved: bool = False
    """Every sized ping came through."""
    narrow: tuple[str, ...] = ()
    slow_lines: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    """Halves far below the other ones, though not degraded."""
    one_sided: tuple[str, ...] = ()
    """Ways of a half that give far less than the way back on the same half."""
    nccl: tuple[str, ...] = ()
    """The versions inside the image, where they are not all the same."""
    is_nccl_good: bool = False
    """Every node's image has the release that good figures were measured with."""
    transports: frozenset[str] = frozenset()
    devices: int | None = None
    """RDMA devices that the rank with the fewest used; None when that was not told."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """Everything that was measured, and the item whose causes are looked for."""

    items: Sequence[ProofItem]
    outputs: Outputs
    item: ProofItem

    def parts(self, kind: ProofKind) -> Iterator[tuple[ProofPart, str]]:
        """The parts of this kind between the item's nodes, on its cable where it has one, with what they printed.

        Images are its own: what another one has does not explain it.
        """
        nodes = set(self.item.node_ids)
        for item in self.items:
            if item.kind is not kind or (self.item.cable and item.cable != self.item.cable):
                continue
            if kind is ProofKind.NCCL_IMAGE and item.image != self.item.image:
                continue
            for part in item.parts:
                ends = {part.source.node_id} | ({part.target.node_id} if part.target is not None else set())
                if ends <= nodes:
                    yield part, self.outputs.get(part.step_id, "")


def look(items: Sequence[ProofItem], outputs: Outputs, item: ProofItem) -> Seen:
    """What all these items tell that may explain this one."""
    scope = _Scope(items, outputs, item)
    versions = tuple(version for _, text in scope.parts(ProofKind.NCCL_IMAGE) if (version := read.read_version(text)))
    gathers = [found for _, text in scope.parts(ProofKind.ALL_GATHER) if (found := read.read_gather(text)) is not None]
    told = [len(found.devices) for found in gathers if found.devices]
    seen = replace(
        _links(scope),
        degraded=tuple(_halves_within(scope, *band.DEGRADED_GBPS)),
        weak=tuple(_halves_within(scope, band.DEGRADED_GBPS[1], band.WEAK_HALF_GBPS)),
        one_sided=tuple(_one_sided(scope)),
        nccl=versions if len(set(versions)) > 1 else (),
        is_nccl_good=bool(versions) and set(versions) == {band.GOOD_NCCL},
        transports=frozenset(way for found in gathers for way in found.transports),
        devices=min(told) if told else None,
    )
    small, is_proved = _pings(scope)
    one_way, both_ways = _silences(scope)
    return replace(seen, small_mtu=small, is_mtu_proved=is_proved, one_way=one_way, both_ways=both_ways)


def _links(scope: _Scope) -> Seen:
    narrow: dict[str, None] = {}
    slow: dict[str, None] = {}
    low: dict[str, None] = {}
    for part, text in scope.parts(ProofKind.LINK):
        end = part.source
        found = read.read_link(text, end.netdev, end.rdma_device)
        if found.width is not None and found.width < 4:
            narrow[f"{end.netdev} of {end.name} has {found.width} PCIe lanes instead of 4"] = None
        if found.speed_gbps < band.LINK.pass_at:
            slow[f"{end.netdev} of {end.name} runs at {found.speed_gbps:.0f} Gb/s"] = None
        if found.mtu is not None and end.mtu is not None and found.mtu < end.mtu:
            low[f"{end.netdev} of {end.name} has MTU {found.mtu}"] = None
    return Seen(narrow=tuple(narrow), slow_lines=tuple(slow), low_mtu=tuple(low))


def _pings(scope: _Scope) -> tuple[tuple[str, ...], bool]:
    small: dict[str, None] = {}
    proved: list[bool] = []
    for part, text in scope.parts(ProofKind.PING):
        runs = read.read_pings(text)
        is_whole = len(runs) >= 2 and runs[-1].sent > 0 and runs[-1].received == runs[-1].sent
        proved.append(is_whole and runs[-1].payload_bytes >= LONG_BYTES)
        if len(runs) >= 2 and runs[0].received and not runs[-1].received and part.target is not None:
            small[f"{part.source.name} to {part.target.name} by {part.source.netdev}"] = None
    return tuple(small), bool(proved) and all(proved)


def _silences(scope: _Scope) -> tuple[tuple[Silence, ...], tuple[Silence, ...]]:
    """The ways on which all is lost between two ends with carrier: those whose way back works, and the others."""
    has_carrier = {
        (part.source.node_id, part.source.netdev)
        for part, text in scope.parts(ProofKind.LINK)
        if read.read_link(text, part.source.netdev, part.source.rdma_device).carrier
    }
    ways: dict[tuple[ProofEnd, ProofEnd], bool] = {}
    for part, text in scope.parts(ProofKind.PING):
        runs = read.read_pings(text)
        ends = (part.source, part.target)
        if len(runs) >= 2 and runs[-1].sent and all((end.node_id, end.netdev) in has_carrier for end in ends if end):
            ways |= {(ends[0], ends[1]): bool(runs[0].received or runs[-1].received)} if ends[1] is not None else {}
    silent = [(Silence(*ends), ways.get((ends[1], ends[0]))) for ends, is_heard in ways.items() if not is_heard]
    return tuple(one for one, back in silent if back), tuple(one for one, back in silent if back is False)


def _halves_within(scope: _Scope, low: float, high: float) -> Iterator[str]:
    for part, text in scope.parts(ProofKind.RDMA_BANDWIDTH):
        value = read.read_bandwidth(text)
        if value is not None and low < value <= high and part.target is not None:
            yield f"{part.source.netdev} of {part.source.name} to {part.target.name}: {value:.1f} Gb/s"


def _one_sided(scope: _Scope) -> Iterator[str]:
    """The worse way of each half whose two ways are far apart."""
    found = {
        (part.source, part.target): read.read_bandwidth(text) for part, text in scope.parts(ProofKind.RDMA_BANDWIDTH)
    }
    for (source, target), value in found.items():
        back = found.get((target, source)) if target is not None else None
        if target is not None and value is not None and back is not None and value < band.ONE_SIDED_SHARE * back:
            yield f"{source.netdev} of {source.name} to {target.name}: {value:.1f} Gb/s, back {back:.1f}"


# Causes by kind ------------------------------------------------------------------------------------------------------


def explain(measurement: Measurement, items: Sequence[ProofItem], outputs: Outputs) -> Measurement:
    """The measurement with its causes, and with the first one's remedy where it has none of its own."""
    kind = measurement.item.kind
    if measurement.grade not in (Grade.WARN, Grade.FAIL):
        return measurement
    seen = look(items, outputs, measurement.item)
    if kind is ProofKind.PING and seen.low_mtu:
        return replace(measurement, causes=(*seen.low_mtu, *measurement.causes), remedy=_OWN_MTU)
    if kind is ProofKind.PING and (seen.one_way or seen.both_ways):
        return _with_twin(measurement, seen)
    if measurement.causes:
        return measurement
    found: list[Cause] = []
    if kind in (ProofKind.RDMA_BANDWIDTH, ProofKind.TCP):
        found = list(_bandwidth_causes(measurement, seen))
    elif kind is ProofKind.ALL_GATHER and measurement.value is not None:
        found = list(_gather_causes(measurement.value, seen))
    remedy = measurement.remedy or (found[0].remedy if found else "")
    return replace(measurement, causes=tuple(cause.words for cause in found), remedy=remedy)


def _with_twin(measurement: Measurement, seen: Seen) -> Measurement:
    """A half that answers for the other one: the likeliest where all is lost one way only, else the last.

    Source: the kernel's ip-sysctl: arp_ignore 0, the default, answers on any interface for any address of the node;
    behind a switch every request is heard by both halves.
    """
    way = (seen.one_way or seen.both_ways)[0]
    source, target = way.source, way.target
    words = (
        f"Another half of {target.name} may answer for {target.address} (ARP): Linux does so unless arp_ignore is set, "
        f"and {source.name} then sends to the wrong half"
    )
    known = f" [{target.mac}]" if target.mac else ""
    remedy = (
        f"Look on {source.name}: ip neigh show {target.address} dev {source.netdev}. If that is not the address of "
        f"{target.netdev} of {target.name}{known}, set net.ipv4.conf.all.arp_ignore = 1 and arp_announce = 2 in a file "
        f"of /etc/sysctl.d on {target.name}, and measure again; SparkDesk has no step for this."
    )
    if seen.one_way:
        return replace(measurement, causes=(words, *measurement.causes), remedy=remedy)
    remedy = f"{measurement.remedy} {remedy}".strip()
    return replace(measurement, causes=(*measurement.causes, words), remedy=remedy)


def _seen_causes(seen: Seen) -> Iterator[Cause]:
    """What was seen and slows any traffic."""
    if seen.low_mtu:
        yield Cause(f"An MTU below the plan's: {seen.low_mtu[0]}", _OWN_MTU)
    elif seen.small_mtu:
        yield Cause(
            f"An MTU below the plan's on the way: long packets are lost ({seen.small_mtu[0]})",
            "Set the MTU of the other end, and of the switch's ports, to 9000 or more.",
        )
    if seen.degraded:
        yield Cause(f"A port that came up degraded, near 13 Gb/s ({seen.degraded[0]})", _POWER)
    if seen.narrow:
        yield Cause(
            f"PCIe lanes missing: {seen.narrow[0]}",
            "Update the firmware: before April 2026 it could wire the second half with two lanes.",
        )
    if seen.slow_lines:
        yield Cause(f"A slow line: {seen.slow_lines[0]}", _SWITCH)


def _bandwidth_causes(measurement: Measurement, seen: Seen) -> Iterator[Cause]:
    yield from _seen_causes(seen)
    if seen.one_sided and not seen.narrow and not seen.slow_lines:
        yield Cause(
            f"One way only is slow ({seen.one_sided[0]}): a port that sends or receives badly, or its end of the cable",
            "Put the cable in again at both ends, then try another one: if that way stays slow, it is a port.",
        )
    elif seen.weak and not seen.narrow and not seen.slow_lines:
        yield Cause(
            f"One half gives far less than it should ({seen.weak[0]})",
            "See that it has four PCIe lanes; put the cable in again at both ends.",
        )
    if len({part.half for part in measurement.item.parts}) == 1:
        yield Cause("Only one half of the cable has an address: half of its bandwidth", "Give both halves addresses.")
    if measurement.item.note:
        yield Cause("A job that runs on these nodes uses the cable", "Measure again when it has ended.")
    low, high = band.DEGRADED_GBPS
    value = measurement.value if measurement.value is not None else math.nan
    if measurement.item.kind is ProofKind.TCP and low <= value <= high and not seen.degraded:
        yield Cause("A port that came up degraded gives about 13 Gb/s", _POWER)
    if not seen.slow_lines:
        yield Cause(
            "A cable or a switch's port that is not sound",
            "Put the cable in again at both ends, then try another cable.",
        )


def _gather_causes(value: float, seen: Seen) -> Iterator[Cause]:
    """What was seen, then the cause whose figure this is, then the others in their order."""
    if "NET/Socket" in seen.transports:
        yield Cause(
            "NCCL went by NET/Socket: the data did not go by RDMA",
            "See that the container has /dev/infiniband, and that NCCL_IB_HCA names both halves' RDMA devices.",
        )
    yield from _seen_causes(seen)
    if seen.nccl:
        yield Cause(
            f"Unequal NCCL in the nodes' images: {', '.join(dict.fromkeys(seen.nccl))}",
            "Put the same image, by its digest, on every node.",
        )
    if seen.devices == 1:
        yield Cause("NCCL used one RDMA device only: about 12 GB/s at most", _ONE_HCA.remedy)
    yield from _likely(value, seen)


_ONE_HCA = Cause(
    "One RDMA device only (about 12 GB/s)", "Give both halves of the cable addresses, and list both in NCCL_IB_HCA."
)
_WRONG_NCCL = Cause(
    "A build of NCCL that does not fit the GB10 (about 3 GB/s)",
    "Choose an image with a released NCCL, 2.28.9 or later.",
)
_MTU = Cause("An MTU of 1500 (about 19 to 21 GB/s)", "Set MTU 9000 on both ends, and on the switch's ports.")
_MANAGEMENT = Cause(
    "The data went over the management network (about 1.2 GB/s at most)",
    "See that NCCL_IB_HCA names the RDMA devices of the cables.",
)


def _likely(value: float, seen: Seen) -> Iterator[Cause]:
    """The known figures: the one that fits first, then the rest; without what was ruled out or was said already."""
    known = (
        (_ONE_HCA, band.ONE_HCA_GBS, seen.devices is not None),
        (_WRONG_NCCL, band.WRONG_NCCL_GBS, seen.is_nccl_good),
        (_MTU, band.SMALL_MTU_GBS, seen.is_mtu_proved or bool(seen.small_mtu or seen.low_mtu)),
        (_MANAGEMENT, (0.0, band.MANAGEMENT_GBS), seen.transports == {"NET/IB"}),
    )
    left = [(cause, low <= value <= high) for cause, (low, high), is_out in known if not is_out]
    yield from (cause for cause, fits in left if fits)
    yield from (cause for cause, fits in left if not fits)
