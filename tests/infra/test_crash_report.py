"""A crash report is for its owner alone, holds no secret, and never makes things worse."""

from __future__ import annotations

import stat
from pathlib import Path

from sparkdesk.infra.crash_report import KEPT, write_report


def test_a_report_is_for_its_owner_alone_and_old_ones_go(tmp_path: Path) -> None:
    for index in range(KEPT + 3):
        path = write_report(tmp_path, f"report {index} token=abc")
        assert path is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "abc" not in path.read_text()
    assert len(list(tmp_path.iterdir())) == KEPT


def test_a_folder_that_is_gone_is_no_second_mistake(tmp_path: Path) -> None:
    assert write_report(tmp_path / "gone", "text") is None
