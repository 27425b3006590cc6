"""Finds the key of a server that its network can reach: in this computer's keyring, else in its folder on the node.

The one rule: a key is held in memory and handed to our own client and to the person who copies it; it is in no log, no
message and no plan.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from sparkdesk.core.errors import NodeError
from sparkdesk.core.playbooks.job import JOBS_FOLDER
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import PutSecrets
from sparkdesk.services.jobs.deployment import Deployment
from sparkdesk.services.secret_store import SecretStore, key_reference

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 64 * 1024
MAX_KEY_CHARS = 512
KEY_ENDING = "API_KEY"
"""How the variables end that engines read a key from: VLLM_API_KEY, LLAMA_API_KEY."""


class ApiKeys:
    """Looks a key up once and keeps it with its deployment. Without a store only the node is asked."""

    def __init__(self, store: SecretStore | None, shells: Callable[[str], Shell]) -> None:
        self._store = store
        self._shells = shells

    async def find(self, deployment: Deployment) -> str:
        """The server's key; "" when it has none, or none can be had now."""
        if deployment.api_key or not needs_key(deployment):
            return deployment.api_key
        kept = await self._store.find(key_reference(deployment.job_id)) if self._store is not None else None
        deployment.api_key = kept or await self._read(deployment)
        return deployment.api_key

    async def forget(self, job_id: str) -> None:
        """The job is removed: its key goes from the keyring."""
        if self._store is not None:
            await self._store.forget_key(job_id)

    async def _read(self, deployment: Deployment) -> str:
        """From the 0600 file of the job's folder, which only its own account can read."""
        try:
            shell = self._shells(deployment.node_id)
            path = f"{JOBS_FOLDER}/{deployment.job_id}/secrets.json"
            data = await shell.fetch(path, max_bytes=MAX_FILE_BYTES)
        except NodeError as error:
            log.info("key of %s: %s", deployment.job_id, error.sentence())
            return ""
        return read_key(data, _variables_of(deployment))


def needs_key(deployment: Deployment) -> bool:
    """Whether the server was started with a key, or that is not known."""
    return deployment.plan is None or deployment.plan.request.reach == "lan"


def read_key(data: bytes, variables: tuple[str, ...]) -> str:
    """The key in a secrets.json: that of a known variable, else the one whose name says that it is one. Total."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict):
        return ""
    names = [*variables, *(name for name in found if isinstance(name, str) and name.endswith(KEY_ENDING))]
    keys = (found.get(name) for name in names)
    return next((key for key in keys if isinstance(key, str) and _is_key(key)), "")


def _is_key(text: str) -> bool:
    return 0 < len(text) <= MAX_KEY_CHARS and text.isascii() and text.isprintable()


def _variables_of(deployment: Deployment) -> tuple[str, ...]:
    """The variables under which the plan put the job's key."""
    if deployment.plan is None:
        return ()
    actions = (action for step in deployment.plan.playbook.steps() for action in step.apply)
    named = (pair for action in actions if isinstance(action, PutSecrets) for pair in action.names)
    return tuple(variable for variable, reference in named if reference == key_reference(deployment.job_id))
