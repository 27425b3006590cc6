"""What is read to know a node in detail, and how the answers become `NodeDetails`.

The one rule: total, and honest about gaps: a field that is not known is empty and `problems` says why. The forms are
those of public captures of GB10 machines (DGX OS 7, driver 580) and of Ubuntu's manuals; the field report's
assumptions hold them against a real one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sparkdesk.core.cluster.details import NodeDetails, SudoMode, Update
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes import form
from sparkdesk.core.probes.cage_half import HALF_READS, NET_ADDRESSES, build_halves, find_wired_macs
from sparkdesk.core.probes.read import Answer, Answers, Probe, ReadClock, ReadCommand, ReadDisk, ReadFile, answer_of

_DMI = {name: ReadFile(f"/sys/class/dmi/id/{name}", max_bytes=256) for name in (
    "sys_vendor", "product_name", "product_version", "product_family", "board_name")}  # fmt: skip
_SERIAL = ReadFile("/sys/class/dmi/id/product_serial", max_bytes=256)
_OS = ReadFile("/etc/os-release", max_bytes=4096)
_CORES = ReadFile("/sys/devices/system/cpu/online", max_bytes=256)
_GPU_FILES = ReadFile("/proc/driver/nvidia/gpus/*/information", max_bytes=1024, max_files=4)
_SMI_VERSION = ReadCommand(("nvidia-smi", "--version"), timeout_s=10.0, max_bytes=1024)
_VBIOS = ReadCommand(("nvidia-smi", "--query-gpu=vbios_version", "--format=csv,noheader"), timeout_s=10.0)
_NVCC = ReadCommand(("nvcc", "--version"), max_bytes=1024)
_DOCKER = ReadCommand(("docker", "--version"), max_bytes=512)
PACKAGES = ReadCommand(
    (
        "dpkg-query",
        "-W",
        "-f",
        "${Package}\\t${Version}\\t${db:Status-Status}\\n",
        "nvidia-container-toolkit",
        "libnccl2",
    )
)
NCCL_FILES = ReadFile("/usr/lib/*-linux-gnu/libnccl.so.*.*", max_bytes=0, max_files=8)
OWN_NCCL_FILES = ReadFile("~/nccl/build/lib/libnccl.so.*.*", max_bytes=0, max_files=8)
"""Where NVIDIA's playbook has it built. Source: NVIDIA/dgx-spark-playbooks, nccl."""
_PYTHON = ReadCommand(("python3", "--version"), max_bytes=256)
SUDO = ReadCommand(("sudo", "-n", "true"), max_bytes=256)
_UPDATES = ReadCommand(("apt", "list", "--upgradable"), timeout_s=20.0, max_bytes=64 * 1024)
_UPDATE_STAMP = ReadFile("/var/lib/apt/periodic/update-success-stamp", max_bytes=0)
_PACKAGE_CACHE = ReadFile("/var/cache/apt/pkgcache.bin", max_bytes=0)
_UPDATE_NOTE = ReadFile("/var/lib/update-notifier/updates-available", max_bytes=1024)
_DISK = ReadDisk("/")
CLOCK = ReadClock()

DETAILS = Probe(
    id="node-details",
    title="Details of a node",
    reads=(
        *_DMI.values(), _SERIAL, _OS, _CORES, _GPU_FILES, form.BIOS_VERSION, form.DGX_RELEASE, form.KERNEL, form.DRIVER,
        form.MEMINFO, form.REBOOT, *HALF_READS, NCCL_FILES, OWN_NCCL_FILES, _UPDATE_STAMP, _PACKAGE_CACHE,
        _UPDATE_NOTE, _DISK, CLOCK, form.GROUPS, SUDO, _PYTHON, _DOCKER, form.TOOLKIT, _NVCC, _SMI_VERSION, _VBIOS,
        PACKAGES, _UPDATES,
    ),
    source="public captures of DGX Spark and other GB10 machines; Ubuntu 24.04 manual pages",
)  # fmt: skip

NO_NCCL = "none on the host; containers bring their own"
MAX_CHARS = 200
MAX_GROUPS = 64
MAX_UPDATES = 2000
_UPDATE = re.compile(r"^([a-z0-9][a-z0-9.+-]{1,100})/(\S{1,200}) (\S{1,100}) \S{1,20} \[upgradable from: (\S{1,100})\]")
_HASH = re.compile(r"^sha256:([0-9a-f]{64})$")
_NCCL = re.compile(r"libnccl\.so\.(\d+\.\d+[\d.]*)$")


