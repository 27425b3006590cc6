"""Values of a model's own files (config.json, a GGUF's header), each with its type and range: both are hostile.

The one rule: what is wrong raises a ModelFileError that names its field, whatever was written there; what is not there
is `None`, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.plan import Problem, Severity

MOST = 1 << 40
"""No size in a shape is larger."""
MOST_LAYERS = 10_000
_REMEDY = "Take the model's own file from its publisher, or choose the model from the catalogue."


class ModelFileError(PlanError):
    """A model's file that cannot be understood; `field` is where."""

    def __init__(self, message: str, *, field: str, remedy: str = _REMEDY) -> None:
        super().__init__(message, remedy=remedy)
        self.field = field

    @property
    def problem(self) -> Problem:
        """The same as a problem of a plan or a form."""
        return Problem(Severity.ERROR, self.message, self.remedy, self.field)


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping whose keys are text and whose values may be anything. `path` is where it stands, for messages."""

    values: Mapping[str, object]
    path: str = ""

    def has(self, *names: str) -> bool:
        """Whether one of these is there and not null."""
        return any(self.values.get(name) is not None for name in names)

    def count(self, *names: str, most: int = MOST, least: int = 1) -> int | None:
        """The first of these that is there, as a whole number from `least` to `most`; None where none is."""
        for name in names:
            value = self.values.get(name)
            if value is None:
                continue
            if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
                value = int(value)
            if isinstance(value, bool) or not isinstance(value, int):
                raise self.wrong(name, f"is not a whole number: {show(value)}")
            if not least <= value <= most:
                raise self.wrong(name, f"must be between {least} and {most:,}: {show(value)}")
            return value
        return None

    def need(self, *names: str, most: int = MOST) -> int:
        """As `count`, but it must be there."""
        found = self.count(*names, most=most)
        if found is None:
            raise self.wrong(names[0], "is missing")
        return found

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, f"is neither true nor false: {show(value)}")
        return value

    def word(self, name: str, *, most: int = 200) -> str:
        """Text; "" where there is none."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > most:
            raise self.wrong(name, f"is not text of at most {most} characters: {show(value)}")
        return value

    def entries(self, name: str, *, most: int = MOST_LAYERS) -> tuple[object, ...] | None:
        """A list of at most `most` entries; None where there is none."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            raise self.wrong(name, f"is not a list: {show(value)}")
        if len(value) > most:
            raise self.wrong(name, f"has {len(value):,} entries, more than {most:,}")
        return tuple(value)

    def words(self, name: str, *, most: int = MOST_LAYERS) -> tuple[str, ...] | None:
        """A list of short texts; None where there is none."""
        found = self.entries(name, most=most)
        if found is None:
            return None
        words = tuple(each for each in found if isinstance(each, str) and len(each) <= 200)
        if len(words) != len(found):
            raise self.wrong(name, "is not a list of words")
        return words

    def under(self, name: str) -> Fields | None:
        """The mapping of this name; None where there is none."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise self.wrong(name, f"is not an object: {show(value)}")
        return Fields(value, f"{self.path}{name}.")

    def wrong(self, name: str, words: str) -> ModelFileError:
        """An error at a field of this mapping."""
        field = f"{self.path}{name}"
        return ModelFileError(f"{field} {words}", field=field)


def show(value: object) -> str:
    """A hostile value in few plain characters."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**24:
        return "a number of more than 24 digits"
    if isinstance(value, str | int | float | bool | None):
        return "".join(char if char.isprintable() else "?" for char in repr(value)[:60])
    return f"a {type(value).__name__}"
