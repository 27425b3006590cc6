"""A plan's row with a heap of agents' tasks on it: when all are done, and how many to ask at once.

The one rule: as many at once as the row's memory holds and no more; what its neighbours take is taken here too.
"""

from __future__ import annotations

from sparkdesk.core.planning.agent.workload import AgentRun, AgentWorkload, run_tasks
from sparkdesk.core.planning.neighbour import predict_shared
from sparkdesk.core.planning.prediction import UNKNOWN_PREDICTION, Prediction
from sparkdesk.core.planning.reference import Reference
from sparkdesk.core.planning.row import PlanRow
from sparkdesk.core.planning.speed.performance import predict


def plan_agents(
    row: PlanRow, reference: Reference, *, tasks: int | None = None, concurrency: int | None = None
) -> AgentRun:
    """How long the tasks take with the row's setup; `tasks` None: one for each of its users. `concurrency` None: best.

    Raises ValueError as `run_tasks` does.
    """
    load = row.workload
    work = AgentWorkload(
        load.users if tasks is None else tasks, load.prompt_tokens, load.answer_tokens, load.cached_share, concurrency
    )

    def predict_at(users: int) -> Prediction:
        if row.max_concurrency is not None and users > row.max_concurrency:
            return UNKNOWN_PREDICTION
        now = work.at(users)
        alone = predict(row.setup, now, row.place, reference)
        shared = predict_shared(
            row.place, alone, lambda share: predict(row.setup, now, row.place, reference, share=share)
        )
        return alone if shared is None else shared

    return run_tasks(work, predict_at)
