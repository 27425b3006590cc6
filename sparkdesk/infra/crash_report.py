"""Keeps a report of each mistake of ours, for the person to send or not.

The one rule: a report is for its owner alone and holds no secret; a disk that refuses it stops nothing.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

KEPT = 20
MAX_CHARS = 200_000
_HIDDEN = "(left out)"
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(?i)(?<=bearer )[^\s'\"]+"),
    # key=value, key: value and 'key': 'value', the value whole when it stands in quotes.
    re.compile(
        r"(?i)(?<![a-z])((?:pass(?:word|phrase|wd)?|secret|token|api[_-]?key|authorization)['\"]?\s*[=:]\s*)"
        r"(b?'[^'\n]*'|b?\"[^\"\n]*\"|[^\s,;)'\"]+)"
    ),
)


def without_secrets(text: str) -> str:
    """The text, with what looks like a key, a password or a token left out."""
    text = _SECRETS[0].sub(_HIDDEN, text)
    text = _SECRETS[1].sub(_HIDDEN, text)
    return _SECRETS[2].sub(rf"\g<1>{_HIDDEN}", text)


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
