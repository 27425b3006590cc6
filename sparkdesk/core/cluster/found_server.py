"""Model servers that run on a node and that SparkDesk did not start: shown and talked to, never stopped or changed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoundServer:
    """One server that answered on a node's loopback. All text is untrusted; "" and None mean not known."""

    id: str
    """Stable for node and port: "node id:port"."""
    node_id: str
    host: str
    """Where it answers, as seen from the node: "127.0.0.1", or an address of the node."""
    port: int
    api: str
    """"openai" or "ollama" (which also answers in the OpenAI way)."""
    engine: str = ""
    """vllm, sglang, llamacpp, ollama, trtllm, lmstudio, or ""."""
    title: str = ""
    """What the person sees: "gpt-oss-120b · vLLM"."""
    models: tuple[str, ...] = ()
    context_tokens: tuple[int | None, ...] = ()
    """The limit of one request, model by model in the order of `models`."""
    container: str = ""
    process: str = ""
    """The program that holds the port, where the account may see it."""
    owner: str = ""
    is_healthy: bool | None = None
    has_metrics: bool = False
    needs_key: bool = False
    """It answers 401: shown, with a field for its key."""
    is_exposed: bool | None = None
    """It listens beyond loopback: anyone on the network can use it."""
    note: str = ""
    t_ms: int = 0
