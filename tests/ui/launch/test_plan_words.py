"""What the plan column says of a row."""

from __future__ import annotations

import math
from dataclasses import replace

from sparkdesk.core.jobs.plan import Fit
from sparkdesk.core.planning.figure import Figure
from sparkdesk.core.planning.row import Quality, Toll
from sparkdesk.core.planning.workload import BATCH
from tests.ui.launch import made
from ui import text
from ui.launch.plan import words
from ui.launch.plan.tiles import FigureTile
from ui.widgets.paint import text_width


def test_the_tiles_say_value_unit_and_band() -> None:
    ttft, tpot, user, total = words.tiles_of(made.row())
    assert [tile.title for tile in (ttft, tpot, user, total)] == [
        "TTFT, last of 4",
        "TPOT, 4 users",
        "Each user, 4 active",
        "Total, 4 active",
    ]
    assert (str(ttft.value), ttft.band) == ("15.8 s", "13.9 – 17.7")
    assert (str(tpot.value), tpot.band) == ("73 ms", "64 – 82")
    assert str(user.value) == "13.7 tok/s"
    assert str(total.value) == "54.8 tok/s"
    assert ttft.alone is None
    single = made.row(workload=replace(made.LOAD, users=1))
    assert words.tiles_of(single)[0].title == "TTFT, 32K prompt", "there is no other user"


def test_a_band_over_two_units_writes_both() -> None:
    assert text.span(text.first_token_time(0.85), text.first_token_time(1.1)) == "850 ms – 1.10 s"
    assert text.span(text.first_token_time(math.nan), text.first_token_time(1.1)) == "n/a"


def test_a_band_of_minutes_fits_below_a_tile(dressed: object) -> None:
    bands = {"4.0 – 6.0 min": (238.0, 361.0), "1.6 – 2.2 min": (98.0, 130.0), "100 – 150 min": (6000.0, 9000.0)}
    for said, (low_s, high_s) in bands.items():
        ttft = replace(words.tiles_of(made.row())[0], figure=Figure(high_s - 10, low_s, high_s))
        assert ttft.band == said
        assert text_width(said, "label") <= FigureTile().minimumSizeHint().width() - 2 * 16
    unknown = replace(words.tiles_of(made.row())[0], figure=made.NOT_KNOWN)
    assert unknown.band == text.NOT_KNOWN


def test_beside_a_neighbour_the_figure_is_the_shared_one_and_alone_stands_below() -> None:
    row = made.shared_row()
    ttft = words.tiles_of(row)[0]
    assert str(ttft.value) == "19.4 s"
    assert ttft.alone is not None
    assert ttft.sentence == "TTFT of the last of 4 users, 32K prompt: about 19.4 s, 17.1 – 21.7; alone 15.8 s"
    assert words.neighbour_sentence(row) == "With gpt-oss-120b as busy as it is now; “alone” is without"
    assert words.toll_sentence(row.tolls[0]) == "gpt-oss-120b keeps 82\u202f% of its tok/s while this one is busy"
    assert words.toll_change(row) == "\u221218\u202f%"


def test_what_is_not_known_of_a_neighbour_is_never_free() -> None:
    row = replace(made.shared_row(), tolls=(Toll("job1", "gpt-oss-120b", math.nan),))
    assert "is not known" in words.toll_sentence(row.tolls[0])
    assert words.toll_change(row) == "n/a"


def test_a_figure_without_a_near_case_says_so() -> None:
    row = made.row(alone=made.prediction(leans_on=()))
    assert words.leans_words(row.shown)[0] == "No measured case is near"
    assert not words.tiles_of(row)[0].is_supported
    bare = made.row(alone=made.prediction(is_fitted=False))
    assert words.leans_words(bare.shown)[0] == "Estimate, not fitted"
    assert not words.tiles_of(bare)[0].is_supported


def test_a_line_does_not_end_between_a_number_and_its_unit() -> None:
    said = words.case_words(
        replace(made.CASE, title="Who: vLLM, TP 4, 1 user", figures="15.55 s to it, 72.0 ms a token")
    )
    for kept in ("TP\u00a04", "1\u00a0user", "15.55\u00a0s to", "72.0\u00a0ms a"):
        assert kept in said, said


def test_only_this_very_case_counts_as_measured() -> None:
    near = replace(made.CASE, tpot_s=0.07)
    assert all(tile.measured is None for tile in words.tiles_of(made.row(alone=made.prediction(leans_on=(near,)))))
    exact = made.row(alone=made.prediction(leans_on=(replace(near, distance=""),)))
    assert words.leans_words(exact.shown)[1] == "This very case was measured"
    ttft, tpot, user, total = words.tiles_of(exact)
    assert ttft.measured is None, "the first token's time was not"
    assert [str(each.write(each.measured)) for each in (tpot, user, total)] == ["70 ms", "14.3 tok/s", "57.1 tok/s"]
    assert tpot.sentence.endswith("; measured 70 ms")


def test_the_first_sentence_has_its_criterion() -> None:
    assert words.first_sentence(made.rows()) == (
        "First of 4: TP 2, NVFP4 on vLLM stock. "
        "Lowest latency: communication 3 ms instead of 41 ms a token (TP 2 × PP 2)."
    )


def test_the_only_way_is_not_called_the_first() -> None:
    assert words.first_sentence((made.row(),)).startswith("The only way: TP 2, NVFP4 on vLLM stock. Lowest latency")


def test_where_nothing_fits_it_says_what_would() -> None:
    said = words.first_sentence((made.misfit(),))
    assert said.startswith("Nothing fits. Nearest: One node, NVFP4 on vLLM stock.")
    assert said.endswith("Take 4 nodes, or a context of 8,192 tokens.")


def test_the_facts_of_a_row_say_quality_with_its_source() -> None:
    facts = dict(words.facts_of(made.row()))
    assert facts["Longest context"] == "131,072 tokens, 4 users"
    assert facts["Most users"] == "23 at 33K each"
    assert facts["Quality loss"] == "noticeable on edge cases (of the class, not measured on this checkpoint)"
    assert facts["Power"] == "412 W (363 – 461) at the wall, all nodes"
    published = made.row(quality=Quality(1, "MMLU 0.2 points lower", "model card"))
    assert dict(words.facts_of(published))["Quality loss"] == "MMLU 0.2 points lower (model card)"


def test_a_row_with_a_rank_that_is_too_big_is_not_ranked() -> None:
    assert not words.has_room(replace(made.row(1), fit=Fit.TOO_BIG))
    assert words.has_room(made.row(1))


def test_tokens_are_said_as_people_do() -> None:
    assert [words.token_words(n) for n in (512, 1000, 2048, 61_440)] == ["512", "1,000", "2K", "60K"]
    assert words.users_words(BATCH.users) == "128 users"


def test_names_of_others_are_plain_and_bounded() -> None:
    toll = Toll("j", "a\u202eb\n" + "x" * 500, 0.5)
    said = words.toll_sentence(toll)
    assert "\u202e" not in said
    assert "\n" not in said
    assert len(said) < 150
