"""Turns what the doctor's judges say into concerns: of samples and details all the time, of a check-up when it was run.

The one rule: what the doctor could not read is not known here either; a threshold stands in the doctor's table alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id
from sparkdesk.core.findings.doctored import answers_of
from sparkdesk.core.findings.view import NodeNow
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.probes import doctor_gpu, doctor_memory, doctor_system
from sparkdesk.core.probes.check import Finding, Verdict
from sparkdesk.core.probes.read import Answers
from sparkdesk.core.step import Playbook

SUSTAINED_S = 10.0
"""Own choice: together with the 20 s that the doctor's judges are shown, half a minute of something lasting."""
_LOADING = (JobState.PLANNED, JobState.STARTING, JobState.LOADING)
_AGAIN = "The doctor found this; it stays here until the doctor is run again."
_SEVERITIES = {Verdict.WARN: Severity.WARN, Verdict.FAIL: Severity.CRIT}


@dataclass(frozen=True, slots=True)
class _Row:
    """How a check's finding becomes a concern."""

    check_id: str
    title: str
    sustained_s: float = SUSTAINED_S
    is_categorical: bool = False
    """Its message holds no figures that move, so a change of it is a change of the matter."""
    warn: Severity = Severity.WARN
    fail: Severity = Severity.CRIT


_ROWS: tuple[tuple[Callable[[Answers, str], Finding], _Row], ...] = (
    (doctor_gpu.judge_slow_state, _Row("slow-state", "The GPU's clock is low under load")),
    (doctor_gpu.judge_temperature, _Row("temperature", "The node is hot")),
    (doctor_memory.judge_pressure, _Row("memory-pressure", "Memory is short")),
    (doctor_memory.judge_swap, _Row("swap", "Memory of programs lies on the disk", fail=Severity.WARN)),
    (doctor_memory.judge_page_cache, _Row("page-cache", "The page cache holds memory", warn=Severity.NOTE)),
    (doctor_system.judge_disk, _Row("disk-space", "The disk has little room", warn=Severity.NOTE)),
    (doctor_system.judge_pcie, _Row("pcie-width", "A ConnectX-7 has lost PCIe speed", 0.0, True, fail=Severity.WARN)),
    (doctor_gpu.judge_driver, _Row("driver-branch", "The driver is not one for DGX OS", 0.0, True)),
    (doctor_system.judge_kernel, _Row("kernel-signature", "The kernel is not one for DGX OS", 0.0, True)),
    (doctor_system.judge_reboot, _Row("reboot-required", "A restart is due", 0.0, warn=Severity.NOTE)),
)
ALWAYS_ASKED = frozenset(row.check_id for _, row in _ROWS)


def judge_node(view: NodeNow, _views: tuple[NodeNow, ...]) -> Iterator[Judgement]:
    """What samples and details tell the doctor's judges."""
    answers = answers_of(view)
    for judge, row in _ROWS:
        yield _judgement(row, judge(answers, view.node_id), view)


def judge_check_up(view: NodeNow, _views: tuple[NodeNow, ...]) -> Iterator[Judgement]:
    """What the last check-up found beyond that; it holds until the doctor is run again."""
    for finding in view.check_up.findings if view.check_up is not None else ():
        if finding.check_id not in ALWAYS_ASKED:
            judgement = _judgement(_Row(finding.check_id, finding.title, 0.0), finding, view)
            if judgement.concern is not None:
                told = replace(judgement.concern, remedy=f"{judgement.concern.remedy} {_AGAIN}".strip())
                judgement = replace(judgement, concern=told)
            yield judgement


def _judgement(row: _Row, finding: Finding, view: NodeNow) -> Judgement:
    key = concern_id(row.check_id, view.node_id)
    concern = None
    if finding.verdict in _SEVERITIES:
        severity = row.warn if finding.verdict is Verdict.WARN else row.fail
        if row.check_id == "page-cache" and any(job.state in _LOADING for job in view.jobs):
            severity = Severity.WARN  # a load that is under way is what the cache is in the way of
        concern = Concern(
            rule=row.check_id,
            node_id=view.node_id,
            severity=severity,
            title=row.title,
            evidence=finding.message,
            cost=finding.meaning,
            remedy=finding.remedy,
            fix=finding.fix or _checked_fix(view, finding),
            fingerprint=finding.message if row.is_categorical else finding.verdict.value,
        )
    return Judgement(
        key,
        concern,
        is_known=finding.verdict is not Verdict.UNREAD,
        appear_s=row.sustained_s,
        clear_s=row.sustained_s,
    )


def _checked_fix(view: NodeNow, finding: Finding) -> Playbook | None:
    """What the last check-up offered for the same: it read what samples do not tell, e.g. how it is set now."""
    found = view.check_up.findings if view.check_up is not None else ()
    is_same = (one.fix for one in found if one.check_id == finding.check_id and one.verdict in _SEVERITIES)
    return next(is_same, None)
