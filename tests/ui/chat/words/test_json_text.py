"""An answer that is JSON is shown as JSON, unchanged but for its white space."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.markdown_block import BlockKind
from sparkdesk.core.chat.message import Message, Role, TextPart
from sparkdesk.core.chat.session import Turn
from ui.chat.row import BlockRow, rows_of
from ui.chat.words.json_text import json_block, laid_out

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


def test_an_answer_that_is_json_stands_in_one_block_of_code_line_by_line() -> None:
    text = '{"name": "spark", "ports": [8000, 1.50e3], "none": {}}'
    (row,) = rows_of(Turn(Message(Role.ASSISTANT, (TextPart(text),))), 1, is_last=True)
    assert isinstance(row, BlockRow)
    assert (row.block.kind, row.block.language) == (BlockKind.CODE, "json")
    assert row.block.text == ('{\n  "name": "spark",\n  "ports": [\n    8000,\n    1.50e3\n  ],\n  "none": {}\n}')


@pytest.mark.parametrize(
    "text", ["", "{", "[see below]", "{1}", '"a"', "12", '{"a": 1} and more', "[" * 3000 + "]" * 3000]
)
def test_what_is_no_json_object_or_list_stays_prose(text: str) -> None:
    assert json_block(text) is None


def test_what_is_nested_too_deep_stays_as_it_came() -> None:
    assert json_block("[" * 41 + "]" * 41) is None


@given(VALUES)
def test_only_white_space_changes(value: object) -> None:
    text = json.dumps([value])
    shown = laid_out(text)
    assert shown is not None
    assert json.loads(shown) == [value]
    assert laid_out(shown) == shown
