#!/usr/bin/env -S python3 -S
"""Runs a program of the simulator's nodes in a lab node, under the name that it was called by.

The one rule: only programs that read a machine's own files; those of the physical model lie in /run/sparkdesk-sim.
"""

from __future__ import annotations

import os
import sys

PROGRAMS = "/usr/local/lib/lab/program"

if __name__ == "__main__":
    sys.path[0] = PROGRAMS
    module = os.path.basename(sys.argv[0]).replace("-", "_")
    sys.exit(__import__(module).main(sys.argv[1:]))
