"""What a simulated `trtllm-serve` serves: its command line, its options file, and its memory by TensorRT-LLM's rule.

The one rule: the options file wins over the command line, and a key that the release does not have ends the start.
Source: tensorrt_llm/commands/serve.py and llmapi/llm_args.py (keys), a start on one DGX Spark that was published
(words and the rule of memory: what is free after the load, times the share, is KV cache, unless
`kv_cache_config.max_tokens` asks for less: the smaller of both counts, as KvCacheConfig says of the two).
"""

from __future__ import annotations

from typing import Any

from engine_start import GIB, Launch, available_bytes, context_of, listeners, meminfo_bytes, node_path
from model_size import find_size
from plain_yaml import YamlError, read
from spark_state import conditions

OUTSIDE_BYTES = 2 * GIB  # graphs and activations; ours, unverified on hardware [trtllm-on-gb10]
BLOCK_TOKENS = 32
VERSION = "1.3.0rc13"
# What the playbooks' command lines use, for the time when there is no table.
_FALLBACK_NAMES = """
--tokenizer --custom_tokenizer --host --port --backend --custom_module_dirs --log_level --max_beam_width
--max_batch_size --max_num_tokens --max_seq_len --gpus_per_node --num_postprocess_workers --revision
--reasoning_parser --tool_parser --metadata_server_config_file --server_role --otlp_traces_endpoint
--disagg_cluster_uri --media_io_kwargs --chat_template --free_gpu_memory_fraction
--kv_cache_free_gpu_memory_fraction --config --extra_llm_api_options --tensor_parallel_size --tp_size
--pipeline_parallel_size --pp_size --context_parallel_size --cp_size --moe_expert_parallel_size --ep_size
--moe_cluster_parallel_size --cluster_size
"""
FALLBACK = tuple(_FALLBACK_NAMES.split())
FALLBACK_FLAGS = ("--trust_remote_code", "--fail_fast_on_attention_window_too_large", "--enable_chunked_prefill")
_KEYS_TEXT = """
allreduce_strategy attention_dp_config attn_backend autotuner_enabled backend batch_wait_max_tokens_ratio
batch_wait_timeout_iters batch_wait_timeout_ms batching_type cache_transceiver_config checkpoint_format
checkpoint_loader cuda_graph_config disable_flashinfer_sampling disable_overlap_scheduler dtype enable_attention_dp
enable_autotuner enable_build_cache enable_chunked_prefill enable_iter_perf_stats enable_iter_req_stats
enable_layerwise_nvtx_marker enable_lm_head_tp_in_adp enable_lora enable_min_latency enable_prompt_adapter
env_overrides fail_fast_on_attention_window_too_large force_dynamic_quantization garbage_collection_gen0_threshold
gather_generation_logits gpus_per_node guided_decoding_backend iter_stats_max_iterations kv_cache_config
kv_connector_config load_format lora_config max_batch_size max_beam_width max_input_len max_num_tokens max_seq_len
max_stats_len mm_encoder_only model moe_cluster_parallel_size moe_config moe_expert_parallel_size
moe_tensor_parallel_size num_postprocess_workers nvfp4_gemm_config orchestrator_type otlp_traces_endpoint
peft_cache_config perf_metrics_max_requests pipeline_parallel_size postprocess_tokenizer_dir print_iter_log
quant_config ray_worker_extension_cls reasoning_parser request_stats_max_iterations return_perf_metrics revision
sampler_type scheduler_config skip_tokenizer_init sparse_attention_config speculative_config stream_interval
tensor_parallel_size tokenizer tokenizer_mode tokenizer_revision torch_compile_config trust_remote_code
use_torch_sampler
"""
_KEYS = frozenset(_KEYS_TEXT.split())
_KV_KEYS_TEXT = """
attention_dp_events_gather_period_ms copy_on_partial_reuse cross_kv_cache_fraction dtype enable_block_reuse
enable_partial_reuse event_buffer_max_size free_gpu_memory_fraction host_cache_size mamba_ssm_cache_dtype
mamba_ssm_philox_rounds mamba_ssm_stochastic_rounding max_attention_window max_gpu_total_bytes max_tokens
max_util_for_resume onboard_blocks secondary_offload_min_priority sink_token_length tokens_per_block
use_kv_cache_manager_v2 use_uvm
"""
_KV_KEYS = frozenset(_KV_KEYS_TEXT.split())


