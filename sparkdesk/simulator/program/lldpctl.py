"""`lldpctl` of a node: who names itself at the other end of a cable, by the model of the cables.

The one rule: only `-f keyvalue` is simulated, in lldpd 1.0's form; the packets themselves are not sent.
"""

from __future__ import annotations

import sys

from spark_state import read_json


def main(arguments: list[str]) -> int:
    """`lldpctl [-f keyvalue] [PORT...]`."""
    words = list(arguments)
    form = "plain"
    if words[:1] == ["-f"]:
        form = words[1] if len(words) > 1 else ""
        words = words[2:]
    if any(word.startswith("-") for word in words):
        print(f"lldpctl: invalid option -- '{next(word for word in words if word[0] == '-')[1:2]}'", file=sys.stderr)
        return 1
    if form != "keyvalue":
        print("lldpctl: only '-f keyvalue' is simulated", file=sys.stderr)
        return 1
    for port in read_json("ports")["ports"]:
        if port["lldp"] is None or (words and port["netdev"] not in words):
            continue
        name, mac, is_bridge = port["lldp"]
        head = f"lldp.{port['netdev']}"
        print(f"{head}.via=LLDP\n{head}.rid=1\n{head}.age=0 day, 00:01:00")
        print(f"{head}.chassis.mac={mac}\n{head}.chassis.name={name}")
        print(f"{head}.chassis.Bridge.enabled={'on' if is_bridge else 'off'}")
        print(f"{head}.port.descr=simulated")
    return 0
