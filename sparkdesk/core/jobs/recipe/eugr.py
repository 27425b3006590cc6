"""Reads recipes of the first generation (eugr's launcher for vLLM): a container built by hand, values, a command.

The one rule: what changes the container (mods, build arguments) is shown and off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkdesk.core.jobs.recipe.imported import Draft, show
from sparkdesk.core.jobs.recipe.template import (
    leave_description,
    list_rest,
    take_image,
    take_template,
    take_title,
    values_of,
)

_KNOWN = frozenset({
    "recipe_version", "name", "description", "model", "container", "defaults", "env", "command", "solo_only",
    "cluster_only",
})  # fmt: skip
NODES_FOLLOW = "The number of nodes follows from the parallelism, and is held against this."
SHOWN = {"mods": "mod", "build_args": "build"}


def take_eugr(draft: Draft, data: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Take such a recipe into the draft."""
    take_title(draft, data)
    leave_description(draft, data)
    take_image(draft, data.get("container"))
    take_template(draft, data, values_of(draft, data, "defaults", overrides), "vllm")
    take_solo(draft, data)
    list_rest(draft, data, _KNOWN, SHOWN)


def take_solo(draft: Draft, data: Mapping[str, Any]) -> None:
    """Whether it wants one node, or several."""
    for key, bounds in (("solo_only", (1, 1)), ("cluster_only", (2, 64))):
        value = data.get(key)
        if value is not None and not isinstance(value, bool):
            draft.refuse(key, f"{key} is {show(value)[:80]!r}, not true or false", "Write true or false.")
        elif value is not None:
            draft.leave(key, value, NODES_FOLLOW)
            draft.node_bounds = bounds if value else draft.node_bounds
