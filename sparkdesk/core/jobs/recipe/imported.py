"""What came out of a recipe or a pasted text: fields of a launch request, and everything that did not become one.

The one rule: nothing is dropped in silence and nothing is run. What was not understood, what was understood and not
taken, and what stays off (hooks, mods) is listed with its place; what may not be is a problem at its field.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.plan import Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.plain_text import make_line

MAX_SHOWN_CHARS = 400
MAX_LISTED = 500
_FILLER = {"engine": "x", "model": "x", "nodes": ("x",), "served_name": "x"}
"""Stands where a field is not known while the others are checked."""
_SIZES = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of the text that did not become a field: where it stood, what it said (plain, cut), why it was left."""

    where: str
    text: str
    why: str
    is_passed_on: bool = False
    """It is among the extra flags as it stands: the server may know it."""


@dataclass(frozen=True, slots=True)
class ShownOnly:
    """A part that would change a computer if somebody ran it (a hook, a mod): shown, and off."""

    kind: str
    """hook, mod, build, include."""
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of reading. `fields` are valid values of `LaunchRequest`, those that the text gave."""

    source_kind: str
    """sparkrun, eugr, spark-pulse, sparkdesk, command, hub, gguf, or "" when nothing was understood."""
    title: str = ""
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    nodes_wanted: int = 1
    """Tensor x pipeline x data parallel: each node has one GPU."""
    unknown: tuple[Unread, ...] = ()
    set_aside: tuple[Unread, ...] = ()
    """Understood, and not taken: SparkDesk does it itself or needs it for nothing."""
    shown_only: tuple[ShownOnly, ...] = ()
    problems: tuple[Problem, ...] = ()
    digest: str = ""
    """SHA-256 (hex) over the exact bytes: what a person approves."""
    origin: Mapping[str, Any] | None = None
    """A recipe's whole data, for writing it back with what SparkDesk does not know."""

    @property
    def has_errors(self) -> bool:
        """Whether something forbids the launch."""
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def is_approved(self, approved: Collection[str]) -> bool:
        """Whether a person has approved exactly these bytes."""
        return bool(self.digest) and self.digest in approved

    def request(self, nodes: tuple[str, ...]) -> LaunchRequest:
        """The launch request on these nodes, in rank order.

        Raises PlanError when a problem forbids it, or when there are not as many nodes as it takes.
        """
        for problem in self.problems:
            if problem.severity is Severity.ERROR:
                raise PlanError(problem.message, remedy=problem.remedy, detail=problem.field)
        if "engine" not in self.fields or "model" not in self.fields:
            raise PlanError("The text names no engine or no model", remedy="Choose both in the form.")
        if len(nodes) != self.nodes_wanted:
            raise PlanError(
                f"This takes {self.nodes_wanted} nodes, {len(nodes)} are chosen",
                remedy="Choose as many nodes as tensor x pipeline x data parallel.",
            )
        named = {"served_name": self.fields["model"]} | dict(self.fields)
        return LaunchRequest.model_validate(named | {"nodes": nodes})


def digest_of(text: bytes | str) -> str:
    """SHA-256 (hex) of the exact bytes."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return hashlib.sha256(data).hexdigest()


def show(value: object) -> str:
    """Any value as one plain line of bounded length."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return "a number of more than 40 digits"
    if isinstance(value, bool | dict | list):
        value = _as_json(value)
    return make_line(str(value), max_chars=MAX_SHOWN_CHARS)


def _as_json(value: object) -> object:
    """Data in the words of the format that it came in, not of Python."""
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        return value


