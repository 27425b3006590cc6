"""A deployment whose node is silent: nobody knows how it is now, so its chip says of when its state is."""

from __future__ import annotations

import pytest

from tests.ui import rack
from tests.ui.stage import Stage
from ui.cluster.model import ClusterModel
from ui.cluster.strip import strip_items


@pytest.fixture
def stage(dressed: object) -> Stage:
    found = Stage()
    for i in range(4):
        found.measure(i)
    found.serve(rack.job("j1", "gpt-oss-120b", 0))
    return found


def test_a_job_of_a_silent_node_is_not_plainly_ready(stage: Stage) -> None:
    model = ClusterModel(stage.cluster_feeds())
    model.refresh()
    assert strip_items(model)[0].mark[:2] == ("Ready", "ok")
    stage.now_ms += 12_000
    for i in (1, 2, 3):
        stage.measure(i)
    model.refresh()
    card = model.scene.card("node0")
    assert card is not None
    assert card.serving is not None
    for mark in (strip_items(model)[0].mark, card.serving):
        assert mark == ("Ready 12 s ago", "neutral", "clock")
