"""Reading JSON that came from outside: a file, a node, an older release.

The one rule: every read says what type and what bound it accepts, and whatever else is there is one `PlanError` that
names the place; nothing but that error ever leaves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sparkdesk.core.errors import PlanError

REMEDY = "Make the plan again; if it came from a file or a node, that copy is damaged or from another release."


def parse_object(data: bytes, *, max_bytes: int, what: str) -> Fields:
    """The JSON object in `data`. Raises PlanError when it is too large, not JSON, or not an object."""
    if len(data) > max_bytes:
        raise PlanError(f"{what} has {len(data)} bytes, more than {max_bytes}", remedy=REMEDY)
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{what} is not JSON", remedy=REMEDY, detail=str(error)[:400]) from None
    return Fields.of(value, what)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


class Fields:
    """One JSON object, read field by field. Every method raises PlanError with the field's place in it."""

    __slots__ = ("_data", "where")

    def __init__(self, data: Mapping[str, Any], where: str) -> None:
        self._data = data
        self.where = where

    @classmethod
    def of(cls, value: object, where: str) -> Fields:
        """The value as an object."""
        if not isinstance(value, Mapping):
            raise PlanError(f"{where} is not an object", remedy=REMEDY)
        return cls(value, where)

    @property
    def data(self) -> Mapping[str, Any]:
        """The object as it is, for a reader that does its own checks."""
        return self._data

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._data.get(name) is not None

    def fail(self, name: str, why: str) -> PlanError:
        """The error for a field."""
        return PlanError(f"{self.where}.{name} {why}", remedy=REMEDY)

    def text(self, name: str, default: str | None = None, *, max_chars: int = 4096) -> str:
        """A string of at most `max_chars`."""
        value = self._data.get(name, default)
        if not isinstance(value, str):
            raise self.fail(name, "is not a text")
        if len(value) > max_chars:
            raise self.fail(name, f"is longer than {max_chars} characters")
        return value

    def whole(self, name: str, default: int | None = None, *, low: int, high: int) -> int:
        """An integer within the bounds."""
        value = self._data.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail(name, "is not a whole number")
        if not low <= value <= high:
            raise self.fail(name, f"is not within {low} to {high}")
        return value

    def whole_or_none(self, name: str, *, low: int, high: int) -> int | None:
        """An integer within the bounds, or None when it is null or missing."""
        return self.whole(name, low=low, high=high) if self.has(name) else None

    def number(self, name: str, default: float | None = None, *, low: float, high: float) -> float:
        """A finite number within the bounds."""
        value = self._data.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise self.fail(name, "is not a number")
        if not low <= value <= high or not math.isfinite(value):
            raise self.fail(name, f"is not within {low} to {high}")
        return float(value)

    def objects(self, name: str, *, max_items: int) -> list[Fields]:
        """A list of objects; a missing one is empty."""
        return [Fields.of(item, f"{self.where}.{name}[{i}]") for i, item in enumerate(self._list(name, max_items))]

    def texts(self, name: str, *, max_items: int, max_chars: int = 4096) -> tuple[str, ...]:
        """A list of strings; a missing one is empty."""
        items = self._list(name, max_items)
        if any(not isinstance(item, str) or len(item) > max_chars for item in items):
            raise self.fail(name, f"is not a list of texts of at most {max_chars} characters")
        return tuple(items)

    def wholes(self, name: str, *, max_items: int, low: int, high: int) -> tuple[int, ...]:
        """A list of integers within the bounds; a missing one is empty."""
        items = self._list(name, max_items)
        if any(not isinstance(item, int) or isinstance(item, bool) or not low <= item <= high for item in items):
            raise self.fail(name, f"is not a list of whole numbers within {low} to {high}")
        return tuple(items)

    def object(self, name: str) -> Fields:
        """An object."""
        return Fields.of(self._data.get(name), f"{self.where}.{name}")

    def _list(self, name: str, max_items: int) -> Sequence[Any]:
        items = self._data.get(name, [])
        if not isinstance(items, list):
            raise self.fail(name, "is not a list")
        if len(items) > max_items:
            raise self.fail(name, f"has more than {max_items} items")
        return items
