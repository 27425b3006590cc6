"""What a person's words ask for: every text is a valid question."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.search.query import MAX_WORDS, SearchQuery, parse_query


def test_words_quotes_tags_and_folders_are_told_apart() -> None:
    query = parse_query('the "Rust port" tag:LoRA folder:"My  project" the Tag:"two words" x')
    assert query == SearchQuery("the Rust port x", ("the", "Rust port", "x"), ("lora", "two words"), ("my project",))


def test_an_open_quote_and_an_empty_tag_harm_nothing() -> None:
    assert parse_query('say "and so on').words == ("say", "and so on")
    assert parse_query("tag: lora") == SearchQuery("lora", ("lora",))
    assert parse_query("Folder:").is_empty
    assert parse_query("  ").is_empty


@given(st.text())
def test_any_text_gives_a_bounded_question(text: str) -> None:
    query = parse_query(text)
    assert len(query.words) <= MAX_WORDS
    assert all(word.strip() and "\0" not in word for word in query.words)
    assert query.phrase.encode() is not None
