"""The inside of a simulated SGLang container: its command line and start-up phases, and a real llama.cpp.

The one rule: nothing is invented behind the door, as in the simulated vLLM. Words of the lines are those of SGLang
0.5.23's own package, times are this process's own; on a GB10 unverified on hardware [sglang-on-gb10].
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import engine_flags
from engine import Engine
from engine_start import (
    Launch,
    die_of_memory,
    has_crash,
    load_seconds,
    on_signal,
    read_launch,
    read_node,
    real_problem,
    small_model,
    wait_ready,
    watch,
)
from sglang_front import SglangFront
from sglang_plan import GRAPH_BYTES, Plan
from spark_state import conditions

_GRAPH_S = 0.4
_SHARDS = 3
_GB = 2**30  # SGLang writes GB and divides by 2**30
_PTXAS = "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'"


def say(words: str) -> None:
    """One line of SGLang's log."""
    print(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] {words}", flush=True)


def fail(words: str) -> int:
    """A scheduler that could not start, and the exit code."""
    say(f"Scheduler hit an exception: Traceback (most recent call last):\n{words}\n")
    say("Received sigquit from a child process. It usually means the child failed.")
    return 1


def main(arguments: list[str]) -> int:
    """Check, load, serve until a signal."""
    launch = read_launch(arguments[0])
    version, table = engine_flags.load_table(engine_flags.SGLANG)
    if {"-h", "--help"} & set(launch.arguments):
        print(f"usage: {engine_flags.SGLANG.usage}")
        return 0
    options = engine_flags.parse(engine_flags.SGLANG, launch.arguments, table)
    if "--model-path" not in options and "--model" in options:
        options["--model-path"] = options["--model"]
    if "--model-path" not in options:
        print("launch_server.py: error: the following arguments are required: --model-path/--model", file=sys.stderr)
        return 2
    node = read_node()
    file = small_model(node)
    say(f"[simulated] simulated SGLang {version}: the answers are real ones of llama.cpp with {file or '?'}")
    problem = real_problem(node, file, "SGLang")
    if not launch.has_gpu:
        problem = "RuntimeError: No accelerator (CUDA, XPU, HPU, NPU, MUSA, MPS) is available."
    if problem:
        print(problem, file=sys.stderr, flush=True)
        return 1
    return _serve(Plan(options, version, file, launch), launch, node)


def _serve(plan: Plan, launch: Launch, node: dict[str, Any]) -> int:
    ending = on_signal()
    shown = {key.lstrip("-").replace("-", "_"): "***" if "key" in key else value for key, value in plan.options.items()}
    say(f"server_args=ServerArgs({', '.join(f'{key}={value!r}' for key, value in shown.items())})")
    on = conditions()
    if "engine-gated" in on:
        words = (
            f"Cannot access gated repo for url https://huggingface.co/{plan.model}/resolve/main/config.json.\n"
            f"Access to model {plan.model} is restricted. You must have access to it and be authenticated to access it."
        )
        print(
            f"OSError: You are trying to access a gated repo.\n401 Client Error.\n{words}", file=sys.stderr, flush=True
        )
        return 1
    if "engine-unsupported" in on:
        return fail(f"ValueError: Model architectures ['{plan.size.architecture}'] are not supported for now.")
    try:
        front = SglangFront(plan)
    except OSError as error:
        print(f"[Errno {error.errno}] error while attempting to bind on address ('{plan.host}', {plan.port}): address "
              "already in use", file=sys.stderr, flush=True)  # fmt: skip
        return 1
    engine = Engine({
        "file": plan.file,
        "context": plan.context * plan.slots,
        "slots": plan.slots,
        "alias": plan.name,
        "reserved_bytes": plan.reserved_bytes,
        "ramp_s": load_seconds(plan.size.weights_bytes) * 0.8,
        "packages": node["packages"],
        "is_embedding": plan.is_embedding,
        "speculates": "--speculative-algorithm" in plan.options,
        "name": "sglang::scheduler",
    })  # fmt: skip
    try:
        code = _load(plan, launch, engine, ending)
        if code is not None:
            return code
        _open(plan, front, engine)
        return watch(front, engine, ending, _tell_death)
    finally:
        front.close()
        engine.stop()


def _tell_death() -> None:
    cause = "torch.AcceleratorError: CUDA error: an illegal memory access was encountered"
    say(f"Scheduler hit an exception: Traceback (most recent call last):\n{cause}\n")


def _free_gb(plan: Plan, taken: int) -> str:
    return f"{max(0, plan.free_bytes - taken) / _GB:.2f} GB"


