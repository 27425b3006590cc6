"""Splits shell text into commands and words, without a shell.

The one rule: nothing is run and nothing is expanded but what the same text sets before. A substitution or a variable
stays in its word, as it was written, and is named beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sparkdesk.core.errors import PlanError

MAX_CHARS = 256 * 1024
MAX_WORDS = 4096
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TYPOGRAPHY = str.maketrans({
    "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "\u00a0": " ", "\u202f": " ", "\u200b": None, "\ufeff": None,
    "\r": None,
})  # fmt: skip
"""What web pages and chat programs make of quotes and spaces."""
_PROMPT = re.compile(r"^(?:[\w.-]+@[\w.-]+:[^$#\n]{0,80})?[$❯] (?=\S)", re.MULTILINE)
_QUOTED = re.compile(r"""('[^']*+(?:'|\Z)|"(?:[^"\\]|\\.)*+\\?(?:"|\Z))""", re.DOTALL)
"""A quoted part; one that nothing closes goes to the end, so that no text is looked through twice."""
_DASH = re.compile(r"(?<!\S)[–—](?=[a-z])")


@dataclass(frozen=True, slots=True)
class Word:
    """One word. `asks` are the variables ($NAME) and substitutions ($(..), `..`) that it holds unexpanded."""

    text: str
    asks: tuple[str, ...] = ()


@dataclass(slots=True)
class ShellCommand:
    """One simple command: its words, and what is fed to it (here document)."""

    words: list[Word] = field(default_factory=list)
    document: str = ""
    """A here document's lines."""
    redirects: list[str] = field(default_factory=list)
    """Files that < and > name, with the sign before them."""

    @property
    def target(self) -> str:
        """The file that the command writes; "" for none."""
        return next((each.lstrip("> ") for each in self.redirects if each.startswith(">")), "")

    @property
    def line(self) -> str:
        """The words as they were, for a person."""
        return " ".join(word.text for word in self.words)


def clean(text: str) -> str:
    """The text with typographic quotes, dashes, spaces and shell prompts made plain, outside of plain quotes."""
    parts = _QUOTED.split(_PROMPT.sub("", text.replace("\r\n", "\n")))
    parts[::2] = [_DASH.sub("--", part.translate(_TYPOGRAPHY)) for part in parts[::2]]
    return "".join(parts)


def split_script(text: str, known: Mapping[str, str] | None = None) -> list[ShellCommand]:
    """The commands of the text. `known`: variables that are set already, e.g. by a container's --env.

    Raises PlanError when a quote or a substitution is not closed, or the text is too long.
    """
    if len(text) > MAX_CHARS:
        raise PlanError("The text is too long for a command", remedy="Paste the command alone.")
    return _Splitter(text, dict(known or {})).run()


class _Splitter:
    def __init__(self, text: str, known: dict[str, str]) -> None:
        self._text = text
        self._at = 0
        self._known = known
        self._commands: list[ShellCommand] = []
        self._command = ShellCommand()
        self._part: list[str] | None = None
        self._asks: list[str] = []
        self._redirect = ""
        self._documents: list[tuple[ShellCommand, str]] = []
        self._count = 0

    def run(self) -> list[ShellCommand]:
        """All commands."""
        while self._at < len(self._text):
            self._step(self._text[self._at])
        self._end_command()
        return self._commands

    def _step(self, char: str) -> None:
        rest = self._text[self._at + 1 : self._at + 2]
        if char == "\\":
            self._escape(rest)
        elif char == "'":
            self._add(self._until("'", self._at + 1))
        elif char == '"':
            self._at += 1
            self._double_quoted()
        elif char in "$`":
            self._add(self._dollar())
        elif char in " \t":
            self._end_word()
            self._at += 1
        elif char == "#" and self._part is None:
            end = self._text.find("\n", self._at)
            self._at = len(self._text) if end < 0 else end
        elif char in "\n;&|()":
            self._operator(char)
        elif char in "<>":
            self._start_redirect(char)
        else:
            self._add(char)
            self._at += 1

    def _add(self, text: str) -> None:
        self._part = [] if self._part is None else self._part
        self._part.append(text)

    def _escape(self, following: str) -> None:
        gap = re.compile(r"\\[ \t]*\n").match(self._text, self._at)
        if gap:  # spaces after the backslash are a slip of whoever pasted, not a word
            self._end_word()
            self._at = gap.end()
            return
        self._add(following)
        self._at += 2

    def _until(self, quote: str, start: int) -> str:
        end = self._text.find(quote, start)
        if end < 0:
            line = self._text.count("\n", 0, start) + 1
            raise PlanError(f"Line {line} opens a quote that nothing closes", remedy="Paste the whole command.")
        self._at = end + 1
        return self._text[start:end]

    def _double_quoted(self) -> None:
        self._add("")
        start = self._at
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == '"':
                self._at += 1
                return
            if char == "\\" and self._text[self._at + 1 : self._at + 2] in ("$", "`", '"', "\\", "\n"):
                following = self._text[self._at + 1]
                self._add("" if following == "\n" else following)
                self._at += 2
            elif char in "$`":
                self._add(self._dollar())
            else:
                self._add(char)
                self._at += 1
        self._until('"', start)

    def _dollar(self) -> str:
        """What stands at a $ or a backquote: a variable's value if the text has set it, else as it was written."""
        text, at = self._text, self._at
        if text[at] == "`":
            written = f"`{self._until('`', at + 1)}`"
            self._asks.append(written)
            return written
        if text.startswith("$(", at):
            written = text[at : self._closing(at + 2)]
            self._at = at + len(written)
            self._asks.append(written)
            return written
        braced = text.startswith("${", at)
        name = _NAME.match(text, at + 2 if braced else at + 1)
        if name is None and not braced:
            self._at += 1
            return "$"
        if braced:
            written = f"${{{self._until('}', at + 2)}}}"
            plain = name[0] if name and written == f"${{{name[0]}}}" else ""
        else:
            assert name is not None
            written, plain = f"${name[0]}", name[0]
            self._at = name.end()
        if plain in self._known:
            return self._known[plain]
        self._asks.append(written)
        return written

    def _closing(self, start: int) -> int:
        depth = 1
        for at in range(start, len(self._text)):
            depth += {"(": 1, ")": -1}.get(self._text[at], 0)
            if depth == 0:
                return at + 1
        raise PlanError("A $( is never closed", remedy="Paste the whole command.")

    def _start_redirect(self, char: str) -> None:
        if self._part is not None and "".join(self._part).isdigit():
            self._part = None  # 2>
        self._end_word()
        match = re.compile(r"<<-?|[<>]>?[&|]?").match(self._text, self._at)
        assert match is not None
        self._redirect = match[0]
        self._at = match.end()

    def _operator(self, char: str) -> None:
        if char == "&" and self._text.startswith("&>", self._at):
            self._end_word()
            self._redirect = ">"
            self._at += 2
            return
        self._end_word()
        is_line_end = char == "\n"
        self._at += 1
        if is_line_end and self._documents:
            self._read_documents()
        self._end_command()

    def _end_word(self) -> None:
        if self._part is None:
            return
        word = Word("".join(self._part), tuple(self._asks))
        self._part, self._asks = None, []
        self._count += 1
        if self._count > MAX_WORDS:
            raise PlanError("The text has too many words for a command", remedy="Paste the command alone.")
        if self._redirect.startswith("<<"):
            self._documents.append((self._command, word.text))
        elif self._redirect:
            self._command.redirects.append(f"{self._redirect} {word.text}")
        else:
            self._command.words.append(word)
        self._redirect = ""

    def _read_documents(self) -> None:
        for command, mark in self._documents:
            lines: list[str] = []
            while self._at < len(self._text):
                end = self._text.find("\n", self._at)
                line = self._text[self._at : len(self._text) if end < 0 else end]
                self._at += len(line) + 1
                if line.strip("\t ") == mark:
                    break
                lines.append(line)
            command.document = "\n".join(lines)
        self._documents = []

    def _end_command(self) -> None:
        self._end_word()
        self._redirect = ""
        if self._command.words:
            self._remember(self._command.words)
            self._commands.append(self._command)
        self._command = ShellCommand()

    def _remember(self, words: list[Word]) -> None:
        """A line that only sets variables (with or without `export`) sets them for what follows."""
        given = words[1:] if words[0].text == "export" else words
        pairs = [word.text.partition("=") for word in given]
        if all(mark and _NAME.fullmatch(name) for name, mark, _ in pairs):
            for word, (name, _, value) in zip(given, pairs, strict=True):
                if not word.asks:
                    self._known[name] = value[:4096]
