"""Reads a model that a person points at: a config.json, or the folder that holds one.

The one rule: reads are bounded and from the named file alone; what cannot be read is one error with a next step.
"""

from __future__ import annotations

from pathlib import Path

from sparkdesk.core.errors import PlanError
from sparkdesk.core.models.config import read_config
from sparkdesk.core.models.spec import ModelSpec

CONFIG_NAME = "config.json"
CONFIG_MAX_BYTES = 4 << 20
REMEDY = "Name a config.json, or a folder that holds one."


def read_model(path: Path) -> ModelSpec:
    """The model in a config.json, or in a folder that holds one.

    Raises PlanError: not there, not readable, too large, or not what it says it is.
    """
    file = _file_in(path)
    try:
        with file.open("rb") as stream:
            head = stream.read(CONFIG_MAX_BYTES + 1)
    except OSError as error:
        raise PlanError(f"{file.name} cannot be read", remedy=REMEDY, detail=str(error)) from error
    if len(head) > CONFIG_MAX_BYTES:
        raise PlanError(f"{file.name} is larger than {CONFIG_MAX_BYTES >> 20} MiB", remedy=REMEDY)
    return read_config(head, name=file.parent.resolve().name or "model")


def _file_in(path: Path) -> Path:
    """The file that is meant. A pipe or a device is no file: reading one could go on for ever."""
    if path.is_dir():
        path = path / CONFIG_NAME
    if not path.is_file():
        raise PlanError(f"{path.name} is not a file", remedy=REMEDY)
    if path.suffix.lower() != ".json":
        raise PlanError(f"{path.name} is not a .json", remedy=REMEDY)
    return path
