"""The inside of a simulated vLLM container: vLLM's command line, phases and memory check, and a real llama.cpp.

The one rule: nothing is invented behind the door. Answers and token counts are llama.cpp's, on a small model of this
computer whatever model was asked for, and the log says so in its first line. Words of the lines are those of vLLM
0.33's own source, times are this process's own; on a GB10 they were never seen [vllm-on-gb10].
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
from model_size import snapshot_of
from spark_state import conditions
from vllm_front import VllmFront
from vllm_plan import Plan

_COMPILE_S = 0.3
_GRAPH_S = 0.4
_SHARDS = 3
_GRAPHS = 4
_RUNNER = "gpu_model_runner.py"
_DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
_GATED = (
    "401 Client Error. (Request ID: Root=1-simulated)\n\nCannot access gated repo for url "
    "https://huggingface.co/{model}/resolve/main/config.json.\nAccess to model {model} is restricted. You must have "
    "access to it and be authenticated to access it. Please log in."
)
_PTXAS = (
    "RuntimeError: Internal Triton PTX codegen error\n`ptxas` stderr:\n"
    "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'"
)
_ATTENTION = ("FLASH_ATTN", "FLASHINFER", "TRITON_ATTN", "FLEX_ATTENTION")
_MOE = {
    "NVFP4": ("FLASHINFER_TRTLLM", "FLASHINFER_CUTEDSL", "FLASHINFER_CUTEDSL_BATCHED", "FLASHINFER_CUTLASS",
              "VLLM_CUTLASS", "MARLIN", "HUMMING", "EMULATION"),
    "FP8": ("FLASHINFER_TRTLLM", "FLASHINFER_CUTLASS", "DEEPGEMM", "VLLM_CUTLASS", "TRITON", "MARLIN"),
    "": ("TRITON",),
}  # fmt: skip


def say(who: str, words: str, level: str = "INFO", where: str = "api_utils.py:286") -> None:
    """One line of vLLM's log."""
    stamp = time.strftime("%m-%d %H:%M:%S")
    print(f"({who} pid={os.getpid()}) {level} {stamp} [{where}] {words}", flush=True)


def fail(words: str, where: str = "core.py:1480") -> int:
    """The engine's last lines and the exit code of a start that failed."""
    say("EngineCore", "EngineCore failed to start.", "ERROR", where)
    for line in words.splitlines():
        say("EngineCore", line, "ERROR", where)
    print(
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}",
        file=sys.stderr,
        flush=True,
    )
    return 1


def main(arguments: list[str]) -> int:
    """Check, load, serve until a signal."""
    launch = read_launch(arguments[0])
    version, table = engine_flags.load_table(engine_flags.VLLM, launch.image)
    if {"-h", "--help"} & set(launch.arguments):
        print("usage: vllm serve [model_tag] [options]")
        return 0
    options = engine_flags.parse(engine_flags.VLLM, launch.arguments, table)
    options.setdefault("model", options.get("--model", "Qwen/Qwen3-0.6B"))
    node = read_node()
    file = small_model(node)
    say("APIServer", f"[simulated] simulated vLLM {version}: the answers are real ones of llama.cpp with {file or '?'}")
    say("APIServer", f"version {version}, model {options['model']}", where="api_utils.py:347")
    say("APIServer", f"non-default args: {_shown(options)}")
    problem = real_problem(node, file, "vLLM")
    if not launch.has_gpu:
        problem = (
            "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`"
        )
    if problem:
        print(problem, file=sys.stderr, flush=True)
        return 1
    return _serve(Plan(options, version, file, launch), launch, node)


def _shown(options: dict[str, Any]) -> str:
    """The options, with keys as vLLM hides them."""
    shown = {name.lstrip("-").replace("-", "_"): value for name, value in options.items()}
    return str(shown | ({"api_key": ["***"]} if "api_key" in shown else {}))


def _config_problem(plan: Plan, launch: Launch) -> str:
    """What ends vLLM before it starts an engine, or ""."""
    on = conditions()
    is_offline = launch.environment.get("HF_HUB_OFFLINE") == "1"
    if is_offline and "/" in plan.model and not snapshot_of(plan.model, launch.hub_cache):
        # Source: transformers' cached_file, recalled.
        return (
            "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them in the "
            f"cached files. Check your internet connection or see how to run the library in offline mode ({plan.model})"
        )
    if "engine-gated" in on:
        return f"OSError: You are trying to access a gated repo.\n{_GATED.format(model=plan.model)}"
    if "engine-unsupported" in on:
        return (
            "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n  Value error, Model "
            f"architectures ['{plan.size.architecture}'] are not supported for now. Supported architectures: "
            "dict_keys(['LlamaForCausalLM', 'Qwen3ForCausalLM', 'GptOssForCausalLM'])"
        )
    return ""


