"""Builds the step that downloads something on a node apart from any channel (remote/transfer.py).

The one rule: the step's check asks whether it is whole, so an interrupted one goes on from what is there; taking it
back stops it, and what was fetched stays for the next try.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from sparkdesk.core.command import Command
from sparkdesk.core.errors import PlanError
from sparkdesk.core.program import python_command
from sparkdesk.core.step import Action, Expect, PutFile, PutSecrets, Run, Step, Wait

FOLDERS = "~/.local/state/sparkdesk/transfers"
TRANSFER_TIMEOUT_S = 24 * 3600.0
LOOK_TIMEOUT_S = 120.0
EVERY_S = 1.0
SPARK_ARCHITECTURE = "arm64"
"""A DGX Spark's processor, as docker names it."""
PROGRAMS = ("fetch", "hub", "hub_cache", "pull", "transfer")
"""What PlanContext.programs must hold for these steps, by the names in remote/."""


@dataclass(frozen=True, slots=True)
class Download:
    """What is downloaded: `program` is fetch or pull, `words` its arguments."""

    program: str
    words: tuple[str, ...]
    needs_token: bool = False

    @property
    def folder(self) -> str:
        """Its folder on the node: the same for the same words, so that two who want it share one download."""
        name = "\0".join((self.program, *self.words)).encode()
        return f"{FOLDERS}/{hashlib.sha256(name).hexdigest()[:24]}"


def source_of(programs: Mapping[str, bytes], name: str) -> bytes:
    """One of our programs for nodes. Raises PlanError when this program's installation lacks it."""
    source = programs.get(name, b"")
    if not source:
        raise PlanError(f"The program {name} for nodes is missing", remedy="Install SparkDesk again.")
    return source


def run_program(source: bytes, *words: str, expect: Expect, timeout_s: float = LOOK_TIMEOUT_S) -> Run:
    """Run one of our programs on the node without leaving a file there."""
    return Run(python_command([source], *words), expect, stdin=source, timeout_s=timeout_s)


def download_actions(download: Download, programs: Mapping[str, bytes]) -> tuple[Action, ...]:
    """Begin it, unless it runs already, and wait for its end."""
    folder = download.folder
    names = (("HF_TOKEN", "hub_token?"),) if download.needs_token else ()
    parts = (download.program, "hub") if download.program == "fetch" else (download.program,)
    secrets = (PutSecrets(f"{folder}/secrets.json", names),) if names else ()
    return (
        PutFile(f"{folder}/transfer.py", source_of(programs, "transfer"), 0o700),
        *(PutFile(f"{folder}/{part}.py", source_of(programs, part), 0o700) for part in parts),
        *secrets,
        Run(
            transfer_command(folder, "start", f"{download.program}.py", *download.words),
            Expect(reader="json_field:started", equals="true"),
        ),
        Wait(
            transfer_command(folder, "status"),
            Expect(reader="json_field:state", equals="done"),
            every_s=EVERY_S,
            timeout_s=TRANSFER_TIMEOUT_S,
            give_up=Expect(reader="json_field:ended", equals="true"),
            reader="transfer",
            on_cancel=transfer_command(folder, "stop"),
        ),
    )


def stop_actions(download: Download) -> tuple[Action, ...]:
    """Stop it; what it fetched stays. A download that never began has no program there, which is fine too."""
    folder = download.folder.removeprefix("~/")
    script = f'[ -e "$HOME/{folder}/transfer.py" ] || {{ echo \'{{"stopped": true}}\'; exit 0; }}; exec ' + _line(
        download.folder, "stop"
    )
    return (Run(Command(("sh", "-c", script, "sh")), Expect(reader="json_field:stopped", equals="true")),)


def transfer_command(folder: str, verb: str, *words: str) -> Command:
    """One verb of the program that lies in a transfer's folder."""
    return Command(("sh", "-c", "exec " + _line(folder, verb), "sh", *words))


def _line(folder: str, verb: str) -> str:
    # The shell expands $HOME here: words of a Command are quoted, and ~ in them stays as it is.
    place = f'"$HOME/{folder.removeprefix("~/")}"'
    return f'python3 -I -S {place}/transfer.py {verb} {place} "$@"'


def download_step(
    step: Step, download: Download, programs: Mapping[str, bytes], *, after: tuple[Action, ...] = ()
) -> Step:
    """The step with what begins, follows and ends a download; `after` comes behind it."""
    return Step(
        id=step.id,
        title=step.title,
        node=step.node,
        phase=step.phase,
        check=step.check,
        apply=(*download_actions(download, programs), *after),
        verify=step.verify or step.check,
        undo=stop_actions(download),
    )
