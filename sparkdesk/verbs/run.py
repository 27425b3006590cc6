"""Open the window; --simulated opens it on four simulated Sparks."""

from __future__ import annotations

import argparse
import json


def main(arguments: list[str]) -> int:
    """Open the window and stay until it is closed."""
    parser = argparse.ArgumentParser(prog="sparkdesk run", description=__doc__)
    parser.add_argument("--simulated", action="store_true", help="start the simulated cluster and show it")
    parser.add_argument("--first-frame", action="store_true", help="paint once, print what that cost, and end")
    options = parser.parse_args(arguments)
    from sparkdesk.app.window import WindowOptions, measure_first_frame, run_window

    window = WindowOptions(is_simulated=options.simulated)
    if options.first_frame:
        print(json.dumps(measure_first_frame(window)))
        return 0
    return run_window(window)
