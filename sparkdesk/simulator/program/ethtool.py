"""`ethtool` of a node: speed and link of its ports, from /sys. Options beyond `-i` are refused as not supported."""

from __future__ import annotations

import os
import sys

from spark_state import ROOT, read_text


def main(arguments: list[str]) -> int:
    """`ethtool IF` or `ethtool -i IF`."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-i", "--driver")):
        print("ethtool: bad command line argument(s)\nFor more information run ethtool -h", file=sys.stderr)
        return 1
    device = arguments[-1]
    if not os.path.isdir(f"{ROOT}/sys/class/net/{device}") or "/" in device:
        print(
            "netlink error: no device matches name (offset 24)\nCannot get device settings: No such device",
            file=sys.stderr,
        )
        return 75  # ethtool's code when no setting could be read
    if arguments[0] in ("-i", "--driver"):
        driver = "r8127" if device == "enP7s7" else "mt7925e" if device.startswith("wl") else "mlx5_core"
        print(f"driver: {driver}\nversion: {read_text('/proc/sys/kernel/osrelease')}")
        return 0
    speed = read_text(f"/sys/class/net/{device}/speed", "-1")
    is_up = read_text(f"/sys/class/net/{device}/carrier") == "1"
    print(f"Settings for {device}:")
    print(f"\tSpeed: {speed}Mb/s" if speed.isdigit() else "\tSpeed: Unknown!")
    print(f"\tDuplex: {'Full' if is_up else 'Unknown! (255)'}")
    print("\tAuto-negotiation: on")
    print(f"\tLink detected: {'yes' if is_up else 'no'}")
    return 0
