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

_MAX_NODES = 64
_MAX_BOOT_S = 3600.0
_VENDORS = ("nvidia", "asus", "dell", "hp", "lenovo", "gigabyte", "msi", "acer")
_PLACES = (
    "A fault of a cable is at NODE:P0, NODE:P1 or NODE:NETDEV, e.g. cable-out spark-5c2d:P1. With no place it is\n"
    "where a cable is. NODE is a name, or a number from 1."
)
_SERVERS = ("vllm", "ollama", "llamacpp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    from sparkdesk.simulator.fabric.cabling import SHAPES

    parser.add_argument(
        "--nodes", type=int, metavar=f"1-{_MAX_NODES}", help="how many (default: as the shape has them; 4 on a switch)"
    )
    parser.add_argument(
        "--shape",
        choices=tuple(SHAPES),
        default="",
        help="how they are cabled (default: a switch, or no cables for one node); --list-shapes says more",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="nodes as they come out of their boxes: no fast port is set up, the user is not in the group docker",
    )
    parser.add_argument(
        "--anew", action="store_true", help="other nodes than last time: what those became is forgotten"
    )
    parser.add_argument("--list-shapes", action="store_true", help="say which shapes there are, and end")
    _add_sign_in(parser)
    _add_what_is_there(parser)
    parser.add_argument("--port", type=int, default=0, help="SSH port of every node (default: any that is free)")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    parser.add_argument("--unconfined", action="store_true", help="without namespaces, even where they are allowed")
    parser.add_argument(
        "--control",
        nargs=3,
        metavar=("ON|OFF", "FAULT", "NODE[:PLACE]"),
        help="switch a fault of the cluster that runs on --state, or `on wake NODE`, and end",
    )


def _add_sign_in(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", type=Path, help="folder with what makes the nodes the same after a restart")
    parser.add_argument("--authorized-keys", type=Path, metavar="FILE", help="public keys that may sign in")
    parser.add_argument(
        "--sign-in",
        choices=("key", "password", "both"),
        default="key",
        help="what SSH takes; a key that the node's user installs is always taken (default key)",
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="the password for sudo (and SSH) in its first line; else one is made, see STATE/password",
    )


def _add_what_is_there(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--vendor", action="append", default=[], metavar="NAME[:NODE]", help=f"who made the node: {', '.join(_VENDORS)}"
    )
    parser.add_argument(
        "--running",
        action="append",
        default=[],
        metavar="NAME[:NODE]",
        help=f"a server that somebody else runs there: {', '.join(_SERVERS)}",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME:NODE[:PLACE]",
        help="a fault from the start; a cable's has a place: P0, P1 or a netdev. --list-faults tells which there are",
    )
    parser.add_argument("--list-faults", action="store_true", help="say which faults and actions there are, and end")
    _add_running(parser)


def _add_running(parser: argparse.ArgumentParser) -> None:
    """How it runs, and how a cluster that runs is spoken to."""
    parser.add_argument(
        "--boot-seconds", type=float, default=5.0, metavar="S", help="how long a restart takes (default 5)"
    )
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="GGUF", help="one more model file")


def main(arguments: list[str]) -> int:
    """Run a cluster, or talk to the one that runs."""
    parser = argparse.ArgumentParser(
        prog="sparkdesk simulate",
        description=(__doc__ or "").partition("\n")[0],
        epilog=_tell_names(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    options = parser.parse_args(arguments)
    if options.list_faults:
        return _list_faults()
    if options.list_shapes:
        return _list_shapes()
    shape, count = _check(parser, options)
    folder = f"{_name_of(shape, count)}{'-fresh' if options.fresh else ''}"
    state = (options.state or paths.data_dir() / "simulated" / folder).absolute()
    if options.control:
        return _control(parser, state, options.control)
    if sys.platform != "linux":
        print("simulate: needs Linux; connect to real nodes instead.", file=sys.stderr)
        return 1
    from sparkdesk.simulator import cluster  # here, so that --help and a wrong option cost nothing

    return cluster.run(
        cluster.Options(
            state=state,
            shape=shape,
            count=count,
            authorized_keys=options.authorized_keys,
            faults=tuple(_fault(parser, text) for text in options.fault),
            running=tuple(_choice(parser, "--running", text, _SERVERS) for text in options.running),
            vendors=tuple(_choice(parser, "--vendor", text, _VENDORS) for text in options.vendor),
            port=options.port,
            is_until_eof=options.until_eof,
            is_confined=False if options.unconfined else None,
            sign_in=options.sign_in,
            password_file=options.password_file,
            boot_s=options.boot_seconds,
            models=tuple(file.absolute() for file in options.model),
            tables=_tables(paths.resources_dir()),
            is_fresh=options.fresh,
            is_anew=options.anew,
        )
    )


def _tables(folder: Path) -> dict[str, Path]:
    """What the nodes' programs read: the engines' flags, the images that can be pulled, the models' sizes."""
    files = [*sorted((folder / "flags").glob("*.toml")), folder / "images.toml", folder / "catalogue" / "models.toml"]
    return {file.name: file for file in files if file.is_file()}


def _name_of(shape: str, count: int) -> str:
    """The folder of a cluster that was given none."""
    return f"simulated-{count}" if shape in ("switch", "single") else f"simulated-{shape}-{count}"


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> tuple[str, int]:
    """End with a usage error where a value is none; gives the shape and the number of nodes."""
    from sparkdesk.simulator.fabric.cabling import choose_shape

    if options.nodes is not None and not 1 <= options.nodes <= _MAX_NODES:
        parser.error(f"--nodes takes 1 to {_MAX_NODES}, not {options.nodes}")
    if not 0 <= options.boot_seconds <= _MAX_BOOT_S:
        parser.error(f"--boot-seconds takes 0 to {_MAX_BOOT_S:g}, not {options.boot_seconds:g}")
    for file in (options.authorized_keys, options.password_file, *options.model):
        if file is not None and not file.is_file():
            parser.error(f"{file} is not a file")
    try:
        shape, count = choose_shape(options.shape, options.nodes)
    except ValueError as error:
        parser.error(str(error))
    return shape.name, count


def _choice(parser: argparse.ArgumentParser, option: str, text: str, known: tuple[str, ...]) -> tuple[str, str]:
    """NAME or NAME:NODE, of the known names."""
    name, _colon, node = text.partition(":")
    if name not in known:
        parser.error(f"{option} takes {', '.join(known)}, not {name!r}")
    return name, node


def _shape_rows() -> list[str]:
    from sparkdesk.simulator.fabric.cabling import SHAPES

    rows = []
    for shape in SHAPES.values():
        nodes = f"{shape.least}" if shape.least == shape.most else f"{shape.least} to {shape.most}"
        rows.append(f"{shape.name:<18}{shape.words} (--nodes {nodes})")
    return rows


def _fault_rows() -> list[str]:
    from sparkdesk.simulator.fault import ACTIONS, FAULTS

    return [f"{name:<21}{words}" for name, words in [*((one.name, one.words) for one in FAULTS.values()),
                                                     *ACTIONS.items()]]  # fmt: skip


def _tell_names() -> str:
    """All shapes, faults and actions, for people."""
    shapes, faults = ("\n".join(f"  {row}" for row in rows) for rows in (_shape_rows(), _fault_rows()))
    return f"shapes:\n{shapes}\n\nfaults and actions:\n{faults}\n\n{_PLACES}"


def _list_faults() -> int:
    print("\n".join(_fault_rows()))
    print(_PLACES, file=sys.stderr)
    return 0


def _list_shapes() -> int:
    print("\n".join(_shape_rows()))
    return 0


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
