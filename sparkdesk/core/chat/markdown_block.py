"""Streaming Markdown into blocks: those that are closed never change, and one at the end is still open.

The one rule: lossless and the same for every way of cutting the text. The sources of all blocks and of the open one
joined give the text back, and no block, open or closed, is larger than its kind's limit by more than one piece of
line, because laying out text costs more than linear time. What a token costs does not grow with the text before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_BLOCK_CHARS = 6_144
"""Of prose: laying out so much of the dearest kind takes about 50 ms, a plain paragraph 5 ms."""
MAX_CODE_CHARS = 24_576
"""Of code, whose lines are cheap to lay out: a file that is asked for comes as one block that can be copied whole."""
MAX_PIECE_CHARS = 4_096
"""A longer line is taken in pieces of this size."""

_FENCE = re.compile(r"^( {0,12})(`{3,}|~{3,})[ \t]*([^`\r\n]*)\r?\n?$")
_HEADING = re.compile(r"^ {0,3}#{1,6}(?:[ \t]|\r?\n?$)")
_RULE = re.compile(r"^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})\r?\n?$")
_UNDERLINE = re.compile(r"^ {0,3}(?:=+|-+)[ \t]*\r?\n?$")
_ITEM = re.compile(r"^ *(?:[-*+]|\d{1,9}[.)])(?:[ \t]|\r?\n?$)")
_FIRST_ITEM = re.compile(r"^ {0,3}(?:[-*+]|1[.)])[ \t]+\S")
_QUOTE = re.compile(r"^ {0,3}>")
_TABLE_RULE = re.compile(r"^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*\r?\n?$")
_CELL_END = re.compile(r"(?<!\\)\|")
_LANGUAGE = re.compile(r"^[A-Za-z0-9_+#.-]{1,24}(?=[\s:,{]|$)")
_TITLE = re.compile(r"^(?:title|file|filename|name)=[\"']?([^\"']+)")
_FORMULA = re.compile(
    r"^ {0,3}(?:\$\$|\\\[|\\begin\{((?:equation|align|gather|multline|eqnarray|cases|[bpvVB]?matrix)\*?)\})"
)


class BlockKind(StrEnum):
    """What a block is."""

    PARAGRAPH = "paragraph"
    HEADING = "heading"
    LIST = "list"
    CODE = "code"
    TABLE = "table"
    QUOTE = "quote"
    RULE = "rule"
    FORMULA = "formula"
    """Lines between `$$`, `\\[` and `\\]`, or the ends of a LaTeX environment."""


@dataclass(frozen=True, slots=True)
class Block:
    """A closed block. `text` is what to lay out: Markdown, or for code the lines inside the fence."""

    kind: BlockKind
    source: str
    text: str
    language: str = ""
    title: str = ""
    """What stood after a fence's language, e.g. a file name."""
    part: int = 0
    """Counts from 1 the further parts of a code that was too large for one block."""


