"""What steps take from this computer when they run: secrets by reference, and files that are sent.

The one rule: both come at run time and go straight to the node; no plan, journal, event or log ever holds one.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkdesk.core.errors import StepFailed, Unreachable
from sparkdesk.core.ports import LocalFiles
from sparkdesk.core.step import PutSecrets

if TYPE_CHECKING:
    from sparkdesk.services.playbooks.site import Site

FindSecret = Callable[[str], Awaitable[str | None]]
"""A secret by its reference (SecretStore.get); None: there is none."""

_REMEDIES = {"hub_token": "Enter the hub's token in Settings, then try again."}


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a runner can hand to steps; without them such steps fail in words."""

    secret: FindSecret | None = None
    files: LocalFiles | None = None
    receive_program: bytes = b""
    """remote/receive.py, which takes files on the node."""


async def put_secrets(action: PutSecrets, site: Site) -> None:
    """Write the file of secrets, 0600. Raises StepFailed when one that must be is not known, and NodeError."""
    secrets: dict[str, str] = {}
    for variable, reference in action.names:
        name = reference.removesuffix("?")
        secret = await site.supplies.secret(name) if site.supplies.secret is not None else None
        if secret:
            secrets[variable] = secret
        elif name == reference:
            raise StepFailed(
                f"{site.step.title}: there is no secret for {variable}",
                remedy=_REMEDIES.get(name, "Open the settings of this server and give its key, then try again."),
                node=site.step.node,
            )
    shell = site.shell()
    try:
        await shell.put(json.dumps(secrets, ensure_ascii=True).encode() + b"\n", action.path, mode=0o600)
    except Unreachable as error:
        # A whole file that may be written again; the error's own words hold the path, never the content.
        raise StepFailed(
            f"{site.step.title}: the connection was lost while {action.path} was written",
            remedy="Wait until the node is back, then carry on.",
            node=shell.node,
        ) from error
