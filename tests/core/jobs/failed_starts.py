"""Logs of starts, good and bad, and of each bad one the words that say why it failed.

Of llama.cpp and of vLLM's healthy start the logs were captured (tests/data/captures); the others are in the words and
the order of the strict simulated engines, which are those of the engines' own source.
"""

from __future__ import annotations

from pathlib import Path

CAPTURES = Path(__file__).parents[2] / "data/captures"
VLLM = "(EngineCore pid=873) ERROR 11-22 03:01:02 [core.py:1480] "
VLLM_END = (
    "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}"
)
PTXAS = "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'"
GATED = (
    "OSError: You are trying to access a gated repo.\n401 Client Error.\n"
    "Cannot access gated repo for url https://huggingface.co/owner/model/resolve/main/config.json."
)
TAKEN = "[Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use"


def of_vllm(*lines: str) -> str:
    """A start that its engine process ended, which writes each line of its traceback as an error of its own."""
    return "\n".join([f"{VLLM}{line}" for line in ("EngineCore failed to start.", *lines)] + [VLLM_END])


def of_sglang(words: str) -> str:
    """A scheduler that could not start."""
    return (
        "[2026-11-22 03:01:01] Load weight begin. avail mem=110.20 GB\n"
        f"[2026-11-22 03:01:02] Scheduler hit an exception: Traceback (most recent call last):\n{words}\n\n"
        "[2026-11-22 03:01:02] Received sigquit from a child process. It usually means the child failed."
    )


def of_trtllm(words: str) -> str:
    """An executor that could not start."""
    return (
        f"[11/22/2026-03:01:02] [TRT-LLM] [E] Failed to initialize executor on rank 0: {words}\n"
        f"Traceback (most recent call last):\nRuntimeError: {words}"
    )


def of_llamacpp(name: str) -> str:
    """A captured one."""
    return (CAPTURES / "llamacpp_starts" / f"{name}.log").read_text()


def _healthy_vllm() -> str:
    """Up to where it listens: what came later are requests that are faulty on purpose."""
    log = (CAPTURES / "vllm_cpu/startup_and_requests.log").read_text()
    return log[: log.index("Application startup complete.") + len("Application startup complete.")]


HEALTHY = {
    "llamacpp": (CAPTURES / "llamacpp_server_stderr.log").read_text(),
    "llamacpp_verbose": of_llamacpp("verbose"),
    "vllm_cpu": _healthy_vllm(),
}
FAILED: dict[str, tuple[str, str]] = {
    "llamacpp_no_file": (of_llamacpp("no_file"), "failed to open GGUF file"),
    "llamacpp_not_a_gguf": (of_llamacpp("not_a_gguf"), "expected 'GGUF'"),
    "llamacpp_port_taken": (of_llamacpp("port_taken"), "couldn't bind HTTP server socket"),
    "llamacpp_truncated_file": (of_llamacpp("truncated_file"), "model is corrupted or incomplete"),
    "llamacpp_unknown_architecture": (of_llamacpp("unknown_architecture"), "unknown model architecture: 'xlama'"),
    "llamacpp_unknown_flag": ("error: invalid argument: --foo", "--foo"),
    "llamacpp_wrong_value": ('error while handling argument "--ctx-size": stoi', "--ctx-size"),
    "vllm_no_cache": (
        of_vllm(
            "Traceback (most recent call last):",
            '  File "/usr/local/lib/python3.12/dist-packages/vllm/v1/engine/core.py", line 1480, in run_engine_core',
            "    raise ValueError(",
            "ValueError: No available memory for the cache blocks.",
        ),
        "ValueError: No available memory",
    ),
    "vllm_ptxas": (of_vllm("RuntimeError: Internal Triton PTX codegen error", "`ptxas` stderr:", PTXAS), "sm_121a"),
    "vllm_gated": (GATED, "gated repo"),
    "vllm_architecture": (
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig\n  Value error, Model "
        "architectures ['X'] are not supported for now.",
        "Model architectures ['X']",
    ),
    "vllm_memory": ("ValueError: Free memory on device cuda:0 is less than desired GPU memory utilization", "Free mem"),
    "vllm_port": ("OSError: [Errno 98] Address already in use", "in use"),
    "vllm_flag": ("usage: vllm serve [model_tag] [options]\nvllm serve: error: unrecognized arguments: -x", "-x"),
    "sglang_ptxas": (of_sglang(f"RuntimeError: {PTXAS}"), "sm_121a"),
    "sglang_memory": (of_sglang("RuntimeError: Not enough memory. Please try to increase it."), "Not enough memory"),
    "sglang_assertion": (of_sglang("AssertionError"), "AssertionError"),
    "sglang_port": (TAKEN, "address already in use"),
    "trtllm_ptxas": (of_trtllm(PTXAS), "sm_121a"),
    "trtllm_memory": (of_trtllm("Insufficient GPU memory for the KV cache: no block fits"), "Insufficient GPU memory"),
    "trtllm_options": ("Usage: trtllm-serve\nTry it.\n\nError: No such option '--x'.", "--x"),
    "ollama_port": ("Error: listen tcp 127.0.0.1:11434: bind: address already in use", "11434"),
    "ollama_pull": ("[ollama] error: pull failed: pull model manifest: file does not exist", "manifest"),
    "docker_flag": ("unknown flag: --gpuz\n\nRun 'docker run --help' for more information", "--gpuz"),
    "docker_driver": (
        'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]]',
        "device driver",
    ),
    "docker_image": (
        "Unable to find image 'x:1' locally\ndocker: Error response from daemon: No such image: x:1", "No such image"
    ),
}  # fmt: skip
"""By name: the log, and words of the line that a person wants to see first."""
