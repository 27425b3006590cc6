"""`apt-get` of a node: simulations (-s) of an upgrade, the installation that ends a fault, and that of a few tools.

The one rule: nothing is fetched or unpacked: what can be installed is a state (package_shelf.py), and the rest says
that a node has no way to the Internet.
Words as apt 2.8 has them.
"""

from __future__ import annotations

import os
import sys

import door
import package_shelf
from package_shelf import PACKAGES
from package_table import UPDATES, installed
from spark_state import conditions

_TOOLKIT = "nvidia-container-toolkit"
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
        return _update()
    return _fail(f"E: Invalid operation {verb}" if verb else "E: apt-get without a command is not simulated")


def _fail(words: str) -> int:
    print(words, file=sys.stderr)
    return 100


def _change(verb: str) -> int:
    if os.getuid() != 0:
        return _fail(_LOCK if verb == "upgrade" else _LOCK.replace("dpkg/lock-frontend", "apt/lists/lock"))
    return _fail("E: a simulated node has no way to the Internet")


def _update() -> int:
    """apt tells of what it could not fetch, and does not fail for it."""
    if os.getuid() != 0:
        return _change("update")
    print("Reading package lists...")
    print("W: Some index files failed to download. They have been ignored, or old ones used instead.", file=sys.stderr)
    return 0


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
    if not packages or not {*packages} <= {_TOOLKIT, *PACKAGES}:
        return _fail(f"E: removing {' '.join(packages)} is not simulated")
    if os.getuid() != 0:
        return _fail(_LOCK)
    _head()
    before = installed()
    count = sum(package in before for package in packages)
    for package in packages:
        if package == _TOOLKIT:
            door.change("no-toolkit", is_on=True)
        elif package in before:
            package_shelf.remove(package)
    print(f"0 upgraded, 0 newly installed, {count} to remove and {len(UPDATES)} not upgraded.")
    return 0


def _install(packages: list[str], *, is_simulated: bool) -> int:
    known = {*installed(), *PACKAGES, _TOOLKIT, "sudo"}
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
    for package in [] if is_simulated else missing:
        if package == _TOOLKIT and "no-toolkit" in conditions():
            door.change("no-toolkit", is_on=False)
            print("Setting up nvidia-container-toolkit ...")
        elif package in PACKAGES:
            package_shelf.install(package)
            print(f"Setting up {package} ({PACKAGES[package].version}) ...")
    print(f"0 upgraded, {len(missing)} newly installed, 0 to remove and {len(UPDATES)} not upgraded.")
    return 0
