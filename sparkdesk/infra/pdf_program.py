"""A program of its own that reads a PDF's text: bytes on standard input, one JSON object a line on standard output.

The one rule: a PDF is hostile, so this process has no file to open, little memory and little time, and whoever started
it may kill it after any line. It says {"pages": N}, then for each page {"page": n, "text": "..."}, then {"end": true};
or {"error": "locked" | "broken" | "memory", "detail": "..."}.
"""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterable, Iterator

MEMORY_BYTES = 1 << 30
CPU_S = 40
MAX_PAGES = 5_000
MAX_PAGE_CHARS = 1 << 20


def limit_self() -> None:
    """Give up what a reader of text does not need. Where the system has no such limits, the clock is all there is."""
    try:
        import resource
    except ImportError:
        return
    wanted = {"RLIMIT_AS": MEMORY_BYTES, "RLIMIT_CPU": CPU_S, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NPROC": 0}
    for name, limit in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        try:
            resource.setrlimit(kind, (limit, limit))
        except (ValueError, OSError):
            continue  # it is lower already, or not allowed here


def read_pages(data: bytes) -> Iterator[dict[str, object]]:
    """What there is to say of this PDF, in order. A page that cannot be read has no text."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    # A damaged file makes the library stumble in any of these ways; each means the same.
    broken: tuple[type[Exception], ...] = (PyPdfError, ArithmeticError, AssertionError, AttributeError, LookupError)
    broken = (*broken, NotImplementedError, OSError, RecursionError, TypeError, ValueError)
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            yield {"error": "locked"}
            return
        count = len(reader.pages)
    except broken as error:
        yield {"error": "broken", "detail": f"{type(error).__name__}: {error}"[:300]}
        return
    yield {"pages": count}
    for index in range(min(count, MAX_PAGES)):
        try:
            text = reader.pages[index].extract_text()
        except broken:
            text = ""
        yield {"page": index + 1, "text": text[:MAX_PAGE_CHARS]}
    yield {"end": True}


def say(lines: Iterable[dict[str, object]]) -> None:
    """Print each as one line at once, in plain ASCII: a bad font table gives half characters."""
    for line in lines:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


def main() -> int:
    """Read, say, end."""
    logging.disable(logging.CRITICAL)
    data = sys.stdin.buffer.read()
    limit_self()
    try:
        say(read_pages(data))
    except MemoryError:
        say([{"error": "memory"}])
    except BrokenPipeError:
        pass  # who asked has enough
    return 0


if __name__ == "__main__":
    sys.exit(main())
