"""What an imported recipe said beyond a launch request, as keys that a sparkrun recipe may have.

The one rule: nothing of it is lost. What the format has no key for stands under `metadata`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.recipe.recipe import EUGR, OWN, SPARK_PULSE, SPARKRUN
from sparkdesk.core.jobs.recipe.risk import SECRET_NAME
from sparkdesk.core.jobs.request import LaunchRequest

_BOUNDS = ("min_nodes", "solo_only", "cluster_only")
_ASIDE = ("serves", "constraints", "engines")
"""Keys of spark-pulse; in a sparkrun recipe they would make it one of the other format."""
_REFERENCE = re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?")


def carried(origin: Imported | None) -> dict[str, Any]:
    """All keys of the recipe but its version; {} where the request came from no recipe."""
    if origin is None or origin.origin is None:
        return {}
    data = {str(key): value for key, value in origin.origin.items() if key != "recipe_version"}
    if origin.source_kind in (SPARKRUN, EUGR):
        return data
    if origin.source_kind == SPARK_PULSE:
        return _of_spark_pulse(data)
    if origin.source_kind == OWN:
        return {key: value for key, value in data.items() if key not in LaunchRequest.model_fields}
    return {}


def node_bounds(kept: Mapping[str, Any], origin: Imported | None, count: int) -> dict[str, Any]:
    """How many nodes: as the recipe said, where `count` nodes are among what it allows; a silent one stays so."""
    if origin is None or origin.source_kind not in (SPARKRUN, EUGR, SPARK_PULSE):
        return {"min_nodes": count, "max_nodes": count}
    found = {key: kept[key] for key in (*_BOUNDS, "max_nodes") if key in kept}
    for key, is_outside in (
        ("min_nodes", (found.get("min_nodes") or 1) > count),
        ("max_nodes", (found.get("max_nodes") or count) < count),
    ):
        if is_outside:
            found[key] = count
    for key, is_outside in (("solo_only", count > 1), ("cluster_only", count == 1)):
        if found.get(key) and is_outside:
            del found[key]
    return found


def kept_environment(kept: object, origin: Imported | None) -> dict[str, Any]:
    """The recipe's variables that are not the form's: what SparkDesk did not take. A secret's own text is not kept."""
    if not isinstance(kept, Mapping) or origin is None:
        return {}
    taken = {name for name, _ in origin.fields.get("environment", ())}
    return {
        str(name): value
        for name, value in kept.items()
        if str(name) not in taken
        and (not SECRET_NAME.search(str(name).upper()) or _REFERENCE.fullmatch(str(value).strip()))
    }


def _of_spark_pulse(data: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in data.items() if key not in (*_ASIDE, "engine", "params")}
    if "params" in data:
        rest["defaults"] = data["params"]
    aside = {key: data[key] for key in _ASIDE if key in data}
    constraints = aside.pop("constraints", None)
    if isinstance(constraints, Mapping):
        rest |= {key: constraints[key] for key in _BOUNDS if key in constraints}
        if others := {key: value for key, value in constraints.items() if key not in _BOUNDS}:
            aside["constraints"] = others
    if aside:
        known = rest.get("metadata", {})
        rest["metadata"] = {**(known if isinstance(known, Mapping) else {"metadata": known}), "spark_pulse": aside}
    return rest
