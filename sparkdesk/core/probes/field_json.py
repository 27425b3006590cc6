"""Field reports as JSON: whole for the store, redacted for a file that a person may send to somebody.

The one rule: reading trusts nothing; a report that cannot be read is as if there were none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from sparkdesk.core.errors import PlanError
from sparkdesk.core.probes.assumption import FieldReport, FieldResult, Hold
from sparkdesk.core.probes.redaction import redact
from sparkdesk.core.untrusted import Fields, parse_object

MAX_BYTES = 1 << 20
MAX_RESULTS = 1000
SCHEMA = 1


def report_to_json(report: FieldReport) -> bytes:
    """The whole report, for this computer's store."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "node_id": report.node_id,
            "t_ms": report.t_ms,
            "simulated": int(report.is_simulated),
            "results": [
                {
                    "id": result.assumption_id,
                    "title": result.title,
                    "claim": result.claim,
                    "hold": result.hold.value,
                    "seen": result.seen,
                    "source": result.source,
                    "where": result.where,
                }
                for result in report.results
            ],
        }
    ).encode()


def report_from_json(data: bytes) -> FieldReport | None:
    """A report that `report_to_json` wrote; None for anything else."""
    try:
        fields = parse_object(data, max_bytes=MAX_BYTES, what="field report")
        if fields.whole("schema", low=1, high=SCHEMA) != SCHEMA:
            return None
        results = tuple(_result_from(item) for item in fields.objects("results", max_items=MAX_RESULTS))
        return FieldReport(
            fields.text("node_id"),
            "done",
            fields.whole("t_ms", low=0, high=1 << 53),
            results,
            is_simulated=bool(fields.whole("simulated", 0, low=0, high=1)),
        )
    except (PlanError, ValueError):
        return None


def _result_from(fields: Fields) -> FieldResult:
    return FieldResult(
        assumption_id=fields.text("id"),
        title=fields.text("title"),
        claim=fields.text("claim"),
        hold=Hold(fields.text("hold")),
        seen=fields.text("seen"),
        source=fields.text("source"),
        where=fields.text("where"),
    )


def redacted_json(report: FieldReport, *, application: str, made_at: str, own_words: Iterable[str]) -> bytes:
    """The report for other people's eyes: no node id, no names, addresses or serial numbers of this node."""
    words = tuple(own_words)
    return json.dumps(
        {
            "what": "SparkDesk field report: which of its assumptions about a DGX Spark held on one node",
            "schema": SCHEMA,
            "application": application,
            "made": made_at,
            "simulated": report.is_simulated,
            "summary": report.summary(),
            "results": [
                {
                    "id": result.assumption_id,
                    "claim": result.claim,
                    "result": result.hold.value,
                    "seen": redact(result.seen, words),
                    "source": result.source,
                }
                for result in report.results
            ],
        },
        indent=2,
        ensure_ascii=False,
    ).encode("utf-8")
