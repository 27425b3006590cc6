"""An embedding server beside a chat model: the form for it, on the same node. Pure.

The one rule: where the catalogue has no such model, nothing is made up: the model stays empty and the form says what
to write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sparkdesk.core.jobs.backend import BackendInfo, NodeContext
from sparkdesk.core.models.spec import ModelSpec
from ui.launch.choice.default import choose_port, pick_model
from ui.launch.form import Form

EMBED: Final = "embed"
SMALL_CONTEXT: Final = "8,192"
"""Texts that are embedded are short."""
SMALL_REQUESTS: Final = 4


def embedding_model(catalogue: Sequence[ModelSpec]) -> ModelSpec | None:
    """The smallest model of the catalogue that gives vectors; None is none."""
    found = [spec for spec in catalogue if EMBED in spec.purposes]
    return min(found, key=lambda spec: spec.parameters or 1 << 62, default=None)


def embed_beside(
    form: Form,
    catalogue: Sequence[ModelSpec],
    backends: Mapping[str, BackendInfo],
    contexts: Sequence[NodeContext],
) -> Form:
    """The form of a small embedding server on the first node of this one, on a port after its."""
    nodes = form.nodes[:1]
    node = next((each for each in contexts if each.record.id in nodes), None)
    able = [key for key, info in backends.items() if EMBED in info.purposes]
    engine = form.engine if form.engine in able else next(iter(able), form.engine)
    info = backends.get(engine)
    made = Form(engine=engine, nodes=nodes, pool=nodes, touched=frozenset(("nodes",)))
    spec = embedding_model(catalogue)
    if spec is not None:
        made = replace(pick_model(made, spec, backends), touched=frozenset(("nodes",)))
    taken = {int(form.port)} if form.port.isdecimal() else set()
    port = choose_port(info, _also_held(node, taken))
    for name, value in (
        ("purpose", EMBED), ("engine", engine), ("model", made.model if spec else ""), ("port", str(port)),
        ("context_tokens", SMALL_CONTEXT), ("concurrency", SMALL_REQUESTS),
    ):  # fmt: skip
        made = made.typed(name, value)
    return replace(made, workload=form.workload)


def _also_held(node: NodeContext | None, ports: set[int]) -> NodeContext | None:
    """The node with the ports of what is on the form held as well."""
    if node is None:
        return None
    return replace(node, used_ports={**node.used_ports, **dict.fromkeys(ports, "the server beside it")})
