"""Which nodes have a checkpoint's files already, by its hub id.

The one rule: only a whole download counts; a file's place in the hub's cache, or its own name, says whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.models.spec import ModelSpec

_HUB_FOLDER = re.compile(r"/models--([A-Za-z0-9][A-Za-z0-9._-]{0,127})--([A-Za-z0-9][A-Za-z0-9._-]{0,127})/")
"""How the hub's cache names a repository's folder. Source: huggingface_hub, repo_folder_name."""


def repo_of(path: str) -> str:
    """The hub id whose cache this file lies in; "" for a file that lies elsewhere."""
    found = _HUB_FOLDER.search(path)
    return f"{found[1]}/{found[2]}" if found is not None else ""


def held_repos(context: NodeContext, specs: Iterable[ModelSpec] = ()) -> frozenset[str]:
    """Hub ids whose files the node has; `specs` tell whose a GGUF that lies elsewhere is, by its name."""
    held = {*context.hub_repos, *(repo for path in context.weight_files if (repo := repo_of(path)))}
    names = {path.rpartition("/")[2] for path in context.weight_files}
    for spec in specs:
        held |= {one.repo for one in spec.formats if one.file and one.repo and one.file in names}
    return frozenset(held)


def nodes_holding(contexts: Iterable[NodeContext], spec: ModelSpec, *, repo: str = "") -> tuple[str, ...]:
    """Ids of the nodes that have this checkpoint, or any of the model's, in the order of the contexts."""
    wanted = {repo.casefold()} if repo else {one.repo.casefold() for one in spec.formats if one.repo}
    if not repo:
        wanted.add(spec.name.casefold())
    return tuple(
        context.record.id for context in contexts if wanted & {held.casefold() for held in held_repos(context, (spec,))}
    )
