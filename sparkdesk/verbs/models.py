"""List what these Sparks can run: every model on 1 to 4 nodes, with speed and context; as a table or with --json.

Needs no node, no window and no network. Exit code 0; 2 on wrong usage.
"""

from __future__ import annotations

import argparse
import json
import re
from typing import TYPE_CHECKING, NoReturn

from sparkdesk.core.plain_text import make_line

if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = 2
MAX_NODES = 16
DEFAULT_NODES = 4


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {make_line(message, max_chars=600)}\n")


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = _Parser(prog="sparkdesk models", description=(__doc__ or "").partition("\n")[0], allow_abbrev=False)
    parser.add_argument(
        "--nodes",
        type=_count(1),
        default=DEFAULT_NODES,
        metavar="N",
        help=f"for 1 to N nodes ({DEFAULT_NODES})",
    )
    parser.add_argument(
        "--owned", type=_count(0), metavar="N", help="how many you have; columns beyond are marked (default: all)"
    )
    parser.add_argument("--purpose", default="", metavar="WORD", help="only models for this: chat, code, vision ...")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    options = parser.parse_args(arguments)
    from sparkdesk.app.plan_data import load_catalogue, load_reference
    from sparkdesk.core.planning.place import NodeRoom, Place
    from sparkdesk.core.planning.search.table import models_table
    from sparkdesk.core.planning.search.table_report import models_json, models_text

    reference, catalogue = load_reference(), load_catalogue()
    word = options.purpose.lower()
    purposes = sorted({purpose for spec in catalogue for purpose in spec.purposes})
    if word and word not in purposes:
        parser.error(f"argument --purpose: no model is for {word!r}. They are for {', '.join(purposes)}.")
    owned = options.nodes if options.owned is None else options.owned
    memory = reference.devices["gb10"].memory_bytes
    place = Place(
        tuple(NodeRoom(f"node-{at}", f"node {at}", memory, is_owned=at <= owned) for at in range(1, options.nodes + 1))
    )
    specs = [spec for spec in catalogue if not word or word in spec.purposes]
    rows = models_table(specs, place, reference, tuple(range(1, options.nodes + 1)))
    if options.json:
        print(json.dumps(models_json(rows), indent=1, allow_nan=False, ensure_ascii=False))
    else:
        print(models_text(rows))
    return 0


def _count(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,4}", text) and least <= int(text) <= MAX_NODES:
            return int(text)
        words = repr(make_line(text, max_chars=60))
        raise argparse.ArgumentTypeError(f"{words} is not a whole number from {least} to {MAX_NODES}")

    return read
