"""Which flag of which engine says which field of a launch request: one table, read both ways.

The one rule: the first name of a row is what SparkDesk writes; all names are read, with - and _ alike. Sources: vLLM
0.33.0 and SGLang 0.5.23 (their own argument parsers), NVIDIA's DGX Spark playbooks for TensorRT-LLM, the README of
llama-server; the recipe keys from sparkrun's own map of keys to flags.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flag:
    """One concept: the field, the engine's names for it, the recipe's key for it, and how its value is read."""

    field: str
    names: tuple[str, ...]
    key: str = ""
    """In a recipe's `defaults`."""
    kind: str = "text"
    """text, path, whole, tokens (1k, 4K), share, slots (a context that the slots share), quantized (a repository with
    its format), algorithm, speculative (JSON), on and off (a switch that says yes or no)."""


SWITCH_KINDS = ("on", "off")


@dataclass(frozen=True, slots=True)
class EngineFlags:
    """All that is needed to read and write one engine's command line."""

    engine: str
    title: str
    image: str
    """What an export uses where the request names none."""
    program: tuple[str, ...]
    """The words before the flags."""
    default_port: int
    flags: tuple[Flag, ...]
    is_model_positional: bool = False
    own: frozenset[str] = frozenset()
    """SparkDesk gives these itself, by where and how it launches; what the text says is listed and not taken."""
    switches: frozenset[str] = frozenset()
    """Without a value, beyond --enable-*, --disable-* and --no-*."""
    valued: frozenset[str] = frozenset()
    """With a value, and kept as they are."""
    many: frozenset[str] = frozenset()
    """With several values."""
    loads_code: frozenset[str] = frozenset()
    """Make the server run program text of the model's makers or of a file."""

    def find(self, name: str) -> Flag | None:
        """The row of a flag's name, in any spelling of its dashes."""
        wanted = spell(name)
        return next((flag for flag in self.flags if wanted in map(spell, flag.names)), None)


def spell(name: str) -> str:
    """One spelling: --tp_size and --tp-size are the same flag."""
    dashes = len(name) - len(name.lstrip("-"))
    return name[:dashes] + name[dashes:].replace("_", "-")


SECRETS = frozenset({"--api-key", "--hf-token", "--api-key-file", "--ssl-key-file"})
"""Never taken, never shown, never written."""

