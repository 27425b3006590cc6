"""The inside of a simulated TensorRT-LLM container: `trtllm-serve`, its start-up lines, and a real llama.cpp.

The one rule: nothing is invented behind the door, as in the simulated vLLM. Words of the lines are those of a start of
gpt-oss-120b on one DGX Spark that was published (release 1.1.0rc3); times are this process's own.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import engine_flags
from engine import Engine
from engine_start import (
    GIB,
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
from spark_state import conditions
from trtllm_front import TrtllmFront
from trtllm_plan import FALLBACK, FALLBACK_FLAGS, OUTSIDE_BYTES, VERSION, OptionsError, Plan

_GRAPH_S = 0.4
_STEPS = 4


def say(words: str, level: str = "I") -> None:
    """One line of TensorRT-LLM's Python log."""
    print(f"[{time.strftime('%m/%d/%Y-%H:%M:%S')}] [TRT-LLM] [{level}] {words}", flush=True)


def fail(words: str) -> int:
    """The last lines of a start that failed, and the exit code."""
    say(f"Failed to initialize executor on rank 0: {words}", "E")
    print(f"Traceback (most recent call last):\nRuntimeError: {words}", file=sys.stderr, flush=True)
    return 1


def main(arguments: list[str]) -> int:
    """Check, load, serve until a signal."""
    launch = read_launch(arguments[0])
    version, table = engine_flags.load_table(engine_flags.TRTLLM)
    if not table:
        version, table = VERSION, {name: {"name": name} for name in FALLBACK}
        table |= {name: {"name": name, "takes": "none"} for name in FALLBACK_FLAGS}
    if "--help" in launch.arguments:
        print(f"Usage: {engine_flags.TRTLLM.usage}")
        return 0
    options = engine_flags.parse(engine_flags.TRTLLM, launch.arguments, table)
    if "model" not in options:
        print(f"Usage: {engine_flags.TRTLLM.usage}\n\nError: Missing argument 'MODEL'.", file=sys.stderr)
        return 2
    node = read_node()
    file = small_model(node)
    print(f"[TensorRT-LLM] TensorRT-LLM version: {version}", flush=True)
    say(f"[simulated] simulated TensorRT-LLM {version}: the answers are real ones of llama.cpp with {file or '?'}")
    problem = real_problem(node, file, "TensorRT-LLM")
    if not launch.has_gpu:
        problem = "ValueError: No GPU devices found on the node"
    if problem:
        print(problem, file=sys.stderr, flush=True)
        return 1
    try:
        plan = Plan(options, version, file, launch)
    except OptionsError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return _serve(plan, launch, node)


def _serve(plan: Plan, launch: Launch, node: dict[str, Any]) -> int:
    ending = on_signal()
    try:
        front = TrtllmFront(plan)
    except OSError as error:
        where = f"{plan.host}:{plan.port}"
        words = f"RuntimeError: Failed to bind socket to {where}: [Errno {error.errno}] Address already in use"
        print(words, file=sys.stderr, flush=True)
        return 1
    if "engine-gated" in conditions():
        url = f"https://huggingface.co/{plan.model}/resolve/main/config.json"
        words = f"401 Client Error.\nCannot access gated repo for url {url}."
        print(f"OSError: You are trying to access a gated repo.\n{words}", file=sys.stderr, flush=True)
        return 1
    engine = Engine({
        "file": plan.file,
        "context": plan.context * plan.slots,
        "slots": plan.slots,
        "alias": plan.name,
        "reserved_bytes": plan.reserved_bytes,
        "ramp_s": load_seconds(plan.size.weights_bytes) * 0.8,
        "packages": node["packages"],
        "speculates": plan.speculates,
        "name": "trtllm-serve",
    })  # fmt: skip
    try:
        code = _load(plan, launch, engine, ending)
        if code is not None:
            return code
        front.start(engine)
        for words in (f"Started server process [{os.getpid()}]", "Waiting for application startup.",
                      "Application startup complete.",
                      f"Uvicorn running on http://{plan.host}:{plan.port} (Press CTRL+C to quit)"):  # fmt: skip
            print(f"INFO:     {words}", flush=True)
        return watch(front, engine, ending, _tell_death)
    finally:
        front.close()
        engine.stop()


def _tell_death() -> None:
    say("Error in thread proxy_dispatch_result_thread: Executor worker died", "E")


