"""What it costs to plan: all ways to serve one model on four nodes, and the whole catalogue on one to four.

Pure core on the tables that ship. The one rule: CPU time of this process, the median of several; the dearest model of
the catalogue counts, not the mean.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from sparkdesk.core.planning.place import NodeRoom, Place
from sparkdesk.core.planning.search.question import Question
from sparkdesk.core.planning.search.rows import plan_rows
from sparkdesk.core.planning.search.table import models_table
from sparkdesk.core.planning.workload import BATCH, PRESETS, Workload
from tests.bench.figure import Figure
from tests.core.planning.planner import catalogue, reference, spec_of

NAMES = ("plan.one_model_4_nodes", "plan.dearest_model_4_nodes", "plan.catalogue_1_to_4_nodes")
NODES, ROUNDS = 4, 5
ONE_LIMIT_MS, CATALOGUE_LIMIT_MS = 50.0, 500.0


def cpu_ms(work: Callable[[], object]) -> float:
    """The median CPU time of one call, in ms, after one that does not count."""
    times = []
    for _ in range(ROUNDS + 1):
        begun_s = time.process_time()
        work()
        times.append((time.process_time() - begun_s) * 1000)
    return statistics.median(times[1:])


def measure() -> list[Figure]:
    """All three."""
    place = Place(tuple(NodeRoom(f"n{at}", f"node {at}", 121 << 30) for at in range(1, NODES + 1)))
    tables, specs = reference(), catalogue()

    def search(key: str, load: Workload) -> int:
        return len(plan_rows(Question(spec_of(key), load, place), tables))

    one = {load.key: cpu_ms(lambda load=load: search("llama-3.3-70b", load)) for load in PRESETS}
    once = {}
    for spec in specs:
        begun_s = time.process_time()
        plan_rows(Question(spec, BATCH, place), tables)
        once[spec.key] = (time.process_time() - begun_s) * 1000
    dearest = max(once, key=lambda key: once[key])
    dearest_ms = cpu_ms(lambda: search(dearest, BATCH))
    table_ms = cpu_ms(lambda: models_table(specs, place, tables))
    rows = search("llama-3.3-70b", BATCH)
    loads = ", ".join(f"{key} {value:.0f} ms" for key, value in one.items())
    note = f"Llama 3.3 70B, the dearest workload ({loads}; {rows} rows)"
    return [
        Figure.at_most(NAMES[0], max(one.values()), "ms", ONE_LIMIT_MS, note=note),
        Figure.at_most(NAMES[1], dearest_ms, "ms", ONE_LIMIT_MS, note=f"{dearest}, Batch"),
        Figure.at_most(NAMES[2], table_ms, "ms", CATALOGUE_LIMIT_MS, note=f"{len(specs)} models, {NODES} node counts"),
    ]
