"""Files that an engine loads by their path on a node: the whole path, the hub's file behind it, the one beside it.

The one rule: a path is only what it says; that a file is there is known only where somebody saw it.
"""

from __future__ import annotations

import re

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.playbooks.fetch.weights import FILES_FOLDER

_FETCHED = re.compile(
    rf"^{FILES_FOLDER}/([A-Za-z0-9][\w.]*(?:-[\w.]+)*)--([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*\.gguf)$"
)


def path_on_node(path: str, node: NodeContext) -> str:
    """A path as a program must be told it: no shell reads its command line, so nobody else knows what ~ is."""
    return f"{node.home.rstrip('/')}{path[1:]}" if path.startswith("~/") and node.home else path


def hub_file(path: str, node: NodeContext) -> tuple[str, str]:
    """(repository, file) of a path under the folder of fetched files, where it is not there yet; else ("", "")."""
    whole, home = path_on_node(path, node), node.home.rstrip("/")
    short = f"~{whole[len(home) :]}" if home and whole.startswith(f"{home}/") else whole
    match = _FETCHED.match(short)
    return ("", "") if match is None or whole in node.weight_files else (f"{match[1]}/{match[2]}", match[3])


def projector_beside(path: str, node: NodeContext) -> str:
    """The file that turns pictures into tokens, in the model's own folder; "" where none was seen."""
    folder = path_on_node(path, node).rpartition("/")[0]
    near = (each for each in sorted(node.weight_files) if each.rpartition("/")[0] == folder)
    return next((each for each in near if "mmproj" in each.rpartition("/")[2].lower()), "")
