"""The files of a GB10 that do not move: /etc, and the parts of /sys and /proc that stay as they are.

The one rule: pure. From who the node is to path -> bytes; the caller writes them. Paths have no leading slash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sparkdesk.simulator.machine import gb10
from sparkdesk.simulator.machine.vendor import Vendor

Ports = Iterable[Mapping[str, Any]]
"""Ports of a node as fabric/port.py gives them for a message."""

NETPLAN, STOCK_NETPLAN = "40-cx7.yaml", "00-installer-config.yaml"
CABLING = "# simulated cabling: "
"""Begins the first line of a netplan that we made."""
_OS_RELEASE = """\
PRETTY_NAME="Ubuntu 24.04.4 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION="24.04.4 LTS (Noble Numbat)"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=noble
"""
_PASSWD = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
nvidia:x:1000:1000:nvidia,,,:/home/nvidia:/bin/bash
"""
_GROUP = """\
root:x:0:
daemon:x:1:
adm:x:4:nvidia
sudo:x:27:nvidia
docker:x:989:nvidia
nvidia:x:1000:
nogroup:x:65534:
"""
_PROFILE = """\
PATH=/opt/sparkdesk-sim/program/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
"""
_BASHRC = "# ~/.bashrc\ncase $- in *i*) PS1='\\u@\\h:\\w\\$ ';; *) return;; esac\n"


# Where a user's JupyterLab listens. Source: two public captures of the file; the port is that of a first user.
JUPYTER_PORT = 11002
DASHBOARD_PORT = 11000
HUB_PORT = 11080  # the simulated hub; ours
_JUPYTER_PORTS = f"users:\n    - username: nvidia\n      jupyterlab_port: {JUPYTER_PORT}\n"
_DAEMON_JSON = """\
{
    "runtimes": {
        "nvidia": {
            "args": [],
            "path": "nvidia-container-runtime"
        }
    }
}
"""
_UPDATES = """
3 updates can be applied immediately.
1 of these updates is a standard security update.
To see these additional updates run: apt list --upgradable

"""


def etc_files(name: str, ports: Ports, cabling: str) -> dict[str, str]:
    """What the node's own folders hold when it is made; a person may change them. No netplan for ports without one."""
    netplan = {f"etc/netplan/{NETPLAN}": f"{CABLING}{cabling}\n{_netplan(ports)}"} if _has_addresses(ports) else {}
    return netplan | {
        "etc/os-release": _OS_RELEASE,
        "etc/hostname": f"{name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {name}\n",
        "etc/passwd": _PASSWD,
        "etc/group": _GROUP,
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "etc/profile": _PROFILE,
        "etc/subuid": "nvidia:100000:65536\n",
        "etc/docker/daemon.json": _DAEMON_JSON,
        "home/nvidia/.bashrc": _BASHRC,
        "var/lib/apt/periodic/update-success-stamp": "",
        "var/lib/update-notifier/updates-available": _UPDATES,
        "opt/nvidia/dgx-dashboard-service/jupyterlab_ports.yaml": _JUPYTER_PORTS,
    }


def release_files(machine_id: str, serial: str, vendor: Vendor) -> dict[str, str]:
    """Which machine this is: written at each start."""
    return {
        "etc/machine-id": f"{machine_id}\n",
        "etc/dgx-release": _dgx_release(serial, vendor.platform),
        "etc/fastos-release": 'NAME="DGX SPARK FASTOS"\n',
    }


