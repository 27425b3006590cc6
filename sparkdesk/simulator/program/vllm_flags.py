"""The command line of `vllm serve`, checked against the flag table of a named release.

The one rule: what the release does not know ends with argparse's words and exit code 2. Without a table nothing is
known to be wrong.
"""

from __future__ import annotations

import glob
import sys
import tomllib
from typing import Any, NoReturn

from spark_state import FOLDER

_NUMBERS = {"--port": int, "--max-model-len": str, "--max-num-seqs": int, "--gpu-memory-utilization": float,
            "--tensor-parallel-size": int, "--pipeline-parallel-size": int,
            "--max-num-batched-tokens": int}  # fmt: skip


def load_table() -> tuple[str, dict[str, dict[str, Any]]]:
    """(version, name or alias -> row) of the newest table; ("unknown", {}) when there is none."""
    files = sorted(glob.glob(f"{FOLDER}/flags/vllm-*.toml"))
    if not files:
        return "unknown", {}
    with open(files[-1], "rb") as stream:
        table = tomllib.load(stream)
    rows: dict[str, dict[str, Any]] = {}
    for row in table.get("flag", []):
        for name in (row["name"], *row.get("aliases", [])):
            rows[name] = row
        if row.get("takes") == "none" and row["name"].startswith("--"):
            rows.setdefault(f"--no-{row['name'][2:]}", row)
    return str(table.get("version", "unknown")), rows


def parse(arguments: list[str], table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Values by the flag's first name, the model under "model". Ends the program with code 2 on a wrong line."""
    found: dict[str, Any] = {}
    strangers: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            if "model" in found:
                strangers.append(word)
            found.setdefault("model", word)
            continue
        name, has_value, value = word.partition("=")
        name = _dashed(name)
        row = table.get(name) or table.get(name.partition(".")[0] if name.startswith("-") else "")
        if row is None:
            if table:
                strangers.append(word)
                if words and not words[0].startswith("-"):
                    strangers.append(words.pop(0))
                continue
            row = {"name": name, "takes": "value" if has_value or (words and not words[0].startswith("-")) else "none"}
        found[row["name"]] = _take(name, row, words, value if has_value else None)
    if strangers:
        _refuse(f"unrecognized arguments: {' '.join(strangers)}")
    found.setdefault("model", found.get("--model", "Qwen/Qwen3-0.6B"))
    return found


def _dashed(name: str) -> str:
    """vLLM takes underscores for dashes in long names."""
    head, dot, tail = name.partition(".")
    return (head.replace("_", "-") if head.startswith("--") else head) + dot + tail


def _take(name: str, row: dict[str, Any], words: list[str], given: str | None) -> Any:
    """The value or values of a flag."""
    takes = row.get("takes", "value")
    if takes == "none":
        if given is not None:
            _refuse(f"argument {row['name']}: ignored explicit argument {given!r}")
        return not name.startswith("--no-")
    if given is None and takes == "optional" and (not words or words[0].startswith("-")):
        return True
    values = [given] if given is not None else []
    while not values or (takes == "many" and words and not words[0].startswith("-")):
        if not words or _is_flag(words[0]):
            _refuse(
                f"argument {row['name']}: expected {'at least one argument' if takes == 'many' else 'one argument'}"
            )
        values.append(words.pop(0))
    for value in values:
        _check(row, str(value))
    return values if takes == "many" else values[0]


def _is_flag(word: str) -> bool:
    """argparse takes a negative number for a value."""
    return word.startswith("-") and not word[1:].replace(".", "", 1).isdigit()


def _check(row: dict[str, Any], value: str) -> None:
    choices = row.get("choices") or []
    if choices and value not in choices:
        shown = ", ".join(repr(choice) for choice in choices)
        _refuse(f"argument {row['name']}: invalid choice: {value!r} (choose from {shown})")
    kind = _NUMBERS.get(row["name"])
    if kind in (int, float):
        try:
            kind(value)
        except ValueError:
            _refuse(f"argument {row['name']}: invalid {kind.__name__} value: {value!r}")


def _refuse(words: str) -> NoReturn:
    print("usage: vllm serve [model_tag] [options]", file=sys.stderr)
    print(f"vllm serve: error: {words}", file=sys.stderr)
    raise SystemExit(2)
