"""What a node says about the jobs in its folders (remote/jobs.py list): read as a stranger's text.

The one rule: total; what is not understood becomes "not known", and a job of another schema is shown, never touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparkdesk.core.jobs.endpoint import Endpoint
from sparkdesk.core.jobs.record import JobReport
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.step_json import dump

MAX_JOBS = 200
STATES = ("planned", "running", "ended", "unknown", "unreadable")
JOB_ID = re.compile(r"^[a-z2-7]{16}$")
"""Ids as services/ident.py makes them; a folder of another name is nobody's job."""
UNKNOWN_ACCOUNT = "another account"
"""A container says whose job it is in, not who started it."""
PROOF_PATHS = ("/chat/completions", "/embeddings", "/rerank")
"""Where a server is asked for a proof that it works, by what it is for."""
STOPPED_BY_USER = "stopped by user"
"""The reason that remote/job.py writes when somebody asked for the end."""


def read_reports(found: Mapping[str, object], node_id: str) -> tuple[tuple[JobReport, Endpoint | None], ...]:
    """Each job with the endpoint that its folder names, newest first."""
    jobs = found.get("jobs")
    rows = [row for row in jobs[:MAX_JOBS] if isinstance(row, dict)] if isinstance(jobs, list) else []
    reports = []
    for row in rows:
        job_id = row.get("job_id")
        if isinstance(job_id, str) and JOB_ID.match(job_id):
            reports.append((_read_report(row, job_id, node_id), _read_endpoint(row.get("endpoint"), node_id)))
    return tuple(reports)


def read_foreign_reports(found: Mapping[str, object], node_id: str) -> tuple[JobReport, ...]:
    """Jobs of the node's other accounts, as far as they can be seen: that they run, and whose they are."""
    rows = found.get("others")
    reports = {}
    for row in rows[:MAX_JOBS] if isinstance(rows, list) else []:
        job_id = row.get("job_id") if isinstance(row, dict) else None
        if isinstance(job_id, str) and JOB_ID.match(job_id):
            account, title = _text(row, "account") or UNKNOWN_ACCOUNT, _text(row, "title")
            reports[job_id] = JobReport(job_id, node_id, "running", account=account, title=title)
    return tuple(reports.values())


def name_account(account: str) -> str:
    """An account of a node as a sentence names it."""
    return account if account == UNKNOWN_ACCOUNT else f"the account {account}"


def describe_end(report: JobReport) -> str:
    """How a job ended, in words."""
    if report.exit_reason:
        return report.exit_reason
    return "it ended, and nobody saw how" if report.exit_code is None else f"ended with exit code {report.exit_code}"


def _read_report(row: Mapping[str, object], job_id: str, node_id: str) -> JobReport:
    state = row.get("state")
    plan = row.get("plan")
    return JobReport(
        job_id=job_id,
        node_id=node_id,
        state=state if isinstance(state, str) and state in STATES else "unknown",
        owner=_text(row, "owner"),
        holder=_text(row, "holder"),
        title=_text(row, "title"),
        engine=_text(row, "engine"),
        pid=_count(row, "pid"),
        started_ms=_count(row, "started_ms"),
        ended_ms=_count(row, "ended_ms"),
        exit_code=_count(row, "code"),
        exit_reason=_text(row, "reason"),
        restarts=_count(row, "restarts") or 0,
        plan_json=_plan(plan),
        log_bytes=_count(row, "log_bytes") or 0,
    )


def _plan(plan: object) -> bytes:
    try:
        return dump(plan) if isinstance(plan, dict) else b""
    except (ValueError, RecursionError):
        return b""


def _read_endpoint(where: object, node_id: str) -> Endpoint | None:
    """From spec.json's proof request: {"host", "port", "path", "model"}."""
    if not isinstance(where, dict):
        return None
    port, path = _count(where, "port"), _text(where, "path")
    base = next((path.removesuffix(proof) for proof in PROOF_PATHS if path.endswith(proof)), None)
    if not port or port > 65535 or base is None:
        return None
    return Endpoint(node_id, _text(where, "host") or "127.0.0.1", port, _text(where, "model"), base_path=base)


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return make_line(value, max_chars=300) if isinstance(value, str) else ""


def _count(row: Mapping[str, object], key: str) -> int | None:
    value = row.get(key)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
    return value if is_count and isinstance(value, int) else None
