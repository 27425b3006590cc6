"""Builds what comes before a server is started: its container image and its model's files on the node.

The one rule: where this computer must bring them (no internet there, or the person said so), nothing asks the hub.
"""

from __future__ import annotations

from sparkdesk.core.command import Command
from sparkdesk.core.jobs.backend import NodeContext, PlanContext
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.fetch.image import image_step
from sparkdesk.core.playbooks.fetch.transfer import PROGRAMS
from sparkdesk.core.playbooks.fetch.weights import weights_step
from sparkdesk.core.step import Playbook, Run, Stage, Step

DROP_CACHE = "sync; echo 3 > /proc/sys/vm/drop_caches"
"""Source: NVIDIA's playbooks for the Spark; the page cache counts against the GPU's memory there."""


def is_from_desk(request: LaunchRequest, node: NodeContext) -> bool:
    """Whether this computer brings image and weights: said so, or the node does not reach the hub."""
    if request.weights_from == "auto":
        return node.reaches_hub is False
    return request.weights_from == "desk"


def fetch_stages(
    request: LaunchRequest,
    context: PlanContext,
    node: NodeContext,
    *,
    image: str = "",
    repo: str = "",
    files: tuple[str, ...] = (),
) -> tuple[Stage, ...]:
    """Stages for the image and for the model's files (all, or only `files` of the repository), "" for neither.

    Each step passes its check when it is whole there. Without our programs for nodes in the context (a preview of a
    plan that will not run) there are none.
    """
    if any(not context.programs.get(name) for name in PROGRAMS):
        return ()
    node_id, by_desk = node.record.id, is_from_desk(request, node)
    steps = []
    if image:
        steps.append(image_step(node_id, image, context.programs, is_from_desk=by_desk))
    if repo and "/" in repo:
        steps.append(weights_step(node_id, repo, context.programs, files=files, is_from_desk=by_desk))
    return tuple(Stage(step.title, (step,)) for step in steps)


def drop_cache_step(node_id: str) -> Step:
    """Give the page cache back, so that the GPU's driver finds free memory at once; nothing is lost by it."""
    command = Command(("sh", "-c", DROP_CACHE))
    return Step(
        id="page_cache",
        title="Give the page cache back",
        node=node_id,
        phase="preflight",
        apply=(Run(command, timeout_s=120.0, as_root=True),),
    )


def drop_cache_playbook(node_id: str, node: str) -> Playbook:
    """The same by itself, for a person who was told that the page cache is large."""
    step = drop_cache_step(node_id)
    return Playbook(f"{step.title} on {node}", (Stage(step.title, (step,)),))
