"""What is wrong with the cables becomes a concern, and clears when a whole look has it no more."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.cluster.topology import LookState, Topology, build_topology
from sparkdesk.core.cluster.topology_problem import PortMtu, Problem
from sparkdesk.core.findings.cable_fix import make_link_fix, make_mtu_fix
from sparkdesk.core.findings.concern import Judgement, Severity
from sparkdesk.core.findings.judge_topology import COSTS, HALF_COST, TITLES, judge_topology
from sparkdesk.core.probes.finding import NO_STEP
from sparkdesk.core.step import Action, Run
from tests.core.cluster.cabling import pair

MTU = Problem("mtu-mismatch", "warn", "n1", "P1", "n1 P1 has MTU 1500, the other 9000", "Give both the same.")
SEEN = Topology(problems=(MTU,), state=LookState.DONE)
KEY = "mtu-mismatch/n1/P1"


def judged(topology: Topology) -> dict[str, Judgement]:
    return {judgement.id: judgement for judgement in judge_topology(topology, ("n1", "n2"))}


def test_a_problem_becomes_a_concern_with_its_port_and_remedy() -> None:
    concern = judged(SEEN)[KEY].concern
    assert concern is not None
    assert (concern.severity, concern.subject, concern.evidence) == (Severity.WARN, "P1", MTU.message)
    assert concern.remedy == f"{NO_STEP} {MTU.remedy}"
    assert concern.cost
    assert [one.id for one in judged(SEEN).values() if one.concern is not None] == [KEY]


def test_both_wrong_halves_of_a_port_are_told_in_one_concern_with_one_fix_for_both() -> None:
    halves = CAGE_NETDEVS["P1"]
    both = tuple(
        replace(MTU, message=f"{netdev} has MTU 1500", netdev=netdev, mtu=PortMtu(netdev, 1500, 9000))
        for netdev in halves
    )
    concern = judged(Topology(problems=both, state=LookState.DONE))[KEY].concern
    assert concern is not None
    assert all(netdev in concern.evidence for netdev in halves)
    assert concern.remedy == MTU.remedy
    assert concern.fix is not None
    assert concern.fix.needs_lock
    (step,) = concern.fix.steps()
    assert commands(step.apply) == [f"ip link set dev {netdev} mtu 9000" for netdev in halves]
    assert commands(step.undo) == [f"ip link set dev {netdev} mtu 1500" for netdev in halves]
    assert all(isinstance(action, Run) and action.as_root for action in step.apply)
    assert "until the next restart" in concern.fix.title


def test_what_both_halves_of_a_port_share_is_said_once() -> None:
    cabling = pair()
    cabling.mtus = {("n2", netdev): 1500 for netdev in CAGE_NETDEVS["P1"]}
    concern = judged(build_topology(cabling.views(), {}))["mtu-mismatch/n2/P1"].concern
    assert concern is not None
    first, second = CAGE_NETDEVS["P1"]
    for said, words in ((concern.evidence, "large packets"), (concern.remedy, "netplan")):
        assert said.count(words) == 1
        assert said.count(first) == said.count(second) == 1
    assert "have MTU 1500" in concern.evidence


def commands(actions: tuple[Action, ...]) -> list[str]:
    return [" ".join(action.command.argv) for action in actions if isinstance(action, Run)]


def test_one_dead_half_costs_half_of_the_cable_and_both_cost_the_whole() -> None:
    one = Problem("rdma-inactive", "warn", "n1", "P1", "a is not active", "Restart.", CAGE_NETDEVS["P1"][0])
    other = replace(one, message="b is not active", netdev=CAGE_NETDEVS["P1"][1])
    costs = []
    for problems in ((one,), (one, other)):
        concern = judged(Topology(problems=problems, state=LookState.DONE))["rdma-inactive/n1/P1"].concern
        assert concern is not None
        assert concern.fix is None
        assert concern.remedy.startswith(NO_STEP)
        costs.append(concern.cost)
    assert costs == [HALF_COST, COSTS["rdma-inactive"]]
    assert "100 of 200 Gb/s" in HALF_COST


def test_a_port_of_another_name_or_an_mtu_that_cannot_be_gets_no_fix() -> None:
    for port in (PortMtu("eth0", 1500, 9000), PortMtu(CAGE_NETDEVS["P1"][0], 1500, 65000)):
        assert make_mtu_fix("n1", (port,)) is None
    assert make_mtu_fix("n1", ()) is None
    assert make_link_fix("n1", "-x f0") is None


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
