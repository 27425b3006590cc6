"""A node's details as rows of words, in groups. Pure: no Qt, no clock.

The one rule: what is not known says so, with why, beside what is known; it is never left out and never zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparkdesk.core.cluster.details import CageHalf, NodeDetails, SudoMode
from sparkdesk.core.cluster.machine import product_words
from ui import text
from ui.node.wrap import wrap_line
from ui.widgets.cell_table import Cell, Table

UNKNOWN = "Not known"
MAX_UPDATES = 500


@dataclass(frozen=True, slots=True)
class Fact:
    """One row. `value` "" is not known, `why` says why."""

    label: str
    value: str
    why: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a value."""
        return bool(self.value)


@dataclass(frozen=True, slots=True)
class FactGroup:
    """Rows under a title."""

    title: str
    facts: tuple[Fact, ...]


def build_groups(details: NodeDetails) -> tuple[FactGroup, ...]:
    """The facts in the order of the page."""
    return (
        FactGroup("Machine", _machine(details)),
        FactGroup("System", _system(details)),
        FactGroup("Software", _software(details)),
        FactGroup("Rights", _rights(details)),
    )


def _text(details: NodeDetails, label: str, name: str) -> Fact:
    value = getattr(details, name)
    return Fact(label, wrap_line(value, 160), _why(details, name))


def _why(details: NodeDetails, name: str) -> str:
    return wrap_line(details.problems.get(name, ""), 240)


def _number(details: NodeDetails, label: str, name: str, write: Callable[[float], str]) -> Fact:
    value = getattr(details, name)
    return Fact(label, write(value) if text.is_known(value) else "", _why(details, name))


def _machine(details: NodeDetails) -> tuple[Fact, ...]:
    disk = ""
    if details.disk_total_bytes is not None and details.disk_free_bytes is not None:
        disk = f"{text.disk(details.disk_free_bytes)} free of {text.disk(details.disk_total_bytes)}"
    return (
        _text(details, "Vendor", "vendor"),
        Fact("Product", wrap_line(product_words(details.product), 160), _why(details, "product")),
        _text(details, "Board", "board"),
        _number(details, "CPU cores", "cpu_count", lambda value: text.count(value)),
        _number(details, "Unified memory", "mem_total_bytes", lambda value: str(text.memory(value))),
        Fact("Disk", disk, _why(details, "disk_free_bytes") or _why(details, "disk_total_bytes")),
        _text(details, "BIOS", "bios"),
        _text(details, "GPU firmware", "gpu_firmware"),
        _text(details, "Network firmware", "nic_firmware"),
    )


def _system(details: NodeDetails) -> tuple[Fact, ...]:
    restart = "" if details.needs_reboot is None else ("Yes" if details.needs_reboot else "No")
    return (
        _text(details, "DGX OS", "dgx_os"),
        _text(details, "OTA version", "ota_version"),
        _text(details, "Operating system", "os_name"),
        _text(details, "Kernel", "kernel"),
        _number(details, "Swap", "swap_total_bytes", _swap_words),
        _number(details, "Clock", "clock_offset_s", clock_words),
        Fact("Needs a restart", restart, _why(details, "needs_reboot")),
    )


def _swap_words(size_bytes: float) -> str:
    return str(text.memory(size_bytes)) if size_bytes else "Off"


def clock_words(offset_s: float) -> str:
    """How a node's clock stands to this computer's."""
    if abs(offset_s) < 0.5:
        return "As this computer's, within half a second"
    size = f"{abs(offset_s):.1f} s" if abs(offset_s) < 60 else text.duration(abs(offset_s))
    return f"{size} {'ahead of' if offset_s > 0 else 'behind'} this computer's"


def _software(details: NodeDetails) -> tuple[Fact, ...]:
    rows = (
        ("Driver", "driver"),
        ("CUDA", "cuda"),
        ("Docker", "docker"),
        ("Container toolkit", "container_toolkit"),
        ("NCCL", "nccl"),
        ("Python", "python"),
    )
    return tuple(_text(details, label, name) for label, name in rows)


def _rights(details: NodeDetails) -> tuple[Fact, ...]:
    sudo = "" if details.sudo is SudoMode.UNKNOWN else details.sudo.words.capitalize()
    macs = ", ".join(text.one_line(mac, 24) for mac in details.macs[:4])
    groups = ", ".join(wrap_line(group, 40) for group in details.groups[:24])
    return (
        Fact("sudo", sudo, _why(details, "sudo")),
        Fact("Groups", groups, _why(details, "groups")),
        Fact("Wake address", macs, _why(details, "macs")),
    )


HALF_HEADERS = ("Cage", "Half", "RDMA device", "PCIe", "Address", "Firmware")


def halves_table(details: NodeDetails) -> Table:
    """The PCIe halves of the network cages."""
    return Table(HALF_HEADERS, tuple(_half_row(half) for half in details.halves[:16]))


def _half_row(half: CageHalf) -> tuple[Cell, ...]:
    return (
        Cell(text.one_line(half.cage, 12) or "n/a", "strong"),
        _cell(half.netdev),
        _cell(half.rdma_device),
        Cell(_pcie_words(half)) if half.pcie_width is not None else Cell(UNKNOWN, "unknown"),
        _cell(half.mac),
        _cell(half.firmware),
    )


def _pcie_words(half: CageHalf) -> str:
    speed = f" at {half.pcie_gts:g} GT/s" if half.pcie_gts is not None else ""
    return f"x{half.pcie_width}{speed}"


def _cell(value: str) -> Cell:
    return Cell(text.one_line(value, 60)) if value else Cell(UNKNOWN, "unknown")


UPDATE_HEADERS = ("Package", "Kind", "Installed", "Available")


def updates_table(details: NodeDetails) -> Table:
    """The pending updates, those for security first."""
    updates = sorted(details.updates or (), key=lambda each: (not each.is_security, each.package))
    rows = tuple(
        (
            Cell(text.one_line(each.package, 80), "strong"),
            Cell("Security", "warn") if each.is_security else Cell("Update"),
            _cell(each.installed),
            _cell(each.available),
        )
        for each in updates[:MAX_UPDATES]
    )
    return Table(UPDATE_HEADERS, rows)


def _days(age_s: float) -> str:
    days = age_s / 86_400
    return text.age(age_s) if days < 2 else f"{days:.0f} days"


def updates_words(details: NodeDetails) -> str:
    """How many updates wait, as a sentence."""
    if details.updates is None:
        why = _why(details, "updates")
        return f"Pending updates are not known{f': {why}' if why else ''}."
    count, urgent = len(details.updates), sum(update.is_security for update in details.updates)
    age = ""
    if details.updates_age_s is not None:
        age = f" The node's own package lists are {_days(details.updates_age_s)} old; nothing was fetched."
    if not count:
        return f"No update is pending.{age}"
    for_security = f", {text.count(urgent)} of them for security" if urgent else ""
    more = f" The first {MAX_UPDATES} are shown." if count > MAX_UPDATES else ""
    return f"{text.count(count)} {'update is' if count == 1 else 'updates are'} pending{for_security}.{age}{more}"
