"""What a person has written to a file is for that person's eyes only."""

from __future__ import annotations

import stat
from pathlib import Path

from sparkdesk.app.owned_file import write_for_owner


def test_a_file_is_for_its_owner_only_also_where_another_stood(tmp_path: Path) -> None:
    fresh, old = tmp_path / "fresh.json", tmp_path / "old.json"
    old.write_bytes(b"what others may read")
    old.chmod(0o644)
    for path in (fresh, old):
        write_for_owner(path, b"chat")
        assert path.read_bytes() == b"chat"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
