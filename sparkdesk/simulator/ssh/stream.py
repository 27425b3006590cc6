"""Bytes between an SSH channel and an open file of a node, with back pressure both ways and no task of its own.

The one rule: every file that comes in here is closed here, once.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

_CHUNK_BYTES = 64 * 1024
_FULL_BYTES = 256 * 1024


class Source:
    """Reads a file as it fills; `on_end` is called once, at its end or when it breaks."""

    def __init__(self, number: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._number = number
        self._on_data = on_data
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self.is_open = True
        os.set_blocking(number, False)
        self._loop.add_reader(number, self._read)

    def pause(self) -> None:
        """The reader on the other side is slow: wait."""
        if self.is_open:
            self._loop.remove_reader(self._number)

    def resume(self) -> None:
        """Read on."""
        if self.is_open:
            self._loop.add_reader(self._number, self._read)

    def close(self) -> None:
        """Stop reading; `on_end` is not called."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._number)
            os.close(self._number)

    def _read(self) -> None:
        try:
            data = os.read(self._number, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:  # a terminal whose last user is gone says EIO
            data = b""
        if data:
            self._on_data(data)
        else:
            self.close()
            self._on_end()


class Sink:
    """Writes a file; `on_full` tells when too much waits, `on_room` when there is room again."""

    def __init__(
        self, number: int, on_full: Callable[[], None], on_room: Callable[[], None], *, is_socket: bool = False
    ) -> None:
        self._number = number
        self._is_socket = is_socket
        self._on_full = on_full
        self._on_room = on_room
        self._loop = asyncio.get_running_loop()
        self._waiting = bytearray()
        self._is_full = False
        self._ends = False
        self.is_open = True
        os.set_blocking(number, False)

    def write(self, data: bytes) -> None:
        """Write now or as soon as there is room; dropped when the reader is gone."""
        if not self.is_open or self._ends:
            return
        had_waiting = bool(self._waiting)
        self._waiting += data
        if not had_waiting:
            self._write()
        if len(self._waiting) > _FULL_BYTES and not self._is_full:
            self._is_full = True
            self._on_full()

    def end(self) -> None:
        """Close after what still waits."""
        self._ends = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Close at once."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_writer(self._number)
            if self._is_socket and self._ends:
                _shut_down_writing(self._number)
            os.close(self._number)

    def _write(self) -> None:
        try:
            while self._waiting and self.is_open:
                count = os.write(self._number, self._waiting[:_CHUNK_BYTES])
                del self._waiting[:count]
        except BlockingIOError:
            self._loop.add_writer(self._number, self._write)
            return
        except OSError:
            self._waiting.clear()
            self.close()
        if self.is_open:
            self._loop.remove_writer(self._number)
            if self._ends:
                self.close()
        if self._is_full:
            self._is_full = False
            self._on_room()


def _shut_down_writing(number: int) -> None:
    """Send end of file on a socket of which another copy stays open for reading."""
    with socket.socket(fileno=os.dup(number)) as copy:
        try:
            copy.shutdown(socket.SHUT_WR)
        except OSError:  # the other side is gone already
            return
