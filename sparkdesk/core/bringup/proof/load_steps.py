"""The looks of a proof that load the cables: RDMA bandwidth and latency, and TCP where there is no RDMA.

The one rule: round by round, so that nothing measures against itself; both halves of a cable at once, because they
share it. A server ends by itself (`timeout`), whoever comes or does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.proof.band import RDMA_BOTH, RDMA_HALF, RDMA_LATENCY, TCP
from sparkdesk.core.bringup.proof.link_steps import ANY_END, PHASE, Part, busy_jobs, item_of
from sparkdesk.core.bringup.proof.measurement import ProofEnd, ProofItem, ProofKind, ProofPart
from sparkdesk.core.bringup.proof.wire import Wire, WireHalf, make_rounds
from sparkdesk.core.command import Command
from sparkdesk.core.step import Serve, Stage, Step

FIRST_PORT = 18600
"""Of the many ports one each, so that a server that was left alone stands in nobody's way. Own choice: below the range
that systems hand out, and none that an engine uses (spark's playbooks take 12000, 13000 and 18515)."""
BANDWIDTH_S, TCP_S = 4, 4
"""Bandwidth is measured for so long each way. With -D perftest leaves out a quarter, in whole seconds, at either end:
4 is the least that leaves anything out, and without it the one half's start, before the other's, is counted.
Source: linux-rdma/perftest, perftest_parameters.c (margin = duration / 4)."""
SERVER_S, CLIENT_S, STEP_S = 40, 25, 60.0
TRIES = 8
_BACK = 6
"""Of the eight ports of a wire, the first of the two for the bandwidth of the other way."""
_CLIENT = f'n=0; until "$@"; do n=$((n+1)); [ $n -lt {TRIES} ] && command -v "$1" >/dev/null || exit 1; sleep 0.5; done'
"""The server starts at the same moment: a client that finds nobody yet asks again, for four seconds at most."""
_IPERF_CLIENT = (
    'n=0; while :; do o=$("$@"); case $o in *sum_received*) break;; esac; n=$((n+1)); '
    f'[ $n -lt {TRIES} ] && command -v "$1" >/dev/null || break; sleep 0.5; done; printf %s "$o" | tail -c 2500'
)
"""With -J iperf3 ends with 0 though it failed, so its text decides; the sum stands at its end."""
_RDMA_TOOLS = ("ib_write_bw", "ib_write_lat")


def load_part(case: Case, wires: Sequence[Wire]) -> Part:
    """Bandwidth one way, then the other, then latency, of every round of wires."""
    items: list[ProofItem] = []
    stages: list[Stage] = []
    for number, wires_at_once in enumerate(make_rounds(wires), start=1):
        where = f"round {number}: {', '.join(wire.title for wire in wires_at_once)}"
        for words, measure in (("bandwidth", _bandwidth), ("latency", _latency), ("TCP", _tcp)):
            pairs = [pair for wire in wires_at_once for pair in measure(case, wire)]
            items += [item for item, _ in pairs]
            for number_of_way, way in enumerate(_ways_of(pairs)):
                back = ", the other way" if number_of_way else ""
                stages.append(Stage(f"Measure {words}{back}, {where}", way, len(way)))
    return tuple(sorted(items, key=lambda item: int(item.id.rpartition("-")[2]))), tuple(stages)


_Measured = tuple[ProofItem, tuple[tuple[Step, ...], ...]]
"""An item, and its steps way by way: what goes one way is measured at once, and ends before the other way begins."""


def _ways_of(measured: Sequence[_Measured]) -> tuple[tuple[Step, ...], ...]:
    """The steps of all items that run at once, way by way."""
    ways = zip_longest(*(steps for _, steps in measured), fillvalue=())
    return tuple(tuple(step for steps in way for step in steps) for way in ways)


def _bandwidth(case: Case, wire: Wire) -> list[_Measured]:
    """`ib_write_bw` as the playbooks have it, for some seconds instead of for ever, and both ways.

    A port that only receives badly shows in one of them.
    """
    if not wire.has_rdma:
        return []
    ways, parts = [], []
    for way, use in (("ba", 0), ("ab", _BACK)):
        steps = []
        for half in wire.halves:
            source, target = (half.b, half.a) if way == "ba" else (half.a, half.b)
            words = ("-i", "1", "-p", str(port_of(wire, half, use)), "-F", "--report_gbits", "-D", str(BANDWIDTH_S))
            server = ("ib_write_bw", "-d", target.rdma_device, *words)
            client = ("ib_write_bw", "-d", source.rdma_device, *words, target.address)
            step_id = f"proof-bandwidth-{wire.number}-{half.half}-{way}"
            steps.append(_serve(step_id, "Write by RDMA", (source, target), server, client))
            parts.append(ProofPart(step_id, source, target, half.half))
        ways.append(tuple(steps))
    item = item_of(ProofKind.RDMA_BANDWIDTH, "RDMA write", (wire,), parts)
    limits = RDMA_BOTH if len(wire.halves) > 1 else RDMA_HALF
    return [(replace(item, band=limits, note=busy_note(case, wire.nodes)), tuple(ways))]


def _latency(case: Case, wire: Wire) -> list[_Measured]:
    """One way is enough: what is timed goes there and back."""
    if not wire.has_rdma:
        return []
    steps, parts = [], []
    for half in wire.halves:
        words = ("-i", "1", "-p", str(port_of(wire, half, 1)), "-F")
        server = ("ib_write_lat", "-d", half.a.rdma_device, *words)
        client = ("ib_write_lat", "-d", half.b.rdma_device, *words, half.a.address)
        step = _serve(
            f"proof-latency-{wire.number}-{half.half}", "Ask for the latency of RDMA", (half.b, half.a), server, client
        )
        steps.append(step)
        parts.append(ProofPart(step.id, half.b, half.a, half.half))
    item = item_of(ProofKind.RDMA_LATENCY, "RDMA latency", (wire,), parts)
    return [(replace(item, band=RDMA_LATENCY, note=busy_note(case, wire.nodes)), (tuple(steps),))]


def _tcp(case: Case, wire: Wire) -> list[_Measured]:
    """iperf3, where a node has no RDMA, or has not its tools and will not get them."""
    if wire.has_rdma and not _stays_without_tools(case, wire):
        return []
    steps, parts = [], []
    for half in wire.halves:
        port = str(port_of(wire, half, 2))
        server = ("iperf3", "-s", "-1", "-B", half.a.address, "-p", port)
        client = (
            "iperf3", "-J", "-c", half.a.address, "-B", half.b.address, "-p", port, "-P", "4", "-t", str(TCP_S)
        )  # fmt: skip
        step_id = f"proof-tcp-{wire.number}-{half.half}"
        step = _serve(step_id, "Send by TCP", (half.b, half.a), server, client, script=_IPERF_CLIENT)
        steps.append(step)
        parts.append(ProofPart(step.id, half.b, half.a, half.half))
    item = item_of(ProofKind.TCP, "TCP", (wire,), parts)
    return [(replace(item, band=TCP, note=busy_note(case, wire.nodes)), (tuple(steps),))]


def _stays_without_tools(case: Case, wire: Wire) -> bool:
    """Whether perftest is missing on a node and this bring-up does not install it."""
    chapters = case.choices.chapters
    is_installed = not chapters or Chapter.HARDWARE.value in chapters
    return not is_installed and any(
        case.reading(node).tools.get(tool) is False for node in wire.nodes for tool in _RDMA_TOOLS
    )


def _serve(
    step_id: str,
    what: str,
    ends: tuple[ProofEnd, ProofEnd],
    server: tuple[str, ...],
    client: tuple[str, ...],
    *,
    script: str = _CLIENT,
) -> Step:
    source, target = ends
    title = f"{what} from {source.name} to {target.name} by {source.netdev}"
    action = Serve(
        target.node_id,
        Command(("timeout", str(SERVER_S), *server), env={"LC_ALL": "C"}),
        Command(("timeout", str(CLIENT_S), "sh", "-c", script, "client", *client), env={"LC_ALL": "C"}),
        ANY_END,
        STEP_S,
    )
    return Step(step_id, title, source.node_id, apply=(action,), phase=PHASE)


def port_of(wire: Wire, half: WireHalf, use: int) -> int:
    """A port that no other measurement of this proof has."""
    place = next(number for number, one in enumerate(wire.halves) if one is half)
    offset = _BACK + place % 2 if use == _BACK else 3 * (place % 2) + use
    return FIRST_PORT + 8 * (wire.number % 1500) + offset


def busy_note(case: Case, nodes: Sequence[str]) -> str:
    """That jobs run there, so that a figure may be of what they left over; "" when none is known."""
    jobs = busy_jobs(case, nodes)
    return f"Measured while {', '.join(jobs[:4])} ran: what it sends is missing here." if jobs else ""
