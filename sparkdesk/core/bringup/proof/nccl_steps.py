"""The looks of a proof at NCCL: the host's, the one inside each image that can serve, and an all_gather in the chosen
image over all nodes.

The one rule: nothing is pulled, compiled or fetched (`--pull never`), every container ends by itself, and the
all_gather is 1 to 4 GiB: 16 GB have frozen nodes. Variables and options. Source: NVIDIA's playbooks and cluster script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sparkdesk.core.bringup.case import GIB, Case
from sparkdesk.core.bringup.proof.band import gather_band
from sparkdesk.core.bringup.proof.image_choice import (
    LATER_IMAGE,
    MOST_ASKED,
    has_image,
    other_images,
    why_no_image,
)
from sparkdesk.core.bringup.proof.link_steps import ANY_END, PHASE, Part, busy_jobs, step_of
from sparkdesk.core.bringup.proof.measurement import ProofEnd, ProofItem, ProofKind, ProofPart
from sparkdesk.core.bringup.proof.wire import DEVICE, HOME, IMAGE, NETDEV, is_address, make_end
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.container import HEADROOM_BYTES, OOM_SCORE
from sparkdesk.core.playbooks.keys import OWN_FOLDER
from sparkdesk.core.step import Confirm, PutFile, Restore, Run, Stage, Step

LEAST_BYTES, MOST_BYTES = GIB, 4 * GIB
MASTER_PORT = 29571
PROGRAM = "all_gather.py"
INSIDE = f"/sparkdesk/{PROGRAM}"
VERSION = "import torch; print(torch.cuda.nccl.version())"
LIMIT_S, CONTAINER_S, STEP_S = 90, 170, 240.0
"""How long the program, its container and the step may take: a first start reads the image from the disk."""
SHORT = '{ "$@" 2>&1 1>&3 | tail -c 800 >&2; } 3>&1'
"""Passes what is printed on, and only the end of what is complained: what a step shows is bounded."""
HOST_ID, IMAGE_ID, GATHER_ID = "nccl-host", "nccl-image", "all-gather"
_NO_IMAGE = "NCCL in the image"
_NAMED = 6
"""So many of the images that are left out are named."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where the ranks find each other: the first node's address, and each node's interface to it."""

    address: str
    netdevs: tuple[str, ...]


def nccl_part(case: Case, scheme: Scheme) -> Part:
    """The host's NCCL, each image's, and the all_gather."""
    image_items, image_stages = _image_part(case)
    gather_items, gather_stages = _gather_part(case, scheme)
    return (_host_item(case), *image_items, *gather_items), (*image_stages, *gather_stages)


# The versions --------------------------------------------------------------------------------------------------------


def _host_item(case: Case) -> ProofItem:
    facts = tuple((case.reading(node).name, case.reading(node).nccl) for node in case.node_ids)
    known = any(version for _, version in facts)
    skipped = "" if known else "No NCCL on the hosts; images bring their own."
    return ProofItem(HOST_ID, ProofKind.NCCL_HOST, "NCCL on the hosts", case.node_ids, facts=facts, skipped=skipped)


def _image_part(case: Case) -> Part:
    """One item an image, the chosen one first. They are asked one after another, the nodes at once."""
    chosen, why = case.choices.image, _why_not_asked(case)
    if not chosen and not case.choices.picks_image:
        return (ProofItem(IMAGE_ID, ProofKind.NCCL_IMAGE, _NO_IMAGE, case.node_ids, skipped=why),), ()
    items, stages = [], []
    if why:
        title = f"NCCL in {chosen}" if IMAGE.fullmatch(chosen) else _NO_IMAGE
        items.append(ProofItem(IMAGE_ID, ProofKind.NCCL_IMAGE, title, case.node_ids, skipped=why))
    others = other_images(case)
    asked = [*([] if why else [chosen]), *others][:MOST_ASKED]
    for number, image in enumerate(asked, start=1):
        item, stage = _ask(case, image, number)
        items.append(item)
        stages.append(stage)
    if left := [image for image in others if image not in asked]:
        words = f"Not asked, so that the proof stays short: {', '.join(left[:_NAMED])}"
        words += f" and {len(left) - _NAMED} more." if len(left) > _NAMED else "."
        title = f"NCCL in {len(left)} more image{'s' if len(left) > 1 else ''}"
        items.append(ProofItem(f"{IMAGE_ID}-rest", ProofKind.NCCL_IMAGE, title, case.node_ids, skipped=words))
    return tuple(items), tuple(stages)


