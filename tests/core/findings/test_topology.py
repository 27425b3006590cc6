"""What is wrong with the cables becomes a concern, and clears when a whole look has it no more."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.cluster.topology_problem import Problem
from sparkdesk.core.findings.concern import Judgement, Severity
from sparkdesk.core.findings.judge_topology import TITLES, judge_topology

MTU = Problem("mtu-mismatch", "warn", "n1", "P1", "n1 P1 has MTU 1500, the other 9000", "Give both the same.")
SEEN = Topology(problems=(MTU,), state=LookState.DONE)
KEY = "mtu-mismatch/n1/P1"


def judged(topology: Topology) -> dict[str, Judgement]:
    return {judgement.id: judgement for judgement in judge_topology(topology, ("n1", "n2"))}


def test_a_problem_becomes_a_concern_with_its_port_and_remedy() -> None:
    concern = judged(SEEN)[KEY].concern
    assert concern is not None
    assert (concern.severity, concern.subject, concern.evidence) == (Severity.WARN, "P1", MTU.message)
    assert concern.remedy == MTU.remedy
    assert [one.id for one in judged(SEEN).values() if one.concern is not None] == [KEY]


def test_it_is_gone_after_a_whole_look_alone() -> None:
    assert judged(Topology(state=LookState.DONE))[KEY] == Judgement(KEY)
    for state in (LookState.NONE, LookState.LOOKING, LookState.FAILED):
        assert judged(Topology(state=state))[KEY].is_known is False
        assert judged(replace(SEEN, state=state))[KEY].concern is None
    silent = Problem("not-asked", "note", "n1", "", "n1 could not be asked", "Look again.")
    unheard = judged(Topology(problems=(silent,), state=LookState.DONE))
    assert unheard[KEY].is_known is False
    assert unheard["mtu-mismatch/n2/P1"].is_known is True


PROBLEMS = st.builds(
    Problem,
    st.sampled_from([*TITLES, "not-asked", "half-down", "?"]),
    st.sampled_from(["note", "warn", "crit", "?"]),
    st.sampled_from(["n1", "n2", "n3", ""]),
    st.sampled_from(["P0", "P1", ""]),
    st.text(max_size=9),
    st.text(max_size=9),
)


@given(st.lists(PROBLEMS, max_size=6), st.sampled_from(LookState))
def test_any_problem_is_told_once_or_left_to_others(problems: list[Problem], state: LookState) -> None:
    found = list(judge_topology(Topology(problems=tuple(problems), state=state), ("n1", "n2")))
    assert len({judgement.id for judgement in found}) == len(found)
    assert all(one.concern is None or one.concern.id == one.id for one in found)
