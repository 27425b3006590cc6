"""Pictures of the map in every shape and with every fault, for people to look at: build/shots/map-NAME-THEME-SIZE.png.

The one rule: a picture is evidence, not a test; asserted is only that it was made and which words it has.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.findings.concern import Concern, Severity
from sparkdesk.core.jobs.record import JobState, JobStatus
from tests.ui import rack
from tests.ui.cluster.cabled import CASES, Cabled
from tests.ui.picture import SHOTS, SIZES, page_size
from ui import theme
from ui.cluster.map.view import TopologyMap
from ui.cluster.scene import Scene, build_scene
from ui.theme import ThemeName

THEMES: tuple[ThemeName, ...] = ("dark", "light")
WANTED = {
    "pair": "200G",
    "ring": "200G",
    "crossed-ring": "200G, crossed",
    "switch": "200G",
    "cable-out": "No cable",
    "half-down": "100G, 1 of 2 halves",
    "mtu": "MTU mismatch",
    "subnet": "Wrong subnet",
    "other-device": "200G",
    "chain": "200G",
}
"""Case -> a word that its picture has."""
MARGIN = (32, 190)
"""What the page keeps of a window for its own parts, across and down; beside the docked panel there is less."""
PANEL = 352


def save_pictures(scene: Scene, name: str) -> None:
    """Both themes, as in both windows."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    shown = TopologyMap()
    shown.setAutoFillBackground(True)
    shown.set_scene(scene)
    for choice in THEMES:
        theme.set_theme(choice)
        for width, height in SIZES:
            wide, high = page_size(width, height)
            shown.resize(wide - MARGIN[0] - (PANEL if width >= 1280 else 0), high - MARGIN[1])
            assert shown.grab().save(str(SHOTS / f"map-{name}-{choice}-{width}x{height}.png"))
    theme.set_theme("dark")
    shown.deleteLater()


@pytest.mark.parametrize("name", WANTED)
def test_every_shape_and_fault_of_cables_has_its_pictures(qtbot: QtBot, dressed: object, name: str) -> None:
    scene = CASES[name]().scene()
    assert WANTED[name] in {cable.word for cable in scene.cables}
    save_pictures(scene, name)


def busy_rack() -> tuple[Cabled, tuple[JobStatus, ...], tuple[Concern, ...]]:
    """A switch with models, one silent node and a finding."""
    case = CASES["switch-guests"]()
    case.states, case.ages_s = {"n4": NodeState.STALE}, {"n4": 14.0}
    jobs = (
        replace(rack.job("j1", "gpt-oss-120b", 0), node_ids=("n1", "n2")),
        replace(rack.job("j2", "qwen3.6-35b", 0, JobState.LOADING), node_ids=("n3",)),
    )
    told = Concern("slow-clock", "n3", Severity.WARN, "The clock is in its slow state", "507 MHz", "Restart the node")
    return case, jobs, (told,)


def test_pictures_of_a_busy_rack_and_of_many_nodes(qtbot: QtBot, dressed: object) -> None:
    case, jobs, told = busy_rack()
    plans = {"j1": rack.plan("j1", 0, 30.6, 47.0)}
    ledger = plans["j1"].ledgers[0]
    plan = replace(plans["j1"], ledgers=tuple(replace(ledger, node_id=node) for node in ("n1", "n2")))
    scene = build_scene(case.known(jobs=jobs, concerns=told, plan_of={"j1": plan}.get))
    assert [card.look for card in scene.cards] == ["live", "live", "live", "stale"]
    save_pictures(scene, "busy")
    save_pictures(CASES["mixed"]().scene(), "mixed")
    save_pictures(CASES["switch-of-64"]().scene(), "switch-of-64")
