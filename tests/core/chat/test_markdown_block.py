"""Streaming Markdown: the same blocks for every way of cutting it, nothing lost, nothing too large."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.chat.markdown_block import (
    MAX_BLOCK_CHARS,
    MAX_CODE_CHARS,
    MAX_PIECE_CHARS,
    Block,
    BlockKind,
    MarkdownSplitter,
)


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
        ("so:\n$$\na\n- b\n$$\nthen", ["paragraph", "formula", "paragraph"]),
        ("\\[\n# a\n\\]\nb", ["formula", "paragraph"]),
        ("\\begin{align*}\n> a\n\\end{align*}\nb", ["formula", "paragraph"]),
        ("$$ a $$\nb", ["paragraph"]),
        ("$$\na\n\nb", ["formula", "paragraph"]),
        ("- a\n  $$\n  b\n  $$\n- c", ["list"]),
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


@pytest.mark.parametrize("size", range(MAX_CODE_CHARS - 12, MAX_CODE_CHARS + 6))
def test_a_block_that_is_full_just_at_its_fence_still_ends(size: int) -> None:
    blocks = split("```py\n" + "x" * 4000 + "\n" + "y\n" * ((size - 4007) // 2) + "```\nafter\n")
    assert blocks[-1].kind is BlockKind.PARAGRAPH
    assert blocks[-1].text == "after"
    assert not [block for block in blocks if block.language and not block.text]


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


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "word " * 20_000, "```\n" + "y" * 160_000, "```\n" + "line\n" * 40_000]
)
def test_endless_lines_and_blocks_are_split_and_nothing_is_lost(text: str) -> None:
    splitter = MarkdownSplitter()
    blocks = []
    for start in range(0, len(text), 1000):
        blocks += splitter.feed(text[start : start + 1000])
        limit = MAX_CODE_CHARS if splitter.kind is BlockKind.CODE else MAX_BLOCK_CHARS
        assert len(splitter.tail) <= limit + MAX_PIECE_CHARS
    blocks += splitter.finish()
    assert "".join(block.source for block in blocks) == text
    assert len({block.kind for block in blocks}) == 1
    limit = MAX_CODE_CHARS if blocks[0].kind is BlockKind.CODE else MAX_BLOCK_CHARS
    assert all(len(block.source) <= limit + MAX_PIECE_CHARS for block in blocks)


def test_a_long_code_block_that_was_split_still_ends_at_its_fence() -> None:
    blocks = split("```py\n" + "x = 1\n" * 11_000 + "```\nafter\n")
    assert [block.kind.value for block in blocks] == ["code"] * (len(blocks) - 1) + ["paragraph"]
    assert all(block.language == "py" for block in blocks[:-1])
    assert "".join(block.text + "\n" for block in blocks[:-1]) == "x = 1\n" * 11_000
    assert [block.part for block in blocks] == [0, 1, 2, 0]
    assert [block.title for block in blocks] == ["", "part 2", "part 3", ""]


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
            "$$",
            "\\[",
            "\\]",
            "\\begin{align}",
            "\\end{align}",
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


def test_a_file_name_is_told_however_the_model_wrote_it() -> None:
    heads = ["rust src/a.rs", "rust:src/a.rs", 'rust title="src/a.rs"', "rust filename=src/a.rs", "src/a.rs"]
    blocks = [split(f"```{head}\nx\n```\n")[0] for head in heads]
    assert [block.title for block in blocks] == ["src/a.rs"] * 5
    assert [block.language for block in blocks] == ["rust"] * 4 + [""]


def test_the_end_of_a_fence_is_not_shown_while_it_is_written() -> None:
    splitter = MarkdownSplitter()
    splitter.feed("```\nx = 1\n``")
    assert splitter.open_text == "x = 1"
    splitter.feed("a")
    assert splitter.open_text == "x = 1\n``a"


@given(text=PIECES)
def test_what_is_shown_of_an_open_code_only_grows(text: str) -> None:
    splitter = MarkdownSplitter()
    splitter.feed("```\n")
    before = ""
    for char in text:
        closed = splitter.feed(char)
        if closed or splitter.kind is not BlockKind.CODE:
            return
        assert splitter.open_text.startswith(before)
        before = splitter.open_text


def test_spaces_inside_a_long_line_of_indented_code_are_kept() -> None:
    line = "x" * MAX_PIECE_CHARS + "   y"
    assert split(f"  ```\n  {line}\n  ```\n")[0].text == line


TABLE = "| a | b |\n|---|---|\n| 1 | 2 |\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"These are they:\n{TABLE}", ["paragraph", "table"]),
        (f"One line\nand two:\n{TABLE}\nAfter", ["paragraph", "table", "paragraph"]),
        ("Bare:\na | b\n--- | :-:\n1 | 2", ["paragraph", "table"]),
        (f"- an item\n{TABLE}", ["list", "table"]),
        ("Escaped:\n| a \\| b |\n|---|---|\n", ["paragraph"]),
        ("Another number of cells:\n| a | b | c |\n|---|---|\n", ["paragraph"]),
        ("No row above\n|---|---|\n", ["paragraph"]),
        (f"```\nIn code:\n{TABLE}```", ["code"]),
        ("A title\nof | two\n---\n", ["heading"]),
    ],
)
def test_a_table_right_under_words_is_a_block_of_its_own(text: str, expected: list[str]) -> None:
    assert kinds(text) == expected
    assert "".join(block.source for block in split(text)) == text
    assert split(*text) == split(text)
