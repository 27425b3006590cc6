"""Reads back what a job has said, and searches it, on the node; sent over a channel by length, never installed.

    range FOLDER OFFSET BYTES            one JSON line: {"lines": [[offset, text, cut], ...], "more"}
    search FOLDER REGEX [LEVEL] [BEFORE] JSON lines: {"lines", "scanned", "left", "next"}, the last with "over", "more"
                                         and "problem"; it ends where nobody reads it any more

An offset is that behind its line. `search` goes back from BEFORE (or the end), newest first, and tells the lines of
each part in their order; LEVEL "warning" or "error" wants that or worse.
The one rule: nothing is changed, and both are bounded in lines, bytes and time, whatever the pattern and the log.
Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
import time

LINE_BYTES = 8 * 1024
RANGE_BYTES, BLOCK_BYTES = 4 << 20, 1 << 19
SEARCH_LINES, SEARCH_BYTES, SEARCH_S, STRAY_S, TELL_S = 5000, 4 << 20, 120.0, 5.0, 0.3
"""Lines and bytes of a whole answer; seconds of a whole search, in one block, and between two parts that are told."""
ANSWER_BYTES, PATTERN_CHARS = 600_000, 1000
PART = "and only a part was searched"
LATE = "it took too long, " + PART
ERROR = re.compile(
    rb"\b(?:ERROR|FATAL|CRITICAL|Traceback)\b|[Ee]rror:|Exception\b|^[\d.]{5,24} E |^[\w.]{0,99}Error\r?$"
    rb"|\[TRT-LLM\] (?:\[RANK \d{1,4}\] )?\[E\]|[Ee]rror (?:response from daemon|while (?:handling|attempting))"
    rb"|exiting due to .{1,40} error|gguf_init_from_\w{4,6}: (?:failed|invalid)|couldn't bind HTTP|GGML_ASSERT\("
    rb"|ptxas fatal|^ +Value error,|Cannot connect to the Docker|permission denied while trying to connect"
    rb"|unknown (?:shorthand )?flag: |exec format error",
    re.M,
)
MILD = re.compile(
    rb"(?:\(\w[\w.\- ]{0,60} pid=\d{1,10}\) {0,3}){0,3}(?:DEBUG|INFO|WARNING)[: ]|[\d.]{5,24} [DIW] "
    rb"|\[[\d/ :-]{19}\] \[TRT-LLM\] (?:\[RANK \d{1,4}\] )?\[[DIVW]\]|(?:time=\S{1,40} )?level=(?:DEBUG|INFO|WARN) "
)
WARNING = re.compile(rb"\bWARN(?:ING)?\b|[Ww]arning:|^[\d.]{5,24} W ", re.M)
SIGNS = (
    b"ERROR", b"FATAL", b"CRITICAL", b"Traceback", b"rror", b"Exception", b" E ", b"[E]", b"gguf_init", b"bind HTTP",
    b"GGML_ASSERT(", b"ptxas fatal", b"to the Docker", b"trying to connect", b" flag: ", b"Value error",
)  # fmt: skip
WARNING_SIGNS = (b"WARN", b"arning:", b" W ")
"""What stands in every line that those two find: looking for it first is thirty times as fast."""
LEVELS = ("info", "warning", "error")
UNSAFE = re.compile(r"\(\?|\\[AZBbG0-9]")
"""Parts of a pattern that may match in a line by itself and not in a block of lines."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from collections.abc import Iterator
    from typing import Any

    Record = dict[str, Any]


