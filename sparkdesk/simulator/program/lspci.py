"""`lspci` of a node: its GPU, its ConnectX-7 functions, its disk and its Ethernet, from /sys and the constants.

The one rule: short lines, `-n`, `-nn`, `-D` and `-d`; anything else fails. Descriptions are made up for the simulator,
after the public list of PCI ids.
"""

from __future__ import annotations

import os
import sys

from spark_state import ROOT, read_text

_KINDS = {"0x020000": ("Ethernet controller", "0200"), "0x030000": ("VGA compatible controller", "0300")}
_NAMES = {
    ("0x15b3", "0x1021"): "Mellanox Technologies MT2910 Family [ConnectX-7]",
    ("0x10de", "0x2e12"): "NVIDIA Corporation Device 2e12",
}


def main(arguments: list[str]) -> int:
    """A line a device."""
    letters, wanted, left = set(), "", list(arguments)
    while left:
        word = left.pop(0)
        if word == "-d" and left:
            wanted = left.pop(0)
        elif word in ("-n", "-nn", "-D", "-Dnn", "-Dn"):
            letters |= {"D"} if "D" in word else set()
            letters |= {"nn" if "nn" in word else "n"} if "n" in word else set()
        else:
            print(f"lspci: invalid option -- '{word.lstrip('-')[:1]}'\nUsage: lspci [<switches>]", file=sys.stderr)
            return 1
    folder = "/sys/bus/pci/devices"
    for address in sorted(os.listdir(f"{ROOT}{folder}")):
        vendor, device, kind = (read_text(f"{folder}/{address}/{name}") for name in ("vendor", "device", "class"))
        if not vendor or (wanted and not _fits(wanted, vendor[2:], device[2:])):
            continue
        words, code = _KINDS.get(kind, ("Device", kind[2:6]))
        name, ids = _NAMES.get((vendor, device), "Device"), f"{vendor[2:]}:{device[2:]}"
        if "nn" in letters:
            print(f"{address} {words} [{code}]: {name} [{ids}]")
        else:
            print(f"{address} {code}: {ids}" if "n" in letters else f"{address} {words}: {name}")
    return 0


def _fits(wanted: str, vendor: str, device: str) -> bool:
    asked_vendor, _colon, asked_device = wanted.lower().partition(":")
    return asked_vendor in ("", vendor) and asked_device in ("", device)
