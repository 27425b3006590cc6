"""Forwards: a list per node, kept, and open whenever their node is live and they are wanted.

The one rule: a forward listens on 127.0.0.1 alone and ends with its node's line; it comes back by itself, on the same
port where that is still free, and says so where it is not.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace

from sparkdesk.core.cluster.forward import (
    JUPYTER_PORTS_FILE,
    MAX_PORTS_FILE_BYTES,
    OWN,
    Forward,
    ForwardSpec,
    ForwardState,
    check_spec,
    find_jupyter_port,
    preset_specs,
    url_of,
)
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.errors import CommandFailed, NodeBusy, NodeError, SettingsError
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Shell, Store
from sparkdesk.services.ident import new_id
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value

log = logging.getLogger(__name__)

KIND = "forward"
MAX_OWN = 64
OPEN_TIMEOUT_S = 15.0
TRY_EVERY_S = 20.0
"""So often it is looked whether something answers behind an open forward."""

_AWAY = "Its node is not connected"


class Forwards:
    """The forwards of the nodes in sight. `watch` belongs into `Inventory.on_live`; `load` is called once, first."""

    def __init__(self, *, nodes: Latest[tuple[NodeStatus, ...]], store: Store, tasks: Tasks) -> None:
        self._nodes = nodes
        self._store = store
        self._tasks = tasks
        self._kept: dict[str, ForwardSpec] = {}
        self._now: dict[str, Forward] = {}
        self._here: list[str] = []
        """The nodes whose forwards are listed."""
        self._shells: dict[str, Shell] = {}
        self._last_ports: dict[str, int] = {}
        """The local port that a forward had, for the next time."""
        self.forwards: Latest[tuple[Forward, ...]] = Latest(())
        self._subscription = nodes.subscribe(self._hear_nodes)

    async def load(self) -> None:
        """Read what was kept; an entry that cannot be read is left out. Raises StoreError."""
        for document_id, data in (await self._store.documents(KIND)).items():
            try:
                spec = ForwardSpec.from_json(json.loads(data))
                self._kept[spec.id] = spec if spec.kind != OWN else check_spec(spec)
            except (KeyError, TypeError, ValueError, SettingsError, RecursionError) as error:
                log.warning("forward %s cannot be read: %s", document_id, error)
        self._now = {key: forward for key, forward in self._now.items() if forward.state is not ForwardState.CLOSED}
        self._follow()
        for node_id, shell in self._shells.items():
            self._open_wanted(node_id, shell)

    async def open(self, forward_id: str) -> Forward:
        """Want it: it opens now if its node is live, else as soon as it is. Gives it as it stands then.

        Raises SettingsError when there is no such forward, StoreError.
        """
        spec = await self._want(forward_id, is_wanted=True)
        shell = self._shells.get(spec.node_id)
        if shell is None:
            self._set(Forward(spec, ForwardState.WAITING, message=_AWAY, remedy="It opens when the node is live."))
            return self._now[forward_id]
        if self._now[forward_id].state in (ForwardState.OPEN, ForwardState.OPENING):
            self._set(replace(self._now[forward_id], spec=spec))
        else:
            self._start(spec, shell)
        try:
            await wait_for_value(
                self.forwards, lambda _: self._state(forward_id) is not ForwardState.OPENING, timeout_s=OPEN_TIMEOUT_S
            )
        except TimeoutError:
            log.info("forward %s is still opening", forward_id)
        return self._find(forward_id)

    async def close(self, forward_id: str) -> None:
        """Close it, and leave it closed from now on. Raises SettingsError when there is no such forward, StoreError."""
        spec = await self._want(forward_id, is_wanted=False)
        self._tasks.cancel(_task_name(forward_id))
        self._set(Forward(spec))

    async def add(self, spec: ForwardSpec) -> str:
        """Keep an own entry ("" as id makes one) and open it if it is wanted; gives its id.

        Raises SettingsError that names what is wrong, StoreError.
        """
        spec = check_spec(replace(spec, id=spec.id or new_id()))
        if not any(status.record.id == spec.node_id for status in self._nodes.value):
            raise SettingsError("This node is no longer in the cluster", remedy="Choose another node.")
        if spec.id in self._now and self._now[spec.id].spec.kind != OWN:
            raise SettingsError(f"{self._now[spec.id].spec.title} is there already", remedy="Open it instead.")
        if sum(kept.kind == OWN and kept.node_id == spec.node_id for kept in self._kept.values()) >= MAX_OWN:
            raise SettingsError(f"A node has at most {MAX_OWN} own entries", remedy="Remove one first.")
        self._tasks.cancel(_task_name(spec.id))
        await self._keep(spec)
        self._set(Forward(spec))
        if spec.is_wanted:
            await self.open(spec.id)
        return spec.id

    async def remove(self, forward_id: str) -> None:
        """Close an own entry and forget it. Raises SettingsError for one of the list's own, StoreError."""
        if self._find(forward_id).spec.kind != OWN:
            raise SettingsError("This entry belongs to every node's list", remedy="Close it instead.")
        self._tasks.cancel(_task_name(forward_id))
        self._kept.pop(forward_id, None)
        self._now.pop(forward_id, None)
        self._publish()
        await self._store.remove_document(KIND, forward_id)

    async def forget(self, node_id: str) -> None:
        """Drop every entry of a node that was removed, open or not. Raises StoreError."""
        gone = [spec.id for spec in self._kept.values() if spec.node_id == node_id]
        for forward_id in gone:
            self._tasks.cancel(_task_name(forward_id))
            del self._kept[forward_id]
            self._now.pop(forward_id, None)
            self._last_ports.pop(forward_id, None)
        self._publish()
        for forward_id in gone:
            await self._store.remove_document(KIND, forward_id)

    async def watch(self, node_id: str, shell: Shell) -> None:
        """While the node is live: its wanted forwards are open. Ends with the line, by cancelling."""
        self._shells[node_id] = shell
        self._open_wanted(node_id, shell)
        try:
            await asyncio.Event().wait()
        finally:
            if self._shells.get(node_id) is shell:
                del self._shells[node_id]
                self._close_all(node_id)

    def _open_wanted(self, node_id: str, shell: Shell) -> None:
        resting = (ForwardState.CLOSED, ForwardState.WAITING, ForwardState.FAILED)
        for forward in self.forwards.value:
            if forward.spec.node_id == node_id and forward.spec.is_wanted and forward.state in resting:
                self._start(forward.spec, shell)

    def _close_all(self, node_id: str) -> None:
        for forward in self.forwards.value:
            if forward.spec.node_id == node_id:
                self._tasks.cancel(_task_name(forward.spec.id))
                if forward.spec.is_wanted:
                    self._set(
                        Forward(
                            forward.spec,
                            ForwardState.WAITING,
                            message=_AWAY,
                            remedy="It opens again when the node is live.",
                        )
                    )

    # One open forward ---------------------------------------------------------------------------------------------

    def _start(self, spec: ForwardSpec, shell: Shell) -> None:
        self._set(Forward(spec, ForwardState.OPENING))
        self._tasks.start_exclusive(_task_name(spec.id), self._hold, spec.id, shell)

    async def _hold(self, forward_id: str, shell: Shell) -> None:
        """Keep it open until cancelled; what goes wrong is its state, not an error of the task."""
        spec = self._find(forward_id).spec
        try:
            port = spec.port or await self._find_port(spec, shell)
            await self._hold_open(replace(spec, port=port), shell)
        except NodeError as error:
            if shell is self._shells.get(spec.node_id):
                self._change(forward_id, ForwardState.FAILED, message=error.message, remedy=error.remedy)

    async def _hold_open(self, spec: ForwardSpec, shell: Shell) -> None:
        answers = await _ask(spec, shell)
        had_port = self._last_ports.get(spec.id, 0)
        try:
            await self._hold_port(spec, shell, had_port, answers, "")
        except NodeBusy:
            if not had_port:
                raise
            words = f"Port {had_port} of this computer was taken meanwhile: the address is another now"
            await self._hold_port(spec, shell, 0, answers, words)

    async def _hold_port(
        self, spec: ForwardSpec, shell: Shell, local_port: int, answers: bool | None, words: str
    ) -> None:
        async with shell.forward_port(spec.host, spec.port, local_port=local_port) as port:
            self._last_ports[spec.id] = port
            while True:
                self._change(
                    spec.id, ForwardState.OPEN, port=port, answers=answers, message=words, remedy=_hint(spec, answers)
                )
                await asyncio.sleep(TRY_EVERY_S)
                answers = await _ask(spec, shell)

    async def _find_port(self, spec: ForwardSpec, shell: Shell) -> int:
        """JupyterLab's port of the account, as the DGX Dashboard gave it. Raises CommandFailed, Unreachable."""
        user = next((status.record.user for status in self._nodes.value if status.record.id == spec.node_id), "")
        remedy = "Open the DGX Dashboard and start JupyterLab there once; or add an own entry with its port."
        try:
            data = await shell.fetch(JUPYTER_PORTS_FILE, max_bytes=MAX_PORTS_FILE_BYTES)
        except CommandFailed as error:
            raise CommandFailed(
                f"{shell.node} has no list of JupyterLab ports", remedy=remedy, detail=error.detail, node=shell.node
            ) from error
        port = find_jupyter_port(data.decode("utf-8", "replace"), user)
        if port is None:
            raise CommandFailed(f"No JupyterLab port is noted for {user}", remedy=remedy, node=shell.node)
        return port

    # Keeping ------------------------------------------------------------------------------------------------------

    def _find(self, forward_id: str) -> Forward:
        forward = self._now.get(forward_id)
        if forward is None:
            raise SettingsError("There is no such forward any more", remedy="Choose another, or add it again.")
        return forward

    def _state(self, forward_id: str) -> ForwardState | None:
        forward = self._now.get(forward_id)
        return None if forward is None else forward.state

    async def _want(self, forward_id: str, *, is_wanted: bool) -> ForwardSpec:
        forward = self._find(forward_id)
        spec = replace(forward.spec, is_wanted=is_wanted)
        if spec != forward.spec:
            await self._keep(spec)
        return spec

    async def _keep(self, spec: ForwardSpec) -> None:
        self._kept[spec.id] = spec
        await self._store.save_document(KIND, spec.id, json.dumps(spec.to_json()).encode())

    def _change(
        self,
        forward_id: str,
        state: ForwardState,
        *,
        port: int = 0,
        answers: bool | None = None,
        message: str = "",
        remedy: str = "",
    ) -> None:
        forward = self._now.get(forward_id)
        if forward is not None:
            url = url_of(forward.spec, port) if port else ""
            self._set(Forward(forward.spec, state, port, url, answers, message, remedy))

    def _set(self, forward: Forward) -> None:
        self._now[forward.spec.id] = forward
        self._publish()

    def _hear_nodes(self, nodes: tuple[NodeStatus, ...]) -> None:
        """Nodes change often, which nodes there are seldom."""
        here = [status.record.id for status in nodes]
        if here != self._here:
            self._here = here
            self._follow()

    def _follow(self) -> None:
        """The list is that of the nodes in sight: presets first, then own entries in the order they were made."""
        wanted: dict[str, ForwardSpec] = {}
        for node_id in self._here:
            wanted |= {spec.id: self._as_kept(spec) for spec in preset_specs(node_id)}
            wanted |= {spec.id: spec for spec in self._kept.values() if spec.node_id == node_id and spec.kind == OWN}
        if list(wanted) == list(self._now):
            return
        for forward_id in set(self._now) - set(wanted):
            self._tasks.cancel(_task_name(forward_id))
        self._now = {forward_id: self._now.get(forward_id) or _resting(spec) for forward_id, spec in wanted.items()}
        self._publish()

    def _as_kept(self, preset: ForwardSpec) -> ForwardSpec:
        """Of a preset only the wish is kept: the rest may be another in another release."""
        kept = self._kept.get(preset.id)
        return preset if kept is None else replace(preset, is_wanted=kept.is_wanted)

    def _publish(self) -> None:
        forwards = tuple(self._now.values())
        if forwards != self.forwards.value:
            self.forwards.set(forwards)

    def close_all(self) -> None:
        """The program ends: stop listening to the inventory; what is open ends with its lines."""
        self._subscription.close()


def _task_name(forward_id: str) -> str:
    return f"forward {forward_id}"


async def _ask(spec: ForwardSpec, shell: Shell) -> bool | None:
    """Whether something answers there; a node that has no free channel now leaves it open."""
    try:
        return await shell.answers(spec.host, spec.port)
    except NodeBusy:
        return None


def _resting(spec: ForwardSpec) -> Forward:
    if not spec.is_wanted:
        return Forward(spec)
    return Forward(spec, ForwardState.WAITING, message=_AWAY, remedy="It opens when the node is live.")


def _hint(spec: ForwardSpec, answers: bool | None) -> str:
    return f"Nothing answers on port {spec.port} of the node yet: start the program there." if answers is False else ""
