"""`nvcc` of a node: its version; it compiles nothing. Version as of captures; build line and date are made up."""

from __future__ import annotations

import sys


def main(arguments: list[str]) -> int:
    """--version."""
    if arguments in (["--version"], ["-V"]):
        print("nvcc: NVIDIA (R) Cuda compiler driver\nCopyright (c) 2005-2025 NVIDIA Corporation")
        print("Built on Wed_Aug_20_01:57:39_PM_PDT_2025\nCuda compilation tools, release 13.0, V13.0.88")
        print("Build cuda_13.0.r13.0/compiler.36424714_0")
        return 0
    print("nvcc fatal   : a simulated node compiles nothing", file=sys.stderr)
    return 1