def build_details(node_id: str, answers: Answers, t_ms: int) -> NodeDetails:
    """The details as of `t_ms` (Unix ms of this computer). Total: any answers give details."""
    sheet = _Sheet(answers)
    known: dict[str, Any] = {}
    for fill in (_fill_make, _fill_system, _fill_software, _fill_firmware, _fill_size, _fill_account, _fill_updates):
        known |= fill(sheet)
    halves, why = build_halves(answers)
    if why:
        sheet.problems["halves"] = why
    macs = find_wired_macs(answer_of(answers, NET_ADDRESSES))
    if not macs:
        sheet.problems["macs"] = answer_of(answers, NET_ADDRESSES).why() or "no wired port besides the QSFP cages"
    return NodeDetails(node_id=node_id, t_ms=t_ms, halves=halves, macs=macs, problems=sheet.problems, **known)


class _Sheet:
    """The answers, with the reasons for gaps as they are met."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.problems: dict[str, str] = {}

    def answer(self, read: ReadFile | ReadCommand | ReadDisk | ReadClock) -> Answer:
        return answer_of(self.answers, read)

    def gap(self, field: str, answer: Answer, otherwise: str) -> None:
        """Say why a field is not known: the read's own reason, else that what it gave has not the known form."""
        self.problems[field] = make_line(answer.why() or otherwise, max_chars=300)

    def text(self, field: str, read: ReadFile | ReadCommand, parse: Callable[[str], str] = str) -> str:
        """A field that is a line of one answer."""
        answer = self.answer(read)
        found = make_line(parse(answer.text), max_chars=MAX_CHARS).strip() if answer.is_ok else ""
        if not found:
            self.gap(field, answer, "the answer has another form than expected")
        return found

    def whole(self, field: str, answer: Answer, value: float | None) -> int | None:
        """A field that is a count or bytes."""
        if value is None:
            self.gap(field, answer, "the answer has another form than expected")
        return None if value is None else round(value)


def _fill_make(sheet: _Sheet) -> dict[str, Any]:
    product = sheet.text("product", _DMI["product_name"])
    version = sheet.answer(_DMI["product_version"]).text
    # Lenovo keeps the name in the version, and a machine type (30KL0004FC) in the name, as a public capture shows.
    if product and "ThinkStation" in version:
        product = make_line(f"{version} ({product})", max_chars=MAX_CHARS)
    return {
        "vendor": sheet.text("vendor", _DMI["sys_vendor"]),
        "product": product,
        "board": sheet.text("board", _DMI["board_name"]),
        "serial_hash": _serial_hash(sheet),
    }


def _serial_hash(sheet: _Sheet) -> str:
    """The hash that remote/reader.py made; a serial itself never gets here."""
    named = form.parse_settings(sheet.answer(form.DGX_RELEASE).text).get("DGX_SERIAL_NUMBER", "")
    for word in (named, sheet.answer(_SERIAL).text):
        match = _HASH.match(word)
        if match:
            return match[1]
    sheet.problems["serial_hash"] = "no serial in /etc/dgx-release, and the firmware shows its own to root only"
    return ""


def _fill_system(sheet: _Sheet) -> dict[str, Any]:
    ota = form.parse_settings(sheet.answer(form.DGX_RELEASE).text).get("DGX_OTA_VERSION", "")
    dgx_os = read_dgx_os(sheet.answer(form.DGX_RELEASE))
    if not dgx_os:
        sheet.gap("dgx_os", sheet.answer(form.DGX_RELEASE), "no version in /etc/dgx-release")
    if not ota:
        sheet.gap("ota_version", sheet.answer(form.DGX_RELEASE), "no update over the air was made yet")
    reboot = sheet.answer(form.REBOOT)
    if reboot.fault and not reboot.is_absent:
        sheet.gap("needs_reboot", reboot, "")
    return {
        "dgx_os": dgx_os,
        "ota_version": ota[:MAX_CHARS],
        "os_name": sheet.text("os_name", _OS, lambda text: form.parse_settings(text).get("PRETTY_NAME", "")),
        "kernel": sheet.text("kernel", form.KERNEL),
        "needs_reboot": True if reboot.is_ok else False if reboot.is_absent else None,
    }


