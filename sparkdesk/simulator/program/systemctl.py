"""`systemctl` of a node: the services that a Spark has, and no user manager (linger is off).

The one rule: it tells; what root may change is a repair of a fault or the machine's power, and nothing else is taken.
Words and exit codes as systemd 255 has them.
"""

from __future__ import annotations

import os
import sys

import door
import package_shelf
import power
from spark_state import conditions

_UNITS = {
    "docker": "Docker Application Container Engine",
    "containerd": "containerd container runtime",
    "ssh": "OpenBSD Secure Shell server",
    "dgx-dashboard": "DGX Dashboard",
    "dgx-dashboard-admin": "DGX Dashboard administration",
    "nvidia-persistenced": "NVIDIA Persistence Daemon",
    "systemd-timesyncd": "Network Time Synchronization",
    "avahi-daemon": "Avahi mDNS/DNS-SD Stack",
    "fwupd-refresh": "Refresh fwupd metadata and update motd",
}
_NEEDS_ROOT = ("start", "stop", "restart", "reload", "enable", "disable", "mask", "unmask", "daemon-reload",
               "reset-failed", "try-restart")  # fmt: skip
_FLAGS = ("-q", "--quiet", "--no-pager", "--system", "--no-ask-password", "--plain", "--no-legend", "--failed", "-a",
          "--all", "--now", "-i", "--no-wall", "--value", "-l", "--full", "--legend=false")  # fmt: skip
_WITH_VALUE = ("--state", "--type", "-t", "-p", "--property", "-o", "--output")


def main(arguments: list[str]) -> int:
    """One verb."""
    options: dict[str, str] = {}
    words: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif name in _WITH_VALUE:
            options[name] = value if equals else (left.pop(0) if left else "")
        elif word == "--user":
            print("Failed to connect to bus: No medium found", file=sys.stderr)
            return 1
        elif word in _FLAGS or word.startswith("-p"):
            options[word] = ""
        else:
            print(f"systemctl: unrecognized option '{word}'", file=sys.stderr)
            return 1
    verb = words[0] if words else "list-units"
    if verb in ("reboot", "poweroff", "halt"):
        return power.cut("reboot" if verb == "reboot" else "poweroff")
    return _tell(verb, words[1:], options)


def _tell(verb: str, units: list[str], options: dict[str, str]) -> int:
    states = _states()
    if verb == "is-system-running":
        is_degraded = "failed" in states.values()
        print("degraded" if is_degraded else "running")
        return int(is_degraded)
    if verb in ("is-active", "is-failed"):
        found = [states.get(_name(unit), "inactive") for unit in units]
        if not {"-q", "--quiet"} & set(options):
            print("\n".join(found))
        wanted = "active" if verb == "is-active" else "failed"
        return 0 if wanted in found else 3 if verb == "is-active" else 1
    if verb == "is-enabled":
        own = package_shelf.units()
        known = ["not-found" if _name(unit) not in states
                 else "enabled" if own.get(_name(unit), {"enabled": True})["enabled"] else "disabled"
                 for unit in units]  # fmt: skip
        if not {"-q", "--quiet"} & set(options):
            print("\n".join(known))
        return 0 if {*known} == {"enabled"} else 4 if "not-found" in known or not known else 1
    if verb in ("list-units", "show"):
        return _list(states, options) if verb == "list-units" else _show(states, units, options)
    if verb in _NEEDS_ROOT:
        return _change(verb, units, is_now="--now" in options)
    print(f"Unknown command verb {verb}.", file=sys.stderr)
    return 1


def _name(unit: str) -> str:
    return unit.removesuffix(".service")


def _states() -> dict[str, str]:
    """Each unit's state."""
    on = conditions()
    states = dict.fromkeys(_UNITS, "active")
    states |= {name: "active" if row["active"] else "inactive" for name, row in package_shelf.units().items()}
    states["fwupd-refresh"] = "failed" if "failed-unit" in on else "inactive"
    if "docker-down" in on:
        states["docker"] = "inactive"
    if "clock-skew" in on:
        states["systemd-timesyncd"] = "inactive"
    return states


