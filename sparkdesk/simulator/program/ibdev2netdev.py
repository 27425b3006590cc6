"""`ibdev2netdev` of a node: which RDMA device is which network device, and whether it is up. Reads /sys only."""

from __future__ import annotations

import os
import sys

from spark_state import ROOT, read_text


def main(arguments: list[str]) -> int:
    """One line a device, as Mellanox's script prints it."""
    if arguments and arguments != ["-v"]:
        print(f"ibdev2netdev: unknown option {arguments[0]}", file=sys.stderr)  # words never seen on hardware
        return 1
    base = "/sys/class/infiniband"
    for device in sorted(os.listdir(ROOT + base)):
        for netdev in sorted(os.listdir(f"{ROOT}{base}/{device}/device/net")):
            state = "Up" if read_text(f"/sys/class/net/{netdev}/operstate") == "up" else "Down"
            print(f"{device} port 1 ==> {netdev} ({state})")
    return 0
