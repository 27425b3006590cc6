"""`llama-server` of a node: the real llama.cpp HTTP server, in a wheel, behind the flags of the real program.

The one rule: strict. A flag that llama-server does not know fails as there; one that would change what the engine does
is really set. What concerns the GPU is taken and has no effect: the work is done by this computer's processor, with one
thread unless told otherwise. Source of flags and words: llama.cpp's common/arg.cpp, build b11434.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from llama_flags import parse, usage
from spark_state import declare_load, read_json


def main(arguments: list[str]) -> int:
    """Serve until a signal. The first TERM waits for open streams as llama.cpp does, the second ends at once."""
    options = parse(arguments)
    if "help" in options:
        print(f"{usage()}\n\nsimulated node: the engine is llama.cpp on this computer's processor")
        return 0
    if "version" in options:
        print("version: 11434 (b0-unknown)\nbuilt with simulated CUDA for aarch64-linux-gnu", file=sys.stderr)
        return 0
    node = read_json("node")
    if node["engine_problem"]:
        return _fail(f"error: {node['engine_problem']}. Connect to a server that runs elsewhere instead.")
    model = str(options.get("model", ""))
    if not model:
        return _fail("error: --model is required")
    if not os.path.isfile(model):
        print(f"gguf_init_from_file: failed to open GGUF file '{model}' (No such file or directory)", file=sys.stderr)
        return _fail("main: exiting due to model loading error")
    sys.path.insert(0, node["packages"])
    threads = int(options.get("threads", 1))
    with declare_load("llama-server", threads=threads, cached_bytes=os.path.getsize(model)):
        return serve(options, model)


def _fail(words: str) -> int:
    print(words, file=sys.stderr)
    return 1


def serve(options: dict[str, Any], model: str) -> int:
    """Run the engine until a signal; the folder with its package is on the path already."""
    import xllamacpp

    ending = threading.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, lambda *_: ending.set())
    try:
        server = xllamacpp.Server(_parameters(xllamacpp, options, model))
    except (RuntimeError, ValueError) as error:
        what = "HTTP server error" if "init server" in str(error) else f"model loading error ({error})"
        return _fail(f"main: exiting due to {what}")
    while not ending.wait(1.0):
        pass
    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, signal.SIG_DFL)  # the second signal ends it at once, also inside the engine
    del server  # waits for open streams, up to half a minute
    return 0


def _parameters(library: Any, options: dict[str, Any], model: str) -> Any:
    """The engine's own parameters."""
    p = library.CommonParams()
    p.model.path = model
    p.hostnames = [_host(str(options.get("host", "127.0.0.1")))]
    p.port = int(options.get("port", 8080))
    p.n_ctx = int(options.get("ctx_size", 4096))
    p.n_parallel = int(options.get("parallel", 1))
    p.cpuparams.n_threads = int(options.get("threads", 1))
    p.cpuparams_batch.n_threads = int(options.get("threads_batch", options.get("threads", 1)))
    p.endpoint_metrics = "metrics" in options
    p.endpoint_props = "props" in options
    p.endpoint_slots = "no_slots" not in options
    p.use_jinja = "no_jinja" not in options
    p.warmup = "no_warmup" not in options
    if "alias" in options:
        p.model_alias = set(str(options["alias"]).split(","))
    if "batch_size" in options:
        p.n_batch = int(options["batch_size"])
    if "ubatch_size" in options:
        p.n_ubatch = int(options["ubatch_size"])
    if "n_predict" in options:
        p.n_predict = int(options["n_predict"])
    if "sse_ping_interval" in options:
        p.sse_ping_interval = int(options["sse_ping_interval"])
    if "api_key_file" in options:
        with open(options["api_key_file"], encoding="utf-8") as stream:
            p.api_keys = [line.strip() for line in stream if line.strip()]
    elif os.environ.get("LLAMA_API_KEY"):
        p.api_keys = os.environ["LLAMA_API_KEY"].split(",")
    if "chat_template_file" in options:
        with open(options["chat_template_file"], encoding="utf-8") as stream:
            p.chat_template = stream.read()
    _set_cache_types(library, p, options)
    _set_purpose(library, p, options)
    _set_speculation(library, p, options)
    for name in ("seed", "top_k"):
        if name in options:
            setattr(p.sampling, name, int(options[name]))
    for name in ("temp", "top_p", "min_p"):
        if name in options:
            setattr(p.sampling, name, float(options[name]))
    return p


def _set_purpose(library: Any, p: Any, options: dict[str, Any]) -> None:
    """What it serves, what it keeps of prompts, and how much it tells."""
    pooling = options.get("pooling", "rank" if "reranking" in options else "")
    p.embedding = "embedding" in options or "reranking" in options
    if pooling:
        p.pooling_type = getattr(library.llama_pooling_type, f"LLAMA_POOLING_TYPE_{str(pooling).upper()}")
    p.cache_prompt = "no_cache_prompt" not in options
    for name, field in (("cache_ram", "cache_ram_mib"), ("cache_reuse", "n_cache_reuse"), ("verbosity", "verbosity")):
        if name in options:
            setattr(p, field, int(options[name]))
    if "mmproj" in options:
        p.mmproj.path = str(options["mmproj"])


def _set_speculation(library: Any, p: Any, options: dict[str, Any]) -> None:
    """Guesses ahead: by runs of words that stood in the text before, or by a draft model's file."""
    kind = str(options.get("spec_type", "none"))
    if kind != "none":
        name = f"COMMON_SPECULATIVE_TYPE_{kind.upper().replace('-', '_')}"
        p.speculative.types = [getattr(library.common_speculative_type, name)]
    if "spec_draft_n_max" in options:
        p.speculative.draft.n_max = int(options["spec_draft_n_max"])
    draft = options.get("model_draft", options.get("spec_draft_model", ""))
    if draft:
        p.speculative.draft.mparams.path = str(draft)


def _set_cache_types(library: Any, p: Any, options: dict[str, Any]) -> None:
    for name in ("cache_type_k", "cache_type_v"):
        if name in options:
            setattr(p, name, getattr(library.ggml_type, f"GGML_TYPE_{str(options[name]).upper()}"))


def _host(asked: str) -> str:
    """Where to listen. A node without a network namespace has only its own loopback address."""
    if asked.endswith(".sock"):  # llama.cpp takes such a name for a unix socket
        return asked
    return os.environ.get("SPARKDESK_SIM_ADDRESS") or asked
