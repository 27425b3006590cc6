"""Adds a node by address: look at its host key, let a person compare it, sign in.

The one rule: no secret leaves before the person has trusted the key, and a password goes to that key's holder only.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from sparkdesk.app.stack import Stack
from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord, NodeState, NodeStatus
from sparkdesk.core.errors import NodeError
from sparkdesk.core.ports import Offer
from sparkdesk.infra.ssh import fingerprint_of
from sparkdesk.services.ident import new_id
from sparkdesk.services.inventory import DEFAULT_NAME
from sparkdesk.services.wait import wait_for_value
from ui.first_run.model import FirstRunModel, Trust

SIGN_IN_TIMEOUT_S = 30.0
_SETTLED = (NodeState.LIVE, NodeState.REFUSED, NodeState.IDENTITY_CHANGED, NodeState.UNREACHABLE)


class AddNode:
    """One attempt at a time; `run` ends when the node is live, or the person gave up."""

    def __init__(self, stack: Stack, model: FirstRunModel) -> None:
        self._stack = stack
        self._model = model
        self._answers: asyncio.Queue[str | None] = asyncio.Queue()
        model.trust_given.connect(lambda: self._answers.put_nowait(""))
        model.password_given.connect(self._answers.put_nowait)
        model.cancelled.connect(lambda: self._answers.put_nowait(None))

    async def run(self, address: str, port: int, user: str, sign_in: str) -> bool:
        """Whether the node is live in the end. Errors are shown in the panel, not raised."""
        while not self._answers.empty():
            self._answers.get_nowait()
        here = Trust(host=address, port=port, user=user)
        self._show(here, stage="checking")
        try:
            offer = await self._stack.connector.look(address, port)
            known = self._known(address, port)
            if known is not None and known.host_key != offer.host_key:
                return await self._refuse_changed(here, known, offer)
            self._show(here, stage="unknown_key", fingerprint=offer.fingerprint)
            if await self._answers.get() is None:
                return self._end()
            record = self._stack.new_node(address, port, user, offer.host_key)
            return await self._sign_in(here, record, needs_password=sign_in == "password")
        except NodeError as error:
            self._show(here, stage="failed", message=error.message, remedy=error.remedy, detail=error.detail)
            await self._answers.get()
            return self._end()

    def _known(self, address: str, port: int) -> NodeRecord | None:
        for status in self._stack.inventory.nodes.value:
            if (status.record.address, status.record.port) == (address, port):
                return status.record
        return None

    async def _refuse_changed(self, here: Trust, known: NodeRecord, offer: Offer) -> bool:
        self._show(
            here,
            stage="changed_key",
            fingerprint=offer.fingerprint,
            pinned_fingerprint=fingerprint_of(known.host_key),
            message=f"{known.name} shows another host key than the one you trusted",
            remedy="Nothing was sent. If the node was installed anew, remove it here first and add it again.",
        )
        await self._answers.get()
        return self._end()

    async def _sign_in(self, here: Trust, record: NodeRecord, *, needs_password: bool) -> bool:
        password = await self._ask_password(here, "") if needs_password else ""
        if password is None:
            return self._end()
        self._show(here, stage="signing_in")
        await self._keep(record)
        if password:
            await self._stack.inventory.provide_password(record.id, password)
        while True:
            status = await self._settled(record.id)
            if status.state is NodeState.LIVE:
                self._end()
                return True
            if status.state is not NodeState.REFUSED:
                self._show(
                    here, stage="failed", message=status.message, remedy=status.remedy, detail="\n".join(status.log)
                )
                await self._answers.get()
                return await self._give_up(record)
            password = await self._ask_password(here, status.message)
            if password is None:
                return await self._give_up(record)
            self._show(here, stage="signing_in")
            await self._stack.inventory.provide_password(record.id, password)

    async def _keep(self, record: NodeRecord) -> None:
        """Into the cluster that is open; a simulated one is left for a cluster of real nodes."""
        cluster = self._stack.inventory.cluster.value
        if cluster is not None and cluster.is_simulated:
            await self._stack.inventory.open(ClusterRecord(id=new_id(), name=DEFAULT_NAME, nodes=(record,)))
        else:
            await self._stack.inventory.add_node(record)

    async def _ask_password(self, here: Trust, error: str) -> str | None:
        self._show(here, stage="password", error=error)
        return await self._answers.get()

    async def _settled(self, node_id: str) -> NodeStatus:
        def is_settled(nodes: tuple[NodeStatus, ...]) -> bool:
            return any(status.record.id == node_id and status.state in _SETTLED for status in nodes)

        with suppress(TimeoutError):  # the status says how far it came
            await wait_for_value(self._stack.inventory.nodes, is_settled, timeout_s=SIGN_IN_TIMEOUT_S)
        return self._stack.inventory.status(node_id)

    async def _give_up(self, record: NodeRecord) -> bool:
        await self._stack.inventory.remove_node(record.id)
        return self._end()

    def _show(self, here: Trust, **changes: str) -> None:
        self._model.set_trust(replace(here, **changes))  # type: ignore[arg-type]

    def _end(self) -> bool:
        self._model.set_trust(Trust())
        return False
