"""Compares the details of several nodes: what a cluster should have alike, and where it has not.

The one rule: what is not known is neither alike nor different; it is shown as not known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparkdesk.core.cluster.details import NodeDetails, SudoMode
from sparkdesk.core.cluster.machine import product_words

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """One field over the nodes. `values` are in the order of the nodes; "" is not known."""

    field: str
    title: str
    values: tuple[str, ...]
    is_different: bool
    meaning: str = ""
    """What the difference costs; "" when there is none, or when it is of no matter."""


def _text(field: str) -> Callable[[NodeDetails], str]:
    return lambda details: str(getattr(details, field))


def _gib(value: int | None) -> str:
    return "" if value is None else f"{value / GIB:.1f} GiB"


def _widths(details: NodeDetails) -> str:
    words = [f"{half.netdev} x{half.pcie_width}" for half in details.halves if half.pcie_width is not None]
    return ", ".join(words)


def _updates(details: NodeDetails) -> str:
    return "" if details.updates is None else str(len(details.updates))


def _reboot(details: NodeDetails) -> str:
    return "" if details.needs_reboot is None else "yes" if details.needs_reboot else "no"


def _sudo(details: NodeDetails) -> str:
    return "" if details.sudo is SudoMode.UNKNOWN else details.sudo.words


_ONE_ENGINE = "A model over several nodes needs the same software on each; mixed versions fail at start or run slowly."
_FABRIC = "Links between unlike firmware or widths run at the speed of the slower side, or do not come up."
_TABLE: tuple[tuple[str, str, Callable[[NodeDetails], str], str], ...] = (
    ("product", "Product", lambda details: product_words(details.product), ""),
    ("dgx_os", "DGX OS", _text("dgx_os"), _ONE_ENGINE),
    ("os_name", "System", _text("os_name"), ""),
    ("kernel", "Kernel", _text("kernel"), _ONE_ENGINE),
    ("driver", "Driver", _text("driver"), _ONE_ENGINE),
    ("cuda", "CUDA", _text("cuda"), _ONE_ENGINE),
    ("docker", "Docker", _text("docker"), ""),
    ("container_toolkit", "Container toolkit", _text("container_toolkit"), ""),
    ("nccl", "NCCL on the host", _text("nccl"), _ONE_ENGINE),
    ("python", "Python", _text("python"), ""),
    ("bios", "Firmware", _text("bios"), _FABRIC),
    ("gpu_firmware", "GPU firmware", _text("gpu_firmware"), ""),
    ("nic_firmware", "ConnectX-7 firmware", _text("nic_firmware"), _FABRIC),
    ("pcie", "ConnectX-7 PCIe widths", _widths, _FABRIC),
    ("mem_total_bytes", "Memory", lambda details: _gib(details.mem_total_bytes), "The smallest node sets what fits."),
    ("swap_total_bytes", "Swap", lambda details: _gib(details.swap_total_bytes), ""),
    ("sudo", "sudo", _sudo, ""),
    ("updates", "Pending updates", _updates, ""),
    ("needs_reboot", "Needs a restart", _reboot, ""),
)


def differences(details: Sequence[NodeDetails]) -> tuple[ComparedRow, ...]:
    """One row a field, in a fixed order; a field that no node knows is left out."""
    rows = []
    for field, title, read, meaning in _TABLE:
        values = tuple(read(one) for one in details)
        known = {value for value in values if value}
        if known:
            is_different = len(known) > 1
            rows.append(ComparedRow(field, title, values, is_different, meaning if is_different else ""))
    return tuple(rows)
