"""What docker's commands share: refusals, one value of an option, and rows as tables, JSON or templates."""

from __future__ import annotations

from typing import Any

from go_template import fill

_HEADS = {"ID": "CONTAINER ID", "RunningFor": "CREATED", "Repository": "REPOSITORY", "CreatedSince": "CREATED"}


class DaemonError(Exception):
    """What the daemon refuses."""


def one(options: dict[str, list[str]], name: str, default: str = "") -> str:
    """The last value that was given."""
    return options.get(name, [default])[-1]


def print_rows(rows: list[dict[str, Any]], form: str, columns: tuple[str, ...], heads: dict[str, str]) -> None:
    """As a table, as JSON lines, or by a template."""
    if form == "json":
        form = "{{json .}}"
    if form and not form.startswith("table"):
        for row in rows:
            print(fill(form, row))
        return
    if form.startswith("table "):
        columns = tuple(part.strip("{}. ") for part in form[6:].replace("\\t", "\t").split("\t"))
    titles = _HEADS | heads
    cells = [[titles.get(name, name.upper()) for name in columns]]
    cells += [[str(row.get(name, "")) for name in columns] for row in rows]
    widths = [max(len(line[at]) for line in cells) + 3 for at in range(len(columns))]
    for line in cells:
        print("".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
