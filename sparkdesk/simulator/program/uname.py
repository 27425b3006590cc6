"""`uname` of a node: a GB10's kernel and architecture instead of this computer's.

The one rule: options and errors as GNU coreutils has them.
"""

from __future__ import annotations

import os
import sys

_ORDER = "snrvmpio"
_LONG = {
    "--all": "a",
    "--kernel-name": "s",
    "--nodename": "n",
    "--kernel-release": "r",
    "--kernel-version": "v",
    "--machine": "m",
    "--processor": "p",
    "--hardware-platform": "i",
    "--operating-system": "o",
}


def _read(path: str) -> str:
    with open(os.environ.get("SPARKDESK_ROOT", "") + path, encoding="utf-8") as stream:
        return stream.read().strip()


def main(arguments: list[str]) -> int:
    """Print what was asked for, in the order that uname has."""
    wanted: set[str] = set()
    for word in arguments:
        if word in _LONG:
            wanted.add(_LONG[word])
        elif word.startswith("--"):
            return _fail(f"unrecognized option '{word}'")
        elif word.startswith("-") and len(word) > 1:
            for letter in word[1:]:
                if letter not in _ORDER + "a":
                    return _fail(f"invalid option -- '{letter}'")
                wanted.add(letter)
        else:
            return _fail(f"extra operand '{word}'")
    values = {
        "s": "Linux",
        "n": _read("/etc/hostname") if "SPARKDESK_ROOT" in os.environ else os.uname().nodename,
        "r": _read("/proc/sys/kernel/osrelease"),
        "v": _read("/proc/sys/kernel/version"),
        "m": "aarch64",
        "p": "aarch64",
        "i": "aarch64",
        "o": "GNU/Linux",
    }
    if "a" in wanted:
        wanted = set(_ORDER)
    print(" ".join(values[letter] for letter in _ORDER if letter in (wanted or {"s"})))
    return 0


def _fail(words: str) -> int:
    print(f"uname: {words}\nTry 'uname --help' for more information.", file=sys.stderr)
    return 1
