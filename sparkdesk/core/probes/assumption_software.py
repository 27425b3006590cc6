"""What the code takes for true of the programs on a Spark: docker, Python, CUDA, the dashboard, engines."""

from __future__ import annotations

import re

from sparkdesk.core.probes.assumption import Assumption, Hold
from sparkdesk.core.probes.assumption_rule import (
    Rule,
    Ruling,
    assume,
    matches,
    number_within,
    read_number,
    shown,
    text_of,
)
from sparkdesk.core.probes.read import Answer, ReadCommand, ReadFile

_PLAYBOOKS = "NVIDIA/dgx-spark-playbooks 0db7c141"
_JOB_LOGS = ReadFile("~/.local/state/sparkdesk/jobs/*/log", max_bytes=65536, max_files=8)
"""The first 64 KiB of the logs of jobs that ran here: engines tell their buffers when they start."""
MIB = 1024**2
LLAMACPP_ALLOWED_BYTES = 512 * MIB
VLLM_ALLOWED_BYTES = 4096 * MIB
NCCL_ALLOWED_BYTES = 512 * MIB
"""What the plans allow beside weights and KV cache; a test holds both against the backends."""


def _sum_below(pattern: str, unit_bytes: float, highest_bytes: float, marker: str = "") -> Rule:
    """Held when, in each log that has the marker, the sizes that the pattern finds add up to no more than the plan
    allows."""
    compiled = re.compile(pattern)

    def rule(answer: Answer) -> Ruling:
        sums = [
            sum(read_number(size) for size in found) * unit_bytes
            for _, text in answer.texts
            if marker in text and (found := compiled.findall(text))
        ]
        if not sums:
            return Hold.NOT_SEEN, "no job of this engine has run here yet"
        seen = f"{max(sums) / MIB:.0f} MiB, allowed {highest_bytes / MIB:.0f} MiB"
        return (Hold.HELD if max(sums) <= highest_bytes else Hold.DIFFERS), seen

    return rule


def _in_log(marker: str, pattern: str) -> Rule:
    """Held when every log that has the marker has the pattern too."""

    def rule(answer: Answer) -> Ruling:
        texts = [text for _, text in answer.texts if marker in text]
        if not texts:
            return Hold.NOT_SEEN, "no job of this engine has run here yet"
        missing = [text for text in texts if not re.search(pattern, text)]
        return (Hold.DIFFERS, shown(missing[0])) if missing else (Hold.HELD, f"in {len(texts)} logs")

    return rule


def _among(pattern: str, wanted: str) -> Rule:
    """Held when what the pattern's first group finds in the logs has the wanted words in it, each time, in any case."""
    compiled, known = re.compile(pattern), re.compile(wanted, re.IGNORECASE)

    def rule(answer: Answer) -> Ruling:
        found = sorted(set(compiled.findall(text_of(answer))))
        if not found:
            return Hold.NOT_SEEN, "no job with such experts has run here yet"
        return (Hold.HELD if all(map(known.search, found)) else Hold.DIFFERS), shown(", ".join(found))

    return rule


def _judge_sockets(answer: Answer) -> Ruling:
    found = re.findall(r"^LISTEN\s+\d+\s+\d+\s+(\S+):11000\s", text_of(answer), re.MULTILINE)
    if not found:
        return Hold.NOT_SEEN, "nothing listens on port 11000"
    return (Hold.HELD if set(found) <= {"127.0.0.1", "[::1]"} else Hold.DIFFERS), shown(", ".join(found))


