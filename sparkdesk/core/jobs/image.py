"""Container images as data: which one an engine runs by default, which others are known, for what, and who says so.

The one rule: an image that nobody named in a source is not in the table; the adapters' own default stands where the
table was not read.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from sparkdesk.core.errors import SettingsError


@dataclass(frozen=True, slots=True)
class ImagePin:
    """One image of one engine."""

    engine: str
    reference: str
    """As docker takes it: registry/name:tag."""
    title: str
    """What it is for, in words."""
    architecture: str
    """arm64, or "" where nobody said."""
    source: str
    models: tuple[str, ...] = ()
    """Hub ids (lower case) that need it; () is any model."""
    is_default: bool = False


Images = Mapping[str, tuple[ImagePin, ...]]
"""Engine key -> its images, the default first."""


def read_images(data: bytes) -> dict[str, tuple[ImagePin, ...]]:
    """The table of resources/images.toml. Raises SettingsError when it is not one."""
    try:
        rows = tomllib.loads(data.decode())["image"]
        pins = [_pin(row) for row in rows]
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingsError(
            "The table of images is damaged", remedy="Install SparkDesk again.", detail=str(error)
        ) from (error)
    pins.sort(key=lambda pin: not pin.is_default)
    return {engine: tuple(pin for pin in pins if pin.engine == engine) for engine in sorted({p.engine for p in pins})}


def default_image(images: Images, engine: str, otherwise: str) -> str:
    """The engine's default image; `otherwise` where the table names none."""
    return next((pin.reference for pin in images.get(engine, ()) if pin.is_default), otherwise)


def _pin(row: Mapping[str, object]) -> ImagePin:
    words = {name: str(row[name]) for name in ("engine", "reference", "title", "source")}
    models = row.get("models", [])
    if not isinstance(models, list) or not all(words.values()):
        raise ValueError(f"not an image: {row}")
    return ImagePin(
        **words,
        architecture=str(row.get("architecture", "")),
        models=tuple(str(model).casefold() for model in models),
        is_default=row.get("is_default") is True,
    )
