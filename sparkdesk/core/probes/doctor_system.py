"""The doctor's checks of the system: disk, clock, kernel, services, a restart that is due, the second CX-7 controller.

The one rule: nothing here updates a node. What an update would mend is said, and the DGX Dashboard does it.
"""

from __future__ import annotations

import re

from sparkdesk.core.probes import form
from sparkdesk.core.probes.check import Check, Finding
from sparkdesk.core.probes.finding import NO_STEP, Case, as_root, as_user, make_fix
from sparkdesk.core.probes.read import Answers, Probe, ReadClock, ReadCommand, ReadDisk
from sparkdesk.core.step import Playbook

GB = 10**9
DISK_WARN_BYTES = 120 * GB
DISK_FAIL_BYTES = 20 * GB
"""Own choice: a 120B model has 61 to 75 GiB and its image about 20; below 20 GB docker and logs come into trouble."""
SKEW_WARN_S = 2.0
SKEW_FAIL_S = 60.0
"""Own choice: graphs of several nodes are compared by the second; certificates and tokens fail by the minute."""
GOOD_KERNEL = re.compile(r"^\d{1,3}\.\d{1,3}\.\d{1,3}-\d{1,5}-nvidia\Z")
BAD_KERNELS = ("7.0.0-1019-nvidia",)
"""Source: a public health check for Sparks: it reserves memory that it does not count (CmaTotal 0, CmaFree above 0)."""
PCIE_WIDTH = 4
PCIE_GTS = 32.0
"""Source: ServeTheHome: each controller is a Gen5 x4 link. Firmware before April 2026 could wire the second as x2."""
SECOND_CONTROLLER = "0002:01:00."
CONTROLLERS = ("0000:01:00.", SECOND_CONTROLLER)
_PRUNE = "command -v docker > /dev/null || exit 0; exec docker image prune --force"
"""Only layers that no name points to and no container uses. Source: docker's reference, `docker image prune`."""
_UPDATE = "Update the system and the firmware in the DGX Dashboard, then restart the node."

_DISK = ReadDisk("/")
_CLOCK = ReadClock()
TIME = ReadCommand(("timedatectl", "show"), max_bytes=1024)
_FAILED_UNITS = ReadCommand(("systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"))

DISK = Probe(id="disk-space", title="Disk space", reads=(_DISK,), source="sizes of published models")
CLOCK = Probe(
    id="clock-skew", title="Clock", reads=(_CLOCK, TIME), source="timedatectl manual page; RFC 5905 for the offset"
)
KERNEL = Probe(
    id="kernel-signature",
    title="Kernel",
    reads=(form.KERNEL, form.MEMINFO),
    source="public captures of DGX OS 7; a public health check for Sparks",
)
UNITS = Probe(id="failed-units", title="System services", reads=(_FAILED_UNITS,), source="systemctl manual page")
REBOOT = Probe(
    id="reboot-required",
    title="Restart due",
    reads=(form.REBOOT, form.REBOOT_PACKAGES),
    source="Ubuntu update-notifier",
)
PCIE = Probe(
    id="pcie-width",
    title="PCIe width of the second CX-7 controller",
    reads=(form.PCIE_WIDTHS, form.PCIE_SPEEDS, form.BIOS_VERSION),
    source="ServeTheHome; owners' reports on firmware before April 2026",
)


def judge_disk(answers: Answers, node_id: str) -> Finding:
    """What is left for models and images."""
    case = Case(DISK, answers, node_id, is_unverified=False)
    numbers = case.answer(_DISK).numbers or {}
    free, total = numbers.get("free_bytes"), numbers.get("total_bytes")
    if case.answer(_DISK).fault or free is None or not total:
        return case.not_read(_DISK)
    words = f"{free / GB:.0f} of {total / GB:.0f} GB are free"
    remedy = (
        "Empty apt's cache of packages and remove docker's images without a name: nothing that is in use. If that is "
        "too little, remove models or images that are not needed; what docker holds is told by: docker system df"
    )
    if free >= DISK_WARN_BYTES:
        return case.good(words)
    fix = _make_disk_fix(node_id)
    if free < DISK_FAIL_BYTES:
        meaning = "Downloads, docker and logs fail when the disk is full."
        return case.fail(words, meaning=meaning, remedy=remedy, fix=fix)
    meaning = "A large model with its image does not fit any more."
    return case.warn(words, meaning=meaning, remedy=remedy, fix=fix)


