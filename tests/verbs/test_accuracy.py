"""The verb that says how far the planner's speeds are off."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkdesk.core.planning.reference import read_reference
from sparkdesk.core.planning.speed.calibration import Band
from sparkdesk.core.planning.speed.fit import START
from sparkdesk.verbs import accuracy

ROOT = Path(__file__).resolve().parents[2]


def test_the_verb_prints_the_report_of_the_documents(capsys: pytest.CaptureFixture[str]) -> None:
    assert accuracy.main([]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / "accuracy.md").read_text("utf-8")


def test_new_values_take_the_place_of_the_old_and_leave_the_rest_of_the_file() -> None:
    folder = ROOT / "resources" / "planning"
    old = (folder / "calibration.toml").read_text("utf-8")
    new = accuracy.with_values(old, START, Band(0.1, 0.2), Band(0.3, 0.4))
    texts = {path.stem: path.read_bytes() for path in folder.glob("*.toml")}
    before = read_reference(texts).calibration
    after = read_reference(texts | {"calibration": new.encode()}).calibration
    assert (after.fitted, after.decode_band, after.ttft_band) == (START, Band(0.1, 0.2), Band(0.3, 0.4))
    assert (after.engines, after.speculations, after.roofline_band) == (
        before.engines,
        before.speculations,
        before.roofline_band,
    )
    assert new.count("#") == old.count("#")
