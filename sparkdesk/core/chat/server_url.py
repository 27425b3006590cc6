"""Reads the address of a model server that a person typed.

The one rule: plain http without a login in it; everything else is refused with the reason. Pure.
"""

from __future__ import annotations

import re

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.jobs.endpoint import Endpoint

MAX_CHARS = 400
EXAMPLE = "http://127.0.0.1:8000/v1"


_ADDRESS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20})://)?"
    r"(?:(?P<login>[^/@]{0,200})@)?"
    r"(?P<host>\[[0-9A-Fa-f:.%]{2,60}\]|[^\s/:?#@\[\]]{1,255})"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^\s?#]*)?"
    r"(?P<rest>[?#].*)?"
)


def read_server_url(text: str) -> Endpoint:
    """The server behind an address such as http://host:port/v1; its model is not known yet ("").

    Raises SettingsError that names what is wrong.
    """
    text = text.strip()
    found = _ADDRESS.fullmatch(text) if len(text) <= MAX_CHARS else None
    if found is None:
        raise _refused("It is not an address")
    if (found["scheme"] or "http").lower() != "http":
        raise _refused("Only plain http is spoken, inside SSH or on a network that you trust")
    if found["login"] is not None:
        raise _refused("A login does not belong into an address")
    if found["rest"]:
        raise _refused("Nothing may follow the path")
    port = int(found["port"] or 80)
    if not 0 < port < 65536:
        raise _refused("A port is a number from 1 to 65535")
    path = (found["path"] or "").rstrip("/") or "/v1"
    return Endpoint(node_id="", host=found["host"].strip("[]"), port=port, model="", base_path=path)


def _refused(reason: str) -> SettingsError:
    return SettingsError(reason, remedy=f"Write it like {EXAMPLE}.")
