"""The images that a node's docker holds, and the simulated registry that it pulls from.

The one rule: an image is there whole or not at all. Layers that were fetched before a cut are remembered, so that the
next pull goes on from them, and no image is shown until its last one is there.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from spark_state import FOLDER as PROGRAMS
from spark_state import KEPT

FOLDER = f"{KEPT}/images"
_LAYERS = 6
_GB = 10**9
ARCHITECTURE = "arm64"


@dataclass(frozen=True, slots=True)
class Image:
    """One image of this node or of the registry; `size_bytes` is what docker shows, of which nothing is really kept."""

    repository: str
    tag: str
    size_bytes: int
    architecture: str = ARCHITECTURE
    created_s: float = 0.0

    @property
    def name(self) -> str:
        """`repository:tag`."""
        return f"{self.repository}:{self.tag}"

    @property
    def digest(self) -> str:
        """64 hex digits: the same for the same name and architecture on every node."""
        return hashlib.sha256(f"{self.name} {self.architecture}".encode()).hexdigest()

    @property
    def id(self) -> str:
        """What `docker images` shows."""
        return self.digest[:12]

    @property
    def layers(self) -> tuple[tuple[str, int], ...]:
        """(id, bytes) of each layer, the largest last."""
        parts = [1 << number for number in range(_LAYERS)]
        ids = (hashlib.sha256(f"{self.digest} {number}".encode()).hexdigest()[:12] for number in range(_LAYERS))
        return tuple((one, self.size_bytes * part // sum(parts)) for one, part in zip(ids, parts, strict=True))


# Tags are real ones that NVIDIA's playbooks and the engines' pages name; sizes are ours.
_AT_START = (
    Image("nvcr.io/nvidia/vllm", "26.05-py3", 27_400_000_000),
    Image("vllm/vllm-openai", "v0.33.0", 21_100_000_000),
)
_REGISTRY = (
    *_AT_START,
    Image("vllm/vllm-openai", "latest", 21_100_000_000),
    Image("lmsysorg/sglang", "latest-cu130", 24_600_000_000),
    Image("nvcr.io/nvidia/tensorrt-llm/release", "1.3.0rc13", 31_200_000_000),
    Image("sparkarena/spark-vllm-docker", "mxfp4", 22_800_000_000),
)


def registry() -> dict[str, Image]:
    """What can be pulled, by name: the tags above and every reference of the program's own table of images."""
    found = {image.name: image for image in _REGISTRY}
    for name in _table_names():
        repository, _colon, tag = name.rpartition(":")
        found.setdefault(name, Image(repository, tag, 20 * _GB))
    return found


def _table_names() -> Iterator[str]:
    """Every text of images.toml that has the form of an image's name with a tag."""
    try:
        with open(f"{PROGRAMS}/flags/images.toml", "rb") as stream:
            yield from _names(tomllib.load(stream))
    except (OSError, ValueError):
        return


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)
    elif isinstance(value, str) and "://" not in value and " " not in value and "/" in value.rpartition(":")[0]:
        yield value


def whole_name(name: str) -> str:
    """The name with its tag, as docker completes it."""
    short = name.removeprefix("docker.io/").removeprefix("library/")
    return short if ":" in short.rpartition("/")[2] or "@" in short else f"{short}:latest"


def images() -> list[Image]:
    """The images of this node, the newest first."""
    gone = _read("gone")
    held = {image.name: image for image in _AT_START if image.name not in gone}
    for row in _read("held").values():
        image = Image(**row)
        held[image.name] = image
    return sorted(held.values(), key=lambda image: -image.created_s)


def find(name: str) -> Image | None:
    """The image of this name, with or without its tag, or of this id."""
    wanted, digits = whole_name(name), name.removeprefix("sha256:")
    for image in images():
        is_id = len(digits) >= 4 and image.digest.startswith(digits)
        if wanted == image.name or is_id or name.partition("@sha256:")[::2] == (image.repository, image.digest):
            return image
    return None


def keep(image: Image) -> None:
    """This image is whole on the node from now on."""
    gone, held = _read("gone"), _read("held")
    gone.pop(image.name, None)
    held[image.name] = asdict(image) | {"created_s": time.time()}
    _write("held", held)
    _write("gone", gone)


def remove(image: Image) -> None:
    """The image and its layers are gone."""
    gone, held, layers = _read("gone"), _read("held"), _read("layers")
    held.pop(image.name, None)
    gone[image.name] = True
    for one, _size in image.layers:
        layers.pop(one, None)
    _write("layers", layers)
    _write("held", held)
    _write("gone", gone)


def has_layer(one: str) -> bool:
    """Whether this layer was fetched whole."""
    return one in _read("layers")


def keep_layer(one: str) -> None:
    """This layer is whole on the node."""
    _write("layers", _read("layers") | {one: True})


def _read(what: str) -> dict[str, Any]:
    try:
        with open(f"{FOLDER}/{what}.json", encoding="utf-8") as stream:
            value: dict[str, Any] = json.load(stream)
    except (OSError, ValueError):
        return {}
    return value


def _write(what: str, value: dict[str, Any]) -> None:
    os.makedirs(FOLDER, exist_ok=True)
    part = f"{FOLDER}/{what}.{os.getpid()}.part"
    with open(part, "w", encoding="utf-8") as stream:
        json.dump(value, stream)
    os.replace(part, f"{FOLDER}/{what}.json")


def show_size(size_bytes: int) -> str:
    """`27.4GB`, as docker writes sizes: powers of 1000, four figures at the most."""
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.4g}{unit}"
        value /= 1000
    return ""
