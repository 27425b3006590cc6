"""The files of a bring-up's report: their names and what stands in them.

The one rule: both tell the same state; who saves them, and where, is not decided here.
"""

from __future__ import annotations

import time

from sparkdesk.core.bringup.report import report_json, report_markdown
from sparkdesk.core.bringup.state import BringUpState


def report_files(state: BringUpState, cluster_name: str, now_ms: int) -> tuple[tuple[str, bytes], ...]:
    """Names and contents, Markdown first."""
    stem = time.strftime("bring-up-%Y%m%d-%H%M%S", time.localtime(now_ms / 1000))
    return (
        (f"{stem}.md", report_markdown(state, cluster_name).encode()),
        (f"{stem}.json", report_json(state, cluster_name)),
    )
