"""Read a node's netplan: the files of /lib, /etc and /run, merged as netplan merges them, and checked.

The one rule: strict. A key or a value that is not of the documented kind is an error with its file, never left out.
Source: netplan(5) and netplan-generate(8): a file of /run hides one of its name in /etc, and that one in /lib; all are
read in the order of their names; mappings are joined, lists are joined, a later scalar counts.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any

import plain_yaml

_FOLDERS = ("lib/netplan", "etc/netplan", "run/netplan")
_KINDS = ("ethernets", "wifis", "modems", "bridges", "bonds", "tunnels", "vlans", "vrfs", "dummy-devices")
_FLAGS = ("dhcp4", "dhcp6", "accept-ra", "optional", "critical", "wakeonlan", "ignore-carrier", "ipv6-privacy")
_OTHERS = ("addresses", "mtu", "link-local", "match", "set-name", "routes", "nameservers", "renderer", "macaddress",
           "dhcp4-overrides", "dhcp6-overrides", "optional-addresses", "dhcp-identifier", "gateway4", "gateway6",
           "routing-policy", "activation-mode", "networkmanager")  # fmt: skip
_RENDERERS = ("networkd", "NetworkManager")


class NetplanError(Exception):
    """What netplan says of a file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of one port; `mtu` None: nothing is said of it."""

    addresses: tuple[str, ...]
    mtu: int | None


def files(root: str) -> list[str]:
    """The files that count, in the order in which they are read."""
    found: dict[str, str] = {}
    for folder in _FOLDERS:
        try:
            names = os.listdir(f"{root}/{folder}")
        except OSError:
            continue
        found |= {name: f"{root}/{folder}/{name}" for name in names if name.endswith(".yaml")}
    return [found[name] for name in sorted(found)]


def is_open(path: str) -> bool:
    """Whether others than its owner may read a file, of which netplan warns."""
    return bool(os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def read(paths: list[str]) -> dict[str, Any]:
    """The whole configuration below `network`. Raises NetplanError, OSError."""
    whole: dict[str, Any] = {}
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        try:
            one = plain_yaml.read(text)
        except plain_yaml.YamlError as error:
            raise NetplanError(f"{path}: Invalid YAML: {error}") from error
        _check(path, text, one)
        _merge(whole, one.get("network") or {})
    return whole


def wanted(network: dict[str, Any]) -> dict[str, Wanted]:
    """By port what is wanted of it."""
    return {
        name: Wanted(tuple((row or {}).get("addresses") or ()), (row or {}).get("mtu"))
        for name, row in (network.get("ethernets") or {}).items()
    }


def _merge(whole: dict[str, Any], other: dict[str, Any]) -> None:
    for key, value in other.items():
        before = whole.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            _merge(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            before += [one for one in value if one not in before]
        else:
            whole[key] = value


def _check(path: str, text: str, one: dict[str, Any]) -> None:
    """Raises NetplanError."""
    for key in one:
        if key != "network":
            raise _error(path, text, key, f"unknown key '{key}'")
    network = one.get("network")
    if network is None:
        return
    if not isinstance(network, dict):
        raise _error(path, text, "network", "expected mapping (check indentation)")
    for key, value in network.items():
        if key not in ("version", "renderer", *_KINDS):
            raise _error(path, text, key, f"unknown key '{key}'")
        if key == "version" and value != 2:
            raise _error(path, text, key, "Only version 2 is supported")
        if key == "renderer" and value not in _RENDERERS:
            raise _error(path, text, key, f"unknown renderer '{value}'")
        if key in _KINDS and value is not None and not isinstance(value, dict):
            raise _error(path, text, key, "expected mapping (check indentation)")
    for name, row in (network.get("ethernets") or {}).items():
        _check_port(path, text, name, row)


def _check_port(path: str, text: str, name: str, row: Any) -> None:
    if row is None:
        return
    if not isinstance(row, dict):
        raise _error(path, text, name, "expected mapping (check indentation)")
    for key, value in row.items():
        if key not in (*_FLAGS, *_OTHERS):
            raise _error(path, text, key, f"unknown key '{key}'")
        if key in _FLAGS and value not in (True, False, "yes", "no", "on", "off", "y", "n"):
            raise _error(path, text, key, f"invalid boolean value '{value}'")
        if key == "mtu" and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise _error(path, text, key, f"invalid unsigned int value '{value}'")
        if key == "link-local" and not (isinstance(value, list) and set(value) <= {"ipv4", "ipv6"}):
            raise _error(path, text, key, f"invalid value for 'link-local': '{value}'")
        if key == "addresses":
            _check_addresses(path, text, value)


def _check_addresses(path: str, text: str, value: Any) -> None:
    if not isinstance(value, list):
        raise _error(path, text, "addresses", "expected sequence")
    for address in value:
        host, slash, prefix = str(address).partition("/")
        parts = host.split(".")
        is_v4 = len(parts) == 4 and all(part.isdecimal() and int(part) < 256 for part in parts)
        if not (is_v4 or ":" in host):
            words = f"malformed address '{address}', must be X.X.X.X/NN or X:X:X:X:X:X:X:X/NN"
            raise _error(path, text, str(address), words)
        if not slash:
            raise _error(path, text, str(address), f"address '{address}' is missing /prefixlength")
        if not prefix.isdecimal() or not 0 < int(prefix) <= (32 if is_v4 else 128):
            raise _error(path, text, str(address), f"invalid prefix length in address '{address}'")


def _error(path: str, text: str, word: str, problem: str) -> NetplanError:
    """With the place where the word stands first."""
    for number, line in enumerate(text.splitlines(), start=1):
        if (column := line.find(word)) >= 0:
            return NetplanError(f"{path}:{number}:{column + 1}: Error in network definition: {problem}")
    return NetplanError(f"{path}: Error in network definition: {problem}")
