"""What the charts read.

The one rule: importing this costs nothing. numpy and pyqtgraph come with the rest of the folder, on the first visit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sparkdesk.core.cluster.node import ClusterRecord
    from sparkdesk.core.telemetry.series import ChartSource, Gap, Series


def _no_gaps(_source_id: str, _span_s: float) -> Sequence[Gap]:
    return ()


def _no_cluster() -> ClusterRecord | None:
    return None


@dataclass(frozen=True, slots=True)
class ChartFeeds:
    """Callables into the services; asked once a second while somebody looks, for what is drawn only."""

    sources: Callable[[], Sequence[ChartSource]]
    keys: Callable[[str], Sequence[str]]
    """Source id -> the keys of the metric table that it has values of."""
    series: Callable[[str, str, float], Series]
    """(source id, key, span in s) -> times in Unix ms and values in code units."""
    now_ms: Callable[[], int]
    gaps: Callable[[str, float], Sequence[Gap]] = _no_gaps
    """(source id, span in s) -> when there was nothing, and why."""
    cluster: Callable[[], ClusterRecord | None] = _no_cluster
    """For the name in an export, and because the choice is remembered for each cluster."""
