"""List the nodes of this computer's clusters, live, as a table or with --json.

Connects as the window does, waits for each node's first sample (and a little for its GPU's first figures), prints,
and leaves. Exit code 0 only when every node answered.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkdesk.app.stack import Stack
    from sparkdesk.core.cluster.node import NodeStatus
    from sparkdesk.core.telemetry.sample import Sample

GPU_WAIT_S = 3.0
"""nvidia-smi takes a second or two to speak first; a node without a GPU never does."""


def main(arguments: list[str]) -> int:
    """Print the nodes."""
    parser = argparse.ArgumentParser(prog="sparkdesk nodes", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--simulated", action="store_true", help="start the simulated cluster and list its nodes")
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="longest wait for a node (default 30)")
    options = parser.parse_args(arguments)
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from sparkdesk import paths
    from sparkdesk.app.folder import require_folders
    from sparkdesk.app.stack import Stack

    require_folders()
    stack = Stack(folder=None if options.simulated else paths.data_dir())
    await stack.open()
    if stack.store.notice:
        print(stack.store.notice, file=sys.stderr)
    try:
        rows = await _gather(stack, options)
    finally:
        await stack.close()
    print(json.dumps({"schema": 1, "nodes": rows}, indent=1) if options.json else _table(rows))
    if not rows:
        print("No nodes yet: add one in the window, or try --simulated.", file=sys.stderr)
    return 0 if rows and all(row["state"] == "live" for row in rows) else 1


async def _gather(stack: Stack, options: argparse.Namespace) -> list[dict[str, Any]]:
    if options.simulated:
        clusters = [await stack.open_simulation()]
    else:
        clusters = list(await stack.known_clusters())
    rows: list[dict[str, Any]] = []
    for cluster in clusters:
        if not options.simulated:
            await stack.inventory.open(cluster)
        settled = [_settle(stack, status.record.id, options.timeout) for status in stack.inventory.nodes.value]
        if not all(await asyncio.gather(*settled)):
            print(f"Not every node of {cluster.name} answered within {options.timeout:g} s.", file=sys.stderr)
        rows += [_row(stack, cluster.name, cluster.is_simulated, status) for status in stack.inventory.nodes.value]
    return rows


async def _settle(stack: Stack, node_id: str, timeout_s: float) -> bool:
    """Wait until a node has shown a sample or waits for a person; False when neither came in time."""
    from sparkdesk.services.wait import wait_for_value

    def is_decided(nodes: tuple[NodeStatus, ...]) -> bool:
        status = next(status for status in nodes if status.record.id == node_id)
        return status.is_live or status.state in ("refused", "identity_changed")

    try:
        async with asyncio.timeout(timeout_s):
            await wait_for_value(stack.inventory.nodes, is_decided, timeout_s=timeout_s)
            if not stack.inventory.status(node_id).is_live:
                return True
            await wait_for_value(
                stack.telemetry.latest(node_id), lambda sample: sample is not None, timeout_s=timeout_s
            )
    except TimeoutError:
        return False
    with contextlib.suppress(TimeoutError):  # its cells stay unknown then
        await wait_for_value(stack.telemetry.latest(node_id), _has_gpu, timeout_s=GPU_WAIT_S)
    return True


def _has_gpu(sample: Sample | None) -> bool:
    return sample is not None and not math.isnan(sample.value("gpu_power_w"))


def _row(stack: Stack, cluster: str, is_simulated: bool, status: NodeStatus) -> dict[str, Any]:
    sample = stack.telemetry.latest(status.record.id).value
    figures = {}
    for key in ("gpu_temp_c", "gpu_power_w", "gpu_sm_clock_mhz", "gpu_util", "mem_total_bytes", "mem_available_bytes"):
        value = math.nan if sample is None else sample.value(key)
        figures[key] = None if math.isnan(value) else value
    facts = status.facts
    return {
        "cluster": cluster,
        "is_simulated": is_simulated,
        "name": status.record.name,
        "address": status.record.address,
        "port": status.record.port,
        "state": status.state.value,
        "message": status.message,
        "remedy": status.remedy,
        "product": facts.product,
        "os_version": facts.os_version,
        "driver_version": facts.driver_version,
        **figures,
    }


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'node':<16} {'state':<18} {'address':<22} {'free GiB':>9} {'GPU W':>6} {'temp C':>6}"]
    for row in rows:
        free = row["mem_available_bytes"]
        lines.append(
            f"{row['name']:<16.16} {row['state']:<18} {row['address'] + ':' + str(row['port']):<22}"
            f" {'n/a' if free is None else format(free / (1 << 30), '.1f'):>9}"
            f" {_number(row['gpu_power_w']):>6} {_number(row['gpu_temp_c']):>6}"
        )
        if row["message"]:
            lines.append(f"  {row['message']}. {row['remedy']}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0f}"
