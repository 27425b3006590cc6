"""The engine process of a simulated server: llama.cpp, with the memory that the real one would take declared."""

from __future__ import annotations

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from engine import SOCKET
from llama_server import serve
from spark_state import declare_load


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
        "no_slots": True,
    }
    memory_bytes, ramp_s = int(setting["reserved_bytes"]), float(setting["ramp_s"])
    cached_bytes = os.path.getsize(setting["file"])
    with declare_load(
        str(setting.get("name", "VLLM::EngineCore")),
        memory_bytes=memory_bytes,
        ramp_s=ramp_s,
        cached_bytes=cached_bytes,
    ):
        return serve(options, setting["file"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
