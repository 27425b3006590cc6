"""Reads the address of a model server that a person typed.

The one rule: plain http without a login in it; everything else is refused with the reason. Pure.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.jobs.endpoint import Endpoint

MAX_CHARS = 400
EXAMPLE = "http://127.0.0.1:8000/v1"


def read_server_url(text: str) -> Endpoint:
    """The server behind an address such as http://host:port/v1; its model is not known yet ("").

    Raises SettingsError that names what is wrong.
    """
    text = text.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused("It is not an address", str(error)) from error
    if len(text) > MAX_CHARS or not host or any(letter.isspace() for letter in text):
        raise _refused("It is not an address")
    if parts.scheme != "http":
        raise _refused("Only plain http is spoken, inside SSH or on a network that you trust")
    if parts.username is not None or parts.password is not None:
        raise _refused("A login does not belong into an address")
    if parts.query or parts.fragment:
        raise _refused("Nothing may follow the path")
    path = parts.path.rstrip("/") or "/v1"
    return Endpoint(node_id="", host=host, port=port or 80, model="", base_path=path)


def _refused(reason: str, detail: str = "") -> SettingsError:
    return SettingsError(reason, remedy=f"Write it like {EXAMPLE}.", detail=detail)
