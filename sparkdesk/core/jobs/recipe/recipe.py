"""Reads a recipe's data: which format it is, and what it asks for.

The one rule: a format is told by its keys, never by the version that it claims; every key ends in a field or a list.
Precedence, as in the formats: overrides (a person's own) > `defaults` > the engine's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sparkdesk.core.jobs.recipe.completion import complete
from sparkdesk.core.jobs.recipe.eugr import take_eugr
from sparkdesk.core.jobs.recipe.imported import Draft, Imported, show
from sparkdesk.core.jobs.recipe.own import take_own
from sparkdesk.core.jobs.recipe.spark_pulse import take_spark_pulse
from sparkdesk.core.jobs.recipe.sparkrun import take_sparkrun
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.models.spec import ModelSpec

SPARKRUN, EUGR, SPARK_PULSE, OWN = "sparkrun", "eugr", "spark-pulse", "sparkdesk"
_TAKERS = {SPARKRUN: take_sparkrun, EUGR: take_eugr, SPARK_PULSE: take_spark_pulse, OWN: take_own}
_OWN_KEYS = frozenset(LaunchRequest.model_fields) - {"model", "engine"}
_SPARK_PULSE_KEYS = frozenset({"engines", "params", "serves", "constraints"})
_EUGR_KEYS = frozenset({"build_args", "mods", "solo_only", "cluster_only"})
_SHARED_KEYS = frozenset({"recipe_version", "name", "description", "model", "container", "defaults", "env", "command"})


def kind_of(data: Mapping[str, Any]) -> str:
    """The format of a recipe, by its keys; "" when it has none of any format's."""
    keys = set(data)
    if "engine" in keys and keys & _OWN_KEYS and not keys & (_SPARK_PULSE_KEYS | {"defaults", "command"}):
        return OWN
    if keys & _SPARK_PULSE_KEYS or ("engine" in keys and "defaults" not in keys):
        return SPARK_PULSE
    if keys & _EUGR_KEYS and keys <= _SHARED_KEYS | _EUGR_KEYS:
        return EUGR
    if keys - {"model"} <= _SHARED_KEYS and keys & {"container", "command", "defaults"} and not _is_new(data):
        return EUGR
    return SPARKRUN if "model" in keys or keys & {"runtime", "container", "containers", "defaults", "command"} else ""


def take_recipe(
    draft: Draft, data: Mapping[str, Any], *, kind: str = "", overrides: Mapping[str, Any] | None = None
) -> str:
    """Take a recipe into the draft; its format."""
    kind = kind or kind_of(data)
    if not kind:
        draft.refuse("model", "This has none of a recipe's keys", "A recipe names at least its model.")
        for key, value in data.items():
            draft.miss(str(key), value, "No key of a recipe.")
        return ""
    version = data.get("recipe_version")
    if kind != OWN and version is not None and str(version) not in ("1", "2"):
        draft.note(
            "recipe_version",
            f"It says recipe_version {show(version)[:60]!r}; SparkDesk knows 1 and 2",
            f"It was read by its keys, as a recipe of {kind}: look through what was understood.",
        )
    _TAKERS[kind](draft, data, overrides or {})
    return kind


def read_recipe(
    data: Mapping[str, Any],
    *,
    kind: str = "",
    digest: str = "",
    overrides: Mapping[str, Any] | None = None,
    catalogue: Sequence[ModelSpec] = (),
    backends: Collection[str] = (),
) -> Imported:
    """A recipe's data (from a safe loader) as fields of a launch request. Never raises."""
    draft = Draft()
    found = take_recipe(draft, data, kind=kind, overrides=overrides)
    complete(draft, catalogue, backends)
    return draft.settle(found, digest, data)


def _is_new(data: Mapping[str, Any]) -> bool:
    """Both formats may have the shared keys alone: then only the version is left to tell them apart."""
    return str(data.get("recipe_version", "2")) != "1"
