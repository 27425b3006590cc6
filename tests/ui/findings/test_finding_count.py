"""However many places tell how many findings there are, they count in one way."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QApplication

from sparkdesk.core.findings.concern import Concern, Severity
from tests.ui.stage import Stage
from ui.cluster.model import ClusterModel
from ui.cluster.table import build_extras
from ui.findings import words
from ui.findings.strip import FindingStrip

SLOW = Concern("clock", "node0", Severity.WARN, "The clock is held low", "731 MHz", "Unplug it.")
CRIT = replace(SLOW, rule="wedge", severity=Severity.CRIT)
NOTE = replace(SLOW, rule="miscabled", severity=Severity.NOTE)
ALL = (CRIT, SLOW, replace(SLOW, rule="disk"), NOTE, replace(CRIT, rule="hot", is_accepted=True))


def test_a_finding_is_open_a_note_or_accepted_and_counted_once() -> None:
    assert words.count(ALL) == words.Counts(open=3, notes=1, accepted=1)
    assert words.count_words(ALL) == "3 open, 1 note, 1 accepted"
    assert words.count_words(ALL, most=2) == "3 open, 1 note"
    assert words.count_words(ALL[3:]) == "1 note, 1 accepted"
    assert words.count_words((NOTE, replace(NOTE, rule="x"))) == "2 notes"
    assert words.count(()) == words.Counts()
    assert words.count((replace(NOTE, is_accepted=True),)) == words.Counts(accepted=1)
    assert words.worst(ALL) is CRIT
    assert words.worst(ALL[3:]) is None


def test_sentence_strip_card_and_table_tell_the_same_number_of_one_node(dressed: QApplication) -> None:
    stage = Stage()
    for i in range(4):
        stage.measure(i, 10.0 + i)
    stage.findings.set(ALL)
    model = ClusterModel(stage.cluster_feeds())
    model.refresh()
    card = model.scene.card("node0")
    assert card is not None
    assert card.finding is not None
    strip = FindingStrip()
    strip.set_findings(ALL, {}, now_ms=1)
    assert model.scene.sentence.words.endswith(" 2 more findings.")
    assert card.finding.text == "3 findings"
    assert strip.counts.text().startswith("3 open, ")
    assert build_extras(model)["node0"].findings == "3 open, 1 note, 1 accepted"
