"""Take the guided tour through the simulated cluster, with a picture of each screen.

Exit code 0 only when every stage really happened: nodes live over SSH, a plan, a server that generated a token, an
answer that the server's own counter confirms, a verified stop.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Take the tour."""
    parser = argparse.ArgumentParser(prog="sparkdesk tour", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/tour"), metavar="FOLDER", help="where pictures go")
    parser.add_argument("--model", default="SmolLM2-135M-Instruct", help="a model of the catalogue")
    parser.add_argument("--pace", type=float, default=5.0, metavar="S", help="time for charts to fill (default 5)")
    parser.add_argument("--hold", type=float, default=0.0, metavar="S", help="wait so long before the question")
    options = parser.parse_args(arguments)
    from sparkdesk.app.tour import TourOptions, run_tour

    return run_tour(
        TourOptions(folder=options.out, model=options.model, pace_s=options.pace, hold_s=options.hold),
        lambda line: print(line, flush=True),
    )
