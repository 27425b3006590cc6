"""Say how far the planner's speeds are from the shipped measurements; --fit finds its parameters again."""

from __future__ import annotations

import argparse
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.models.catalogue import read_catalogue
from sparkdesk.core.models.spec import ModelSpec
from sparkdesk.core.planning.reference import FILES, Reference, read_reference
from sparkdesk.core.planning.speed.accuracy import bands_of, cases_of
from sparkdesk.core.planning.speed.accuracy_report import report_of
from sparkdesk.core.planning.speed.calibration import Band, Fitted
from sparkdesk.core.planning.speed.fit import START, Row, fit, fit_without, rows_of
from sparkdesk.core.planning.training.accuracy import training_section
from sparkdesk.core.planning.training.case import read_training
from sparkdesk.paths import resources_dir

REPORT = Path("docs") / "accuracy.md"
LEFT_OUT = "left_out.toml"
_HEAD = """# The fitted parameters that are found when no row of a model is seen, by that model's key.
# Written by `python -m sparkdesk accuracy --fit`.
"""


def main(arguments: list[str]) -> int:
    """Prints the accuracy report; exit code 0."""
    parser = argparse.ArgumentParser(prog="sparkdesk accuracy", description=__doc__, allow_abbrev=False)
    parser.add_argument("--fit", action="store_true", help="find the parameters again and write them (about 20 s)")
    parser.add_argument("--write", action="store_true", help=f"write {REPORT} instead of printing it")
    options = parser.parse_args(arguments)
    folder = resources_dir()
    if (options.fit or options.write) and not (folder.parent / REPORT).is_file():
        raise SettingsError(
            "An installed SparkDesk cannot write its own tables", remedy="Run this in a clone of the source."
        )
    if options.fit:
        _fit_again(folder)
    text = report(folder)
    if options.write:
        (folder.parent / REPORT).write_text(text, "utf-8")
    else:
        print(text, end="")
    return 0


def report(folder: Path) -> str:
    """The report from the files of this resources folder."""
    reference, specs = _read(folder)
    left_out = {
        model: Fitted(**values)
        for model, values in tomllib.loads((folder / "planning" / LEFT_OUT).read_text("utf-8")).items()
    }
    trained = read_training((folder / "planning" / "training.toml").read_bytes())
    text = report_of(cases_of(rows_of(reference, specs), reference, left_out), reference)
    return text + training_section(trained, reference.devices)


def _read(folder: Path) -> tuple[Reference, tuple[ModelSpec, ...]]:
    reference = read_reference({stem: (folder / "planning" / f"{stem}.toml").read_bytes() for stem in FILES})
    return reference, read_catalogue((folder / "catalogue" / "models.toml").read_bytes())


def _fit_again(folder: Path) -> None:
    """Fits, with each model left out once, and writes the parameters and the bands that follow from the errors."""
    reference, specs = _read(folder)
    rows = [row for row in rows_of(reference, specs) if row.measured.is_fitted]
    fitted = fit(rows, reference, START)
    left_out = _left_out(rows, reference, fitted)
    refitted = Reference(
        reference.devices,
        reference.engines,
        reference.measurements,
        replace(reference.calibration, fitted=fitted),
    )
    decode, ttft = bands_of(cases_of(rows, refitted, left_out))
    path = folder / "planning" / "calibration.toml"
    path.write_text(with_values(path.read_text("utf-8"), fitted, decode, ttft), "utf-8")
    lines = [_HEAD]
    for model, values in left_out.items():
        lines.append(f'["{model}"]\n' + "".join(f"{name} = {value!r}\n" for name, value in asdict(values).items()))
    (folder / "planning" / LEFT_OUT).write_text("\n".join(lines), "utf-8")


def _left_out(rows: Sequence[Row], reference: Reference, fitted: Fitted) -> Mapping[str, Fitted]:
    models = sorted({row.measured.model for row in rows})
    return {model: fit_without(model, rows, reference, fitted) for model in models}


def with_values(text: str, fitted: Fitted, decode: Band, ttft: Band) -> str:
    """The calibration file with these values, everything else as it was."""
    for name, values in (("fitted", asdict(fitted)), ("decode_band", asdict(decode)), ("ttft_band", asdict(ttft))):
        body = "".join(f"{key} = {value!r}\n" for key, value in values.items())
        text = re.sub(rf"^\[{name}\]\n(?:\w+ = .*\n)*", f"[{name}]\n{body}", text, count=1, flags=re.MULTILINE)
    return text
