"""Which wishes about an answer a server takes, by engine, and why not.

The one rule: a field is sent only to an engine whose documentation or source has it. Of a server whose engine is not
known nothing is assumed beyond what the OpenAI API itself has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Wish(StrEnum):
    """What a person may wish of an answer, beside temperature, top_p and the most tokens, which all servers take."""

    SEED = "seed"
    STOP = "stop"
    TOP_K = "top_k"
    MIN_P = "min_p"
    JSON_SCHEMA = "json_schema"
    LOGPROBS = "logprobs"
    THINKING = "thinking"
    THINKING_BUDGET = "thinking_budget"


@dataclass(frozen=True, slots=True)
class FormSupport:
    """What one engine takes."""

    refused: Mapping[Wish, str] = field(default_factory=lambda: MappingProxyType({}))
    """Why a wish is not sent, in words."""
    caveats: Mapping[Wish, str] = field(default_factory=lambda: MappingProxyType({}))
    """What must be known of a wish that is sent."""

    def takes(self, wish: Wish) -> bool:
        """Whether it is sent."""
        return wish not in self.refused

    def why_not(self, wish: Wish) -> str:
        """Why it is not sent; "" when it is."""
        return self.refused.get(wish, "")

    def caveat(self, wish: Wish) -> str:
        """What must be known of it; "" is nothing."""
        return self.caveats.get(wish, "")


_TEMPLATE = "Works with models whose chat template knows enable_thinking; others ignore it."

# Source: llama.cpp tools/server/README.md, POST /completion (top_k, min_p, seed, stop) and POST /v1/chat/completions
# (response_format, chat_template_kwargs); tools/server/server-common.cpp (thinking_budget_tokens, top_logprobs).
_LLAMACPP = FormSupport(
    caveats={
        Wish.THINKING: _TEMPLATE,
        Wish.THINKING_BUDGET: "Older builds ignore it, and so do models that do not think.",
    }
)

# Source: vLLM's ChatCompletionRequest (vllm/entrypoints/openai/chat_completion/protocol.py).
_VLLM = FormSupport(
    caveats={
        Wish.THINKING: _TEMPLATE,
        Wish.THINKING_BUDGET: "vLLM refuses the question unless it was started with a reasoning parser.",
    }
)

# Source: SGLang's ChatCompletionRequest (sglang/srt/entrypoints/openai/protocol.py); SGLang documentation, "Thinking
# Budget": what is passed with a request alone is a hint to the template and limits nothing.
_SGLANG = FormSupport(
    refused={Wish.THINKING_BUDGET: "SGLang limits thinking only when it was started for that; a request cannot."},
    caveats={Wish.THINKING: _TEMPLATE},
)

# Source: TensorRT-LLM's ChatCompletionRequest (tensorrt_llm/serve/openai_protocol.py), which refuses unknown fields.
_TRTLLM = FormSupport(
    refused={Wish.THINKING_BUDGET: "Not every TensorRT-LLM 1.3 release takes one, and an unknown field is refused."},
    caveats={
        Wish.THINKING: _TEMPLATE,
        Wish.LOGPROBS: "Alternatives come from the PyTorch backend only.",
    },
)

# Source: Ollama documentation, "OpenAI compatibility", /v1/chat/completions.
_OLLAMA = FormSupport(
    refused={
        Wish.TOP_K: "Ollama takes top_k in a Modelfile, not with a question of this form.",
        Wish.MIN_P: "Ollama takes min_p in a Modelfile, not with a question of this form.",
        Wish.THINKING_BUDGET: "Ollama has no limit of thinking in tokens.",
    },
    caveats={Wish.THINKING: "Works with models that Ollama knows as thinking; others may refuse the question."},
)

_NOT_KNOWN = "The server's engine is not known, and this is not part of the OpenAI API."
_MAY_REFUSE = "The server's engine is not known: it may refuse or ignore this."
_OPENAI = FormSupport(
    refused=dict.fromkeys((Wish.TOP_K, Wish.MIN_P, Wish.THINKING, Wish.THINKING_BUDGET), _NOT_KNOWN),
    caveats=dict.fromkeys((Wish.SEED, Wish.JSON_SCHEMA, Wish.LOGPROBS), _MAY_REFUSE),
)

_FORMS = {"llamacpp": _LLAMACPP, "vllm": _VLLM, "sglang": _SGLANG, "trtllm": _TRTLLM, "ollama": _OLLAMA}


def forms_of(engine: str) -> FormSupport:
    """What this engine (a backend's key, "" when not known) takes."""
    return _FORMS.get(engine, _OPENAI)
