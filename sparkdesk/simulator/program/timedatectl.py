"""`timedatectl` of a node: what time it has, and `set-ntp`, which ends or begins the fault clock-skew.

The one rule: the clock of this computer is never set. Words as systemd 255 has them.
"""

from __future__ import annotations

import os
import sys
import time

import door
from python_of_fault import CLOCK_SKEW_S
from spark_state import conditions


def main(arguments: list[str]) -> int:
    """show [-p NAME ...] [--value], status, set-ntp."""
    words = [word for word in arguments if not word.startswith("-")]
    verb = words[0] if words else "status"
    values = _values()
    if verb == "show":
        asked = [word.partition("=")[2] or word[2:] for word in arguments if word.startswith(("-p", "--property="))]
        asked += words[1:]
        for name in asked or values:
            if name in values:
                print(values[name] if "--value" in arguments else f"{name}={values[name]}")
        return 0
    if verb == "status":
        print(
            f"               Universal time: {values['TimeUSec']}\n                    Time zone: Etc/UTC (UTC, +0000)"
        )
        print(f"    System clock synchronized: {values['NTPSynchronized']}")
        print(f"                  NTP service: {'active' if values['NTP'] == 'yes' else 'inactive'}")
        return 0
    if verb != "set-ntp" or words[1:] not in (["true"], ["yes"], ["1"], ["false"], ["no"], ["0"]):
        print(f"timedatectl {verb} is not simulated", file=sys.stderr)
        return 1
    if os.getuid() != 0:
        print("Failed to set ntp: Interactive authentication required.", file=sys.stderr)
        return 1
    door.change("clock-skew", is_on=words[1] in ("false", "no", "0"))
    return 0


def _values() -> dict[str, str]:
    is_off = "clock-skew" in conditions()
    now = time.strftime("%a %Y-%m-%d %H:%M:%S UTC", time.gmtime(time.time() + (CLOCK_SKEW_S if is_off else 0.0)))
    yes = "no" if is_off else "yes"
    return {"Timezone": "Etc/UTC", "LocalRTC": "no", "CanNTP": "yes", "NTP": yes, "NTPSynchronized": yes,
            "TimeUSec": now, "RTCTimeUSec": now}  # fmt: skip
