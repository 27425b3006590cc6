"""The answers of a healthy DGX Spark to any reads, in the forms of public captures; serials and MACs are made up.

The one rule: a test changes single files or commands and sees what becomes of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sparkdesk.core.probes.read import Answer, Answers, Fault, Read, ReadClock, ReadCommand, ReadDisk, ReadFile

Said = tuple[int, str, str] | Fault
"""Exit code, standard output and standard error of a command."""
NOW_MS = 1_781_812_000_000.0
HALVES = (
    ("0000:01:00.0", "enp1s0f0np0", "rocep1s0f0"),
    ("0000:01:00.1", "enp1s0f1np1", "rocep1s0f1"),
    ("0002:01:00.0", "enP2p1s0f0np0", "roceP2p1s0f0"),
    ("0002:01:00.1", "enP2p1s0f1np1", "roceP2p1s0f1"),
)
SERIAL_HASH = "sha256:" + 64 * "a"
MEMINFO = """\
MemTotal:       127535084 kB
MemFree:        111862984 kB
MemAvailable:   124030620 kB
Buffers:          104216 kB
Cached:         12063420 kB
SwapCached:            0 kB
SwapTotal:      16777212 kB
SwapFree:       16777212 kB
Shmem:             36864 kB
CmaTotal:              0 kB
CmaFree:               0 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
"""
DGX_RELEASE = f"""\
DGX_NAME="DGX Spark"
DGX_PRETTY_NAME="NVIDIA DGX Spark"
DGX_SWBUILD_DATE="2025-09-10-13-50-03"
DGX_SWBUILD_VERSION="7.2.3"
DGX_PLATFORM="DGX Server for KVM"
DGX_SERIAL_NUMBER="{SERIAL_HASH}"

DGX_OTA_VERSION="7.3.1"
DGX_OTA_DATE="Wed Nov 19 05:05:30 PM CET 2025"

DGX_OTA_VERSION="7.5.0"
DGX_OTA_DATE="Thu Jun 18 17:40:28 EDT 2026"
"""
GPU_IDLE = "NVIDIA GB10, P8, 0, 33, 3.87, 208, 3003, 0x0000000000000001\n"
GPU_LOADED = "NVIDIA GB10, P0, 96, 68, 61.20, 2418, 3003, 0x0000000000000004\n"
PERFORMANCE = """\
GPU 0000000F:01:00.0
    Performance State                     : P0
    Clocks Event Reasons
        Idle                              : Not Active
        SW Power Cap                      : Active
    Clocks Event Reasons Counters
        SW Power Capping                  : 10800240649 us
        Sync Boost                        : 0 us
        SW Thermal Slowdown               : 7 us
        HW Thermal Slowdown               : 1195386 us
        HW Power Brake Slowdown           : 0 us
