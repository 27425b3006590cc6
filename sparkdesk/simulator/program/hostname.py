"""`hostname` of a node: its name and, with -I, its addresses. It sets nothing. Words as Debian's hostname 3.23."""

from __future__ import annotations

import os
import sys

from spark_state import read_json, read_text


def main(arguments: list[str]) -> int:
    """The name, or what one option asks for."""
    name = read_text("/etc/hostname") if "SPARKDESK_ROOT" in os.environ else os.uname().nodename
    if arguments in ([], ["-s"], ["--short"], ["-f"], ["--fqdn"], ["--long"]):
        print(name)
        return 0
    if arguments in (["-I"], ["--all-ip-addresses"]):
        print(" ".join(row["address"] for row in read_json("node")["addresses"] if row["device"] != "lo"), "")
        return 0
    if arguments[0].startswith("-"):
        print(f"hostname: invalid option -- '{arguments[0].lstrip('-')[:1]}'", file=sys.stderr)
        return 255
    words = "you must be root to change the host name" if os.getuid() else "changing it is not simulated"
    print(f"hostname: {words}", file=sys.stderr)
    return 1
