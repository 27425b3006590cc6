"""The looks of a proof that load nothing: carrier and speed, sized pings both ways, addresses that somebody else has.

The one rule: these steps accept any end of their commands; what was printed is judged, so that one bad cable does not
end the proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.proof.band import LINK, PING
from sparkdesk.core.bringup.proof.measurement import ProofEnd, ProofItem, ProofKind, ProofPart
from sparkdesk.core.bringup.proof.wire import Wire
from sparkdesk.core.command import Command
from sparkdesk.core.step import Expect, Run, Stage, Step

ANY_END = Expect(exit_codes=(0, 1, 2, 3, 64, 124, 125, 126, 127, 130, 134, 135, 136, 137, 139, 141, 143, 255))
"""How programs end, well or not. An end that is not known is none of these, and still ends the step."""
PHASE = "proof"
IP_AND_ICMP_BYTES = 28
PINGS = 10
WARM_UP_S = "8"
"""How long the small ping waits for its one answer: after addresses were set a neighbour's entry of before is only
given up after 5 s, and all is lost until then. Source: arp(7), delay_first_probe_time; seen between namespaces."""
PARALLEL = 6
"""Steps of a stage that run at once: sshd gives one connection ten channels, and some are taken."""

Part = tuple[tuple[ProofItem, ...], tuple[Stage, ...]]
"""Items, and the stages whose steps they are read from."""


def step_of(step_id: str, title: str, node: str, *commands: tuple[str, ...], limit_s: float = 15.0) -> Step:
    """A step that runs these commands and accepts any end of them."""
    runs = tuple(Run(Command(argv, env={"LC_ALL": "C"}), ANY_END, timeout_s=limit_s) for argv in commands)
    return Step(step_id, title, node, apply=runs, phase=PHASE)


def link_part(wires: Sequence[Wire]) -> Part:
    """One look a node at all its halves in use, one without a link included, and one item a cable."""
    wires = [
        replace(one, halves=tuple(sorted((*one.halves, *one.unlinked), key=lambda half: half.half))) for one in wires
    ]
    ends: dict[str, dict[str, ProofEnd]] = {}
    for end in _ends_of(wires):
        ends.setdefault(end.node_id, {})[end.netdev] = end
    steps = []
    for node_id, halves in ends.items():
        files = tuple(path for end in halves.values() for path in link_files(end))
        name = next(iter(halves.values())).name
        # -s: a file that a kernel does not have is no news; -H: each line names its file.
        steps.append(
            step_of(f"proof-link-{node_id}", f"Read the links of {name}", node_id, ("grep", "-sH", "", *files))
        )
    items = []
    for of_cable in by_cable(wires).values():
        parts = tuple(ProofPart(f"proof-link-{end.node_id}", end, half=half) for half, end in halves_of(of_cable))
        items.append(replace(item_of(ProofKind.LINK, "Carrier and line speed", of_cable, parts), band=LINK))
    return tuple(items), (Stage("Read the links", tuple(steps), PARALLEL),) if steps else ()


def link_files(end: ProofEnd) -> tuple[str, ...]:
    """What a kernel tells of one half; its PCIe lanes are unverified on hardware [cx7-width]."""
    base = f"/sys/class/net/{end.netdev}"
    found = [f"{base}/{name}" for name in ("carrier", "speed", "mtu", "device/current_link_width")]
    if end.rdma_device:
        found += [f"/sys/class/infiniband/{end.rdma_device}/ports/1/{name}" for name in ("state", "rate")]
    return tuple(found)


def ping_part(wires: Sequence[Wire]) -> Part:
    """One small answer, waited for, and ten sized pings, from each end of each half to the other by its interface."""
    items, steps = [], []
    for wire in wires:
        parts = []
        for half in wire.halves:
            for way, source, target in (("ab", half.a, half.b), ("ba", half.b, half.a)):
                step_id = f"proof-ping-{wire.number}-{half.half}-{way}"
                size = str(ping_bytes(source, target))
                title = f"Ping {target.name} from {source.name} by {source.netdev}, {size} bytes unsplit"
                # -n: no names are looked up; -I: else a twin on the same subnet answers for a half that does not work.
                common = ("ping", "-n", "-q", "-I", source.netdev)
                small = (*common, "-c", "1", "-w", WARM_UP_S, target.address)
                sized = (*common, "-M", "do", "-s", size, "-c", str(PINGS), "-i", "0.2", "-w", "4", target.address)
                steps.append(step_of(step_id, title, source.node_id, small, sized))
                parts.append(ProofPart(step_id, source, target, half.half))
        size = str(ping_bytes(wire.halves[0].a, wire.halves[0].b))
        items.append(replace(item_of(ProofKind.PING, f"Ping {size} B, DF set", (wire,), parts), band=PING))
    return tuple(items), (Stage("Ping both ways on every half", tuple(steps), PARALLEL),) if steps else ()


def ping_bytes(a: ProofEnd, b: ProofEnd) -> int:
    """The largest payload that fits unsplit: 8972 of an MTU of 9000."""
    known = [mtu for mtu in (a.mtu, b.mtu) if mtu is not None and 576 <= mtu <= 65535]
    return min(known, default=1500) - IP_AND_ICMP_BYTES


def duplicate_part(case: Case, wires: Sequence[Wire]) -> Part:
    """Each address asked for on its own half: who else answers has it too. A node's own twin answers as well."""
    items, steps = [], []
    done: dict[tuple[str, str], str] = {}
    for of_cable in by_cable(wires).values():
        parts = []
        for half, end in halves_of(of_cable):
            key = (end.node_id, end.netdev)
            if key not in done:
                done[key] = f"proof-duplicate-{len(done)}"
                title = f"Ask on {end.netdev} of {end.name} who else has {end.address}"
                asked = ("arping", "-D", "-c", "2", "-w", "2", "-I", end.netdev, end.address)
                steps.append(step_of(done[key], title, end.node_id, asked))
            parts.append(ProofPart(done[key], end, half=half))
        item = item_of(ProofKind.DUPLICATE, "No address twice", of_cable, parts)
        items.append(replace(item, facts=_owners(case), names=tuple(case.names().items())))
    return tuple(items), (Stage("Look for addresses that are taken twice", tuple(steps), PARALLEL),) if steps else ()


