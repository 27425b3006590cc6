"""A chat request as the JSON body that OpenAI-compatible servers take.

The one rule: only fields that every such server takes, save where the engine is known: a strict server refuses a
request with one field too many.
"""

from __future__ import annotations

from typing import Any

from sparkdesk.core.chat.message import ChatRequest, Message, Role, ToolCallPart, ToolResultPart

ENDLESS_ENGINES = frozenset(("vllm", "sglang", "trtllm", "llamacpp"))
"""Engines whose chat requests take `ignore_eos`. Source: the ChatCompletionRequest of vLLM's, SGLang's and
TensorRT-LLM's servers; llama.cpp tools/server/README.md, POST /completion, whose options chat takes as well."""


def to_body(request: ChatRequest, *, engine: str = "") -> dict[str, Any]:
    """The body of a streaming POST to /chat/completions. `engine` is the backend's key, "" when not known."""
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_to_json(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    sampling = request.sampling
    optional = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
    }
    body.update({key: value for key, value in optional.items() if value is not None})
    if sampling.is_endless and engine in ENDLESS_ENGINES:
        body["ignore_eos"] = True
    if engine == "llamacpp":
        # Source: llama.cpp tools/server/README.md, POST /completion, "return_progress".
        body["return_progress"] = True
    return body


def _to_json(message: Message) -> dict[str, Any]:
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    if message.role is Role.TOOL and results:
        return {"role": "tool", "tool_call_id": results[0].call_id, "content": results[0].text}
    data: dict[str, Any] = {"role": message.role.value, "content": message.text}
    calls = [part for part in message.parts if isinstance(part, ToolCallPart)]
    if calls:
        data["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return data