def _serve(plan: Plan, launch: Launch, node: dict[str, Any]) -> int:
    ending = on_signal()
    if problem := _config_problem(plan, launch):
        print(problem, file=sys.stderr, flush=True)
        return 1
    if problem := plan.free_problem():
        print(f"ValueError: {problem}", file=sys.stderr, flush=True)
        return 1
    try:
        front = VllmFront(plan)
    except OSError as error:
        print(f"OSError: [Errno {error.errno}] Address already in use", file=sys.stderr, flush=True)
        return 1
    engine = _start_engine(plan, node)
    try:
        code = _load(plan, launch, engine, ending)
        if code is not None:
            return code
        front.start(engine)
        _announce(plan)
        return _watch(front, engine, ending)
    finally:
        front.close()
        engine.stop()


def _watch(front: VllmFront, engine: Engine, ending: threading.Event) -> int:
    def tell_death() -> None:
        say("APIServer", "AsyncLLM output_handler failed.", "ERROR", "async_llm.py:906")
        say("APIServer", f"vllm.v1.engine.exceptions.EngineDeadError: {_DEAD}", "ERROR", "async_llm.py:906")

    code = watch(front, engine, ending, tell_death)
    if code == 0:
        say("APIServer", "Shutting down", where="launcher.py:210")
    return code


def _start_engine(plan: Plan, node: dict[str, Any]) -> Engine:
    """llama.cpp as a child in the container's own group."""
    return Engine({
        "file": plan.file,
        "context": plan.context * plan.slots,
        "slots": plan.slots,
        "alias": plan.names[0],
        "reserved_bytes": plan.reserved_bytes,
        "ramp_s": load_seconds(plan.size.weights_bytes) * 0.8,
        "packages": node["packages"],
        "is_embedding": plan.is_pooling,
        "speculates": "--speculative-config" in plan.options,
    })  # fmt: skip


def _load(plan: Plan, launch: Launch, engine: Engine, ending: threading.Event) -> int | None:
    """The phases of a start. An exit code when it is to end, None when it serves."""
    start_s = time.monotonic()
    _introduce(plan)
    if not _load_weights(plan, launch, ending):
        return 0 if ending.is_set() else 1
    if "engine-ptxas" in conditions():
        return fail(_PTXAS)
    compiled_s = 0.0
    if not plan.is_eager and not plan.is_pooling:
        compiled_s = _compile(ending)
    if has_crash():
        return fail("torch.AcceleratorError: CUDA error: an illegal memory access was encountered")
    if problem := plan.kv_problem():
        say("EngineCore", f"Available KV cache memory: {plan.kv_bytes / GIB:.2f} GiB", where="gpu_worker.py:773")
        return fail(f"ValueError: {problem}")
    _tell_cache(plan)
    if not plan.is_eager and not plan.is_pooling:
        _capture(plan, ending)
    if not wait_ready(engine, ending):
        return 0 if ending.is_set() else fail("RuntimeError: the simulated engine did not start")
    took = f"init engine (profile, create kv cache, warmup model) took {time.monotonic() - start_s:.2f} s"
    say("EngineCore", f"{took} (compilation: {compiled_s:.2f} s)" if compiled_s else took, where="core.py:406")
    return 0 if ending.is_set() else None


def _introduce(plan: Plan) -> None:
    """What vLLM says before it loads."""
    say("APIServer", f"Resolved architecture: {plan.size.architecture}", where="model.py:733")
    say("APIServer", f"Using max model len {plan.asked_context}", where="model.py:2152")
    if plan.context < plan.asked_context:
        say("APIServer", f"[simulated] the real context is {plan.context} tokens", "WARNING", "model.py:2152")
    if plan.is_eager:
        words = (
            "Enforce eager set, disabling torch.compile, CUDAGraphs, and JIT kernel warmup. This is equivalent to "
            "setting -cc.mode=none -cc.cudagraph_mode=none and --kernel_config.enable_jit_warmup=False"
        )
        say("APIServer", words, "WARNING", "vllm.py:1779")
    engine = f"Initializing a V1 LLM engine (v{plan.version}) with config: model='{plan.model}'"
    say("EngineCore", f"{engine}, enforce_eager={plan.is_eager}", where="core.py:133")
    if plan.size.stands_in:
        words = f"[simulated] the size of {plan.model} is not known here; the small model's stands in"
        say("EngineCore", words, "WARNING", "core.py:133")
    asked = str(plan.options.get("--attention-backend", "")).upper()
    if asked and asked != "AUTO":
        say("EngineCore", f"Using AttentionBackendEnum.{asked} backend.", where="cuda.py:448")
    else:
        found = f"Using {_ATTENTION[0]} attention backend out of potential backends: {list(_ATTENTION)}."
        say("EngineCore", found, where="cuda.py:508")
    if plan.size.is_mixture:
        say("EngineCore", _moe_words(plan), where="fused_moe.py:1")


