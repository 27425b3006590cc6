"""A model given as a file or a folder: which file says what it is, and the spec from that file's bytes.

The one rule: nothing is read here; who opens files gives their first bytes and their sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sparkdesk.core.models.config import examine_config
from sparkdesk.core.models.fields import ModelFileError
from sparkdesk.core.models.gguf import HEAD_BYTES, read_gguf
from sparkdesk.core.models.spec import ModelSpec

CONFIG_NAME: Final = "config.json"
"""What tells a folder's model."""
WEIGHT_SUFFIX: Final = ".safetensors"
"""Files of a folder whose sizes together are its weights."""
GGUF_SUFFIX: Final = ".gguf"
READ_BYTES: Final = HEAD_BYTES
"""How much of a file's beginning is enough."""


def spec_from_bytes(
    head: bytes, *, name: str, weight_bytes: int | None = None, others: Sequence[bytes] = ()
) -> ModelSpec:
    """The spec of a model from the first bytes (`READ_BYTES`) of its config.json or GGUF. Raises ModelFileError.

    `weight_bytes` is what the weight files beside a config.json take together, where they lie there: it is believed
    before what the shape gives. `others` are the beginnings of a split GGUF's further files.
    """
    if head[:4] == b"GGUF":
        return read_gguf(head, name=name, others=others)
    reading = examine_config(head, name=name)
    if reading.spec is None:
        (problem,) = reading.problems
        raise ModelFileError(problem.message, field=problem.field, remedy=problem.remedy)
    return reading.spec if weight_bytes is None else _weighed(reading.spec, weight_bytes)


def _weighed(spec: ModelSpec, weight_bytes: int) -> ModelSpec:
    """The spec with its one format as large as its files are."""
    if not spec.formats or weight_bytes <= 0:
        return spec
    (computed,) = spec.formats
    scale = weight_bytes / computed.weight_bytes
    seen = replace(
        computed,
        weight_bytes=weight_bytes,
        expert_bytes=int(computed.expert_bytes * scale),
        unread_bytes=int(computed.unread_bytes * scale),
        source="size of its files",
    )
    return replace(spec, formats=(seen,), weight_bytes={"": weight_bytes, seen.key: weight_bytes})
