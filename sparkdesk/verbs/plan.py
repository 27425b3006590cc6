"""Plan how to serve a model: what fits, how fast, which parallelism, and why; as a table or with --json.

Needs no node, no window and no network. Exit code 0 when something fits, 1 when nothing does, 2 on wrong usage or a
model that is neither in the catalogue nor a readable path.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sparkdesk.core.plain_text import make_line
from sparkdesk.core.planning.workload import PRESETS, Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sparkdesk.core.jobs.plan import Problem
    from sparkdesk.core.models.catalogue import Match
    from sparkdesk.core.models.spec import ModelSpec
    from sparkdesk.core.planning.place import Place
    from sparkdesk.core.planning.reference import Reference
    from sparkdesk.core.planning.search.question import Question

FITS, FITS_NOT, USAGE = 0, 1, 2
MAX_NODES = 64
MAX_TOKENS = 4_194_304
MAX_USERS = 4096
MAX_GIB = 4096.0
SHOWN_ROWS = 20
OPTIONS = {
    "prompt_tokens": "--isl",
    "answer_tokens": "--osl",
    "users": "--concurrency",
    "cached_share": "--cached",
    "engine": "--engine",
    "quantization": "--quantization",
    "build": "--build",
    "kv_dtype": "--kv-dtype",
    "speculative": "--speculative",
    "tensor_parallel_size": "--tp",
    "pipeline_parallel_size": "--pp",
    "data_parallel_size": "--dp",
    "nodes": "--nodes",
    "model": "MODEL",
}
"""Field of a problem -> what a person wrote it with."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, and lists what there is to choose from only when it is asked for help."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {make_line(message, max_chars=600)}\n")

    def format_help(self) -> str:
        self.epilog = _choices()
        return super().format_help()


