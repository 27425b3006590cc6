"""`systemctl` of a node: a few services that a Spark has, and no user manager (linger is off).

The one rule: it tells and changes nothing. Words and exit codes as systemd 255 has them.
"""

from __future__ import annotations

import sys

_ACTIVE = ("docker", "ssh", "dgx-dashboard", "dgx-dashboard-admin", "nvidia-persistenced")
_NEEDS_ROOT = ("start", "stop", "restart", "reload", "enable", "disable", "mask", "unmask", "daemon-reload")


def main(arguments: list[str]) -> int:
    """is-active, is-enabled, is-system-running, show; the rest is refused."""
    words = [word for word in arguments if not word.startswith("-")]
    options = [word for word in arguments if word.startswith("-")]
    if "--user" in options:
        print("Failed to connect to bus: No medium found", file=sys.stderr)
        return 1
    for option in options:
        if option not in ("-q", "--quiet", "--no-pager", "--system", "--no-ask-password") and not option.startswith(
            "-p"
        ):
            print(f"systemctl: unrecognized option '{option}'", file=sys.stderr)
            return 1
    if not words:
        print("systemctl: listing units is not simulated", file=sys.stderr)
        return 1
    verb, units = words[0], words[1:]
    if verb == "is-system-running":
        print("running")
        return 0
    if verb in ("is-active", "is-enabled"):
        yes, no = ("active", "inactive") if verb == "is-active" else ("enabled", "not-found")
        known = [unit.removesuffix(".service") in _ACTIVE for unit in units]
        if not {"-q", "--quiet"} & set(options):
            print("\n".join(yes if is_on else no for is_on in known))
        return 0 if all(known) and known else 3 if verb == "is-active" else 4
    if verb in _NEEDS_ROOT:
        print(f"Failed to {verb} {' '.join(units)}: Interactive authentication required.", file=sys.stderr)
        return 1
    print(f"Unknown command verb {verb}.", file=sys.stderr)
    return 1
