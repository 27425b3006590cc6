"""Checks a node against everything that the code takes for true of a Spark, and keeps what was seen.

The one rule: it reads only, sends nothing anywhere, and what could not be read is "not seen".
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from sparkdesk.core.errors import PlanError, SparkDeskError
from sparkdesk.core.feed import Latest
from sparkdesk.core.ports import Store
from sparkdesk.core.probes.assumption import Assumption, FieldReport, FieldResult
from sparkdesk.core.probes.assumption_table import ASSUMPTIONS
from sparkdesk.core.probes.field_json import redacted_json, report_from_json, report_to_json
from sparkdesk.core.probes.read import Answers
from sparkdesk.services.clock import Clock
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.reader import Reader

log = logging.getLogger(__name__)

KIND = "field_report"


class FieldReports:
    """One report a node, the newest; kept, so that marks can say "seen on this node" with a date."""

    def __init__(
        self,
        *,
        inventory: Inventory,
        reader: Reader,
        store: Store,
        clock: Clock,
        application: str,
        assumptions: Iterable[Assumption] = ASSUMPTIONS,
    ) -> None:
        self._inventory = inventory
        self._reader = reader
        self._store = store
        self._clock = clock
        self._application = application
        self._assumptions = tuple(assumptions)
        self.reports: Latest[Mapping[str, FieldReport]] = Latest(MappingProxyType({}))

    async def load(self) -> None:
        """Read the reports of earlier runs. Raises StoreError."""
        kept = (report_from_json(data) for data in (await self._store.documents(KIND)).values())
        self.reports.set(MappingProxyType({report.node_id: report for report in kept if report is not None}))

    async def run(self, node_id: str) -> None:
        """Check a node; the report in `reports` says how it went, also when the node could not be asked."""
        before = self.reports.value.get(node_id, FieldReport(node_id))
        if before.state == "running":
            return
        self._show(replace(before, state="running", message="", remedy=""))
        try:
            reads = tuple(dict.fromkeys(read for item in self._assumptions for read in item.probe.reads))
            answers = await self._reader.read(node_id, reads)
        except SparkDeskError as error:
            self._show(replace(before, state="failed", message=error.message, remedy=error.remedy))
            return
        except BaseException:
            self._show(before)
            raise
        results = tuple(_judge(assumption, answers) for assumption in self._assumptions)
        cluster = self._inventory.cluster.value
        is_simulated = cluster is not None and cluster.is_simulated
        report = FieldReport(node_id, "done", self._clock.now_ms(), results, is_simulated=is_simulated)
        self._show(report)
        await self._store.save_document(KIND, node_id, report_to_json(report))

    async def forget(self, node_id: str) -> None:
        """Drop the report of a node that was removed. Raises StoreError."""
        left = {key: report for key, report in self.reports.value.items() if key != node_id}
        self.reports.set(MappingProxyType(left))
        await self._store.remove_document(KIND, node_id)

    def redacted(self, node_id: str) -> bytes:
        """The report as JSON for a file, without what tells whose machine it is. Raises PlanError: there is none."""
        report = self.reports.value.get(node_id)
        if report is None or not report.results:
            raise PlanError("There is no report of this node yet", remedy="Check the node first.")
        made = datetime.datetime.fromtimestamp(report.t_ms / 1000, datetime.UTC)
        return redacted_json(
            report,
            application=self._application,
            made_at=made.strftime("%Y-%m-%d"),
            own_words=self._own_words(node_id),
        )

    def _own_words(self, node_id: str) -> tuple[str, ...]:
        try:
            status = self._inventory.status(node_id)
        except KeyError:
            return ()
        record, facts = status.record, status.facts
        return (record.name, record.address, record.user, facts.hostname, facts.hostname.partition(".")[0])

    def _show(self, report: FieldReport) -> None:
        self.reports.set(MappingProxyType({**self.reports.value, report.node_id: report}))


def _judge(assumption: Assumption, answers: Answers) -> FieldResult:
    hold, seen = assumption.judge(answers)
    return FieldResult(
        assumption_id=assumption.probe.id,
        title=assumption.probe.title,
        claim=assumption.claim,
        hold=hold,
        seen=seen,
        source=assumption.probe.source,
        where=assumption.where,
    )
