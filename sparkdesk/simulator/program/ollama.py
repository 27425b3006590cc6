"""`ollama` of a node: its server with a model in memory, and the client's few reading commands.

The one rule: answers are llama.cpp's own, of the small model of this computer, also under a name that was pulled.
Words as Ollama 0.12 has them; nothing of it was seen on a Spark.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import ollama_store as store
from ollama_front import VERSION, Front
from ollama_runner import LoadError, Runner
from spark_state import read_json

_PORT = 11434


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
        when = ("Forever" if row["expires_at"].startswith("2318") else "soon") if what == "ps" else "now"
        print(f"{row['name']:<20}{row['digest'][:12]:<16}{str(row['size'] // 10**6) + ' MB':<12}{when}")
    return 0


def _serve() -> int:
    """Listen at once, load the small model for good, then serve and tidy until a signal."""
    node = read_json("node")
    file = store.small_file()
    if node["engine_problem"] or not file:
        print(f"Error: {node['engine_problem'] or 'there is no model on this node'}", file=sys.stderr)
        return 1
    runner = Runner(str(node["packages"]))
    try:
        front = Front(_address(), _PORT, file, runner)
    except OSError:
        print(f"Error: listen tcp {_address()}:{_PORT}: bind: address already in use", file=sys.stderr)
        return 1
    ending = threading.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, lambda *_: ending.set())
    front.start()
    own = store.find(store.own_name(file), file)
    if own is not None:
        with contextlib.suppress(LoadError):
            runner.use(own, 0, None)
    while not ending.wait(0.2):
        runner.tidy()
    front.close()
    runner.stop()
    return 0
