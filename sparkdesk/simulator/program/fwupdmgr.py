"""`fwupdmgr` of a node: its devices as JSON or as text. It changes nothing.

The one rule: device names are those of captures of units ("Embedded Controller", "UEFI Device Firmware"); ids and
versions are made up for the simulator. Source of the form: fwupd 1.9, get-devices --json.
"""

from __future__ import annotations

import json
import sys

from spark_state import read_text


def main(arguments: list[str]) -> int:
    """get-devices, --version."""
    words = [word for word in arguments if not word.startswith("-")]
    options = {word for word in arguments if word.startswith("-")}
    unknown = options - {"--json", "--no-unreported-check", "--no-metadata-check", "--version", "-y"}
    if unknown:
        print(f"Failed to parse arguments: Unknown option {sorted(unknown)[0]}", file=sys.stderr)
        return 1
    if "--version" in options:
        print("runtime   org.freedesktop.fwupd         1.9.30")
        return 0
    if words == ["get-updates"]:
        print("No updatable devices", file=sys.stderr)
        return 2  # fwupd's "nothing to do"
    if words != ["get-devices"]:
        print(f"fwupdmgr {' '.join(words)} is not simulated", file=sys.stderr)
        return 1
    devices = _devices()
    if "--json" in options:
        print(json.dumps({"Devices": devices}, indent=2))
        return 0
    for device in devices:
        print(f"{device['Name']}:\n      Device ID:          {device['DeviceId']}")
        print(f"      Current version:    {device['Version']}\n      Vendor:             {device['Vendor']}\n")
    return 0


def _devices() -> list[dict[str, object]]:
    vendor = read_text("/sys/class/dmi/id/sys_vendor")
    rows = [
        ("UEFI Device Firmware", "uefi_capsule", read_text("/sys/class/dmi/id/bios_version"), vendor),
        ("Embedded Controller", "uefi_capsule", "0x02004b05", vendor),
        (read_text("/sys/class/nvme/nvme0/model"), "nvme", "CXA8DN1Q", "Samsung"),
    ]
    return [
        {"Name": name, "DeviceId": f"{at:040x}", "Plugin": plugin, "Version": version, "Vendor": maker,
         "Flags": ["internal", "updatable", "require-ac", "registered", "needs-reboot"]}
        for at, (name, plugin, version, maker) in enumerate(rows, start=1)
    ]  # fmt: skip
