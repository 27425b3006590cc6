"""What the code takes for true of a Spark's make, system and memory."""

from __future__ import annotations

import re

from sparkdesk.core.probes.assumption import Assumption, Hold
from sparkdesk.core.probes.assumption_rule import (
    Ruling,
    assume,
    lacks,
    matches,
    names_like,
    number_within,
    read_number,
    shown,
    text_of,
)
from sparkdesk.core.probes.read import Answer, ReadCommand, ReadFile

_DGX_RELEASE = ReadFile("/etc/dgx-release", max_bytes=16384)
_VENDOR_AND_PRODUCT = ReadFile("/sys/class/dmi/id/[ps][ry][os]*_[nv][ae][mn]*")
"""sys_vendor and product_name, and nothing else that lies there."""
_MEMINFO = ReadFile("/proc/meminfo", max_bytes=16384)
_CPUINFO = ReadFile("/proc/cpuinfo", max_bytes=65536)
_DETAILS = "core/probes/details.py"
_SIMULATED = "simulator/machine/machine_files.py"
_PLAYBOOKS = "NVIDIA/dgx-spark-playbooks 0db7c141"
_DOCTOR = "spark-doctor's captures of nine units (public repository)"
_BIG, _SMALL = "0xd85", "0xd87"
_PRODUCTS = {
    "NVIDIA": "NVIDIA_DGX_Spark",
    "ASUSTeK COMPUTER INC.": "GX10",
    "Dell Inc.": "Dell Pro Max with GB10",
    "HP": "HP ZGX Nano",
    "LENOVO": "30KL",
    "GIGABYTE": "AI TOP ATOM",
    "MSI": "EdgeXpert",
    "Acer": "Veriton GN100",
}
"""How each vendor's product name begins."""
_SIZES_TB = (1, 2, 4)


def _judge_cores(answer: Answer) -> Ruling:
    parts = re.findall(r"^CPU part\s*:\s*(\S+)", text_of(answer), re.MULTILINE)
    if not parts:
        return Hold.DIFFERS, shown(text_of(answer))
    seen = f"{parts.count(_BIG)} of part {_BIG}, {parts.count(_SMALL)} of part {_SMALL}, {len(parts)} in all"
    return (Hold.HELD if parts.count(_BIG) == parts.count(_SMALL) == 10 and len(parts) == 20 else Hold.DIFFERS), seen


def _judge_core_order(answer: Answer) -> Ruling:
    parts = re.findall(r"^CPU part\s*:\s*(\S+)", text_of(answer), re.MULTILINE)
    if len(parts) != 20:
        return Hold.NOT_SEEN, f"{len(parts)} cores"
    expected = [_BIG if core % 10 >= 5 else _SMALL for core in range(20)]
    return (Hold.HELD if parts == expected else Hold.DIFFERS), " ".join(part[-2:] for part in parts)


def _judge_reservation(answer: Answer) -> Ruling:
    found = dict(re.findall(r"^(CmaTotal|CmaFree):\s*(\d+) kB", text_of(answer), re.MULTILINE))
    if not found:
        return Hold.HELD, "no Cma lines"
    total, free = (read_number(found.get(key, "nan")) for key in ("CmaTotal", "CmaFree"))
    is_bad = total == 0 and free > 0
    return (Hold.DIFFERS if is_bad else Hold.HELD), f"CmaTotal {total:.0f} kB, CmaFree {free:.0f} kB"


def _judge_zones(answer: Answer) -> Ruling:
    kinds = [text.strip() for _, text in answer.texts]
    if not kinds:
        return Hold.NOT_SEEN, "there is none"
    is_right = len(kinds) == 7 and all(kind == "acpitz" for kind in kinds)
    return (Hold.HELD if is_right else Hold.DIFFERS), shown(", ".join(kinds))


def _judge_product(answer: Answer) -> Ruling:
    values = {path.rpartition("/")[2]: text.strip() for path, text in answer.texts}
    vendor, product = values.get("sys_vendor", ""), values.get("product_name", "")
    seen = shown(f"{vendor}: {product}")
    if vendor not in _PRODUCTS:
        return Hold.NOT_SEEN, f"{seen} (no known vendor)"
    return (Hold.HELD if product.startswith(_PRODUCTS[vendor]) else Hold.DIFFERS), seen


