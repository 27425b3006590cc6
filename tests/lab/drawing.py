"""What the map draws of a cabling that the lab's machines told, through the page's own scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkdesk.core.cluster.node import ClusterRecord, NodeStatus
from sparkdesk.core.cluster.topology import Topology
from sparkdesk.core.telemetry.sample import Sample
from ui.cluster.scene import Known, Scene, build_scene


def draw(
    topology: Topology, nodes: Sequence[NodeStatus], samples: Mapping[str, Sample] | None = None, shape: str = ""
) -> Scene:
    """The scene of this cabling; `shape` is how the cluster was set up."""
    cluster = ClusterRecord(id="lab", name="Lab", nodes=tuple(node.record for node in nodes), shape=shape)
    ages = {node_id: (sample, 0.0) for node_id, sample in (samples or {}).items()}
    return build_scene(Known(cluster=cluster, nodes=nodes, samples=ages, topology=topology))


def drawn(scene: Scene) -> dict[str, str]:
    """Every cable that is drawn as one, with its look: not the open cages, but a cable that is missing."""
    return {cable.key: cable.look for cable in scene.cables if cable.to != "none"}
