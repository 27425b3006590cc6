"""Commands as NVIDIA's playbooks for DGX Spark and the community's recipes give them: facts, with what they say."""

from __future__ import annotations

from typing import Any

MTP = '{"method":"mtp","num_speculative_tokens":3,"moe_backend":"triton"}'

VLLM_CONTAINER = r"""docker run -d --gpus all -p 8000:8000 --name vllm-server -e HF_TOKEN \
  -v ~/.cache/huggingface:/root/.cache/huggingface nvcr.io/nvidia/vllm:26.05-py3 vllm serve openai/gpt-oss-120b
timeout 900 bash -c 'until curl -sf localhost:8000/health >/dev/null; do sleep 5; done'
"""
VLLM_AGENT = rf"""docker run --gpus all -p 8000:8000 vllm/vllm-openai:latest \
nvidia/Qwen3.6-35B-A3B-NVFP4 --host 0.0.0.0 --port 8000 --tensor-parallel-size 1 --trust-remote-code \
--kv-cache-dtype fp8 --attention-backend flashinfer --moe-backend marlin --gpu-memory-utilization 0.4 \
--max-model-len 262144 --max-num-seqs 4 --max-num-batched-tokens 8192 --enable-chunked-prefill --async-scheduling \
--enable-prefix-caching --load-format fastsafetensors --speculative-config '{MTP}' \
--reasoning-parser qwen3 --tool-call-parser qwen3_xml --enable-auto-tool-choice
"""
VLLM_DIFFUSION = r"""docker run --gpus all --shm-size=16g -e VLLM_USE_V2_MODEL_RUNNER=1 vllm/vllm-openai:gemma \
  google/DiffusionGemma-26B-A4B --gpu-memory-utilization 0.8 --max-model-len 262144 --attention-backend TRITON_ATTN \
  --max-num-seqs 10 --diffusion-config '{"canvas_length":256}' --tool-call-parser gemma4 --reasoning-parser gemma4 \
  --enable-prefix-caching
"""
VLLM_RAY = r"""docker exec -it node-1 bash -c 'vllm serve meta-llama/Llama-3.3-70B-Instruct --tensor-parallel-size 2 \
  --max-model-len 2048 --gpu-memory-utilization 0.8 --distributed-executor-backend ray'
"""
VLLM_RANKS = r"""vllm serve MiniMaxAI/MiniMax-M2.5 --tensor-parallel-size 4 --max-model-len 129000 --max-num-seqs 4 \
  --trust-remote-code --nnodes 4 --node-rank 1 --master-addr 192.168.100.10 --master-port 25000 --headless
"""
VLLM_SUPER = rf"""VLLM_NVFP4_GEMM_BACKEND=marlin VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 \
VLLM_FLASHINFER_ALLREDUCE_BACKEND=trtllm VLLM_USE_FLASHINFER_MOE_FP4=0 \
vllm serve nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4 --kv-cache-dtype fp8 --gpu-memory-utilization 0.90 \
  --max-num-seqs 4 --max-model-len 1000000 --moe-backend marlin --mamba_ssm_cache_dtype float32 --quantization fp4 \
  --speculative_config '{MTP}' --reasoning-parser-plugin super_v3_reasoning_parser.py --reasoning-parser super_v3 \
  --tool-call-parser qwen3_coder --port 8000
"""
SGLANG = r"""docker run --gpus all -it --rm -p 30000:30000 -v ~/.cache/huggingface:/root/.cache/huggingface \
 lmsysorg/sglang:latest-cu130 python3 -m sglang.launch_server --model-path openai/gpt-oss-20b --host 0.0.0.0 \
 --port 30000 --trust-remote-code --tp 1 --attention-backend flashinfer --mem-fraction-static 0.75 # NVFP4: more
"""
SGLANG_RANKS = r"""python3 -m sglang.launch_server --model-path owner/x --tp 2 --dist-init-addr 192.168.100.10:25000 \
 --nnodes 2 --node-rank 0 --attention-backend triton
"""
TRTLLM = r"""export MODEL_HANDLE=nvidia/Llama-3.1-8B-Instruct-FP4
docker run --name trtllm_llm_server --rm -it --gpus all --ipc host --network host -e HF_TOKEN \
 -e MODEL_HANDLE=$MODEL_HANDLE -v ~/.cache/huggingface:/root/.cache/huggingface \
 nvcr.io/nvidia/tensorrt-llm/release:1.3.0rc13 \
 bash -c 'hf download $MODEL_HANDLE && cat > /tmp/extra.yml <<E
print_iter_log: false
kv_cache_config: {dtype: "auto", free_gpu_memory_fraction: 0.9}
cuda_graph_config: {enable_padding: true}
disable_overlap_scheduler: true
E
 trtllm-serve $MODEL_HANDLE --max_batch_size 64 --trust_remote_code --port 8355 --extra_llm_api_options /tmp/extra.yml'
"""
TRTLLM_MPI = r"""docker exec -e MODEL=nvidia/Qwen3-235B-A22B-FP4 trtllm-multinode bash -c 'mpirun -x HF_TOKEN \
  trtllm-llmapi-launch trtllm-serve $MODEL --tp_size 2 --backend pytorch --max_num_tokens 32768 --max_batch_size 4 \
  --extra_llm_api_options /tmp/extra-llm-api-config.yml --port 8355'
"""
LLAMACPP = r"""llama-server -hf unsloth/Qwen3.6-35B-A3B-MTP-GGUF:UD-Q4_K_XL --host 0.0.0.0 --port 30000 \
  --spec-type draft-mtp --spec-draft-n-max 3 --chat-template-kwargs '{"preserve_thinking": true}'
"""
LLAMACPP_RPC = (
    "llama-server -m ~/models/x.gguf -c 131072 -np 4 -ngl 99 -fa on -sm row --rpc 10.0.0.2:50052,10.0.0.3:50052"
)
COMMUNITY = r"""docker run --gpus all --network host --ipc=host -e NCCL_IGNORE_CPU_AFFINITY=1 \
  -e VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8=1 sparkarena/spark-vllm-docker:mxfp4 vllm serve openai/gpt-oss-120b \
  --quantization mxfp4 --mxfp4-backend CUTLASS --mxfp4-layers moe,qkv,o,lm_head --attention-backend FLASHINFER \
  --kv-cache-dtype fp8 --tool-call-parser openai --reasoning-parser openai_gptoss --gpu-memory-utilization 0.70
"""