def main(arguments: list[str]) -> int:
    """Plan."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    from sparkdesk.app.plan_data import load_catalogue, load_reference
    from sparkdesk.core.errors import PlanError

    _refuse_unused(parser, options)
    try:
        if options.train:
            return _train(parser, options, load_reference())
        reference = load_reference()
        match, doubts = _find(options.model, load_catalogue())
    except PlanError as error:
        parser.error(f"argument MODEL: {error.sentence()}")
    for doubt in doubts:
        print(make_line(f"{doubt.message}. {doubt.remedy}", max_chars=400), file=sys.stderr)
    return _answer(parser, options, _question(options, match, reference), reference)


def _refuse_unused(parser: _Parser, options: argparse.Namespace) -> None:
    """What would be passed over in silence is a mistake: it belongs to the other kind of plan."""
    if options.train:
        serving = ("engine", "quantization", "build", "tp", "pp", "dp", "kv_dtype", "speculative", "osl", "concurrency")
        for name in serving:
            if getattr(options, name) not in (None, ""):
                parser.error(f"argument --{name.replace('_', '-')}: it belongs to serving, not to --train")
    elif options.batch is not None:
        parser.error("argument --batch: it belongs to --train; for serving give --concurrency")


def _answer(parser: _Parser, options: argparse.Namespace, question: Question, reference: Reference) -> int:
    from sparkdesk.core.planning.search.combination import question_problems
    from sparkdesk.core.planning.search.ranking import is_fitting
    from sparkdesk.core.planning.search.report import plans_json, plans_table
    from sparkdesk.core.planning.search.rows import plan_rows

    for problem in question_problems(question, reference):
        parser.error(_sentence(problem))
    rows = plan_rows(question, reference)
    if options.json:
        _print_json(plans_json(question, rows))
    else:
        print(plans_table(question, rows, len(rows) if options.all else SHOWN_ROWS))
    return FITS if any(is_fitting(row) for row in rows) else FITS_NOT


def _sentence(problem: Problem) -> str:
    """A problem at the option that it belongs to."""
    return f"argument {OPTIONS.get(problem.field, 'MODEL')}: {problem.message}. {problem.remedy}"


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False))


# What was asked -------------------------------------------------------------------------------------------------------


def _question(options: argparse.Namespace, match: Match, reference: Reference) -> Question:
    from sparkdesk.core.planning.cost import Prices
    from sparkdesk.core.planning.search.checkpoint import format_of
    from sparkdesk.core.planning.search.question import Goal, Limits, Question
    from sparkdesk.core.telemetry.energy_rate import EnergyRates

    form, notes = format_of(match, options.model, options.quantization or "")
    limits = Limits(
        engine=options.engine or "",
        format=form,
        build=options.build or "",
        tensor=options.tp,
        pipeline=options.pp,
        data=options.dp,
        kv_dtype=options.kv_dtype,
        speculative=options.speculative,
    )
    place = _place(options.nodes or limits.world_size, options, reference)
    prices = Prices(EnergyRates(math.nan if options.kwh_price is None else options.kwh_price), options.machine_price)
    goal = Goal(options.goal)
    return Question(match.spec, _workload(options), place, limits, goal=goal, prices=prices, notes=notes)


def _workload(options: argparse.Namespace) -> Workload:
    """The preset, with what was said beside it."""
    preset = next(one for one in PRESETS if one.key == options.workload)
    load = replace(
        preset,
        prompt_tokens=options.isl or preset.prompt_tokens,
        answer_tokens=options.osl or preset.answer_tokens,
        users=options.concurrency or preset.users,
        cached_share=preset.cached_share if options.cached is None else options.cached,
    )
    return load if load == preset else replace(load, key="custom", title="Custom")


def _place(nodes: int, options: argparse.Namespace, reference: Reference) -> Place:
    """So many equal nodes that nobody uses, with nothing read from them but what was said."""
    from sparkdesk.core.planning.place import NodeRoom, Place

    device = reference.devices[options.device]
    gib = options.memory_total_gib
    total = device.memory_bytes if gib is None else int(gib * (1 << 30))
    rooms = (NodeRoom(f"node-{at}", f"node {at}", total_bytes=total, device=device.key) for at in range(1, nodes + 1))
    return Place(tuple(rooms))


def _find(words: str, catalogue: Sequence[ModelSpec]) -> tuple[Match, tuple[Problem, ...]]:
    """The model that is meant, and what is doubtful about it: a path when the words look like one, else a name of the
    catalogue, else a path. Raises PlanError.
    """
    from sparkdesk.core.errors import PlanError
    from sparkdesk.core.models.catalogue import find_model
    from sparkdesk.core.planning.search.checkpoint import find_unlisted

    path = _path(words)
    if path is not None and _looks_like_path(words):
        return _read(path)
    match = find_model(catalogue, words)
    if match is not None:
        return match, ()
    if path is not None and _exists(path):
        return _read(path)
    unlisted = find_unlisted(catalogue, words)
    if unlisted is not None:
        return unlisted, ()
    near = _near(words, catalogue)
    hint = f"Did you mean {near}?" if near else "`python -m sparkdesk models` lists what it knows."
    name = repr(make_line(words, max_chars=100))
    raise PlanError(f"{name} is neither a model of the catalogue nor a readable path", remedy=hint)


def _read(path: Path) -> tuple[Match, tuple[Problem, ...]]:
    from sparkdesk.app.model_file import read_model
    from sparkdesk.core.models.catalogue import Match

    found = read_model(path)
    return Match(found.spec), found.doubts


def _path(words: str) -> Path | None:
    """As a path; None for what no file system can hold."""
    if not words or "\0" in words or len(words) > 4096:
        return None
    try:
        return Path(words).expanduser()
    except RuntimeError:  # ~name of nobody
        return None


def _looks_like_path(words: str) -> bool:
    return words.startswith(("/", "./", "../", "~", ".\\")) or words.lower().endswith((".json", ".gguf"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _near(words: str, catalogue: Sequence[ModelSpec]) -> str:
    """Names that are spelt nearly so, for a person who mistyped."""
    import difflib

    names = {name.rsplit("/", 1)[-1].lower(): spec.key or name for spec in catalogue for name in (spec.key, spec.name)}
    asked = words.rsplit("/", 1)[-1].lower()[:100]
    found = difflib.get_close_matches(asked, [name for name in names if name], n=3, cutoff=0.5)
    return " or ".join(dict.fromkeys(names[name] for name in found))


# Training -------------------------------------------------------------------------------------------------------------


def _train(parser: _Parser, options: argparse.Namespace, reference: Reference) -> int:
    """`--train METHOD`: steps, samples and tokens a second, on all nodes and on fewer."""
    from sparkdesk.app.plan_data import load_catalogue, load_training
    from sparkdesk.core.errors import PlanError
    from sparkdesk.core.planning.training.case import find_cases
    from sparkdesk.core.planning.training.plan import TrainingQuestion, plan_training
    from sparkdesk.core.planning.training.report import training_json, training_table

    cases = load_training()
    spec = None if find_cases(cases, options.model) else _find(options.model, load_catalogue())[0].spec
    method = "" if options.train == "any" else options.train
    question = TrainingQuestion(
        method=method,
        model=spec.name if spec else options.model,
        place=_place(options.nodes or 1, options, reference),
        spec=spec,
        batch=options.batch,
        sequence_tokens=options.isl,
    )
    try:
        rows = plan_training(question, cases, reference.devices)
    except PlanError as error:
        parser.error(f"argument --train: {error.sentence()}")
    if options.json:
        _print_json(training_json(question, rows))
    else:
        print(training_table(question, rows))
    return FITS if any(row.fit.value in ("Fits", "Tight") for row in rows) else FITS_NOT


# Options --------------------------------------------------------------------------------------------------------------


def _make_parser() -> _Parser:
    parser = _Parser(
        prog="sparkdesk plan",
        description=(__doc__ or "").partition("\n")[0],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL", help="catalogue key, hub id, config.json, its folder, or a .gguf")
    _add_load(parser)
    _add_limits(parser)
    place = parser.add_argument_group("place")
    place.add_argument(
        "--nodes", type=_count(MAX_NODES), metavar="N", help="plan for one up to N nodes (default: 1, or TP x PP x DP)"
    )
    place.add_argument("--device", choices=("gb10", "b200", "h100"), default="gb10", help="what a node is (gb10)")
    place.add_argument(
        "--memory-total-gib",
        type=_amount(1.0, MAX_GIB),
        metavar="GIB",
        help="a node's MemTotal (the device's)",
    )
    parser.add_argument(
        "--goal",
        choices=("balanced", "fast"),
        default="balanced",
        help="fast: speed alone decides (balanced)",
    )
    price = _amount(0.0, 1e9)
    place.add_argument("--kwh-price", type=price, metavar="MONEY", help="of a kilowatt hour, for the cost")
    place.add_argument("--machine-price", type=price, metavar="MONEY", help="of a node, for the cost")
    parser.add_argument("--train", metavar="METHOD", default="", help="plan training instead of serving")
    parser.add_argument("--batch", type=_count(1 << 20), metavar="N", help="with --train: samples a node and step")
    parser.add_argument("--all", action="store_true", help=f"more than the first {SHOWN_ROWS} rows of the table")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return parser


def _add_load(parser: _Parser) -> None:
    load = parser.add_argument_group("workload")
    keys = tuple(one.key for one in PRESETS)
    load.add_argument("--workload", choices=keys, default=PRESETS[0].key, help=f"a preset (default {PRESETS[0].key})")
    load.add_argument("--isl", type=_count(MAX_TOKENS), metavar="TOKENS", help="tokens of a prompt")
    load.add_argument("--osl", type=_count(MAX_TOKENS), metavar="TOKENS", help="tokens of an answer")
    load.add_argument("--concurrency", type=_count(MAX_USERS), metavar="USERS", help="requests at once")
    load.add_argument("--cached", type=_amount(0.0, 0.9999), metavar="SHARE", help="cached part of a prompt: 0.9")


def _add_limits(parser: _Parser) -> None:
    limits = parser.add_argument_group("limits", "what is fixed; the rest is tried")
    limits.add_argument("--engine", type=_word, metavar="KEY", help="serve with this engine")
    limits.add_argument("--quantization", type=_word, metavar="FORMAT", help="weights in this format")
    limits.add_argument("--build", type=_word, metavar="KEY", help="of the engine: stock, tuned, eager")
    for flag, name in (("--tp", "tensor"), ("--pp", "pipeline"), ("--dp", "data")):
        limits.add_argument(flag, type=_count(MAX_NODES), metavar="N", help=f"{name} parallel size")
    limits.add_argument("--kv-dtype", type=_word, metavar="TYPE", help="type of the KV cache's values")
    limits.add_argument("--speculative", type=_word, metavar="METHOD", help="speculative decoding; none: without")


def _count(most: int) -> Callable[[str], int]:
    """A whole number from 1 on, for argparse."""

    def read(text: str) -> int:
        digits = text.strip().replace("_", "")
        if re.fullmatch(r"[0-9]{1,9}", digits) and 1 <= int(digits) <= most:
            return int(digits)
        raise argparse.ArgumentTypeError(f"{_quoted(text)} is not a whole number from 1 to {most:,}")

    return read


def _amount(least: float, most: float) -> Callable[[str], float]:
    """A number within bounds, for argparse."""

    def read(text: str) -> float:
        try:
            value = float(text) if len(text) < 40 else math.nan
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and least <= value <= most):
            raise argparse.ArgumentTypeError(f"{_quoted(text)} is not a number from {least:g} to {most:g}")
        return value

    return read


def _word(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}", text):
        raise argparse.ArgumentTypeError(f"{_quoted(text)} is not a name")
    return text


def _quoted(text: str) -> str:
    return repr(make_line(text, max_chars=60))


def _choices() -> str:
    """Engines, quantizations, KV types, methods and workloads, for the help."""
    from sparkdesk.app.plan_data import load_reference
    from sparkdesk.core.planning.training.plan import METHODS

    engines = load_reference().engines.values()

    def join(keys: Sequence[str]) -> str:
        return ", ".join(dict.fromkeys(keys))

    loads = [
        f"  {one.key:<10} {one.title}: prompt {one.prompt_tokens:,}, answer {one.answer_tokens:,} tokens, "
        f"{one.users} at once{f', {one.cached_share:.0%} cached' if one.cached_share else ''}"
        for one in PRESETS
    ]
    rows = [
        ("engines", join([one.key for one in engines])),
        ("builds", join([build.key for one in engines for build in one.builds])),
        ("quantizations", join([key for one in engines for key in one.formats])),
        ("KV dtypes", join([key or "auto" for one in engines for key in one.kv_dtypes])),
        ("speculative", join([key for one in engines for key in one.speculatives])),
        ("training methods", join(METHODS)),
    ]
    return "\n".join([*(f"{name}: {keys}" for name, keys in rows), "workloads:", *loads])
