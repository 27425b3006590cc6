"""Reads the words behind a server's name (model and flags) as fields of a launch request.

The one rule: each word ends in exactly one place: a field, the extra flags, or a list that says why not.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from sparkdesk.core.jobs.recipe.command.flag_map import (
    OPTION_FILES,
    SECRETS,
    SPECULATIVE_METHODS,
    SWITCH_KINDS,
    EngineFlags,
    Flag,
    spell,
)
from sparkdesk.core.jobs.recipe.command.words import Word
from sparkdesk.core.jobs.recipe.imported import Draft, show
from sparkdesk.core.jobs.recipe.risk import VARIABLE, check_name, check_text

SPECULATIVE_TOKENS = {"ngram": 5, "draft_model": 4, "dflash": 15}
"""Tokens that SparkDesk lets a draft guess when a request names the method alone; 3 for the others. Source: NVIDIA's
playbooks (mtp, eagle3, draft), vLLM's documentation (ngram), the community's recipe (dflash)."""
_OTHER_TOKENS = 3
_PROMPT_LOOKUP = 4
"""Of ngram, which looks the answer up in the prompt. Source: vLLM's documentation."""
_OWN = "SparkDesk gives this flag itself, by where and how it launches."
_PLACE = re.compile(r"\{[A-Za-z_]\w*\}")
_COUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kKmM]?)")
_UNITS = {"": 1, "k": 1000, "K": 1024, "m": 1_000_000, "M": 1 << 20}
_IS_SWITCH = re.compile(r"--(?:enable|disable|no)-")


def read_flags(draft: Draft, engine: EngineFlags, words: Sequence[Word]) -> None:
    """Take the server's words into the draft."""
    draft.fields["engine"] = engine.engine
    extra: list[str] = []
    at = 0
    while at < len(words):
        name, mark, value = words[at].text.partition("=")
        if not _is_flag(words[at].text):
            _take_positional(draft, engine, words[at])
            at += 1
            continue
        values = [Word(value, words[at].asks)] if mark else _values(engine, spell(name), words[at + 1 :])
        at += 1 if mark else 1 + len(values)
        extra += _take(draft, engine, name, values)
    if engine.engine == "llamacpp":
        extra = _settle_llamacpp(draft, extra)
    elif engine.engine in ("vllm", "sglang"):
        extra = _settle_pairs(draft, extra)
    if extra:
        draft.fields["extra_flags"] = (*draft.fields.get("extra_flags", ()), *extra)


def take_field(draft: Draft, flag: Flag, text: str) -> list[str]:
    """One value of a known concept into its field; what else must be passed on is returned as flags."""
    if _PLACE.fullmatch(text):
        draft.miss(flag.names[0], text, "A place in a template that nothing fills.")
        return []
    if flag.kind == "path" and text.startswith("$HOME/"):
        text = f"~{text[5:]}"  # the node's home, whoever pasted
    check = check_text if flag.kind == "speculative" else check_name
    if not check(draft, flag.field, text):
        return []
    if flag.field in draft.fields and flag.field != "engine":
        draft.leave(flag.names[0], show(draft.fields[flag.field]), "Said twice: the last one counts.")
    return _TAKERS.get(flag.kind, _take_text)(draft, flag, text)


def _is_flag(text: str) -> bool:
    return len(text) > 1 and text[0] == "-" and not re.match(r"-[0-9.]", text)


def _values(engine: EngineFlags, name: str, rest: Sequence[Word]) -> list[Word]:
    """The words that are this flag's values."""
    count = len(rest)
    for at, word in enumerate(rest):
        if _is_flag(word.text):
            count = at
            break
    if name in engine.many:
        return list(rest[:count])
    flag = engine.find(name)
    if flag is not None and flag.kind in SWITCH_KINDS:
        return []
    is_valued = flag is not None or name in engine.valued or name in SECRETS
    if not is_valued and (name in engine.switches or _IS_SWITCH.match(name)):
        return []
    return list(rest[: min(count, 1)])


def _take_positional(draft: Draft, engine: EngineFlags, word: Word) -> None:
    if word.text == "serve" and engine.engine == "trtllm" and "model" not in draft.fields:
        return
    if engine.is_model_positional and "model" not in draft.fields:
        if _PLACE.fullmatch(word.text):
            draft.miss("command", word.text, "A place in a template that nothing fills.")
        elif check_name(draft, "model", word.text):
            draft.fields["model"] = word.text
        return
    draft.miss("command", word.text, "This word belongs to no flag.")


