"""What the bring-up page would say and offer in each state, without a widget."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sparkdesk.core.bringup.case import Choices
from sparkdesk.core.bringup.chapter import Chapter, FileDiff
from sparkdesk.core.bringup.matrix import CellState, Matrix
from sparkdesk.core.bringup.proof.measurement import Band, Grade, Measurement, ProofItem, ProofKind
from sparkdesk.core.bringup.proof.speed_steps import CLOCK
from sparkdesk.core.bringup.state import BringUpState, Phase
from sparkdesk.core.cluster.node import NodeState
from sparkdesk.core.command import Command
from sparkdesk.core.feed import Latest
from sparkdesk.core.step import Playbook, Run, SignInAnew, Stage, Step
from tests.ui import rack
from tests.ui.bringup import real_story, story
from ui.bringup.clock import faces
from ui.bringup.file_rows import file_note, file_rows
from ui.bringup.grid import make_grid, summary
from ui.bringup.model import AUTOMATIC, BringUpFeeds, BringUpModel
from ui.bringup.offer import Situation, head_words, offers
from ui.bringup.outline import current_chapter, outline
from ui.bringup.proof_rows import group_chip, head_chip, make_scale, overall, proof_groups, saved_words
from ui.bringup.told import notice_of


def make_model(state: BringUpState, count: int = 4) -> BringUpModel:
    feeds = BringUpFeeds(
        Latest(state),
        Latest(tuple(rack.status(i) for i in range(count))),
        Latest(story.Topology()),
        Latest(None),
        lambda: story.NOW_MS,
        Latest((story.IMAGE,)),
    )
    return BringUpModel(feeds)


def offered(state: BringUpState, *, is_fresh: bool = True, is_step_by_step: bool = False) -> list[tuple[str, str]]:
    return [(each.key, each.words) for each in offers(Situation(state, 4, is_fresh, is_step_by_step))]


def marks(state: BringUpState) -> dict[str, str]:
    return {row.key: row.mark for row in outline(state)}


def test_each_phase_offers_what_comes_next() -> None:
    assert offered(BringUpState()) == [("look", "Check 4 nodes")]
    assert offered(story.planned())[-1] == ("apply", "Bring up 4 nodes")
    assert offered(story.running())[-1] == ("pause", "Pause after this node")
    assert offered(replace(story.running(), phase=Phase.PAUSED))[-1] == ("resume", "Continue")
    assert offered(replace(story.done(), phase=Phase.PROVING)) == [("cancel", "Stop the proof")]
    assert offered(story.done())[-1] == ("prove", "Prove again")
    assert offered(replace(story.done(), measurements=()))[-1] == ("prove", "Prove 4 nodes")
    assert offered(story.all_green())[-1] == ("prove", "Prove 4 nodes")
    cut = story.interrupted()
    assert offered(cut) == [("resume", "Continue")]
    assert cut.run is not None
    assert offered(replace(cut, run=replace(cut.run, is_undo=True))) == [("undo", "Undo the rest")]
    assert offered(story.failed())[-1] == ("resume", "Continue")
    assert offered(story.undone()) == [("look", "Check 4 nodes")]


@pytest.mark.parametrize("phase", Phase)
def test_no_phase_is_without_words_and_at_most_one_button_is_filled(phase: Phase) -> None:
    for state in (BringUpState(phase), replace(story.running(), phase=phase)):
        assert head_words(state)
        assert len(outline(state)) == 9
        assert sum(each.is_primary for each in offers(Situation(state, 4, is_fresh=True))) <= 1


def test_a_plan_of_other_choices_is_never_offered_to_be_run() -> None:
    model = make_model(story.planned())
    assert model.offers()[-1].key == "apply"
    model.choose_node("node3", is_in=False)
    assert [each.key for each in model.offers()] == ["look"]
    model.choose_node("node3", is_in=True)
    model.set_guard(True)
    assert [each.key for each in model.offers()] == ["look"]
    model.set_guard(False)
    model.set_image("")
    assert [each.key for each in model.offers()] == ["look"]


def test_step_by_step_has_no_button_that_does_all() -> None:
    assert "apply" not in dict(offered(story.planned(), is_step_by_step=True))


def test_an_obstacle_is_the_reason_why_nothing_can_run() -> None:
    state = story.planned(plan=story.plan(obstacles=("spark-3995 is not a Spark.",)))
    assert offers(Situation(state, 4, is_fresh=True))[-1].reason == "spark-3995 is not a Spark."
    notice = notice_of(state)
    assert notice is not None
    assert notice.title == "spark-3995 is not a Spark."


def test_with_no_node_chosen_nothing_can_be_read() -> None:
    assert offers(Situation(BringUpState(), 0, is_fresh=False))[0].reason == "Choose a node"


def test_only_nodes_that_answer_take_part() -> None:
    model = make_model(BringUpState())
    model.feeds.nodes.set((rack.status(0), rack.status(1, NodeState.UNREACHABLE, "No answer")))
    assert model.node_ids() == ("node0",)


def test_under_way_the_nodes_are_those_of_the_run() -> None:
    model = make_model(story.running())
    model.feeds.nodes.set((rack.status(0),))
    assert model.node_ids() == story.IDS
    assert not model.can_look()


def test_the_chapters_follow_what_was_read_and_what_runs() -> None:
    assert marks(BringUpState()) == dict.fromkeys([chapter.value for chapter in Chapter], "todo")
    read = marks(story.planned())
    assert (read["trust"], read["hardware"], read["network"], read["guard"]) == ("done", "warn", "todo", "skipped")
    now = marks(story.running())
    assert (now["keys"], now["docker"], now["network"], now["proof"]) == ("done", "done", "running", "todo")
    assert current_chapter(story.running()) is Chapter.NETWORK
    assert marks(story.failed())["network"] == "failed"
    assert marks(story.done(is_bad=True))["proof"] == "failed"
    assert marks(story.done())["proof"] == "done"


def test_an_unread_cell_keeps_its_chapter_from_being_done() -> None:
    row = story.row("trust-key", Chapter.TRUST, "Host key", story.Cell(CellState.PASS, "pinned"))
    unread = replace(row, cells={**row.cells, "node2": story.Cell(CellState.UNREAD, "no answer", remedy="Look again.")})
    assert marks(BringUpState(Phase.PLANNED, story.IDS, Matrix(story.IDS, (unread,))))["trust"] == "warn"


def test_the_matrix_counts_what_passed_and_what_stands_out() -> None:
    assert (
        summary(story.running().matrix)
        == "27 of 40 checks passed · 2 warnings · 1 not read · 4 running · 2 to come · 4 skipped"
    )
    assert summary(Matrix()) == ""


def test_only_problems_leaves_the_rows_in_which_something_stands_out() -> None:
    grid = make_grid(story.matrix(), story.NAMES, only_problems=True)
    assert [row_id for row_id in grid.row_ids if row_id] == ["hardware-os", "hardware-clock", "cabling-speed"]
    assert grid.table.headers == rack.NAMES


def test_a_state_is_said_in_words_beside_its_icon() -> None:
    grid = make_grid(story.matrix(), story.NAMES)
    cells = dict(zip(grid.row_ids, grid.table.rows, strict=True))
    assert cells["hardware-clock"][2].spoken == "not told, not read, Look again."
    assert cells["hardware-os"][3].look == "warn"


def test_a_diff_has_both_numbers_and_signs() -> None:
    rows = file_rows(story.diffs()[2])
    assert [(row.before, row.after, row.sign) for row in rows[:5]] == [
        (1, 1, " "),
        (2, 2, " "),
        (3, 3, " "),
        (4, None, "-"),
        (None, 4, "+"),
    ]
    assert sum(row.sign == "+" for row in rows) == 10


def test_a_file_that_cannot_be_read_before_says_so_and_an_equal_one_is_kept() -> None:
    unknown = file_note(story.diffs(is_known=False)[0])
    assert unknown.startswith("What is there now cannot be read without sudo")
    same = FileDiff("node0", story.PATH, "a\n", "a\n")
    assert file_note(same) == "Kept as is: nothing is written."
    assert [row.sign for row in file_rows(same)] == [" "]


def test_hostile_file_lines_are_shown_as_they_are() -> None:
    rows = file_rows(FileDiff("node0", story.PATH, None, "a\x1b[31mb\u202ec\n" + "x" * 9000))
    assert "\x1b" not in rows[0].text
    assert "\u202e" not in rows[0].text
    assert len(rows[1].text) <= 400


def test_the_clock_counts_down_and_never_below_nothing() -> None:
    face = faces([story.trial(2, 42.0)], story.NAMES, story.NOW_MS)[0]
    assert face.line == "spark-afe0 restores itself in 0:42 unless kept"
    assert math.isclose(face.share, 0.7)
    late = faces([story.trial(2, 42.0)], story.NAMES, story.NOW_MS + 99_000)[0]
    assert (late.left_s, late.share, late.line) == (0.0, 0.0, "spark-afe0 restores itself now")


def test_a_trial_with_a_question_comes_first() -> None:
    shown = faces([story.trial(1), story.trial(2, question="Keep?")], story.NAMES, story.NOW_MS)
    assert [face.node_id for face in shown] == ["node2", "node1"]


def test_the_proof_is_grouped_by_pair_and_the_worst_decides() -> None:
    groups = proof_groups(story.done(is_bad=True), story.NAMES)
    assert [group.title for group in groups] == [
        "spark-5c2d ↔ spark-bd26",
        "spark-5c2d ↔ spark-afe0",
        "spark-bd26 ↔ spark-3995",
        "All 4 nodes",
    ]
    assert [group.state for group in groups] == ["pass", "warn", "pass", "fail"]
    assert overall(groups) == "fail"
    gather = groups[-1].rows[0]
    assert (gather.value, gather.unit, gather.is_simulated) == ("3.1", "GB/s", True)
    assert gather.causes[0].startswith("The image has another NCCL")


def test_a_row_does_not_repeat_the_nodes_that_stand_above_it() -> None:
    pair = ProofItem("a", ProofKind.PING, "Ping, spark-5c2d ↔ spark-bd26", ("node0", "node1"))
    every = ProofItem("b", ProofKind.LINK, "Line speed, 4 nodes", story.IDS)
    groups = proof_groups(story.planned(plan=story.plan(proof_items=(pair, every))), story.NAMES)
    assert [row.title for group in groups for row in group.rows] == ["Ping", "Line speed"]


def test_what_stands_out_comes_first_once_all_is_measured() -> None:
    groups = make_model(story.done(is_bad=True)).proof()
    assert [group.state for group in groups] == ["fail", "warn", "pass", "pass"]
    told = [row.kind for row in groups[-1].rows]
    assert told[:2] == [ProofKind.RDMA_BANDWIDTH, ProofKind.PING], "what tells most, however it was measured"


def test_before_the_proof_nothing_has_a_value() -> None:
    rows = [row for group in proof_groups(story.planned(), story.NAMES) for row in group.rows]
    assert {row.state for row in rows} == {"waiting", "skipped"}
    assert not any(row.value or row.scale for row in rows)


def test_a_value_that_is_not_a_number_is_not_drawn() -> None:
    item = ProofItem("x", ProofKind.RDMA_BANDWIDTH, "RDMA", ("node0", "node1"), band=story.RDMA)
    state = BringUpState(measurements=(Measurement(item, Grade.UNREAD, math.nan, "Gb/s", "No answer"),))
    row = proof_groups(state, {})[0].rows[0]
    assert (row.value, row.state) == ("", "unread")
    assert row.scale is not None
    assert row.scale.value is None


def test_a_clock_is_told_in_gigahertz_with_two_decimals() -> None:
    item = ProofItem("x", ProofKind.GPU_CLOCK, "Full speed under load", story.IDS, band=CLOCK)
    state = BringUpState(measurements=(Measurement(item, Grade.PASS, 2.411, "GHz", "2.41 GHz on spark-1"),))
    row = proof_groups(state, {})[0].rows[0]
    assert (row.value, row.unit, row.state) == ("2.41", "GHz", "pass")
    assert row.scale is not None
    marks = (row.scale.warn_at, row.scale.pass_at, row.scale.value)
    assert [round(mark or 0.0, 2) for mark in marks] == [0.33, 0.47, 0.8]


def test_a_scale_is_a_share_whatever_the_band_says() -> None:
    assert make_scale(Band("Gb/s", 185, math.nan, 200), 500.0).value == 1.0
    assert make_scale(Band("Gb/s", 185, math.nan, 200), 100.0).warn_at is None
    assert make_scale(Band("us", 3.0, 5.0, math.nan, is_lower_better=True), None).pass_at == 1.0


def test_a_failure_says_first_what_failed_then_what_to_do_and_how_the_nodes_stand() -> None:
    notice = notice_of(story.failed())
    assert notice is not None
    assert notice.title == "spark-afe0 did not answer after the new addresses; it restored itself."
    assert notice.text.startswith("Look at the cable of P1, then continue. spark-5c2d: all 5 steps are done.")
    assert notice.can_undo


def test_an_interrupted_bring_up_says_how_the_nodes_stand_and_can_be_taken_back() -> None:
    notice = notice_of(story.interrupted())
    assert notice is not None
    assert notice.can_undo
    assert "spark-5c2d: all 5 steps are done" in notice.text


def test_what_is_said_while_reading_is_no_error() -> None:
    state = replace(story.reading(), message="2 of 4 nodes are read")
    assert notice_of(state) is None
    assert head_words(state) == "2 of 4 nodes are read · this changes nothing"


def test_after_a_part_was_taken_back_what_stays_is_counted() -> None:
    state = replace(story.done(), phase=Phase.UNDONE)
    notice = notice_of(state)
    assert notice is not None
    assert notice.title == "What was chosen was taken back."
    assert notice.text == "16 changes stay and can be taken back too."


def test_images_that_a_look_finds_change_nothing_while_one_is_picked_by_itself() -> None:
    model = make_model(story.planned(plan=story.plan(choices=Choices())))
    asked: list[bool] = []
    model.chosen.connect(lambda: asked.append(True))
    for images in ((), (story.IMAGE,), (story.IMAGE, "other:1")):
        model.feeds.images.set(images)
        assert (model.image, model.is_fresh(), model.choices(), asked) == (AUTOMATIC, True, Choices(), [])


def test_an_image_of_ones_own_choice_or_none_wants_a_plan_of_its_own() -> None:
    model = make_model(story.planned(plan=story.plan(choices=Choices())))
    model.set_image(story.IMAGE)
    assert (model.choices(), model.is_fresh()) == (Choices(image=story.IMAGE), False)
    model.set_image("")
    assert (model.choices(), model.is_fresh()) == (Choices(picks_image=False), False)
    model.set_image(AUTOMATIC)
    assert model.is_fresh()


def test_an_image_that_is_gone_from_a_node_is_chosen_no_more() -> None:
    model = make_model(story.planned())
    model.set_image(story.IMAGE)
    asked: list[bool] = []
    model.chosen.connect(lambda: asked.append(True))
    model.feeds.images.set(("other:1",))
    assert (model.image, asked) == (AUTOMATIC, [True])


@pytest.mark.parametrize("state", [story.running(), story.done()])
def test_images_that_come_to_light_later_leave_what_was_done_in_sight(state: BringUpState) -> None:
    model = make_model(state)
    asked: list[bool] = []
    model.feeds.images.set(())
    model.chosen.connect(lambda: asked.append(True))
    model.feeds.images.set((story.IMAGE,))
    assert asked == []


def test_the_commands_of_a_chapter_are_those_of_the_plan() -> None:
    model = make_model(story.planned())
    shown = model.commands(Chapter.DOCKER, "node1")
    assert "\nusermod -aG docker nvidia\n" in shown.text
    assert "spark-5c2d" not in shown.text
    assert "gpasswd" in model.commands(Chapter.DOCKER, "", is_undo=True).text
    assert "\nping " in model.commands(Chapter.PROOF, "").text


def test_the_file_of_the_node_that_is_worked_on_is_shown_until_another_is_chosen() -> None:
    model = make_model(story.running())
    assert model.shown_node(Chapter.NETWORK) == "node1"
    model.node_id = "node3"
    assert model.shown_node(Chapter.NETWORK) == "node3"
    assert make_model(story.failed()).shown_node(Chapter.NETWORK) == "node2"


def test_what_was_done_is_listed_newest_first_and_what_was_taken_back_is_not() -> None:
    assert make_model(story.done()).done_steps()[0].id == "network-keep-node3"
    assert make_model(story.undone()).done_steps() == ()
    assert not make_model(story.running()).can_undo()
    assert make_model(story.done()).can_undo()


def test_the_page_follows_what_happens_after_the_phase_has_changed() -> None:
    model = make_model(story.planned())
    model.choose_chapter("docker")
    assert model.chapter is Chapter.DOCKER
    model.feeds.state.set(story.running())
    assert model.chapter is Chapter.NETWORK


def test_a_chapter_that_was_asked_for_alone_is_continued_alone() -> None:
    state = replace(story.failed(), chapters=frozenset({"network"}))
    assert offered(state)[-1] == ("resume", "Continue: CX-7 addresses and MTU")
    paused = replace(story.running(), phase=Phase.PAUSED, chapters=frozenset({"keys"}))
    shown = offers(Situation(paused, 4, True, True, Chapter.NETWORK))
    assert [(each.key, each.words, each.is_primary) for each in shown] == [
        ("resume", "Do the rest", False),
        ("chapter", "Apply: CX-7 addresses and MTU", True),
    ]


def test_a_second_look_leaves_the_buttons_in_their_places() -> None:
    again = offers(Situation(replace(story.planned(), phase=Phase.READING), 4, is_fresh=True))
    assert [each.key for each in again] == [each.key for each in offers(Situation(story.planned(), 4, is_fresh=True))]
    assert (again[0].is_busy, again[1].reason) == (True, "The nodes are being read again")


def left_out(*kinds: ProofKind) -> BringUpState:
    skip = [
        replace(one, grade=Grade.SKIPPED, value=None, message="No image is on all nodes.") for one in story.measured()
    ]
    found = [skip[at] if one.item.kind in kinds else one for at, one in enumerate(story.measured())]
    return story.done(measurements=tuple(found))


def test_without_an_all_gather_nothing_is_called_proved_or_passed() -> None:
    state = left_out(ProofKind.ALL_GATHER)
    assert head_words(state).endswith("· network proved, NCCL not proved")
    row = next(row for row in outline(state) if row.key == "proof")
    assert (row.mark, row.line) == ("warn", "6 passed · NCCL not proved")
    chip = head_chip(state, proof_groups(state, story.NAMES))
    assert (chip.words, chip.state) == ("NCCL not proved", "warn")
    assert head_words(story.done()).endswith("· proved")


def test_what_was_skipped_is_counted_in_the_chip_of_its_group() -> None:
    groups = proof_groups(story.done(), story.NAMES)
    assert [group_chip(group).words for group in groups] == ["Passed, 1 skipped", "Passed", "Passed", "Passed"]


def test_a_proof_of_before_the_undo_says_so_and_wears_no_green() -> None:
    state = replace(story.undone(), measurements=story.measured(), past_proof="before the undo")
    chip = head_chip(state, proof_groups(state, story.NAMES))
    assert (chip.words, chip.state) == ("Before the undo", "skipped")
    row = next(row for row in outline(state) if row.key == "proof")
    assert (row.mark, row.line) == ("todo", "proved before the undo")


def test_a_proof_that_failed_says_its_worst_figure_first_with_its_likeliest_cause() -> None:
    state = story.done(is_bad=True)
    notice = notice_of(state)
    assert notice is not None
    assert (notice.kind, notice.title) == ("crit", "Not proved: NCCL all_gather, 1 GiB: 3.1 GB/s, passes at 21.875")
    assert notice.text.startswith("Likeliest cause: The image has another NCCL than the host. Choose an image")
    assert make_model(state).chapter is Chapter.PROOF
    again = replace(story.all_green(), measurements=story.measured(is_bad=True), past_proof="before this look")
    notice = notice_of(again)
    assert notice is not None
    assert notice.kind == "warn"
    assert "Not proved" in notice.title


def test_what_a_person_stopped_is_no_error() -> None:
    notice = notice_of(replace(story.failed(), is_wanted=True))
    assert notice is not None
    assert notice.kind == "info"


def test_no_gauge_is_drawn_where_a_value_cannot_be_better() -> None:
    line = Band("Gb/s", 200.0, 100.0, 200.0)
    loss = Band("%", 0.0, 1.0, 100.0, is_lower_better=True)
    for band in (line, loss):
        item = ProofItem("x", ProofKind.LINK, "Carrier", ("node0", "node1"), band=band)
        state = BringUpState(measurements=(Measurement(item, Grade.PASS, band.pass_at, band.unit),))
        assert proof_groups(state, {})[0].rows[0].scale is None


def test_signing_in_anew_proving_root_and_pinging_are_no_changes() -> None:
    ask = Step("trust-root-node0", "Prove root's rights", "node0", (), check=(Run(Command(("true",))),), phase="trust")
    ping = Step("network-ping-node0", "Ping", "node0", (Run(Command(("ping",))),), phase="network")
    anew = Step("docker-anew", "Sign in anew", "node0", (SignInAnew(),), check=(Run(Command(("id",))),), phase="docker")
    plan = story.plan(playbook=Playbook("Bring up", (Stage("All", (ask, anew, ping, *story.steps_of(0))),)))
    assert "5 changes on 1 node" in head_words(story.planned(plan=plan))


def test_packages_that_come_last_say_so_in_their_chapter() -> None:
    late = Stage("Packages", (replace(story.steps_of(0)[2], id="hardware-package", phase="hardware"),))
    plan = story.plan(playbook=Playbook("Bring up", (*story.STAGES[:2], *story.STAGES[3:], late)))
    cells = story.row("hardware-tools", Chapter.HARDWARE, "Tools", story.Cell(CellState.PLANNED, "perftest"))
    state = story.planned(plan=plan, matrix=Matrix(story.IDS, (cells,)))
    assert next(row.line for row in outline(state) if row.key == "hardware") == "1 change, last"


def test_a_file_that_was_written_is_not_called_missing() -> None:
    model = make_model(story.done())
    first = story.diffs()[0]
    assert file_note(first, is_written=model.is_written(first)).startswith("Written as shown.")
    assert not make_model(story.undone()).is_written(first)


def test_what_all_of_it_comes_to_is_read_first() -> None:
    assert [row.title for row in make_model(story.done()).proof()[0].rows] == ["NCCL all_gather, 1 GiB"]


def test_the_image_that_is_picked_is_named_before_anything_runs() -> None:
    assert make_model(story.planned()).automatic_words() == story.IMAGE


def test_a_saved_report_is_told_by_its_names_before_its_folder() -> None:
    paths = ("/home/ana/reports/bring-up-1.md", "/home/ana/reports/bring-up-1.json")
    assert saved_words(paths) == "Saved: bring-up-1.md and .json in /home/ana/reports"
    assert saved_words(()) == ""


def test_what_comes_next_follows_the_order_in_which_the_plan_runs(dressed: object) -> None:
    assert head_words(real_story.interrupted()) == "Interrupted at step 6 of 9 · CX-7 addresses and MTU"
    assert current_chapter(real_story.undone()) is Chapter.KEYS
    desk = real_story.desk()
    desk.model.set_step_by_step(True)
    desk.state.set(real_story.planned())
    assert desk.model.chapter is Chapter.KEYS, "packages come last, also step by step"


def test_an_image_is_named_short_where_no_other_is_called_so() -> None:
    (group, *_) = proof_groups(real_story.done(), real_story.NAMES)
    rows = [row for row in group.rows if row.kind is ProofKind.NCCL_IMAGE]
    assert {row.title for row in rows} == {"NCCL in vllm:26.05-py3", "NCCL in pytorch:26.05-py3"}
    assert {row.image for row in rows} == set(real_story.IMAGES)
    assert all(row.image in row.spoken for row in rows)


def test_a_report_that_is_not_saved_yet_has_no_tick() -> None:
    unsaved = replace(story.done(), report_paths=())
    assert (marks(story.done())["finish"], marks(unsaved)["finish"]) == ("done", "todo")
