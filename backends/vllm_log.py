"""Reads vLLM's log: configuration, weights, KV cache, graphs, and what ended the start.

The one rule: total. Source of the lines: vLLM 0.33.0's own source, and vLLM 0.32.0 on CPU, run and captured.
"""

from __future__ import annotations

import re

from sparkdesk.core.jobs.backend import Finding, Reading, Told
from sparkdesk.core.jobs.log_rule import (
    DOCKER_FAILURES,
    GPU_FAILURES,
    FailureRule,
    LogRule,
    gib,
    number,
    say,
    say_share,
    tell,
)
from sparkdesk.core.jobs.reading import (
    GRAPH_BYTES,
    KV_CAPACITY_BYTES,
    KV_CAPACITY_TOKENS,
    START_S,
    WEIGHTS_BYTES,
    WEIGHTS_LOAD_S,
)


def _read_config(match: re.Match[str]) -> tuple[Finding, ...]:
    """The engine's own line of its configuration, which names its release."""
    words = [("version", match[1])]
    for key, name in (("kv_dtype", "kv_cache_dtype"), ("quantization", "quantization")):
        found = re.search(rf"\b{name}=([A-Za-z0-9_-]{{1,40}})", match[2])
        if found and found[1] != "None":
            words.append((key, found[1]))
    if "enforce_eager=True" in match[2]:
        words.append(("eager", "yes"))
    return tuple(Told(key, text) for key, text in words)


def _read_kv_tokens(match: re.Match[str]) -> tuple[Finding, ...]:
    return (
        *say("load", "KV cache of {1} tokens", is_result=True)(match),
        Reading(KV_CAPACITY_TOKENS, number(match[1])),
    )


def _read_weights(match: re.Match[str]) -> tuple[Finding, ...]:
    return (gib(WEIGHTS_BYTES, match[1]), Reading(WEIGHTS_LOAD_S, number(match[2])))


def _read_graphs(match: re.Match[str]) -> tuple[Finding, ...]:
    return (*say("warmup", "CUDA graphs captured", 1.0)(match), gib(GRAPH_BYTES, match[2]))


_NUMBER = r"(-?[\d.,]{1,15})"
LOG_RULES = tuple(
    LogRule(re.compile(pattern), read)
    for pattern, read in (
        (r"checkpoint shards:\s{0,9}(\d{1,3})% Completed \| (\d{1,5})/(\d{1,5})",
         say_share("load", "Weights {2} of {3} files")),
        (r"Capturing CUDA graphs?[^:]{0,80}:\s{0,9}(\d{1,3})%", say_share("warmup", "Capturing CUDA graphs")),
        (rf"KV cache size: {_NUMBER} tokens", _read_kv_tokens),
        (rf"Available KV cache memory: {_NUMBER} GiB", lambda match: (gib(KV_CAPACITY_BYTES, match[1]),)),
        (rf"Model loading took {_NUMBER} GiB (?:memory )?and {_NUMBER} seconds", _read_weights),
        (rf"Loading weights took {_NUMBER} seconds", lambda match: (Reading(WEIGHTS_LOAD_S, number(match[1])),)),
        (rf"Graph capturing finished in {_NUMBER} secs?, took {_NUMBER} GiB", _read_graphs),
        (rf"init engine \(.{{0,80}}\) took {_NUMBER} s", lambda match: (Reading(START_S, number(match[1])),)),
        (r"Initializing a V1 LLM engine \(v([\w.+-]{1,40})\) with config: (.*)", _read_config),
        (r"(?:vLLM (?:API )?server version|█  version) ([\w.+-]{1,40})", tell("version")),
        (r"Enforce eager set|Cudagraph is disabled under eager mode", tell("eager", "yes")),
        (r"Using (?:AttentionBackendEnum\.)?([A-Z][A-Z0-9_]{2,40}) (?:attention )?backend(?: out of|\.)",
         tell("attention_backend")),
        (r"Using '?([A-Za-z][\w .+-]{1,60}?)'? (?:\w{1,20} )?MoE backend", tell("moe_backend")),
        (r"\[simulated\] (simulated vLLM[^:]{0,60})", tell("simulated")),
        (r"Starting torch\.compile|Dynamo bytecode transform|Compiling a graph", say("warmup", "Compiling the model")),
        (r"torch\.compile (?:took|takes) [\d.]{1,10} s", say("warmup", "Model compiled")),
        (r"Starting to load model", say("load", "Loading weights", 0.0)),
        (r"Application startup complete", say("token", "Server listens")),
    )
)  # fmt: skip
"""Source: vLLM 0.33.0's own source; in older wording vLLM 0.20's. Run on CPU: all but graphs, memory and backends."""
FAILURE_RULES = (
    *(
        FailureRule(re.compile(pattern), remedy)
        for pattern, remedy in (
            (r"unrecognized arguments", "Remove the flag that this release of vLLM does not know."),
            (r"invalid choice", "Choose one of the values that vLLM names."),
            (r"less than desired GPU memory utilization",
             "Stop what runs there, drop the page cache, or lower the share."),
            (r"To serve at least one request.{1,400}estimated maximum model length is ([\d,]{1,12})",
             "Lower the context to {1} tokens, or raise the memory share."),
            (r"To serve at least one request", "Lower the context, or raise the memory share."),
            (r"on kv cache allocation is less than requested memory for kv",
             "Ask for a smaller KV cache (--kv-cache-memory-bytes, VLLM_CPU_KVCACHE_SPACE), or stop what runs there."),
            (r"max_model_len \(\d{1,9}\) is greater than the derived max_model_len \(\w{1,40}=(\d{1,9})",
             "Lower the context to {1} tokens, for which the model was trained."),
            (r"No available memory for the cache blocks", "Raise the memory share or lower the context."),
            (r"Failed to load model - not enough GPU memory", "Lower the memory share or choose smaller weights."),
            (r"No (?:valid attention backend found|\w{2,12} MoE backend supports)",
             "Choose another backend, or leave the choice to vLLM."),
            (r"MoE backend '?\w{2,40}'? does not support|backend \S{2,60} is not valid for this configuration",
             "Choose another backend, or leave the choice to vLLM."),
            (r"invalid tool call parser|KeyError: 'Tool parser|KeyError: \"Reasoning parser|invalid reasoning parser",
             "Choose a parser that this release of vLLM names."),
            (r"[Nn]ot enough (?:GPU )?memory", "Lower the memory share or stop what runs on the node."),
        )
    ),
    *DOCKER_FAILURES,
    *GPU_FAILURES,
)  # fmt: skip