OPTION_FILES = frozenset({"--extra-llm-api-options", "--config"})
"""Name a file with more options, which a text may have written itself before."""
_SIZES = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
_VLLM = EngineFlags(
    engine="vllm",
    title="vLLM",
    image="nvcr.io/nvidia/vllm:26.05-py3",
    program=("vllm", "serve"),
    default_port=8000,
    is_model_positional=True,
    flags=(
        Flag("model", ("--model",), "model"),
        Flag("served_name", ("--served-model-name",), "served_model_name"),
        Flag("port", ("--port",), "port", "whole"),
        Flag("context_tokens", ("--max-model-len",), "max_model_len", "tokens"),
        Flag("concurrency", ("--max-num-seqs",), "max_num_seqs", "whole"),
        Flag("memory_fraction", ("--gpu-memory-utilization", "--device-memory-utilization"), "gpu_memory_utilization",
             "share"),
        Flag("tensor_parallel_size", ("--tensor-parallel-size", "-tp"), "tensor_parallel", "whole"),
        Flag("pipeline_parallel_size", ("--pipeline-parallel-size", "-pp"), "pipeline_parallel", "whole"),
        Flag("data_parallel_size", ("--data-parallel-size", "-dp"), "data_parallel", "whole"),
        Flag("kv_dtype", ("--kv-cache-dtype",), "kv_cache_dtype"),
        Flag("quantization", ("--quantization", "-q"), "quantization"),
        Flag("speculative", ("--speculative-config", "-sc"), "speculative_config", "speculative"),
        Flag("tool_parser", ("--tool-call-parser",)),
        Flag("reasoning_parser", ("--reasoning-parser",)),
        Flag("attention_backend", ("--attention-backend",)),
        Flag("moe_backend", ("--moe-backend",)),
        Flag("load_format", ("--load-format",)),
        Flag("max_batched_tokens", ("--max-num-batched-tokens",), kind="whole"),
        Flag("trust_remote_code", ("--trust-remote-code",), kind="on"),
        Flag("prefix_caching", ("--enable-prefix-caching",), kind="on"),
        Flag("prefix_caching", ("--no-enable-prefix-caching",), kind="off"),
    ),
    own=frozenset({
        "--host", "--nnodes", "-n", "--node-rank", "-r", "--master-addr", "--master-port", "--headless",
        "--distributed-executor-backend", "--data-parallel-address", "-dpa", "--data-parallel-rpc-port", "-dpp",
        "--data-parallel-rank", "-dpn", "--data-parallel-size-local", "-dpl", "--data-parallel-start-rank", "-dpr",
        "--data-parallel-backend", "-dpb",
    }),
    switches=frozenset({
        "--headless", "--trust-remote-code", "--enforce-eager", "--async-scheduling", "--language-model-only",
        "--skip-mm-profiling", "--aggregate-engine-logging", "--fully-sharded-loras", "--return-tokens-as-token-ids",
        "--cudagraph-metrics", "--kv-cache-metrics", "--log-error-stack", "--tokens-only", "--use-tqdm-on-load",
        "--data-parallel-external-lb", "--data-parallel-hybrid-lb", "--mm-encoder-only", "--allow-credentials", "-ep",
    }),
    valued=frozenset({
        "--attention-backend", "--moe-backend", "--max-num-batched-tokens", "--load-format", "--reasoning-parser",
        "--reasoning-parser-plugin", "--tool-call-parser", "--tool-parser-plugin", "--diffusion-config",
        "--mamba-ssm-cache-dtype", "--mxfp4-backend", "--mxfp4-layers", "--dtype", "--tokenizer", "--tokenizer-mode",
        "--revision", "--tokenizer-revision", "--seed", "--swap-space", "--block-size", "--kv-cache-memory-bytes",
        "--chat-template", "--chat-template-content-format", "--compilation-config", "-cc", "--hf-overrides",
        "--limit-mm-per-prompt", "--mm-encoder-tp-mode", "--mm-processor-cache-gb", "--override-generation-config",
        "--generation-config", "--default-chat-template-kwargs", "--max-seq-len-to-capture", "--cpu-offload-gb",
        "--spec-method", "--spec-model", "--spec-tokens", "--kv-transfer-config", "--download-dir",
        "--config-format", "--max-cudagraph-capture-size", "--rope-scaling", "--runner", "--convert", "--task",
        "--model-loader-extra-config", "--additional-config", "--all2all-backend", "--uvicorn-log-level",
        "--mamba-cache-mode", "--mamba-block-size", "--decode-context-parallel-size", "--api-server-count",
        "--disable-access-log-for-endpoints", "--allowed-local-media-path", "--gdn-prefill-backend",
        "--performance-mode", "--optimization-level", "-O", "--max-logprobs", "--scheduling-policy",
        "--long-prefill-token-threshold", "--prefix-caching-hash-algo", "--kv-offloading-size",
    }),
    many=frozenset({
        "--served-model-name", "--api-key", "--hf-token", "--lora-modules", "--middleware", "--logits-processors",
        "--cudagraph-capture-sizes", "--allowed-media-domains", "--kv-cache-dtype-skip-layers",
    }),
    loads_code=frozenset({
        "--trust-remote-code", "--reasoning-parser-plugin", "--tool-parser-plugin", "--middleware",
        "--logits-processors", "--model-impl",
    }),
)  # fmt: skip

