"""The three keys that recipe formats share: values (`defaults`), variables (`env`) and the command's template.

The one rule: the command is filled and read as text; where there is none, the values say the same flags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES, EngineFlags, spell
from sparkdesk.core.jobs.recipe.command.flag_reader import read_flags
from sparkdesk.core.jobs.recipe.command.line import read_command
from sparkdesk.core.jobs.recipe.command.words import Word
from sparkdesk.core.jobs.recipe.imported import Draft, show
from sparkdesk.core.jobs.recipe.placeholder import ASKED, render, text_of
from sparkdesk.core.jobs.recipe.risk import SECRET_NAME, SUBSTITUTION, check_name, check_text, check_variable
from sparkdesk.core.jobs.request import MODEL_PATTERN

_PLACE = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.]{0,127}\}")
MAX_VALUES = 256
MAX_VALUE_CHARS = 8192
_LOCAL_IMAGE = re.compile(r"vllm-node(?:[:@-].*)?")
_WIDE_KEYS = {"tp": "tensor_parallel", "pp": "pipeline_parallel", "dp": "data_parallel"}
_LONG_KEYS = {f"{key}_size": key for key in _WIDE_KEYS.values()} | _WIDE_KEYS


def take_template(draft: Draft, data: Mapping[str, Any], defaults: Mapping[str, str], engine: str) -> None:
    """Model, variables and flags of a recipe. `engine`: its key; "" lets the command tell."""
    defaults = _fill_values(draft, data, defaults)
    take_environment(draft, data.get("env"), defaults)
    model = _take_model(draft, data.get("model"))
    command = data.get("command")
    if command is not None and not isinstance(command, str):
        draft.refuse("command", "command is no text", "Write it as one text.")
        command = None
    values = {"model": model, **defaults} if model else dict(defaults)
    if command:
        _take_command(draft, command, values)
        engine = str(draft.fields.get("engine", "")) or engine
    if engine in ENGINES:
        draft.fields.setdefault("engine", engine)
        _take_values(draft, ENGINES[engine], defaults, command or "")
    is_open = "model" not in draft.fields or "weights_path" in draft.fields  # a file's name is only a guess
    if model and is_open and not any(problem.field == "model" for problem in draft.problems):
        _set_model(draft, model, engine)


def values_of(draft: Draft, data: Mapping[str, Any], key: str, overrides: Mapping[str, Any]) -> dict[str, str]:
    """A map of the recipe as texts, with a person's own values over it. What is no plain value is refused."""
    given = mapping_of(draft, data, key)
    values: dict[str, str] = {}
    for name, value in (dict(list(given.items())[:MAX_VALUES]) | dict(overrides)).items():
        where = f"{key}.{show(name)[:64]}"
        if value is None:
            continue
        if isinstance(value, Mapping | list | tuple):
            draft.refuse(where, f"{where} is a list or a map", "Write one value.")
        elif isinstance(value, int) and abs(value) >= 10**40:
            draft.refuse(where, f"{where} is {show(value)}", "Write a number that the engine takes.")
        elif len(text := text_of(value)) > MAX_VALUE_CHARS:
            draft.refuse(where, f"{where} has {len(text)} characters", f"Write at most {MAX_VALUE_CHARS}.")
        else:
            values[str(name)] = text
    return values


