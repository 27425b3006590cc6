"""What is kept of how a job went: it comes back as it was, and anything else is refused in words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.record import Phase, PhaseState
from sparkdesk.core.jobs.story import Story

STORY = Story(
    (
        Phase("load", "Load", PhaseState.DONE, 201.5, "Weights loaded"),
        Phase("token", "First token", PhaseState.CURRENT),
    ),
    {"token": 1_700_000_000_000},
    {"load": "Weights loaded"},
    restarts=1,
    tries=("try 1 ended with exit code 3: no memory",),
)


def test_a_story_comes_back_as_it_was() -> None:
    found = Story.from_json(STORY.to_json())
    assert found.marks == STORY.marks
    assert found.to_json() == STORY.to_json()
    assert (found.phases[0].seconds, found.begun_ms) == (201.5, {"token": 1_700_000_000_000})


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"phases": [{"key": "load", "title": "Load", "state": "asleep", "seconds": 1.0}]},
        {"phases": [{"key": "load", "title": "Load", "state": "done", "seconds": -1.0}]},
        {"begun_ms": {"token": "yesterday"}},
        {"tries": [7]},
    ],
)
def test_what_is_no_story_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(PlanError):
        Story.from_json(json.dumps({**json.loads(STORY.to_json()), **change}).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(PlanError):
        Story.from_json(data)
