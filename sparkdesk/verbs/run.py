"""Open the window; --simulated opens it on four simulated Sparks, --fresh on four out of their boxes."""

from __future__ import annotations

import gc
import json

SIMULATED, FRESH, FIRST_FRAME = "--simulated", "--fresh", "--first-frame"


def main(arguments: list[str]) -> int:
    """Open the window and stay until it is closed."""
    if not {SIMULATED, FRESH, FIRST_FRAME}.issuperset(arguments):
        _explain(arguments)
    gc.disable()  # nearly all that is made up to the first frame stays; the window turns it on again
    from sparkdesk.app.window import OUT_OF_THEIR_BOXES, WindowOptions, measure_first_frame, run_window

    is_fresh = FRESH in arguments
    window = WindowOptions(
        is_simulated=is_fresh or SIMULATED in arguments, simulation=OUT_OF_THEIR_BOXES if is_fresh else ()
    )
    if FIRST_FRAME in arguments:
        print(json.dumps(measure_first_frame(window)))
        return 0
    return run_window(window)


def _explain(arguments: list[str]) -> None:
    """Say what the words mean, or which one is not known, and end. Apart: argparse costs the first frame 2 ms."""
    import argparse

    parser = argparse.ArgumentParser(prog="sparkdesk run", description=__doc__, allow_abbrev=False)
    parser.add_argument(SIMULATED, action="store_true", help="start the simulated cluster and show it")
    parser.add_argument(FRESH, action="store_true", help="the same with Sparks that nobody has set up: see bring-up")
    parser.add_argument(FIRST_FRAME, action="store_true", help="paint once, print what that cost, and end")
    parser.parse_args(arguments)