def mapping_of(draft: Draft, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A key's map; empty where it is missing; a problem where it is something else."""
    value = data.get(key)
    if value is None or isinstance(value, Mapping):
        return value or {}
    draft.refuse(key, f"{key} is {show(value)[:80]!r}, not a map of values", "Write it as lines of `key: value`.")
    return {}


def take_environment(draft: Draft, value: object, values: Mapping[str, str] | None = None) -> None:
    """The recipe's variables for the server; {config.key} in them is a value of the recipe."""
    for name, text in mapping_of(draft, {"env": value}, "env").items():
        if isinstance(text, Mapping | list):
            draft.refuse("environment", f"{show(name)[:64]} is a list or a map", "Write one value.")
        elif text is not None:
            _take_variable(draft, str(name), ASKED.sub(lambda key: (values or {}).get(key[1], key[0]), text_of(text)))


def _take_variable(draft: Draft, name: str, text: str) -> None:
    if found := _PLACE.search(text):
        draft.warn(
            "environment", f"{show(name)[:64]} asks for {found[0]}; it is not set", "Write its value in the form."
        )
        draft.miss(f"env.{name}", text, "Only the launcher that it was written for knows this.")
    elif check_variable(draft, "env", name, text):
        known = tuple(pair for pair in draft.fields.get("environment", ()) if pair[0] != name)
        draft.fields["environment"] = (*known, (name, text))


def _fill_values(draft: Draft, data: Mapping[str, Any], defaults: Mapping[str, str]) -> dict[str, str]:
    """The values with each other filled in; one that cannot be is refused."""
    known = {key: str(data[key]) for key in ("model", "model_revision") if isinstance(data.get(key), str)} | dict(
        defaults
    )
    filled: dict[str, str] = {}
    for name, text in defaults.items():
        try:
            filled[name] = render(text, known)[0]
        except PlanError as error:
            draft.refuse(f"defaults.{show(name)[:64]}", error.message, error.remedy)
    return filled


def take_image(draft: Draft, value: object) -> None:
    """The container's image."""
    if value is None:
        return
    if not isinstance(value, str):
        draft.refuse("image", f"The container {show(value)[:80]!r} is no image", "Write an image as registry/name:tag.")
    elif check_name(draft, "image", value):
        draft.fields["image"] = value
        if _LOCAL_IMAGE.fullmatch(value):
            draft.warn(
                "image",
                f"{value} is built by hand on each node: no registry has it to pull",
                "Build it there first, or choose another image, or leave it empty for SparkDesk's own.",
            )


def take_title(draft: Draft, data: Mapping[str, Any]) -> None:
    """The recipe's own name, which is shown and nothing else."""
    name = data.get("name")
    if name is None:
        return
    if not isinstance(name, str):
        draft.refuse("name", f"The name {show(name)[:80]!r} is no text", "Write it as a text.")
    elif check_name(draft, "name", name):
        draft.title = name


def leave_description(draft: Draft, data: Mapping[str, Any]) -> None:
    """What is written for people: kept for writing back, and in no field."""
    for key in ("description", "metadata"):
        if data.get(key) is not None:
            draft.leave(key, data[key], "For people only.")


def take_revision(draft: Draft, value: object) -> None:
    """A pinned revision of the weights."""
    if value is None:
        return
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", value):
        draft.refuse("model_revision", f"{show(value)[:80]!r} is no revision", "Write a commit, a tag or a branch.")
    elif draft.fields.get("engine") in ("vllm", "sglang") and "--revision" not in draft.fields.get("extra_flags", ()):
        draft.fields["extra_flags"] = (*draft.fields.get("extra_flags", ()), "--revision", value)
    else:
        draft.leave("model_revision", value, "A flag says it already, or the engine takes none.")


def list_rest(draft: Draft, data: Mapping[str, Any], known: frozenset[str], shown: Mapping[str, str]) -> None:
    """Every other key: hooks and mods are shown and off, the rest was not understood."""
    for key, value in data.items():
        name = str(key)
        if name in shown and value not in (None, [], {}, ""):
            for at, item in enumerate(value if isinstance(value, list) else [value]):
                draft.turn_off(shown[name], f"{name}[{at}]" if isinstance(value, list) else name, item)
            draft.warn(
                name,
                f"{show(name)} would change a computer; SparkDesk shows it and does not run it",
                "Do by hand on the nodes what the server needs of it.",
            )
        elif name not in known and name not in shown:
            draft.miss(name, value, "No key that SparkDesk knows: kept for writing back.")


def _take_model(draft: Draft, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        draft.refuse("model", f"The model {show(value)[:80]!r} is no text", "Write it as owner/name.")
        return ""
    if not check_name(draft, "model", value):
        return ""
    if not MODEL_PATTERN.match(value.partition(":")[0]):
        draft.refuse("model", f"The model {value[:80]!r} is no name of a model", "Write it as owner/name.")
        return ""
    return value


def _set_model(draft: Draft, model: str, engine: str) -> None:
    if engine == "llamacpp":
        draft.fields["model"], mark, quantization = model.partition(":")
        if mark:
            draft.fields["quantization"] = quantization
    else:
        draft.fields["model"] = model


def _take_command(draft: Draft, command: str, values: Mapping[str, str]) -> None:
    try:
        text, missing = render(command, values)
    except PlanError as error:
        draft.refuse("command", error.message, error.remedy)
        return
    for key in missing:
        if not any(problem.field in (key, f"defaults.{key}", "defaults", "params") for problem in draft.problems):
            draft.refuse("command", f"The command asks for {{{key}}}, which nothing sets", f"Add {key} to `defaults`.")
    if SUBSTITUTION.search(command):
        draft.refuse(
            "command",
            "The command asks a shell to run something inside it",
            "Nothing from a recipe is run: write the value itself.",
        )
    if not read_command(draft, text) and not any(problem.field in ("command", "engine") for problem in draft.problems):
        draft.refuse("command", "The command starts no model server", "Write vllm serve, sglang or llama-server.")


def _take_values(draft: Draft, engine: EngineFlags, defaults: Mapping[str, str], command: str) -> None:
    """The values that have a field or a flag. After a command they fill what it left open."""
    inner = Draft()
    said = {spell(word) for word in draft.fields.get("extra_flags", ()) if word.startswith("-")}
    rows = {flag.key: flag for flag in engine.flags if flag.key}
    words: list[Word] = []
    for name, text in defaults.items():
        row = rows.get(_LONG_KEYS.get(name, name))
        flag = f"--{name.replace('_', '-')}"
        is_open = flag not in said and f"{{{name}}}" not in command
        if row is not None:
            words += (Word(row.names[0]), Word(text))
        elif SECRET_NAME.search(name.upper()):
            draft.leave(
                f"defaults.{name}", "(not shown)", "A secret: SparkDesk takes it from this computer's keychain."
            )
        elif name == "host":
            draft.leave("defaults.host", text, "SparkDesk's servers answer on the node's own loopback.")
        elif flag in engine.switches and text in ("true", "false"):
            if text == "false":
                draft.leave(f"defaults.{name}", text, "Off.")
            words += [Word(flag)] if text == "true" and is_open else []
        elif flag in engine.valued | engine.own and is_open:
            words += (Word(flag), Word(text))
        elif f"{{{name}}}" not in command:
            draft.miss(
                f"defaults.{name}", text, "The command does not ask for it." if command else "No flag is so named."
            )
        else:
            check_text(draft, f"defaults.{show(name)[:64]}", text)
    read_flags(inner, engine, words)
    extra = inner.fields.pop("extra_flags", ())
    for name, value in inner.fields.items():
        draft.fields.setdefault(name, value)
    if extra:
        draft.fields["extra_flags"] = (*draft.fields.get("extra_flags", ()), *extra)
    draft.problems += inner.problems
    draft.set_aside += inner.set_aside
    draft.unknown += inner.unknown
