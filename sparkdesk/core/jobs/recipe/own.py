"""Reads SparkDesk's own recipe: the fields of a launch request by their own names, as TOML, YAML or JSON.

The one rule: a file is from outside, whoever wrote it: each text is checked as a stranger's is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkdesk.core.jobs.recipe.imported import Draft, show
from sparkdesk.core.jobs.recipe.risk import check_name, check_text
from sparkdesk.core.jobs.recipe.sparkrun import SHOWN, take_execution
from sparkdesk.core.jobs.recipe.template import list_rest, mapping_of, take_environment, take_title
from sparkdesk.core.jobs.request import LaunchRequest

_NAMES = (
    "model", "served_name", "weights_path", "image", "engine", "quantization", "kv_dtype", "speculative", "build",
    "speculative_model", "tool_parser", "reasoning_parser", "attention_backend", "moe_backend", "load_format",
)  # fmt: skip
_KNOWN = frozenset({*LaunchRequest.model_fields, "name", "executor_config"})


def take_own(draft: Draft, data: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Take such a recipe into the draft. Its node ids are listed: nodes are chosen where it is launched."""
    take_title(draft, data)
    for name, value in (dict(data) | dict(overrides)).items():
        if name not in LaunchRequest.model_fields or value is None:
            continue
        if name == "nodes":
            draft.leave("nodes", value, "Nodes are chosen in the form.")
        elif name == "reach":
            draft.leave("reach", value, "Who may reach the server is chosen in the form.")
        elif name == "custom":
            _take_custom(draft, value)
        elif name == "environment":
            pairs = dict(value) if _is_pairs(value) else value
            take_environment(draft, pairs)
        elif name == "extra_flags":
            _take_flags(draft, value)
        elif name in _NAMES and isinstance(value, str):
            if check_name(draft, name, value):
                draft.fields[name] = value
        elif name == "trust_remote_code" and value is True:
            draft.fields[name] = value
            draft.warn(
                name, "The model's own code would run in the container", "Leave it only if you trust its makers."
            )
        elif name != "system_prompt" or (isinstance(value, str) and check_text(draft, name, value)):
            draft.fields[name] = value
    take_execution(draft, mapping_of(draft, data, "executor_config"))
    list_rest(draft, data, _KNOWN, SHOWN)


def _take_custom(draft: Draft, value: object) -> None:
    """A command of the recipe's own: its words are checked like flags, and a person is told."""
    texts = [word for part in value.values() for word in _texts(part)] if isinstance(value, Mapping) else []
    if not all(check_text(draft, "custom", text) for text in texts):
        return
    draft.warn("custom", "This recipe starts a command of its own", "Read it before you launch it.")
    draft.fields["custom"] = value


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _is_pairs(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, list | tuple) and len(item) == 2 for item in value)


def _take_flags(draft: Draft, value: object) -> None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        draft.refuse(
            "extra_flags", f"extra_flags is {show(value)[:80]!r}, not a list of words", "Write a list of words."
        )
    elif all(check_text(draft, "extra_flags", item) for item in value):
        draft.fields["extra_flags"] = tuple(value)