def _ask(case: Case, image: str, number: int) -> tuple[ProofItem, Stage]:
    """Ask an image on every node that has it; the chosen one on those too of which nobody knows their images."""
    is_chosen, steps, parts = image == case.choices.image, [], []
    without: dict[bool, list[str]] = {True: [], False: []}
    for node_id in case.node_ids:
        reading = case.reading(node_id)
        has = has_image(reading, image)
        if has is False or (has is None and not is_chosen):
            without[has is False].append(reading.name)
            continue
        words = ("docker", "run", "--rm", "--pull", "never", "--network", "none", "--entrypoint", "python3", image)
        argv = ("timeout", "90", "sh", "-c", SHORT, "sparkdesk", *words, "-c", VERSION)
        title = f"Ask {image} on {reading.name} for its NCCL"
        steps.append(step_of(f"proof-nccl-{number}-{node_id}", title, node_id, argv, limit_s=100.0))
        parts.append(ProofPart(steps[-1].id, ProofEnd(node_id, reading.name)))
    item = ProofItem(
        IMAGE_ID if is_chosen else f"{IMAGE_ID}-{number}", ProofKind.NCCL_IMAGE, f"NCCL in {image}", case.node_ids,
        tuple(step.id for step in steps), parts=tuple(parts), image=image,
        note=_note(without[True], without[False]),
    )  # fmt: skip
    return item, Stage(f"Ask {image} for its NCCL", tuple(steps), len(steps))


def _note(without: Sequence[str], unknown: Sequence[str]) -> str:
    said = [f"Not on {', '.join(without)}."] if without else []
    said += [f"Whether it is on {', '.join(unknown)} is not known."] if unknown else []
    return " ".join(said)


def _why_not_asked(case: Case) -> str:
    """Why the chosen image is asked on no node; "" when it is on one."""
    image, readings = case.choices.image, [case.reading(node) for node in case.node_ids]
    if why := _name_obstacle(case):
        return why
    is_nowhere = all(has_image(reading, image) is False for reading in readings)
    return f"{image} is not on {', '.join(reading.name for reading in readings)}." if is_nowhere else ""


def _name_obstacle(case: Case) -> str:
    if not case.choices.image:
        return why_no_image(case)
    is_name = case.choices.image == LATER_IMAGE or IMAGE.fullmatch(case.choices.image)
    return "" if is_name else "The image's name is none that docker takes."


def image_obstacle(case: Case) -> str:
    """Why the nodes cannot meet in the image; "" when they can. What is not known is tried."""
    if why := _name_obstacle(case):
        return why
    image = case.choices.image
    readings = [case.reading(node) for node in case.node_ids]
    without = [reading.name for reading in readings if has_image(reading, image) is False]
    return f"{image} is not on {', '.join(without)}." if without else ""


# The all_gather ------------------------------------------------------------------------------------------------------


