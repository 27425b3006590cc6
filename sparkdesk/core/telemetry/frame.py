"""Cuts a stream of bytes into lines, however it was chopped, and never keeps more of a line than the cap.

The one rule: a read from a channel is not a line, and a line from a node may be of any length; both are bounded here.
"""

from __future__ import annotations

from dataclasses import dataclass

PROBE_LINE_BYTES = 64 * 1024
LOG_LINE_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end. `cut_bytes` says how many bytes behind the cap were thrown away."""

    data: bytes
    cut_bytes: int = 0


class LineFramer:
    """Feed it bytes, take lines. The result does not depend on how the bytes were split."""

    __slots__ = ("_cap", "_cut", "_kept", "_returns_too", "_size")

    def __init__(self, cap_bytes: int, *, splits_returns: bool = False) -> None:
        """`splits_returns`: a carriage return ends a line too (progress bars), and empty lines are left out."""
        self._cap = cap_bytes
        self._returns_too = splits_returns
        self._kept: list[bytes] = []
        self._size = 0
        self._cut = 0

    def feed(self, data: bytes) -> list[Line]:
        """The lines that these bytes complete."""
        if self._returns_too:
            data = data.replace(b"\r", b"\n")
        *ends, rest = data.split(b"\n")
        lines = []
        for piece in ends:
            self._keep(piece)
            line = self._take()
            if line.data or not self._returns_too:
                lines.append(line)
        self._keep(rest)
        return lines

    def finish(self) -> list[Line]:
        """What stands unfinished at the end of the stream, as a line if there is any."""
        line = self._take()
        return [line] if line.data else []

    def _keep(self, piece: bytes) -> None:
        room = self._cap - self._size
        kept = piece[:room]
        if kept:
            self._kept.append(kept)
            self._size += len(kept)
        self._cut += len(piece) - len(kept)

    def _take(self) -> Line:
        line = Line(b"".join(self._kept), self._cut)
        self._kept, self._size, self._cut = [], 0, 0
        return line
