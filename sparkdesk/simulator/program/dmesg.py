"""`dmesg` of a node: refused, as Ubuntu's kernel refuses a plain user; root's is not simulated."""

from __future__ import annotations

import os
import sys


def main(_arguments: list[str]) -> int:
    """Never the messages of the computer that the node runs on."""
    words = "Operation not permitted" if os.getuid() else "a simulated node has no kernel of its own"
    print(f"dmesg: read kernel buffer failed: {words}", file=sys.stderr)
    return 1