def _gather_part(case: Case, scheme: Scheme) -> Part:
    size, shape = case.choices.all_gather_bytes, case.topology.shape
    ids = tuple(f"proof-all-gather-{node}" for node in case.node_ids)
    title = f"NCCL all_gather, {size / GIB:.3g} GiB"
    names = case.names()
    parts = tuple(ProofPart(each, ProofEnd(node, names[node])) for each, node in zip(ids, case.node_ids, strict=True))
    meeting = find_meeting(case, scheme)
    why = _gather_obstacle(case) or (meeting if isinstance(meeting, str) else "")
    item = ProofItem(
        GATHER_ID, ProofKind.ALL_GATHER, title, case.node_ids, ids, band=gather_band(shape), parts=parts,
        skipped=why, image=case.choices.image,
    )  # fmt: skip
    if why or isinstance(meeting, str):
        return (ProofItem(GATHER_ID, item.kind, title, case.node_ids, band=item.band, skipped=why),), ()
    steps = tuple(_gather_step(case, scheme, meeting, rank) for rank in range(len(case.node_ids)))
    stages = (Stage("Gather over all nodes, in the image", steps, len(steps)),)
    return (item,), (*ask_stages(case), *stages)


def _gather_obstacle(case: Case) -> str:
    size = case.choices.all_gather_bytes
    if len(case.node_ids) < 2:
        return "One node alone has nothing to gather."
    if why := image_obstacle(case):
        return why
    if not LEAST_BYTES <= size <= MOST_BYTES:
        return f"{size / GIB:.3g} GiB is refused: choose 1 to 4 GiB, since 16 GB have frozen nodes."
    if not case.programs.get("all_gather"):
        return "SparkDesk's program for it is missing: install SparkDesk again."
    if odd := [case.reading(n).name for n in case.node_ids if HOME.fullmatch(case.reading(n).home) is None]:
        return f"The home folder of {', '.join(odd)} is not known."
    return ""


def find_meeting(case: Case, scheme: Scheme) -> Meeting | str:
    """Over a lane that all nodes share (a pair, a switch); a ring has none, so there the management network joins them.

    A sentence when nothing joins them. Only the start goes this way, the data goes by NCCL_IB_HCA.
    """
    for lane in scheme.lanes:
        ends = {end.node_id: end for one in lane.ends if (end := make_end(case, one)) is not None}
        if set(case.node_ids) <= set(ends):
            return Meeting(ends[case.node_ids[0]].address, tuple(ends[node].netdev for node in case.node_ids))
    readings = [case.reading(node) for node in case.node_ids]
    first = readings[0].management_address
    if not is_address(first) or any(NETDEV.fullmatch(reading.management) is None for reading in readings):
        return "No network is known that joins all nodes for its start."
    return Meeting(first, tuple(reading.management for reading in readings))


def ask_stages(case: Case) -> tuple[Stage, ...]:
    """The question before an all_gather beside jobs that run; none where none is known."""
    jobs = busy_jobs(case, case.node_ids)
    if not jobs:
        return ()
    size = case.choices.all_gather_bytes / GIB
    question = (
        f"{', '.join(jobs[:4])} runs. The all_gather loads cables and GPU and takes {2.5 * size:.3g} GiB on every "
        "node; SparkDesk pauses no job. Measure all the same?"
    )
    step = Step(
        "proof-ask", "Ask whether to measure beside running jobs", case.node_ids[0], (Confirm(question),), phase=PHASE
    )
    return (Stage("Ask before GPUs that work are loaded", (step,)),)


def place_of(case: Case, program: str) -> str:
    """Where a program of this proof lies below a node's home: beside those of no other proof, and of nobody else."""
    return f"{OWN_FOLDER}/{case.mark}/{program}"


def leaving(place: str) -> tuple[Restore, Run]:
    """A proof leaves nothing on a node, whether it came to its end or not: nor what an earlier run of it, that was
    killed, left in this place, which is what is put back."""
    removal = f'd="$HOME/{place.rpartition("/")[0]}"; rm -f -- "$HOME/{place}"; rmdir -- "$d" "${{d%/*}}" 2>/dev/null'
    return Restore(f"~/{place}"), Run(Command(("sh", "-c", f"{removal}; exit 0")), ANY_END)


