"""A folder with the files of a DGX Spark that the probe reads, as public captures show them; the serial is made up."""

from __future__ import annotations

from pathlib import Path

CAGES = {"enp1s0f0np0": "rocep1s0f0", "enP2p1s0f0np0": "roceP2p1s0f0"}


def write(root: Path, path: str, text: str) -> None:
    """Replace a file, as a copy of a node's files is replaced: by renaming."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(target.name + ".new")
    new.write_text(text)
    new.rename(target)


def make_spark(root: Path) -> None:
    """Every file of the node."""
    write(root, "etc/hostname", "spark-afe0\n")
    write(root, "etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    write(root, "etc/os-release", 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 24.04.3 LTS"\n')
    write(
        root,
        "etc/dgx-release",
        'DGX_NAME="DGX Spark"\nDGX_SWBUILD_VERSION="7.2.3"\nDGX_SERIAL_NUMBER="SECRET-SERIAL"\n\n'
        'DGX_OTA_VERSION="7.3.1"\n\nDGX_OTA_VERSION="7.5.0"\n',
    )
    for name, text in {
        "sys_vendor": "NVIDIA",
        "product_name": "NVIDIA_DGX_Spark",
        "product_serial": "SECRET-SERIAL",
    }.items():
        write(root, f"sys/class/dmi/id/{name}", text + "\n")
    write(root, "proc/sys/kernel/random/boot_id", "b0000000-0000-0000-0000-000000000001\n")
    write(root, "proc/sys/kernel/osrelease", "6.14.0-1015-nvidia\n")
    write(
        root,
        "proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95.05  Release\n",
    )
    write(
        root,
        "proc/meminfo",
        "MemTotal:       127535084 kB\nMemFree: 100000000 kB\nMemAvailable:   120000000 kB\nBuffers: 100 kB\n"
        "Cached: 2000 kB\nSwapTotal: 16777212 kB\nSwapFree: 16777212 kB\nShmem: 50 kB\nSReclaimable: 70 kB\n",
    )
    write(root, "proc/loadavg", "0.52 0.58 0.59 2/900 12345\n")
    write(
        root,
        "proc/pressure/memory",
        "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.25 avg60=0 total=3\n",
    )
    write(
        root, "proc/diskstats", " 259 0 nvme0n1 10 0 4000 5 20 0 8000 6 0 0 0 0\n 7 0 loop0 9 0 999 9 9 0 999 9 0 0 0\n"
    )
    for name in ("nvme0n1", "loop0"):
        (root / "sys/block" / name).mkdir(parents=True)
    for zone, heat in enumerate((48000, 51500)):
        write(root, f"sys/class/thermal/thermal_zone{zone}/temp", f"{heat}\n")
    write(root, "sys/class/nvme/nvme0/hwmon3/temp1_input", "39850\n")
    write_counters(root, 0)


def write_counters(root: Path, second: int) -> None:
    """What grows with the time."""
    cores = "".join(f"cpu{core} 1 0 1 1 0 0 0 0 0 0\n" for core in range(20))
    write(root, "proc/stat", f"cpu  {50 * second} 0 50 {100 * second} 0 0 0 0 0 0\n{cores}intr 5\n")
    for netdev, rdma in CAGES.items():
        net = f"sys/class/net/{netdev}"
        net_files = {
            "operstate": "up",
            "carrier": "1",
            "speed": "200000",
            "mtu": "9000",
            "address": "00:00:5e:00:53:01",
        }
        net_files |= {"statistics/rx_bytes": str(1000 * second), "statistics/tx_bytes": "0"}
        for name, text in net_files.items():
            write(root, f"{net}/{name}", text + "\n")
        port = f"sys/class/infiniband/{rdma}/ports/1"
        port_files = {"state": "4: ACTIVE", "rate": "200 Gb/sec (2X NDR)"}
        port_files |= {"counters/port_rcv_data": str(10**8 * second), "counters/port_xmit_data": "0"}
        for name, text in port_files.items():
            write(root, f"{port}/{name}", text + "\n")
    write(root, "sys/class/net/lo/operstate", "unknown\n")