class MarkdownSplitter:
    """Reads one text as it comes."""

    def __init__(self) -> None:
        self._line = ""
        """The piece of line that has no end yet."""
        self._is_mid_line = False
        """The last piece was cut off a long line: what follows belongs to it."""
        self._open: list[str] = []
        self._open_chars = 0
        self._kind: BlockKind | None = None
        self._fence = ""
        self._inside: list[str] = []
        """Of an open code block: the lines inside the fence, each without the fence's own indentation."""
        self._part = 0
        self._closer = ""
        """What ends the open formula."""
        self._indent = 0
        self._language = ""
        self._title = ""
        self._is_after_blank = False
        self._said = 0
        """How many lines of the open block say something, and the first of them."""
        self._head = ""

    def feed(self, text: str) -> list[Block]:
        """The blocks that this text closes, in order."""
        closed: list[Block] = []
        self._line += text
        start = 0
        while True:
            end = self._line.find("\n", start, start + MAX_PIECE_CHARS) + 1
            if not end:
                if len(self._line) - start < MAX_PIECE_CHARS:
                    break
                end = start + MAX_PIECE_CHARS
            self._take(self._line[start:end], closed)
            start = end
        self._line = self._line[start:]
        return closed

    def finish(self) -> list[Block]:
        """The text has ended: what was open is closed. The splitter is as new afterwards."""
        closed: list[Block] = []
        if self._line:
            self._take(self._line, closed)
        self._close(closed)
        self._line, self._is_mid_line = "", False
        return closed

    @property
    def kind(self) -> BlockKind | None:
        """What the open block is, as far as its whole lines tell."""
        return self._kind

    @property
    def language(self) -> str:
        """The language of the open code block."""
        return self._language

    @property
    def title(self) -> str:
        """What stands after the language of the open code block."""
        return self._title

    @property
    def tail(self) -> str:
        """The source of what is open."""
        return "".join(self._open) + self._line

    @property
    def open_text(self) -> str:
        """What is open, to be shown as plain text: for code the lines inside the fence."""
        if self._kind is not BlockKind.CODE:
            return self.tail.strip("\r\n")
        line = self._line
        if not self._is_mid_line:
            # What may become the end of the fence is not shown until it turns out to be none.
            is_fence = set(line.strip()) <= {self._fence[:1]}
            line = "" if is_fence else self._unindented(line)
        return "".join([*self._inside, line]).rstrip("\r\n")

    def _take(self, line: str, closed: list[Block]) -> None:
        was_mid_line, self._is_mid_line = self._is_mid_line, not line.endswith("\n")
        if self._kind is BlockKind.CODE:
            self._take_code(line, closed, was_mid_line=was_mid_line)
        elif was_mid_line:
            if self._kind is None:
                self._kind = BlockKind.PARAGRAPH
            self._keep(line, closed)
        elif not line.strip():
            self._take_blank(line, closed)
        else:
            if self._is_table_under_text(line):
                # A table of its own: laid out as one block they would all be plain words.
                head = self._open.pop()
                self._close(closed)
                self._kind = BlockKind.PARAGRAPH
                self._keep(head, closed)
            elif self._kind is not None and not self._goes_on(line):
                self._close(closed)
            self._begin_or_join(line, closed)
        self._is_after_blank = not line.strip()

    def _take_code(self, line: str, closed: list[Block], *, was_mid_line: bool) -> None:
        is_end = not was_mid_line and self._is_end(line)
        if not is_end:
            self._inside.append(line if was_mid_line else self._unindented(line))
        self._keep(line, closed)
        if is_end:
            self._close(closed)

    def _unindented(self, line: str) -> str:
        """A line of code without as many spaces as stand before its fence."""
        indent = 0
        while indent < self._indent and line[indent : indent + 1] == " ":
            indent += 1
        return line[indent:]

    def _take_blank(self, line: str, closed: list[Block]) -> None:
        self._keep(line, closed)
        if self._kind not in (None, BlockKind.LIST):
            self._close(closed)

    def _begin_or_join(self, line: str, closed: list[Block]) -> None:
        if self._kind is None:
            self._begin(line)
        elif self._kind is BlockKind.PARAGRAPH and self._is_table_rule(line):
            self._kind = BlockKind.TABLE
        is_underline = self._kind is BlockKind.PARAGRAPH and self._said > 0 and bool(_UNDERLINE.match(line))
        self._keep(line, closed)
        if is_underline:
            self._kind = BlockKind.HEADING
        is_formula_end = self._kind is BlockKind.FORMULA and self._said > 1 and self._closer in line
        if self._kind in (BlockKind.HEADING, BlockKind.RULE) or is_formula_end:
            self._close(closed)

    def _is_table_rule(self, line: str) -> bool:
        return self._said == 1 and "|" in self._head and bool(_TABLE_RULE.match(line))

    def _is_table_under_text(self, line: str) -> bool:
        """Whether the last line and this one are the head of a table that stands right under other words.

        As in GitHub's Markdown, both rows must have as many cells. Source: github.github.com/gfm (tables).
        """
        if self._said < 2 or self._is_after_blank or len(self._open) < 2 or not self._open[-2].endswith("\n"):
            return False
        head = self._open[-1]
        if "|" not in head or "|" not in line or not _TABLE_RULE.match(line) or _cells(head) != _cells(line):
            return False
        if self._kind is BlockKind.LIST:
            return head.startswith("|") and line.startswith("|")
        return self._kind is BlockKind.PARAGRAPH and not _ITEM.match(head)

    def _begin(self, line: str) -> None:
        fence = _FENCE.match(line)
        if fence is not None:
            self._kind = BlockKind.CODE
            self._indent, self._fence = len(fence[1]), fence[2]
            info = fence[3].strip()
            language = _LANGUAGE.match(info)
            self._language = language[0] if language else ""
            title = info[len(self._language) :].strip(" \t:,")
            told = _TITLE.match(title)
            self._title = (told[1] if told else title)[:80]
        elif _HEADING.match(line):
            self._kind = BlockKind.HEADING
        elif _RULE.match(line):
            self._kind = BlockKind.RULE
        elif _QUOTE.match(line):
            self._kind = BlockKind.QUOTE
        elif _ITEM.match(line):
            self._kind = BlockKind.LIST
        elif closer := _formula_closer(line):
            self._kind, self._closer = BlockKind.FORMULA, closer
        else:
            self._kind = BlockKind.PARAGRAPH

    def _goes_on(self, line: str) -> bool:
        """Whether a line that is not blank belongs to the open block, which is not code."""
        if self._kind is BlockKind.FORMULA:
            return True
        if _FENCE.match(line) or (_formula_closer(line) and not line.startswith(" ")):
            return False
        if self._kind is BlockKind.TABLE:
            return "|" in line
        if self._kind is BlockKind.LIST:
            if _ITEM.match(line) and not _RULE.match(line):
                return True
            if self._is_after_blank:
                return line.startswith(("  ", "\t"))
            return not (_HEADING.match(line) or _RULE.match(line) or _QUOTE.match(line))
        if self._kind is BlockKind.QUOTE and _QUOTE.match(line):
            return True
        if self._kind is BlockKind.PARAGRAPH and (_UNDERLINE.match(line) or self._is_table_rule(line)):
            return True
        return not (_HEADING.match(line) or _RULE.match(line) or _QUOTE.match(line) or _FIRST_ITEM.match(line))

    def _keep(self, line: str, closed: list[Block]) -> None:
        if line.strip():
            self._said += 1
            self._head = self._head or line
        self._open.append(line)
        self._open_chars += len(line)
        if self._open_chars >= (MAX_CODE_CHARS if self._kind is BlockKind.CODE else MAX_BLOCK_CHARS):
            self._split(closed)

    def _split(self, closed: list[Block]) -> None:
        """Close a block that has grown too large; what follows goes on as the same kind."""
        kind, part = self._kind, self._part + 1
        fence = (self._fence, self._indent, self._language, self._title)
        self._close(closed)
        if kind is BlockKind.CODE:
            self._kind, self._part = kind, part
            self._fence, self._indent, self._language, self._title = fence

    def _close(self, closed: list[Block]) -> None:
        source = "".join(self._open)
        kind = self._kind or BlockKind.PARAGRAPH
        text = ("".join(self._inside).rstrip if kind is BlockKind.CODE else source.strip)("\r\n")
        if source:
            # A last part that is only the fence's end has nothing to show, not even a language.
            language = self._language if text or not self._part else ""
            words = (self._title, f"part {self._part + 1}" if self._part else "")
            title = ", ".join(word for word in words if word)
            closed.append(Block(kind, source, text, language, title, self._part))
        self._open = []
        self._inside = []
        self._part = 0
        self._closer = ""
        self._open_chars = 0
        self._kind = None
        self._fence = self._language = self._title = ""
        self._is_after_blank = False
        self._said, self._head = 0, ""

    def _is_end(self, line: str) -> bool:
        bare = line.strip()
        return bool(bare) and set(bare) == {self._fence[:1]} and len(bare) >= len(self._fence)


def _cells(row: str) -> int:
    bare = row.strip().removeprefix("|")
    if not bare.endswith("\\|"):
        bare = bare.removesuffix("|")
    return len(_CELL_END.findall(bare)) + 1


def _formula_closer(line: str) -> str:
    """What will end the formula that this line opens; "" when it opens none or ends it itself."""
    found = _FORMULA.match(line)
    if found is None:
        return ""
    closer = f"\\end{{{found[1]}}}" if found[1] else "$$" if found[0].endswith("$") else "\\]"
    return "" if closer in line[found.end() :] else closer
