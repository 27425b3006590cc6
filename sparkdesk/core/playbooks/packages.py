"""How a step installs packages of the node's own sources: without a question, and with nothing but what was named.

The one rule: what was installed stays; undo leaves packages alone, and the report lists them.
"""

from __future__ import annotations

from sparkdesk.core.command import Command
from sparkdesk.core.step import Expect, Run

UPDATE_S = 120.0
INSTALL_S = 600.0
_ENV = {"DEBIAN_FRONTEND": "noninteractive"}
_FAILED = 100
"""Source: apt-get(8), DIAGNOSTICS. Without a network the lists stay as old as they are, and may do."""
_OPTIONS = ("-q", "-o", "DPkg::Lock::Timeout=60")
"""Another apt that is at work is waited for. Source: apt.conf(5)."""


def install_packages(*names: str) -> tuple[Run, ...]:
    """Fetch the lists, as far as they can be had, and install these packages."""
    update = Command(("apt-get", *_OPTIONS, "update"), env=_ENV)
    install = Command(("apt-get", *_OPTIONS, "install", "-y", "--no-install-recommends", *names), env=_ENV)
    return (
        Run(update, Expect(exit_codes=(0, _FAILED)), timeout_s=UPDATE_S, as_root=True),
        Run(install, timeout_s=INSTALL_S, as_root=True),
    )
