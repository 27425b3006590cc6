"""Judges what should be alike over the nodes of a cluster and is not: driver, system, CUDA, firmware.

The one rule: a node whose version is not known neither differs nor agrees; the rows are those of the comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sparkdesk.core.cluster.details import NodeDetails
from sparkdesk.core.findings.concern import Concern, Judgement, Severity, concern_id
from sparkdesk.core.findings.view import NodeNow
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.probes.comparison import differences

RULE = "differs"
SEVERITIES = {
    "driver": Severity.WARN,
    "dgx_os": Severity.WARN,
    "kernel": Severity.WARN,
    "cuda": Severity.WARN,
    "nccl": Severity.NOTE,
    "bios": Severity.NOTE,
    "nic_firmware": Severity.NOTE,
}
"""Fields of the details that matter; what is unlike by design (product, memory, rights) is none."""
MAX_EVIDENCE_CHARS = 500


def judge_versions(views: tuple[NodeNow, ...]) -> Iterator[Judgement]:
    """One judgement a field, about the cluster as a whole."""
    if len(views) < 2:
        yield from (Judgement(concern_id(RULE, "", field)) for field in SEVERITIES)
        return
    details = [replace(view.details or NodeDetails(view.node_id), node_id=view.node_id) for view in views]
    rows = {row.field: row for row in differences(details)}
    for field, severity in SEVERITIES.items():
        key = concern_id(RULE, "", field)
        row = rows.get(field)
        if row is None or (not row.is_different and "" in row.values):
            yield Judgement(key, is_known=False)
        elif not row.is_different:
            yield Judgement(key)
        else:
            named = [(view, value) for view, value in zip(views, row.values, strict=True) if value]
            words = ", ".join(f"{view.name} {value}" for view, value in named)
            concern = Concern(
                rule=RULE,
                node_id="",
                severity=severity,
                title=f"{row.title} differs between the nodes",
                evidence=make_line(words, max_chars=MAX_EVIDENCE_CHARS),
                cost=row.meaning,
                remedy="Bring the nodes to the same version: update them in the DGX Dashboard, one after another.",
                subject=field,
                fingerprint=make_line(" ".join(sorted(f"{view.node_id}={value}" for view, value in named))),
            )
            yield Judgement(key, concern)
