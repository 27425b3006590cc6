"""Reads YAML that came from outside (a recipe, a pasted text) as plain data: mappings, lists, texts, numbers.

The one rule: nothing is built but plain data, and nothing grows: no tag, no anchor, no second document, no key twice,
and bounds on size, depth and number of values are checked on the parser's events, before any value exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from sparkdesk.core.errors import SettingsError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
MAX_VALUES = 20_000
MAX_NUMBER_CHARS = 40
_RESOLVER = yaml.resolver.Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster, and not in every build
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_PLAIN = (*_NUMBERS, "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null")


def read_yaml(text: bytes | str) -> dict[str, Any]:
    """The mapping that the text is.

    Raises SettingsError for what is too large, no text, no YAML, not a mapping, or more than plain data; its message
    names the line.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_BYTES:
        raise SettingsError(f"The text has {len(data)} bytes", remedy=f"A recipe has at most {MAX_BYTES} bytes.")
    try:
        value = _Reader(yaml.parse(data.decode("utf-8"), Loader=_Loader)).document()
    except UnicodeDecodeError as error:
        raise SettingsError("The file is not text", remedy="Save it as UTF-8.", detail=str(error)[:200]) from None
    except yaml.YAMLError as error:
        raise SettingsError(
            _words(error, data), remedy="Write that line as plain YAML.", detail=str(error)[:400]
        ) from None
    if not isinstance(value, dict):
        raise SettingsError("The YAML is not a mapping", remedy="A recipe is lines of `key: value`.")
    return value


def _words(error: yaml.YAMLError, data: bytes) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        line = data.decode("utf-8")[: error.position].count("\n") + 1
        return f"Line {line} holds a character that YAML does not allow"
    mark = getattr(error, "problem_mark", None)
    where = f"Line {mark.line + 1} is no YAML" if mark is not None else "This is no YAML"
    return f"{where}: {getattr(error, 'problem', None) or 'it cannot be understood'}"


class _Reader:
    """One document, value by value. What it does not take is an error that names its line."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._count = 0

    def document(self) -> Any:
        """The only document's value; None of an empty text."""
        value: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _refusal(event, "starts a second document", "Keep one recipe in a file.")
                if event.tags:
                    raise _refusal(event, "declares tags", "Remove the %TAG line.")
                value = self._value(next(self._events), 0)
        return value

    def _value(self, event: yaml.Event, depth: int) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _refusal(event, f"is beyond {MAX_VALUES} values", "Split the recipe.")
        if depth > MAX_DEPTH:
            raise _refusal(event, f"is nested deeper than {MAX_DEPTH} levels", "Write it flatter.")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refusal(event, "has an anchor or alias (& or *)", "Write the value out where it is used.")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _refusal(event, f"has the tag {str(tag)[:60]!r}", "Remove the tag: a recipe is plain data.")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        return self._mapping(depth) if isinstance(event, yaml.MappingStartEvent) else self._sequence(depth)

    def _sequence(self, depth: int) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, depth + 1))
        return values

    def _mapping(self, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            if isinstance(key, dict | list):
                raise _refusal(event, "has a key that is no word", "Write keys as words.")
            name = event.value if isinstance(event, yaml.ScalarEvent) else str(key)
            if name in values:
                raise _refusal(event, f"has the key {name[:60]!r} a second time", "Remove one of them.")
            values[name] = self._value(next(self._events), depth + 1)
        return values


def _scalar(event: yaml.ScalarEvent) -> Any:
    """A text, unless it is unquoted and a number, a truth or nothing. A date stays the text that it is."""
    if not event.implicit[0]:
        return event.value
    resolve: Callable[..., str] = _RESOLVER.resolve
    tag = resolve(yaml.ScalarNode, event.value, (True, False))
    if tag not in _PLAIN:
        return event.value
    if tag in _NUMBERS and len(event.value) > MAX_NUMBER_CHARS:
        raise _refusal(event, f"has a number of {len(event.value)} digits", "Quote it if it is a text.")
    if tag in _NUMBERS and (":" in event.value or "_" in event.value):
        return event.value  # 12:30 is sixty times twelve only to YAML 1.1
    try:
        return _CONSTRUCTOR.yaml_constructors[tag](_CONSTRUCTOR, yaml.ScalarNode(tag, event.value))
    except (ValueError, OverflowError, KeyError):
        return event.value


def _refusal(event: yaml.Event, why: str, remedy: str) -> SettingsError:
    where = f"Line {event.start_mark.line + 1}" if event.start_mark is not None else "The text"
    return SettingsError(f"{where} {why}", remedy=remedy)
