"""Which plan the form follows where the person left it alone: the best that can be started and is not refused. Pure.

The one rule: a plan that can be started from here goes before one that cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sparkdesk.core.models.spec import WeightFormat
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.search.question import Limits
from ui.launch.choice.default import PLAN_FIELDS, Around, fewest_nodes, fill_defaults, ids_of, is_within, limits_of
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import Form
from ui.launch.preview import refused_fields

MAX_TRIED = 8
"""Plans that the form looks at for one that the engine's adapter takes."""


def take_room(rows: Sequence[PlanRow], everywhere: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The fewest nodes on which a model fits, else all of them, and why so many. `rows` are of all of them."""
    fewest = fewest_nodes(rows)
    nodes = fewest or everywhere
    return nodes, f"{len(nodes)} is the fewest it fits on" if fewest else f"too big even for {len(nodes)}"


@dataclass(frozen=True, slots=True)
class Following:
    """What the choice leans on. `ask` gives the rows on these nodes within these limits."""

    feeds: LaunchFeeds
    around: Around
    ask: Callable[[tuple[str, ...], Limits], Sequence[PlanRow]]
    keeps_nodes: bool
    """A node that the best plan does without was chosen all the same."""
    stop_job_id: str = ""

    def best_of(self, form: Form, rows: Sequence[PlanRow], weights: WeightFormat | None) -> Form:
        """The form with what the person left alone as the best plan has it, within what the person fixed.

        `weights` is the checkpoint that the person named.
        """
        wanted, fixed = form, form.touched & set(PLAN_FIELDS)
        if weights is not None and "model" in form.touched:
            wanted, fixed = replace(form, quantization=weights.key), fixed | {"quantization"}
        can_spare = not self.keeps_nodes and "parallelism" not in fixed
        pool = set(form.pool)
        on_nodes = [
            row
            for row in rows
            if ids_of(row) == form.nodes or (can_spare and row.rank > 0 and pool.issuperset(ids_of(row)))
        ]
        found = [row for row in on_nodes if is_within(row.setup, wanted, fixed)]
        found = found or list(self.ask(form.nodes, limits_of(wanted, fixed)))
        can_start = [row for row in found if row.setup.engine.key in self.around.backends][:MAX_TRIED]
        tried = [
            fill_defaults(replace(form, best=row, nodes=ids_of(row)), self.around) for row in can_start or found[:1]
        ]
        taken = (each for each in tried if not refused_fields(each, self.feeds, self.stop_job_id) & set(PLAN_FIELDS))
        plain = fill_defaults(replace(form, best=None), self.around)
        return next(taken, next(iter(tried), plain))
