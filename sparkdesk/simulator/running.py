"""Servers that run on a node before SparkDesk looks at it, as somebody else's would.

The one rule: they are started by the node's user on the node, with nothing of SparkDesk's on them, and start again
with the node, as services do.
"""

from __future__ import annotations

import logging
import os

from sparkdesk.simulator.node.node import Command, Node, NodeError

_log = logging.getLogger(__name__)

# The forms are those of NVIDIA's playbooks; the names are a person's.
SERVERS = {
    "vllm": "docker rm -f qwen3 >/dev/null 2>&1; "
    "docker run -d --name qwen3 --gpus all --ipc host -p 127.0.0.1:8000:8000 nvcr.io/nvidia/vllm:26.05-py3 "
    "vllm serve Qwen/Qwen3-8B --served-model-name qwen3-8b --max-model-len 4096 --gpu-memory-utilization 0.4",
    "ollama": "setsid -f ollama serve",
    "llamacpp": 'setsid -f llama-server -m "$(ls ~/models/*.gguf | head -n 1)" --alias smollm2 --host 127.0.0.1 '
    "--port 8080 -c 4096 --metrics",
}


def start(node: Node, names: tuple[str, ...]) -> None:
    """Start these servers on a node; how they fare is to be seen on the node."""
    for name in names:
        null = os.open(os.devnull, os.O_RDWR)
        try:
            message = {"kind": "exec", "command": SERVERS[name]}
            node.execute(message, (null, null, null), Command(started=_ignore, ended=_ignore))
        except NodeError as error:
            _log.warning("%s: %s was not started: %s", node.identity.name, name, error)
        finally:
            os.close(null)


def _ignore(_first: int, _second: int) -> None:
    """Nobody waits for it."""
