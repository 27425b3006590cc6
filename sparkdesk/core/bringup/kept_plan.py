"""A bring-up's plan as JSON and back, so that a later start of the program can go on with it.

The one rule: both ways lose nothing, and the way back trusts nothing: every value has the type that its noun says, or
there is one PlanError. The playbook is not in it: the run's journal holds that, and what runs is what was shown.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from sparkdesk.core.bringup.plan import BringUpPlan
from sparkdesk.core.errors import PlanError
from sparkdesk.core.step import Playbook
from sparkdesk.core.step_json import playbook_from_data, playbook_to_data
from sparkdesk.core.untrusted import REMEDY, Fields, parse_object

SCHEMA = 1
MAX_BYTES = 16 << 20
MAX_ITEMS = 20_000
MAX_CHARS = 1 << 20
NAN = "nan"


def plan_to_json(plan: BringUpPlan) -> bytes:
    """The plan without its playbook."""
    bare = replace(plan, playbook=Playbook(plan.playbook.title, ()))
    return json.dumps({"schema": SCHEMA, "plan": _to_data(bare)}, separators=(",", ":"), allow_nan=False).encode(
        "ascii"
    )


def plan_from_json(data: bytes, playbook: Playbook) -> BringUpPlan:
    """The plan of which this is the playbook. Raises PlanError."""
    found = parse_object(data, max_bytes=MAX_BYTES, what="bring-up")
    if found.whole("schema", low=1, high=1 << 30) != SCHEMA:
        raise PlanError("This bring-up was kept by another release of SparkDesk", remedy="Look at the nodes again.")
    plan = _from_data(BringUpPlan, found.object("plan").data, "plan")
    assert isinstance(plan, BringUpPlan)
    return replace(plan, playbook=playbook)


def _to_data(value: Any) -> Any:
    if isinstance(value, Playbook):
        return playbook_to_data(value)
    if is_dataclass(value):
        return {one.name: _to_data(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _to_data(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_to_data(item) for item in value]
    return NAN if isinstance(value, float) and math.isnan(value) else value


def _from_data(kind: Any, data: Any, where: str) -> Any:
    """The value of this type. Raises PlanError where the data have another."""
    if kind is Playbook:
        return playbook_from_data(Fields.of(data, where))
    if is_dataclass(kind):
        return _noun_from(kind, data, where)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if data is None else _from_data(next(one for one in inner if one is not type(None)), data, where)
    if origin is Mapping:
        return _mapping_from(inner[1], data, where)
    if origin in (tuple, frozenset):
        return _items_from(kind, data, where)
    if origin is Literal:
        return data if data in inner else _refuse(where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data) if data in [one.value for one in kind] else _refuse(where)
    return _plain_from(kind, data, where)


def _noun_from(kind: Any, data: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    known = {one.name for one in fields(kind)}
    if not isinstance(data, Mapping) or not known.issuperset(data):
        _refuse(where)
    try:
        return kind(**{name: _from_data(hints[name], item, f"{where}.{name}") for name, item in data.items()})
    except TypeError:  # a field without a default is missing
        _refuse(where)


def _mapping_from(kind: Any, data: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping) or len(data) > MAX_ITEMS:
        _refuse(where)
    return types.MappingProxyType({str(key): _from_data(kind, item, f"{where}.{key}") for key, item in data.items()})


def _items_from(kind: Any, data: Any, where: str) -> tuple[Any, ...] | frozenset[Any]:
    inner = get_args(kind)
    if not isinstance(data, list) or len(data) > MAX_ITEMS:
        _refuse(where)
    if get_origin(kind) is frozenset:
        return frozenset(_from_data(inner[0], item, where) for item in data)
    kinds = [inner[0]] * len(data) if inner[-1] is Ellipsis else list(inner)
    if len(kinds) != len(data):
        _refuse(where)
    return tuple(
        _from_data(one, item, f"{where}[{at}]") for at, (one, item) in enumerate(zip(kinds, data, strict=True))
    )


def _plain_from(kind: Any, data: Any, where: str) -> Any:
    if kind is float and data == NAN:
        return math.nan
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    if kind is int and isinstance(data, bool):
        _refuse(where)
    is_right = kind in (str, int, bool) and isinstance(data, kind)
    if not is_right or (isinstance(data, str) and len(data) > MAX_CHARS):
        _refuse(where)
    return data


def _refuse(where: str) -> Any:
    raise PlanError(f"{where} is not as it was kept", remedy=REMEDY)