"""
DENIED_DOCKER = (
    "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
)


def healthy_files() -> dict[str, str | Fault]:
    """Path -> text of a Founders Edition with one cable, some hours after its start."""
    dmi = {"sys_vendor": "NVIDIA", "product_name": "NVIDIA_DGX_Spark", "product_version": "A.7",
           "product_family": "DGX Spark", "board_name": "P4242", "bios_version": "5.36_0ACUM018"}  # fmt: skip
    files: dict[str, str | Fault] = {f"/sys/class/dmi/id/{name}": f"{text}\n" for name, text in dmi.items()}
    files["/sys/class/dmi/id/product_serial"] = Fault.DENIED
    files["/etc/dgx-release"] = DGX_RELEASE
    files["/etc/os-release"] = 'PRETTY_NAME="Ubuntu 24.04.4 LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\n'
    files["/proc/sys/kernel/osrelease"] = "6.17.0-1014-nvidia\n"
    files["/proc/driver/nvidia/version"] = (
        "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.142  Release Build  (dvs-builder@U22-I3)\n"
        "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n"
    )
    files["/proc/driver/nvidia/gpus/000f:01:00.0/information"] = (
        "Model: \t\t NVIDIA GB10\nIRQ:   \t\t 301\nVideo BIOS: \t 9a.0b.17.00.00\nGPU Firmware: \t 580.142\n"
    )
    files |= {
        "/proc/meminfo": MEMINFO,
        "/proc/uptime": "86400.12 1700000.00\n",
        "/proc/pressure/memory": "some avg10=0.10 avg60=0 avg300=0 total=9\nfull avg10=0.00 avg60=0 avg300=0 total=3\n",
        "/proc/sys/vm/swappiness": "60\n",
        "/sys/devices/system/cpu/online": "0-19\n",
        "/usr/lib/aarch64-linux-gnu/libnccl.so.2.28.9": "",
        "/var/lib/apt/periodic/update-success-stamp": "",
        "/sys/class/net/lo/address": "00:00:00:00:00:00\n",
        "/sys/class/net/enP7s7/address": "4C:BB:47:77:01:01\n",
        "/sys/class/net/wlP9s9/address": "4c:bb:47:77:01:02\n",
        "/sys/class/net/enx00e04c680001/address": "00:e0:4c:68:00:01\n",
    }
    for index, (pci, netdev, rdma) in enumerate(HALVES):
        mac = f"4c:bb:47:77:02:{index:02x}\n"
        folder = f"/sys/bus/pci/devices/{pci}"
        files |= {f"{folder}/net/{netdev}/address": mac, f"/sys/class/net/{netdev}/address": mac}
        files |= {
            f"{folder}/infiniband/{rdma}/fw_ver": "28.45.4028\n",
            f"/sys/class/infiniband/{rdma}/fw_ver": "28.45.4028\n",
        }
        files |= {f"{folder}/current_link_width": "4\n", f"{folder}/current_link_speed": "32.0 GT/s PCIe\n"}
    for zone, heat in enumerate((48000, 51500, -274000)):
        files[f"/sys/class/thermal/thermal_zone{zone}/temp"] = f"{heat}\n"
    return files


def healthy_commands() -> dict[str, Said]:
    """The beginning of a command line -> what it says."""
    return {
        "id -un": (0, "nvidia\n", ""),
        "id -Gn": (0, "nvidia adm sudo docker\n", ""),
        "getent group docker": (0, "docker:x:989:nvidia\n", ""),
        "sudo -n true": (1, "", "sudo: a password is required\n"),
        "python3 --version": (0, "Python 3.12.3\n", ""),
        "docker --version": (0, "Docker version 29.2.1, build a5c7197\n", ""),
        "docker version": (0, "29.2.1\n", ""),
        "systemctl is-active docker": (0, "active\n", ""),
        "systemctl list-units": (0, "", ""),
        "nvidia-ctk --version": (0, "NVIDIA Container Toolkit CLI version 1.20.0\ncommit: 0123abc\n", ""),
        "nvcc --version": (0, "Cuda compilation tools, release 13.0, V13.0.88\nBuild cuda_13.0.r13.0/compiler.1\n", ""),
        "nvidia-smi --version": (
            0, "NVIDIA-SMI version  : 580.142\nNVML version        : 580.142\nDRIVER version      : 580.142\n"
            "CUDA Version        : 13.0\n", "",
        ),
        "nvidia-smi --query-gpu=vbios_version": (0, "[N/A]\n", ""),
        "nvidia-smi --query-gpu=name": (0, GPU_LOADED, ""),
        "nvidia-smi -q -d PERFORMANCE": (0, PERFORMANCE, ""),
        "dpkg-query": (
            1, "nvidia-container-toolkit\t1.20.0-1\tinstalled\n", "dpkg-query: no packages found matching libnccl2\n"
        ),
        "apt list --upgradable": (
            0,
            "Listing...\n"
            "libssl3t64/noble-updates,noble-security 3.0.13-0ubuntu3.7 arm64 [upgradable from: 3.0.13-0ubuntu3.6]\n"
            "base-files/noble-updates 13ubuntu10.4 arm64 [upgradable from: 13ubuntu10.3]\n",
            "\nWARNING: apt does not have a stable CLI interface. Use with caution in scripts.\n\n",
        ),
        "timedatectl show": (
            0, "Timezone=Etc/UTC\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized=yes\n"
            "TimeUSec=Thu 2026-06-18 19:44:21 UTC\n", "",
        ),
    }  # fmt: skip


class Spark:
    """A Spark that answers. Change `files`, `commands`, `disk` or `offset_ms`, then ask."""

    def __init__(self) -> None:
        self.files = healthy_files()
        self.commands = healthy_commands()
        self.disk: tuple[float, float] | Fault = (4.0e12, 3.5e12)
        self.offset_ms = 12.0

    def change(self, files: Mapping[str, str | Fault] | None = None, said: Mapping[str, Said] | None = None) -> Spark:
        """Replace files by their path, and what commands say by the beginning of their line."""
        self.files |= files or {}
        for start, value in (said or {}).items():
            self.commands[next(line for line in self.commands if line.startswith(start))] = value
        return self

    def answers(self, reads: Iterable[Read]) -> Answers:
        """The answers to these reads."""
        return {read: self._answer(read) for read in reads}

    def _answer(self, read: Read) -> Answer:
        if isinstance(read, ReadFile):
            return self._file(read)
        if isinstance(read, ReadClock):
            return Answer(numbers={"t_ms": NOW_MS, "offset_ms": self.offset_ms, "error_ms": 50.0})
        if isinstance(read, ReadDisk):
            if isinstance(self.disk, Fault):
                return Answer(fault=self.disk, problem="it is gone")
            return Answer(numbers={"total_bytes": self.disk[0], "free_bytes": self.disk[1]})
        return self._command(read)

    def _file(self, read: ReadFile) -> Answer:
        pattern = re.compile("[^/]*".join(re.escape(part) for part in read.path.split("*")))
        found = {path: text for path, text in sorted(self.files.items()) if pattern.fullmatch(path)}
        texts = tuple((path, text[: read.max_bytes]) for path, text in found.items() if not isinstance(text, Fault))
        faults = [text for text in found.values() if isinstance(text, Fault)]
        if texts:
            return Answer(texts=texts, numbers={path: NOW_MS / 1000 - 7200 for path, _ in texts})
        return Answer(
            fault=faults[0] if faults else Fault.ABSENT, problem="Permission denied" if faults else "not there"
        )

    def _command(self, read: ReadCommand) -> Answer:
        line = " ".join(read.argv)
        said = next((said for start, said in self.commands.items() if line.startswith(start)), Fault.ABSENT)
        if isinstance(said, Fault):
            return Answer(fault=said, problem=f"{said.value}: {read.argv[0]}")
        return Answer(texts=(("", said[1]),), code=said[0], errors=said[2])
