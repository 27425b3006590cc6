"""The inside of a simulated vLLM container: vLLM's command line, start-up lines and memory check, and a real llama.cpp.

The one rule: nothing is invented behind the door. Answers and token counts are llama.cpp's, on a small model of this
computer whatever model was asked for, and the log says so in its first line. The shape of the lines follows vLLM 0.32
as captured on a CPU and 0.33's sources; on a GB10 they were never seen.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import sys
import threading
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import vllm_flags
from engine import Engine
from spark_state import read_json, read_text
from vllm_front import Front

LOAD_S = 3.0
_GIB = 2**30
_REAL_CONTEXT = 8192  # what the small model was trained with
_BACKEND_TIMEOUT_S = 60.0
_SHARDS = 3


def say(who: str, words: str, level: str = "INFO", where: str = "api_utils.py:286") -> None:
    """One line of vLLM's log."""
    stamp = time.strftime("%m-%d %H:%M:%S")
    print(f"({who} pid={os.getpid()}) {level} {stamp} [{where}] {words}", flush=True)


def main(arguments: list[str]) -> int:
    """Check, load, serve until a signal."""
    with open(arguments[0], encoding="utf-8") as stream:
        launch = json.load(stream)
    version, table = vllm_flags.load_table()
    if {"-h", "--help"} & set(launch["arguments"]):
        print("usage: vllm serve [model_tag] [options]")
        return 0
    options = vllm_flags.parse(launch["arguments"], table)
    node = read_json("node")
    model = _small_model(node)
    say(
        "APIServer",
        f"[simulated] simulated vLLM {version}: the answers are real ones of llama.cpp with {model or '?'}",
    )
    say("APIServer", f"version {version}, model {options['model']}", where="api_utils.py:347")
    say("APIServer", f"non-default args: {_shown(options)}")
    problem = _problem(launch, node, model)
    if problem:
        print(problem, file=sys.stderr, flush=True)
        return 1
    return _serve(Plan(options, version, model, launch, node))


class Plan:
    """What is served, worked out from the options."""

    def __init__(
        self, options: dict[str, Any], version: str, model: str, launch: dict[str, Any], node: dict[str, Any]
    ) -> None:
        self.version = version
        self.file = model
        self.node = node
        self.model = str(options["model"])
        self.names = [str(name) for name in options.get("--served-model-name", [self.model])]
        self.asked_context = _length(str(options.get("--max-model-len", "") or "")) or _REAL_CONTEXT
        self.context = min(self.asked_context, _REAL_CONTEXT)
        self.slots = max(1, min(int(options.get("--max-num-seqs", 256)), 2 if self.context <= 4096 else 1))
        self.share = float(options.get("--gpu-memory-utilization", 0.92))
        self.listeners = _listeners(options, launch)
        self.total_bytes = _meminfo("MemTotal")
        self.reserved_bytes = int(self.total_bytes * self.share)


def _shown(options: dict[str, Any]) -> str:
    return str({name.lstrip("-").replace("-", "_"): value for name, value in options.items()})


def _length(text: str) -> int:
    """`32768`, `32k` (1000s) or `32K` (1024s), as vLLM reads them."""
    factors = {"k": 1000, "K": 1024, "m": 10**6, "M": 2**20}
    factor = factors.get(text[-1:], 1)
    digits = text[:-1] if factor != 1 else text
    return int(float(digits) * factor) if digits.replace(".", "", 1).isdigit() else 0


def _listeners(options: dict[str, Any], launch: dict[str, Any]) -> list[tuple[str, int]]:
    """Where the server can be reached from the node, by the container's network."""
    host, port = str(options.get("--host", "0.0.0.0") or "0.0.0.0"), int(options.get("--port", 8000))
    own = os.environ.get("SPARKDESK_SIM_ADDRESS")
    if launch["published"] is None:
        return [(own or host, port)]
    if host not in ("0.0.0.0", "::"):
        return []  # its own loopback: docker's way in finds nobody there
    return [(own or address, outside) for address, outside, inside in launch["published"] if inside == port]


def _small_model(node: dict[str, Any]) -> str:
    files = sorted(glob.glob(f"{node['models']}/*.gguf"))
    small = [file for file in files if "smollm2" in file.lower()]
    return (small or files or [""])[0]


