"""Two watchers that a careless reader walks into: a picture on the disk, and a server on this computer.

The one rule: they count what the kernel saw, never what our own code says that it did.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import threading
from pathlib import Path

import pytest

IN_OPEN, IN_ACCESS = 0x20, 0x1


class FileWatch:
    """Counts how often a file is opened or read, by the kernel's own word."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.inotify_init1(os.O_NONBLOCK)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), IN_OPEN | IN_ACCESS) < 0:
            pytest.skip("this computer cannot watch files")

    def touched(self) -> int:
        """Opens and reads since the last call."""
        try:
            data = os.read(self._fd, 1 << 20)
        except BlockingIOError:
            return 0
        return len(data) // struct.calcsize("iIII")

    def close(self) -> None:
        os.close(self._fd)


class Trap:
    """A port that remembers who knocked."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.knocks = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.knocks += 1

    def close(self) -> None:
        # A thread in accept does not notice that its socket was closed: it is woken by a last caller.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