class Draft:
    """Gathers what a reader finds; `settle` checks it and makes the result."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.noted: dict[str, Any] = {}
        """What SparkDesk's own comment in a command says; it wins over the flags."""
        self.unknown: list[Unread] = []
        self.set_aside: list[Unread] = []
        self.shown_only: list[ShownOnly] = []
        self.problems: list[Problem] = []
        self.documents: dict[str, str] = {}
        """Files that the text would write, by their path."""
        self.node_bounds: tuple[int, int] = (1, 64)
        self.title = ""

    def miss(self, where: str, text: object, why: str, *, is_passed_on: bool = False) -> None:
        """This was not understood."""
        self.unknown.append(Unread(show(where), show(text), why, is_passed_on))

    def leave(self, where: str, text: object, why: str) -> None:
        """This was understood and is not taken."""
        self.set_aside.append(Unread(show(where), show(text), why))

    def turn_off(self, kind: str, where: str, text: object) -> None:
        """This is shown and never run."""
        self.shown_only.append(ShownOnly(kind, show(where), show(text)))

    def refuse(self, place: str, message: str, remedy: str) -> None:
        """An error at a field (or at the place in the text, where there is no field for it)."""
        self.problems.append(Problem(Severity.ERROR, show(message), remedy, place))

    def warn(self, place: str, message: str, remedy: str) -> None:
        """Something a person should know before the launch."""
        self.problems.append(Problem(Severity.WARNING, show(message), remedy, place))

    def note(self, place: str, message: str, remedy: str) -> None:
        """Something that will be otherwise than the text's author may expect."""
        self.problems.append(Problem(Severity.NOTE, show(message), remedy, place))

    def settle(self, kind: str, digest: str, origin: Mapping[str, Any] | None = None) -> Imported:
        """The result: fields checked by the request's own rules, each once."""
        fields = self._checked()
        for name in ("engine", "model") if kind else ():
            if name in fields or any(problem.field == name for problem in self.problems):
                continue
            say = self.note if (name, kind) == ("engine", "hub") else self.refuse  # an address is about a model only
            say(name, f"The text does not say which {name}", f"Choose the {name} in the form.")
        wanted = math.prod(int(fields.get(name, 1)) for name in _SIZES)
        self._check_nodes(wanted)
        return Imported(
            source_kind=kind,
            title=show(self.title)[:200],
            fields=MappingProxyType(fields),
            nodes_wanted=wanted,
            unknown=tuple(dict.fromkeys(self.unknown))[:MAX_LISTED],
            set_aside=tuple(dict.fromkeys(self.set_aside))[:MAX_LISTED],
            shown_only=tuple(self.shown_only)[:MAX_LISTED],
            problems=tuple(dict.fromkeys(self.problems))[:MAX_LISTED],
            digest=digest,
            origin=origin,
        )

    def _checked(self) -> dict[str, Any]:
        given = self.fields | self.noted
        try:
            request = LaunchRequest.model_validate(_FILLER | given)
        except (ValidationError, RecursionError) as error:
            faults = error.errors(include_url=False, include_input=False) if isinstance(error, ValidationError) else []
            for fault in faults:
                name = str(fault["loc"][0]) if fault["loc"] else ""
                if name in given:
                    value = given.pop(name)
                    self.refuse(name, f"{name} cannot be {show(value)[:120]!r}: {_words(fault['msg'])}", _remedy(name))
            try:
                request = LaunchRequest.model_validate(_FILLER | given)
            except (ValidationError, RecursionError):
                self.refuse("", "The fields do not fit together", "Fill in the form by hand.")
                return {}
        return {name: getattr(request, name) for name in given}

    def _check_nodes(self, wanted: int) -> None:
        low, high = self.node_bounds
        if low <= wanted <= high:
            return
        bounds = f"{low}" if low == high else f"{low} to {high}"
        self.refuse(
            "tensor_parallel_size",
            f"Tensor x pipeline x data parallel takes {wanted} nodes (one GPU each), the text asks for {bounds}",
            "Choose parallelism whose product is the number of nodes.",
        )


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")


def _remedy(name: str) -> str:
    if name in ("model", "served_name"):
        return "Write it as owner/name: letters, digits, dot, dash and underscore only."
    return "Correct it in the recipe, or choose a value in the form."
