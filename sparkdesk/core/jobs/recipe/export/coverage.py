"""Which launches over several nodes one script can start, and what to say of the others.

The one rule: no text points to a file that SparkDesk cannot write.
"""

from __future__ import annotations

from sparkdesk.core.jobs.request import LaunchRequest


def covers(request: LaunchRequest) -> bool:
    """Whether one script is enough: MPI launches and copies over groups of nodes are not."""
    return is_covered(
        request.engine,
        replica=request.tensor_parallel_size * request.pipeline_parallel_size,
        copies=request.data_parallel_size,
        nodes=len(request.nodes),
    )


def is_covered(engine: str, *, replica: int, copies: int, nodes: int) -> bool:
    """As `covers`, of an engine's key, the nodes of one copy, the copies, and all nodes."""
    if nodes == 1:
        return True
    if engine == "trtllm" or (engine == "llamacpp" and copies > 1):
        return False
    return copies == 1 or (engine == "vllm" and replica == 1)


def uncovered_words(engine: str) -> str:
    """What no export of SparkDesk does, as a sentence.

    TensorRT-LLM: mpirun needs a host file, and an ssh server with shared keys in each container. Source: NVIDIA's
    playbook, which fetches a program for that at start.
    """
    if engine == "trtllm":
        return (
            "TensorRT-LLM's ranks on several nodes are started by mpirun over ssh between the containers: "
            "no export of SparkDesk does that."
        )
    return "No export of SparkDesk starts such copies of a model on several nodes."
