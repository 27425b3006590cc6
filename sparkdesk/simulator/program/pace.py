"""Passes an answer on more slowly than it came: for engines that were asked, or are made, to be slow.

The one rule: bytes stay as they are and in their order; only the time between them is stretched, by one factor.
"""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Iterator

from spark_state import conditions

EAGER_FACTOR = 2.2  # without CUDA graphs. Source: 57 and 26 tok/s of gpt-oss-120b on one Spark, community reports
SLOW_FACTOR = 2.0  # the fault engine-slow
_PIECE = 65536
_WAIT_S = 600.0


def factor_of(*, is_eager: bool) -> float:
    """By how much times are stretched now."""
    return (EAGER_FACTOR if is_eager else 1.0) * (SLOW_FACTOR if "engine-slow" in conditions() else 1.0)


def paced(answer: http.client.HTTPResponse, factor: float, start_s: float) -> Iterator[bytes]:
    """The pieces of a stream, each as late after `start_s` as the factor says. Raises OSError, HTTPException."""
    if factor <= 1.0:
        while data := answer.read1(_PIECE):
            yield data
        return
    pieces: queue.Queue[tuple[float, bytes | Exception]] = queue.Queue()

    def read() -> None:
        try:
            while data := answer.read1(_PIECE):
                pieces.put((time.monotonic(), data))
            pieces.put((time.monotonic(), b""))
        except (OSError, http.client.HTTPException, ValueError) as error:
            pieces.put((time.monotonic(), error))

    threading.Thread(target=read, daemon=True).start()
    while True:
        came_s, piece = pieces.get(timeout=_WAIT_S)
        time.sleep(max(0.0, start_s + (came_s - start_s) * factor - time.monotonic()))
        if isinstance(piece, Exception):
            raise OSError(str(piece)) from piece
        if not piece:
            return
        yield piece


def hold(factor: float, start_s: float) -> None:
    """Wait as long again as an answer in one piece took, times the factor."""
    time.sleep(max(0.0, (time.monotonic() - start_s) * (factor - 1.0)))
