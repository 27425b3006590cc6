"""What ARCHITECTURE.md and docs/serving.md name in the tree is there."""

from __future__ import annotations

import re

import pytest

from tests.house.tree import ROOT

NAMED = re.compile(r"`([a-z_.]+(?:/[A-Za-z_.*-]+)+/?|[a-z_]+\.(?:py|toml|md))`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
PLACES = (
    "",
    "sparkdesk",
    "sparkdesk/core",
    "sparkdesk/core/planning",
    "sparkdesk/remote",
    "sparkdesk/services",
    "sparkdesk/services/fleet",
    "sparkdesk/services/jobs",
    "sparkdesk/simulator",
    "resources/planning",
    "ui",
    "docs",
    "tests",
)
"""From where the pages shorten a name."""
PAGES = ("ARCHITECTURE.md", "README.md", "CONTRIBUTING.md", "docs/chat.md", "docs/serving.md", "docs/plans.md")
ELSEWHERE = {"view.py", "model.py"}
"""Of every pane, which are named as a kind."""
MADE = "build/"
"""What running leaves behind: a fresh clone has none of it."""


def is_there(name: str) -> bool:
    """Whether a name leads to a file or folder, as the page shortens it."""
    return any(list((ROOT / place).glob(name.rstrip("/"))) for place in PLACES)


def missing(text: str) -> list[str]:
    """Names of files and folders that lead nowhere."""
    found = [name for name in NAMED.findall(text) if name not in ELSEWHERE and not name.startswith((".", MADE))]
    return [name for name in found if not is_there(name) and not list(ROOT.glob(f"s*/**/{name}"))]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    path = ROOT / page
    text = path.read_text("utf-8")
    assert missing(text) == []
    assert [link for link in LINK.findall(text) if not (path.parent / link).exists()] == []


def test_a_name_that_leads_nowhere_is_found() -> None:
    text = "`sparkdesk/core/nowhere.py` and `gone.py` and `remote/job.py`"
    assert missing(text) == ["sparkdesk/core/nowhere.py", "gone.py"]