class OptionsError(Exception):
    """The options file cannot be used; the words of who read it."""


def read_options(path: str, launch: Launch) -> dict[str, Any]:
    """The options file, checked key by key. Raises OptionsError."""
    on_node = launch.on_node(path)
    try:
        with open(node_path(on_node or "/nonexistent"), encoding="utf-8") as stream:
            found = read(stream.read(1 << 20))
    except OSError:
        raise OptionsError(f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'") from None
    except (YamlError, UnicodeDecodeError) as error:
        raise OptionsError(f"yaml.scanner.ScannerError: {error}") from error
    kv = found.get("kv_cache_config")
    strangers = [key for key in found if key not in _KEYS]
    strangers += [f"kv_cache_config.{key}" for key in (kv if isinstance(kv, dict) else {}) if key not in _KV_KEYS]
    if strangers:
        rows = "\n".join(f"{key}\n  Extra inputs are not permitted [type=extra_forbidden]" for key in strangers)
        raise OptionsError(
            f"pydantic_core._pydantic_core.ValidationError: {len(strangers)} validation errors for TorchLlmArgs\n{rows}"
        )
    return found


class Plan:
    """One server. Lengths in tokens."""

    def __init__(self, options: dict[str, Any], version: str, file: str, launch: Launch) -> None:
        self.version = version
        self.file = file
        self.model = str(options["model"])
        self.name = self.model.rpartition("/")[2] if self.model.startswith("/") else self.model
        path = options.get("--config", options.get("--extra_llm_api_options", ""))
        self.extra = read_options(str(path), launch) if path else {}
        self.size = find_size(self.model, launch.hub_cache, file)
        self.asked_context = self._whole("max_seq_len", options, 0)
        self.batch = self._whole("max_batch_size", options, 2048)
        self.context, self.slots = context_of(self.asked_context, self.batch)
        kv = self.extra.get("kv_cache_config") or {}
        share = options.get("--kv_cache_free_gpu_memory_fraction", options.get("--free_gpu_memory_fraction", 0.9))
        self.share = float(kv.get("free_gpu_memory_fraction", share))
        self.most_tokens = int(kv.get("max_tokens") or 0)
        self.value_bytes = 1.0 if str(kv.get("dtype", "auto")) == "fp8" else 2.0
        self.has_reuse = kv.get("enable_block_reuse", True) is not False
        self.has_graphs = self.extra.get("cuda_graph_config", {}) is not None
        self.has_iteration_stats = bool(self.extra.get("enable_iter_perf_stats"))
        self.has_perf_metrics = bool(self.extra.get("return_perf_metrics"))
        self.speculates = bool(self.extra.get("speculative_config"))
        self.host, self.port = str(options.get("--host", "localhost")), int(options.get("--port", 8000))
        self.listeners = listeners(launch, self.host, self.port)
        self.free_bytes = available_bytes()
        self.total_bytes = meminfo_bytes("MemTotal")

    def _whole(self, name: str, options: dict[str, Any], default: int) -> int:
        return int(self.extra.get(name, options.get(f"--{name}", default)) or default)

    @property
    def room_bytes(self) -> int:
        """What is free after the load, times the share."""
        if "engine-no-kv" in conditions():
            return 0
        return int((self.free_bytes - self.size.weights_bytes - OUTSIDE_BYTES) * self.share)

    @property
    def kv_tokens(self) -> int:
        """Tokens of the paged cache, in whole blocks: what has room, or what was asked for where that is less."""
        blocks = max(0, self.size.tokens_in(self.room_bytes, self.value_bytes)) // BLOCK_TOKENS
        if self.most_tokens > 0:
            blocks = min(blocks, -(-self.most_tokens // BLOCK_TOKENS))
        return blocks * BLOCK_TOKENS

    @property
    def kv_bytes(self) -> int:
        """What the paged cache takes."""
        if self.most_tokens <= 0:
            return self.room_bytes
        return min(self.room_bytes, int(self.size.kv_bytes(self.kv_tokens, self.value_bytes)))

    @property
    def reserved_bytes(self) -> int:
        """What the server holds once it is up."""
        return self.size.weights_bytes + OUTSIDE_BYTES + max(0, self.kv_bytes)
