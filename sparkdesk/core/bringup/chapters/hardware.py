"""Hardware and OS: versions that fit and are alike, a clock that is kept, NCCL on the host, and the measuring tools.

The one rule: nothing here updates a node; what an update would mend is said, and the DGX Dashboard does it. Versions:
unverified on hardware [dgx-version, ota-version, driver-branch, kernel-flavour].
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from functools import partial

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter, ChapterPlan
from sparkdesk.core.bringup.chapters.tools import plan_clock, plan_packages
from sparkdesk.core.bringup.matrix import Cell
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.bringup.row import fail, good, make_row, skipped, unread, warn
from sparkdesk.core.probes.details import NO_NCCL
from sparkdesk.core.probes.doctor_system import BAD_KERNELS, GOOD_KERNEL

DRIVER_BRANCH = "580."
"""Source: NVIDIA's support statement for DGX Spark as captured by others: the 580 branch only."""
UPDATE = "Update the node in the DGX Dashboard, then restart it."
_SYSTEM_PARTS: tuple[tuple[str, Callable[[NodeReading], str]], ...] = (
    ("dgx_os", lambda one: one.dgx_os),
    ("driver", lambda one: one.driver),
    ("kernel", lambda one: one.kernel),
)
_NUMBER = re.compile(r"\d{1,9}")


def plan_hardware(case: Case) -> ChapterPlan:
    """The rows of the hardware, with the steps that keep the clock.

    Those that install the measuring tools come at the end of a plan: see `plan_packages`.
    """
    readings = [reading for node_id in case.node_ids if (reading := case.reading(node_id)).did_answer]
    title, judge = "DGX OS, driver, kernel", partial(_judge_system, readings)
    rows = (
        make_row(case, Chapter.HARDWARE, "system", title, judge, is_unverified=True),
        make_row(case, Chapter.HARDWARE, "nccl", "NCCL on the host", partial(_judge_nccl, readings)),
    )
    clock_rows, clock_stages = plan_clock(case)
    return ChapterPlan(Chapter.HARDWARE, (*rows, *clock_rows, *plan_packages(case)[0]), clock_stages)


def version_key(version: str) -> tuple[int, ...]:
    """What versions are ordered by: their numbers."""
    return tuple(int(number) for number in _NUMBER.findall(version)[:8])


# DGX OS, driver, kernel ----------------------------------------------------------------------------------------------


def _judge_system(readings: list[NodeReading], reading: NodeReading) -> Cell:
    """The worst that is known of the three; then whether all nodes have the same; then what is not known."""
    text = " · ".join(word for word in (reading.dgx_os.removeprefix("DGX OS "), reading.driver) if word)
    evidence = "\n".join(f"{name}: {read(reading) or 'not known'}" for name, read in _SYSTEM_PARTS)
    if reading.kernel in BAD_KERNELS:
        remedy = f"Start the kernel before it (boot menu), and update the system. {UPDATE}"
        return fail(f"kernel {reading.kernel}", remedy, f"{evidence}\nIt reserves memory that it does not count.")
    if reading.driver and not reading.driver.startswith(DRIVER_BRANCH):
        remedy = f"Only drivers of the branch {DRIVER_BRANCH}x are supported on a Spark. {UPDATE}"
        return warn(f"driver {reading.driver}", remedy, evidence)
    if reading.kernel and not GOOD_KERNEL.match(reading.kernel):
        return warn(f"kernel {reading.kernel}", f"It is not one of NVIDIA's. {UPDATE}", evidence)
    odd = _oddity(reading, readings)
    if odd:
        remedy = f"A model over several nodes needs the same software on each. {UPDATE}"
        return warn(odd, remedy, evidence)
    for name, read in _SYSTEM_PARTS:
        if not read(reading):
            return unread(reading, name, "SparkDesk knows DGX OS. Look at what the node says: cat /etc/dgx-release")
    return good(text, evidence)


def _oddity(reading: NodeReading, readings: list[NodeReading]) -> str:
    """In which part this node is behind the others, or unlike most of them; "" when it is in none."""
    newest = max((one.dgx_os for one in readings if one.dgx_os), key=version_key, default="")
    if reading.dgx_os and version_key(reading.dgx_os) < version_key(newest):
        return f"{reading.dgx_os.removeprefix('DGX OS ')}, update advised"
    for name, read in _SYSTEM_PARTS[1:]:
        usual = usual_version([read(one) for one in readings])
        if read(reading) and read(reading) != usual:
            return f"{name} {read(reading)}, others {usual}"
    return ""


def usual_version(versions: list[str]) -> str:
    """What most have; of those that are as frequent, the newest; "" when nobody has any."""
    counts = Counter(version for version in versions if version)
    return max(counts, key=lambda version: (counts[version], version_key(version)), default="")


# NCCL ----------------------------------------------------------------------------------------------------------------


def _judge_nccl(readings: list[NodeReading], reading: NodeReading) -> Cell:
    """The host's own library. Images bring theirs, which the proof reads; what matters is that all nodes are alike."""
    usual = usual_version([one.nccl for one in readings])
    evidence = f"libnccl2 and libnccl.so: {reading.nccl or reading.problems.get('nccl', 'not known')}"
    if not reading.nccl:
        if reading.problems.get("nccl") != NO_NCCL:
            return unread(reading, "nccl")
        return skipped("none, images bring theirs", evidence)
    if any(not one.nccl for one in readings):
        return good(f"{reading.nccl}, not on all", evidence)
    if reading.nccl != usual:
        remedy = "Give all nodes the same version: programs on the host that span nodes fail, or run slowly, otherwise."
        return warn(f"{reading.nccl}, others {usual}", remedy, evidence)
    return good(reading.nccl, evidence)
