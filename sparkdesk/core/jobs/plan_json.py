"""Launch plans as JSON and back: kept with the intent on this computer and in the job folder on the node.

The one rule: a plan that comes back from a node is untrusted; it is read whole and typed, or refused with a PlanError.
"""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import ValidationError

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.plan import LaunchPlan, MemoryLedger, ShownCommand
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.step_json import MAX_BYTES, dump, playbook_from_data, playbook_to_data
from sparkdesk.core.untrusted import REMEDY, Fields, parse_object

SCHEMA = 1
_MAX_MEMORY_BYTES = 1 << 60
_LEDGER_PARTS = ("total_bytes", "others_bytes", "weights_bytes", "kv_bytes", "runtime_bytes", "undivided_bytes")


def to_json(plan: LaunchPlan) -> bytes:
    """The plan as canonical JSON: the same plan always gives the same bytes."""
    return dump(plan_to_data(plan))


def from_json(data: bytes) -> LaunchPlan:
    """A plan from `to_json`. Raises PlanError for anything else."""
    return plan_from_data(parse_object(data, max_bytes=2 * MAX_BYTES, what="plan"))


def plan_hash(plan: LaunchPlan) -> str:
    """SHA-256 (hex) of the plan's canonical JSON: two plans are the same when their hashes are."""
    return hashlib.sha256(to_json(plan)).hexdigest()


def plan_to_data(plan: LaunchPlan) -> dict[str, Any]:
    """The plan as plain JSON data."""
    return {
        "schema": SCHEMA,
        "job_id": plan.job_id,
        "request": plan.request.model_dump(mode="json"),
        "title": plan.title,
        "playbook": playbook_to_data(plan.playbook),
        "stop": playbook_to_data(plan.stop),
        "endpoint": plan.endpoint.to_json(),
        "ledgers": [{name: getattr(ledger, name) for name in ledger.__slots__} for ledger in plan.ledgers],
        "commands": [{"node_id": c.node_id, "title": c.title, "text": c.text} for c in plan.commands],
        "notes": list(plan.notes),
    }


def plan_from_data(fields: Fields) -> LaunchPlan:
    """A plan from plain JSON data. Raises PlanError, also for a newer schema."""
    schema = fields.whole("schema", low=1, high=1_000_000)
    if schema > SCHEMA:
        raise PlanError(
            f"This plan has schema {schema}; this SparkDesk knows {SCHEMA}",
            remedy="Open it with the release of SparkDesk that made it, or a newer one.",
        )
    return LaunchPlan(
        job_id=fields.text("job_id", max_chars=64),
        request=_request_from(fields.object("request")),
        title=fields.text("title"),
        playbook=playbook_from_data(fields.object("playbook")),
        stop=playbook_from_data(fields.object("stop")),
        endpoint=_endpoint_from(fields.object("endpoint")),
        ledgers=tuple(_ledger_from(ledger) for ledger in fields.objects("ledgers", max_items=256)),
        commands=tuple(_shown_from(shown) for shown in fields.objects("commands", max_items=1024)),
        notes=fields.texts("notes", max_items=256),
    )


def request_from_json(data: bytes) -> LaunchRequest:
    """A request that was kept by itself (`model_dump_json`). Raises PlanError."""
    try:
        return LaunchRequest.model_validate_json(data)
    except (ValidationError, RecursionError) as error:
        raise PlanError("This launch request cannot be read", remedy=REMEDY, detail=str(error)[:2000]) from error


def _request_from(fields: Fields) -> LaunchRequest:
    try:
        return LaunchRequest.model_validate(dict(fields.data))
    except (ValidationError, RecursionError) as error:
        raise PlanError(f"{fields.where} is no launch request", remedy=REMEDY, detail=str(error)[:2000]) from None


def _endpoint_from(fields: Fields) -> Endpoint:
    return Endpoint(
        node_id=fields.text("node_id", max_chars=256),
        host=fields.text("host", max_chars=256),
        port=fields.whole("port", low=1, high=65535),
        model=fields.text("model", max_chars=256),
        base_path=fields.text("base_path", "/v1", max_chars=256),
        engine=fields.text("engine", "", max_chars=64),
        metrics_path=fields.text("metrics_path", "", max_chars=256),
        context_tokens=fields.whole_or_none("context_tokens", low=1, high=1 << 40),
        note=fields.text("note", ""),
    )


def _ledger_from(fields: Fields) -> MemoryLedger:
    parts = {name: fields.whole_or_none(name, low=-_MAX_MEMORY_BYTES, high=_MAX_MEMORY_BYTES) for name in _LEDGER_PARTS}
    # A plan of an older release has no reserve and no floor.
    return MemoryLedger(
        node_id=fields.text("node_id", max_chars=256),
        **parts,
        reserve_bytes=fields.whole("reserve_bytes", 0, low=0, high=_MAX_MEMORY_BYTES),
        floor_bytes=fields.whole("floor_bytes", 0, low=0, high=_MAX_MEMORY_BYTES),
    )


def _shown_from(fields: Fields) -> ShownCommand:
    return ShownCommand(
        node_id=fields.text("node_id", max_chars=256),
        title=fields.text("title"),
        text=fields.text("text", max_chars=1 << 20),
    )
