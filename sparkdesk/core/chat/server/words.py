"""What a server says of a failure: in its own words, bounded and on one line, and whether they are about the context.

The one rule: the words are a stranger's: every reader here is total. Each engine is recognised by its own words, and a
number is told only where those words give it exactly.
Ollama is missing on purpose: on its chat path it cuts the prompt and answers, without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_TOKENS = 1 << 40
MAX_MESSAGE_CHARS = 600


@dataclass(frozen=True, slots=True)
class Overflow:
    """By how much it is too long, in tokens. None is not told."""

    prompt_tokens: int | None = None
    context_tokens: int | None = None
    is_answer: bool = False
    """The prompt fits, and only the limit for the answer is more than what is left."""


_EXACT = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # llama.cpp. Source: recorded answer of build b11434, tests/data/captures/llamacpp_smollm2.
        r"request \((?P<prompt>\d+) tokens\) exceeds the available context size \((?P<limit>\d+) tokens\)",
        # vLLM 0.32. Source: recorded answer. Of the prompt it tells only that it is larger.
        r"maximum context length is (?P<limit>\d+) tokens\. However, your prompt contains at least",
        # vLLM before. Source: vllm issue 20409.
        r"maximum context length is (?P<limit>\d+) tokens\. However, you requested \d+ tokens "
        r"\((?P<prompt>\d+) in the (?:messages|prompt)",
        # SGLang. Source: Qwen3 issue 1321 and sglang issue 8096; the second is the engine's tokenizer_manager.
        r"input \((?P<prompt>\d+) tokens\) is longer than the model's context length \((?P<limit>\d+) tokens\)",
        r"exceeds the model's maximum context length of (?P<limit>\d+) tokens"
        r"(?:\. You requested a total of \d+ tokens: (?P<prompt>\d+) tokens from the input)?",
        # TensorRT-LLM. Source: TensorRT-LLM issue 9277 (its LLM API), tensorrtllm_backend issue 141 (its C++ executor).
        r"sum of prompt length \((?P<prompt>\d+)(?:\.0)?\), query length \(\d+\) should not exceed max_num_tokens "
        r"\((?P<limit>\d+)\)",
        r"Prompt length \((?P<prompt>\d+)\) exceeds maximum (?:sequence|input) length \((?P<limit>\d+)\)",
        # vLLM where only the answer's limit is too large. Source: recorded answer, err_max_tokens_too_large.json.
        r"(?P<answer>max_tokens)=\d+ cannot be greater than max_model_len=(?P<limit>\d+)",
    )
)
_LOOSE = re.compile(
    r"maximum context length|context (?:length|size|window)[^.]{0,40} exceed"
    r"|exceed[^.]{0,60} context (?:length|size|window)|exceed_context_size|context size has been exceeded",
    re.IGNORECASE,
)
"""What the engines' other releases and those that speak like them say. llama.cpp says the last in the middle of an
answer. Source: llama.cpp tools/server/server-context.cpp."""
_LIMIT = re.compile(r"(?:context (?:length|size|window)|max_seq_len|max_num_tokens)\D{0,20}(\d{2,9})", re.IGNORECASE)


def read_overflow(error: Mapping[str, object], words: str) -> Overflow | None:
    """What an error object and its words say of the context; None when it is about something else."""
    prompt, limit = _tokens(error.get("n_prompt_tokens")), _tokens(error.get("n_ctx"))
    if prompt is not None and limit is not None:
        return _overflow(prompt, limit)
    for pattern in _EXACT:
        found = pattern.search(words)
        if found:
            told = found.groupdict()
            return _overflow(_number(told.get("prompt")), _number(told.get("limit")), is_answer="answer" in told)
    if _LOOSE.search(f"{words} {error.get('type')}"):
        limits = _LIMIT.search(words)
        return _overflow(None, _number(limits[1]) if limits else None)
    return None


def _overflow(prompt: int | None, limit: int | None, *, is_answer: bool = False) -> Overflow:
    has_room = prompt is not None and limit is not None and prompt < limit
    return Overflow(prompt, limit, is_answer=is_answer or has_room)


def _tokens(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value < MAX_TOKENS
    return value if is_count and isinstance(value, int) else None


def _number(digits: str | None) -> int | None:
    return _tokens(int(digits)) if digits and len(digits) <= 12 else None


def clean_text(text: str) -> str:
    """Text that every encoder and widget can take: no lone surrogates and no NUL (both become U+FFFD)."""
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def error_text(body: object) -> str:
    """The server's own words in an error body of any of the shapes seen, bounded and on one line; "" when none."""
    found = body
    for _ in range(3):
        if not isinstance(found, dict):
            break
        found = next((found[key] for key in ("error", "message", "detail", "msg") if found.get(key) is not None), "")
    if isinstance(found, list):
        found = json.dumps(found, default=str)[:MAX_MESSAGE_CHARS]
    return shown_words(found) if isinstance(found, str) else ""


def shown_words(text: str) -> str:
    """A stranger's words for a sentence of ours: on one line, printable, at most 600 characters."""
    words = "".join(c if c.isprintable() else " " for c in clean_text(text[: MAX_MESSAGE_CHARS + 1]))
    return " ".join(words.split())[:MAX_MESSAGE_CHARS]