def _owners(case: Case) -> tuple[tuple[str, str], ...]:
    """Hardware address -> id of its node, of every interface that was read."""
    return tuple(
        (interface.mac.lower(), node_id)
        for node_id in case.node_ids
        for interface in case.reading(node_id).interfaces.values()
        if interface.mac.strip("0:")
    )


def by_cable(wires: Iterable[Wire]) -> dict[str, tuple[Wire, ...]]:
    """The wires of each cable, or of each switch."""
    found: dict[str, list[Wire]] = {}
    for wire in wires:
        found.setdefault(wire.cable, []).append(wire)
    return {cable: tuple(each) for cable, each in found.items()}


def halves_of(wires: Iterable[Wire]) -> list[tuple[int, ProofEnd]]:
    """Every end of these wires once, with its half."""
    found = {
        (end.node_id, end.netdev): (half.half, end)
        for wire in wires
        for half in wire.halves
        for end in (half.a, half.b)
    }
    return list(found.values())


def _ends_of(wires: Iterable[Wire]) -> Iterable[ProofEnd]:
    return (end for _, end in halves_of(wires))


def item_of(kind: ProofKind, title: str, wires: Sequence[Wire], parts: Sequence[ProofPart]) -> ProofItem:
    """An item between the ends of these wires, which are of one cable."""
    names = {end.node_id: end.name for end in _ends_of(wires)}
    where = " ↔ ".join(names.values()) if len(names) == 2 else f"{len(names)} nodes"
    return ProofItem(
        f"{kind.value}-{wires[0].number}",
        kind,
        f"{title}, {where}",
        tuple(names),
        tuple(dict.fromkeys(part.step_id for part in parts)),
        wires[0].cable,
        parts=tuple(parts),
    )


def busy_jobs(case: Case, nodes: Iterable[str]) -> list[str]:
    """The jobs that are known to run on these nodes: "gpt-oss-120b on spark-1"."""
    return [f"{job} on {case.reading(node).name}" for node in nodes for job in case.busy.get(node, ())]
