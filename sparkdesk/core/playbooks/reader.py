"""How a step reads what a command printed: named, pure readers, so that a playbook can say "this field must be so".

A reader turns standard output into one word, compared with `Expect.equals`; a line reader turns lines as they come
into progress. The one rule: readers are total; what cannot be read is None, which never equals anything.

    json_field:ok      the field of the last line that is a JSON object; a.b goes deeper; true, false, null as JSON
    text               all of it, without the blanks around it
    last_line          the last line that is not blank
    contains:WORD      "true" or "false"
    public_key         the ed25519 public key that is the only line, as "ssh-ed25519 BLOB": no options, no comment
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.command import Exit, Outcome, Refused, Unknown
from sparkdesk.core.plain_text import make_line
from sparkdesk.core.step import Expect
from sparkdesk.core.transfer import again_words, size_words, transfer_words

MAX_RESULT_CHARS = 4096
MAX_COUNT = 1e18
_PERCENT = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3})?) ?%")


class Verdict(StrEnum):
    """What an outcome means for an expectation. UNKNOWN is neither yes nor no."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


def judge(expect: Expect, outcome: Outcome) -> Verdict:
    """Whether the outcome is as expected. A fate that is not known, or never was, is UNKNOWN."""
    if isinstance(outcome.fate, Unknown | Refused):
        return Verdict.UNKNOWN
    if not isinstance(outcome.fate, Exit) or outcome.fate.code not in expect.exit_codes:
        return Verdict.NO
    if not expect.reader:
        return Verdict.YES
    result = read(expect.reader, outcome.stdout)
    if result is None:
        return Verdict.NO
    return Verdict.YES if not expect.equals or result == expect.equals else Verdict.NO


def read(reader: str, stdout: bytes) -> str | None:
    """What the named reader finds, at most 4096 characters; None when it finds nothing or is not known."""
    name, _, argument = reader.partition(":")
    function = _READERS.get(name)
    result = function(stdout.decode("utf-8", "replace"), argument) if function is not None else None
    return None if result is None or len(result) > MAX_RESULT_CHARS else result


def last_object(text: str) -> dict[str, object] | None:
    """The last line that is a JSON object: login shells print greetings before it. None when there is none."""
    for line in reversed(text.split("\n")):  # not splitlines: a JSON string may hold U+2028 as it is
        if not line.lstrip().startswith("{"):
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def _read_json_field(text: str, path: str) -> str | None:
    value: object = last_object(text)
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    try:
        return value if isinstance(value, str) else json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None


def _read_last_line(text: str, _: str) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else None


KEY_TYPE = "ssh-ed25519"
_KEY_LINE = re.compile(rf"{KEY_TYPE} ([A-Za-z0-9+/]{{68}})(?: [ -~]{{0,200}})?\n?")
_KEY_START = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
"""What the 51 bytes of such a key begin with: its type again, and the length of what follows. Source: RFC 8709, 4."""


def read_public_key(text: str) -> str | None:
    """The one ed25519 public key that the text is, as "ssh-ed25519 BLOB"; None for anything else, however like it."""
    found = _KEY_LINE.fullmatch(text) if len(text) <= 400 else None
    if found is None:
        return None
    try:
        blob = base64.b64decode(found[1], validate=True)
    except binascii.Error:
        return None
    is_key = len(blob) == 51 and blob.startswith(_KEY_START)
    return f"{KEY_TYPE} {found[1]}" if is_key else None


_READERS: dict[str, Callable[[str, str], str | None]] = {
    "json_field": _read_json_field,
    "text": lambda text, _: text.strip(),
    "last_line": _read_last_line,
    "contains": lambda text, word: "true" if word and word in text else "false",
    "public_key": lambda text, _: read_public_key(text),
}


@dataclass(frozen=True, slots=True)
class LineProgress:
    """What one line of a followed command tells. `fraction` (0..1) is None when not known."""

    text: str
    fraction: float | None = None


def read_progress(reader: str, line: str) -> LineProgress | None:
    """What the named line reader makes of a line: "lines" (each as it is), "percent" (the last "42 %" in it),
    "transfer" (what remote/fetch.py and remote/pull.py print), "ready" (remote/job.py's look at a server)."""
    if reader == "transfer":
        return _read_transfer(line)
    if reader == "ready":
        return _read_ready(line)
    text = line.strip()[:400]
    if not text:
        return None
    if reader == "percent":
        found = _PERCENT.findall(text)
        return LineProgress(text, min(1.0, float(found[-1]) / 100.0)) if found else None
    return LineProgress(text)


_CLOSED = re.compile(r":(\d{1,5})(?:/\S{0,200})?: .{0,60}[Rr]efused")


def _read_ready(line: str) -> LineProgress | None:
    """What the check answers, of a server that is not ready yet."""
    said = last_object(line) or {}
    detail = said.get("detail")
    if not isinstance(detail, str) or not detail.strip() or said.get("ready") is True:
        return None
    closed = _CLOSED.search(detail)
    words = f"port {closed[1]} does not answer yet" if closed else detail.strip().rstrip(":")
    return LineProgress(make_line(words, max_chars=200))


def _read_transfer(line: str) -> LineProgress | None:
    said = last_object(line) or {}
    rate = _number(said.get("rate"))
    layers, layers_done = _number(said.get("layers")), _number(said.get("layers_done"))
    if layers and layers_done is not None:
        got = size_words(round(_number(said.get("got")) or 0))
        fraction = _number(said.get("fraction"))
        again = again_words(said.get("again"), fraction)
        speed = f"; {again}" if again else f", {rate / 1e6:.3g} MB/s" if rate else ""
        return LineProgress(f"{layers_done:.0f} of {layers:.0f} layers, {got}{speed}", fraction)
    done, total = _number(said.get("done")), _number(said.get("total"))
    if done is None or not total:
        again = again_words(said.get("again"), None)
        return LineProgress(again) if again else None
    again = again_words(said.get("again"), min(1.0, done / total))
    words = transfer_words(round(done), round(total), rate, again)
    files, files_done = _number(said.get("files")), _number(said.get("files_done"))
    if files is not None and files_done is not None:
        words += f"; {files_done:.0f} of {files:.0f} files"
    return LineProgress(words, min(1.0, done / total))


def _number(value: object) -> float | None:
    """A number that can be a count or a rate; None for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MAX_COUNT
    return float(value) if is_number and isinstance(value, int | float) else None
