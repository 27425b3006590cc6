"""Reads a model that a person points at: a config.json, the folder that holds one, or a .gguf.

The one rule: reads are bounded and from the named file (and the further files of a split one) alone; what cannot be
read is one error with a next step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.plan import Problem
from sparkdesk.core.models.config import examine_config, read_config
from sparkdesk.core.models.gguf import HEAD_BYTES, read_gguf
from sparkdesk.core.models.spec import ModelSpec

CONFIG_NAME = "config.json"
CONFIG_MAX_BYTES = 4 << 20
OTHER_HEAD_BYTES = 8 << 20
"""Of the further files of a split model, which hold a table of tensors and no words."""
MAX_FILES = 256
REMEDY = "Name a config.json, a folder that holds one, or a .gguf file."
_SPLIT = re.compile(r"^(.*)-00001-of-(\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model from a file, and what is doubtful about it."""

    spec: ModelSpec
    doubts: tuple[Problem, ...] = ()


def read_model(path: Path) -> FoundModel:
    """The model in a config.json, in a folder that holds one (or a .gguf), or in a .gguf.

    Raises PlanError: not there, not readable, too large, or not what it says it is.
    """
    file = _file_in(path)
    if file.suffix.lower() == ".gguf":
        others = tuple(_head(other, OTHER_HEAD_BYTES) for other in _other_files(file))
        return FoundModel(read_gguf(_head(file, HEAD_BYTES), name=file.stem, others=others))
    head = _head(file, CONFIG_MAX_BYTES + 1)
    if len(head) > CONFIG_MAX_BYTES:
        raise PlanError(f"{file.name} is larger than {CONFIG_MAX_BYTES >> 20} MiB", remedy=REMEDY)
    name = file.parent.resolve().name or "model"
    reading = examine_config(head, name=name)
    return FoundModel(reading.spec or read_config(head, name=name), reading.problems)


def _head(file: Path, most: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise PlanError(f"{file.name} cannot be read", remedy=REMEDY, detail=str(error)) from error


def _file_in(path: Path) -> Path:
    """The file that is meant. A pipe or a device is no file: reading one could go on for ever."""
    try:
        if path.is_dir():
            models = sorted(path.glob("*.gguf"))
            path = path / CONFIG_NAME if (path / CONFIG_NAME).exists() or not models else models[0]
        is_file = path.is_file()
    except OSError as error:
        raise PlanError(f"{path.name} cannot be read", remedy=REMEDY, detail=str(error)) from error
    if not is_file:
        raise PlanError(f"There is no file {path.name or path}", remedy=REMEDY)
    if path.suffix.lower() not in (".json", ".gguf"):
        raise PlanError(f"{path.name} is neither a .json nor a .gguf", remedy=REMEDY)
    return path


def _other_files(first: Path) -> list[Path]:
    """The further files of a model whose first file this is, as far as they are there."""
    split = _SPLIT.match(first.name)
    if split is None:
        return []
    count = min(int(split[2]), MAX_FILES)
    named = (first.with_name(f"{split[1]}-{at:05d}-of-{split[2]}.gguf") for at in range(2, count + 1))
    return [file for file in named if file.is_file()]
