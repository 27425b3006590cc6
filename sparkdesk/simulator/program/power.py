"""`shutdown`, `reboot`, `poweroff` and `halt` of a node, by the name that it was started by; `systemctl` uses it, too.

The one rule: it asks the node's resident, which asks the simulator; this computer's power is never touched.
Words as systemd 255 has them; those of a refusal were never seen on hardware.
"""

from __future__ import annotations

import os
import sys

from door import DoorClosed, ask_as_root

_HOW = {"reboot": "reboot", "poweroff": "poweroff", "halt": "poweroff"}
_OPTIONS = {"-h": "poweroff", "-P": "poweroff", "--poweroff": "poweroff", "-H": "poweroff", "--halt": "poweroff",
            "-r": "reboot", "--reboot": "reboot"}  # fmt: skip
_QUIET = ("-f", "--force", "-w", "--wtmp-only", "-d", "--no-wtmp", "--no-wall", "-k", "--no-sync")


def main(arguments: list[str]) -> int:
    """What the program's name says."""
    name = os.path.basename(sys.argv[0])
    if name == "shutdown":
        return _shut_down(arguments)
    for word in arguments:
        if word not in _QUIET:
            print(f"{name}: unrecognized option '{word}'", file=sys.stderr)
            return 1
    if {"-w", "--wtmp-only", "-k"} & set(arguments):
        return 0
    return cut(_HOW.get(name, "reboot"))


def _shut_down(arguments: list[str]) -> int:
    how, times = "poweroff", []
    for word in arguments:
        if word in _OPTIONS:
            how = _OPTIONS[word]
        elif word.startswith("-") and word not in ("--no-wall", "-k", "-c"):
            print(f"shutdown: unrecognized option '{word}'", file=sys.stderr)
            return 1
        elif word in ("-c", "-k"):
            print(f"shutdown {word} is not simulated", file=sys.stderr)
            return 1
        elif not word.startswith("-"):
            times.append(word)
    if times[:1] not in (["now"], ["+0"]):
        print("shutdown: only 'now' and '+0' are simulated", file=sys.stderr)
        return 1
    return cut(how)


def cut(how: str) -> int:
    """Ask for it; the exit code."""
    try:
        ask_as_root({"op": "power", "how": how})
    except DoorClosed:
        verb = {"reboot": "Reboot", "poweroff": "PowerOff"}[how]
        print(f"Call to {verb} failed: Interactive authentication required.", file=sys.stderr)
        return 1
    return 0
