"""The header of a GGUF file: its metadata and its table of tensors, read from the file's first bytes.

The one rule: the bytes are hostile. Every length and count is checked against what is there before it is used, so the
work is bounded by the size of the input; what is wrong raises a ModelFileError. Source: ggml's GGUF specification.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkdesk.core.models.fields import ModelFileError

MAX_HEAD_BYTES = 256 << 20
"""What may be given at most. Vocabularies make real headers a few MB, so 64 MiB of a file hold its header."""
_MAX_ENTRIES = 100_000
_MAX_TENSORS = 200_000
_MAX_TEXT_BYTES = 8 << 20
_MAX_DEPTH = 3
_KEPT_ENTRIES = 10_000
"""A longer array (a vocabulary) is passed over."""
_MAX_DIMENSIONS = 8
_MAX_ELEMENTS = 1 << 50
_NUMBERS: Final[Mapping[int, str]] = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
_TEXT, _ARRAY = 8, 9
TENSOR_TYPES: Final[Mapping[int, tuple[str, int, int]]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17),
}  # fmt: skip
"""ggml's number of a type -> its name, the values of a block, the bytes of a block. Source: ggml's type table."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of the table."""

    name: str
    shape: tuple[int, ...]
    type_name: str
    size_bytes: int

    @property
    def elements(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """Metadata (numbers, text, short lists) and tensors."""

    values: Mapping[str, object]
    tensors: tuple[Tensor, ...]


def read_header(head: bytes) -> Header:
    """The header in the first bytes of a GGUF file. Raises ModelFileError, also where the bytes end too early."""
    if len(head) > MAX_HEAD_BYTES:
        raise ModelFileError(f"More than {MAX_HEAD_BYTES >> 20} MiB were given as a GGUF's header", field="")
    if head[:4] != b"GGUF":
        raise ModelFileError("This is not a GGUF file", field="")
    cursor = _Cursor(head)
    version = cursor.number("I", "version")
    if version not in (2, 3):
        raise ModelFileError(f"GGUF version {version} is not known (2 and 3 are)", field="version")
    tensor_count = cursor.count("tensor_count", _MAX_TENSORS, least_bytes=24)
    entry_count = cursor.count("metadata_kv_count", _MAX_ENTRIES, least_bytes=13)
    values: dict[str, object] = {}
    for _ in range(entry_count):
        key = cursor.text("metadata")
        found = cursor.value(int(cursor.number("I", key)), key, 0)
        if found is not None:
            values[key] = found
    return Header(values, tuple(_read_tensor(cursor) for _ in range(tensor_count)))


def _read_tensor(cursor: _Cursor) -> Tensor:
    name = cursor.text("tensors")
    dimensions = int(cursor.number("I", "tensors"))
    if not 0 <= dimensions <= _MAX_DIMENSIONS:
        raise ModelFileError(f"A tensor has {dimensions} dimensions", field="tensors")
    shape = tuple(int(cursor.number("Q", "tensors")) for _ in range(dimensions))
    kind = int(cursor.number("I", "tensors"))
    cursor.number("Q", "tensors")
    elements = math.prod(shape)
    if not 0 < elements <= _MAX_ELEMENTS:
        raise ModelFileError("A tensor has no elements, or more than 2^50", field="tensors")
    if kind not in TENSOR_TYPES:
        raise ModelFileError(f"A tensor has type {kind}, which is not known", field="tensors")
    type_name, block, block_bytes = TENSOR_TYPES[kind]
    rows = elements // shape[0] if shape else 1
    return Tensor(name, shape, type_name, rows * math.ceil((shape[0] if shape else 1) / block) * block_bytes)


class _Cursor:
    """Where one reads; every step is checked against the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 4

    def number(self, code: str, field: str) -> int | float | bool:
        """One little-endian number of this struct code."""
        size = struct.calcsize(f"<{code}")
        self._must_have(size, field)
        (found,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += size
        return found  # type: ignore[no-any-return]  # struct's own type

    def count(self, field: str, most: int, *, least_bytes: int) -> int:
        """How many things follow, each of at least so many bytes."""
        found = int(self.number("Q", field))
        if found > most:
            raise ModelFileError(f"{_plain(field)} is {found:.3g}, more than {most:,}", field=_plain(field))
        self._must_have(found * least_bytes, field)
        return found

    def text(self, field: str) -> str:
        """A string with its length before it."""
        length = self.count(field, _MAX_TEXT_BYTES, least_bytes=1)
        found = self._data[self._at : self._at + length]
        self._at += length
        return found.decode("utf-8", "replace")

    def value(self, kind: int, field: str, depth: int) -> object:
        """A metadata value; None for an array that is too long to matter."""
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind], field)
        if kind == _TEXT:
            return self.text(field)
        if kind != _ARRAY:
            raise ModelFileError(f"{_plain(field)} has type {kind}, which is not known", field=_plain(field))
        if depth >= _MAX_DEPTH:
            raise ModelFileError(f"{_plain(field)} is nested too deep", field=_plain(field))
        return self._array(field, depth)

    def _array(self, field: str, depth: int) -> object:
        kind = int(self.number("I", field))
        size = struct.calcsize(f"<{_NUMBERS[kind]}") if kind in _NUMBERS else 8 if kind == _TEXT else 12
        count = self.count(field, len(self._data), least_bytes=size)
        if kind in _NUMBERS and count > _KEPT_ENTRIES:
            self._at += count * size
            return None
        if kind == _TEXT and count > _KEPT_ENTRIES:
            self._pass_texts(count, field)
            return None
        found = [self.value(kind, field, depth + 1) for _ in range(count)]
        return found if count <= _KEPT_ENTRIES else None

    def _pass_texts(self, count: int, field: str) -> None:
        """Go beyond a vocabulary without reading its words."""
        data, at, end = self._data, self._at, len(self._data)
        for _ in range(count):
            at += 8 + int.from_bytes(data[at : at + 8], "little")
            if at > end:
                self._must_have(end + 1, field)
        self._at = at

    def _must_have(self, size: int, field: str) -> None:
        if size > len(self._data) - self._at:
            raise ModelFileError(
                f"The file ends within its header, at {_plain(field)}",
                field=_plain(field),
                remedy="Copy the file again, or read more of its beginning.",
            )


def _plain(field: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in field[:80])
