"""A published measurement of a server, with everything that it depends on.

The one rule: what the source does not say is not filled in silently: `assumed` lists it, and a row whose configuration
is not known stands in the report but fits nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sparkdesk.core.planning.parallelism import Parallelism
from sparkdesk.core.planning.workload import Workload


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row of resources/planning/measurements.toml. `None` was not measured."""

    key: str
    source: str
    model: str
    """Key of the catalogue."""
    format: str
    engine: str
    build: str
    parallelism: Parallelism
    prompt_tokens: int
    answer_tokens: int
    users: int
    kv_dtype: str = ""
    speculative: str = "none"
    cached_share: float = 0.0
    device: str = "gb10"
    ttft_s: float | None = None
    tpot_s: float | None = None
    """Per user, at this number of users."""
    ttft_definition: str = ""
    tpot_definition: str = ""
    assumed: str = ""
    """What the source does not say and the planner takes, in words."""
    is_fitted: bool = True
    """False: shown in the report, fits nothing and is nobody's nearest case."""
    why_not: str = ""
    """Why it fits nothing."""

    @property
    def workload(self) -> Workload:
        """The load it was measured under."""
        return Workload("measured", self.key, self.prompt_tokens, self.answer_tokens, self.users, self.cached_share)
