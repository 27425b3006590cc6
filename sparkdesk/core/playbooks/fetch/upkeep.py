"""Builds the playbooks of the page Models on disk: bring, copy from this computer, verify, remove, clean.

The one rule: what is removed is named with its size in the step's title, and one model or image is one step.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparkdesk.core.command import Command
from sparkdesk.core.disk.view import DiskKey, Kind
from sparkdesk.core.errors import PlanError
from sparkdesk.core.playbooks.fetch.image import image_step
from sparkdesk.core.playbooks.fetch.transfer import run_program, source_of
from sparkdesk.core.playbooks.fetch.weights import weights_step
from sparkdesk.core.program import python_command
from sparkdesk.core.step import Expect, Follow, Playbook, Push, Run, Stage, Step
from sparkdesk.core.transfer import size_words

VERIFY_TIMEOUT_S = 4 * 3600.0
REMOVE_TIMEOUT_S = 600.0
MODEL_FILES = "~/models"


def fetch_playbook(key: DiskKey, node_id: str, programs: Mapping[str, bytes]) -> Playbook:
    """Fetch a model or an image to a node. Raises PlanError (a file has no place it could come from)."""
    if key.kind is Kind.FILE:
        raise PlanError(f"Nobody knows where {key.name} came from", remedy="Copy it from this computer.")
    if key.kind is Kind.IMAGE:
        return _book(image_step(node_id, key.name, programs))
    return _book(weights_step(node_id, key.name, programs))


def copy_playbook(key: DiskKey, node_id: str, programs: Mapping[str, bytes], *, source: str = "") -> Playbook:
    """Copy it from this computer: its hub cache, its docker, or `source`, a file, to ~/models. Raises PlanError."""
    if key.kind is Kind.IMAGE:
        return _book(image_step(node_id, key.name, programs, is_from_desk=True))
    if key.kind is Kind.MODEL:
        return _book(weights_step(node_id, key.name, programs, is_from_desk=True))
    name = key.name.rpartition("/")[2]
    if not source or not name:
        raise PlanError("No file was chosen", remedy="Choose a file of this computer.")
    push = Push(source, f"{MODEL_FILES}/{name}")
    return _book(Step(f"copy:{name}", f"Copy {name} to {MODEL_FILES}", node_id, (push,), phase="weights"))


def verify_playbook(key: DiskKey, node_id: str, programs: Mapping[str, bytes]) -> Playbook:
    """Read every file of a model again and compare its checksum. Raises PlanError for what has none."""
    if key.kind is not Kind.MODEL:
        raise PlanError(f"{key.name} has no checksums to compare with", remedy="Fetch it again where it is in doubt.")
    source = source_of(programs, "hub_cache")
    is_ok = Expect(reader="json_field:ok", equals="true")
    follow = Follow(python_command([source], "verify", key.name), "transfer", is_ok, VERIFY_TIMEOUT_S, stdin=source)
    return _book(Step(f"verify:{key.name}", f"Verify {key.name}", node_id, (follow,), phase="verify"))


def remove_playbook(
    key: DiskKey, node_id: str, programs: Mapping[str, bytes], *, size_bytes: int | None = None
) -> Playbook:
    """Remove it from a node. docker refuses an image that a container still uses."""
    size = f" ({size_words(size_bytes)})" if size_bytes is not None else ""
    if key.kind is Kind.IMAGE:
        run = Run(Command(("docker", "image", "rm", key.name)), timeout_s=REMOVE_TIMEOUT_S)
    else:
        verb = "remove" if key.kind is Kind.MODEL else "remove_file"
        is_gone = Expect(reader="json_field:removed", equals="true")
        source = source_of(programs, "hub_cache")
        run = run_program(source, verb, key.name, expect=is_gone, timeout_s=REMOVE_TIMEOUT_S)
    return _book(Step(f"remove:{key.name}", f"Remove {key.name}{size}", node_id, (run,), phase="remove"))


def clean_playbook(
    name: str, node_id: str, programs: Mapping[str, bytes], *, size_bytes: int | None = None
) -> Playbook:
    """Empty a compile cache; the next start of its engine compiles anew."""
    size = f" ({size_words(size_bytes)})" if size_bytes is not None else ""
    is_gone = Expect(reader="json_field:removed", equals="true")
    source = source_of(programs, "hub_cache")
    run = run_program(source, "clean", name, expect=is_gone, timeout_s=REMOVE_TIMEOUT_S)
    return _book(Step(f"clean:{name}", f"Empty the compile cache of {name}{size}", node_id, (run,), phase="remove"))


def _book(step: Step) -> Playbook:
    return Playbook(step.title, (Stage(step.title, (step,)),))
