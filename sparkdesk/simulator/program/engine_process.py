"""The engine process of a simulated server: llama.cpp, with the memory that the real one would take declared."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from engine import SOCKET
from llama_server import serve
from spark_state import conditions, declare_load

_LEAK_TICK_S = 0.2
_LEAK_BYTES_PER_S = 8 * 2**30


def main(arguments: list[str]) -> int:
    """Serve on a socket in the working folder until a signal."""
    setting = json.loads(arguments[0])
    sys.path.insert(0, setting["packages"])
    options = {
        "host": SOCKET,
        "ctx_size": setting["context"],
        "parallel": setting["slots"],
        "threads": 1,
        "alias": setting["alias"],
        "metrics": True,
    }
    if setting.get("is_embedding"):
        options |= {"embedding": True, "pooling": "mean"}  # the small model has no pooling of its own
    if setting.get("speculates"):
        options["spec_type"] = "ngram-simple"  # what needs no second model
    memory_bytes, ramp_s = int(setting["reserved_bytes"]), float(setting["ramp_s"])
    cached_bytes = os.path.getsize(setting["file"])
    with declare_load(
        str(setting.get("name", "VLLM::EngineCore")),
        memory_bytes=memory_bytes,
        ramp_s=ramp_s,
        cached_bytes=cached_bytes,
    ) as declare:
        threading.Thread(target=_leak, args=(declare, memory_bytes), daemon=True).start()
        return serve(options, setting["file"])


def _leak(declare: Callable[[int], None], memory_bytes: int) -> None:
    """Hold more and more as long as the fault is on; what was taken is given back only with the process."""
    held = memory_bytes
    while True:
        time.sleep(_LEAK_TICK_S)
        if "engine-leak" in conditions():
            held += int(_LEAK_BYTES_PER_S * _LEAK_TICK_S)
            declare(held)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
