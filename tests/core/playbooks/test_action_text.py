"""How a command is shown: as few lines as it needs, and word for word what runs."""

from __future__ import annotations

import shlex

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.action_text import WIDTH_CHARS, describe_action
from sparkdesk.core.step import Run

SCRIPT = "import sys\nfor n in (1, 2): print(n)"
NASTY = "a \\\n  b"


@pytest.mark.parametrize(
    "argv",
    [
        ("usermod", "-aG", "docker", "nvidia"),
        ("docker", "run", "--rm", "--pull", "never", *(f"--label=part{at}=of-a-long-line" for at in range(9)), "image"),
        ("python3", "-I", "-S", "-u", "-c", SCRIPT, "look", "{}"),
        ("echo", NASTY, "-n", "x"),
    ],
)
def test_what_is_shown_is_what_runs(argv: tuple[str, ...]) -> None:
    text = describe_action(Run(Command(argv)))
    words = [word for word in shlex.split(text) if word != "\n"]  # a shell takes a break between words for none
    assert tuple(words[-len(argv) :]) == argv


def test_a_command_takes_no_more_lines_than_it_needs() -> None:
    short = describe_action(Run(Command(("usermod", "-aG", "docker", "nvidia"))))
    assert short.endswith("usermod -aG docker nvidia")
    assert "\n" not in short
    long = describe_action(Run(Command(("docker", "run", *(f"--label=part{at}=of-a-long-line" for at in range(9))))))
    lines = long.split("\n")
    assert 4 <= len(lines) <= 6
    assert all(len(line) <= WIDTH_CHARS + 4 for line in lines)
