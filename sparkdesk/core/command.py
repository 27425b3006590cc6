"""A command for a node, and what became of it.

The one rule: a command is a list of words. There is one function that quotes it for a shell, here, and an outcome
whose fate is not known is `Unknown`, which is neither success nor failure.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MAX_WORDS = 4096
MAX_WORD_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments, extra environment and folder, as it runs on a node.

    `env` is for plain settings only: a secret never stands in a command.
    Raises ValueError for an empty command, a NUL byte (sshd drops the whole connection on one), or a bad variable name.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cwd: str = ""

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise ValueError("a command needs a program")
        if len(self.argv) > MAX_WORDS:
            raise ValueError(f"a command has at most {MAX_WORDS} words")
        for word in (*self.argv, *self.env.values(), self.cwd):
            if "\0" in word:
                raise ValueError("a command cannot contain a NUL byte")
            if len(word.encode("utf-8", "surrogateescape")) > MAX_WORD_BYTES:
                raise ValueError(f"a word of a command has at most {MAX_WORD_BYTES} bytes")
        for name in self.env:
            if not (name.isascii() and name.isidentifier()):
                raise ValueError(f"not a variable name: {name!r}")

    def to_shell(self) -> str:
        """The command as one line for a POSIX shell, each word quoted, so that what arrives is what was meant."""
        words = [shlex.quote(word) for word in self.argv]
        if self.env:
            words = ["env", *(f"{name}={shlex.quote(value)}" for name, value in self.env.items()), *words]
        line = " ".join(words)
        return f"cd {shlex.quote(self.cwd)} && {line}" if self.cwd else line


@dataclass(frozen=True, slots=True)
class Exit:
    """The program ended by itself with this code."""

    code: int

    def words(self) -> str:
        """The fate in words."""
        return f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class Signal:
    """The program was ended by this signal (its name without SIG, as SSH sends it: "TERM")."""

    name: str

    def words(self) -> str:
        """The fate in words."""
        return f"ended by SIG{self.name}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """The connection was lost or time ran out before the fate was known. Never read this as success."""

    reason: str

    def words(self) -> str:
        """The fate in words."""
        return f"outcome unknown: {self.reason}"


@dataclass(frozen=True, slots=True)
class Refused:
    """The command was never begun: no channel, or refused by the server."""

    reason: str
    remedy: str = ""
    """What helps, where that is known."""

    def words(self) -> str:
        """The fate in words."""
        return f"refused: {self.reason}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command: its fate and what it printed (bytes; `truncated` when more came than was asked for)."""

    fate: Exit | Signal | Unknown | Refused
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False

    @property
    def is_ok(self) -> bool:
        """Whether the program is known to have ended with code 0."""
        return self.fate == Exit(0)

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 become U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    def explain(self) -> str:
        """The fate in words, with the last line of standard error: for a message or a log."""
        words = self.fate.words()
        lines = self.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"{words}: {lines[-1][:400]}" if lines else words
