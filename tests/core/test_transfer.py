"""How far a transfer is, and which try it waits for, in words; whatever a node says of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.disk.view import DiskKey, Kind, read_listing
from sparkdesk.core.playbooks.reader import read_progress
from sparkdesk.core.transfer import again_words

AGAIN = {"why": "line cut", "try": 2, "of": 5, "in_s": 3.2}
DONE = {"done": 41_900_000, "total": 100_000_000, "rate": 1e6, "files": 3, "files_done": 1}


def test_a_try_that_is_waited_for_is_told_in_place_of_a_rate() -> None:
    progress = read_progress("transfer", json.dumps({**DONE, "again": AGAIN}))
    assert progress is not None
    assert progress.text == "41.9 of 100.0 MB; line cut at 42 %, trying again 2 of 5 in 4 s; 1 of 3 files"
    assert progress.fraction == pytest.approx(0.419)
    layers = read_progress("transfer", json.dumps({"layers": 9, "layers_done": 3, "got": 10, "again": AGAIN}))
    assert layers is not None
    assert layers.text == "3 of 9 layers, 10 B; line cut, trying again 2 of 5 in 4 s"
    first = read_progress("transfer", json.dumps({"again": dict(AGAIN, why="no way to the hub")}))
    assert first is not None
    assert first.text == "no way to the hub, trying again 2 of 5 in 4 s"


def test_a_download_that_another_computer_began_tells_its_tries_too() -> None:
    row = {"kind": "model", "name": "o/n", **DONE, "again": AGAIN}
    cell = read_listing({"transfers": [row]}).cells[DiskKey(Kind.MODEL, "o/n")]
    assert cell.coming == "41.9 of 100.0 MB; line cut at 42 %, trying again 2 of 5 in 4 s"


@given(st.recursive(st.none() | st.integers() | st.floats() | st.text(), lambda one: st.dictionaries(
    st.sampled_from(("why", "try", "of", "in_s")), one)))  # fmt: skip
def test_whatever_a_node_says_of_a_try_is_one_short_line(value: object) -> None:
    words = again_words(value, 0.5)
    assert len(words) < 200
    assert "\n" not in words
