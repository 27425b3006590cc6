"""How reads go to remote/reader.py and how its answers come back.

The one rule: an answer is a stranger's text. Whatever JSON comes, each read gets one bounded `Answer`; what is not as
it should be is a fault, and nothing here raises for it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sparkdesk.core.probes.read import MAX_TEXT_BYTES, Answer, Fault, Read, ReadCommand, ReadDisk, ReadFile

MAX_READS = 64
"""The most of one request; remote/reader.py takes no more."""
MAX_PATH_CHARS = 4096
MAX_ERROR_CHARS = 2048
MAX_PROBLEM_CHARS = 300
MAX_NUMBER = 2.0**63
_MAX_NUMBERS = 512


def encode_reads(reads: Sequence[Read]) -> bytes:
    """The request for at most MAX_READS reads. Raises ValueError for more."""
    if len(reads) > MAX_READS:
        raise ValueError(f"at most {MAX_READS} reads in one request")
    return json.dumps({"reads": [_encode(read) for read in reads]}, separators=(",", ":")).encode()


def _encode(read: Read) -> dict[str, Any]:
    if isinstance(read, ReadFile):
        return {"k": "file", "path": read.path, "bytes": read.max_bytes, "files": read.max_files}
    if isinstance(read, ReadCommand):
        return {"k": "command", "argv": list(read.argv), "s": read.timeout_s, "bytes": read.max_bytes}
    return {"k": "disk", "path": read.path} if isinstance(read, ReadDisk) else {"k": "clock"}


def decode_answers(reads: Sequence[Read], data: Mapping[str, Any]) -> dict[Read, Answer | None]:
    """What came back for these reads, in their order. None: there was no room for it, ask again."""
    found = data.get("answers")
    answers = found if isinstance(found, list) else []
    return {read: _decode(read, answers[index] if index < len(answers) else {}) for index, read in enumerate(reads)}


def decode_span(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """When the reader began and ended, Unix ms by the node; None when it does not say so."""
    began_ms, ended_ms = _number(data.get("began_ms")), _number(data.get("ended_ms"))
    return None if began_ms is None or ended_ms is None or ended_ms < began_ms else (began_ms, ended_ms)


def _decode(read: Read, value: object) -> Answer | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return _bad("the answer is no object")
    if "f" in value:
        kind = value["f"]
        fault = Fault(kind) if isinstance(kind, str) and kind in list(Fault) else Fault.UNREADABLE
        return Answer(fault=fault, problem=_text(value.get("w"), MAX_PROBLEM_CHARS) or fault.value.replace("_", " "))
    numbers = _numbers(value.get("n"))
    if isinstance(read, ReadDisk):
        is_whole = numbers.get("total_bytes", -1) > 0 and numbers.get("free_bytes", -1) >= 0
        return Answer(numbers=numbers) if is_whole else _bad("the answer has no sizes")
    if isinstance(read, ReadFile | ReadCommand):
        return _decode_texts(read, value, numbers)
    return Answer(numbers=numbers) if "t_ms" in numbers else _bad("the answer has no time")


def _decode_texts(read: ReadFile | ReadCommand, value: Mapping[str, Any], numbers: Mapping[str, float]) -> Answer:
    limit = read.max_files if isinstance(read, ReadFile) else 1
    size = min(read.max_bytes, MAX_TEXT_BYTES)
    rows = value.get("t")
    texts = tuple(
        (row[0], _text(row[1], size))
        for row in (rows if isinstance(rows, list) else [])[:limit]
        if isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and len(row[0]) <= MAX_PATH_CHARS
    )
    if not texts:
        return _bad("the answer has no text")
    is_cut = bool(value.get("x"))
    if isinstance(read, ReadFile):
        return Answer(texts=texts, numbers=numbers, is_cut=is_cut)
    code = value.get("c")
    if not isinstance(code, int) or isinstance(code, bool) or not 0 <= code <= 255:
        return _bad("the answer has no exit code")
    return Answer(texts=texts, code=code, errors=_text(value.get("e"), MAX_ERROR_CHARS), is_cut=is_cut)


def _bad(why: str) -> Answer:
    return Answer(fault=Fault.UNREADABLE, problem=why)


def _text(value: object, limit: int) -> str:
    """A bounded text without halves of characters, which no file or database takes."""
    if not isinstance(value, str):
        return ""
    return value[:limit].encode("utf-8", "replace").decode("utf-8")


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and abs(number) <= MAX_NUMBER else None


def _numbers(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    pairs = ((key, _number(item)) for key, item in list(value.items())[:_MAX_NUMBERS] if isinstance(key, str))
    return {key: number for key, number in pairs if number is not None}
