"""Looks at every node again and again, and tells what is not as it should be: the map's findings.

The one rule: nothing is asked of a node here; what is judged are the feeds that others keep. A node that is away keeps
the concerns that it had, and neither gets nor loses one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.errors import NodeError, SettingsError, StoreError
from sparkdesk.core.feed import Latest
from sparkdesk.core.findings.acceptance import Acceptance, accept, mark
from sparkdesk.core.findings.concern import Concern, Judgement, concern_id, worst_first
from sparkdesk.core.findings.judge_cage import best_of, moved_from, read_cages
from sparkdesk.core.findings.standing import Standings
from sparkdesk.core.findings.table import NODE_JUDGES, URGENT_JUDGES, judge_cluster, judge_one
from sparkdesk.core.findings.view import CageRecord, NodeNow, Past, is_heard, nothing
from sparkdesk.core.ports import Store
from sparkdesk.core.probes.doctor_gpu import SLOW
from sparkdesk.core.telemetry.sample import Sample
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.details import DetailsReader
from sparkdesk.services.fleet.doctor import Doctor
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.power_cap import PowerCaps
from sparkdesk.services.jobs.launcher import Launcher
from sparkdesk.services.rhythm import Rhythm
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.telemetry import PulseState, Telemetry

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""A round over all nodes; each is looked at in its own moment, so that many of them do not hold up the window."""
WHOLE_EVERY = 4
"""What cannot wait is judged in each round, the rest in every fourth: all judges take 2 to 3 ms a node."""
DETAILS_EVERY_S = 3600.0
"""What is known of a node in detail is read again so often, so that nothing stands that was mended long ago."""
ACCEPTED = "finding_acceptance"
BEST_CAGE = "cage_record"


@dataclass(frozen=True, slots=True)
class FindingsParts:
    """Whose feeds are judged."""

    tasks: Tasks
    inventory: Inventory
    telemetry: Telemetry
    details: DetailsReader
    doctor: Doctor
    launcher: Launcher
    power_caps: PowerCaps
    store: Store
    clock: Clock
    topology: Latest[Topology] | None = None
    """The cabling, where somebody looks at it."""


