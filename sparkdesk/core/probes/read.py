"""What a probe reads on a node, as data, and what came back.

A probe names its reads; `remote/reader.py` carries many of them out in one go; a pure function judges the answers. The
one rule: a read changes nothing on the node, needs no rights beyond the account's own, and is bounded in time and size.
An answer that could not be got says why; it is never an empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MAX_TEXT_BYTES = 64 * 1024
"""The most of one answer that is kept."""
NOT_FOUND = 127
"""The exit code of a shell that finds no such program. Source: POSIX, Shell Command Language 2.8.2."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file's text. `path` may be a glob: then every match (at most `max_files`), each as one entry; `~/` is the home.

    Only plain files are read. A serial number in one comes as a hash: see remote/reader.py.
    """

    path: str
    max_bytes: int = 4096
    max_files: int = 64


@dataclass(frozen=True, slots=True)
class ReadCommand:
    """A read-only program's output, with LC_ALL=C and no input. Programs are looked up on PATH and in /usr/sbin."""

    argv: tuple[str, ...]
    timeout_s: float = 5.0
    max_bytes: int = 16 * 1024


@dataclass(frozen=True, slots=True)
class ReadDisk:
    """Size and free bytes of the file system that holds `path`."""

    path: str


@dataclass(frozen=True, slots=True)
class ReadClock:
    """The node's wall time, Unix ms, and its offset from this computer as measured over the request."""


Read = ReadFile | ReadCommand | ReadDisk | ReadClock


class Fault(StrEnum):
    """Why a read gave nothing."""

    ABSENT = "absent"
    """No such file or program."""
    DENIED = "denied"
    """The account may not read it."""
    TIMED_OUT = "timed_out"
    UNREADABLE = "unreadable"
    """An I/O error, or an answer that the reader could not make sense of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one read gave. With a `fault` every other field but `problem` is empty.

    `texts` are (path, text) for files, one ("", standard output) for a command; text is untrusted, with U+FFFD where it
    was not UTF-8. `code` is a command's exit code, `errors` its standard error. `numbers` are a disk's `total_bytes`
    and `free_bytes`, a clock's `t_ms`, `offset_ms` and `error_ms` (how far the offset may be off), and for files each
    path's time of change in Unix seconds.
    """

    texts: tuple[tuple[str, str], ...] = ()
    code: int | None = None
    errors: str = ""
    numbers: Mapping[str, float] | None = None
    fault: Fault | None = None
    problem: str = ""
    """The fault in words."""
    is_cut: bool = False
    """There is more than was kept."""

    @property
    def text(self) -> str:
        """The first text, without blanks around it; "" when there is none."""
        return self.texts[0][1].strip() if self.texts else ""

    @property
    def is_ok(self) -> bool:
        """Whether it was read, and a command ended with code 0."""
        return self.fault is None and self.code in (None, 0)

    @property
    def is_absent(self) -> bool:
        """Whether it is known that there is no such file or program. 127 is how a wrapper script says so (POSIX)."""
        return self.fault is Fault.ABSENT or self.code == NOT_FOUND

    def why(self) -> str:
        """Why it is of no use, in words; "" when it was read and a command ended with code 0."""
        if self.fault is not None:
            return self.problem or self.fault.value.replace("_", " ")
        if self.code in (None, 0):
            return ""
        lines = self.errors.strip().splitlines() or self.text.splitlines()
        return f"exit code {self.code}: {lines[-1][:300]}" if lines else f"exit code {self.code}"


Answers = Mapping[Read, Answer]

NOT_ASKED = Answer(fault=Fault.UNREADABLE, problem="it was not asked for")


def answer_of(answers: Answers, read: Read) -> Answer:
    """The answer to a read; one that nobody asked for is a fault, so that judges need no second case."""
    return answers.get(read, NOT_ASKED)


def describe(read: Read) -> str:
    """What is read, in one line as a person would type it."""
    if isinstance(read, ReadFile):
        return read.path
    if isinstance(read, ReadCommand):
        return " ".join(read.argv)
    return f"free space of {read.path}" if isinstance(read, ReadDisk) else "the node's clock"


@dataclass(frozen=True, slots=True)
class Probe:
    """Reads, with a name and where the knowledge behind them comes from."""

    id: str
    """Stable, kebab-case; shown, saved in reports, named by tests."""
    title: str
    reads: tuple[Read, ...]
    source: str
    """Where it is written that a Spark answers so (document, issue, code), for a person to look up."""


Judge = Callable[[Answers], object]
