"""Bytes of an event stream into events, by the rules of the SSE standard and no others.

The one rule: lines end at LF, CR or CRLF only. A decoder that splits text by Unicode's line ends (U+2028, U+0085, form
feed) tears JSON strings apart. What comes out never depends on how the bytes were cut into chunks.

Source: WHATWG HTML, "Server-sent events", section "Parsing an event stream".
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_EVENT_BYTES = 5 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_LF = 0x0A


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One whole event. `data` is its data lines joined by LF; bytes that were not UTF-8 are U+FFFD."""

    data: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class SsePing:
    """A comment line: it says only that the server is alive."""


@dataclass(frozen=True, slots=True)
class SseTooLarge:
    """An event with more than `limit_bytes` bytes came and is skipped."""

    limit_bytes: int


SseItem = SseEvent | SsePing | SseTooLarge
_PING = SsePing()


class SseParser:
    """Reads one stream. Total: any bytes are fine, in chunks of any size."""

    __slots__ = (
        "_data",
        "_data_bytes",
        "_has_bom_behind",
        "_is_after_cr",
        "_is_skipping",
        "_line",
        "_max_bytes",
        "_name",
    )

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_event_bytes
        self._line = bytearray()
        """The line that is still open."""
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = b""
        self._is_after_cr = False
        """The last byte was a CR: an LF that follows belongs to it."""
        self._has_bom_behind = False
        """The first line was looked at."""
        self._is_skipping = False
        """The open event is too large: nothing of it is kept, up to the empty line that ends it."""

    def feed(self, chunk: bytes) -> list[SseItem]:
        """The items that are complete with this chunk, in order."""
        items: list[SseItem] = []
        if not chunk:
            return items
        if self._is_after_cr and chunk[0] == _LF:
            chunk = chunk[1:]
        self._is_after_cr = chunk.endswith(b"\r") if chunk else False
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = chunk.split(b"\n")
        if lines and self._line:
            self._line += lines[0]
            lines[0] = bytes(self._line)
            self._line.clear()
        for line in lines:
            self._take_line(line, items)
        if rest:
            self._keep(rest, items)
        return items

    def _keep(self, piece: bytes, items: list[SseItem]) -> None:
        # While skipping, one byte stands for the whole line: all that matters is whether the line is empty.
        if self._is_skipping:
            if not self._line:
                self._line += piece[:1]
            return
        self._line += piece
        if len(self._line) + self._data_bytes > self._max_bytes:
            self._skip_event(items)
            del self._line[1:]

    def _take_line(self, line: bytes, items: list[SseItem]) -> None:
        is_too_long = len(line) + self._data_bytes > self._max_bytes
        if not self._has_bom_behind:
            self._has_bom_behind = True
            line = line.removeprefix(_BOM)
        if not line:
            self._end_event(items)
        elif self._is_skipping:
            return
        elif is_too_long:
            self._skip_event(items)
        elif line.startswith(b":"):
            items.append(_PING)
        else:
            self._take_field(line)

    def _take_field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._data_bytes += len(value) + 1
        elif field == b"event":
            self._name = value.removeprefix(b" ")

    def _end_event(self, items: list[SseItem]) -> None:
        self._is_skipping = False
        if self._data:
            whole = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            items.append(SseEvent(whole.decode("utf-8", "replace"), self._name.decode("utf-8", "replace")))
        self._forget_event()

    def _skip_event(self, items: list[SseItem]) -> None:
        self._is_skipping = True
        self._forget_event()
        items.append(SseTooLarge(self._max_bytes))

    def _forget_event(self) -> None:
        self._data.clear()
        self._data_bytes = 0
        self._name = b""
