"""An acceptance holds for what was accepted, and for nothing that is other or worse."""

from __future__ import annotations

import json
from dataclasses import replace

from sparkdesk.core.findings.acceptance import MAX_NOTE_CHARS, Acceptance, accept, mark
from sparkdesk.core.findings.concern import Severity
from tests.core.findings.test_standing import SLOW

ACCEPTED = accept(SLOW, " known, an\nold box ", 5)


def test_it_holds_while_figures_move_and_when_it_gets_milder() -> None:
    shown = mark(replace(SLOW, evidence="another figure"), ACCEPTED)
    assert (shown.is_accepted, shown.note) == (True, "known, an␊old box")
    assert mark(replace(SLOW, severity=Severity.NOTE), ACCEPTED).is_accepted


def test_it_ends_when_the_evidence_changes_or_gets_worse() -> None:
    assert not mark(replace(SLOW, fingerprint="y"), ACCEPTED).is_accepted
    assert not mark(replace(SLOW, severity=Severity.CRIT), ACCEPTED).is_accepted
    assert not mark(SLOW, None).is_accepted


def test_it_is_kept_as_json_and_a_note_is_bounded() -> None:
    assert Acceptance.from_json(json.loads(json.dumps(ACCEPTED.to_json()))) == ACCEPTED
    assert len(accept(SLOW, "x" * 9999, 5).note) == MAX_NOTE_CHARS
