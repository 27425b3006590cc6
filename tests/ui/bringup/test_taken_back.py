"""After an undo, a pause and a plan the page says what is there: no more was taken back, and no more is bright."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QUrl

from sparkdesk.core.bringup.chapter import Chapter
from sparkdesk.core.bringup.fold import follow
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.playbooks.run_view import PAUSED, StepView
from tests.ui.bringup import real_story
from ui.bringup.manifest_dialog import ManifestDialog
from ui.bringup.outline import outline
from ui.bringup.proof_rows import proof_groups
from ui.bringup.told import notice_of


def taken_back(*prefixes: str) -> BringUpState:
    """All was done; of it the steps whose ids begin so were taken back."""
    run = real_story.run_of(lambda step: "undone" if step.id.startswith(prefixes) else "done", result="done",
                            is_undo=True)  # fmt: skip
    plan = real_story.plan()
    cells = follow(plan.matrix, run)
    return BringUpState(Phase.UNDONE, real_story.IDS, cells, plan, run, started_ms=1, ended_ms=2)


def line_of(state: BringUpState, chapter: Chapter) -> str:
    return next(row.line for row in outline(state) if row.key == chapter.value)


def test_a_chapter_of_which_one_step_was_taken_back_says_how_many() -> None:
    assert line_of(taken_back("keys-pair-n1"), Chapter.KEYS) == "1 of 12 taken back"
    assert line_of(taken_back("keys-"), Chapter.KEYS) == "taken back"


def test_a_file_stands_where_the_step_that_wrote_it_does(dressed: object) -> None:
    desk = real_story.desk()
    page = desk.show(taken_back("keys-pair-n1"))
    written = {(diff.node_id, diff.path.rpartition("/")[2]): page.model.is_written(diff)
               for diff in real_story.plan().diffs if diff.chapter is Chapter.KEYS}  # fmt: skip
    assert written["n1", "authorized_keys"]
    desk.state.set(taken_back("keys-let-in-n1"))
    written = {diff.node_id: page.model.is_written(diff)
               for diff in real_story.plan().diffs if diff.path.endswith("authorized_keys")}  # fmt: skip
    assert written == {"n1": False, "n2": True, "n3": True, "n4": True}


def test_what_was_taken_back_can_still_be_read_in_the_manifest_and_is_not_offered_again(dressed: object) -> None:
    desk = real_story.desk()
    page = desk.show(real_story.undone())
    assert page.side.manifest.isEnabled()
    assert not page.side.undo.isEnabled()
    dialog = ManifestDialog(page.model, page)
    assert len(dialog.parts) > 20
    assert not any(part.check.isEnabled() for part in dialog.parts)
    assert not dialog.all.isEnabled()
    dialog.ways.set_key("program")
    dialog.ways.changed.emit("program")
    assert "link_trial" not in dialog.text.toPlainText()[:20]
    assert "A network that is tried on this node" in dialog.text.toPlainText()
    dialog.deleteLater()


def test_what_nodes_said_during_the_undo_is_told() -> None:
    said = ("spark-5c2d: /etc/netplan/90-sparkdesk.yaml was changed since; a copy is in /var/lib/sparkdesk",)
    notice = notice_of(replace(real_story.undone(), undo_words=said))
    assert notice is not None
    assert (notice.kind, notice.text.startswith(said[0])) == ("warn", True)
    part = notice_of(replace(taken_back("network-"), undo_words=said))
    assert part is not None
    assert part.text.startswith(said[0])
    assert part.text.endswith("can be taken back too.")


def test_a_plan_that_was_not_run_says_why() -> None:
    words = "The nodes changed since this plan was made: read it again."
    planned = replace(real_story.planned(), message=words, remedy="Nothing was changed yet.")
    notice = notice_of(planned)
    assert notice is not None
    assert (notice.kind, notice.title, notice.text) == ("info", words, "Nothing was changed yet.")
    assert notice_of(replace(planned, message="", remedy="")) is None


def test_a_pause_names_the_step_that_comes_next_and_how_each_node_stands(dressed: object) -> None:
    run = real_story.run_of(real_story.before_network, result=PAUSED, ended_ms=real_story.NOW_MS)
    state = replace(real_story.running(), phase=Phase.PAUSED, run=run, message="Paused between two steps")
    notice = notice_of(state)
    assert notice is not None
    name = real_story.NAMES["n1"]
    assert notice.title.startswith(f"Paused before \u201cGive {name}'s CX-7 ports")
    assert all(f"{each}: " in notice.text for each in real_story.NAMES.values())
    assert notice.can_undo
    by_chapter = notice_of(replace(state, chapters=frozenset({Chapter.KEYS.value})))
    assert by_chapter is not None
    assert by_chapter.title == notice.title, "where the chapter that was asked for is done, the next one"
    page = real_story.desk().show(state)
    assert page.banner.isVisible()


def test_a_proof_of_an_earlier_time_is_not_bright() -> None:
    aged = replace(real_story.done(), past_proof="before the undo")
    assert all(row.is_past for group in proof_groups(aged, {}) for row in group.rows)
    assert not any(row.is_past for group in proof_groups(real_story.done(), {}) for row in group.rows)


def test_a_network_that_is_kept_restores_itself_no_more_while_its_step_is_verified(dressed: object) -> None:
    state = real_story.running(real_story.trial("n2", 40.0), real_story.trial("n3", 40.0))
    assert state.run is not None
    steps = {**state.run.steps, real_story.trial_id("n2"): StepView("running", "verify")}
    page = real_story.desk().show(replace(state, run=replace(state.run, steps=steps)))
    assert [face.node_id for face in page.model.clock()] == ["n3"]


def test_before_docker_answers_the_proof_waits_for_it_and_latency_passes_up_to_its_mark() -> None:
    rows = [row for group in proof_groups(real_story.planned(), {}) for row in group.rows]
    waits = [row for row in rows if "waits for docker" in row.line]
    assert len(waits) == 3
    assert all(row.state == "waiting" for row in waits)
    assert any(row.title == "NCCL in the image" for row in waits)
    assert any("passes up to 5" in row.line for row in rows)


def test_the_folder_of_the_report_opens(dressed: object) -> None:
    page = real_story.desk().show(real_story.done())
    opened: list[QUrl] = []
    page.proof.opener = opened.append
    assert page.proof.folder.isVisible()
    page.proof.folder.click()
    assert [url.path().rpartition("/")[2] for url in opened] == ["SparkDesk"]


def test_the_programs_that_a_chapter_brings_can_be_read(dressed: object) -> None:
    page = real_story.desk().show(real_story.planned())
    page.model.choose_chapter(Chapter.NETWORK.value)
    page.change.program.click()
    assert page.change.program.text() == "Hide the program"
    assert "def be_timer" in page.change.text.toPlainText()
    page.change.ways.set_key("run")
    page.change.ways.changed.emit("run")
    assert "puts all of it back after 60 s" in page.change.text.toPlainText()
    page.model.choose_chapter(Chapter.DOCKER.value)
    page.refresh()
    assert not page.change.program.isVisible(), "nothing of ours is brought there"
