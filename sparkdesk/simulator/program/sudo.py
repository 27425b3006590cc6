"""`sudo` of a node: asks for a password, as DGX OS does by default, and nobody has it.

The one rule: it never runs anything. Words and exit codes as sudo 1.9 has them.
"""

from __future__ import annotations

import os
import sys

_TAKES_VALUE = ("-u", "-g", "-p", "-h", "-C", "-D", "-R", "-T", "-U", "--user", "--group", "--prompt", "--host")
_TAKES_NONE = ("-n", "-S", "-k", "-K", "-v", "-l", "-E", "-H", "-i", "-s", "-b", "-A", "-P", "-B", "-N",
               "--non-interactive", "--stdin", "--reset-timestamp", "--validate", "--list", "--preserve-env",
               "--set-home", "--login", "--shell", "--background", "--askpass")  # fmt: skip


def main(arguments: list[str]) -> int:
    """Refuse, in the words that fit the options."""
    seen: set[str] = set()
    words = list(arguments)
    while words and words[0].startswith("-"):
        word = words.pop(0)
        if word == "--":
            break
        name = word.partition("=")[0]
        if name in ("-V", "--version"):
            print("Sudo version 1.9.15p5")
            return 0
        if name in _TAKES_VALUE:
            if "=" not in word and words:
                words.pop(0)
        elif name in _TAKES_NONE or (
            len(word) > 2 and word[1] != "-" and all(f"-{c}" in _TAKES_NONE for c in word[1:])
        ):
            seen |= {name, *(f"-{letter}" for letter in word[1:] if word[1] != "-")}
        else:
            print(f"sudo: unrecognized option '{word}'\nusage: sudo -h | -K | -k | -V", file=sys.stderr)
            return 1
    if seen & {"-k", "-K", "--reset-timestamp"} and not words:
        return 0
    return _refuse(seen)


def _refuse(seen: set[str]) -> int:
    if "SPARKDESK_ROOT" in os.environ:
        print(
            "sudo: this simulated node is not confined, so nothing may change the computer it runs on", file=sys.stderr
        )
        return 1
    if seen & {"-n", "--non-interactive"}:
        print("sudo: a password is required", file=sys.stderr)
        return 1
    if seen & {"-S", "--stdin"}:
        for _attempt in range(3):
            print("[sudo] password for nvidia: ", end="", file=sys.stderr, flush=True)
            if not sys.stdin.readline():
                print("\nsudo: no password was provided\nsudo: a password is required", file=sys.stderr)
                return 1
            print("Sorry, try again.", file=sys.stderr)
        print("sudo: 3 incorrect password attempts", file=sys.stderr)
        return 1
    print(
        "sudo: a terminal is required to read the password; either use the -S option to read from standard input or "
        "configure an askpass helper\nsudo: a password is required",
        file=sys.stderr,
    )
    return 1