def _take(draft: Draft, engine: EngineFlags, name: str, values: list[Word]) -> list[str]:
    """One flag: into its field, a list, or (returned) the extra flags."""
    spelled = spell(name)
    shown = " ".join(word.text for word in values)
    flag = engine.find(spelled)
    if flag is not None and flag.kind in SWITCH_KINDS:
        return _take_switch(draft, engine, flag, name, shown)
    if flag is not None and flag.field == "max_batched_tokens" and shown == "-1":
        return [name, shown]  # off, in SGLang's words: no number of tokens
    if flag is not None:
        if not values:
            draft.refuse(flag.field, f"{name} has no value", "Write its value behind it.")
            return []
        for word in values[1:]:
            draft.miss(name, word.text, "SparkDesk takes one value here.")
        return take_field(draft, flag, values[0].text)
    if spelled in SECRETS:
        draft.leave(name, "(not shown)", "A secret: SparkDesk takes it from this computer's keychain only.")
        return []
    if spelled in engine.own:
        draft.leave(name, shown, _OWN)
        return []
    return _keep(draft, engine, name, values)


def _take_switch(draft: Draft, engine: EngineFlags, flag: Flag, name: str, shown: str) -> list[str]:
    """A flag without a value says yes or no to its field."""
    if shown and shown not in ("true", "True"):
        draft.leave(name, shown, "A switch has no value; it is left out.")
        return []
    if spell(name) in engine.loads_code:
        draft.warn(
            flag.field,
            f"{name} lets the server run program text that is not its own",
            "Leave it only if you trust where that text comes from.",
        )
    draft.fields[flag.field] = flag.kind == "on"
    return []


def _keep(draft: Draft, engine: EngineFlags, name: str, values: list[Word]) -> list[str]:
    """A flag that has no field: passed on as it stands, if its text is safe."""
    for word in (Word(name), *values):
        if not check_text(draft, "extra_flags", word.text):
            return []
        if found := next((ask for ask in word.asks if VARIABLE.match(ask)), None):
            draft.refuse(
                "extra_flags",
                f"{name} says {show(found)}, not set in the text; SparkDesk takes no variables of this computer",
                "Write the value itself.",
            )
            return []
    spelled = spell(name)
    if spelled in OPTION_FILES and values and not _keep_file(draft, name, values[0].text):
        return []
    if spelled in engine.loads_code:
        draft.warn(
            "extra_flags",
            f"{name} lets the server run program text that is not its own",
            "Leave it only if you trust where that text comes from.",
        )
    known = engine.valued | engine.switches | engine.many
    if spelled not in known and not _IS_SWITCH.match(spelled):
        text = " ".join(word.text for word in values)
        why = f"Not in SparkDesk's table of {engine.title}'s flags: passed on as it stands."
        draft.miss(name, text, why, is_passed_on=True)
    return [name, *(word.text for word in values)]


def _keep_file(draft: Draft, name: str, path: str) -> bool:
    """Whether a flag that names a file of options stays; of a file that the text writes, the known options are read."""
    document = draft.documents.get(path)
    if document is None:
        draft.warn("extra_flags", f"{name} names the file {show(path)}", "See that the server finds it on each node.")
        return True
    share = re.search(r"\bfree_gpu_memory_fraction:\s{0,9}([0-9.]{1,12})", document)
    _, _, settings = document.partition("kv_cache_config:")
    cache = re.search(r"\bdtype:\s{0,9}[\"']?([a-z0-9_]{1,16})", settings[:1000])
    if share:
        _take_share(draft, Flag("memory_fraction", ()), share[1])
    if cache:
        draft.fields["kv_dtype"] = cache[1]
    draft.miss(name, path, "The text writes this file itself: only its memory share and cache type are taken.")
    return False


def _take_text(draft: Draft, flag: Flag, text: str) -> list[str]:
    draft.fields[flag.field] = text
    return []


def _take_whole(draft: Draft, flag: Flag, text: str) -> list[str]:
    draft.fields[flag.field] = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text
    return []


def _take_share(draft: Draft, flag: Flag, text: str) -> list[str]:
    try:
        draft.fields[flag.field] = float(text)
    except ValueError:
        draft.fields[flag.field] = text
    return []


def _take_tokens(draft: Draft, flag: Flag, text: str) -> list[str]:
    match = _COUNT.fullmatch(text)
    if match:
        draft.fields[flag.field] = math.floor(float(match[1]) * _UNITS[match[2]])
    elif text in ("auto", "-1"):
        draft.leave(flag.names[0], text, "The model's own longest context: choose one in the form.")
    else:
        draft.fields[flag.field] = text
    return []


def _take_slots(draft: Draft, flag: Flag, text: str) -> list[str]:
    if text == "0":
        draft.leave(flag.names[0], text, "The model's own longest context: choose one in the form.")
        return []
    return _take_whole(draft, flag, text)


def take_quantized(draft: Draft, flag: Flag, text: str) -> list[str]:
    """A repository with the format behind a colon."""
    draft.fields[flag.field], mark, quantization = text.partition(":")
    if mark:
        draft.fields["quantization"] = quantization
    return []


def _take_algorithm(draft: Draft, flag: Flag, text: str) -> list[str]:
    draft.fields[flag.field] = SPECULATIVE_METHODS.get(text.lower(), text.lower())
    return []