def _judge_disk_size(answer: Answer) -> Ruling:
    """Whole decimal terabytes, or up to 3 % more, as disks have them. Linux counts sectors of 512 bytes."""
    if not answer.text:
        return Hold.NOT_SEEN, "it is empty"
    size_tb = read_number(answer.text) * 512 / 1e12
    is_right = any(whole <= size_tb <= whole * 1.03 for whole in _SIZES_TB)
    return (Hold.HELD if is_right else Hold.DIFFERS), shown(f"{answer.text} sectors, {size_tb:.2f} TB")


ASSUMPTIONS: tuple[Assumption, ...] = (
    assume(
        "dgx-name", "A Spark's /etc/dgx-release names it DGX Spark", _DGX_RELEASE,
        matches(r'^DGX_NAME="?DGX Spark"?\s*$'), source=_DOCTOR, where=_DETAILS,
    ),
    assume(
        "dgx-version", "DGX OS's version stands in DGX_SWBUILD_VERSION, as three numbers", _DGX_RELEASE,
        matches(r'^DGX_SWBUILD_VERSION="?\d+\.\d+\.\d+"?\s*$'), source=_DOCTOR, where=_DETAILS,
    ),
    assume(
        "ota-version", "Each update over the air appends DGX_OTA_VERSION; the last one is what runs", _DGX_RELEASE,
        matches(r'^DGX_OTA_VERSION="?\d+\.\d+\.\d+"?\s*$'), source=_DOCTOR, where=_DETAILS,
    ),
    assume(
        "fastos-name", "/etc/fastos-release names the image DGX SPARK FASTOS",
        ReadFile("/etc/fastos-release"), matches(r'^NAME="DGX SPARK FASTOS"\s*$'),
        source="a capture in a public repository", where=_DETAILS,
    ),
    assume(
        "product-family", "The product family is DGX Spark, also on machines of other vendors",
        ReadFile("/sys/class/dmi/id/product_family"), matches(r"^DGX Spark$"),
        source="one HP ZGX Nano's capture", where=_DETAILS,
    ),
    assume(
        "board-name", "The board of NVIDIA's own Spark is called P4242",
        ReadFile("/sys/class/dmi/id/board_name"), matches(r"^P4242$"), source="ours, a guess", where=_SIMULATED,
    ),
    assume(
        "vendor-names", "The vendor is one of those that are known to build GB10 desktops",
        ReadFile("/sys/class/dmi/id/sys_vendor"),
        matches(r"^(NVIDIA|ASUSTeK COMPUTER INC\.|Dell Inc\.|HP|LENOVO|GIGABYTE|.*Micro-Star.*|MSI|Acer)\b"),
        source=f"{_DOCTOR}; GIGABYTE, MSI and Acer from their product pages only", where=_SIMULATED,
    ),
    assume(
        "product-name", "Each vendor's product name begins as we know it from captures or product pages",
        _VENDOR_AND_PRODUCT, _judge_product,
        source=f"{_DOCTOR}; GIGABYTE, MSI and Acer from their product pages only", where="simulator/machine/vendor.py",
    ),
    assume(
        "bios-version", "The firmware's version begins with 5.36 or is the vendor's GX10DGX form",
        ReadFile("/sys/class/dmi/id/bios_version"), matches(r"^(5\.36|GX10DGX\.)"), source=_DOCTOR, where=_SIMULATED,
    ),
    assume(
        "bios-date", "The firmware's date is written month/day/year",
        ReadFile("/sys/class/dmi/id/bios_date"), matches(r"^\d\d/\d\d/20\d\d$"),
        source="Linux's DMI table, in the form that SMBIOS asks for", where=_SIMULATED,
    ),
    assume(
        "not-a-jetson", "A Spark has no /etc/nv_tegra_release",
        ReadCommand(("ls", "-d", "/etc", "/etc/nv_tegra_release")), lacks(r"nv_tegra_release"),
        source="NVIDIA's Jetson documentation", where=_DETAILS,
    ),
    assume(
        "cpu-parts", "Twenty cores: ten Cortex-X925 (0xd85) and ten Cortex-A725 (0xd87)", _CPUINFO, _judge_cores,
        source="hrw/arm-socs-table issue 133", where=_SIMULATED,
    ),
    assume(
        "cpu-order", "The first five of each ten cores are the small ones", _CPUINFO, _judge_core_order,
        source="ours, a guess", where=_SIMULATED,
    ),
    assume(
        "cpu-has-no-mhz", "/proc/cpuinfo has neither a clock nor a model name", _CPUINFO,
        lacks(r"^(cpu MHz|model name)"), source="captures of several units", where=_SIMULATED,
    ),
    assume(
        "cpu-bogomips", "/proc/cpuinfo gives BogoMIPS as 2000.00", _CPUINFO, matches(r"^BogoMIPS\s*: 2000\.00$"),
        source="ours, from other Arm machines with a 1 GHz timer", where=_SIMULATED,
    ),
    assume(
        "thermal-zones", "Seven thermal zones, all of type acpitz",
        ReadFile("/sys/class/thermal/thermal_zone*/type"), _judge_zones, source="ours, from one capture",
        where=_SIMULATED,
    ),
    assume(
        "nvme-disk", "One NVMe disk, nvme0n1", ReadFile("/sys/block/nvme*/size"),
        names_like(r"/sys/block/([^/]+)/", frozenset({"nvme0n1"}), needs_all=True),
        source="spark captures of df and lsblk", where=_SIMULATED,
    ),
    assume(
        "disk-size", "The disk has 1, 2 or 4 TB", ReadFile("/sys/block/nvme0n1/size"), _judge_disk_size,
        source="product pages; df of a unit with 4 TB", where="simulator/machine/gb10.py",
    ),
    assume(
        "nvme-model", "The disk's model can be read without rights", ReadFile("/sys/class/nvme/nvme0/model"),
        matches(r"\S+"), source="Linux's nvme driver", where=_SIMULATED,
    ),
    assume(
        "memory-total", "The kernel sees 119.5 to 122 GiB on a Spark with 128 GB, 55 to 62 GiB on one with 64 GB",
        _MEMINFO, matches(r"^MemTotal:\s+(12[5-7]\d{6}|5[789]\d{6}|6[0-5]\d{6}) kB$"),
        source="captures of 2025 and 2026; the 64 GB form was never seen by anyone we know", where=_DETAILS,
    ),
    assume(
        "memory-available", "MemAvailable is there, and not more than MemTotal", _MEMINFO,
        matches(r"^MemAvailable:\s+[1-9]\d* kB$"), source="Linux's proc(5)", where="core/telemetry/builder.py",
    ),
    assume(
        "memory-uncounted", "The kernel does not hold memory back uncounted (CmaTotal 0 with CmaFree above 0)",
        _MEMINFO, _judge_reservation, source=f"{_DOCTOR}: kernel 7.0.0-1019", where="core/probes/doctor.py",
    ),
    assume(
        "swap-size", "A stock Spark has 15 to 16 GiB of swap", _MEMINFO,
        number_within(r"^SwapTotal:\s+(\d+) kB$", 15 * 1024**2 * 0.98, 16 * 1024**2 * 1.02),
        source="captures of free", where=_SIMULATED,
    ),
    assume(
        "memory-pressure", "/proc/pressure/memory is there", ReadFile("/proc/pressure/memory"),
        matches(r"^some avg10=\d+\.\d+ "), source="Linux's PSI documentation", where="remote/probe.py",
    ),
    assume(
        "guard-pressure", "The kernel tells how long all wait for memory, and on a node that works it is below half",
        ReadFile("/proc/pressure/memory"), matches(r"^full avg10=[0-4]?\d\.\d+ .* total=\d+"),
        source="Linux's PSI documentation; the half is ours", where="remote/gauge.py",
    ),
    assume(
        "kernel-flavour", "The kernel is NVIDIA's flavour", ReadFile("/proc/sys/kernel/osrelease"),
        matches(r"^\d+\.\d+\.\d+-\d+-nvidia$"), source="captures of twelve units", where="core/probes/doctor.py",
    ),
    assume(
        "kernel-build-line", "The kernel's build line names Ubuntu, SMP and PREEMPT_DYNAMIC",
        ReadFile("/proc/sys/kernel/version"), matches(r"^#\d+-Ubuntu SMP PREEMPT_DYNAMIC "),
        source="ours, from Ubuntu's kernels", where="simulator/machine/gb10.py",
    ),
    assume(
        "os-release", "The system is Ubuntu 24.04", ReadFile("/etc/os-release"),
        matches(r'^VERSION_ID="24\.04"$'), source=_PLAYBOOKS, where=_DETAILS,
    ),
)  # fmt: skip