def _make_disk_fix(node_id: str) -> Playbook:
    """What a node can do without, and gets back by itself when it needs it: so there is no undo."""
    return make_fix(
        "Empty apt's cache and remove images without a name",
        node_id,
        [as_root("apt-get", "clean", timeout_s=120.0), as_root("sh", "-c", _PRUNE, timeout_s=600.0)],
        needs_lock=True,
    )


def judge_clock(answers: Answers, node_id: str) -> Finding:
    """How far the node's clock is from this computer's, and whether it is kept."""
    case = Case(CLOCK, answers, node_id, is_unverified=False)
    numbers = case.answer(_CLOCK).numbers or {}
    offset_ms, error_ms = numbers.get("offset_ms"), numbers.get("error_ms", 0.0)
    if case.answer(_CLOCK).fault or offset_ms is None:
        return case.not_read(_CLOCK)
    skew_s = max(0.0, abs(offset_ms) - error_ms) / 1000
    state = form.parse_settings(case.answer(TIME).text) if case.answer(TIME).is_ok else {}
    side = "ahead of" if offset_ms > 0 else "behind"
    words = f"The clock is {skew_s:.1f} s {side} this computer's" if skew_s >= 0.1 else "The clock is this computer's"
    is_off = state.get("NTP") == "no" and state.get("CanNTP") != "no"
    fix = make_clock_fix(node_id) if is_off else None
    remedy = "Have the node keep its time over the network (NTP), or look whether this computer's clock is wrong."
    if skew_s >= SKEW_WARN_S:
        tell = case.fail if skew_s >= SKEW_FAIL_S else case.warn
        meaning = "Times of several nodes do not fit together; certificates and sign-in tokens can fail."
        return tell(words, meaning=meaning, remedy=remedy, fix=fix)
    if state.get("NTP") == "no":
        words += ", and it is not kept over the network"
        return case.warn(words, meaning="It will go wrong with time.", remedy=remedy, fix=fix)
    if state.get("NTPSynchronized") == "yes":
        return case.good(f"{words}, and it is kept over the network")
    if state.get("NTPSynchronized") == "no":
        return case.warn(
            f"{words}, and no time server was reached yet",
            meaning="It will go wrong with time.",
            remedy="Look whether the node reaches a time server: timedatectl timesync-status",
        )
    return case.not_read(TIME)


_IS_KEPT = "timedatectl show -p NTP --value | grep -qx yes"


def make_clock_fix(node_id: str) -> Playbook:
    """The node keeps its time over the network. For nodes that do not: the undo switches it off again."""
    return make_fix(
        "Keep the clock over the network",
        node_id,
        [as_root("timedatectl", "set-ntp", "true")],
        verify=[as_user("sh", "-c", _IS_KEPT)],
        undo=[as_root("sh", "-c", f"{_IS_KEPT} || exit 0; exec timedatectl set-ntp false")],
    )


def judge_kernel(answers: Answers, node_id: str) -> Finding:
    """Whether it is one of NVIDIA's kernels, and none that is known as bad."""
    case = Case(KERNEL, answers, node_id)
    release = case.answer(form.KERNEL).text
    rows = form.parse_memory(case.answer(form.MEMINFO).text)
    if not case.answer(form.KERNEL).is_ok or not release:
        return case.not_read(form.KERNEL)
    total, free = rows.get("CmaTotal"), rows.get("CmaFree")
    hides_memory = total == 0 and free is not None and free > 0
    if release in BAD_KERNELS or hides_memory:
        return case.fail(
            f"Kernel {release} reserves memory that it does not count"
            if hides_memory
            else f"Kernel {release} is known to reserve memory that it does not count",
            meaning="Less memory is there than is shown, and a load that should fit freezes the node.",
            remedy=f"{NO_STEP} Start the kernel before it (boot menu), and update the system in the DGX Dashboard.",
        )
    if not GOOD_KERNEL.match(release):
        return case.warn(
            f"Kernel {release} is not one of NVIDIA's",
            meaning="The GPU, the CX-7 ports and sleep are tried with NVIDIA's kernels only.",
            remedy=f"{NO_STEP} Install the kernel of DGX OS: update the system in the DGX Dashboard.",
        )
    return case.good(f"Kernel {release}")


