"""Watches how the nodes are cabled: all of them say who they are on their cables at the same moment, and listen.

The one rule: a look that fails takes nothing away; what was seen before stays, with its time and the reason.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sparkdesk.core.cluster.beacon import read_view
from sparkdesk.core.cluster.frame import FrameView, add_frames
from sparkdesk.core.cluster.half import NodeView, cage_of
from sparkdesk.core.cluster.node import NodeStatus
from sparkdesk.core.cluster.segment import has_late_starter
from sparkdesk.core.cluster.topology import LookState, Topology, build_topology
from sparkdesk.core.errors import NodeError
from sparkdesk.core.feed import Latest
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.ports import Shell, Store
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.deep_look import DEEP_S, listen_deep
from sparkdesk.services.ident import new_id
from sparkdesk.services.playbooks.root import Root
from sparkdesk.services.remote_program import run_program
from sparkdesk.services.rhythm import Rhythm
from sparkdesk.services.tasks import Tasks

log = logging.getLogger(__name__)

KIND = "device-label"
SETTLE_S = 1.0
"""After a carrier came or went its other half follows at once, and addresses need so long to be made sure of."""
RUN_TIMEOUT_S = 8.0
AGAIN_S = 60.0
"""Of an MTU, a subnet, an RDMA device no carrier tells: so often it is looked for them, well or not."""
CROWD = 16
"""More nodes than this are looked at more seldom, in proportion: on a switch each hears all others."""
MAX_LABEL_CHARS = 60
MAX_LABELS = 1000
_CARRIER = "net_carrier."
Carriers = Mapping[str, float]


class TopologyWatch:
    """The cluster's cabling. `on_live` belongs into `Inventory.on_live`."""

    def __init__(  # noqa: PLR0913 - called once, where the program is put together; every one is a part of it
        self,
        *,
        tasks: Tasks,
        nodes: Latest[tuple[NodeStatus, ...]],
        shells: Callable[[str], Shell],
        samples: Callable[[str], Latest[Sample | None]],
        store: Store,
        program: bytes,
        clock: Clock,
        frames_program: bytes = b"",
        settle_s: float = SETTLE_S,
        again_s: float = AGAIN_S,
    ) -> None:
        """`program` is remote/beacon.py, `frames_program` remote/frames.py. Other carriers in a sample start a look."""
        self._tasks = tasks
        self._nodes = nodes
        self._shells = shells
        self._samples = samples
        self._store = store
        self._program = program
        self._frames_program = frames_program
        self._clock = clock
        self._settle_s = settle_s
        self._again_s = again_s
        self.rhythm = Rhythm()
        self._views: dict[str, NodeView] = {}
        self._past: dict[str, NodeView] = {}
        """What each node told when it answered last."""
        self._frames: dict[str, FrameView] = {}
        """Heard below all addresses, the last time that a person wanted it."""
        self._labels: dict[str, str] = {}
        self._gate = asyncio.Lock()
        self._changes = 0
        """Of what was seen, of nodes and of labels: what is built from older ones is not published."""
        self._asked: frozenset[str] = frozenset()
        """The nodes that the last look was of."""
        self._is_wanted = self._is_waiting = self._is_kept = False
        self.topology: Latest[Topology] = Latest(Topology())
        self._subscription = nodes.subscribe(self._forget_gone)

    async def load(self) -> None:
        """Take the user's labels of an earlier run. Raises StoreError."""
        for mac, data in list((await self._store.documents(KIND)).items())[:MAX_LABELS]:
            try:
                self._labels[mac] = make_line(str(json.loads(data)["label"]), max_chars=MAX_LABEL_CHARS)
            except (KeyError, TypeError, ValueError) as error:
                log.warning("the label of %s is left out: %s", mac, error)

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much: what was seen keeps its age."""
        seen = self.topology.value
        if seen.seen_ms:
            self.topology.set(replace(seen, seen_ms=seen.seen_ms + moved_ms))

    # Looking -------------------------------------------------------------------------------------------------------

    async def look(self) -> Topology:
        """Look now, after a look that is under way; gives what is published, a failure too (it raises nothing)."""
        async with self._gate:
            before = self.topology.value
            self.topology.set(replace(before, state=LookState.LOOKING, message="", remedy=""))
            try:
                self.topology.set(await self._look())
            finally:
                now = self.topology.value
                if now.state is LookState.LOOKING:  # it was cancelled; labels may have changed meanwhile
                    self.topology.set(replace(now, state=before.state, message=before.message, remedy=before.remedy))
            self._keep_looking()
        return self.topology.value

    async def look_lately(self, max_age_s: float) -> Topology:
        """What was seen so lately of all nodes that are live, after a look that is under way; else look now."""
        async with self._gate:
            seen = self.topology.value
            age_s = (self._clock.now_ms() - seen.seen_ms) / 1000.0
        is_whole = self._asked >= {status.record.id for status in self._nodes.value if status.is_live}
        return seen if seen.state is LookState.DONE and age_s <= max_age_s and is_whole else await self.look()

    async def look_quietly(self) -> None:
        """Look without a word, for what no carrier tells; what is other than before must be seen twice to be told."""
        async with self._gate:
            before = self.topology.value
            found = await self._look()
            if replace(found, seen_ms=before.seen_ms) != before:
                found = await self._look()
            self.topology.set(found)

    async def _look(self) -> Topology:
        live = [status for status in self._nodes.value if status.is_live]
        if not live:
            return replace(
                self.topology.value,
                state=LookState.FAILED,
                message="No node is connected",
                remedy="Connect a node, then look again.",
            )
        views, error = await self._ask_all(live)
        self._asked = frozenset(status.record.id for status in live)
        is_late = await asyncio.to_thread(has_late_starter, views)
        if is_late:
            again, _ = await self._ask_all(live)
            views = {**views, **again}
        if error is not None and not views:
            return replace(self.topology.value, state=LookState.FAILED, message=error.message, remedy=error.remedy)
        absent = {node_id: view.as_absent() for node_id, view in self._views.items()}
        self._views = {**absent, **views}
        self._past = {**self._past, **{node_id: view for node_id, view in views.items() if view.did_answer}}
        self._changes += 1
        return replace(await self._build(), seen_ms=self._clock.now_ms())

    async def look_deep(self, root: Root, *, seconds: float = DEEP_S) -> Topology:
        """Look below all addresses, with sudo: for ports without any, and for a switch that hides; then look as always.

        What it tells holds until a link comes or goes. Raises NodeError: sudo did not let us, or nobody gave the
        password (then nothing was done), or a node is away.
        """
        live = [status.record.id for status in self._nodes.value if status.is_live]
        async with self._gate:
            before = self.topology.value
            words = f"Listening on the cables of {len(live)} nodes, {seconds:.0f} s"
            self.topology.set(replace(before, state=LookState.LOOKING, message=words, remedy=""))
            try:
                heard = await listen_deep(
                    {node_id: self._shells(node_id) for node_id in live}, self._frames_program, root, seconds=seconds
                )
            finally:
                now = self.topology.value
                self.topology.set(replace(now, state=before.state, message=before.message, remedy=before.remedy))
        self._frames.update(heard)
        return await self.look()

    async def _ask_all(self, live: list[NodeStatus]) -> tuple[dict[str, NodeView], NodeError | None]:
        """Every node at the same moment: each must listen while the others speak."""
        token = new_id()
        found = await asyncio.gather(*(self._ask(status, token) for status in live))
        views = {status.record.id: one for status, one in zip(live, found, strict=True) if isinstance(one, NodeView)}
        return views, next((one for one in found if isinstance(one, NodeError)), None)

    async def _ask(self, status: NodeStatus, token: str) -> NodeView | NodeError:
        record = status.record
        try:
            shell = self._shells(record.id)
            answer = await run_program(shell, self._program, [token, record.id], timeout_s=RUN_TIMEOUT_S)
        except NodeError as error:
            log.info("cables of %s: %s", record.name, error.sentence())
            return error
        return await asyncio.to_thread(read_view, record.id, record.name, answer)

    async def _build(self) -> Topology:
        """From the nodes and the labels of now: in a thread, as 64 nodes on a switch take 0.1 s."""
        while True:
            changes, views = self._changes, {}
            for status in self._nodes.value:
                record = status.record
                views[record.id] = replace(self._views.get(record.id, NodeView(did_answer=False)), name=record.name)
            found = await asyncio.to_thread(_build, views, dict(self._past), dict(self._frames), dict(self._labels))
            if changes == self._changes:
                return found

    async def _build_anew(self) -> None:
        """Other nodes or labels, nothing newly seen."""
        self._changes += 1
        found = await self._build()
        now = self.topology.value
        if now.seen_ms and self._views:
            self.topology.set(
                replace(found, seen_ms=now.seen_ms, state=now.state, message=now.message, remedy=now.remedy)
            )

    # When to look --------------------------------------------------------------------------------------------------

    async def on_live(self, node_id: str, shell: Shell) -> None:
        """Look when the node is live, whenever one of its ports gets or loses its carrier, and when it is gone."""
        carriers: Carriers | None = None

        def hear(sample: Sample | None) -> None:
            nonlocal carriers
            if sample is not None and (now := _carriers_of(sample)):
                if carriers is not None and now != carriers:
                    log.info("a link of %s has changed", shell.node)
                    self.request()
                carriers = now

        self.request()
        subscription = self._samples(node_id).subscribe(hear)
        try:
            await asyncio.Event().wait()  # until the line's end cancels it
        finally:
            subscription.close()
            self.request()

    def request(self) -> None:
        """Look soon, once for all that ask within a moment; again when a look is under way."""
        self._is_wanted = True
        if not self._is_waiting and self._tasks.start(self._look_soon) is not None:
            self._is_waiting = True

    async def _look_soon(self) -> None:
        try:
            while self._is_wanted:
                await asyncio.sleep(self._settle_s)
                self._is_wanted = False
                await self.look()
        finally:
            self._is_waiting = False

    def _keep_looking(self) -> None:
        if not self._is_kept:
            self._is_kept = self._tasks.start(self._look_ever_again) is not None

    async def _look_ever_again(self) -> None:
        while True:
            live = sum(status.is_live for status in self._nodes.value)
            await self.rhythm.pause(self._again_s * max(1.0, live / CROWD))
            now = self.topology.value
            has_reason = bool(now.cables) or now.state is LookState.FAILED
            if has_reason and any(status.is_live for status in self._nodes.value):
                await self.look_quietly()

    # Labels ---------------------------------------------------------------------------------------------------------

    async def label(self, key: str, words: str) -> None:
        """Name the device with this hardware address (or in this cage, "n1:P0", when it never said a word).

        No words take the name away. Raises StoreError.
        """
        await self.label_all((key,), words)

    async def label_all(self, keys: Sequence[str], words: str) -> None:
        """Name what is behind all of these, as `label`: a switch, behind each cage that leads to it."""
        words = make_line(words.strip(), max_chars=MAX_LABEL_CHARS)
        for key in keys:
            if words:
                await self._store.save_document(KIND, key, json.dumps({"label": words}).encode())
                self._labels[key] = words
            else:
                await self._store.remove_document(KIND, key)
                self._labels.pop(key, None)
        await self._build_anew()

    def _forget_gone(self, nodes: tuple[NodeStatus, ...]) -> None:
        here = {status.record.id for status in nodes}
        gone = [node_id for node_id in self._views if node_id not in here]
        for node_id in gone:
            del self._views[node_id]
            self._past.pop(node_id, None)
            self._frames.pop(node_id, None)
        if gone:
            self._changes += 1
        if gone and self._views:
            self._tasks.start(self._build_anew)
        elif gone:
            self.topology.set(Topology())

    def close(self) -> None:
        """Stop listening to the inventory."""
        self._subscription.close()


def _build(
    views: Mapping[str, NodeView],
    past: Mapping[str, NodeView],
    frames: Mapping[str, FrameView],
    labels: Mapping[str, str],
) -> Topology:
    return build_topology(add_frames(views, frames), labels, past)


def _carriers_of(sample: Sample) -> Carriers:
    """Which QSFP halves have a link in this sample."""
    named = ((key.removeprefix(_CARRIER), value) for key, value in sample.values.items() if key.startswith(_CARRIER))
    return {netdev: value for netdev, value in named if cage_of(netdev)}
