"""The command line of a simulated engine, checked against the flag table of a named release.

The one rule: what the release does not know ends with the words and the exit code of the engine's own parser, which are
argparse's or click's. Without a table nothing is known to be wrong.
"""

from __future__ import annotations

import glob
import sys
import tomllib
from dataclasses import dataclass
from typing import Any, NoReturn

from spark_state import FOLDER


@dataclass(frozen=True, slots=True)
class Grammar:
    """How an engine reads its words: `engine` names its tables, `takes_model` says that one stands without a flag."""

    engine: str
    usage: str
    takes_model: bool = True
    is_click: bool = False


VLLM = Grammar("vllm", "vllm serve [model_tag] [options]")
SGLANG = Grammar("sglang", "launch_server.py [-h] --model-path MODEL_PATH [options]", takes_model=False)
TRTLLM = Grammar("trtllm", "trtllm-serve serve [OPTIONS] MODEL", is_click=True)
_NUMBERS = {"--port": int, "--max-model-len": str, "--max-num-seqs": int, "--gpu-memory-utilization": float,
            "--tensor-parallel-size": int, "--pipeline-parallel-size": int,
            "--max-num-batched-tokens": int, "--mem-fraction-static": float, "--context-length": int,
            "--max-running-requests": int, "--tp-size": int, "--max_batch_size": int, "--max_num_tokens": int,
            "--max_seq_len": int, "--free_gpu_memory_fraction": float, "--tensor_parallel_size": int}  # fmt: skip


# Flags that only a patched image has. Source: the community's recipe for gpt-oss-120b on one Spark.
_PATCHED = {"sparkarena/spark-vllm-docker:mxfp4": ("--mxfp4-backend", "--mxfp4-layers")}


def load_table(grammar: Grammar, image: str = "") -> tuple[str, dict[str, dict[str, Any]]]:
    """(version, name or alias -> row) of the newest table, with what only this image has; ("unknown", {}) for none."""
    files = sorted(glob.glob(f"{FOLDER}/flags/{grammar.engine}-*.toml"))
    if not files:
        return "unknown", {}
    with open(files[-1], "rb") as stream:
        table = tomllib.load(stream)
    rows: dict[str, dict[str, Any]] = {}
    for row in table.get("flag", []):
        for name in (row["name"], *row.get("aliases", [])):
            rows[name] = row
        if grammar.engine == "vllm" and row.get("takes") == "none" and row["name"].startswith("--"):
            rows.setdefault(f"--no-{row['name'][2:]}", row)
    rows |= {name: {"name": name, "takes": "value"} for name in _PATCHED.get(image, ())}
    return str(table.get("version", "unknown")), rows


def parse(grammar: Grammar, arguments: list[str], table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Values by the flag's first name, a model that stands alone under "model". Ends with code 2 on a wrong line."""
    found: dict[str, Any] = {}
    strangers: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            if "model" in found or not grammar.takes_model:
                strangers.append(word)
            found.setdefault("model", word)
            continue
        name, has_value, value = word.partition("=")
        name = _dashed(name) if grammar.engine == "vllm" else name
        row = table.get(name) or table.get(name.partition(".")[0]) or _shortened(grammar, name, table)
        if row is None:
            if table:
                strangers.append(word)
                if words and not words[0].startswith("-"):
                    strangers.append(words.pop(0))
                continue
            row = {"name": name, "takes": "value" if has_value or (words and not words[0].startswith("-")) else "none"}
        found[row["name"]] = _take(grammar, name, row, words, value if has_value else None)
    if strangers and grammar.is_click:
        is_option = strangers[0].startswith("-")
        _refuse(grammar, f"No such option: {strangers[0]}" if is_option else
                f"Got unexpected extra argument ({strangers[0]})")  # fmt: skip
    if strangers:
        _refuse(grammar, f"unrecognized arguments: {' '.join(strangers)}")
    return found


def _shortened(grammar: Grammar, name: str, table: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """argparse takes the beginning of a long name where it is only one's."""
    if grammar.is_click or not name.startswith("--") or len(name) < 4:
        return None
    rows = {row["name"]: row for other, row in table.items() if other.startswith(name)}
    if len(rows) > 1:
        _refuse(grammar, f"ambiguous option: {name} could match {', '.join(sorted(rows))}")
    return next(iter(rows.values()), None)


def _dashed(name: str) -> str:
    """vLLM takes underscores for dashes in long names."""
    head, dot, tail = name.partition(".")
    return (head.replace("_", "-") if head.startswith("--") else head) + dot + tail


def _take(grammar: Grammar, name: str, row: dict[str, Any], words: list[str], given: str | None) -> Any:
    """The value or values of a flag."""
    takes = row.get("takes", "value")
    if takes == "none":
        if given is not None:
            _refuse(grammar, f"argument {row['name']}: ignored explicit argument {given!r}")
        return not name.startswith("--no-")
    if given is None and takes == "optional" and (not words or words[0].startswith("-")):
        return True
    values = [given] if given is not None else []
    while not values or (takes == "many" and words and not words[0].startswith("-")):
        if not words or _is_flag(words[0]):
            _refuse(
                grammar,
                f"argument {row['name']}: expected {'at least one argument' if takes == 'many' else 'one argument'}",
            )
        values.append(words.pop(0))
    for value in values:
        _check(grammar, row, str(value))
    return values if takes == "many" else values[0]


def _is_flag(word: str) -> bool:
    """argparse takes a negative number for a value."""
    return word.startswith("-") and not word[1:].replace(".", "", 1).isdigit()


def _check(grammar: Grammar, row: dict[str, Any], value: str) -> None:
    choices = row.get("choices") or []
    if choices and value not in choices:
        shown = ", ".join(repr(choice) for choice in choices)
        if grammar.is_click:
            _refuse(grammar, f"Invalid value for '{row['name']}': {value!r} is not one of {shown}.")
        _refuse(grammar, f"argument {row['name']}: invalid choice: {value!r} (choose from {shown})")
    kind = _NUMBERS.get(row["name"])
    if kind in (int, float):
        try:
            kind(value)
        except ValueError:
            if grammar.is_click:
                words = {"int": "integer", "float": "float"}[kind.__name__]
                _refuse(grammar, f"Invalid value for '{row['name']}': {value!r} is not a valid {words}.")
            _refuse(grammar, f"argument {row['name']}: invalid {kind.__name__} value: {value!r}")


def _refuse(grammar: Grammar, words: str) -> NoReturn:
    if grammar.is_click:
        program = grammar.usage.partition(" [")[0]
        print(f"Usage: {grammar.usage}\nTry '{program} --help' for help.\n\nError: {words}", file=sys.stderr)
        raise SystemExit(2)
    print(f"usage: {grammar.usage}", file=sys.stderr)
    print(f"{grammar.usage.partition(' [')[0]}: error: {words}", file=sys.stderr)
    raise SystemExit(2)