def driver_files(driver: str, gpu_uuid: str) -> dict[str, str]:
    """Below /proc/driver, in the form of NVIDIA's open kernel module; unverified on hardware [gpu-information].

    The build's name and date, IRQ and DMA are made up for the simulator.
    """
    return {
        "nvidia/version": f"NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  {driver}  Release Build  "
        "(dvs-builder@U22-I3-AM02-24-3)  Thu Jan  8 05:21:11 UTC 2026\n"
        "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n",
        "nvidia/gpus/000f:01:00.0/information": "Model: \t\t NVIDIA GB10\nIRQ:   \t\t 301\n"
        f"GPU UUID: \t {gpu_uuid}\nVideo BIOS: \t 9a.0b.17.00.00\nBus Type: \t PCIe\nDMA Size: \t 47 bits\n"
        "DMA Mask: \t 0x7fffffffffff\nBus Location: \t 000f:01:00.0\nDevice Minor: \t 0\n"
        f"GPU Firmware: \t {driver}\nGPU Excluded:\t No\n",
    }


def _dgx_release(serial: str, platform: str) -> str:
    return (
        'DGX_NAME="DGX Spark"\nDGX_PRETTY_NAME="NVIDIA DGX Spark"\nDGX_SWBUILD_DATE="2025-09-10-13-50-03"\n'
        'DGX_SWBUILD_VERSION="7.2.3"\nDGX_COMMIT_ID="833b4a7"\n'
        f'DGX_PLATFORM="{platform}"\n'
        f'DGX_SERIAL_NUMBER="{serial}"\n\n'
        'DGX_OTA_VERSION="7.3.1"\nDGX_OTA_DATE="Wed Nov 19 05:05:30 PM CET 2025"\n\n'
        f'DGX_OTA_VERSION="{gb10.DGX_OS}"\nDGX_OTA_DATE="Thu Jun 18 17:40:28 EDT 2026"\n'
    )


def fresh_files() -> dict[str, str]:
    """What is different in a node that just came out of its box. Source: DGX Spark user guide and playbooks."""
    return {"etc/group": _GROUP.replace("docker:x:989:nvidia\n", "docker:x:989:\n")}


def secret_etc_files() -> dict[str, str]:
    """What only root may read: the installer's netplan. Source of its name: NVIDIA/dgx-spark-playbooks."""
    stock = f"network:\n  version: 2\n  ethernets:\n    {gb10.MANAGEMENT_NETDEV}:\n      dhcp4: true\n"
    return {f"etc/netplan/{STOCK_NETPLAN}": stock}


def _has_addresses(ports: Ports) -> bool:
    return any(port["address"] for port in ports)


def _netplan(ports: Ports) -> str:
    lines = ["network:", "  version: 2", "  ethernets:"]
    for port in ports:
        if port["address"]:
            address = f"      addresses: [{port['address']}]"
            lines += [f"    {port['netdev']}:", "      dhcp4: no", f"      mtu: {gb10.FABRIC_MTU}", address]
    return "\n".join(lines) + "\n"


def addresses(index: int) -> list[dict[str, Any]]:
    """The IPv4 addresses of the ports that no cable changes: device, address, prefix length."""
    return [
        {"device": "lo", "address": "127.0.0.1", "prefix": 8},
        {"device": gb10.MANAGEMENT_NETDEV, "address": gb10.management_address(index), "prefix": 24},
    ]


def sys_files(index: int, vendor: Vendor) -> dict[str, str]:
    """What /sys holds; those that move are rewritten later by the physical model."""
    files = _dmi_files(vendor) | _cpu_files() | _temperature_files() | _network_files(index)
    for half in gb10.HALVES:
        files |= _rdma_files(half) | _pci_files(half.pci, "0x15b3", "0x1021", "0x020000")
        files |= _half_files(half, index)
    # Where the RJ45 port is on the bus: unverified on hardware [management-pci].
    wired = f"bus/pci/devices/0007:01:00.0/net/{gb10.MANAGEMENT_NETDEV}/address"
    files[wired] = f"{gb10.hardware_address(index, 1)}\n"
    gpu = _pci_files("000f:01:00.0", "0x10de", "0x2e12", "0x030000")
    disk = {"block/nvme0n1/size": f"{gb10.DISK_SECTORS}\n", "block/nvme0n1/queue/rotational": "0\n"}
    return files | gpu | disk | {"fs/cgroup/.keep": "", "kernel/.keep": ""}


