"""torchrun with one process a node: sets what ranks read, and becomes the script. Strict about options.

Source: PyTorch's documentation of torchrun (Elastic Launch), static rendezvous.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys


def main() -> None:
    """Run the script in this process."""
    parser = argparse.ArgumentParser(prog="torchrun", allow_abbrev=False)
    parser.add_argument("--nnodes", type=int, required=True)
    parser.add_argument("--node-rank", "--node_rank", type=int, required=True)
    parser.add_argument("--nproc-per-node", "--nproc_per_node", type=int, default=1)
    parser.add_argument("--master-addr", "--master_addr", required=True)
    parser.add_argument("--master-port", "--master_port", type=int, required=True)
    parser.add_argument("--rdzv-conf", "--rdzv_conf", default="")
    parser.add_argument("--max-restarts", "--max_restarts", type=int, default=0)
    parser.add_argument("--no-python", "--no_python", action="store_true")
    parser.add_argument("script")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    assert options.nproc_per_node == 1
    os.environ.update({
        "RANK": str(options.node_rank), "LOCAL_RANK": "0", "WORLD_SIZE": str(options.nnodes),
        "MASTER_ADDR": options.master_addr, "MASTER_PORT": str(options.master_port),
    })  # fmt: skip
    sys.argv = [options.script, *options.rest]
    runpy.run_path(options.script, run_name="__main__")


if __name__ == "__main__":
    main()
