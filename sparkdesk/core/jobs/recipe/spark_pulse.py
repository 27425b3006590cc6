"""Reads spark-pulse's recipes: values by neutral names (`params`), an image for each engine, a command as a way out.

The one rule: the same as for the others: values become fields, what would change a computer is shown and off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES, RUNTIMES
from sparkdesk.core.jobs.recipe.command.flag_reader import read_flags
from sparkdesk.core.jobs.recipe.command.words import Word, split_script
from sparkdesk.core.jobs.recipe.eugr import NODES_FOLLOW, take_solo
from sparkdesk.core.jobs.recipe.imported import Draft, show
from sparkdesk.core.jobs.recipe.sparkrun import SHOWN
from sparkdesk.core.jobs.recipe.template import (
    leave_description,
    list_rest,
    mapping_of,
    take_image,
    take_template,
    take_title,
    values_of,
)

_KNOWN = frozenset({
    "recipe_version", "name", "description", "model", "engine", "serves", "constraints", "params", "engines", "command",
    "env",
})  # fmt: skip


def take_spark_pulse(draft: Draft, data: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Take such a recipe into the draft."""
    take_title(draft, data)
    leave_description(draft, data)
    name = data.get("engine", "vllm")
    engine = RUNTIMES.get(name, "") if isinstance(name, str) else ""
    if not engine:
        draft.refuse("engine", f"SparkDesk has no engine {show(name)[:60]!r}", "Choose vLLM or llama.cpp.")
    own = mapping_of(draft, mapping_of(draft, data, "engines"), str(name)) if data.get("engines") is not None else {}
    take_image(draft, own.get("image"))
    take_template(draft, data, values_of(draft, data, "params", overrides), engine)
    _take_arguments(draft, own.get("args"), engine)
    for key in own:
        if key not in ("image", "args"):
            draft.miss(f"engines.{show(name)[:32]}.{show(key)[:64]}", own[key], "No key that SparkDesk knows.")
    for key, value in data["engines"].items() if isinstance(data.get("engines"), Mapping) else ():
        if key != name:
            draft.leave(f"engines.{show(key)[:32]}", value, "Another engine's part.")
    constraints = mapping_of(draft, data, "constraints")
    take_solo(draft, constraints)
    for key in constraints:
        if key not in ("solo_only", "cluster_only", "min_nodes"):
            draft.miss(f"constraints.{show(key)[:64]}", constraints[key], "No key that SparkDesk knows.")
    least = constraints.get("min_nodes")
    if isinstance(least, int) and not isinstance(least, bool) and 1 <= least <= 64:
        draft.leave("constraints.min_nodes", least, NODES_FOLLOW)
        draft.node_bounds = (max(least, draft.node_bounds[0]), draft.node_bounds[1])
    elif least is not None:
        draft.refuse("constraints.min_nodes", f"{show(least)[:60]!r} is no number of nodes", "Write a whole number.")
    if data.get("serves") is not None:
        draft.leave("serves", data["serves"], "For people only.")
    list_rest(draft, data, _KNOWN, SHOWN)


def _take_arguments(draft: Draft, value: object, engine: str) -> None:
    """More flags of the engine: a list of words, or one text."""
    if value is None or not engine:
        return
    try:
        words = [word for each in split_script(value) for word in each.words] if isinstance(value, str) else None
    except PlanError as error:
        draft.refuse("extra_flags", error.message, error.remedy)
        return
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        words = [Word(str(item)) for item in value[:256]]
    if words is None:
        draft.refuse("extra_flags", f"args is {show(value)[:80]!r}, not a list of words", "Write a list of words.")
        return
    read_flags(draft, ENGINES[engine], words)
