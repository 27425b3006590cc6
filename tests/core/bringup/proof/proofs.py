"""Proofs of ready clusters, and what their steps would print: the ground that the tests of judging stand on."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.proof.build import build_proof
from sparkdesk.core.bringup.proof.measurement import ProofItem, ProofKind, ProofPart
from sparkdesk.core.bringup.scheme import HalfAddress, Lane, Scheme
from sparkdesk.core.cluster.half import cage_of
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Playbook
from tests.core.bringup.cases import make_case, with_node

LINK = """\
/sys/class/net/{netdev}/carrier:1
/sys/class/net/{netdev}/speed:{speed}
/sys/class/net/{netdev}/mtu:9000
/sys/class/net/{netdev}/device/current_link_width:{width}
/sys/class/infiniband/{device}/ports/1/state:4: ACTIVE
/sys/class/infiniband/{device}/ports/1/rate:200 Gb/sec (2X NDR)
"""
PING = """\
PING {to} ({to}) from {own} {netdev}: 56(84) bytes of data.

--- {to} ping statistics ---
1 packets transmitted, {small} received, {small_loss}% packet loss, time 0ms
rtt min/avg/max/mdev = 0.060/0.060/0.060/0.000 ms
PING {to} ({to}) from {own} {netdev}: 8972(9000) bytes of data.

--- {to} ping statistics ---
10 packets transmitted, {sized} received, {loss}% packet loss, time 1830ms
rtt min/avg/max/mdev = 0.057/0.091/0.132/0.015 ms
"""
ARPING = (
    "ARPING {address} from 0.0.0.0 {netdev}\n{replies}Sent 2 probes (2 broadcast(s))\nReceived {count} response(s)\n"
)
BANDWIDTH = """\
                    RDMA_Write BW Test
 #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]
 65536      882805           0.00               {gbps}                0.176554
---------------------------------------------------------------------------------------
"""
LATENCY = """\
 #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   99% percentile[usec]   99.9% percentile[usec]
 2       1000          1.57           9.65         {usec}     \t       2.04        \t0.69   \t\t5.02    \t\t9.65
