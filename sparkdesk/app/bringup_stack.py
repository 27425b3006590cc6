"""Joins the bring-up with the services that it stands on.

The one rule: what it needs of the outside, files and programs for nodes, is handed in from here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sparkdesk import paths
from sparkdesk.app.owned_file import write_for_owner
from sparkdesk.app.plan_data import load_images
from sparkdesk.app.remote import read_remote
from sparkdesk.core.bringup.proof.image_choice import torch_images
from sparkdesk.core.cluster.forward import ForwardState
from sparkdesk.core.errors import SettingsError
from sparkdesk.services.bringup.bringup import BringUp
from sparkdesk.services.bringup.parts import BringUpParts

if TYPE_CHECKING:
    from sparkdesk.app.stack import Stack

PROGRAMS = (
    "net_state", "trial_notes", "netplan_units", "link_trial", "ssh_mesh", "mesh_undo", "all_gather", "gpu_load"
)  # fmt: skip
"""Our programs that a bring-up brings to nodes, by the name of their module in remote/."""
REPORTS = "reports"


def make_bring_up(stack: Stack) -> BringUp:
    """The bring-up of whatever cluster is open."""
    return BringUp(
        BringUpParts(
            tasks=stack.tasks,
            inventory=stack.inventory,
            runs=stack.runs,
            reader=stack.fleet.reader,
            topology=stack.fleet.topology,
            clock=stack.clock,
            store=stack.store,
            programs={name: read_remote(name) for name in PROGRAMS},
            save_file=save_file,
            torch_images=torch_images(load_images()),
            busy=lambda: busy_nodes(stack),
            in_use=lambda: _in_use(stack),
            obstacles=lambda: _obstacles(stack),
        )
    )


async def save_file(folder: Path | None, name: str, data: bytes) -> str:
    """Write a report for its owner's eyes; gives its path. Raises SettingsError."""
    path = (folder or paths.data_dir() / REPORTS) / name
    try:
        await asyncio.to_thread(path.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        words = "Check its rights and the free space, then save the report again."
        raise SettingsError(f"{path.parent} cannot be made", remedy=words, detail=str(error)) from error
    await asyncio.to_thread(write_for_owner, path, data)
    return str(path)


def _obstacles(stack: Stack) -> tuple[str, ...]:
    """Why nothing can be changed on the nodes of the open cluster at all."""
    cluster, simulation = stack.inventory.cluster.value, stack.simulation
    is_simulated = cluster is not None and cluster.is_simulated
    if is_simulated and simulation is not None and simulation.is_read_only:
        return ("These simulated nodes can only be read: this computer allows no namespaces.",)
    return ()


def busy_nodes(stack: Stack) -> Mapping[str, tuple[str, ...]]:
    """Node id -> the titles of jobs that run there."""
    found: dict[str, tuple[str, ...]] = {}
    for job in stack.launcher.jobs.value:
        for node_id in () if job.state.is_over else job.node_ids:
            found[node_id] = (*found.get(node_id, ()), job.title)
    return found


def _in_use(stack: Stack) -> Mapping[str, tuple[str, ...]]:
    """Node id -> the jobs that run there, whose answers come over the line, and the forwards that are open."""
    found = dict(busy_nodes(stack))
    for forward in stack.fleet.forwards.forwards.value:
        if forward.state is ForwardState.OPEN:
            spec = forward.spec
            found[spec.node_id] = (*found.get(spec.node_id, ()), spec.title)
    return found
