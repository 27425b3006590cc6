"""An all_gather by NVIDIA's nccl-tests, where no image was chosen and the nodes have built them already.

The one rule: nothing is fetched or built for it, and its size is 1 to 4 GiB as ours is (16 GB have frozen nodes).
Commands. Source: NVIDIA/dgx-spark-playbooks, nccl, and its cluster script. The ranks start over the nodes' own ssh.
"""

from __future__ import annotations

from sparkdesk.core.bringup.case import GIB, Case
from sparkdesk.core.bringup.proof.band import gather_band
from sparkdesk.core.bringup.proof.link_steps import Part, step_of
from sparkdesk.core.bringup.proof.measurement import ProofEnd, ProofItem, ProofKind, ProofPart
from sparkdesk.core.bringup.proof.nccl_steps import (
    LEAST_BYTES,
    MOST_BYTES,
    ask_stages,
    environment,
    find_meeting,
    rdma_devices,
)
from sparkdesk.core.bringup.proof.wire import HOME, is_address
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.step import Stage

LIMIT_S = 150
ITEM_ID = "all-gather-tests"
_SHOWN = '"$@" 2>&1 | grep -E "^#|via NET/|rror|denied|not found" | tail -c 2500'
"""The head, the way of the data, the sum and what went wrong: what a step shows is bounded."""
_LIBRARIES = "{home}/nccl/build/lib:/usr/local/cuda/lib64:/usr/lib/aarch64-linux-gnu/openmpi/lib"


def tests_part(case: Case, scheme: Scheme) -> Part:
    """The item and its stages; nothing where an image was chosen, or nccl-tests are not on every node."""
    readings = [case.reading(node) for node in case.node_ids]
    meeting, size = find_meeting(case, scheme), case.choices.all_gather_bytes
    homes = {reading.home for reading in readings}
    has_all = len(readings) > 1 and all(reading.tools.get("all_gather_perf") is True for reading in readings)
    if case.choices.image or not has_all or isinstance(meeting, str) or not LEAST_BYTES <= size <= MOST_BYTES:
        return (), ()
    addresses = [_address_of(case, scheme, node) for node in case.node_ids]
    # mpirun gives every rank the same words, so they must be true on every node.
    if len(homes) > 1 or len(set(meeting.netdevs)) > 1 or not all(HOME.fullmatch(home) for home in homes):
        return (), ()
    if not all(is_address(address) for address in addresses):
        return (), ()
    (home,) = homes
    devices = tuple(dict.fromkeys(device for node in case.node_ids for device in rdma_devices(case, scheme, node)))
    argv = ["mpirun", "-np", str(len(readings)), "-H", ",".join(f"{address}:1" for address in addresses)]
    argv += ["--mca", "plm_rsh_agent", "ssh -o BatchMode=yes", "--mca", "btl_tcp_if_include", meeting.netdevs[0]]
    for name, text in environment(case.topology.shape, meeting.netdevs[0], devices):
        argv += ["-x", f"{name}={text}"]
    argv += ["-x", f"LD_LIBRARY_PATH={_LIBRARIES.format(home=home)}", f"{home}/nccl-tests/build/all_gather_perf"]
    argv += ["-b", str(size), "-e", str(size), "-f", "2"]
    title = f"nccl-tests all_gather, {size / GIB:.3g} GiB"
    command = ("timeout", str(LIMIT_S), "sh", "-c", _SHOWN, "sparkdesk", *argv)
    node = case.node_ids[0]
    step = step_of(
        "proof-all-gather-tests", f"Run {title} from {readings[0].name}", node, command, limit_s=LIMIT_S + 20
    )
    part = ProofPart(step.id, ProofEnd(node, readings[0].name))
    item = ProofItem(
        ITEM_ID, ProofKind.ALL_GATHER, title, case.node_ids, (step.id,), band=gather_band(case.topology.shape),
        parts=(part,), note="By nccl-tests with the NCCL of the host: it tells nothing of the NCCL in an image.",
    )  # fmt: skip
    return (item,), (*ask_stages(case), Stage("Gather over all nodes, by nccl-tests", (step,)))


def _address_of(case: Case, scheme: Scheme, node_id: str) -> str:
    """Where mpirun reaches a node: on the lane that all share, else its management address."""
    for lane in scheme.lanes:
        hosts = {end.node_id: end.host for end in lane.ends}
        if set(case.node_ids) <= set(hosts):
            return hosts[node_id]
    return case.reading(node_id).management_address