SAID: dict[str, tuple[str, dict[str, Any]]] = {
    "vllm in a container": (
        VLLM_CONTAINER,
        {"engine": "vllm", "model": "openai/gpt-oss-120b", "image": "nvcr.io/nvidia/vllm:26.05-py3", "port": 8000},
    ),
    "vllm for agents": (
        VLLM_AGENT,
        {
            "engine": "vllm",
            "model": "nvidia/Qwen3.6-35B-A3B-NVFP4",
            "image": "vllm/vllm-openai:latest",
            "kv_dtype": "fp8",
            "memory_fraction": 0.4,
            "context_tokens": 262144,
            "concurrency": 4,
            "speculative": "mtp",
            "tensor_parallel_size": 1,
        },
    ),
    "vllm for a diffusion model": (
        VLLM_DIFFUSION,
        {
            "model": "google/DiffusionGemma-26B-A4B",
            "concurrency": 10,
            "environment": (("VLLM_USE_V2_MODEL_RUNNER", "1"),),
        },
    ),
    "vllm by ray": (
        VLLM_RAY,
        {"model": "meta-llama/Llama-3.3-70B-Instruct", "tensor_parallel_size": 2, "context_tokens": 2048},
    ),
    "vllm rank by rank": (VLLM_RANKS, {"tensor_parallel_size": 4, "trust_remote_code": True}),
    "vllm with variables before": (
        VLLM_SUPER,
        {"quantization": "fp4", "context_tokens": 1_000_000, "memory_fraction": 0.9, "speculative": "mtp"},
    ),
    "sglang in a container": (
        SGLANG,
        {"engine": "sglang", "port": 30000, "memory_fraction": 0.75, "image": "lmsysorg/sglang:latest-cu130"},
    ),
    "sglang rank by rank": (SGLANG_RANKS, {"engine": "sglang", "model": "owner/x", "tensor_parallel_size": 2}),
    "trt-llm in a container's script": (
        TRTLLM,
        {
            "engine": "trtllm",
            "model": "nvidia/Llama-3.1-8B-Instruct-FP4",
            "concurrency": 64,
            "port": 8355,
            "memory_fraction": 0.9,
            "trust_remote_code": True,
        },
    ),
    "trt-llm by mpi": (
        TRTLLM_MPI,
        {"engine": "trtllm", "model": "nvidia/Qwen3-235B-A22B-FP4", "tensor_parallel_size": 2, "concurrency": 4},
    ),
    "llama.cpp from the hub": (
        LLAMACPP,
        {"engine": "llamacpp", "model": "unsloth/Qwen3.6-35B-A3B-MTP-GGUF", "quantization": "UD-Q4_K_XL"},
    ),
    "llama.cpp over rpc": (
        LLAMACPP_RPC,
        {"weights_path": "~/models/x.gguf", "context_tokens": 32768, "concurrency": 4, "tensor_parallel_size": 3},
    ),
    "a community container": (COMMUNITY, {"quantization": "mxfp4", "memory_fraction": 0.7, "kv_dtype": "fp8"}),
}
"""What it is -> the text, and fields that must come out of it."""
