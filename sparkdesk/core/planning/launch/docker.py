"""What speaks against running a container on a node: docker, the image, disk, shared memory, page cache, port.

The one rule: what is not known is no problem, and what is known to be wrong names the one thing that mends it.
"""

from __future__ import annotations

from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.plan import GIB, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.hub_access import hub_problems
from sparkdesk.core.planning.launch.preflight import port_problems
from sparkdesk.core.planning.launch.trap import usual_port_problems
from sparkdesk.core.playbooks.fetch.stage import is_from_desk
from sparkdesk.core.playbooks.fetch.transfer import SPARK_ARCHITECTURE
from sparkdesk.core.transfer import size_words

DOCKER_PROBLEMS = {
    "absent": ("docker was not found on {node}", "Install it there: sudo apt install docker-ce (DGX OS has it)."),
    "down": ("docker does not run on {node}", "On {node}: sudo systemctl start docker"),
    "group": (
        "{user} may not use docker on {node}",
        "On {node}: sudo usermod -aG docker {user}; then disconnect it here and connect again: a group counts from the "
        "next sign-in.",
    ),
    "runtime": (
        "docker on {node} knows no NVIDIA GPU",
        "On {node}: sudo nvidia-ctk runtime configure --runtime=docker; sudo systemctl restart docker (this ends "
        "containers that run).",
    ),
}
"""By NodeContext.docker_problem: what is wrong, and what helps. Source: NVIDIA's playbooks for the Spark."""
SHM_LOW_BYTES = GIB
"""Containers share the node's /dev/shm (--ipc host); an engine whose workers find less there dies late and without a
clear word. Our own choice: docker's 64 MB are known to be too little, and NVIDIA's images say so."""
DISK_SPARE_BYTES = 10 * 10**9
"""What a node keeps free beside image and weights, for logs and compile caches. Our own choice."""
CACHE_LARGE_BYTES = 8 * GIB


def container_problems(
    request: LaunchRequest,
    node: NodeContext,
    *,
    image: str,
    image_bytes: int | None = None,
    weights_bytes: int | None = None,
    repo: str = "",
) -> list[Problem]:
    """What speaks against it on this node. `image_bytes` and `weights_bytes` are what would be fetched, where known."""
    problems = docker_problems(node)
    if not problems:
        problems += _image_problems(request, node, image)
    if repo:
        problems += repo_problems(request, node, repo) + hub_problems(request, node, repo)
        if request.speculative_model and request.speculative_model != repo:
            problems += hub_problems(request, node, request.speculative_model)
    fetched = image_bytes if node.images is not None and image not in node.images else 0
    problems += disk_problems(node, fetched, 0 if repo in node.hub_repos else weights_bytes)
    problems += loading_problems(node) + _shm_problems(node) + page_cache_problems(node, weights_bytes)
    return problems + (port_problems(request, node) or usual_port_problems(request))


def docker_problems(node: NodeContext) -> list[Problem]:
    """docker that cannot be used there, each way with its own remedy."""
    kind = node.docker_problem or ""
    if not kind and node.programs and "docker" not in node.programs:
        kind = "absent"
    if kind not in DOCKER_PROBLEMS:
        return []
    words = {"node": node.record.name, "user": node.record.user}
    message, remedy = (text.format(**words) for text in DOCKER_PROBLEMS[kind])
    return [Problem(Severity.ERROR, message, remedy, "engine")]


def _image_problems(request: LaunchRequest, node: NodeContext, image: str) -> list[Problem]:
    name = node.record.name
    architecture = node.image_architectures.get(image, "")
    if architecture and architecture != SPARK_ARCHITECTURE:
        message = f"{image} on {name} is made for {architecture}, a Spark is {SPARK_ARCHITECTURE}"
        remedy = f"Choose an image for {SPARK_ARCHITECTURE}, or remove this one so that the right one is pulled."
        return [Problem(Severity.ERROR, message, remedy, "image")]
    if node.images is None or image in node.images:
        return []
    if is_from_desk(request, node):
        message = f"{image} is not on {name}: it is copied from this computer first, which takes minutes"
    else:
        message = f"{image} is not on {name}: docker will download it first, which takes minutes"
    return [Problem(Severity.WARNING, message, "Wait for it, or choose an image that is there.", "image")]


