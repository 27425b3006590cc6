"""A person decides where SparkDesk cannot: it is rolled back, carried on and kept, and a weak port fails the proof."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from sparkdesk.app import bringup_stack
from sparkdesk.app.desktop import Desktop
from sparkdesk.app.remote import read_remote
from sparkdesk.app.window import WindowOptions
from sparkdesk.core.bringup.chapters import network
from sparkdesk.core.bringup.proof.measurement import Grade
from sparkdesk.core.bringup.state import Phase
from tests.app.adding import words_on
from tests.app.bringup import RUN_TIMEOUT_S, BringingUp, boxes, from_the_map, open_boxes
from tests.app.desk import play, until
from tests.app.picture import take_pictures
from ui.bringup.proof_card import keep_units

pytestmark = [pytest.mark.qt_log_ignore("propagateSizeHints", "does not support raise"), pytest.mark.timeout(480)]
LIMIT_S = 420.0
SEEN = b'*describe_waiting(wanted, ports)])\n    return {"ok": True, "message": message}'
BLIND = SEEN.replace(b"True", b"True if digest else None")
"""Of a trial the program can tell nothing; what is kept it knows."""


def read_blind(name: str) -> bytes:
    """Our programs, of which the look after a trial cannot run."""
    source = read_remote(name)
    assert (SEEN in source) is (name == "link_trial")
    return source.replace(SEEN, BLIND)


async def be_asked(person: BringingUp, name: str) -> None:
    """Until the page asks for a decision about this node's network, its clock big."""
    clock = person.page.clock
    await until(
        lambda: clock.isVisible() and clock.keep.text() == f"Keep on {name}", "the question", timeout_s=RUN_TIMEOUT_S
    )
    assert f"Keep the new network on {name}?" in words_on(clock).replace("\n", " ")


async def roll_back(person: BringingUp, name: str) -> None:
    """Press "Roll back now": the node has its old network again, and it is said that a person wanted it."""
    person.press(person.page.clock.roll_back, "Roll back now")
    await until(lambda: person.state.phase is Phase.FAILED, "the end of the run", timeout_s=RUN_TIMEOUT_S)
    banner = person.page.banner
    await until(lambda: banner.isVisible() and f"Rolled back on {name}, as you asked" in words_on(banner), "the words")
    assert person.state.is_wanted


def test_a_person_is_asked_where_no_look_tells_rolls_back_goes_on_and_reads_why_the_proof_failed(
    app: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringup_stack, "read_remote", read_blind)
    monkeypatch.setattr(network, "LOOK_S", 1.0)

    async def story(desktop: Desktop) -> None:
        await open_boxes(desktop, simulator)
        person = await from_the_map(desktop, simulator)
        await person.plan()
        first, second = (person.page.model.name_of(node_id) for node_id in person.state.node_ids)
        await person.go("apply")
        await person.give()
        await be_asked(person, first)
        await take_pictures(desktop, "bringup-rollback-big")
        person.press(person.page.clock.keep, "Keep")
        await be_asked(person, second)
        await roll_back(person, second)
        await take_pictures(desktop, "bringup-rolled-back")
        await person.go("resume")
        await person.give()
        await be_asked(person, second)
        person.press(person.page.clock.keep, "Keep")
        await person.reach(Phase.DONE)
        bad = [one for one in person.state.measurements if one.grade is Grade.FAIL]
        assert bad, "the port gives 13 Gb/s a half"
        assert all(one.causes or one.remedy for one in bad)
        await until(lambda: "Not proved" in words_on(person.page.banner), "why")
        cause = next(one.causes[0] for one in bad if one.causes)
        cause = " ".join(keep_units(cause).split())
        await until(lambda: cause in " ".join(words_on(person.page.proof).split()), "the cause beside its figure")
        await take_pictures(desktop, "bringup-proof-failed")

    with boxes(tmp_path, "pair", "--fault", "rdma-degraded:spark-5c2d:P1") as simulator:
        assert play(app, story, WindowOptions(is_forgetful=True), limit_s=LIMIT_S) == 0
