"""Keep a cluster of simulated Sparks up and print how to reach it.

One JSON line on standard output when the nodes are up, hints for people on standard error, then it goes on until a
signal (or, with --until-eof, the end of its input: then an application that started it and crashed takes it along).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from sparkdesk import paths

_MAX_NODES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("--nodes", type=int, default=4, choices=range(1, _MAX_NODES + 1), help="how many (default 4)")
    parser.add_argument("--state", type=Path, help="folder with what makes the nodes the same after a restart")
    parser.add_argument("--authorized-keys", type=Path, metavar="FILE", help="public keys that may sign in")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME:NODE",
                        help="node-gone or host-key-changed, from the start")  # fmt: skip
    parser.add_argument("--port", type=int, default=0, help="SSH port of every node (default: any that is free)")
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="GGUF", help="one more model file")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    parser.add_argument("--unconfined", action="store_true", help="without namespaces, even where they are allowed")
    parser.add_argument("--control", nargs=3, metavar=("ON|OFF", "FAULT", "NODE"),
                        help="switch a fault of the cluster that runs on --state, and end")  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run a cluster, or talk to the one that runs."""
    parser = argparse.ArgumentParser(prog="sparkdesk simulate", description=(__doc__ or "").partition("\n")[0])
    add_arguments(parser)
    options = parser.parse_args(arguments)
    state = options.state or paths.data_dir() / "simulated" / f"simulated-{options.nodes}"
    if options.control:
        return _control(parser, state.absolute(), options.control)
    faults = tuple(_fault(parser, text) for text in options.fault)
    for file in (options.authorized_keys, *options.model):
        if file is not None and not file.is_file():
            parser.error(f"{file} is not a file")
    if sys.platform != "linux":
        print("simulate: needs Linux; connect to real nodes instead.", file=sys.stderr)
        return 1
    from sparkdesk.simulator import cluster  # here, so that --help and a wrong option cost nothing

    return cluster.run(
        cluster.Options(
            state=state.absolute(),
            count=options.nodes,
            authorized_keys=options.authorized_keys,
            faults=faults,
            port=options.port,
            is_until_eof=options.until_eof,
            is_confined=False if options.unconfined else None,
            models=tuple(file.absolute() for file in options.model),
            tables={table.name: table for table in sorted((paths.resources_dir() / "flags").glob("*.toml"))},
        )
    )


def _fault(parser: argparse.ArgumentParser, text: str) -> tuple[str, str]:
    name, colon, node = text.partition(":")
    if not (name and colon and node):
        parser.error(f"--fault takes NAME:NODE, not {text!r}")
    return name, node


def _control(parser: argparse.ArgumentParser, state: Path, words: list[str]) -> int:
    from sparkdesk.simulator import control

    way, fault, node = words
    if way not in ("on", "off"):
        parser.error(f"--control takes on or off first, not {way!r}")
    try:
        reply = control.request(state, fault, node, is_on=way == "on")
    except (OSError, ValueError) as error:
        print(f"simulate: no simulator answers on {state}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(reply))
    return 0 if reply.get("ok") else 1
