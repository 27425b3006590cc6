"""Adds a node by address: look at its host key, let a person compare it, sign in.

The one rule: no secret leaves before the person has trusted the key, and a password goes to that key's holder only.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from sparkdesk.app.stack import Stack
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.errors import AuthFailed, SparkDeskError
from sparkdesk.core.ports import Offer
from sparkdesk.infra.ssh import fingerprint_of
from sparkdesk.services.fleet.inventory import DEFAULT_NAME
from sparkdesk.services.ident import new_id
from ui.first_run.model import FirstRunModel, Trust


class AddNode:
    """One attempt at a time; `run` ends when the node is kept; a person who gives up cancels it."""

    def __init__(self, stack: Stack, model: FirstRunModel) -> None:
        self._stack = stack
        self._model = model
        self._answers: asyncio.Queue[str] = asyncio.Queue()
        self._refusal = ""
        model.trust_given.connect(lambda: self._answers.put_nowait(""))
        model.password_given.connect(self._answers.put_nowait)

    async def run(self, address: str, port: int, user: str, sign_in: str) -> bool:
        """Whether the node was added in the end. Errors are shown in the panel, not raised; cancelling ends it."""
        while not self._answers.empty():
            self._answers.get_nowait()
        here = Trust(host=address, port=port, user=user)
        self._show(here, stage="checking")
        try:
            offer = await self._stack.connector.look(address, port)
            known = await self._known(address, port)
            if known is not None and known.host_key != offer.host_key:
                self._refuse_changed(here, known, offer)
                return False
            self._show(here, stage="unknown_key", fingerprint=offer.fingerprint)
            await self._answers.get()
            record = self._stack.new_node(address, port, user, offer.host_key)
            return await self._sign_in(here, record, needs_password=sign_in == "password")
        except SparkDeskError as error:
            self._show(here, stage="failed", message=error.message, remedy=error.remedy, detail=error.detail)
            return False

    async def _known(self, address: str, port: int) -> NodeRecord | None:
        """The node of this computer's clusters that was last met there."""
        opened = self._stack.inventory.cluster.value
        clusters = [*(await self._stack.known_clusters()), *([opened] if opened is not None else [])]
        found = [node for cluster in clusters for node in cluster.nodes if (node.address, node.port) == (address, port)]
        return found[-1] if found else None

    def _refuse_changed(self, here: Trust, known: NodeRecord, offer: Offer) -> None:
        self._show(
            here,
            stage="changed_key",
            fingerprint=offer.fingerprint,
            pinned_fingerprint=fingerprint_of(known.host_key),
            message=f"{known.name} shows another host key than the one you trusted",
            remedy="Nothing was sent. If the node was installed anew, remove it here first and add it again.",
        )

    async def _sign_in(self, here: Trust, record: NodeRecord, *, needs_password: bool) -> bool:
        """Try until the node lets in, and only then keep it: whoever gives up leaves nothing behind."""
        password = await self._ask_password(here, "") if needs_password else ""
        while not await self._let_in(here, record, password):
            password = await self._ask_password(here, self._refusal if password else "")
        await self._keep(record, password)
        self._model.set_trust(Trust())
        return True

    async def _let_in(self, here: Trust, record: NodeRecord, password: str) -> bool:
        self._show(here, stage="signing_in")
        try:
            connection = await self._stack.connector.connect(record, password=password or None)
        except AuthFailed as error:
            self._refusal = error.sentence()
            return False
        await connection.close()
        return True

    async def _keep(self, record: NodeRecord, password: str) -> None:
        """Into the cluster that is open; instead of a simulated one, into the cluster of real nodes there is."""
        inventory = self._stack.inventory
        if inventory.cluster.value is not None and inventory.cluster.value.is_simulated:
            known = await self._stack.known_clusters()
            await inventory.open(known[0] if known else ClusterRecord(id=new_id(), name=DEFAULT_NAME, nodes=()))
        await inventory.add_node(record, password=password)

    async def _ask_password(self, here: Trust, error: str) -> str:
        self._show(here, stage="password", error=error)
        return await self._answers.get()

    def _show(self, here: Trust, **changes: str) -> None:
        self._model.set_trust(replace(here, **changes))  # type: ignore[arg-type]
