"""`ss` of a node: its listening TCP sockets, read from the kernel, so they are real.

The one rule: `-t -l -n -p -H -a -4 -6` in any mixture; another option fails as unknown. Columns as iproute2 6.1.
"""

from __future__ import annotations

import os
import socket
import struct
import sys

_LISTEN = "0A"
_STATES = {"01": "ESTAB", "02": "SYN-SENT", "06": "TIME-WAIT", "08": "CLOSE-WAIT", "0A": "LISTEN"}
_LONG = {"--tcp": "t", "--listening": "l", "--numeric": "n", "--processes": "p", "--no-header": "H", "--all": "a",
         "--ipv4": "4", "--ipv6": "6"}  # fmt: skip


def main(arguments: list[str]) -> int:
    """List the sockets."""
    letters: set[str] = set()
    for word in arguments:
        if word in _LONG:
            letters.add(_LONG[word])
        elif word.startswith("-") and not word.startswith("--") and set(word[1:]) <= set("tlnpHa46"):
            letters |= set(word[1:])
        else:
            shown = word[2:] if word.startswith("--") else word
            print(
                f"ss: unrecognized option '{shown}'\nUsage: ss [ OPTIONS ]\n       ss [ OPTIONS ] [ FILTER ]",
                file=sys.stderr,
            )
            return 255
    if "H" not in letters:
        print("State   Recv-Q  Send-Q   Local Address:Port   Peer Address:Port  Process")
    owners = _owners() if "p" in letters else {}
    for name, is_v6 in (("tcp", False), ("tcp6", True)):
        if ("4" in letters and is_v6) or ("6" in letters and not is_v6):
            continue
        for row in _rows(name):
            wanted = row[3] == _LISTEN if "l" in letters else row[3] != _LISTEN or "a" in letters
            if wanted:
                _print(row, is_v6, owners)
    return 0


def _rows(name: str) -> list[list[str]]:
    try:
        with open(f"/proc/net/{name}", encoding="ascii") as stream:
            return [line.split() for line in stream.readlines()[1:]]
    except OSError:
        return []


def _print(row: list[str], is_v6: bool, owners: dict[str, str]) -> None:
    state = _STATES.get(row[3], "UNCONN")
    sent, _colon, received = row[4].partition(":")
    queue = f"{int(received, 16):<7} {int(sent, 16) if row[3] != _LISTEN else 512:<7}"
    local, peer = _address(row[1], is_v6), _address(row[2], is_v6)
    print(f"{state:<7} {queue} {local:>20} {peer:>18}  {owners.get(row[9], '')}".rstrip())


def _address(text: str, is_v6: bool) -> str:
    address, _colon, port = text.partition(":")
    words = struct.pack(f"={len(address) // 8}I", *(int(address[i : i + 8], 16) for i in range(0, len(address), 8)))
    shown = f"[{socket.inet_ntop(socket.AF_INET6, words)}]" if is_v6 else socket.inet_ntoa(words)
    return f"{shown}:{int(port, 16) or '*'}"


def _owners() -> dict[str, str]:
    """Socket inode -> the `users:` column, for processes that we may look into."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for number in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{number}")
                if target.startswith("socket:["):
                    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
                        name = stream.read().strip()
                    found[target[8:-1]] = f'users:(("{name}",pid={pid},fd={number}))'
        except OSError:
            continue
    return found