def _load(plan: Plan, launch: Launch, engine: Engine, ending: threading.Event) -> int | None:
    """The phases of a start. An exit code when it is to end, None when it serves."""
    say("Using LLM with PyTorch backend")
    if "engine-unsupported" in conditions():
        words = f"Unknown architecture for AutoModelForCausalLM: {plan.size.architecture}"
        return fail(f"ValueError: {words}")
    if plan.size.stands_in:
        say(f"[simulated] the size of {plan.model} is not known here; the small model's stands in", "W")
    if not _load_weights(plan, launch, ending):
        return 0 if ending.is_set() else 1
    if not plan.asked_context:
        say(f"max_seq_len is not specified, using inferred value {plan.context}")
    elif plan.context < plan.asked_context:
        say(f"[simulated] the real context is {plan.context} tokens", "W")
    if "engine-ptxas" in conditions():
        return fail("ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'")
    _warm_up(plan, ending)
    if has_crash():
        return fail("CUDA error: an illegal memory access was encountered")
    if not _tell_cache(plan):
        return fail("Insufficient GPU memory for the KV cache: no block fits")
    if not wait_ready(engine, ending):
        return 0 if ending.is_set() else fail("the simulated engine did not start")
    return 0 if ending.is_set() else None


def _load_weights(plan: Plan, launch: Launch, ending: threading.Event) -> bool:
    """The weights, by tensor. False when it is to end."""
    start_s = time.monotonic()
    say(f"Use {plan.size.weights_bytes / GIB:.2f} GB for model weights.")
    for step in range(_STEPS + 1):
        bar = "█" * (10 * step // _STEPS)
        count = f"{100 * step // _STEPS:>3}%|{bar:<10}| {200 * step}/{200 * _STEPS} [00:00<00:00, 17.29it/s]"
        print(f"Loading weights: {count}", flush=True)
        if step == 1 and "engine-oom" in conditions():
            die_of_memory(launch)
        while step == 1 and "engine-hang" in conditions() and not ending.wait(0.2):
            continue
        if step < _STEPS and ending.wait(load_seconds(plan.size.weights_bytes) / _STEPS):
            return False
    print(f"Model init total -- {time.monotonic() - start_s:.2f}s", flush=True)
    return not ending.is_set()


def _warm_up(plan: Plan, ending: threading.Event) -> None:
    say("[Autotuner] Autotuning process starts ...")
    ending.wait(_GRAPH_S / 3)
    say("[Autotuner] Autotuning process ends")
    if not plan.has_graphs:
        return
    sizes = [size for size in (8, 4, 2, 1) if size <= plan.batch] or [1]
    say(f"Creating CUDA graph instances for {len(sizes)} batch sizes.")
    for size in sizes:
        say(f"Run generation only CUDA graph warmup for batch size={size}, draft_len=0")
        ending.wait(_GRAPH_S / 6)


def _tell_cache(plan: Plan) -> bool:
    """The memory's lines; False where no block fits."""
    weights, total = plan.size.weights_bytes / GIB, plan.total_bytes / GIB
    taken = (plan.total_bytes - plan.free_bytes + plan.size.weights_bytes + OUTSIDE_BYTES) / GIB
    each = int(plan.size.kv_bytes(1.0, plan.value_bytes) - plan.size.kv_bytes(0.0, plan.value_bytes))
    say(f"Memory used after loading model weights (inside torch) in memory usage profiling: {weights:.2f} GiB")
    say(
        f"Peak memory during memory usage profiling (torch + non-torch): {taken:.2f} GiB, available KV cache memory "
        f"when calculating max tokens: {plan.room_bytes / GIB:.2f} GiB, fraction is set {plan.share}, "
        f"kv size is {each}. "
        f"device total memory {total:.2f} GiB, , tmp kv_mem 0.00 GiB"
    )
    say(f"Estimated max memory in KV cache : {plan.kv_bytes / GIB:.2f} GiB")
    if plan.kv_tokens <= 0:
        return False
    words = f"[MemUsageChange] Allocated {plan.kv_bytes / GIB:.2f} GiB for max tokens in paged KV cache"
    print(f"[TensorRT-LLM][INFO] {words} ({plan.kv_tokens}).", flush=True)
    say(f"max_seq_len={plan.context}, max_num_requests={plan.batch}, max_num_tokens=8192, max_batch_size={plan.batch}")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
