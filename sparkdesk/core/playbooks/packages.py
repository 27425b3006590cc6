"""How a step installs packages of the node's own sources: without a question, and with nothing but what was named.

The one rule: what a chapter needed stays installed, and the report lists it; only the container toolkit, which changes
what docker does, goes with its undo.
"""

from __future__ import annotations

from sparkdesk.core.command import Command
from sparkdesk.core.step import Action, Expect, Run

UPDATE_S = 120.0
INSTALL_S = 600.0
_ENV = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l", "NEEDRESTART_SUSPEND": "1"}
"""No question, and no service is started anew behind a job's back: Ubuntu's needrestart is told to stay away, or at
most to list. Source: debconf(7); needrestart(1) for the mode; its hook for apt (apt-pinvoke) for the other."""
_FAILED = 100
"""Source: apt-get(8), DIAGNOSTICS. Without a network the lists stay as old as they are, and may do."""
_OPTIONS = ("-q", "-o", "DPkg::Lock::Timeout=60")
"""Another apt that is at work is waited for. Source: apt.conf(5)."""


def install_packages(*names: str) -> tuple[Run, ...]:
    """Fetch the lists, as far as they can be had, and install these packages."""
    return (
        Run(_apt("update"), Expect(exit_codes=(0, _FAILED)), timeout_s=UPDATE_S, as_root=True),
        Run(_apt("install", "-y", "--no-install-recommends", *names), timeout_s=INSTALL_S, as_root=True),
    )


def remove_packages(program: str, *names: str) -> Run:
    """Remove these packages again; where their program is nowhere there is nothing to do, and apt may not know them."""
    return Run(Command((*_REMOVE, program, *names), env=_ENV), timeout_s=INSTALL_S, as_root=True)


def removed_packages(action: Action) -> tuple[str, ...]:
    """The packages that an action of `remove_packages` removes; none for any other one."""
    argv = action.command.argv if isinstance(action, Run) else ()
    return argv[len(_REMOVE) + 1 :] if argv[: len(_REMOVE)] == _REMOVE else ()


def _apt(*words: str) -> Command:
    return Command(("apt-get", *_OPTIONS, *words), env=_ENV)


_REMOVE = ("sh", "-c", f'command -v "$0" > /dev/null || exit 0; exec {" ".join(_apt("remove", "-y").argv)} "$@"')
"""The program, then the packages, follow."""