def read_dgx_os(answer: Answer) -> str:
    """ "DGX OS 7.5.0", from /etc/dgx-release: the last update over the air, else what it was built with; or ""."""
    release = form.parse_settings(answer.text)
    version = release.get("DGX_OTA_VERSION", "") or release.get("DGX_SWBUILD_VERSION", "")
    return f"DGX OS {version}"[:MAX_CHARS] if version else ""


def _fill_software(sheet: _Sheet) -> dict[str, Any]:
    packages = parse_packages(sheet.answer(PACKAGES).text)
    driver = form.parse_version(sheet.answer(form.DRIVER).text) if sheet.answer(form.DRIVER).is_ok else ""
    toolkit = packages.get("nvidia-container-toolkit", "") or form.parse_version(sheet.answer(form.TOOLKIT).text)
    if not toolkit:
        sheet.gap("container_toolkit", sheet.answer(form.TOOLKIT), "the answer has another form than expected")
    return {
        "driver": driver or sheet.text("driver", _SMI_VERSION, lambda text: _after(text, "DRIVER version")),
        "cuda": _cuda(sheet),
        "docker": sheet.text("docker", _DOCKER, form.parse_version),
        "container_toolkit": toolkit,
        "nccl": _nccl(sheet),
        "python": sheet.text("python", _PYTHON, form.parse_version),
    }


def _cuda(sheet: _Sheet) -> str:
    """The toolkit's version; without one, what the driver can do."""
    toolkit = re.search(r"\bV(\d{1,3}\.\d{1,3}\.\d{1,4})\b", sheet.answer(_NVCC).text)
    if toolkit:
        return toolkit[1]
    able = form.parse_version(_after(sheet.answer(_SMI_VERSION).text, "CUDA Version"))
    sheet.gap("cuda", sheet.answer(_NVCC), "no CUDA toolkit was found in /usr/local/cuda")
    return f"{able} (driver; no toolkit found)" if able else ""


def _nccl(sheet: _Sheet) -> str:
    found = read_nccl(sheet.answers)
    if not found:
        sheet.problems["nccl"] = NO_NCCL
    return found


def read_nccl(answers: Answers) -> str:
    """The version of the host's own library: the package's, else that of a file; "" when neither is there."""
    found = parse_packages(answer_of(answers, PACKAGES).text).get("libnccl2", "")
    for read, where in ((NCCL_FILES, ""), (OWN_NCCL_FILES, " (built in ~/nccl)")):
        files = sorted(match[1] for path, _ in answer_of(answers, read).texts if (match := _NCCL.search(path)))
        found = found or (f"{files[-1][:40]}{where}" if files else "")
    return found


def _after(text: str, name: str) -> str:
    """What stands behind "name :" in a page of nvidia-smi or the kernel."""
    for line in form.lines_of(text):
        head, colon, rest = line.partition(":")
        if colon and head.strip() == name:
            return make_line(rest.strip(), max_chars=MAX_CHARS)
    return ""


def parse_packages(text: str) -> dict[str, str]:
    """Installed packages with their versions, from dpkg-query's tab-separated rows."""
    rows = (line.split("\t") for line in form.lines_of(text))
    return {row[0]: make_line(row[1], max_chars=100) for row in rows if len(row) == 3 and row[2].strip() == "installed"}


def _fill_firmware(sheet: _Sheet) -> dict[str, Any]:
    page = sheet.answer(_GPU_FILES).text
    video = _after(page, "Video BIOS")
    if not re.search(r"\d", video):  # "??.??.??.??.??": not known to the driver either
        cell = sheet.answer(_VBIOS).text if sheet.answer(_VBIOS).is_ok else ""
        video = make_line(cell, max_chars=64) if re.search(r"\d", cell) else ""
    gsp = _after(page, "GPU Firmware")
    parts = [f"VBIOS {video}" if video else "", f"GSP {gsp}" if re.search(r"\d", gsp) else ""]
    gpu = ", ".join(part for part in parts if part)
    if not gpu:
        sheet.gap("gpu_firmware", sheet.answer(_VBIOS), "the driver does not tell it")
    versions = sorted({text.strip() for read in HALF_READS for path, text in sheet.answer(read).texts
                       if path.endswith("/fw_ver") and text.strip()})  # fmt: skip
    if not versions:
        sheet.problems["nic_firmware"] = "no RDMA device is there; they may appear when a cable is put in"
    return {
        "bios": sheet.text("bios", form.BIOS_VERSION),
        "gpu_firmware": gpu,
        "nic_firmware": make_line(", ".join(versions), max_chars=MAX_CHARS),
    }


