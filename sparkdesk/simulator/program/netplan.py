"""`netplan` of a node: generate, apply and get, over the node's own files and its fast ports.

The one rule: what the files say of a fast port is done to the port itself; a port that no file names any more keeps
what it has until it is taken away, as networkd leaves the addresses of a link that it no longer manages. What files say
of other ports is checked and changes nothing. Words as netplan 1.1 has them.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import netplan_config as config
from door import DoorClosed, ask_as_root
from spark_state import ROOT, read_json

_USAGE = "usage: /usr/sbin/netplan  [-h] [--debug]  ...\n"
_GENERATED = "/run/systemd/network"


def main(arguments: list[str]) -> int:
    """One command."""
    words = [word for word in arguments if word != "--debug"]
    verb = words[0] if words else ""
    if verb in ("generate", "apply", "get") and {"-h", "--help"} & set(words):
        print(f"usage: netplan {verb} [-h] [--debug]")
        return 0
    if verb == "generate":
        return _generate(words[1:])
    if verb == "apply":
        return _apply(words[1:])
    if verb == "get":
        return _get(words[1:])
    if verb in ("try", "set", "status", "info", "ip", "migrate", "rebind"):
        print(f"netplan {verb} is not simulated", file=sys.stderr)
        return 1
    print(f"{_USAGE}netplan: error: argument : invalid choice: '{verb}'", file=sys.stderr)
    return 2


def _read(root: str) -> dict[str, Any] | None:
    """The configuration, or None when netplan refuses it and has said why."""
    paths = config.files(root)
    try:
        network = config.read(paths)
    except config.NetplanError as error:
        print(error, file=sys.stderr)
        return None
    except OSError as error:
        print(f"Cannot read file {error.filename}: {error.strerror}", file=sys.stderr)
        return None
    for path in paths:
        if config.is_open(path):
            words = f"Permissions for {path} are too open. Netplan configuration should NOT be accessible by others."
            print(f"\n** (generate:{os.getpid()}): WARNING **: {words}", file=sys.stderr)
    return network


def _generate(words: list[str]) -> int:
    """`generate [--root-dir DIR]`: check all files, and write what networkd would read."""
    root = ROOT
    while words:
        name, equals, value = words[0].partition("=")
        if name != "--root-dir" or not (equals or len(words) > 1):
            return _unknown(words[0])
        root = value if equals else words[1]
        words = words[1 if equals else 2 :]
    network = _read(root.rstrip("/"))
    if network is None:
        return 1
    folder = f"{root.rstrip('/')}{_GENERATED}"
    try:
        os.makedirs(folder, exist_ok=True)
        _write(folder, config.wanted(network))
    except OSError as error:
        print(f"ERROR: cannot create file {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _write(folder: str, ports: dict[str, config.Wanted]) -> None:
    """One file a port, and none of a port that is no longer named. Raises OSError."""
    names = {f"10-netplan-{name}.network": one for name, one in ports.items() if "/" not in name}
    for name in os.listdir(folder):
        if name.startswith("10-netplan-") and name not in names:
            os.unlink(f"{folder}/{name}")
    for name, one in names.items():
        port = name.removeprefix("10-netplan-").removesuffix(".network")
        rows = ["[Match]", f"Name={port}", "", *(["[Link]", f"MTUBytes={one.mtu}", ""] if one.mtu else []), "[Network]"]
        with open(f"{folder}/{name}", "w", encoding="utf-8") as stream:
            stream.write("\n".join([*rows, *(f"Address={address}" for address in one.addresses)]) + "\n")


def _apply(words: list[str]) -> int:
    """Check and write, then do it to the ports."""
    if words:
        return _unknown(words[0])
    if os.getuid() != 0:
        print("ERROR: cannot create file /run/systemd/network: Permission denied", file=sys.stderr)
        return 1
    if _generate([]):
        return 78  # Source: netplan's apply, os.EX_CONFIG
    network = _read_quietly()
    ports = {port["netdev"] for port in read_json("ports")["ports"]}
    for name, one in config.wanted(network).items():
        if name in ports:
            v4 = [address for address in one.addresses if ":" not in address]
            message = {"op": "network", "netdev": name, "addresses": v4}
            try:
                ask_as_root({**message, "mtu": one.mtu} if one.mtu else message)
            except DoorClosed as error:  # as networkd: it goes into the journal, and netplan says nothing
                print(f"{name}: {error}", file=sys.stderr)
    return 0


def _read_quietly() -> dict[str, Any]:
    return config.read(config.files(ROOT))


def _get(words: list[str]) -> int:
    """`get [KEY]`: the merged configuration, or what stands at KEY; null for nothing."""
    if len(words) > 1 or (words and words[0].startswith("-")):
        return _unknown(words[-1])
    network = _read(ROOT)
    if network is None:
        return 1
    key = words[0] if words else "all"
    found: Any = {"network": network}
    for part in [] if key == "all" else ["network", *key.removeprefix("network").lstrip(".").split(".")]:
        found = found.get(part) if isinstance(found, dict) and part else found
    print("\n".join(_show(found, 0)))
    return 0


def _show(value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if isinstance(value, dict):
        rows = []
        for key, inner in value.items():
            is_block = isinstance(inner, dict | list) and inner
            rows += [f"{pad}{key}:", *_show(inner, depth + 1)] if is_block else [f"{pad}{key}: {_scalar(inner)}"]
        return rows
    if isinstance(value, list):
        return [f"{'  ' * max(0, depth - 1)}- {_scalar(inner)}" for inner in value]
    return [f"{pad}{_scalar(value)}"]


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) and ("/" in value or ":" in value) else str(value)


def _unknown(word: str) -> int:
    print(f"{_USAGE}netplan: error: unrecognized arguments: {word}", file=sys.stderr)
    return 2
