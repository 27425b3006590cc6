"""A healthy simulated node is a Spark as the code takes one to be: no assumption differs on it."""

from __future__ import annotations

import json
import shlex

from sparkdesk.core.probes.assumption import Hold
from sparkdesk.core.probes.assumption_table import ASSUMPTIONS
from sparkdesk.core.probes.read import Answer, Answers, Read
from sparkdesk.core.probes.read_json import MAX_READS, decode_answers, encode_reads
from tests.simulator.conftest import PROJECT, Simulator

REALLY_HERE = {"python-version", "arp-ignore", "trial-scope"}
"""A node runs this computer's own Python, and says so; it has no systemd; its halves share a bridge here, and keep to
themselves."""
IDLE = {"gpu-clock-under-load", "gpu-awake-clock", "gpu-slow-power", "gpu-processes", "rdma-words"}
NO_NEIGHBOUR = {"nearest-bridge"}
"""Nobody names himself at the other end of a direct cable."""
NO_JOB_YET = {"llamacpp-buffers", "llamacpp-on-gb10", "moe-backend", "vllm-outside-memory", "vllm-on-gb10"}
NO_PLAN_RAN = {
    "container-headroom", "draft-weights", "memory-sharing", "nccl-buffers", "ollama-on-gb10", "sglang-on-gb10",
    "sglang-outside-memory", "training-memory", "training-overlap", "trtllm-on-gb10", "work-power",
}  # fmt: skip
"""Of the planner: they show while something runs, or are read by nobody yet."""
NO_NETPLAN = {"netplan-generator"}
"""A node's netplan is a program of ours; this computer may have a real one."""
NO_DRIVER = {"system-reserve", "nvml-library", "nvml-memory"}


async def answers(cluster: Simulator) -> Answers:
    """What the node gives to every read of the table."""
    program = (PROJECT / "sparkdesk" / "remote" / "reader.py").read_text("utf-8")
    reads = list(dict.fromkeys(read for assumption in ASSUMPTIONS for read in assumption.probe.reads))
    found: dict[Read, Answer] = {}
    async with cluster.connect() as connection:
        while left := [read for read in reads if read not in found][:MAX_READS]:
            request = encode_reads(left)
            command = f"python3 -c {shlex.quote(program)} reading {len(request)} 40"
            done = await connection.run(command, input=request, encoding=None, check=True)
            assert isinstance(done.stdout, bytes)
            asked = decode_answers(left, json.loads(done.stdout))
            found |= {read: answer for read, answer in asked.items() if answer is not None}
    return found


async def test_a_healthy_node_differs_from_no_assumption(cluster: Simulator) -> None:
    given = await answers(cluster)
    rulings = {assumption.probe.id: assumption.judge(given) for assumption in ASSUMPTIONS}
    differ = {name: seen for name, (hold, seen) in rulings.items() if hold is Hold.DIFFERS and name not in REALLY_HERE}
    assert differ == {}
    unseen = {name for name, (hold, _seen) in rulings.items() if hold is Hold.NOT_SEEN}
    assert unseen <= IDLE | NO_JOB_YET | NO_PLAN_RAN | NO_DRIVER | NO_NEIGHBOUR | NO_NETPLAN