def _fill_size(sheet: _Sheet) -> dict[str, Any]:
    memory, disk, clock = sheet.answer(form.MEMINFO), sheet.answer(_DISK), sheet.answer(CLOCK)
    rows = form.parse_memory(memory.text)
    sizes, times = disk.numbers or {}, clock.numbers or {}
    offset_ms = times.get("offset_ms")
    if offset_ms is None:
        sheet.gap("clock_offset_s", clock, "it was not measured")
    return {
        "mem_total_bytes": sheet.whole("mem_total_bytes", memory, rows.get("MemTotal")),
        "swap_total_bytes": sheet.whole("swap_total_bytes", memory, rows.get("SwapTotal")),
        "disk_total_bytes": sheet.whole("disk_total_bytes", disk, sizes.get("total_bytes")),
        "disk_free_bytes": sheet.whole("disk_free_bytes", disk, sizes.get("free_bytes")),
        "cpu_count": sheet.whole("cpu_count", sheet.answer(_CORES), form.parse_core_count(sheet.answer(_CORES).text)),
        "clock_offset_s": None if offset_ms is None else offset_ms / 1000,
    }


def _fill_account(sheet: _Sheet) -> dict[str, Any]:
    groups = sheet.answer(form.GROUPS)
    names = [make_line(word, max_chars=64) for word in groups.text.split()] if groups.is_ok else []
    if not names:
        sheet.gap("groups", groups, "the answer is empty")
    mode, words = parse_sudo(sheet.answer(SUDO))
    if words:
        sheet.problems["sudo"] = words
    return {"groups": tuple(names[:MAX_GROUPS]), "sudo": mode}


def parse_sudo(answer: Answer) -> tuple[SudoMode, str]:
    """What `sudo -n true` tells, and why when it tells nothing. It never asks for a password.

    Source: sudo 1.9's and sudo-rs' messages in the C locale. An account that may not use sudo at all can also be told
    "a password is required": only a try with the password tells the two apart.
    """
    if answer.is_absent:
        return SudoMode.ABSENT, ""
    if answer.is_ok:
        return SudoMode.NO_PASSWORD, ""
    words = answer.errors.lower()
    if "may not run sudo" in words or "not in the sudoers" in words or "not allowed to" in words:
        return SudoMode.NOT_ALLOWED, ""
    if "password is required" in words or "authentication is required" in words:
        return SudoMode.PASSWORD, ""
    return SudoMode.UNKNOWN, make_line(answer.why(), max_chars=300)


def _fill_updates(sheet: _Sheet) -> dict[str, Any]:
    listing = sheet.answer(_UPDATES)
    updates = parse_updates(listing.text) if listing.is_ok else None
    if updates is None:
        note = " ".join(line for line in form.lines_of(sheet.answer(_UPDATE_NOTE).text) if "can be applied" in line)
        sheet.gap("updates", listing, "")
        if note:
            sheet.problems["updates"] += f". The node's own note says: {make_line(note, max_chars=150)}"
    elif listing.is_cut:
        sheet.problems["updates"] = "there are more; the list was cut"
    now_ms = (sheet.answer(CLOCK).numbers or {}).get("t_ms")
    stamps = [
        time_s for read in (_UPDATE_STAMP, _PACKAGE_CACHE) for time_s in (sheet.answer(read).numbers or {}).values()
    ]
    if now_ms is None or not stamps:
        sheet.problems["updates_age_s"] = "it is not known when the package lists were fetched"
        return {"updates": updates, "updates_age_s": None}
    return {"updates": updates, "updates_age_s": max(0.0, now_ms / 1000 - stamps[0])}


def parse_updates(text: str) -> tuple[Update, ...]:
    """The rows of `apt list --upgradable`, at most MAX_UPDATES. Source: apt 2.7 on Ubuntu 24.04."""
    rows = (_UPDATE.match(line) for line in form.lines_of(text))
    return tuple(Update(row[1], row[4], row[3], "-security" in row[2]) for row in rows if row)[:MAX_UPDATES]