def _problem(launch: dict[str, Any], node: dict[str, Any], model: str) -> str:
    """Why it cannot start, in the engine's words where it has some."""
    if node["engine_problem"]:
        return f"RuntimeError: simulated vLLM needs llama.cpp: {node['engine_problem']}"
    if not model:
        return "RuntimeError: simulated vLLM needs a GGUF file on the node, and there is none"
    if not launch["has_gpu"]:
        return (
            "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`"
        )
    return ""


def _meminfo(name: str) -> int:
    for line in read_text("/proc/meminfo").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def _serve(plan: Plan) -> int:
    ending = threading.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, lambda *_: ending.set())
    free, wanted = _meminfo("MemAvailable") / _GIB, plan.reserved_bytes / _GIB
    if free < wanted:
        print(
            f"ValueError: Free memory on device cuda:0 ({free:.2f}/{plan.total_bytes / _GIB:.2f} GiB) on startup is "
            f"less than desired GPU memory utilization ({plan.share}, {wanted:.2f} GiB). Decrease GPU memory "
            "utilization or reduce GPU memory used by other processes.",
            file=sys.stderr,
            flush=True,
        )
        return 1
    try:
        front = Front(plan.listeners, plan.names, plan.model, plan.context, plan.version)
    except OSError as error:
        print(f"OSError: [Errno {error.errno}] Address already in use", file=sys.stderr, flush=True)
        return 1
    engine = _start_engine(plan)
    try:
        if not _load(plan, engine, ending):
            return 0 if ending.is_set() else 1
        front.start(engine)
        _announce(plan)
        while not ending.wait(0.5):
            code = engine.process.poll()
            if code is not None:
                print(f"RuntimeError: Engine core died with code {code}", file=sys.stderr, flush=True)
                return 1
        say("APIServer", "Shutting down", where="launcher.py:210")
        return 0
    finally:
        front.close()
        engine.stop()


def _start_engine(plan: Plan) -> Engine:
    """llama.cpp as a child in the container's own group."""
    return Engine({
        "file": plan.file,
        "context": plan.context * plan.slots,
        "slots": plan.slots,
        "alias": plan.names[0],
        "reserved_bytes": plan.reserved_bytes,
        "ramp_s": LOAD_S * 0.8,
        "packages": plan.node["packages"],
    })  # fmt: skip


def _load(plan: Plan, engine: Engine, ending: threading.Event) -> bool:
    """The load phase: vLLM's lines over a few seconds, then until llama.cpp answers. False when told to end or dead."""
    say(
        "EngineCore",
        f"Initializing a V1 LLM engine (v{plan.version}) with config: model='{plan.model}'",
        where="core.py:133",
    )
    say("EngineCore", f"Using max model len {plan.asked_context}", where="model.py:2152")
    if plan.context < plan.asked_context:
        say("EngineCore", f"[simulated] the real context is {plan.context} tokens", "WARNING", "model.py:2152")
    say("EngineCore", f"Starting to load model {plan.model}...", where="gpu_model_runner.py:68")
    for shard in range(_SHARDS + 1):
        if ending.wait(LOAD_S / (_SHARDS + 2)):
            return False
        done = round(100 * shard / _SHARDS)
        count = f"{done:>3}% Completed | {shard}/{_SHARDS} [00:00<00:00,  1.48it/s]"
        print(f"Loading safetensors checkpoint shards: {count}", file=sys.stderr, flush=True)
    say("EngineCore", f"Loading weights took {LOAD_S:.2f} seconds", where="default_loader.py:501")
    tokens = f"{plan.context * plan.slots:,}"
    say("EngineCore", f"GPU KV cache size: {tokens} tokens", where="kv_cache_utils.py:2327")
    end_s = time.monotonic() + _BACKEND_TIMEOUT_S
    while not engine.is_ready():
        if engine.process.poll() is not None or time.monotonic() > end_s:
            print("RuntimeError: Engine core initialization failed. See root cause above.", file=sys.stderr, flush=True)
            return False
        if ending.wait(0.05):
            return False
    say("EngineCore", f"init engine (profile, create kv cache, warmup model) took {LOAD_S:.2f} s", where="core.py:402")
    return True


def _announce(plan: Plan) -> None:
    for host, port in plan.listeners:
        say("APIServer", f"Starting vLLM server on http://{host}:{port}", where="entry.py:140")
    print(f"INFO:     Started server process [{os.getpid()}]", file=sys.stderr)
    print("INFO:     Waiting for application startup.", file=sys.stderr)
    print("INFO:     Application startup complete.", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
