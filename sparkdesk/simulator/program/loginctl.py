"""`loginctl` of a node: the user `nvidia`, with linger off. Words as systemd 255 has them."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """show-user and enable-linger."""
    words = [word for word in arguments if not word.startswith("-")]
    if words[:1] == ["show-user"] and words[1:] in ([], ["nvidia"], ["1000"], ["Linger"], ["nvidia", "Linger"]):
        print("no" if "--value" in arguments else "Linger=no")
        return 0
    if words[:1] == ["show-user"]:
        print(f"Failed to look up user {words[1]}: No such process", file=sys.stderr)
        return 1
    if words[:1] in (["enable-linger"], ["disable-linger"]):
        print(f"Could not {words[0].replace('-', ' ')}: Access denied", file=sys.stderr)
        return 1
    print(f"Unknown command verb {words[0] if words else ''}.", file=sys.stderr)
    return 1
