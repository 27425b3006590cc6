"""`python3` of a simulated image, for three uses: a line of code (-c), a script, and torchrun.

The one rule: strict about options, as torchrun is; what is mounted is found where the container has it, and the first
line says that it is simulated. Source: PyTorch's documentation of torchrun (Elastic Launch), static rendezvous.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import image_torch
from engine_start import Launch, read_launch
from spark_state import declare_load

_LOAD_BYTES = 5 * 2**28  # a process with a CUDA context and NCCL's buffers; made up for the simulator


def main(arguments: list[str]) -> int:
    """Run what the container was asked for."""
    launch = read_launch(arguments[0])
    os.environ.update(launch.environment)
    print("# simulated", flush=True)
    image_torch.install()
    words = launch.arguments
    if words[:1] == ["-c"]:
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})  # nothing that the user's shell could not
        return 0
    if words[0] != "-m":
        return _run_script(launch, words[0], words[1:])
    return _run_ranks(launch, words[2:])


def _run_ranks(launch: Launch, words: list[str]) -> int:
    """torchrun with one process a node: sets what ranks read, and becomes the script."""
    options = _parse(words)
    os.environ.update({
        "RANK": str(options.node_rank), "LOCAL_RANK": "0", "WORLD_SIZE": str(options.nnodes), "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": options.master_addr, "MASTER_PORT": str(options.master_port),
    })  # fmt: skip
    with declare_load("python3", memory_bytes=_LOAD_BYTES):
        return _run_script(launch, options.script, options.rest)


def _run_script(launch: Launch, path: str, words: list[str]) -> int:
    """Become a script that is mounted into the container."""
    script = launch.on_node(path)
    if not os.path.isfile(script):
        print(f"python3: can't open file '{path}': [Errno 2] No such file or directory", file=sys.stderr)
        return 2
    sys.argv = [script, *words]
    runpy.run_path(script, run_name="__main__")
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    """Ends the program for an option that is none."""
    parser = argparse.ArgumentParser(prog="torchrun", allow_abbrev=False)
    for name, is_needed in (("nnodes", True), ("node-rank", True), ("nproc-per-node", False), ("master-port", True)):
        parser.add_argument(f"--{name}", f"--{name.replace('-', '_')}", type=int, required=is_needed, default=1)
    parser.add_argument("--master-addr", "--master_addr", required=True)
    parser.add_argument("--max-restarts", "--max_restarts", type=int, default=0)
    parser.add_argument("--rdzv-conf", "--rdzv_conf", default="")
    parser.add_argument("script")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args(words)
    if options.nproc_per_node != 1:
        parser.error("a simulated node has one GPU: --nproc-per-node 1")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