_SGLANG = EngineFlags(
    engine="sglang",
    title="SGLang",
    image="lmsysorg/sglang:latest-cu130",
    program=("python3", "-m", "sglang.launch_server"),
    default_port=30000,
    flags=(
        Flag("model", ("--model-path", "--model"), "model"),
        Flag("served_name", ("--served-model-name",), "served_model_name"),
        Flag("port", ("--port",), "port", "whole"),
        Flag("context_tokens", ("--context-length",), "max_model_len", "tokens"),
        Flag("concurrency", ("--max-running-requests",), "max_num_seqs", "whole"),
        Flag("memory_fraction", ("--mem-fraction-static",), "gpu_memory_utilization", "share"),
        Flag("tensor_parallel_size", ("--tp-size", "--tp", "--tensor-parallel-size"), "tensor_parallel", "whole"),
        Flag("pipeline_parallel_size", ("--pp-size", "--pp", "--pipeline-parallel-size"), "pipeline_parallel", "whole"),
        Flag("data_parallel_size", ("--dp-size", "--dp", "--data-parallel-size"), "data_parallel", "whole"),
        Flag("kv_dtype", ("--kv-cache-dtype",), "kv_cache_dtype"),
        Flag("quantization", ("--quantization",), "quantization"),
        Flag("speculative", ("--speculative-algorithm", "--speculative-algo"), "speculative_algorithm", "algorithm"),
        Flag("speculative_model", ("--speculative-draft-model-path", "--speculative-draft-model")),
        Flag("speculative_tokens", ("--speculative-num-steps",), kind="whole"),
        Flag("tool_parser", ("--tool-call-parser",)),
        Flag("reasoning_parser", ("--reasoning-parser",)),
        Flag("attention_backend", ("--attention-backend",)),
        Flag("moe_backend", ("--moe-runner-backend",)),
        Flag("load_format", ("--load-format",)),
        Flag("max_batched_tokens", ("--chunked-prefill-size",), kind="whole"),
        Flag("trust_remote_code", ("--trust-remote-code",), kind="on"),
        Flag("prefix_caching", ("--disable-radix-cache",), kind="off"),
    ),
    own=frozenset({"--host", "--nnodes", "--node-rank", "--dist-init-addr", "--enable-metrics"}),
    switches=frozenset({
        "--trust-remote-code", "--is-embedding", "--skip-server-warmup", "--log-requests", "--skip-tokenizer-init",
    }),
    valued=frozenset({
        "--attention-backend", "--moe-runner-backend", "--chunked-prefill-size", "--max-prefill-tokens", "--dtype",
        "--load-format", "--tool-call-parser", "--reasoning-parser", "--speculative-draft-model-path",
        "--speculative-num-steps", "--speculative-eagle-topk", "--speculative-num-draft-tokens", "--ep-size", "--ep",
        "--fp4-gemm-runner-backend", "--revision", "--tokenizer-path", "--chat-template", "--cuda-graph-max-bs",
        "--schedule-policy", "--random-seed", "--watchdog-timeout", "--json-model-override-args", "--log-level",
        "--mamba-ssm-dtype", "--max-total-tokens", "--page-size", "--sampling-backend", "--sampling-defaults",
    }),
    many=frozenset({"--lora-paths", "--cuda-graph-bs"}),
    loads_code=frozenset({"--trust-remote-code"}),
)  # fmt: skip

_TRTLLM = EngineFlags(
    engine="trtllm",
    title="TensorRT-LLM",
    image="nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13",
    program=("trtllm-serve",),
    default_port=8000,
    is_model_positional=True,
    flags=(
        Flag("model", ("--model",), "model"),
        Flag("port", ("--port",), "port", "whole"),
        Flag("context_tokens", ("--max_seq_len",), "max_model_len", "tokens"),
        Flag("concurrency", ("--max_batch_size",), "max_num_seqs", "whole"),
        Flag("memory_fraction", ("--kv_cache_free_gpu_memory_fraction",), "gpu_memory_utilization", "share"),
        Flag("tensor_parallel_size", ("--tp_size",), "tensor_parallel", "whole"),
        Flag("pipeline_parallel_size", ("--pp_size",), "pipeline_parallel", "whole"),
        Flag("tool_parser", ("--tool_parser",)),
        Flag("reasoning_parser", ("--reasoning_parser",)),
        Flag("max_batched_tokens", ("--max_num_tokens",), kind="whole"),
        Flag("trust_remote_code", ("--trust_remote_code",), kind="on"),
    ),
    own=frozenset({"--host"}),
    switches=frozenset({"--trust-remote-code"}),
    valued=frozenset({
        "--extra-llm-api-options", "--config", "--backend", "--max-num-tokens", "--max-beam-width", "--ep-size",
        "--reasoning-parser", "--tool-parser",
        "--tokenizer", "--log-level", "--gpus-per-node", "--cluster-size", "--num-postprocess-workers",
        "--metadata-server-config-file", "--server-role",
    }),
    loads_code=frozenset({"--trust-remote-code"}),
)  # fmt: skip

