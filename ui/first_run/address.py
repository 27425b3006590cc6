"""Reads what a person types as an address.

Rule: pure, and it refuses with a reason rather than guess.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_IPV6: Final = re.compile(r"[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")
_USER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*\$?")
_LONGEST_HOST: Final = 253
_LONGEST_USER: Final = 64


class Address(NamedTuple):
    """Where to connect; `user` "" and `port` 0 mean that the text did not say."""

    host: str
    port: int = 0
    user: str = ""


def read_address(text: str) -> Address:
    """Read "host", "host:port", "user@host", "[v6]:port" or a bare IPv6 address. Raises ValueError with the reason."""
    rest = text.strip()
    if not rest:
        raise ValueError("Type the name or address of the Spark.")
    if "://" in rest or "/" in rest:
        raise ValueError("Only a name or an address, without http:// or a path.")
    user, at, rest = rest.rpartition("@")
    if at and user_problem(user):
        raise ValueError(user_problem(user))
    if rest.startswith("["):
        host, bracket, tail = rest[1:].partition("]")
        if not bracket or (tail and not tail.startswith(":")):
            raise ValueError("An IPv6 address with a port is written [address]:port.")
        port_text = tail[1:]
    elif rest.count(":") > 1:
        host, port_text = rest, ""
    else:
        host, _, port_text = rest.partition(":")
    _refuse_bad_host(host)
    return Address(host, _read_port(port_text) if port_text else 0, user)


def _refuse_bad_host(host: str) -> None:
    pattern = _IPV6 if ":" in host else _HOST
    if not host or len(host) > _LONGEST_HOST or not pattern.fullmatch(host):
        raise ValueError("This is neither a host name nor an address.")


def _read_port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if not 1 <= port <= 65535:
        raise ValueError("A port is a number from 1 to 65535.")
    return port


def user_problem(user: str) -> str:
    """Say what is wrong with a user name, "" when nothing is."""
    if not user:
        return "Type the user name on the Spark."
    if len(user) > _LONGEST_USER or not _USER.fullmatch(user):
        return "A user name has letters, digits, dots, dashes and underscores."
    return ""
