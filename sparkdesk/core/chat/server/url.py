"""Reads the address of a model server that a person typed, and writes it again.

The one rule: http or https without a login in it; everything else is refused with the reason. Pure.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_address

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.jobs.endpoint import Endpoint

MAX_CHARS = 400
EXAMPLE = "http://127.0.0.1:8000/v1"
PORTS = {"http": 80, "https": 443}
_SHARED = IPv4Network("100.64.0.0/10")
"""Of a carrier or of a mesh VPN. Source: RFC 6598; Tailscale gives its addresses from it."""
_NEAR_NAMES = (".local", ".lan", ".home.arpa", ".internal", ".localhost", ".ts.net")
"""Names that no public server has, and those of a mesh VPN, which encrypts by itself. Source: RFC 6761, 6762, 8375."""

_ADDRESS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20})://)?"
    r"(?:(?P<login>[^/@]{0,200})@)?"
    r"(?P<host>\[[0-9A-Fa-f:.%]{2,60}\]|[^\s/:?#@\[\]]{1,255})"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s?#]*)?"
    r"(?P<rest>[?#].*)?"
)


def read_server_url(text: str) -> Endpoint:
    """The server behind an address such as https://host:port/v1; its model is not known yet ("").

    Raises SettingsError that names what is wrong.
    """
    text = text.strip()
    found = _ADDRESS.fullmatch(text) if len(text) <= MAX_CHARS else None
    if found is None:
        raise _refused("It is not an address")
    scheme = (found["scheme"] or "http").lower()
    if scheme not in PORTS:
        raise _refused("Only http and https are spoken")
    if found["login"] is not None:
        raise _refused("A login does not belong into an address")
    if found["rest"]:
        raise _refused("Nothing may follow the path")
    port = int(found["port"] or PORTS[scheme])
    if not 0 < port < 65536:
        raise _refused("A port is a number from 1 to 65535")
    path = (found["path"] or "").rstrip("/") or "/v1"
    host = found["host"].strip("[]").lower()
    return Endpoint(node_id="", host=host, port=port, model="", base_path=path, is_tls=scheme == "https")


def write_server_url(endpoint: Endpoint) -> str:
    """The address of a server, whole; the same for every way of writing it."""
    scheme = "https" if endpoint.is_tls else "http"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{scheme}://{host}:{endpoint.port}{endpoint.base_path}"


def is_near(host: str) -> bool:
    """Whether what is sent there stays on this computer, in a private network or inside a mesh VPN, by its name alone.

    A name that says nothing of it counts as far: it is not looked up.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith(_NEAR_NAMES)
    mapped = getattr(address, "ipv4_mapped", None) or address
    is_shared = mapped.version == _SHARED.version and mapped in _SHARED
    return mapped.is_loopback or mapped.is_private or mapped.is_link_local or is_shared


def _refused(reason: str) -> SettingsError:
    return SettingsError(reason, remedy=f"Write it like {EXAMPLE}.")
