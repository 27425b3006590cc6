"""The planner's tables and the catalogue, as they ship with SparkDesk.

The one rule: this is the only place that knows under which names they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from sparkdesk import paths
from sparkdesk.core.jobs.flag_table import FlagTable, read_flag_table
from sparkdesk.core.jobs.image import ImagePin, read_images
from sparkdesk.core.models.catalogue import read_catalogue
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.reference import FILES, Reference, read_reference
from sparkdesk.core.planning.training.case import TrainingCase, read_training


def load_reference() -> Reference:
    """Devices, engines, measurements and calibration. Raises SettingsError."""
    folder = paths.resources_dir() / "planning"
    return read_reference({stem: (folder / f"{stem}.toml").read_bytes() for stem in FILES})


def load_catalogue() -> tuple[ModelSpec, ...]:
    """The models that SparkDesk knows. Raises SettingsError."""
    return read_catalogue((paths.resources_dir() / "catalogue" / "models.toml").read_bytes())


@cache
def load_images() -> Mapping[str, tuple[ImagePin, ...]]:
    """The container images that SparkDesk knows, by engine: read once for all who ask. Raises SettingsError."""
    return MappingProxyType(read_images((paths.resources_dir() / "images.toml").read_bytes()))


def load_flag_tables() -> dict[str, FlagTable]:
    """The flags of each engine that has a table. Raises SettingsError."""
    files = sorted((paths.resources_dir() / "flags").glob("*.toml"))
    tables = (read_flag_table(file.read_bytes()) for file in files)
    return {table.engine: table for table in tables}


def load_training() -> tuple[TrainingCase, ...]:
    """Measured training runs. Raises SettingsError."""
    return read_training((paths.resources_dir() / "planning" / "training.toml").read_bytes())
