"""An embedding server beside a chat model: the form for it, on the same node. Pure.

The one rule: where the catalogue has no such model, nothing is made up: the model stays empty and the form says what
to write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from sparkdesk.core.jobs.backend import BackendInfo, NodeContext
from sparkdesk.core.models.spec import ModelSpec
from ui.launch.choice.default import choose_port, pick_model
from ui.launch.feeds import LaunchFeeds
from ui.launch.form import CUSTOM, Form
from ui.launch.serving.offer import engine_reason

EMBED: Final = "embed"
SMALL_CONTEXT: Final = 8192
"""Texts that are embedded are short."""
SMALL_REQUESTS: Final = 4
SMALL_PROMPT: Final = 512


def can_embed(backends: Mapping[str, BackendInfo]) -> bool:
    """Whether an engine here serves vectors."""
    return any(EMBED in info.purposes for info in backends.values())


def embedding_model(catalogue: Sequence[ModelSpec], node: NodeContext | None) -> ModelSpec | None:
    """A model of the catalogue that gives vectors: one that lies on the node before one that does not, then the
    smallest; None is none."""
    found = [spec for spec in catalogue if EMBED in spec.purposes and "chat" not in spec.purposes]
    found = found or [spec for spec in catalogue if EMBED in spec.purposes]
    return min(found, key=lambda spec: (not _lies_on(spec, node), spec.parameters or 1 << 62), default=None)


def _lies_on(spec: ModelSpec, node: NodeContext | None) -> bool:
    if node is None:
        return False
    files = {PurePosixPath(path).name for path in node.weight_files}
    names = ((weights.repo, PurePosixPath(weights.file).name) for weights in spec.formats)
    return any(repo in node.hub_repos or name in files for repo, name in names)


def embed_beside(form: Form, feeds: LaunchFeeds) -> Form:
    """The form of a small embedding server on the first node of this one, on a port that neither holds."""
    nodes = form.nodes[:1]
    backends = {info.key: info for info in feeds.backends}
    node = next((each for each in feeds.contexts.value if each.record.id in nodes), None)
    spec = embedding_model(feeds.catalogue, node)
    engine = _choose_engine(form, spec, feeds, backends)
    touched = frozenset(("nodes",))
    made = Form(engine=engine, nodes=nodes, pool=nodes, touched=touched)
    if spec is not None:
        made = replace(pick_model(made, spec, backends), engine=engine, touched=touched)
    limit = spec.context_tokens if spec is not None and spec.context_tokens else SMALL_CONTEXT
    taken = {int(form.port)} if form.port.isdecimal() else set()
    port = choose_port(backends.get(engine), _also_held(node, taken))
    for name, value in (
        ("purpose", EMBED), ("engine", engine), ("port", str(port)),
        ("context_tokens", f"{min(SMALL_CONTEXT, limit):,}"), ("concurrency", SMALL_REQUESTS),
    ):  # fmt: skip
        made = made.typed(name, value)
    if spec is None:
        made = made.typed("model", "")
    load = {"prompt_tokens": f"{min(SMALL_PROMPT, limit // 2):,}", "answer_tokens": "1", "users": SMALL_REQUESTS}
    return replace(made, workload=CUSTOM, **load)  # type: ignore[arg-type]  # by name


def _choose_engine(form: Form, spec: ModelSpec | None, feeds: LaunchFeeds, backends: Mapping[str, BackendInfo]) -> str:
    """The form's engine where it serves the model's vectors on this node, else the first that does."""
    able = [key for key, info in backends.items() if EMBED in info.purposes]
    if spec is not None and spec.engines:
        able = [key for key in spec.engines if key in able] or able
    asked = replace(form, engine="", purpose=EMBED)
    usable = [key for key in able if not engine_reason(key, asked, feeds)] or able
    node = next((each for each in feeds.contexts.value if each.record.id in form.nodes[:1]), None)
    # One whose files are there or can be got there; where there is none, the plan says what is missing.
    usable = [key for key in usable if _has_weights(backends[key], spec, node)] or usable
    return form.engine if form.engine in usable else next(iter(usable), form.engine)


def _has_weights(info: BackendInfo, spec: ModelSpec | None, node: NodeContext | None) -> bool:
    """Whether an engine finds the model's weights when it starts: on the node, or fetched there first."""
    formats = [each for each in spec.formats if not each.engines or info.key in each.engines] if spec else []
    can_fetch = node is None or node.reaches_hub is not False
    if not info.needs_weights_path:
        held = node.hub_repos if node is not None else {}
        return not formats or any(each.repo in held or (can_fetch and bool(each.repo)) for each in formats)
    names = {PurePosixPath(path).name for path in node.weight_files} if node is not None else set()
    is_known = any(each.file and each.repo and not each.is_repo_recalled for each in formats)
    return (can_fetch and is_known) or any(each.file and PurePosixPath(each.file).name in names for each in formats)


def _also_held(node: NodeContext | None, ports: set[int]) -> NodeContext | None:
    """The node with the ports of what is on the form held as well."""
    if node is None:
        return None
    return replace(node, used_ports={**node.used_ports, **dict.fromkeys(ports, "the server beside it")})
