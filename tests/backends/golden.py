"""Compares a plan to the text that a person reviewed (tests/golden).

After a wanted change: SPARKDESK_WRITE_GOLDEN=1 pytest tests/backends, then read the difference before it is committed.
"""

from __future__ import annotations

import os

from sparkdesk.core.jobs.plan import LaunchPlan
from tests.backends.context import ROOT, show_plan


def check_golden(name: str, plan: LaunchPlan) -> None:
    """Fails where the plan is not the reviewed one."""
    path = ROOT / "tests/golden" / f"{name}.txt"
    text = show_plan(plan)
    if os.environ.get("SPARKDESK_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()
