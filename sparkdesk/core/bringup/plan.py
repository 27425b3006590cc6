"""The one plan of a bring-up: a value that is shown, exported, and identical to what runs.

The one rule: everything that will change a node is in `playbook`; the proof only measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapter import Chapter, FileDiff
from sparkdesk.core.bringup.matrix import Matrix
from sparkdesk.core.bringup.proof.measurement import ProofItem
from sparkdesk.core.bringup.scheme import Scheme
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Playbook


@dataclass(frozen=True, slots=True)
class BringUpPlan:
    """What will be done and measured. An empty playbook: everything is as it should be."""

    mark: str
    made_ms: int
    node_ids: tuple[str, ...]
    names: Mapping[str, str]
    shape: Shape
    matrix: Matrix
    playbook: Playbook
    proof: Playbook
    proof_items: tuple[ProofItem, ...]
    scheme: Scheme
    diffs: tuple[FileDiff, ...] = ()
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By the value of the chapter."""
    obstacles: tuple[str, ...] = ()
    """Sentences: what must be mended by a person before this can run at all."""
    choices: Choices = field(default_factory=Choices)
    image: str = ""
    """The image in which NCCL is proved, named or picked; "" while there is none."""
    is_simulated: bool = False

    @property
    def change_count(self) -> int:
        """How many steps would change something; those of trust prove only that the others can."""
        return sum(step.phase != Chapter.TRUST.value for step in self.playbook.steps())
