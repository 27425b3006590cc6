"""Keeps a report of each mistake of ours, for the person to send or not.

The one rule: a report is for its owner alone and holds no secret; a disk that refuses it stops nothing.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from sparkdesk.core.bug import without_secrets

KEPT = 20
MAX_CHARS = 200_000


def write_report(folder: Path, text: str) -> Path | None:
    """Write a report (0600) and let go of the oldest beyond `KEPT`; None when the disk refuses."""
    now_ns = time.time_ns()  # to the nanosecond, so that names sort as the reports came
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now_ns // 10**9))
    name = f"crash-{stamp}-{now_ns % 10**9:09}.txt"
    try:
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(without_secrets(text)[:MAX_CHARS])
        for old in sorted(folder.glob("crash-*.txt"))[:-KEPT]:
            old.unlink()
    except OSError:
        return None
    return folder / name
