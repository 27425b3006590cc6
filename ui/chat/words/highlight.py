"""Colours of code, by Pygments, read in slices so that no code holds the window.

The one rule: colour is a hint. Code is a model's words and may be made to be slow to read, so only languages whose
reading was tried with hostile text are read, each up to a bound of time; what is left stays plain and that is told.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Generic, Keyword, Name, Number, Operator, String, Text

from ui.theme import Token

MAX_LINE_CHARS: Final = 2_000
MAX_CHARS: Final = 80_000
MAX_READ_S: Final = 0.6
"""A pass that takes longer stops. Real code of 64 KiB takes about 0.1 s; text made to be slow took over 3 s."""
_LANGUAGE_TEXT: Final = """
    apache asm awk bash bat c c++ clojure cmake cmd conf console cpp cs csharp css cuda dart diff docker dockerfile
    elixir erlang fsharp gas go golang gradle graphql groovy h haskell hcl hpp hs html http ini java javascript js json
    json5 jsonc jsonl jsx kotlin kt less llvm lua make makefile mdx nasm nginx nix node perl php pl postgres postgresql
    powershell proto protobuf ps1 py py3 pycon python python3 r rb rs ruby rust scss sh shell shell-session sql svg
    swift terraform tex latex tf toml ts tsx typescript udiff patch vim vue xml yaml yml zig zsh
"""
_LANGUAGES: Final = frozenset(_LANGUAGE_TEXT.split())
_SAME_AS: Final = {
    "asm": "nasm", "conf": "ini", "cs": "csharp", "h": "c", "hpp": "cpp", "hcl": "terraform", "gradle": "groovy",
    "json5": "json", "jsonc": "json", "jsonl": "json", "kt": "kotlin", "less": "scss", "mdx": "jsx",
    "node": "javascript", "patch": "diff", "proto": "protobuf", "ps1": "powershell", "postgres": "postgresql",
    "svg": "xml", "vue": "html", "apache": "nginx", "cmd": "bat", "tf": "terraform",
}  # fmt: skip
Kind = Any
"""What a token is, as Pygments names it: `one in other` says whether one is a case of other."""
# The first kind that holds a token's kind gives its colour.
_TINTS: Final[tuple[tuple[Kind, Token], ...]] = (
    (Comment.Preproc, "syntax_keyword"),
    (Comment, "text3"),
    (Keyword.Type, "syntax_type"),
    (Keyword, "syntax_keyword"),
    (Operator.Word, "syntax_keyword"),
    (String, "ok"),
    (Number, "syntax_type"),
    (Name.Class, "syntax_type"),
    (Name.Builtin.Pseudo, "syntax_keyword"),
    (Name.Builtin, "syntax_type"),
    (Name.Exception, "syntax_type"),
    (Name.Decorator, "syntax_type"),
    (Name.Attribute, "syntax_type"),
    (Name.Function, "accenttext"),
    (Name.Tag, "syntax_keyword"),
    (Name.Entity, "syntax_type"),
    (Generic.Deleted, "crit"),
    (Generic.Inserted, "ok"),
    (Generic.Heading, "accenttext"),
    (Generic.Subheading, "accenttext"),
    (Generic.Prompt, "text3"),
    (Generic.Output, "text2"),
)


class Span(NamedTuple):
    """A run of characters of one line in one colour."""

    start: int
    length: int
    tint: Token


@lru_cache(maxsize=64)
def lexer_of(language: str) -> Lexer | None:
    """What reads this language, by the name behind a fence; None when its code stays plain."""
    name = language.lower()
    if name not in _LANGUAGES:
        return None
    return get_lexer_by_name(_SAME_AS.get(name, name), stripnl=False, ensurenl=False)


def file_ending(language: str) -> str:
    """What a file in this language usually ends in, with its dot; ".txt" when that is not known."""
    lexer = lexer_of(language)
    patterns = (pattern for pattern in (lexer.filenames if lexer else ()) if pattern.startswith("*."))
    ending = next(patterns, "*.txt").removeprefix("*")
    return ending if ending.removeprefix(".").isalnum() else ".txt"


@lru_cache(maxsize=512)
def tint_of(kind: Kind) -> Token | None:
    """The colour of a token's kind; None is the colour of text."""
    return next((tint for parent, tint in _TINTS if kind in parent), None)


class Reading:
    """One reading of a code from its start to its end, a slice at a time."""

    def __init__(self, lexer: Lexer, code: str) -> None:
        self.chars = len(code)
        self.lines = code.count("\n") + 1
        self.is_done = False
        self.why_plain = _why_plain(code)
        self._code = code
        self._starts = [0, *accumulate(len(line) + 1 for line in code.split("\n"))]
        self._tokens: Iterator[tuple[int, Kind, str]] = lexer.get_tokens_unprocessed(f"{code}\n")
        self._spans: dict[int, list[Span]] = {}
        self._told = 0
        self._spent_s = 0.0
        self.ending: Token | None = None
        """The colour of what is still open at the end: a text or a remark over many lines."""

    @property
    def is_given_up(self) -> bool:
        """Whether the rest stays plain; `why_plain` says why."""
        return bool(self.why_plain)

    def advance(self, budget_s: float) -> list[tuple[int, list[Span]]]:
        """Read on for about so long; gives the lines that are complete now, by number."""
        if self.is_done or self.is_given_up:
            return []
        line, begun_s = self._told, time.perf_counter()
        kind: Kind = Text
        for count, (start, kind, value) in enumerate(self._tokens):
            tint = tint_of(kind)
            if tint is not None and value.strip():
                line = self._mark(start, value, tint)
            elif "\n" in value:
                line = bisect_right(self._starts, start + len(value)) - 1
            if count % 16 == 15 and time.perf_counter() - begun_s > budget_s:
                break
        else:
            self.is_done = True
            line = len(self._starts) - 1
            self.ending = tint_of(kind) if kind in String or kind in Comment.Multiline else None
        self._spent_s += time.perf_counter() - begun_s
        if not self.is_done and self._spent_s > MAX_READ_S:
            self.why_plain = f"plain from line {line + 1} on: too slow to colour"
        first, self._told = self._told, max(self._told, line)
        return [(number, self._spans.pop(number, [])) for number in range(first, self._told)]

    def _mark(self, start: int, value: str, tint: Token) -> int:
        """Note the colour of a token, which may go over lines; gives the number of the line it ends in."""
        line = bisect_right(self._starts, start) - 1
        for part in value.split("\n"):
            if part and line < len(self._starts) - 1:
                self._spans.setdefault(line, []).append(Span(start - self._starts[line], len(part), tint))
            start += len(part) + 1
            line += 1
        return line - 1


def line_spans(language: str, line: str) -> list[Span]:
    """The colours of one line as if it stood alone."""
    lexer = lexer_of(language)
    found = Reading(lexer, line).advance(0.002) if lexer is not None else []
    return found[0][1] if found else []


def whole_line(line: str, tint: Token) -> list[Span]:
    """One line in one colour."""
    return [Span(0, len(line), tint)] if line else []


def _why_plain(code: str) -> str:
    if len(code) > MAX_CHARS:
        return "plain: too long to colour"
    return (
        "plain: a line is too long to colour" if any(len(line) >= MAX_LINE_CHARS for line in code.split("\n")) else ""
    )
