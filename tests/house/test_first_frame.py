"""The window paints before anything heavy is imported: not one slip in a chain of imports may undo that."""

from __future__ import annotations

import subprocess
import sys

from tests.house.tree import ROOT

HEAVY = ("numpy", "pydantic", "pyqtgraph", "asyncssh", "httpx", "zeroconf", "keyring")
SCRIPT = "import sys, sparkdesk.app.window; print([name for name in sys.argv[1:] if name in sys.modules])"


def test_nothing_heavy_is_imported_before_the_first_frame() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *HEAVY], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
