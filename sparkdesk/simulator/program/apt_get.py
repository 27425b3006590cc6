"""`apt-get` of a node: simulations (-s) of an upgrade, and the one installation that ends a fault.

The one rule: nothing is fetched or unpacked; what would need that says that a node has no way to the Internet.
Words as apt 2.8 has them.
"""

from __future__ import annotations

import os
import sys

import door
from package_table import UPDATES, installed
from spark_state import conditions

_SIMULATE = {"-s", "--simulate", "--just-print", "--dry-run", "--recon", "--no-act"}
_FLAGS = {*_SIMULATE, "-y", "--yes", "--assume-yes", "-q", "-qq", "--quiet", "--no-install-recommends", "-V"}
_LOCK = (
    "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\n"
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?"
)


def main(arguments: list[str]) -> int:
    """update, upgrade, dist-upgrade, install, remove, clean."""
    words, options, left = [], set(), list(arguments)
    while left:
        word = left.pop(0)
        if word == "-o":
            left = left[1:]
        elif not word.startswith("-"):
            words.append(word)
        elif word not in _FLAGS and not word.startswith("-o"):
            return _fail(f"E: Command line option {word} is not understood in combination with the other options")
        else:
            options.add(word)
    verb = words[0] if words else ""
    if verb in ("upgrade", "dist-upgrade", "full-upgrade"):
        return _upgrade() if options & _SIMULATE else _change("upgrade")
    if verb == "install":
        return _install(words[1:], is_simulated=bool(options & _SIMULATE))
    if verb in ("remove", "purge"):
        return _remove(words[1:])
    if verb == "clean":
        return _clean()
    if verb == "update":
        return _change("update")
    return _fail(f"E: Invalid operation {verb}" if verb else "E: apt-get without a command is not simulated")


def _fail(words: str) -> int:
    print(words, file=sys.stderr)
    return 100


def _change(verb: str) -> int:
    if os.getuid() != 0:
        return _fail(_LOCK if verb == "upgrade" else _LOCK.replace("dpkg/lock-frontend", "apt/lists/lock"))
    return _fail("E: a simulated node has no way to the Internet")


def _clean() -> int:
    """A node has no fetched packages: there is nothing to empty, and apt says nothing about it."""
    if os.getuid() == 0:
        return 0
    folder = "/var/cache/apt/archives"
    return _fail(
        f"E: Could not open lock file {folder}/lock - open (13: Permission denied)\n"
        f"E: Unable to lock directory {folder}/"
    )


def _head() -> None:
    print("Reading package lists...\nBuilding dependency tree...\nReading state information...")


def _upgrade() -> int:
    """What an upgrade would do; `Inst` and `Conf` lines as of `apt-get -s`."""
    _head()
    print("Calculating upgrade...\nThe following packages will be upgraded:")
    print("  " + " ".join(update.package for update in UPDATES))
    print(f"{len(UPDATES)} upgraded, 0 newly installed, 0 to remove and 0 not upgraded.")
    for update in UPDATES:
        suites = ", ".join(f"Ubuntu:24.04/{suite}" for suite in update.suites.split(","))
        print(f"Inst {update.package} [{update.installed}] ({update.available} {suites} [arm64])")
    for update in UPDATES:
        suites = ", ".join(f"Ubuntu:24.04/{suite}" for suite in update.suites.split(","))
        print(f"Conf {update.package} ({update.available} {suites} [arm64])")
    return 0


def _remove(packages: list[str]) -> int:
    """Only what an installation here can bring back."""
    if packages != ["nvidia-container-toolkit"]:
        return _fail(f"E: removing {' '.join(packages)} is not simulated")
    if os.getuid() != 0:
        return _fail(_LOCK)
    _head()
    count = int("nvidia-container-toolkit" in installed())
    door.change("no-toolkit", is_on=True)
    print(f"0 upgraded, 0 newly installed, {count} to remove and {len(UPDATES)} not upgraded.")
    return 0


def _install(packages: list[str], *, is_simulated: bool) -> int:
    known = {*installed(), "nvidia-container-toolkit", "sudo"}
    for package in packages:
        if package not in known:
            _head()
            return _fail(f"E: Unable to locate package {package}")
    missing = [package for package in packages if package not in installed()]
    if not is_simulated and os.getuid() != 0:
        return _fail(_LOCK)
    _head()
    if not missing:
        for package in packages:
            print(f"{package} is already the newest version ({installed()[package]}).")
    elif not is_simulated and "no-toolkit" in conditions():
        door.change("no-toolkit", is_on=False)
        print("Setting up nvidia-container-toolkit ...")
    print(f"0 upgraded, {len(missing)} newly installed, 0 to remove and {len(UPDATES)} not upgraded.")
    return 0
