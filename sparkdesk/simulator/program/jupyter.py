"""The stand-in for the JupyterLab of the dashboard: a page that says that it is one."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from page import serve
from spark_state import read_json


def main() -> int:
    """One connection."""
    name = read_json("node")["name"]
    return serve("JupyterLab (simulated)", f"This is a simulated Spark called {name}: there is nothing to see here.")


if __name__ == "__main__":
    sys.exit(main())
