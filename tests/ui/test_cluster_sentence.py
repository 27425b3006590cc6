"""The one sentence on top: all is well, or the worst thing with its button."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.jobs.record import JobState
from tests.ui import rack
from tests.ui.stage import Stage
from ui.cluster.model import ClusterModel
from ui.cluster.sentence import Sentence


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


def test_all_is_well_names_the_node_with_the_least_free_memory(stage: Stage) -> None:
    assert say(stage) == Sentence("ok", "All well: 4 nodes live, least free memory 108.6 GiB on spark-3995.")


def test_no_node_leads_to_adding_one() -> None:
    sentence = say(Stage(count=0))
    assert (sentence.words, sentence.action, sentence.kind) == ("No node yet.", "Add node", "add")


def test_the_worst_thing_comes_first(stage: Stage) -> None:
    stage.measure(0, cage_speed_gbps__P1=100.0)
    assert say(stage).kind == "cable"
    stage.serve(rack.job("j5", "qwen3.5", 1, JobState.FAILED))
    assert (say(stage).words, say(stage).kind, say(stage).target) == ("qwen3.5 failed.", "job", "j5")
    stage.measure(1, 117.0)
    assert say(stage).words.startswith("Only 4.6 GiB free on spark-bd26")
    nodes = list(stage.nodes.value)
    nodes[2] = rack.status(2, NodeState.UNREACHABLE, "No answer")
    stage.nodes.set(tuple(nodes))
    assert say(stage).words == "spark-afe0 does not answer."
    nodes[3] = rack.status(3, NodeState.IDENTITY_CHANGED)
    stage.nodes.set(tuple(nodes))
    assert (say(stage).tone, say(stage).action, say(stage).target) == ("crit", "Compare keys", "node3")


def test_an_old_failure_that_was_launched_again_is_history(stage: Stage) -> None:
    stage.serve(rack.job("j6", "qwen3.5", 1), rack.job("j5", "qwen3.5", 1, JobState.FAILED))
    assert say(stage).tone == "ok"


def test_nodes_that_were_not_heard_are_not_all_well(stage: Stage) -> None:
    stage.samples.pop("node2")
    assert say(stage) == Sentence("busy", "4 nodes live, reading the first values.")
    stage.nodes.set((*stage.nodes.value[:3], rack.status(3, NodeState.CONNECTING)))
    assert say(stage).words == "Connecting: 3 of 4 nodes live."
    stage.nodes.set((rack.status(3, NodeState.CONNECTING),))
    assert say(stage).words == "Connecting to the node."


def test_cables_that_are_not_known_are_said_and_not_called_well(stage: Stage) -> None:
    for i in range(4):
        stage.measure(i, cage_up__P0=float("nan"), cage_up__P1=float("nan"))
    sentence = say(stage)
    assert sentence.tone == "note"
    assert sentence.words.endswith("8 cables are not known.")


def test_a_probe_that_fell_silent_is_said(stage: Stage) -> None:
    stage.now_ms += 20_000
    assert say(stage).words == "spark-5c2d sends nothing new; its values are old."


def test_a_node_that_went_quiet_comes_before_a_launch_that_failed(stage: Stage) -> None:
    stage.serve(rack.job("j5", "qwen3.5", 1, JobState.FAILED))
    stage.nodes.set((*stage.nodes.value[:3], rack.status(3, NodeState.RECONNECTING)))
    assert say(stage).words == "3 of 4 nodes live: spark-3995 is being reconnected."


def test_a_rate_that_not_all_tell_is_said_as_the_least(stage: Stage) -> None:
    stage.serve(rack.job("j1", "gpt-oss", 0), replace(rack.job("j2", "qwen3-8b", 1), readings=()))
    assert ", at least " in say(stage).words


def test_the_age_of_the_feed_counts_and_not_a_clock_that_was_set(stage: Stage) -> None:
    stage.now_ms += 3_600_000
    model = ClusterModel(replace(stage.cluster_feeds(), age_s=lambda _node: 0.4))
    model.refresh()
    assert {card.look for card in model.scene.cards} == {"live"}
    assert model.scene.sentence.tone == "ok"