def _dmi_files(vendor: Vendor) -> dict[str, str]:
    values = {
        "sys_vendor": vendor.sys_vendor,
        "product_name": vendor.product_name,
        "product_family": vendor.product_family,
        "product_version": vendor.product_version,
        "board_vendor": vendor.sys_vendor,
        "board_name": vendor.board_name,
        "bios_vendor": vendor.bios_vendor,
        "bios_version": vendor.bios_version,
        "bios_date": "04/21/2026",  # unverified on hardware [bios-date]
        "chassis_vendor": vendor.sys_vendor,
    }
    return {f"class/dmi/id/{name}": f"{value}\n" for name, value in values.items()}


def secret_sys_files(serial: str) -> dict[str, str]:
    """What only root may read. Source: Linux, drivers/firmware/dmi-id.c"""
    return {f"class/dmi/id/{name}": f"{serial}\n" for name in ("product_serial", "board_serial", "chassis_serial")}


def _half_files(half: gb10.CageHalf, index: int) -> dict[str, str]:
    """The ways from a PCI function to its network and RDMA devices."""
    folder, number = f"bus/pci/devices/{half.pci}", gb10.netdev_number(half.netdev)
    return {
        f"{folder}/net/{half.netdev}/address": f"{gb10.hardware_address(index, number)}\n",
        f"class/net/{half.netdev}/device/vendor": "0x15b3\n",
        f"{folder}/infiniband/{half.rdma}/fw_ver": f"{gb10.NIC_FIRMWARE}\n",
    }


def _cpu_files() -> dict[str, str]:
    files = {f"devices/system/cpu/{name}": f"0-{gb10.CORES - 1}\n" for name in ("online", "possible", "present")}
    for core in range(gb10.CORES):
        is_big = core % 10 >= 5  # their order: unverified on hardware [cpu-order]
        folder = f"devices/system/cpu/cpu{core}/cpufreq"
        files[f"{folder}/cpuinfo_max_freq"] = "3900000\n" if is_big else "2808000\n"
        files[f"{folder}/scaling_cur_freq"] = "1378000\n" if is_big else "338000\n"
        files[f"{folder}/scaling_governor"] = "performance\n"
    return files


def _temperature_files() -> dict[str, str]:
    files = {}
    for zone in range(7):  # unverified on hardware [thermal-zones]
        files[f"class/thermal/thermal_zone{zone}/type"] = "acpitz\n"
        files[f"class/thermal/thermal_zone{zone}/temp"] = "36000\n"
    files["class/hwmon/hwmon0/name"] = "nvme\n"
    files["class/hwmon/hwmon0/temp1_input"] = "34850\n"
    files["class/nvme/nvme0/model"] = "SAMSUNG MZALC4T0HBL1-00B07\n"  # unverified on hardware [nvme-model]
    files["class/nvme/nvme0/hwmon0/temp1_input"] = "34850\n"
    return files


def _network_files(index: int) -> dict[str, str]:
    up = {"operstate": "up", "carrier": "1"}
    down = {"operstate": "down", "carrier": "0", "speed": "-1"}
    devices = {
        "lo": {"operstate": "unknown", "carrier": "1", "mtu": "65536", "address": "00:00:00:00:00:00"},
        gb10.MANAGEMENT_NETDEV: {**up, "speed": str(gb10.MANAGEMENT_MBPS), "mtu": "1500"},
        gb10.WIFI_NETDEV: {**down, "mtu": "1500"},
    }
    devices |= {half.netdev: {**down, "mtu": "1500"} for half in gb10.HALVES}
    # Unverified on hardware [wake-on-lan].
    files = {f"class/net/{gb10.MANAGEMENT_NETDEV}/device/power/wakeup": "enabled\n"}
    for number, (device, values) in enumerate(devices.items()):
        values = {"address": gb10.hardware_address(index, number), "ifindex": str(number + 1), **values}
        for name, value in values.items():
            files[f"class/net/{device}/{name}"] = f"{value}\n"
        for name in ("bytes", "packets", "errors", "dropped"):
            for way in ("rx", "tx"):
                files[f"class/net/{device}/statistics/{way}_{name}"] = "0\n"
    return files


