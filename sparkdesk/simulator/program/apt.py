"""`apt` of a node: `apt list --upgradable`, and what `apt-get` does too. Words as apt 2.8 has them."""

from __future__ import annotations

import sys

import apt_get
from package_table import UPDATES, installed

_WARNING = "\nWARNING: apt does not have a stable CLI interface. Use with caution in scripts.\n\n"


def main(arguments: list[str]) -> int:
    """list [--upgradable|--installed]; update, upgrade and install as apt-get."""
    words = [word for word in arguments if not word.startswith("-")]
    options = {word for word in arguments if word.startswith("-")}
    sys.stderr.write(_WARNING)
    sys.stderr.flush()
    if words[:1] != ["list"]:
        return apt_get.main(arguments)
    unknown = options - {"--upgradable", "--upgradeable", "--installed", "-q", "-qq", "--quiet"}
    if unknown:
        word = sorted(unknown)[0]
        print(f"E: Command line option {word} is not understood in combination with the other options", file=sys.stderr)
        return 100
    if not options & {"--upgradable", "--upgradeable", "--installed"}:
        print("E: apt list of all packages is not simulated", file=sys.stderr)
        return 100
    print("Listing...")
    if "--installed" in options:
        for name, version in sorted(installed().items()):
            print(f"{name}/noble,now {version} arm64 [installed]")
        return 0
    for update in UPDATES:
        print(f"{update.package}/{update.suites} {update.available} arm64 [upgradable from: {update.installed}]")
    return 0
