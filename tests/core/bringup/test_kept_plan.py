"""A plan that is kept for a later start: it comes back as it was, and from nonsense comes one error."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapter import FileDiff
from sparkdesk.core.bringup.kept_plan import plan_from_json, plan_to_json
from sparkdesk.core.bringup.make import make_plan
from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.bringup.proof.measurement import Band, ProofEnd, ProofItem, ProofKind, ProofPart
from sparkdesk.core.bringup.scheme import HalfAddress, Lane, Scheme
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.command import Command
from sparkdesk.core.errors import PlanError
from sparkdesk.core.step import Playbook, PutFile, Run, Stage, Step
from tests.core.bringup.cases import make_case


def rich_plan() -> BringUpPlan:
    """A plan with something in every part of it."""
    end = ProofEnd("n1", "spark-1", "enp1s0f1np1", "192.168.100.1", "4c:bb:47:00:00:01", "rocep1s0f1", 9000)
    band = Band("Gb/s", 185.0, math.nan, 200.0, source="nvidia")
    item = ProofItem(
        "rdma", ProofKind.RDMA_BANDWIDTH, "RDMA", ("n1", "n2"), ("proof-a",), band=band,
        parts=(ProofPart("proof-a", end, None, 1), ProofPart("proof-b", end, end)), facts=(("4c:bb", "spark-1"),),
    )  # fmt: skip
    step = Step("proof-a", "Measure", "n1", (PutFile("~/x", b"\xff"), Run(Command(("true",)))))
    plan = make_plan(make_case(2, Shape.PAIR, choices=Choices(chapters=frozenset({"hardware"}))), 7)
    return replace(
        plan,
        playbook=Playbook("Bring up 2 nodes", (Stage("s", (replace(step, id="one"),)),), needs_lock=True),
        proof=Playbook("Prove 2 nodes", (Stage("s", (step,)),)),
        proof_items=(item,),
        scheme=Scheme(
            (Lane("c", 0, "192.168.100.0/24", (HalfAddress("n1", "P1", "enp1s0f1np1", "192.168.100.1/24"),)),)
        ),
        diffs=(FileDiff("n1", "/etc/netplan/90-sparkdesk.yaml", None, "network: {}\n"),),
        obstacles=("Something",),
    )


def test_a_plan_comes_back_as_it_was() -> None:
    plan = rich_plan()
    kept = plan_to_json(plan)
    back = plan_from_json(kept, plan.playbook)
    assert (back.names, back.proof) == (plan.names, plan.proof)
    same = replace(back, names=plan.names, proof=plan.proof)
    assert repr(same) == repr(plan), "by its words: NaN is not equal to itself"
    assert plan_to_json(back) == kept
    assert b'"id":"one"' not in kept, "the journal holds the playbook"


@pytest.mark.parametrize(
    "change",
    [
        {"mark": 7},
        {"made_ms": "now"},
        {"made_ms": True},
        {"shape": "heart"},
        {"node_ids": "n1"},
        {"names": []},
        {"choices": {"mtu": None}},
        {"proof_items": [{"id": "x"}]},
        {"scheme": {"lanes": [{"cable": "c", "half": 0, "subnet": "s", "ends": [{"origin": "found"}]}]}},
        {"surprise": 1},
        {"matrix": {"rows": [["not", "a", "row"]]}},
    ],
)
def test_nonsense_is_one_error(change: dict[str, object]) -> None:
    plan = rich_plan()
    data = json.loads(plan_to_json(plan))
    data["plan"].update(change)
    with pytest.raises(PlanError):
        plan_from_json(json.dumps(data).encode(), plan.playbook)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"schema": 2, "plan": {}}', b'{"schema": 1}', b'{"schema": 1, "plan": {}}']
)
def test_what_is_no_plan_is_refused(data: bytes) -> None:
    with pytest.raises(PlanError):
        plan_from_json(data, Playbook("p", ()))