def judge_units(answers: Answers, node_id: str) -> Finding:
    """Services of the system that have failed."""
    case = Case(UNITS, answers, node_id, is_unverified=False)
    if not case.answer(_FAILED_UNITS).is_ok:
        return case.not_read(_FAILED_UNITS)
    rows = [line.split() for line in form.lines_of(case.answer(_FAILED_UNITS).text)]
    names = [row[0] for row in rows if len(row) >= 4 and row[2] == "failed"]
    if names:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        return case.warn(
            f"Failed: {', '.join(names[:5])}{more}",
            meaning="What these services do is not done.",
            remedy=f"Read why on the node: systemctl status {names[0][:80]}",
        )
    if any(rows):
        return case.not_read(_FAILED_UNITS)
    return case.good("No service has failed")


def judge_reboot(answers: Answers, node_id: str) -> Finding:
    """Whether updates wait for a restart."""
    case = Case(REBOOT, answers, node_id, is_unverified=False)
    if case.answer(form.REBOOT).is_absent:
        return case.good("No restart is due")
    if not case.answer(form.REBOOT).is_ok:
        return case.not_read(form.REBOOT)
    packages = sorted(set(case.answer(form.REBOOT_PACKAGES).text.split()))
    why = f" for {', '.join(packages[:4])}" if packages else ""
    return case.warn(
        f"A restart is due{why}",
        meaning="Updates are installed and not in use yet; driver and kernel may not fit together until then.",
        remedy="Restart the node when no job runs on it.",
    )


def judge_pcie(answers: Answers, node_id: str) -> Finding:
    """Whether both CX-7 controllers have their four lanes."""
    case = Case(PCIE, answers, node_id)
    found = form.by_device(case.answer(form.PCIE_WIDTHS)).items()
    widths = {name: form.parse_whole(text) for name, text in found if name.startswith(CONTROLLERS)}
    speeds = {name: form.parse_number(text) for name, text in form.by_device(case.answer(form.PCIE_SPEEDS)).items()}
    narrow = {name: width for name, width in widths.items() if width is not None and 0 < width < PCIE_WIDTH}
    if narrow:
        words = ", ".join(f"{name} has {width} lanes" for name, width in sorted(narrow.items()))
        return case.fail(
            f"{words} instead of {PCIE_WIDTH}",
            meaning="Half of the link's speed is lost in each cage.",
            remedy=f"{NO_STEP} The firmware is too old (before April 2026). {_UPDATE}",
        )
    second = [width for name, width in widths.items() if name.startswith(SECOND_CONTROLLER)]
    if not second or None in widths.values() or 0 in widths.values():
        return case.unread(
            "Not seen: the second controller is not there, or has no link",
            meaning="The ports can be switched off until a cable is put in.",
            remedy="Put a cable in and run the doctor again.",
        )
    slow = {name: speed for name in sorted(widths) if (speed := speeds.get(name)) is not None and speed < PCIE_GTS}
    if slow:
        words = ", ".join(f"{name} runs at {speed:g} GT/s" for name, speed in slow.items())
        return case.warn(
            f"{words} instead of {PCIE_GTS:g}",
            meaning="The link is slower than it could be.",
            remedy=f"{NO_STEP} {_UPDATE}",
        )
    return case.good(f"{len(widths)} functions with {PCIE_WIDTH} lanes each")


CHECKS = (
    Check(DISK, judge_disk),
    Check(CLOCK, judge_clock),
    Check(KERNEL, judge_kernel),
    Check(UNITS, judge_units),
    Check(REBOOT, judge_reboot),
    Check(PCIE, judge_pcie),
)
