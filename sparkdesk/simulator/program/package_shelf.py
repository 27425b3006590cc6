"""The packages that can be installed on a node and removed again: what they bring, and what of them runs.

The one rule: a program of theirs is on the node's PATH while its package is installed, and not before. What is
installed is kept over restarts; only root may change it. Versions. Source: Ubuntu 24.04's package lists.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any, NamedTuple

from spark_state import FOLDER, KEPT, LIVE, read_json

_FILE = f"{KEPT}/packages.json"


class Package(NamedTuple):
    """A package of the archive; `unit` is the service that it starts, or ""."""

    version: str
    commands: tuple[str, ...]
    unit: str = ""
    unit_words: str = ""


PACKAGES = {
    "perftest": Package("24.01.0+0.38-1build1", ("ib_write_bw", "ib_write_lat")),
    "iperf3": Package("3.16-1build2", ("iperf3",)),
    "earlyoom": Package("1.7-2build1", ("earlyoom",), "earlyoom", "Early OOM Daemon"),
}


def read() -> dict[str, dict[str, Any]]:
    """Each installed package of the table, with whether its unit is `active` and `enabled`."""
    try:
        with open(_FILE, encoding="utf-8") as stream:
            found: dict[str, dict[str, Any]] = json.load(stream)
    except (OSError, ValueError):
        found = {name: {"active": True, "enabled": True} for name in read_json("node").get("preinstalled", [])}
    return {name: row for name, row in found.items() if name in PACKAGES}


def _keep(rows: dict[str, dict[str, Any]]) -> None:
    part = f"{_FILE}.part"
    with open(part, "w", encoding="utf-8") as stream:
        json.dump(rows, stream)
    os.replace(part, _FILE)


def install(name: str) -> None:
    """As root: the package is there, and its unit runs. Raises OSError."""
    _keep(read() | {name: {"active": True, "enabled": True}})
    for command in PACKAGES[name].commands:
        with contextlib.suppress(FileExistsError):
            os.symlink(f"{FOLDER}/extra/{command}", f"{LIVE}/bin/{command}")


def remove(name: str) -> None:
    """As root: it is gone, with its unit. Raises OSError."""
    _keep({other: row for other, row in read().items() if other != name})
    for command in PACKAGES[name].commands:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{LIVE}/bin/{command}")


def units() -> dict[str, dict[str, Any]]:
    """By the name of each installed unit: whether it is `active` and `enabled`, and its `words`."""
    rows = read()
    return {
        PACKAGES[name].unit: {**row, "words": PACKAGES[name].unit_words}
        for name, row in rows.items()
        if PACKAGES[name].unit
    }


def set_unit(unit: str, **changed: bool) -> None:
    """As root: `active` or `enabled` of a unit. Raises OSError."""
    rows = read()
    for name, row in rows.items():
        if PACKAGES[name].unit == unit:
            row.update(changed)
    _keep(rows)