def _gather_step(case: Case, scheme: Scheme, meeting: Meeting, rank: int) -> Step:
    node_id = case.node_ids[rank]
    reading, name = case.reading(node_id), container_name(case, rank)
    run = ("sh", "-c", SHORT, "sparkdesk", *gather_argv(case, scheme, meeting, rank))
    place = place_of(case, PROGRAM)
    leave = leaving(place)
    end = Run(Command(("docker", "rm", "--force", name)), ANY_END, timeout_s=30.0)
    return Step(
        f"proof-all-gather-{node_id}",
        f"Gather as rank {rank} on {reading.name}",
        node_id,
        apply=(
            # 0644: the container's root may be another user of the node.
            PutFile(f"~/{place}", case.programs["all_gather"], mode=0o644),
            Run(Command(run), ANY_END, timeout_s=STEP_S),
            *leave,
        ),
        undo=(end, *leave),
        phase=PHASE,
    )


def container_name(case: Case, rank: int) -> str:
    """What docker calls the container of a rank."""
    return f"sparkdesk-proof-{case.mark}-{rank}"


def gather_argv(case: Case, scheme: Scheme, meeting: Meeting, rank: int) -> tuple[str, ...]:
    """`docker run` of one rank: in the foreground, ended by `timeout` inside, removed by docker at its end."""
    size, reading = case.choices.all_gather_bytes, case.reading(case.node_ids[rank])
    memory = str(math.ceil(2.5 * size) + HEADROOM_BYTES)
    devices = rdma_devices(case, scheme, case.node_ids[rank])
    argv = ["docker", "run", "--rm", "--pull", "never", "--name", container_name(case, rank)]
    argv += ["--label", f"sparkdesk.proof={case.mark}", "--network", "host", "--ipc", "host", "--gpus", "all"]
    argv += ["--memory", memory, "--memory-swap", memory, "--oom-score-adj", str(OOM_SCORE)]
    argv += ["--ulimit", "memlock=-1", "--ulimit", "stack=67108864"]
    if devices:
        argv += ["--device", "/dev/infiniband:/dev/infiniband"]
    argv += ["--volume", f"{reading.home}/{place_of(case, PROGRAM)}:{INSIDE}:ro"]
    for variable, text in environment(case.topology.shape, meeting.netdevs[rank], devices):
        argv += ["--env", f"{variable}={text}"]
    argv += ["--entrypoint", "timeout", case.choices.image, "-k", "10", str(CONTAINER_S)]
    argv += ["python3", "-m", "torch.distributed.run", "--nnodes", str(len(case.node_ids)), "--nproc-per-node", "1"]
    argv += ["--node-rank", str(rank), "--master-addr", meeting.address, "--master-port", str(MASTER_PORT)]
    argv += ["--rdzv-conf", "timeout=60", INSIDE, "--bytes", str(size), "--limit-s", str(LIMIT_S)]
    return tuple(argv)


def rdma_devices(case: Case, scheme: Scheme, node_id: str) -> tuple[str, ...]:
    """The RDMA devices of a node's addressed halves: both twins of a cage, all four in a ring."""
    ends = [end for one in scheme.of_node(node_id) if (end := make_end(case, one)) is not None]
    return tuple(dict.fromkeys(end.rdma_device for end in ends if DEVICE.fullmatch(end.rdma_device)))


def environment(shape: Shape, netdev: str, devices: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """NCCL's variables. NCCL_IB_GID_INDEX is left out: the index moves across reboots, and NCCL finds it by itself.

    NCCL_NET stays open too: a fall-back to sockets is to be seen and named, not to end in an error.
    """
    found = [("NCCL_SOCKET_IFNAME", netdev), ("GLOO_SOCKET_IFNAME", netdev), ("NCCL_DEBUG", "INFO")]
    found += [("NCCL_IB_SUBNET_AWARE_ROUTING", "1"), ("NCCL_IGNORE_CPU_AFFINITY", "1")]
    if devices:
        found.append(("NCCL_IB_HCA", ",".join(devices)))
    if shape is Shape.RING:
        found += [("NCCL_IB_MERGE_NICS", "0"), ("NCCL_NET_PLUGIN", "none")]
    return tuple(found)
