"""Streaming Markdown: the same blocks for every way of cutting it, nothing lost, nothing too large."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.markdown_block import MAX_BLOCK_CHARS, MAX_PIECE_CHARS, Block, BlockKind, MarkdownSplitter


def split(*pieces: str) -> list[Block]:
    splitter = MarkdownSplitter()
    return [block for piece in pieces for block in splitter.feed(piece)] + splitter.finish()


def kinds(text: str) -> list[str]:
    return [block.kind.value for block in split(text) if block.text]


MIXED = """# Title

A paragraph
of two lines.

- one
- two

  still two
1. three

```rust src/pretok.rs
fn main() {

    println!("`");
}
```
After.

| a | b |
|---|--:|
| 1 | 2 |

> said
> again

---
Last words"""


def test_a_mixed_text_falls_into_its_blocks() -> None:
    blocks = split(MIXED)
    assert [block.kind.value for block in blocks] == [
        "heading",
        "paragraph",
        "list",
        "code",
        "paragraph",
        "table",
        "quote",
        "rule",
        "paragraph",
    ]
    code = blocks[3]
    assert (code.language, code.title) == ("rust", "src/pretok.rs")
    assert code.text == 'fn main() {\n\n    println!("`");\n}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n- b\n", ["paragraph", "list"]),
        ("a\n2. b\n", ["paragraph"]),
        ("a\n# b\nc", ["paragraph", "heading", "paragraph"]),
        ("#hashtag\n", ["paragraph"]),
        ("a\n===\nb", ["heading", "paragraph"]),
        ("a | b\n- | -\n1 | 2\nrest", ["table", "paragraph"]),
        ("a | b\nc", ["paragraph"]),
        ("- a\n\n\nb", ["list", "paragraph"]),
        ("- a\n***\n- b", ["list", "rule", "list"]),
        ("1. a\n   ```py\n   x = 1\n   ```\n2. b", ["list", "code", "list"]),
        ("~~~\n```\n~~~\n", ["code"]),
        ("````\n```\n````\n", ["code"]),
        ("> a\nlazy\n\nb", ["quote", "paragraph"]),
        ("**bold** text\n", ["paragraph"]),
        ("    indented\n", ["paragraph"]),
        ("\n\n\n", []),
        ("", []),
        ("a\r\n\r\nb\r\n", ["paragraph", "paragraph"]),
    ],
)
def test_kinds(text: str, expected: list[str]) -> None:
    assert kinds(text) == expected


def test_a_fence_in_a_list_loses_the_lists_indentation_only() -> None:
    code = split("1. a\n   ```py\n   if x:\n       y\n   ```\n")[1]
    assert code.text == "if x:\n    y"


def test_a_fence_that_never_closes_is_code_to_the_end() -> None:
    (code,) = split("```\nx\n``\n")
    assert code.text == "x\n``"


@pytest.mark.parametrize("size", range(MAX_BLOCK_CHARS - 12, MAX_BLOCK_CHARS + 6))
def test_a_block_that_is_full_just_at_its_fence_still_ends(size: int) -> None:
    blocks = split("```\n" + "x" * 4000 + "\n" + "y\n" * ((size - 4005) // 2) + "```\nafter\n")
    assert blocks[-1].kind is BlockKind.PARAGRAPH
    assert blocks[-1].text == "after"


def test_an_empty_code_block_is_closed_by_its_fence() -> None:
    assert [block.kind for block in split("```\n```\na\n")] == [BlockKind.CODE, BlockKind.PARAGRAPH]


def test_the_open_block_is_shown_without_its_fence() -> None:
    splitter = MarkdownSplitter()
    splitter.feed("\n```py\nx = 1\ny")
    assert splitter.kind is BlockKind.CODE
    assert splitter.language == "py"
    assert splitter.open_text == "x = 1\ny"
    assert splitter.tail == "\n```py\nx = 1\ny"


def test_a_paragraph_stays_open_until_the_blank_line() -> None:
    splitter = MarkdownSplitter()
    assert splitter.feed("Hello wor") == []
    assert splitter.open_text == "Hello wor"
    assert splitter.feed("ld.\n") == []
    assert [block.text for block in splitter.feed("\n")] == ["Hello world."]
    assert splitter.tail == ""


@pytest.mark.parametrize("text", ["x" * 100_000, "word " * 20_000, "```\n" + "y" * 60_000, "```\n" + "line\n" * 20_000])
def test_endless_lines_and_blocks_are_split_and_nothing_is_lost(text: str) -> None:
    splitter = MarkdownSplitter()
    blocks = []
    for start in range(0, len(text), 1000):
        blocks += splitter.feed(text[start : start + 1000])
        assert len(splitter.tail) <= MAX_BLOCK_CHARS + MAX_PIECE_CHARS
    blocks += splitter.finish()
    assert "".join(block.source for block in blocks) == text
    assert len({block.kind for block in blocks}) == 1
    assert all(len(block.source) <= MAX_BLOCK_CHARS + MAX_PIECE_CHARS for block in blocks)


def test_a_long_code_block_that_was_split_still_ends_at_its_fence() -> None:
    blocks = split("```py\n" + "x = 1\n" * 6000 + "```\nafter\n")
    assert [block.kind.value for block in blocks] == ["code"] * (len(blocks) - 1) + ["paragraph"]
    assert all(block.language == "py" for block in blocks[:-1])
    assert "".join(block.text + "\n" for block in blocks[:-1]) == "x = 1\n" * 6000


PIECES = st.lists(
    st.sampled_from(
        [
            "\n",
            "\r\n",
            "a",
            " ",
            "  ",
            "- ",
            "1. ",
            "```",
            "~~~",
            "py",
            "# ",
            "> ",
            "|",
            "---",
            "===",
            "| - |",
            "\t",
            "*",
        ]
    ),
    max_size=40,
).map("".join)


@given(text=PIECES | st.text(max_size=80), data=st.data())
def test_any_text_gives_the_same_blocks_in_any_pieces_and_loses_nothing(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in itertools.pairwise([0, *cuts, len(text)])]
    whole = split(text)
    assert split(*pieces) == whole
    assert "".join(block.source for block in whole) == text


@given(text=PIECES)
def test_blocks_and_tail_are_the_text_at_every_moment(text: str) -> None:
    splitter = MarkdownSplitter()
    closed = ""
    for end, char in enumerate(text, 1):
        closed += "".join(block.source for block in splitter.feed(char))
        assert closed + splitter.tail == text[:end]