ASSUMPTIONS: tuple[Assumption, ...] = (
    assume(
        "python-version", "The system's python3 is 3.12; our programs need 3.8", ReadCommand(("python3", "--version")),
        matches(r"^Python 3\.12\."), source="captures of two units", where="sparkdesk/remote",
    ),
    assume(
        "docker-version", "Docker is version 28 or 29", ReadCommand(("docker", "--version")),
        number_within(r"^Docker version (\d+)\.", 28, 29), source=_PLAYBOOKS, where="backends/vllm.py",
    ),
    assume(
        "container-toolkit", "NVIDIA's container toolkit is there, version 1.17 or newer",
        ReadCommand(("nvidia-ctk", "--version")), matches(r"version 1\.(1[7-9]|[2-9]\d)\."),
        source="captures of two units (1.20)", where="core/probes/doctor.py",
    ),
    assume(
        "cuda-folder", "CUDA 13 lies at /usr/local/cuda and is not on the PATH",
        ReadCommand(("/usr/local/cuda/bin/nvcc", "--version")), matches(r"release 13\.\d+"),
        source="captures of several units", where="core/probes/details.py",
    ),
    assume(
        "dashboard-port", "DGX Dashboard listens on the loopback's port 11000", ReadCommand(("ss", "-H", "-ltn")),
        _judge_sockets, source=f"{_PLAYBOOKS}, dgx-dashboard", where="services/fleet/forwards.py",
    ),
    assume(
        "jupyter-ports", "Each user's JupyterLab port stands in the dashboard's port file, as user: port",
        ReadFile("/opt/nvidia/dgx-dashboard-service/jupyterlab_ports.yaml"), matches(r"^\s*\S+\s*:\s*\d{2,5}\s*$"),
        source=f"{_PLAYBOOKS}, dgx-dashboard names the file; its form is ours", where="services/fleet/forwards.py",
    ),
    assume(
        "update-lists", "The system keeps a count of pending updates for its greeting",
        ReadFile("/var/lib/update-notifier/updates-available"), matches(r"\d+ updates? can be applied|0 updates"),
        source="Ubuntu's update-notifier", where="core/probes/details.py",
    ),
    assume(
        "llamacpp-buffers", "llama.cpp's own buffers stay below the plan's allowance of 512 MiB", _JOB_LOGS,
        _sum_below(r"compute buffer size =\s*(\d+(?:\.\d+)?) MiB", MIB, LLAMACPP_ALLOWED_BYTES),
        source="ours, an allowance", where="backends/llamacpp.py",
    ),
    assume(
        "llamacpp-on-gb10", "llama.cpp finds the GPU as NVIDIA GB10", _JOB_LOGS,
        _in_log("ggml_cuda_init", r"Device 0: NVIDIA GB10"), source="llama.cpp's source", where="backends/llamacpp.py",
    ),
    assume(
        "vllm-outside-memory", "vLLM's graphs stay below the plan's allowance of 4 GiB beside weights and cache",
        _JOB_LOGS,
        _sum_below(r"Graph capturing finished in .*? took (\d+(?:\.\d+)?) GiB", 1024 * MIB, VLLM_ALLOWED_BYTES),
        source="ours, an allowance", where="backends/vllm.py",
    ),
    assume(
        "nccl-buffers", "Over several nodes vLLM holds no more outside PyTorch than the plan's allowance of 512 MiB",
        _JOB_LOGS,
        _sum_below(r"non_torch_memory takes (\d+(?:\.\d+)?) ?GiB", 1024 * MIB, NCCL_ALLOWED_BYTES, "using nccl=="),
        source="ours, an allowance; vLLM tells it in some versions only", where="core/planning/memory/need.py",
    ),
    assume(
        "sglang-on-gb10", "SGLang starts on a GB10 and says so in the words that its reader knows", _JOB_LOGS,
        _in_log("server_args=", r"The server is fired up and ready to roll"), source="SGLang 0.5.23's source",
        where="backends/sglang.py",
    ),
    assume(
        "sglang-outside-memory", "SGLang's graphs stay below the plan's allowance of 4 GiB beside weights and cache",
        _JOB_LOGS,
        _sum_below(r"graphs? end\..{0,400}?mem usage=(\d+(?:\.\d+)?) ?GB", 1024 * MIB, VLLM_ALLOWED_BYTES),
        source="ours, an allowance", where="backends/sglang.py",
    ),
    assume(
        "container-headroom", "An engine in a container stays below its plan and 8 GiB more: its limit never ends it",
        ReadFile("/sys/fs/cgroup/system.slice/docker-*.scope/memory.events", max_files=8), matches(r"oom_kill 0\b"),
        source="ours, an allowance; the file: the kernel's cgroup v2", where="core/playbooks/container.py",
    ),
    assume(
        "trtllm-on-gb10", "TensorRT-LLM starts on a GB10 and tells its KV cache in the words that its reader knows",
        _JOB_LOGS, _in_log("[TRT-LLM]", r"Allocated [\d.]+ GiB for max tokens in paged KV cache \(\d+\)"),
        source="TensorRT-LLM's source and logs of its users", where="backends/trtllm.py",
    ),
    assume(
        "ollama-on-gb10", "A model that Ollama loads for a launch lies in the GPU's memory", _JOB_LOGS,
        _in_log("[ollama] loading", r"\[ollama\] loaded \d+ bytes, [1-9]\d* of them for the GPU"),
        source="Ollama's docs/api.md", where="remote/ollama.py",
    ),
    assume(
        "moe-backend", "What vLLM picks by itself for experts of 4 bit is Marlin or CUTLASS", _JOB_LOGS,
        _among(r"Using '?([A-Za-z][\w .+-]{1,60}?)'? (?:Mxfp4|NvFp4) MoE backend", r"marlin|cutlass"),
        source="vLLM 0.33's source for the line; the recipes for DGX Spark name one of both",
        where="core/jobs/appraisal/cause.py",
    ),
    assume(
        "trial-scope", "Systemd is process 1: a network's timer moves out of its sign-in by `busctl`, into a scope",
        ReadFile("/proc/1/comm"), matches(r"^systemd$"), source="ours; systemd's org.freedesktop.systemd1(5)",
        where="remote/link_trial.py",
    ),
    assume(
        "vllm-on-gb10", "vLLM starts on a GB10 and says so in the words that its reader knows", _JOB_LOGS,
        _in_log("vLLM API server version", r"Application startup complete"), source="vLLM 0.33's source",
        where="backends/vllm.py",
    ),
)  # fmt: skip
