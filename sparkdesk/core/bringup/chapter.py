"""The chapters of a bring-up, in the order in which they are read and done.

The one rule: a chapter is usable alone. The phase of each step of the playbook is its chapter's value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.bringup.matrix import Row
from sparkdesk.core.step import Stage


class Chapter(StrEnum):
    """A chapter; its value is the phase of its steps."""

    TRUST = "trust"
    HARDWARE = "hardware"
    KEYS = "keys"
    DOCKER = "docker"
    CABLING = "cabling"
    NETWORK = "network"
    GUARD = "guard"
    PROOF = "proof"
    FINISH = "finish"

    @property
    def words(self) -> str:
        """How the list of steps calls it."""
        return _WORDS[self]


_WORDS = {
    Chapter.TRUST: "Find and trust",
    Chapter.HARDWARE: "Hardware and OS",
    Chapter.KEYS: "SSH keys",
    Chapter.DOCKER: "Docker and NVIDIA runtime",
    Chapter.CABLING: "Cabling",
    Chapter.NETWORK: "CX-7 addresses and MTU",
    Chapter.GUARD: "Memory guard",
    Chapter.PROOF: "Proof: RDMA and NCCL",
    Chapter.FINISH: "Finish",
}


@dataclass(frozen=True, slots=True)
class FileDiff:
    """A file that the plan writes on a node. `before` None: there is none, or `is_before_known` is False."""

    node_id: str
    path: str
    before: str | None
    after: str | None
    """None: the file goes."""
    is_before_known: bool = True
    note: str = ""
    """One sentence below it, e.g. "Subnets chosen free on all nodes. enP7s7 10.0.20.33 stays untouched." """
    chapter: Chapter = Chapter.NETWORK
    """Whose steps write it; the plan sets it, since a chapter need not name itself in each of its files."""


@dataclass(frozen=True, slots=True)
class ChapterPlan:
    """What a chapter shows and does: its rows of the matrix, the stages of its steps, the files that it writes."""

    chapter: Chapter
    rows: tuple[Row, ...] = ()
    stages: tuple[Stage, ...] = ()
    diffs: tuple[FileDiff, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences that a person should read before applying, e.g. "Kept as is: a valid scheme was found"."""
