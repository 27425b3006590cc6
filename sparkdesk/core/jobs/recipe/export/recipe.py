"""Writes a launch request as a recipe that sparkrun takes.

The one rule: what a recipe said and SparkDesk does not know is written back as it was; what the form says wins. A
value that the command does not ask for says nothing: where one would be needed, the command is written anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES, RUNTIMES, SECRETS, SIZE_FIELDS, EngineFlags
from sparkdesk.core.jobs.recipe.command.text import plain_environment, plain_flags, server_words
from sparkdesk.core.jobs.recipe.export.carried import carried, kept_environment, node_bounds
from sparkdesk.core.jobs.recipe.export.silence import silent_fields
from sparkdesk.core.jobs.recipe.export.yaml_lines import write_yaml
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.recipe.placeholder import ASKED
from sparkdesk.core.jobs.recipe.recipe import SPARKRUN, read_recipe
from sparkdesk.core.jobs.recipe.risk import SECRET_NAME
from sparkdesk.core.jobs.request import LaunchRequest

_RUNTIME = {"vllm": "vllm", "sglang": "sglang", "llamacpp": "llama-cpp", "trtllm": "trtllm"}
_ELSEWHERE = frozenset({
    "nodes", "system_prompt", "temperature", "build", "quantization", "purpose", "reach", "restart_limit",
    "stop_after_s", "weights_from", "custom",
})  # fmt: skip
"""Fields that no key of the format says: where it runs, for whom and how long, what a chat starts with, a checkpoint's
own format."""
_BOUNDS = frozenset({"min_nodes", "max_nodes", "solo_only", "cluster_only"})
_LITERAL = frozenset({"model", "quantization", "speculative"})
"""Stand in the command as the engine writes them."""


def export_recipe(request: LaunchRequest, *, origin: Imported | None = None) -> str:
    """The request as a sparkrun recipe (YAML). `origin`: what it was imported from, whose other keys are kept.

    Raises KeyError for an engine that SparkDesk has no flags of.
    """
    return write_yaml(recipe_of(request, origin=origin))


def recipe_of(request: LaunchRequest, *, origin: Imported | None = None) -> dict[str, Any]:
    """As `export_recipe`, as data."""
    engine = ENGINES[request.engine]
    silent, kept = silent_fields(request, origin), carried(origin)
    bounds = node_bounds(kept, origin, len(request.nodes))
    data: dict[str, Any] = {"recipe_version": "2"}
    data |= {key: value for key, value in kept.items() if key not in _BOUNDS or key in bounds}
    data["model"] = _model(request)
    if RUNTIMES.get(str(kept.get("runtime"))) != request.engine:
        data["runtime"] = _RUNTIME[request.engine]
    said = origin.fields.get("image", "") if origin and kept.keys() & {"container", "containers"} else ""
    if request.image != said:
        data.pop("containers", None)
        data["container"] = request.image or engine.image
    data |= bounds
    given = kept.get("defaults")
    defaults = _without_secrets(given) if isinstance(given, Mapping) else {}
    # In the order of the format: values, variables, command.
    full = _defaults(request, engine, defaults, silent)
    asked = _asked_names(kept.get("command"), defaults, kept.get("env"))
    data["defaults"] = defaults | {name: value for name, value in full.items() if name in asked}
    data["env"] = _environment(request, kept.get("env"), origin)
    if not data["env"]:
        del data["env"]
    if "command" not in kept or _has_secret(kept["command"]) or not _says(data, asked, request):
        data["defaults"] = full
        data["command"] = _command(request, engine, silent)
    return data


def _model(request: LaunchRequest) -> str:
    if request.engine == "llamacpp" and request.quantization and not request.weights_path:
        return f"{request.model}:{request.quantization}"
    return request.model


def _without_secrets(kept: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if not SECRET_NAME.search(str(name).upper())}


def _asked_names(command: object, defaults: Mapping[str, Any], env: object) -> frozenset[str]:
    """The names of the values that the recipe's own texts ask for."""
    texts = (command, *defaults.values(), *(env.values() if isinstance(env, Mapping) else ()))
    return frozenset(name for text in texts if isinstance(text, str) for name in ASKED.findall(text))


def _defaults(
    request: LaunchRequest, engine: EngineFlags, kept: Mapping[str, Any], silent: frozenset[str]
) -> dict[str, Any]:
    """The recipe's values for SparkDesk's command: those that have a field from the form, the others as they were."""
    values = {"host": "127.0.0.1"} | dict(kept)
    for flag in engine.flags:
        value = getattr(request, flag.field)
        is_said = flag.key in values or not (flag.field in silent or (flag.field in SIZE_FIELDS and value == 1))
        if not flag.key or flag.field in _LITERAL or not is_said:
            continue
        if value is None or value == "":
            values.pop(flag.key, None)
        else:
            is_shared = engine.engine == "llamacpp" and flag.field == "context_tokens"
            values[flag.key] = value * request.concurrency if is_shared else value
    return values


def _environment(request: LaunchRequest, kept: object, origin: Imported | None) -> dict[str, Any]:
    """The recipe's variables that SparkDesk did not take (they name another computer's), and the form's."""
    result = kept_environment(kept, origin)
    said = kept if isinstance(kept, Mapping) else {}
    for name, value in plain_environment(request):
        result[name] = said[name] if name in said and str(said[name]) == value else value
    return result


def _command(request: LaunchRequest, engine: EngineFlags, silent: frozenset[str]) -> str:
    """The command as a template, a flag a line, whose values come from `defaults`."""
    keys = {flag.names[0]: flag.key for flag in engine.flags if flag.key and flag.field not in _LITERAL}
    keys["--host"] = "host"
    words = server_words(request, engine, silent=silent)
    own = len(words) - len(plain_flags(request))
    lines = [" ".join(engine.program) + (" {model}" if engine.is_model_positional else "")]
    at = len(engine.program) + engine.is_model_positional
    while at < len(words):
        word = words[at]
        if word in keys and at < own:
            lines.append(f"{word} {{{keys[word]}}}")
            at += 2
            continue
        if word.startswith("--"):
            lines.append(shlex.quote(word))
        else:
            lines[-1] += f" {shlex.quote(word)}"
        at += 1
    return " \\\n  ".join(lines) + "\n"


def _has_secret(command: object) -> bool:
    return any(flag in str(command).replace("_", "-") for flag in SECRETS)


def _says(data: Mapping[str, Any], asked: frozenset[str], request: LaunchRequest) -> bool:
    """Whether the recipe with its old command, and the values that this asks for, is read as this request."""
    values = {name: value for name, value in data["defaults"].items() if name in asked}
    read = {"served_name": request.model} | dict(read_recipe({**data, "defaults": values}, kind=SPARKRUN).fields)
    return all(
        read.get(name, field.default) == getattr(request, name)
        for name, field in LaunchRequest.model_fields.items()
        if name not in _ELSEWHERE
    )