def _moe_words(plan: Plan) -> str:
    """Which kernels the experts use, in the words of the format's own oracle."""
    asked = str(plan.options.get("--moe-backend", "auto")).upper()
    if plan.size.format == "MXFP4":
        return f"Using '{asked if asked != 'AUTO' else 'MARLIN'}' Mxfp4 MoE backend."
    known = _MOE.get(plan.size.format, _MOE[""])
    found = known[0] if asked == "AUTO" else asked
    if plan.size.format == "NVFP4":
        return f"Using '{found}' NvFp4 MoE backend out of potential backends: {list(known)}."
    kind = "Fp8" if plan.size.format == "FP8" else "Unquantized"
    return f"Using {found} {kind} MoE backend out of potential backends: {list(known)}."


def _load_weights(plan: Plan, launch: Launch, ending: threading.Event) -> bool:
    """The weights, shard by shard. False when it is to end or died."""
    start_s = time.monotonic()
    say("EngineCore", f"Starting to load model {plan.model}...", where=f"{_RUNNER}:4979")
    for shard in range(_SHARDS + 1):
        done = round(100 * shard / _SHARDS)
        count = f"{done:>3}% Completed | {shard}/{_SHARDS} [00:00<00:00,  1.48it/s]"
        print(f"Loading safetensors checkpoint shards: {count}", flush=True)
        if shard == 1 and "engine-oom" in conditions():
            die_of_memory(launch)
        if shard == 1 and "engine-hang" in conditions():
            while "engine-hang" in conditions() and not ending.wait(0.2):
                continue
        if shard < _SHARDS and ending.wait(load_seconds(plan.size.weights_bytes) / _SHARDS):
            return False
    took_s = time.monotonic() - start_s
    say("EngineCore", f"Loading weights took {took_s:.2f} seconds", where="default_loader.py:507")
    words = f"Model loading took {plan.size.weights_bytes / GIB:.2f} GiB memory and {took_s:.6f} seconds"
    say("EngineCore", words, where=f"{_RUNNER}:5089")
    return not ending.is_set()


def _compile(ending: threading.Event) -> float:
    """torch.compile's lines; the seconds that it took."""
    start_s = time.monotonic()
    ending.wait(_COMPILE_S / 3)
    first_s = time.monotonic() - start_s
    say("EngineCore", f"Dynamo bytecode transform time: {first_s:.2f} s", where="backends.py:1188")
    ending.wait(_COMPILE_S * 2 / 3)
    took_s = time.monotonic() - start_s
    words = f"Compiling a graph for compile range (1, 2048) takes {took_s - first_s:.2f} s"
    say("EngineCore", words, where="backends.py:418")
    say("EngineCore", f"torch.compile took {took_s:.2f} s in total", where="monitor.py:48")
    return took_s


def _tell_cache(plan: Plan) -> None:
    if plan.is_pooling:
        return
    if plan.graph_bytes:
        words = f"Estimated CUDA graph memory: {plan.graph_bytes / GIB:.2f} GiB total"
        say("EngineCore", words, where=f"{_RUNNER}:6410")
    say("EngineCore", f"Available KV cache memory: {plan.kv_bytes / GIB:.2f} GiB", where="gpu_worker.py:773")
    words = (
        f"GPU KV cache size: {plan.kv_tokens:,} tokens, Maximum concurrency for {plan.asked_context:,} tokens per "
        f"request: {plan.concurrency:.2f}x"
    )
    say("EngineCore", words, where="kv_cache_utils.py:1148")


def _capture(plan: Plan, ending: threading.Event) -> None:
    start_s = time.monotonic()
    for graph in range(_GRAPHS + 1):
        bar = "█" * (10 * graph // _GRAPHS)
        count = f"{100 * graph // _GRAPHS:>3}%|{bar:<10}| {graph}/{_GRAPHS} [00:00<00:00, 11.20it/s]"
        print(f"Capturing CUDA graphs (decode, FULL): {count}", flush=True)
        if graph < _GRAPHS and ending.wait(_GRAPH_S / _GRAPHS):
            return
    took_s = time.monotonic() - start_s
    words = f"Graph capturing finished in {took_s:.0f} secs, took {plan.graph_bytes / GIB:.2f} GiB"
    say("EngineCore", words, where=f"{_RUNNER}:6517")


def _announce(plan: Plan) -> None:
    say("APIServer", f"Supported tasks: {['embed'] if plan.is_pooling else ['generate']}", where="entry.py:136")
    for host, port in plan.listeners:
        say("APIServer", f"Starting vLLM server on http://{host}:{port}", where="entry.py:140")
    print(f"INFO:     Started server process [{os.getpid()}]", flush=True)
    print("INFO:     Waiting for application startup.", flush=True)
    print("INFO:     Application startup complete.", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