"""  # noqa: E501 - as ib_write_lat prints it; an excerpt of a real run of it
GATHER = (
    '{{"kind": "all_gather", "ok": true, "backend": "nccl", "rank": {rank}, "torch": "2.9.0", "nccl": "2.28.9", '
    '"world": {world}, "bytes": 1073741824, "iterations": 10, "median_s": 0.03, "least_s": 0.02, "most_s": 0.04, '
    '"algbw_gbs": {alg}, "busbw_gbs": {bus}, "wrong": 0, "transports": ["NET/IB"], '
    '"devices": ["roceP2p1s0f1", "rocep1s0f1"], "lines": []}}'
)


@dataclass(frozen=True)
class Proof:
    """A proof with what its steps print when all is well."""

    case: Case
    scheme: Scheme
    playbook: Playbook
    items: tuple[ProofItem, ...]
    outputs: dict[str, str]

    @property
    def results(self) -> dict[str, str]:
        """Every step ended."""
        return {step.id: "done" for step in self.playbook.steps()}

    def of(self, kind: ProofKind) -> tuple[ProofItem, ...]:
        """The items of a kind."""
        return tuple(item for item in self.items if item.kind is kind)

    def printing(self, kind: ProofKind, make: Callable[[ProofPart], str]) -> Proof:
        """The same where every step of this kind prints something else."""
        other = {part.step_id: make(part) for item in self.of(kind) for part in item.parts}
        return replace(self, outputs={**self.outputs, **other})


def scheme_of(case: Case) -> Scheme:
    """The scheme that stands on a ready cluster."""
    lanes: dict[str, Lane] = {}
    for node_id in case.node_ids:
        for interface in case.reading(node_id).interfaces.values():
            cage = cage_of(interface.name)
            cable = case.topology.cable_at((node_id, cage))
            if not interface.rdma_device or not interface.addresses or cable is None:
                continue
            key = "switch" if cable.via_switch else cable.key
            half = CAGE_NETDEVS[cage].index(interface.name)
            subnet = str(ipaddress.ip_interface(interface.addresses[0]).network)
            lane = lanes.setdefault(subnet, Lane(key, half, subnet))
            end = HalfAddress(node_id, cage, interface.name, interface.addresses[0], "kept", interface.mtu or 1500)
            lanes[subnet] = replace(lane, ends=(*lane.ends, end))
    return Scheme(tuple(lanes.values()))


def make_proof(
    count: int, shape: Shape, case: Case | None = None, *, scheme_stays: bool = False, **changes: Any
) -> Proof:
    """The proof of a ready cluster; `scheme_stays`: with the addresses of one to which nothing was done."""
    case = case or make_case(count, shape, is_ready=True, **changes)
    scheme = scheme_of(make_case(count, shape, is_ready=True) if scheme_stays else case)
    playbook, items = build_proof(case, scheme)
    outputs: dict[str, str] = {}
    for item in items:
        for part in item.parts:
            text = print_well(item, part)
            is_link = item.kind is ProofKind.LINK
            outputs[part.step_id] = outputs.get(part.step_id, "") + text if is_link else text
    return Proof(case, scheme, playbook, items, outputs)


def print_well(item: ProofItem, part: ProofPart) -> str:
    """What this look prints when all is well."""
    to = part.target.address if part.target is not None else ""
    world = len(item.node_ids)
    made = {
        ProofKind.LINK: lambda: link(part),
        ProofKind.PING: lambda: ping(part),
        ProofKind.DUPLICATE: lambda: arping(part),
        ProofKind.RDMA_BANDWIDTH: lambda: BANDWIDTH.format(gbps="92.57" if part.half == 0 else "97.28"),
        ProofKind.RDMA_LATENCY: lambda: LATENCY.format(usec="1.84"),
        ProofKind.TCP: lambda: iperf3(48.2e9),
        ProofKind.NCCL_IMAGE: lambda: "(2, 28, 9)\n",
        ProofKind.ALL_GATHER: lambda: gather(item, part, 23.74, world),
        ProofKind.GPU_CLOCK: lambda: clock(2411.0),
    }
    assert to is not None
    return made[item.kind]()


def link(part: ProofPart, speed: int = 200000, width: int = 4) -> str:
    """What /sys tells of a half."""
    return LINK.format(netdev=part.source.netdev, device=part.source.rdma_device, speed=speed, width=width)


def ping(part: ProofPart, *, small: int = 1, sized: int = 10) -> str:
    """What both pings print."""
    assert part.target is not None
    return PING.format(
        to=part.target.address, own=part.source.address, netdev=part.source.netdev, small=small,
        small_loss=100 * (1 - small), sized=sized, loss=10 * (10 - sized),
    )  # fmt: skip


def arping(part: ProofPart, *macs: str) -> str:
    """What arping prints when these answer."""
    replies = "".join(f"Unicast reply from {part.source.address} [{mac.upper()}]  0.718ms\n" for mac in macs)
    return ARPING.format(address=part.source.address, netdev=part.source.netdev, replies=replies, count=len(macs))


def gather(item: ProofItem, part: ProofPart, busbw: float, world: int, **changes: str) -> str:
    """The line of one rank; `changes` are texts of it to be put in place of others."""
    rank = item.parts.index(part)
    text = GATHER.format(rank=rank, world=world, alg=busbw * world / (world - 1), bus=busbw)
    for old, new in changes.items():
        text = text.replace(old, new)
    return text + "\n"


def clock(mhz: float | None, *, percent: float | None = 96.0, watts: float | None = 61.2, **more: Any) -> str:
    """The line of a node whose GPU ran at this clock, after one reading from before its load was counted."""
    rows = [{"mhz": 2100.0, "watts": 11.2, "percent": 3.0}, *[{"mhz": mhz, "watts": watts, "percent": percent}] * 8]
    return json.dumps({"kind": "gpu_load", "ok": True, "samples": rows, "trouble": "", **more}) + "\n"


def iperf3(bits_per_second: float) -> str:
    """The end of what `iperf3 -J` prints."""
    return (
        '\t\t"sum_sent":\t{\n\t\t\t"start":\t0,\n\t\t\t"seconds":\t4.0,\n\t\t\t"bits_per_second":\t99.0,\n\t\t},\n'
        f'\t\t"sum_received":\t{{\n\t\t\t"start":\t0,\n\t\t\t"bits_per_second":\t{bits_per_second},\n\t\t}}\n\t}}\n}}\n'
    )


def without_rdma(case: Case) -> Case:
    """The case where the first node's halves are no RDMA devices; its scheme stays."""
    plain = {name: replace(one, rdma_device="") for name, one in case.reading("n1").interfaces.items()}
    return with_node(case, "n1", interfaces=plain)
