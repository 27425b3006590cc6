"""Judges are total: whatever samples and details hold, they say something or nothing, and never raise."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.cluster.details import CageHalf, NodeDetails
from sparkdesk.core.findings.concern import Severity
from sparkdesk.core.findings.judge_cage import read_cages
from sparkdesk.core.findings.judge_power import share_between
from sparkdesk.core.findings.table import judge_cluster, judge_one
from sparkdesk.core.findings.view import NodeNow, Past
from tests.core.findings.nodes import KEYS, NOW_MS, make_job, stop_plan

NUMBERS = st.floats() | st.sampled_from([0.0, 1.0, 2.0, -1.0, 200.0, 1e12, 5e-324, 1.7e308, float("nan")])
TIMES = st.integers(NOW_MS - 70_000, NOW_MS) | st.integers(-(2**62), 2**62)
ROWS = st.lists(st.tuples(TIMES, NUMBERS), max_size=5)
TEXTS = st.text(max_size=20) | st.sampled_from(["580.142", "6.17.0-1014-nvidia", "7.0.0-1019-nvidia", "²", "1e999"])
HALVES = st.builds(
    CageHalf,
    st.sampled_from(["P0", "P1", ""]),
    TEXTS,
    pci_address=TEXTS | st.sampled_from(["0000:01:00.0", "0002:01:00.1"]),
    pcie_width=st.none() | st.integers(-5, 64),
    pcie_gts=st.none() | NUMBERS,
)
DETAILS = st.none() | st.builds(
    NodeDetails, st.just("x"), driver=TEXTS, kernel=TEXTS, dgx_os=TEXTS, cuda=TEXTS, bios=TEXTS,
    halves=st.lists(HALVES, max_size=4).map(tuple), needs_reboot=st.none() | st.booleans(),
)  # fmt: skip


@st.composite
def nodes(draw: st.DrawFn) -> NodeNow:
    readings = draw(st.dictionaries(st.sampled_from(KEYS), ROWS.map(sorted), max_size=len(KEYS)))

    def read(key: str, _span_s: float) -> tuple[list[int], list[float]]:
        rows = readings.get(key, [])
        return [t_ms for t_ms, _ in rows], [value for _, value in rows]

    past = Past(read, NOW_MS)
    jobs = (make_job("a", 1),) if draw(st.booleans()) else ()
    return NodeNow(
        f"n{draw(st.integers(1, 9))}",
        draw(TEXTS),
        past,
        details=draw(DETAILS),
        jobs=jobs,
        stop_plans={"a": stop_plan("a")} if draw(st.booleans()) else {},
        cages=read_cages(past),
        power_capped=draw(NUMBERS),
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(nodes(), min_size=1, max_size=2))
def test_judges_never_raise_and_a_concern_always_has_evidence_and_a_remedy(found: list[NodeNow]) -> None:
    views = tuple(replace(view, node_id=f"n{number}") for number, view in enumerate(found))
    judgements = [judgement for view in views for judgement in judge_one(view, views)]
    judgements += judge_cluster(views)
    ids = [judgement.id for judgement in judgements]
    assert len(set(ids)) == len(ids)
    for judgement in judgements:
        if judgement.concern is not None:
            assert judgement.concern.id == judgement.id
            assert judgement.concern.evidence
            assert judgement.concern.remedy
            assert judgement.concern.severity in Severity


@given(st.tuples(NUMBERS, NUMBERS), st.tuples(NUMBERS, NUMBERS))
def test_a_share_of_time_is_one_or_is_not_known(before: tuple[float, float], after: tuple[float, float]) -> None:
    share = share_between(before, after)
    assert share != share or 0 <= share <= 1