def _list(states: dict[str, str], options: dict[str, str]) -> int:
    """`list-units`: those that are loaded; with --failed or --state those."""
    words = _UNITS | {name: str(row["words"]) for name, row in package_shelf.units().items()}
    wanted = "failed" if "--failed" in options else options.get("--state", "")
    rows = [(f"{name}.service", "failed" if state == "failed" else "active" if state == "active" else "inactive",
             {"active": "running", "failed": "failed"}.get(state, "dead"), words[name])
            for name, state in states.items()]  # fmt: skip
    rows = [row for row in rows if (wanted in row[1:3] if wanted else row[1] != "inactive" or "--all" in options)]
    has_legend = not {"--no-legend", "--legend=false"} & set(options)
    if has_legend:
        print("  UNIT LOAD ACTIVE SUB DESCRIPTION")
    mark = "" if "--plain" in options else "  "
    for unit, active, sub, title in rows:
        print(f"{'● ' if active == 'failed' and mark else mark}{unit} loaded {active} {sub} {title}")
    if has_legend:
        print(f"\n{len(rows)} loaded units listed.")
    return 0


def _show(states: dict[str, str], units: list[str], options: dict[str, str]) -> int:
    """`show -p A,B UNIT`: of the few properties that are known."""
    name = _name(units[0]) if units else ""
    state = states.get(name, "inactive")
    values = {"Id": f"{name}.service", "LoadState": "loaded" if name in states else "not-found", "ActiveState": state,
              "SubState": {"active": "running", "failed": "failed"}.get(state, "dead")}  # fmt: skip
    asked = options.get("-p") or options.get("--property") or ",".join(values)
    for key in asked.split(","):
        if key in values:
            print(values[key] if "--value" in options else f"{key}={values[key]}")
    return 0


def _change_own(verb: str, unit: str, *, is_now: bool) -> None:
    """Start, stop, enable or disable the unit of a package."""
    is_on = verb in ("start", "restart", "enable", "reload", "try-restart")
    if verb in ("enable", "disable", "mask", "unmask"):
        package_shelf.set_unit(unit, enabled=verb in ("enable", "unmask"))
        if is_now:
            package_shelf.set_unit(unit, active=is_on)
    elif verb in ("start", "stop", "restart"):
        package_shelf.set_unit(unit, active=is_on)


def _change(verb: str, units: list[str], *, is_now: bool = False) -> int:
    """What root may change ends or begins a fault; the rest is as it is already, or is said to be unknown."""
    own = [_name(unit) for unit in units if _name(unit) in package_shelf.units()]
    unknown = [unit for unit in units if _name(unit) not in (*_UNITS, *own)]
    if unknown:
        print(f"Failed to {verb} {unknown[0]}: Unit {_name(unknown[0])}.service not found.", file=sys.stderr)
        return 5
    if os.getuid() != 0:
        print(f"Failed to {verb} {' '.join(units)}: Interactive authentication required.", file=sys.stderr)
        return 1
    for unit in own:
        _change_own(verb, unit, is_now=is_now)
    units = [unit for unit in units if _name(unit) not in own]
    if own and not units:
        return 0
    faults = {"docker": "docker-down", "systemd-timesyncd": "clock-skew"}
    if verb in ("disable", "mask") or (verb == "stop" and not {_name(unit) for unit in units} <= set(faults)):
        print(f"systemctl {verb} {' '.join(units)} is not simulated", file=sys.stderr)
        return 1
    if verb == "reset-failed":
        door.change("failed-unit", is_on=False)
    for unit in units:
        if _name(unit) in faults and verb in ("start", "stop", "restart", "try-restart"):
            door.change(faults[_name(unit)], is_on=verb == "stop")
    return 0