def _rdma_files(half: gb10.CageHalf) -> dict[str, str]:
    """An RDMA device; its port's state moves with the cable."""
    device = f"class/infiniband/{half.rdma}"
    port = f"{device}/ports/1"
    files = {
        f"{device}/node_type": "1: CA\n",
        f"{device}/fw_ver": f"{gb10.NIC_FIRMWARE}\n",
        f"{device}/hca_type": "MT4129\n",
        f"{device}/device/net/{half.netdev}/.keep": "",
        f"{port}/link_layer": "Ethernet\n",
    }
    for name in ("port_xmit_data", "port_rcv_data", "port_xmit_packets", "port_rcv_packets", "port_xmit_wait",
                 "symbol_error", "link_downed", "port_rcv_errors", "port_xmit_discards"):  # fmt: skip
        files[f"{port}/counters/{name}"] = "0\n"
    for name in ("out_of_sequence", "packet_seq_err", "local_ack_timeout_err", "np_cnp_sent", "rp_cnp_handled",
                 "rx_write_requests"):  # fmt: skip
        files[f"{port}/hw_counters/{name}"] = "0\n"
    for row, kind in enumerate(("IB/RoCE v1", "RoCE v2", "IB/RoCE v1", "RoCE v2")):
        files[f"{port}/gid_attrs/types/{row}"] = f"{kind}\n"
        files[f"{port}/gid_attrs/ndevs/{row}"] = f"{half.netdev}\n"
    return files


def _pci_files(address: str, vendor: str, device: str, kind: str) -> dict[str, str]:
    folder = f"bus/pci/devices/{address}"
    values = {"vendor": vendor, "device": device, "class": kind}
    if vendor == "0x15b3":
        values |= {"current_link_width": "4", "current_link_speed": "32.0 GT/s PCIe"}
        values |= {"max_link_width": "4", "max_link_speed": "32.0 GT/s PCIe"}
    return {f"{folder}/{name}": f"{value}\n" for name, value in values.items()}


def proc_files(boot_id: str) -> dict[str, str]:
    """The still files of /proc. A start of the simulator is a boot, so `boot_id` is new each time."""
    return {
        "cpuinfo": "".join(_cpu_block(core) for core in range(gb10.CORES)),
        "version": f"Linux version {gb10.KERNEL} (buildd@localhost) (aarch64-linux-gnu-gcc-13) {gb10.KERNEL_VERSION}\n",
        "cmdline": "BOOT_IMAGE=/boot/vmlinuz-6.17.0-1014-nvidia root=UUID=0 ro quiet splash\n",
        "sys/kernel/osrelease": f"{gb10.KERNEL}\n",
        "sys/kernel/version": f"{gb10.KERNEL_VERSION}\n",
        "sys/kernel/random/boot_id": f"{boot_id}\n",
        "sys/vm/drop_caches": "0\n",
        "sys/vm/swappiness": "60\n",
    }


def _cpu_block(core: int) -> str:
    """One core as Arm kernels print it: no clock, no model name; BogoMIPS unverified on hardware [cpu-bogomips]."""
    part, revision = ("0xd85", 0) if core % 10 >= 5 else ("0xd87", 1)
    return (
        f"processor\t: {core}\nBogoMIPS\t: 2000.00\n"
        "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma lrcpc "
        "dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm sb paca pacg dcpodp sve2 sveaes "
        "svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svebf16 i8mm bf16 dgh bti ecv afp wfxt\n"
        f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {part}\n"
        f"CPU revision\t: {revision}\n\n"
    )
