"""The clock and the measuring tools: two rows of the chapter on hardware, with what mends them.

The one rule: only what is known to be off is switched on, and only what is known to be missing is installed.
"""

from __future__ import annotations

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.chapters.fix_step import step_of
from sparkdesk.core.bringup.matrix import Cell, Row
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.bringup.row import good, make_row, planned, unread, warn
from sparkdesk.core.playbooks.packages import install_packages
from sparkdesk.core.probes.doctor_system import SKEW_WARN_S, make_clock_fix
from sparkdesk.core.probes.finding import as_user
from sparkdesk.core.step import Stage, Step

PARALLEL = 8
PACKAGES = {"ib_write_bw": "perftest", "ib_write_lat": "perftest", "iperf3": "iperf3", "arping": "iputils-arping"}
"""Program -> the package of Ubuntu that brings it. Source: NVIDIA/dgx-spark-playbooks; packages.ubuntu.com."""
WHAT_FOR = "Without perftest the proof leaves RDMA out, and without iperf3 what stands in for it."

Part = tuple[tuple[Row, ...], tuple[Stage, ...]]


def plan_clock(case: Case) -> Part:
    """Whether each node's clock is kept over the network; a stage that switches it on where it is off."""
    lacking = [one for node_id in case.node_ids if _is_off(one := case.reading(node_id))]
    steps = tuple(_clock_step(one) for one in lacking)
    row = make_row(case, Chapter.HARDWARE, "clock", "Clock kept over the network", _judge_clock)
    return (row,), (Stage("Keep clocks over the network", steps, PARALLEL),) if steps else ()


def plan_packages(case: Case) -> Part:
    """Whether each node has the measuring tools; a stage that installs them.

    The stage belongs behind everything that sets the cluster up: an installation needs a way to the Internet, and what
    comes after a failed stage is not done. Nothing but the proof needs the tools.
    """
    lacking = [one for node_id in case.node_ids if missing_packages(one := case.reading(node_id))]
    steps = tuple(_install_step(one) for one in lacking)
    row = make_row(case, Chapter.HARDWARE, "tools", "Measuring tools", _judge_tools)
    return (row,), (Stage("Install the measuring tools", steps, PARALLEL),) if steps else ()


def missing_packages(reading: NodeReading) -> tuple[str, ...]:
    """The packages of the programs that are known not to be there."""
    absent = [package for tool, package in PACKAGES.items() if reading.tools.get(tool) is False]
    return tuple(dict.fromkeys(absent)) if reading.did_answer else ()


def _is_off(reading: NodeReading) -> bool:
    return reading.did_answer and reading.is_clock_kept is False


def _clock_step(reading: NodeReading) -> Step:
    title = f"Keep the clock of {reading.name} over the network"
    return step_of(make_clock_fix(reading.node_id), Chapter.HARDWARE, "clock", title)


def _install_step(reading: NodeReading) -> Step:
    """Its undo is empty: packages stay, and the report lists them."""
    packages = missing_packages(reading)
    programs = [tool for tool, package in PACKAGES.items() if package in packages]
    is_there = (as_user("sh", "-c", 'for t in "$@"; do command -v "$t" || exit 1; done', "sh", *programs),)
    return Step(
        f"hardware-tools-{reading.node_id}", f"Install {' and '.join(packages)} on {reading.name}", reading.node_id,
        check=is_there, apply=install_packages(*packages), verify=is_there, phase=Chapter.HARDWARE.value,
    )  # fmt: skip


def _judge_clock(reading: NodeReading) -> Cell:
    offset_s = reading.clock_offset_s
    said = "not measured" if offset_s is None else f"{abs(offset_s):.1f} s {'ahead' if offset_s > 0 else 'behind'}"
    evidence = f"timedatectl show; against this computer's clock: {said}"
    if _is_off(reading):
        return planned("not kept", (_clock_step(reading).id,), evidence, then="kept")
    if offset_s is not None and abs(offset_s) >= SKEW_WARN_S:
        remedy = "Look whether the node reaches a time server (timedatectl timesync-status), or this computer is wrong."
        return warn(said, remedy, evidence)
    if reading.is_clock_synced:
        return good("kept", evidence)
    if reading.is_clock_synced is False:
        remedy = "Look whether the node reaches a time server: timedatectl timesync-status"
        return warn("no time server yet", remedy, evidence)
    return unread(reading, "is_clock_synced")


def _judge_tools(reading: NodeReading) -> Cell:
    packages = missing_packages(reading)
    evidence = ", ".join(f"{tool}: {_SAID[reading.tools.get(tool)]}" for tool in PACKAGES)
    if packages:
        steps = (f"hardware-tools-{reading.node_id}",)
        return planned(f"no {', '.join(packages)}", steps, f"{evidence}\n{WHAT_FOR}", then="there")
    if any(reading.tools.get(tool) is None for tool in PACKAGES):
        return unread(reading, "tools", f"Look again. {WHAT_FOR}")
    return good("there", evidence)


_SAID = {True: "there", False: "not there", None: "not known"}
