"""What the planner says of a launch under a load: its speed, and what it leaves of its nodes. A value."""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.planning.prediction import Prediction


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the planner says of one request under one load. `is_shared`: the neighbours are reckoned with."""

    prediction: Prediction
    fit: Fit
    left_bytes: int | None
    """On the fullest node, with this request in place of the job's own; None: not known."""
    is_shared: bool = False
    step_tokens: float = 1.0
    """Tokens that a step makes by the planner: more than 1 where guesses are expected to be accepted."""
