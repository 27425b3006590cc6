"""Runs a lane of tests; the few that failed are run once more, one after the other, with nothing beside them.

Most tests have real servers, sshd and processes under them, and a lane runs several at once: on a busy machine one may
wait longer than it allows. The one rule: nothing is hidden. What failed is printed whole and by name, what is broken
fails twice, and more failures than a busy machine explains are not tried again.

    python tests/lane.py <arguments of pytest>
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

AGAIN_AT_MOST = 8
"""More failures at once are no matter of time. Our own choice."""
LAST_FAILED = Path("build/pytest/v/cache/lastfailed")
"""Where pytest keeps them (cache_dir in pyproject.toml)."""
SOME_FAILED = 1
"""pytest's exit code."""
ONE_AT_A_TIME = ("-n", "0", "--dist", "no")


def failed_tests() -> list[str]:
    """The names of those that failed in the lane that just ended."""
    try:
        return sorted(json.loads(LAST_FAILED.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []


def run_pytest(arguments: Sequence[str]) -> int:
    """pytest with these arguments, in a process of its own; its exit code."""
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """Run the lane; its exit code is pytest's."""
    LAST_FAILED.unlink(missing_ok=True)
    code = run_pytest(arguments)
    names = failed_tests()
    if code != SOME_FAILED or not 0 < len(names) <= AGAIN_AT_MOST:
        return code
    words = f"\n{len(names)} failed. Once more, alone (a busy machine can make a test wait too long):"
    print(words, *names, sep="\n  ", flush=True)
    return run_pytest([*arguments, *ONE_AT_A_TIME, "--last-failed", "--last-failed-no-failures", "none"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