def _load(plan: Plan, launch: Launch, engine: Engine, ending: threading.Event) -> int | None:
    """The phases of a start. An exit code when it is to end, None when it serves."""
    asked = plan.options.get("--attention-backend")
    if asked is None:
        say("Attention backend not specified. Use flashinfer backend by default.")
    if plan.size.stands_in:
        say(f"[simulated] the size of {plan.model} is not known here; the small model's stands in")
    if 0 < plan.context < plan.asked_context:
        say(f"[simulated] the real context is {plan.context} tokens")
    if not _load_weights(plan, launch, ending):
        return 0 if ending.is_set() else 1
    if "engine-ptxas" in conditions():
        return fail(f"RuntimeError: {_PTXAS}")
    if plan.kv_tokens <= 0:
        words = "Not enough memory. Please try to increase --mem-fraction-static."
        return fail(f"RuntimeError: {words} Current value: mem_fraction_static={plan.share}")
    half = plan.kv_bytes / 2 / _GB
    dtype = "torch.float8_e4m3fn" if plan.value_bytes == 1.0 else "torch.bfloat16"
    say(f"KV Cache is allocated. dtype: {dtype}, #tokens: {plan.kv_tokens}, K size: {half:.2f} GB, "
        f"V size: {half:.2f} GB")  # fmt: skip
    say(f"Memory pool end. avail mem={_free_gb(plan, plan.size.weights_bytes + plan.kv_bytes)}")
    if has_crash():
        return fail("torch.AcceleratorError: CUDA error: an illegal memory access was encountered")
    if plan.has_graphs and not plan.is_embedding:
        _capture(plan, ending)
    say(
        f"max_total_num_tokens={plan.kv_tokens}, "
        f"chunked_prefill_size={plan.options.get('--chunked-prefill-size', 8192)}, max_prefill_tokens=16384, "
        f"max_running_requests={plan.requests}, "
        f"context_len={plan.asked_context or plan.context}, available_gpu_mem={_free_gb(plan, plan.reserved_bytes)}"
    )
    if not wait_ready(engine, ending):
        return 0 if ending.is_set() else fail("RuntimeError: the simulated engine did not start")
    return 0 if ending.is_set() else None


def _load_weights(plan: Plan, launch: Launch, ending: threading.Event) -> bool:
    """The weights, shard by shard. False when it is to end."""
    start_s = time.monotonic()
    say(f"Load weight begin. avail mem={_free_gb(plan, 0)}")
    for shard in range(_SHARDS + 1):
        count = f"{round(100 * shard / _SHARDS):>3}% Completed | {shard}/{_SHARDS} [00:00<00:00,  1.48it/s]"
        print(f"Loading safetensors checkpoint shards: {count}", flush=True)
        if shard == 1 and "engine-oom" in conditions():
            die_of_memory(launch)
        while shard == 1 and "engine-hang" in conditions() and not ending.wait(0.2):
            continue
        if shard < _SHARDS and ending.wait(load_seconds(plan.size.weights_bytes) / _SHARDS):
            return False
    weights = plan.size.weights_bytes
    quant = plan.options.get("--quantization")
    say(
        f"Load weight end. elapsed={time.monotonic() - start_s:.2f} s, type={plan.size.architecture}, "
        f"{f'quant={quant}, ' if quant else ''}avail mem={_free_gb(plan, weights)}, mem usage={weights / _GB:.2f} GB."
    )
    return not ending.is_set()


def _capture(plan: Plan, ending: threading.Event) -> None:
    start_s = time.monotonic()
    taken = plan.size.weights_bytes + plan.kv_bytes
    say("Capture target decode CUDA graph begin. backend=full, num_tokens_per_req=1, bs=[1, 2, 4, 8], "
        f"avail mem={_free_gb(plan, taken)}")  # fmt: skip
    ending.wait(_GRAPH_S)
    say(
        f"Capture target decode CUDA graph end. elapsed={time.monotonic() - start_s:.2f} s, "
        f"mem usage={GRAPH_BYTES / _GB:.2f} GB, avail mem={_free_gb(plan, taken + GRAPH_BYTES)}."
    )


def _open(plan: Plan, front: SglangFront, engine: Engine) -> None:
    """Listen, let one token through as SGLang's warm-up does, then be ready."""
    front.listen()
    print(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] INFO:     Started server process [{os.getpid()}]", flush=True)
    say("INFO:     Waiting for application startup.")
    say("INFO:     Application startup complete.")
    say(f"INFO:     Uvicorn running on http://{plan.host}:{plan.port} (Press CTRL+C to quit)")
    front.start(engine)
    connection = engine.connect(60.0)
    try:
        path = "/v1/embeddings" if plan.is_embedding else "/v1/completions"
        wish = {"input": "The capital city of France is"} if plan.is_embedding else {"prompt": "The", "max_tokens": 1}
        connection.request("POST", path, json.dumps(wish), {"Content-Type": "application/json"})
        connection.getresponse().read()
    except OSError:
        say("[simulated] the warm-up was not answered")
    finally:
        connection.close()
    say("Prefill batch, #new-seq: 1, #new-token: 6, #cached-token: 0, full token usage: 0.00")
    front.is_ready = True
    say("The server is fired up and ready to roll!")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
