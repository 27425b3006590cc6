"""The files of a bring-up's report: their names and what stands in them.

The one rule: both tell the same state; where they go is not decided here.
"""

from __future__ import annotations

import time
from pathlib import Path

from sparkdesk.core.bringup.report import report_json, report_markdown
from sparkdesk.core.bringup.state import BringUpState
from sparkdesk.services.bringup.parts import BringUpParts


def report_files(state: BringUpState, cluster_name: str, now_ms: int) -> tuple[tuple[str, bytes], ...]:
    """Names and contents, Markdown first."""
    stem = time.strftime("bring-up-%Y%m%d-%H%M%S", time.localtime(now_ms / 1000))
    return (
        (f"{stem}.md", report_markdown(state, cluster_name).encode()),
        (f"{stem}.json", report_json(state, cluster_name)),
    )


async def save_files(parts: BringUpParts, state: BringUpState, folder: Path | None) -> tuple[str, ...]:
    """Save them into this folder, or into that of all reports; gives where they are. Raises SettingsError."""
    cluster = parts.inventory.cluster.value
    files = report_files(state, cluster.name if cluster is not None else "", parts.clock.now_ms())
    return tuple([await parts.save_file(folder, name, data) for name, data in files])