def list_log_files(folder: str) -> list[tuple[int, str]]:
    """(offset of the first byte, path), oldest first."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith("log-") and name[4:].isdigit()]
    except OSError:
        return []
    return sorted((int(name[4:]), os.path.join(folder, name)) for name in names)


def read_level(line: bytes) -> str:
    """How bad a line is, by words that most engines use."""
    if ERROR.search(line) and not MILD.match(line):
        return "error"
    return "warning" if WARNING.search(line) else "info"


def blocks_backward(folder: str, before: int) -> Iterator[tuple[bytes, int, int]]:
    """(whole lines, offset of their first byte, offset behind their last), the newest first, from an offset on
    (negative: from the end). Of a line of many megabytes its beginning and its end are kept."""
    rest, behind, at = b"", -1, 0
    for start, path in reversed(list_log_files(folder)):
        with contextlib.ExitStack() as opened:
            try:
                file = opened.enter_context(open(path, "rb"))
            except FileNotFoundError:  # it was the oldest and made room meanwhile: there are no older lines
                break
            at = os.fstat(file.fileno()).st_size + start
            at = at if before < 0 else min(at, before)
            behind = at if behind < 0 else behind
            while at > start:
                size = min(BLOCK_BYTES, at - start)
                at -= size
                file.seek(at - start)
                data = file.read(size)
                cut = data.find(b"\n") + 1  # what is before it belongs to a line that begins further up
                if cut == 0:
                    rest = data + rest
                    rest = rest if len(rest) <= 8 * LINE_BYTES else rest[: 4 * LINE_BYTES] + rest[-4 * LINE_BYTES :]
                    continue
                yield data[cut:] + rest, at + cut, behind
                rest, behind = data[:cut], at + cut
    if rest:
        yield rest, at, behind


def lines_of(data: bytes, first: int, behind: int) -> list[tuple[bytes, int]]:
    """(line, offset behind it) of a block, the newest first."""
    *whole, rest = data.split(b"\n")
    found, at = [], first
    for line in whole:
        at += len(line) + 1
        found.append((line, at))
    if rest:
        found.append((rest, behind))
    elif found:
        found[-1] = (found[-1][0], behind)  # of a long line the middle is left out: its length tells nothing
    return found[::-1]


def lines_backward(folder: str, before: int) -> Iterator[tuple[bytes, int]]:
    """(line, offset behind it), the newest first, from an offset on (negative: from the end)."""
    for data, first, behind in blocks_backward(folder, before):
        yield from lines_of(data, first, behind)


def show_line(line: bytes, offset: int) -> list[Any]:
    """[offset behind it, text (the last state of a line that was written over), bytes cut]."""
    shown = next((part for part in reversed(line.split(b"\r")) if part.strip()), b"")
    return [offset, shown[:LINE_BYTES].decode("utf-8", "replace"), max(len(shown) - LINE_BYTES, 0)]


def read_range(folder: str, offset: int, size: int) -> Record:
    """Lines that end between two offsets, as many of the last of them as an answer takes."""
    lines: list[list[Any]] = []
    told, is_more = 0, False
    for line, at in lines_backward(folder, offset + size):
        if at <= offset or told > ANSWER_BYTES:
            is_more = True
            break
        if line.strip() and at < offset + size:
            lines.append(show_line(line, at))
            told += len(json.dumps(lines[-1]))
    return {"lines": lines[::-1], "more": is_more}


class Search:
    """Goes back through a log, from an offset (negative: the end), for lines that match."""

    def __init__(self, folder: str, pattern: str, level: str, before: int) -> None:
        """Raises re.error, OverflowError, RecursionError for what is no pattern, ValueError for one too long."""
        if len(pattern) > PATTERN_CHARS:
            raise ValueError("the pattern is longer than %s characters" % format(PATTERN_CHARS, ","))
        self._folder, self._before = folder, before
        self._wanted = re.compile(pattern, re.IGNORECASE)
        self._worst = LEVELS.index(level) if level in LEVELS else 0
        word = re.sub(r"\\([^\w\s])|\\( )", r"\1\2", pattern)
        is_word = word.isascii() and re.escape(word) in (pattern, pattern.replace(" ", "\\ "))
        self._word = word.lower().encode() if is_word else b""
        self._whole = None if is_word or UNSAFE.search(pattern) else re.compile(pattern, re.IGNORECASE | re.MULTILINE)
        self._lines: list[list[Any]] = []
        self._count = self._told = 0
        self._end = self._reached = self._next = max(before, 0)

    def may_match(self, data: bytes) -> bool:
        """Whether a line of a block may match: a quick look, so that most blocks need no second one."""
        if self._worst and not any(sign in data for sign in SIGNS + (WARNING_SIGNS if self._worst == 1 else ())):
            return False
        if self._word:
            return self._word in data.lower()
        text = data.replace(b"\r", b"\n").decode("utf-8", "replace") if self._whole is not None else ""
        return self._whole is None or self._whole.search(text) is not None

    def run(self) -> Iterator[Record]:
        """What was found and how far it is, now and then; the last says whether there is more, and why."""
        began_s = told_s = time.monotonic()
        problem, is_more = "", False
        try:
            for data, first, behind in blocks_backward(self._folder, self._before):
                self._end = max(self._end, behind)
                signal.setitimer(signal.ITIMER_REAL, STRAY_S)  # it ends a pattern that goes astray in a single line
                is_more = self.may_match(data) and self._take(lines_of(data, first, behind))
                signal.setitimer(signal.ITIMER_REAL, 0.0)
                if not is_more:  # the next search leaves out the line that ends where it begins: it is looked at by now
                    self._reached, self._next = first, first + 1
                now_s = time.monotonic()
                if now_s - began_s > SEARCH_S and not is_more:
                    is_more, problem = True, LATE
                if is_more:
                    break
                if now_s - told_s >= TELL_S:
                    told_s = now_s
                    yield self._part()
        except (TimeoutError, OSError) as error:
            is_more, problem = True, LATE if isinstance(error, TimeoutError) else f"{error}, {PART}"[:200]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        yield dict(self._part(), over=True, more=is_more, problem=problem)

    def _part(self) -> Record:
        lines, self._lines = self._lines[::-1], []
        files = list_log_files(self._folder)
        left = max(self._reached - files[0][0], 0) if files else 0
        return {"lines": lines, "scanned": max(self._end - self._reached, 0), "left": left, "next": self._next}

    def _take(self, lines: list[tuple[bytes, int]]) -> bool:
        """Those of a block that match; whether it was enough."""
        for line, at in lines:
            if self._count >= SEARCH_LINES or self._told > SEARCH_BYTES:
                return True
            self._reached = self._next = at
            shown = show_line(line, at)
            is_bad = not self._worst or LEVELS.index(read_level(line[:LINE_BYTES])) >= self._worst
            if shown[1] and at != self._before and is_bad and self._wanted.search(shown[1]):
                self._lines.append(shown)
                self._count, self._told = self._count + 1, self._told + len(json.dumps(shown))
        return False


def search(folder: str, pattern: str, level: str = "", before: int = -1) -> Iterator[Record]:
    """The parts of a search; `problem` says why no more was searched, `next` from where to go on."""

    def ring(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, ring)
    try:
        started = Search(folder, pattern, level, before)
    except (re.error, OverflowError, RecursionError) as error:
        words = f"the pattern is not understood: {error}"[:200]
    except ValueError as error:
        words = str(error)
    else:
        return started.run()
    part: Record = {"lines": [], "scanned": 0, "left": 0, "next": max(before, 0)}
    return iter([dict(part, over=True, more=False, problem=words)])


def main(argv: list[str]) -> int:
    """Run a verb; gives the exit code."""
    folder = os.path.expanduser(argv[1]) if len(argv) > 1 else ""
    if argv[:1] == ["range"] and len(argv) == 4:
        print(json.dumps(read_range(folder, int(argv[2]), min(int(argv[3]), RANGE_BYTES))))
    elif argv[:1] == ["search"] and 3 <= len(argv) <= 5:
        level, before = ([*argv[3:], "", "-1"] if len(argv) == 3 else [*argv[3:], "-1"])[:2]
        try:
            for part in search(folder, argv[2], level, int(before)):
                print(json.dumps(part), flush=True)
        except BrokenPipeError:
            os._exit(0)  # nobody reads any more; an orderly end would stumble over the same pipe
    else:
        print("usage: range FOLDER OFFSET BYTES | search FOLDER REGEX [LEVEL] [BEFORE]", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
