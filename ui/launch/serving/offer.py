"""What the further fields offer, by engine. Pure.

The one rule: an engine's own words come from its own table; another word can always be written, for a patched build.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sparkdesk.core.jobs.backend import BackendInfo, NodeContext
from sparkdesk.core.jobs.image import Images
from sparkdesk.core.jobs.parsers import REASONING_PARSERS, TOOL_PARSERS
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.launch.docker import docker_problems
from sparkdesk.core.planning.launch.word import Vocabulary
from ui import text
from ui.launch.choice.option import Offer, build_offers, engine_offers, format_offers, kv_offers, speculation_offers
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import Form

PURPOSES: Final = (("chat", "Chat"), ("vision", "Vision"), ("embed", "Embed"), ("rerank", "Rerank"))
WORD_FIELDS: Final = ("tool_parser", "reasoning_parser", "attention_backend", "moe_backend", "load_format", "image")
_IN_CONTAINERS: Final = ("vllm", "sglang", "trtllm")
_NOTHING: Final = {"tool_parser": "None", "reasoning_parser": "None", "image": "Usual image of the engine"}


def offers_of(name: str, form: Form, spec: ModelSpec | None, feeds: LaunchFeeds) -> list[Offer]:
    """What a choice of the form offers, all but how to divide the nodes."""
    profile = feeds.engines.get(form.engine)
    if name == "engine":
        offers = engine_offers({info.key: info for info in feeds.backends}, feeds.engines)
        return [replace(each, reason=engine_reason(each.key, form, feeds)) for each in offers]
    if name == "quantization":
        return format_offers(form, spec, feeds.engines)
    if name == "kv_dtype":
        return kv_offers(form, profile)
    if name == "speculative":
        return speculation_offers(form, spec, profile)
    if name == "purpose":
        return purpose_offers(next((info for info in feeds.backends if info.key == form.engine), None))
    if name in WORD_FIELDS:
        return word_offers(name, form, feeds.words.get(form.engine), feeds.images)
    return build_offers(form, profile)


def engine_reason(key: str, form: Form, feeds: LaunchFeeds) -> str:
    """Why an engine cannot be chosen for this purpose on this node; "" where it can, and of the one that is chosen."""
    info = next((each for each in feeds.backends if each.key == key), None)
    node = next((each for each in feeds.contexts.value if each.record.id in form.nodes[:1]), None)
    if info is None or key == form.engine:
        return ""
    if form.purpose not in info.purposes:
        return f"{info.title} serves no {form.purpose} here"
    if node is None:
        return ""
    if key in _IN_CONTAINERS:
        return next((text.one_line(each.message, 200) for each in docker_problems(node)), "")
    if key == "llamacpp" and node.programs and "llama-server" not in node.programs:
        return f"llama-server was not found on {text.one_line(node.record.name, 40)}"
    return ""


def word_offers(name: str, form: Form, words: Vocabulary | None, images: Images) -> list[Offer]:
    """The engine's words for a field; the first is to leave it to the engine."""
    found = [Offer("", _NOTHING.get(name, "Automatic"))]
    if name == "image":
        return found + [Offer(pin.reference, pin.reference) for pin in images.get(form.engine, ())]
    if name in ("tool_parser", "reasoning_parser"):
        parsers = TOOL_PARSERS if name == "tool_parser" else REASONING_PARSERS
        known: Sequence[str] = parsers.get(form.engine, ())
    else:
        tables = {
            "attention_backend": "attention_backends",
            "moe_backend": "moe_backends",
            "load_format": "load_formats",
        }
        known = tuple(getattr(words, tables[name])) if words is not None else ()
    return found + [Offer(word, word) for word in dict.fromkeys(known) if word]


def purpose_offers(info: BackendInfo | None) -> list[Offer]:
    """What a server can be for; what the engine does not do says so."""
    return [
        Offer(key, title, f"{info.title} serves no {title.lower()} here" if info and key not in info.purposes else "")
        for key, title in PURPOSES
    ]


def gguf_files(node: NodeContext | None) -> list[str]:
    """Model files that were seen on the node, which llama.cpp can load."""
    files = node.weight_files if node is not None else {}
    return sorted(path for path in files if path.lower().endswith(".gguf"))


def image_title(reference: str, engine: str, images: Images) -> str:
    """What an image of the table is for; "" of one that nobody named."""
    return next((text.one_line(pin.title, 120) for pin in images.get(engine, ()) if pin.reference == reference), "")
