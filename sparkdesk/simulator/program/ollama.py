"""`ollama` of a node: its server with a model in memory, and the client's few reading commands.

The one rule: one model, the small one of this computer under the name that Ollama's library has for it; answers are
llama.cpp's own. Words as Ollama 0.12 has them; nothing of it was seen on a Spark.
"""

from __future__ import annotations

import glob
import http.client
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from engine import Engine
from ollama_front import VERSION, Front, Model
from spark_state import read_json

_PORT = 11434
_CONTEXT = 4096
_LOAD_TIMEOUT_S = 60.0


def main(arguments: list[str]) -> int:
    """serve, list, ps, --version; the rest is not simulated."""
    command = arguments[0] if arguments else ""
    if command in ("--version", "-v"):
        print(f"ollama version is {VERSION}")
        return 0
    if command == "serve" and len(arguments) == 1:
        return _serve()
    if command in ("list", "ls", "ps") and len(arguments) == 1:
        return _show("ps" if command == "ps" else "tags")
    if command in ("run", "pull", "push", "create", "show", "stop", "rm", "cp", "serve"):
        print(f"Error: ollama {' '.join(arguments)} is not simulated", file=sys.stderr)
    else:
        print(f'Error: unknown command "{command}" for "ollama"', file=sys.stderr)
    return 1


def _address() -> str:
    return os.environ.get("SPARKDESK_SIM_ADDRESS", "127.0.0.1")


def _show(what: str) -> int:
    """The client's table of models."""
    connection = http.client.HTTPConnection(_address(), _PORT, timeout=5.0)
    try:
        connection.request("GET", f"/api/{what}")
        models = json.load(connection.getresponse())["models"]
    except OSError:
        print("Error: could not connect to ollama server, run 'ollama serve' to start it", file=sys.stderr)
        return 1
    finally:
        connection.close()
    last = "UNTIL" if what == "ps" else "MODIFIED"
    print(f"{'NAME':<20}{'ID':<16}{'SIZE':<12}{last}")
    for row in models:
        when = "Forever" if what == "ps" else "now"
        print(f"{row['name']:<20}{row['digest'][:12]:<16}{str(row['size'] // 10**6) + ' MB':<12}{when}")
    return 0


def _serve() -> int:
    """Listen at once, load the model, then wait for a signal."""
    node = read_json("node")
    files = sorted(glob.glob(f"{node['models']}/*.gguf"))
    if node["engine_problem"] or not files:
        print(f"Error: {node['engine_problem'] or 'there is no model on this node'}", file=sys.stderr)
        return 1
    file = next((name for name in files if "smollm2" in name.lower()), files[0])
    try:
        front = Front(_address(), _PORT, Model(file, _CONTEXT))
    except OSError:
        print(f"Error: listen tcp {_address()}:{_PORT}: bind: address already in use", file=sys.stderr)
        return 1
    ending = threading.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, lambda *_: ending.set())
    engine = Engine({"file": file, "context": _CONTEXT, "slots": 1, "alias": "ollama", "reserved_bytes": 0,
                     "ramp_s": 0.0, "packages": node["packages"], "name": "/usr/local/bin/ollama"})  # fmt: skip
    front.start(engine)
    end_s = time.monotonic() + _LOAD_TIMEOUT_S
    while not ending.is_set() and time.monotonic() < end_s and not engine.is_ready():
        ending.wait(0.1)
    front.is_loaded = engine.is_ready()
    while not ending.wait(1.0) and engine.process.poll() is None:
        pass
    front.close()
    engine.stop()
    return 0
