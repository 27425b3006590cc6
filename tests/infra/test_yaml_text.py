"""YAML from outside gives plain data or one sentence that names the line."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.errors import SettingsError
from sparkdesk.infra.yaml_text import MAX_BYTES, read_yaml

BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))


def test_plain_yaml_is_plain_data() -> None:
    text = 'a: 1\nb: [1, 2.5, true, null, 12:30, 0x10]\nc: {d: "1"}\ne: 2020-01-01\nf: |\n  x\n  y\n'
    assert read_yaml(text) == {
        "a": 1,
        "b": [1, 2.5, True, None, "12:30", 16],
        "c": {"d": "1"},
        "e": "2020-01-01",
        "f": "x\ny\n",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: !!python/object/apply:os.system ['touch x']", "Line 2 has the tag"),
        ("%TAG ! tag:x,2000:\n---\na: 1", "declares tags"),
        ("a: &x 1\nb: *x", "Line 1 has an anchor"),
        (BOMB, "Line 1 has an anchor"),
        ("a: 1\n---\nb: 2", "Line 2 starts a second document"),
        ("a: " + "[" * 1000, "nested deeper"),
        ("a: " + "9" * 5000, "number of 5000 digits"),
        ("a: 1\nb: 2\na: 3", "Line 3 has the key 'a' a second time"),
        ("? [a]\n: b", "no word"),
        ("a: 1\nb: \0", "Line 2 holds a character"),
        ("a: [" + "1," * 30_000 + "]", "beyond 20000 values"),
        ("- a", "not a mapping"),
        ("", "not a mapping"),
        ("a: 'b\n", "is no YAML"),
        ("x" * (MAX_BYTES + 1), "bytes"),
    ],
)
def test_what_is_not_plain_data_is_refused_and_its_line_named(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read_yaml(text)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(SettingsError, match="not text"):
        read_yaml(b"a: \xff\xfe")


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"\n \t#%,?01.e"), max_size=60))
def test_any_text_is_a_mapping_or_an_error_of_ours(text: str) -> None:
    with contextlib.suppress(SettingsError):
        assert isinstance(read_yaml(text), dict)
