"""The files of a bring-up's report: their names and what stands in them.

The one rule: both tell the same state; where they go is not decided here.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from sparkdesk.core.bringup.report import report_json, report_markdown
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.errors import SparkDeskError
from sparkdesk.services.bringup.board import Board
from sparkdesk.services.bringup.parts import BringUpParts


def report_files(state: BringUpState, cluster_name: str, now_ms: int) -> tuple[tuple[str, bytes], ...]:
    """Names and contents, Markdown first."""
    stem = time.strftime("bring-up-%Y%m%d-%H%M%S", time.localtime(now_ms / 1000))
    stem += f"-{state.phase.value}" if state.phase in (Phase.FAILED, Phase.UNDONE) else ""
    return (
        (f"{stem}.md", report_markdown(state, cluster_name).encode()),
        (f"{stem}.json", report_json(state, cluster_name)),
    )


class Reports:
    """Saves reports, beside whatever is done meanwhile."""

    def __init__(self, parts: BringUpParts, board: Board) -> None:
        self._parts = parts
        self._board = board

    async def save(self, folder: Path | None) -> None:
        """Save the report of how it stands into this folder, or into that of all reports. Raises SettingsError."""
        paths = await self._write(self._board.state.value, folder)
        self._board.show(replace(self._board.state.value, report_paths=paths))

    def save_soon(self) -> None:
        """Save the report of how it stands now; it is told as long as that is the end."""
        self._parts.tasks.start(self._save, self._board.state.value)

    async def _save(self, state: BringUpState) -> None:
        said: dict[str, Any]
        try:
            said = {"report_paths": await self._write(state, None)}
        except SparkDeskError as error:
            said = {"message": f"{state.message} The report was not saved: {error.message}".strip()}
            said["remedy"] = state.remedy or error.remedy
        now = self._board.state.value
        if (now.phase, now.ended_ms) == (state.phase, state.ended_ms):
            self._board.show(replace(now, **said))

    async def _write(self, state: BringUpState, folder: Path | None) -> tuple[str, ...]:
        cluster = self._parts.inventory.cluster.value
        files = report_files(state, cluster.name if cluster is not None else "", self._parts.clock.now_ms())
        return tuple([await self._parts.save_file(folder, name, data) for name, data in files])