def _take_speculative(draft: Draft, flag: Flag, text: str) -> list[str]:
    """The method is the field; what the JSON says beyond that is passed on as the flag that it was."""
    settings = _json_object(text)
    method = settings.get("method") if settings else None
    if not isinstance(method, str):
        draft.refuse(flag.field, f"{show(text)[:120]!r} names no method", 'Write it as {"method": "mtp"}.')
        return []
    draft.fields[flag.field] = SPECULATIVE_METHODS.get(method, method)
    model, tokens = settings.get("model", "") if settings else "", (settings or {}).get("num_speculative_tokens")
    if not isinstance(model, str) or not isinstance(tokens, int) or isinstance(tokens, bool) or not 1 <= tokens <= 64:
        return [flag.names[0], text]
    plain = speculative_settings(method, model, tokens)
    if settings not in (plain, plain | {"moe_backend": "triton"}):
        return [flag.names[0], text]  # the adapter adds the second where the model needs it
    if model and check_name(draft, "speculative_model", model):
        draft.fields["speculative_model"] = model
    if plain != speculative_settings(method, model):
        draft.fields["speculative_tokens"] = tokens
    return []


def speculative_settings(method: str, model: str = "", tokens: int | None = None) -> dict[str, Any]:
    """vLLM's settings of a method, as a request names it."""
    guessed = tokens or SPECULATIVE_TOKENS.get(method, _OTHER_TOKENS)
    lookup = {"prompt_lookup_max": _PROMPT_LOOKUP} if method == "ngram" else {}
    return {"method": method} | ({"model": model} if model else {}) | {"num_speculative_tokens": guessed} | lookup


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text[:8192])
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


_TAKERS: dict[str, Callable[[Draft, Flag, str], list[str]]] = {
    "whole": _take_whole,
    "share": _take_share,
    "tokens": _take_tokens,
    "slots": _take_slots,
    "quantized": take_quantized,
    "algorithm": _take_algorithm,
    "speculative": _take_speculative,
}


def _settle_pairs(draft: Draft, extra: list[str]) -> list[str]:
    """Flags that go with a field, and that SparkDesk gives by itself where the field is set."""
    fields = draft.fields
    steps = fields.get("speculative_tokens")
    own: list[tuple[str, ...]] = [("--enable-auto-tool-choice",)] if fields.get("tool_parser") else []
    if isinstance(steps, int) and fields.get("engine") == "sglang":
        own += [("--speculative-eagle-topk", "1"), ("--speculative-num-draft-tokens", str(steps + 1))]
    if _leave_out(extra, ("--runner", "pooling")) or _leave_out(extra, ("--is-embedding",)):
        fields.setdefault("purpose", "embed")
    for words in own:
        if _leave_out(extra, words):
            draft.leave(words[0], " ".join(words[1:]), _OWN)
    return extra


def _leave_out(extra: list[str], words: tuple[str, ...]) -> bool:
    """Takes these words, side by side, out of the flags; whether they were there."""
    for at, word in enumerate(extra):
        if spell(word) == words[0] and tuple(extra[at + 1 : at + len(words)]) == words[1:]:
            del extra[at : at + len(words)]
            return True
    return False


def _settle_llamacpp(draft: Draft, extra: list[str]) -> list[str]:
    """What llama-server says in another unit or by two flags at once."""
    fields = draft.fields
    slots, context = fields.get("concurrency", 1), fields.get("context_tokens")
    if isinstance(context, int) and isinstance(slots, int) and slots > 0:
        fields["context_tokens"] = context // slots  # its context is shared by the slots
    path = fields.get("weights_path")
    if isinstance(path, str):
        fields.setdefault("model", name_of_file(path))
    kept: list[str] = []
    modes: dict[str, str] = {}
    at = 0
    while at < len(extra):
        name, value = extra[at], extra[at + 1] if at + 1 < len(extra) else ""
        if name in ("--split-mode", "-sm", "--rpc"):
            modes["rpc" if name == "--rpc" else "split"] = value
            draft.leave(name, value, _OWN)
            at += 2
        elif _is_own_llamacpp(fields, name, value):
            draft.leave(name, value, _OWN)
            at += 2
        else:
            kept.append(name)
            at += 1
    if modes.get("rpc"):
        size = "tensor_parallel_size" if modes.get("split") in ("row", "tensor") else "pipeline_parallel_size"
        fields[size] = modes["rpc"].count(",") + 2
    return kept


def name_of_file(path: str) -> str:
    """A model's name, made of its file's."""
    stem = re.sub(r"\.gguf$", "", path.rsplit("/", 1)[-1], flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9._-]", "-", stem).lstrip("-._")[:120] or "model"


def _is_own_llamacpp(fields: dict[str, Any], name: str, value: str) -> bool:
    if name in ("--cache-type-v", "-ctv"):
        return bool(value == fields.get("kv_dtype"))
    if name in ("--n-gpu-layers", "-ngl", "--gpu-layers"):
        return value in ("99", "999", "all", "-1")
    return name in ("--flash-attn", "-fa") and value in ("on", "1")
