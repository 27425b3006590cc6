"""What speaks against a container on a node is named, each with what mends it; what is not known is no problem."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.plan import GIB, Problem, Severity
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.docker import container_problems

IMAGE = "nvcr.io/nvidia/vllm:26.05-py3"
NODE = NodeContext(NodeRecord("n1", "spark-1", "127.0.0.1", 22, "ann"))
GOOD = replace(
    NODE,
    docker_problem="",
    images=(IMAGE,),
    image_architectures={IMAGE: "arm64"},
    hub_repos={"o/n": 5},
    disk_free_bytes=500 * 10**9,
    shm_bytes=60 * GIB,
    mem_available_bytes=100 * GIB,
    mem_free_bytes=95 * GIB,
    reaches_hub=True,
)
REQUEST = LaunchRequest(engine="vllm", model="o/n", nodes=("n1",), served_name="n")


def problems(node: NodeContext, request: LaunchRequest = REQUEST, weights: int = 30 * 10**9) -> list[Problem]:
    """Of this node, for an image of 20 GB."""
    return container_problems(request, node, image=IMAGE, image_bytes=20 * 10**9, weights_bytes=weights, repo="o/n")


def test_nothing_speaks_against_a_good_node_nor_against_one_of_which_nothing_is_known() -> None:
    assert problems(GOOD) == []
    assert problems(NODE) == []


@pytest.mark.parametrize(
    ("kind", "message", "remedy"),
    [
        ("absent", "not found", "apt install"),
        ("down", "does not run", "systemctl start docker"),
        ("group", "ann may not", "usermod -aG docker ann"),
        ("runtime", "no NVIDIA GPU", "nvidia-ctk runtime configure"),
    ],
)
def test_each_trouble_of_docker_has_its_own_words_and_remedy(kind: str, message: str, remedy: str) -> None:
    (problem,) = problems(replace(GOOD, docker_problem=kind, images=None))
    assert problem.severity is Severity.ERROR
    assert message in problem.message
    assert remedy in problem.remedy


def test_an_image_for_another_processor_forbids_the_launch() -> None:
    (problem,) = problems(replace(GOOD, image_architectures={IMAGE: "amd64"}))
    assert (problem.severity, "amd64" in problem.message) == (Severity.ERROR, True)


def test_an_image_that_is_missing_is_said_to_come_from_where_it_comes() -> None:
    (problem,) = problems(replace(GOOD, images=()))
    assert "docker will download it" in problem.message
    (problem,) = problems(replace(GOOD, images=(), reaches_hub=False))
    assert "copied from this computer" in problem.message


def test_a_disk_without_room_forbids_and_a_tight_one_warns() -> None:
    bare = replace(GOOD, images=(), hub_repos={})
    assert Severity.ERROR in [p.severity for p in problems(replace(bare, disk_free_bytes=49 * 10**9))]
    (_, problem) = problems(replace(bare, disk_free_bytes=55 * 10**9))
    assert (problem.severity, "50.0 GB" in problem.message) == (Severity.WARNING, True)
    assert problems(replace(GOOD, disk_free_bytes=1)) == []  # nothing is fetched


def test_a_node_without_internet_gets_the_model_from_here_or_not_at_all() -> None:
    node = replace(GOOD, hub_repos={}, reaches_hub=False)
    (problem,) = problems(node)
    assert (problem.severity, "this computer" in problem.message) == (Severity.NOTE, True)
    (problem,) = problems(node, REQUEST.model_copy(update={"weights_from": "hub"}))
    assert (problem.severity, problem.field) == (Severity.ERROR, "weights_from")


def test_a_partial_download_is_told_with_its_size() -> None:
    (problem,) = problems(replace(GOOD, hub_repos={}, partial_repos={"o/n": 12 * 10**9}))
    assert "12.0 GB" in problem.message


def test_little_shared_memory_a_large_page_cache_and_a_taken_port_are_told() -> None:
    (problem,) = problems(replace(GOOD, shm_bytes=64 << 20))
    assert "/dev/shm" in problem.message
    (problem,) = problems(replace(GOOD, mem_free_bytes=3 * GIB))
    assert "97 GiB" in problem.message
    assert problems(replace(GOOD, mem_free_bytes=3 * GIB), weights=GIB) == []
    (problem,) = problems(replace(GOOD, used_ports={8000: "nginx (pid 9)", 8001: "x"}))
    assert ("nginx" in problem.message, "8002" in problem.remedy) == (True, True)