def repo_problems(request: LaunchRequest, node: NodeContext, repo: str) -> list[Problem]:
    """Model files that are partial, or that a node without internet has to get from this computer."""
    name = node.record.name
    if repo in node.hub_repos:
        return []
    if repo in node.partial_repos:
        so_far = size_words(node.partial_repos[repo])
        message = f"{repo} is partly on {name} ({so_far}): the download goes on from there"
        return [Problem(Severity.NOTE, message, "Wait for it.", "model")]
    if node.reaches_hub is False and request.weights_from == "hub":
        message = f"{name} does not reach the model hub"
        remedy = "Connect it to the internet, or let this computer bring the weights."
        return [Problem(Severity.ERROR, message, remedy, "weights_from")]
    if node.reaches_hub is False:
        message = f"{name} does not reach the model hub: {repo} is copied from this computer's hub cache"
        return [Problem(Severity.NOTE, message, "Download it on this computer first: hf download.", "weights_from")]
    return []


def disk_problems(node: NodeContext, image_bytes: int | None, weights_bytes: int | None) -> list[Problem]:
    """A disk that has no room for what would be fetched, as far as the sizes are known."""
    wanted = (image_bytes or 0) + (weights_bytes or 0)
    free = node.disk_free_bytes
    if not wanted or free is None or free >= wanted + DISK_SPARE_BYTES:
        return []
    message = f"The disk of {node.record.name} has {size_words(free)} free; image and weights need {size_words(wanted)}"
    severity = Severity.ERROR if free < wanted else Severity.WARNING
    return [Problem(severity, message, "Remove what is not used under Models on disk.")]


def loading_problems(node: NodeContext) -> list[Problem]:
    """A server that is still loading: what is free now is not what will be, and engines check what is free at start."""
    if not node.loading:
        return []
    message = f"{' and '.join(node.loading)} is still loading on {node.record.name}: what is free there will be less"
    remedy = "Wait until it is ready: an engine that starts beside it counts memory as free that is not."
    return [Problem(Severity.WARNING, message, remedy, "nodes")]


def _shm_problems(node: NodeContext) -> list[Problem]:
    if node.shm_bytes is None or node.shm_bytes >= SHM_LOW_BYTES:
        return []
    message = f"/dev/shm of {node.record.name} has {node.shm_bytes / GIB:.1f} GiB free; engines share memory there"
    remedy = f"On {node.record.name}: remove old files in /dev/shm, or sudo mount -o remount,size=16G /dev/shm"
    return [Problem(Severity.WARNING, message, remedy)]


def page_cache_problems(node: NodeContext, weights_bytes: int | None) -> list[Problem]:
    """A page cache that the GPU's driver would have to wait for: it takes free pages only.

    Source: NVIDIA's playbooks for the Spark tell to drop it before a load.
    """
    if not wants_cache_back(node, weights_bytes):
        return []
    cached = (node.mem_available_bytes or 0) - (node.mem_free_bytes or 0)
    message = f"Files hold {cached / GIB:.0f} GiB of memory on {node.record.name} as page cache"
    return [Problem(Severity.NOTE, message, "Give it back before the start (one step, as root).", "page_cache")]


def wants_cache_back(node: NodeContext, weights_bytes: int | None) -> bool:
    """Whether less is free than the weights need, while the page cache holds more: drop_cache_playbook helps."""
    free, available = node.mem_free_bytes, node.mem_available_bytes
    if free is None or available is None or available - free < CACHE_LARGE_BYTES:
        return False
    return free < (weights_bytes if weights_bytes is not None else CACHE_LARGE_BYTES)
