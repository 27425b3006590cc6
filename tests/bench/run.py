"""Runs the benchmarks, prints a table and writes build/bench.json: `make bench [ONLY=word]`.

A benchmark is a module ``bench_*.py`` beside this file with ``NAMES`` (the names of its figures, a literal) and
``measure() -> list[Figure]``. The one rule: each runs in a process of its own, so that one that crashes or hangs is a
row that says so, and none warms up another.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIME_LIMIT_S = 600.0


def names_of(module: Path) -> list[str]:
    """The figures a benchmark promises, read without running it.

    Raises:
        ValueError: the module has no literal ``NAMES``.
    """
    for node in ast.parse(module.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["NAMES"]:
            return [str(name) for name in ast.literal_eval(node.value)]
    raise ValueError(f"{module.name} has no NAMES = (...)")


def run_child(module: Path, output: Path) -> None:
    """In the child: measures and writes the figures as JSON."""
    spec = importlib.util.spec_from_file_location(module.stem, module)
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[module.stem] = benchmark
    spec.loader.exec_module(benchmark)
    output.write_text(json.dumps([figure.row() for figure in benchmark.measure()]), "utf-8")


def measure_apart(module: Path, time_limit_s: float = TIME_LIMIT_S) -> list[dict[str, object]]:
    """Runs one benchmark in a process group of its own; what it promised and did not deliver is a row that failed."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "figures.json"
        command = [sys.executable, str(Path(__file__).resolve()), "--child", str(module), "--output", str(output)]
        environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ, "SPARKDESK_HOME": f"{folder}/home"}
        with open(f"{folder}/stderr", "w+", encoding="utf-8", errors="replace") as complaint:
            child = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=2, stderr=complaint,
                start_new_session=True,
            )  # fmt: skip
            try:
                code = child.wait(timeout=time_limit_s)
                complaint.seek(0)
                trouble = (_last_line(complaint.read()) or f"ended with code {code}") if code else ""
            except subprocess.TimeoutExpired:
                trouble = f"did not end within {time_limit_s:g} s"
            finally:
                _end_group(child)
        rows: list[dict[str, object]] = json.loads(output.read_text("utf-8")) if output.is_file() else []
    delivered = {row["name"] for row in rows}
    lost = [name for name in names_of(module) if name not in delivered]
    return rows + [failed_row(name, trouble or "was promised and not measured") for name in lost]


def failed_row(name: str, note: str) -> dict[str, object]:
    """The row of a figure that could not be measured."""
    return {"name": name, "value": None, "unit": "", "goal": "", "ok": False, "baseline": None, "note": note}


def table(rows: list[dict[str, object]]) -> str:
    """The figures as aligned text, one a line."""
    cells = [["", "figure", "value", "unit", "goal", "baseline", "note"]]
    for row in rows:
        verdict = "ok" if row["ok"] else "MISSED"
        cells.append([verdict, *(_cell(row[key]) for key in ("name", "value", "unit", "goal", "baseline", "note"))])
    widths = [max(len(line[column]) for line in cells) for column in range(6)]
    return "\n".join("  ".join([*map(str.ljust, line[:6], widths), line[6]]).rstrip() for line in cells)


def main(arguments: list[str] | None = None) -> int:
    """0 when every figure reached its goal, 1 when one did not, 2 when no name contains the word."""
    parser = argparse.ArgumentParser(description="Run the benchmarks of SparkDesk.")
    parser.add_argument("--only", default="", metavar="WORD", help="run the figures whose name contains WORD")
    parser.add_argument("--folder", type=Path, default=HERE, help="where the bench_*.py lie")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench.json", help="the JSON to write")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child is not None:
        run_child(options.child, options.output)
        return 0
    modules = [path for path in sorted(options.folder.glob("bench_*.py")) if _has_word(path, options.only)]
    if not modules:
        print(f"no figure's name contains {options.only!r}", file=sys.stderr)
        return 2
    rows = [row for module in modules for row in measure_apart(module) if options.only in str(row["name"])]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    print(table(rows))
    return 0 if all(row["ok"] for row in rows) else 1


def _has_word(module: Path, word: str) -> bool:
    return any(word in name for name in names_of(module))


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else ""


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Ends the child and whatever it started and left behind."""
    if os.name == "posix":
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    else:
        child.kill()
    child.wait(timeout=30)


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # benchmarks import the project's packages and tests.bench.figure
    sys.exit(main())
