"""llama.cpp behind a front: started in a folder of its own, reached by a unix socket there and by no port.

The one rule: on a real Spark the engine behind such a server has no port that speaks HTTP either, so here must be none
that somebody could find and take for a second server.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from typing import Any

from spark_state import FOLDER, LIVE

SOCKET = "engine.sock"


class Engine:
    """One engine process. `setting` is what engine_process.py reads."""

    def __init__(self, setting: dict[str, Any]) -> None:
        self._folder = tempfile.mkdtemp(prefix="engine-", dir=f"{LIVE}/loads")
        self._number = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.process = subprocess.Popen(
            [os.path.realpath(sys.executable), "-IS", f"{FOLDER}/engine_process.py", json.dumps(setting)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
        )

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        """A connection that is opened at its first request. The way is short enough for any folder's name."""
        return _Connection(f"/proc/self/fd/{self._number}/{SOCKET}", timeout_s)

    def is_ready(self) -> bool:
        """Whether llama.cpp answers its health check."""
        connection = self.connect(2.0)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End it: llama.cpp waits for open streams at the first TERM and ends at the second."""
        for _attempt in range(2):
            if self.process.poll() is None:
                self.process.terminate()
                try:
                    self.process.wait(timeout=0.3)
                except subprocess.TimeoutExpired:
                    continue
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=5.0)
        shutil.rmtree(self._folder, ignore_errors=True)


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("127.0.0.1", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
