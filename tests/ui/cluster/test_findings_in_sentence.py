"""The sentence on top and the findings: what is open is said, what was accepted or is a note is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.cluster.topology import LookState, Topology
from sparkdesk.core.feed import Latest
from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.jobs.record import JobState
from sparkdesk.core.step import Playbook
from tests.ui import rack
from tests.ui.stage import Stage
from ui import text
from ui.cluster.model import ClusterModel
from ui.cluster.sentence import Sentence

SLOW = Concern("clock", "node2", Severity.WARN, "The clock is held low", "731 MHz under load", "Unplug it.", since_ms=5)
FULL = Concern("wedge", "node0", Severity.CRIT, "The node is about to freeze", "1.2 GiB are left", "Stop a program.")


def say(stage: Stage) -> Sentence:
    model = ClusterModel(stage.cluster_feeds())
    model.refresh()
    return model.scene.sentence


@pytest.fixture
def stage(dressed: object) -> Stage:
    found = Stage()
    for i in range(4):
        found.measure(i, 10.0 + i, cage_up__P0=0.0)
    return found


def test_all_well_tells_the_models_their_rate_and_the_least_free_node(stage: Stage) -> None:
    stage.serve(rack.job("j1", "gpt-oss-120b", 0), rack.job("j2", "qwen3.6-35b", 2, JobState.LOADING))
    assert say(stage).words == "All well: 1 model, 228 tok/s, least free memory 108.6 GiB on spark-3995."
    assert say(stage).tone == "ok"


def test_the_worst_open_finding_is_said_with_its_node_and_a_way_to_it(stage: Stage) -> None:
    stage.findings.set((SLOW,))
    assert say(stage) == Sentence("warn", "spark-afe0: The clock is held low.", "Show", "finding", SLOW.id)
    stage.findings.set((replace(FULL, fix=Playbook("Drop the page cache", ())), SLOW))
    words = "spark-5c2d: The node is about to freeze. 1 more finding."
    assert say(stage) == Sentence("crit", words, f"Drop the page cache{text.ELLIPSIS}", "fix", FULL.id)


def test_what_is_accepted_and_what_is_a_note_leaves_all_well(stage: Stage) -> None:
    note = replace(SLOW, rule="miscabled", severity=Severity.NOTE)
    stage.findings.set((note, replace(SLOW, is_accepted=True, note="known")))
    assert say(stage).tone == "ok"


def test_a_low_memory_that_was_accepted_is_not_said_again(stage: Stage) -> None:
    stage.measure(0, 117.0)
    assert say(stage).words.startswith("Only 4.6 GiB free on spark-5c2d")
    stage.findings.set((replace(FULL, is_accepted=True),))
    assert say(stage).tone == "ok"


def test_a_cable_that_was_accepted_is_not_said_again(stage: Stage) -> None:
    stage.measure(0, cage_speed_gbps__P1=100.0)
    assert say(stage).kind == "cable"
    link = Concern("link", "node0", Severity.WARN, "P1 is slow", "100G", "Look at it.", subject="P1", is_accepted=True)
    stage.findings.set((link,))
    assert say(stage).tone == "ok"


@pytest.mark.parametrize("state", [LookState.NONE, LookState.LOOKING])
def test_before_the_first_look_at_the_cables_nothing_is_called_well(stage: Stage, state: LookState) -> None:
    stage.topology.set(Topology(state=state))
    assert say(stage) == Sentence("busy", "Looking at 4 nodes.")


def test_a_first_look_that_failed_says_why_and_offers_another(stage: Stage) -> None:
    stage.topology.set(Topology(state=LookState.FAILED, message="No node could be asked"))
    words = "The cables could not be looked at: No node could be asked."
    assert say(stage) == Sentence("note", words, "Look again", "look")


def test_one_node_alone_needs_no_look_at_cables(dressed: object) -> None:
    stage = Stage(1, "single")
    stage.measure(0, 10.0)
    stage.topology.set(Topology())
    assert say(stage).words == "All well: 1 node live, free memory 111.6 GiB."


def test_nodes_that_were_heard_for_a_moment_only_are_well_so_far(stage: Stage) -> None:
    heard: Latest[frozenset[str]] = Latest(frozenset({"node0", "node1"}))
    model = ClusterModel(replace(stage.cluster_feeds(), heard=heard))
    model.refresh()
    assert model.scene.sentence.tone == "note"
    assert model.scene.sentence.words.startswith("Nothing wrong so far: 4 nodes live, least free memory")
    heard.set(frozenset(f"node{i}" for i in range(4)))
    model.refresh()
    assert model.scene.sentence.words.startswith("All well: 4 nodes live")