_LLAMACPP = EngineFlags(
    engine="llamacpp",
    title="llama.cpp",
    image="scitrera/dgx-spark-llama-cpp",
    program=("llama-server",),
    default_port=8080,
    flags=(
        Flag("weights_path", ("--model", "-m"), kind="path"),
        Flag("model", ("--hf-repo", "-hf", "-hfr"), "model", "quantized"),
        Flag("served_name", ("--alias", "-a"), "served_model_name"),
        Flag("port", ("--port",), "port", "whole"),
        Flag("context_tokens", ("--ctx-size", "-c"), "max_model_len", "slots"),
        Flag("concurrency", ("--parallel", "-np"), "max_num_seqs", "whole"),
        Flag("threads", ("--threads", "-t"), "threads", "whole"),
        Flag("kv_dtype", ("--cache-type-k", "-ctk"), "kv_cache_dtype"),
    ),
    own=frozenset({"--host", "--metrics", "--slots", "--jinja"}),
    switches=frozenset({
        "--metrics", "--slots", "--jinja", "--mlock", "--no-mmap", "--cont-batching", "-cb", "--embeddings",
        "--verbose", "-v", "--offline", "--kv-unified", "-kvu", "--swa-full", "--context-shift", "--log-timestamps",
        "--direct-io", "--webui", "--props", "--rerank", "--no-warmup",
    }),
    valued=frozenset({
        "--cache-type-v", "-ctv", "--n-gpu-layers", "-ngl", "--gpu-layers", "--flash-attn", "-fa", "--split-mode",
        "-sm", "--rpc", "--batch-size", "-b", "--ubatch-size", "-ub", "--cache-reuse", "--cache-ram", "--spec-type",
        "--spec-draft-n-max", "--spec-draft-n-min", "--model-draft", "-md", "--hf-repo-draft", "-hfd", "--hf-file",
        "-hff", "--chat-template", "--chat-template-file", "--chat-template-kwargs", "--reasoning-format",
        "--reasoning-budget", "--temp", "--top-p", "--top-k", "--min-p", "--presence-penalty", "--repeat-penalty",
        "--threads-batch", "-tb", "--fit", "-fit", "--load-mode", "-lm", "-dio", "--mmproj", "-mm", "--seed", "-s",
        "--n-predict", "-n", "--main-gpu", "-mg", "--tensor-split", "-ts", "--device", "-dev", "--n-cpu-moe",
        "--override-tensor", "-ot", "--rope-scaling", "--rope-scale", "--keep", "--timeout", "--slot-save-path",
    }),
)  # fmt: skip

ENGINES = {each.engine: each for each in (_VLLM, _SGLANG, _TRTLLM, _LLAMACPP)}
"""By the key of the engine."""
SIZE_FIELDS = _SIZES

RUNTIMES = {
    "vllm": "vllm", "vllm-distributed": "vllm", "vllm-ray": "vllm", "eugr-vllm": "vllm", "sglang": "sglang",
    "llama-cpp": "llamacpp", "llama.cpp": "llamacpp", "llamacpp": "llamacpp", "trtllm": "trtllm",
    "trt-llm": "trtllm", "tensorrt-llm": "trtllm",
}  # fmt: skip
"""A recipe's word for an engine."""
SPECULATIVE_METHODS = {"draft_model": "draft", "nextn": "mtp", "eagle": "eagle", "standalone": "draft"}
"""An engine's word for a method of speculative decoding, where it differs from the form's."""