class Findings:
    """The open cluster's concerns. `findings` is the feed: worst first, those that were accepted last.

    `heard` are the nodes of which it can be said now that nothing else is wrong with them.
    """

    def __init__(self, parts: FindingsParts) -> None:
        self._parts = parts
        self._standings = Standings()
        self._cluster_id = ""
        self._views: dict[str, NodeNow] = {}
        self._boots: dict[str, str] = {}
        self._accepted: dict[str, Acceptance] = {}
        self._best: dict[str, dict[str, CageRecord]] = {}
        self._asked_ms: dict[str, int] = {}
        self.more_judges: list[Callable[[str], Iterable[Judgement]]] = []
        """Services that judge something of a node themselves (the speed of its servers); asked in whole rounds."""
        self.findings: Latest[tuple[Concern, ...]] = Latest(())
        self.heard: Latest[frozenset[str]] = Latest(frozenset())
        self.rhythm = Rhythm()

    async def load(self) -> None:
        """Take what was kept by an earlier run. Raises StoreError."""
        store = self._parts.store
        for key, data in (await store.documents(ACCEPTED)).items():
            try:
                self._accepted[key] = Acceptance.from_json(json.loads(data))
            except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
                log.warning("an acceptance is left out: %s", error)
        for key, data in (await store.documents(BEST_CAGE)).items():
            node_id, _, cage = key.rpartition("/")
            try:
                row = json.loads(data)
                self._best.setdefault(node_id, {})[cage] = CageRecord(int(row["halves"]), float(row["gbps"]))
            except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
                log.warning("what was seen of a cage is left out: %s", error)

    def move_times(self, moved_ms: int) -> None:
        """This computer's clock was set by so much: what stands keeps its age."""
        self._standings.move_times(moved_ms)
        self._asked_ms = {node_id: at_ms + moved_ms for node_id, at_ms in self._asked_ms.items()}
        self._publish()

    async def run(self) -> None:
        """Look until cancelled."""
        turn = 0
        while True:
            records = self._records()
            turn += 1
            for number, record in enumerate(records):
                is_new = record.id not in self._views
                self._look_at(record, is_whole=is_new or (turn + number) % WHOLE_EVERY == 0)
                await self.rhythm.pause(LOOK_S / len(records))
            self._look_over()
            if not records:
                await self.rhythm.pause(LOOK_S)

    def look(self) -> None:
        """One whole round, now."""
        for record in self._records():
            self._look_at(record, is_whole=True)
        self._look_over()

    # Accepting ----------------------------------------------------------------------------------------------------

    async def accept(self, finding_id: str, note: str) -> None:
        """Live with a concern as it is now, until it changes. Raises SettingsError (it is gone), StoreError."""
        concern = next((one for one in self.findings.value if one.id == finding_id), None)
        if concern is None:
            raise SettingsError("This finding is gone", remedy="There is nothing left to accept.")
        acceptance = accept(concern, note, self._parts.clock.now_ms())
        key = self._key(finding_id)
        await self._parts.store.save_document(ACCEPTED, key, json.dumps(acceptance.to_json()).encode())
        self._accepted[key] = acceptance
        self._publish()

    async def unaccept(self, finding_id: str) -> None:
        """Take an acceptance back; no error when there is none. Raises StoreError."""
        key = self._key(finding_id)
        await self._parts.store.remove_document(ACCEPTED, key)
        self._accepted.pop(key, None)
        self._publish()

    async def forget(self, node_id: str) -> None:
        """A node was removed. Raises StoreError."""
        store = self._parts.store
        self._views.pop(node_id, None)
        self._boots.pop(node_id, None)
        self._asked_ms.pop(node_id, None)
        for cage in self._best.pop(node_id, {}):
            await store.remove_document(BEST_CAGE, f"{node_id}/{cage}")
        for key in [key for key in self._accepted if f"/{node_id}/" in key]:
            del self._accepted[key]
            await store.remove_document(ACCEPTED, key)
        self._standings.keep_nodes(record.id for record in self._records() if record.id != node_id)
        self._publish()

    # Looking ------------------------------------------------------------------------------------------------------

    def _records(self) -> tuple[NodeRecord, ...]:
        """The nodes of the open cluster; what stood in another one is forgotten."""
        cluster = self._parts.inventory.cluster.value
        cluster_id = cluster.id if cluster is not None else ""
        records = tuple(status.record for status in self._parts.inventory.nodes.value)
        known = {record.id for record in records}
        if cluster_id != self._cluster_id:
            self._cluster_id, self._standings = cluster_id, Standings()
        self._standings.keep_nodes(known)
        self._views = {node_id: view for node_id, view in self._views.items() if node_id in known}
        return records

    def _look_at(self, record: NodeRecord, *, is_whole: bool) -> None:
        view = self._views[record.id] = self._view(record)
        judges = NODE_JUDGES if is_whole else URGENT_JUDGES
        found = list(judge_one(view, tuple(self._views.values()), judges))
        self._standings.take(found, self._parts.clock.now_ms())
        for judge in self.more_judges if is_whole and is_heard(view) else ():
            self._standings.take(judge(record.id), self._parts.clock.now_ms())
        self._publish()

    def _look_over(self) -> None:
        views = tuple(self._views.values())
        heard = frozenset(view.node_id for view in views if is_heard(view))
        if heard != self.heard.value:
            self.heard.set(heard)
        topology = self._parts.topology.value if self._parts.topology is not None else None
        cluster = self._parts.inventory.cluster.value
        declared = cluster.shape if cluster is not None else ""
        self._standings.take(judge_cluster(views, topology, declared), self._parts.clock.now_ms())
        self._publish()

    def _view(self, record: NodeRecord) -> NodeNow:
        parts, node_id = self._parts, record.id
        feed = parts.telemetry.feed(node_id)
        sample = feed.latest.value
        past = Past(nothing, 0)
        if sample is not None and feed.pulse.value.state in (PulseState.LIVE, PulseState.SLOW):
            past = Past(feed.history.series, sample.t_ms)
            self._note_boot(record, sample)
            self._keep_details(node_id)
        jobs = tuple(job for job in parts.launcher.jobs.value if node_id in job.node_ids and not job.state.is_over)
        plans = {job.job_id: plan for job in jobs if (plan := parts.launcher.stop_plan(job.job_id)) is not None}
        cages = read_cages(past)
        self._note_cages(node_id, cages)
        return NodeNow(
            node_id=node_id,
            name=record.name,
            past=past,
            details=parts.details.details.value.get(node_id),
            check_up=parts.doctor.check_ups.value.get(node_id),
            jobs=jobs,
            stop_plans=plans,
            cages=cages,
            best_cages=dict(self._best.get(node_id, {})),
            foreign_cages=self._foreign_cages(node_id),
            power_capped=parts.power_caps.share(node_id),
        )

    def _note_boot(self, record: NodeRecord, sample: Sample) -> None:
        """A node that was restarted may have another driver: what is known in detail is read again.

        That it was slow is forgotten: what ends it is a restart without power, and an idle GPU would not clear it.
        """
        before = self._boots.get(record.id)
        self._boots[record.id] = sample.boot_id
        if before and sample.boot_id and before != sample.boot_id:
            self._standings.forget(concern_id(SLOW.id, record.id))
            self._refresh_soon(record.id)

    def _keep_details(self, node_id: str) -> None:
        known = self._parts.details.details.value.get(node_id)
        now_ms = self._parts.clock.now_ms()
        newest_ms = max(known.t_ms if known is not None else now_ms, self._asked_ms.setdefault(node_id, now_ms))
        if now_ms - newest_ms >= DETAILS_EVERY_S * 1000:
            self._refresh_soon(node_id)

    def _refresh_soon(self, node_id: str) -> None:
        self._asked_ms[node_id] = self._parts.clock.now_ms()
        self._parts.tasks.start(self._refresh, node_id)

    async def _refresh(self, node_id: str) -> None:
        try:
            await self._parts.details.refresh(node_id)
        except NodeError as error:
            log.info("details read again: %s", error.sentence())

    def _foreign_cages(self, node_id: str) -> frozenset[str]:
        """The node's cages that lead to storage or another device."""
        cables = self._parts.topology.value.cables if self._parts.topology is not None else ()
        ends = [cable.a for cable in cables if cable.stranger is not None and cable.stranger.kind == "device"]
        return frozenset(cage for owner, cage in ends if owner == node_id)

    def _note_cages(self, node_id: str, cages: dict[str, CageRecord]) -> None:
        known = self._best.setdefault(node_id, {})
        if (left := moved_from(known, cages)) is not None:
            del known[left]
            self._parts.tasks.start(self._drop_cage, node_id, left)
        for cage, now in cages.items():
            best = best_of(known.get(cage), now)
            if best.halves and best != known.get(cage):
                known[cage] = best
                self._parts.tasks.start(self._save_cage, node_id, cage, best)

    async def _save_cage(self, node_id: str, cage: str, best: CageRecord) -> None:
        try:
            await self._parts.store.save_document(BEST_CAGE, f"{node_id}/{cage}", json.dumps(asdict(best)).encode())
        except StoreError as error:
            log.warning("what was seen of a cage is not kept: %s", error.sentence())

    async def _drop_cage(self, node_id: str, cage: str) -> None:
        try:
            await self._parts.store.remove_document(BEST_CAGE, f"{node_id}/{cage}")
        except StoreError as error:
            log.warning("what was seen of a cage is still kept: %s", error.sentence())

    def _publish(self) -> None:
        found = []
        for concern in self._standings.concerns:
            key = self._key(concern.id)
            acceptance = self._accepted.get(key)
            if acceptance is not None and not acceptance.holds_for(concern):
                del self._accepted[key]  # it has changed: that ends it for good
                self._parts.tasks.start(self._drop, key)
            found.append(mark(concern, acceptance))
        ordered = worst_first(found)
        if ordered != self.findings.value:
            self.findings.set(ordered)

    async def _drop(self, key: str) -> None:
        if key in self._accepted:
            return  # accepted again meanwhile, as it is now
        try:
            await self._parts.store.remove_document(ACCEPTED, key)
        except StoreError as error:
            log.warning("an acceptance that has ended is still kept: %s", error.sentence())

    def _key(self, finding_id: str) -> str:
        """Under which an acceptance is kept: two clusters may have a concern of the same id."""
        return f"{self._cluster_id} {finding_id}"
