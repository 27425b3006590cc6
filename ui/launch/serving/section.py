"""The folded parts of the form: which field stands where, which apply to an engine, and what a fold says. Pure.

The one rule: a field that does not apply vanishes, unless it says something: then it is shown, to be cleared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkdesk.core.jobs.parsers import REASONING_PARSERS, TOOL_PARSERS
from ui import text
from ui.launch.form import NO_SPECULATION, Form
from ui.launch.serving.fields import CHAT_PURPOSES, CUSTOM_ENGINE, OFF, OLLAMA, ON

SERVING, ENGINE, LIFE, CHAT = "serving", "engine", "life", "chat"
SPECULATION_NAMES: Final = ("speculative_model", "speculative_tokens")
CUSTOM_NAMES: Final = (
    "custom_command", "custom_venv", "custom_ready", "custom_ready_value", "custom_base_path", "custom_stop_command",
)  # fmt: skip
"""Fields in the open that only some launches have."""


@dataclass(frozen=True, slots=True)
class Section:
    """Some fields under one title."""

    key: str
    title: str
    names: tuple[str, ...]


SECTIONS: Final = (
    Section(SERVING, "Serving", ("tool_parser", "reasoning_parser", "prefix_caching", "max_batched_tokens")),
    Section(
        ENGINE,
        "Engine",
        (
            "attention_backend", "moe_backend", "load_format", "memory_fraction", "threads", "image",
            "trust_remote_code",
        ),
    ),
    Section(LIFE, "Running", ("weights_from", "load_timeout_s", "restart_limit", "stop_after_s")),
    Section(CHAT, "New chats", ("system_prompt", "temperature")),
)  # fmt: skip
_NOT_OF: Final = {
    "vllm": {"threads"},
    "sglang": {"threads"},
    "trtllm": {"threads", "load_format"},
    "llamacpp": {"moe_backend", "memory_fraction", "trust_remote_code", "image"},
    OLLAMA: {
        "prefix_caching", "max_batched_tokens", "attention_backend", "moe_backend", "load_format", "memory_fraction",
        "threads", "trust_remote_code", "image", "extra_flags", "environment",
    },
    CUSTOM_ENGINE: {
        "prefix_caching", "max_batched_tokens", "attention_backend", "moe_backend", "load_format", "memory_fraction",
        "threads", "trust_remote_code",
    },
}  # fmt: skip
"""What an engine's adapter has no use for; another engine's may use all."""
_HEADS: Final = (NO_SPECULATION, "ngram", "mtp")
"""Ways to guess ahead that need no second model."""


_NOTHING_SAID: Final = Form()


def has_place(name: str, form: Form) -> bool:
    """Whether a field is shown: it applies to the engine and the purpose, or it says something all the same."""
    return _applies(name, form) or getattr(form, name) != getattr(_NOTHING_SAID, name)


def _applies(name: str, form: Form) -> bool:
    engine, has_text = form.engine, form.purpose in CHAT_PURPOSES
    if name.startswith("custom_"):
        return engine == CUSTOM_ENGINE and not (name == "custom_ready_value" and form.custom_ready == "port")
    if name in _NOT_OF.get(engine, ()):
        return False
    rules = {
        "tool_parser": has_text and (engine in TOOL_PARSERS or engine not in _NOT_OF),
        "reasoning_parser": has_text and (engine in REASONING_PARSERS or engine not in _NOT_OF),
        "speculative": has_text,
        "speculative_model": has_text and form.speculative not in _HEADS,
        "speculative_tokens": has_text and form.speculative != NO_SPECULATION,
        "system_prompt": has_text,
        "temperature": has_text,
    }
    return rules.get(name, True)


def section_of(name: str) -> str:
    """The section that holds a field; "" where it always stands in the open."""
    return next((section.key for section in SECTIONS if name in section.names), "")


def summarize(section: Section, form: Form) -> str:
    """What a folded section says: only what is said; with nothing said, that the engine decides."""
    parts = [said for name in section.names if has_place(name, form) and (said := _say(name, form))]
    if section.key == ENGINE and form.engine == CUSTOM_ENGINE:
        return ", ".join(parts) or "a program of the node, no container"
    return ", ".join(parts) or ("nothing set" if section.key == CHAT else "as the engine does")


_PLAIN: Final = {
    "tool_parser": "tools {}",
    "reasoning_parser": "reasoning {}",
    "max_batched_tokens": "{} tokens a batch",
    "attention_backend": "attention {}",
    "moe_backend": "MoE {}",
    "load_format": "loader {}",
    "memory_fraction": "share {}",
    "threads": "{} threads",
    "image": "{}",
    "stop_after_s": "stops after {}",
    "load_timeout_s": "waits up to {} for the load",
    "temperature": "temperature {}",
}


def _say(name: str, form: Form) -> str:
    value = getattr(form, name)
    if name == "prefix_caching":
        return {ON: "prefix cache on", OFF: "prefix cache off"}.get(form.prefix_caching, "")
    if name == "trust_remote_code":
        return "runs the model's own code" if form.trust_remote_code else ""
    if name == "weights_from":
        return {"hub": "from the hub", "desk": "from this computer"}.get(form.weights_from, "")
    if name == "restart_limit":
        return "no restart" if value.strip() == "0" else f"{value.strip()} restarts at most"
    if name == "system_prompt":
        return "a system prompt" if value else ""
    said = text.one_line(value, 60)
    return _PLAIN[name].format(said) if said else ""
