"""Files that an engine loads by their path on a node: the whole path, the hub's file behind it, the one beside it.

The one rule: a path is only what it says; that a file is there is known only where somebody saw it.
"""

from __future__ import annotations

import re

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.playbooks.fetch.weights import FILES_FOLDER

_FETCHED = re.compile(
    rf"^{FILES_FOLDER}/([A-Za-z0-9][\w.]*(?:-[\w.]+)*)--([A-Za-z0-9][\w.-]*)/((?:[A-Za-z0-9][\w.-]*/){{0,2}}[A-Za-z0-9][\w.-]*\.gguf)\Z"
)
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
"""How llama.cpp names the parts of a model that is split: the first is told to it, and it opens the rest itself."""
MOST_PARTS = 64
MOST_SEEN = 500
"""So many files a look at a node tells of; with as many there may be more. Source: remote/survey.py, MAX_FILES."""


def path_on_node(path: str, node: NodeContext) -> str:
    """A path as a program must be told it: no shell reads its command line, so nobody else knows what ~ is."""
    return f"{node.home.rstrip('/')}{path[1:]}" if path.startswith("~/") and node.home else path


def parts_of(path: str) -> tuple[str, ...]:
    """All files of the model that a path names: itself, or every part of a split one."""
    match = _PART.search(path)
    count = int(match[2]) if match is not None else 0
    if match is None or not 1 <= int(match[1]) <= count <= MOST_PARTS:
        return (path,)
    return tuple(f"{path[: match.start()]}-{number:05}-of-{match[2]}.gguf" for number in range(1, count + 1))


def seen_bytes(path: str, node: NodeContext) -> int | None:
    """How large the model at a path is, all its parts together; None where one was not seen on the node."""
    sizes = [node.weight_files.get(each) for each in parts_of(path_on_node(path, node))]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def hub_files(path: str, node: NodeContext) -> tuple[str, tuple[str, ...]]:
    """(repository, files) of a path under the folder of fetched files, where it is not there yet; else ("", ())."""
    short = _short(path, node)
    match = _FETCHED.match(short)
    if match is None or seen_bytes(path, node) is not None:
        return ("", ())
    return f"{match[1]}/{match[2]}", parts_of(match[3])


def is_missing(path: str, node: NodeContext) -> bool:
    """Whether a file is surely not there: the node was looked at, and right in the folder of models there is none.

    Deeper down a link to another disk may hold it, where the look does not go.
    """
    folder = _short(path, node).rpartition("/")[0]
    is_looked_at = bool(node.programs) and len(node.weight_files) < MOST_SEEN
    is_found = folder == FILES_FOLDER and path.lower().endswith(".gguf")
    return is_looked_at and is_found and seen_bytes(path, node) is None


def _short(path: str, node: NodeContext) -> str:
    """A path with ~ for the home folder."""
    whole, home = path_on_node(path, node), node.home.rstrip("/")
    return f"~{whole[len(home) :]}" if home and whole.startswith(f"{home}/") else whole


def projector_beside(path: str, node: NodeContext) -> str:
    """The file that turns pictures into tokens, in the model's own folder; "" where none was seen."""
    folder = path_on_node(path, node).rpartition("/")[0]
    near = (each for each in sorted(node.weight_files) if each.rpartition("/")[0] == folder)
    return next((each for each in near if "mmproj" in each.rpartition("/")[2].lower()), "")
