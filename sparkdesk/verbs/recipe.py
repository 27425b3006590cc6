"""Read a recipe, a command or a model's address as a launch request, with its problems; or export it.

Nothing in the file is ever run. Exit code 0 when it is a launch request, 1 when a problem forbids it, 2 on wrong usage
or a file that cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkdesk.core.plain_text import make_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparkdesk.core.jobs.recipe.imported import Imported
    from sparkdesk.core.jobs.request import LaunchRequest

GOOD, FORBIDDEN, USAGE = 0, 1, 2
MAX_BYTES = 256 * 1024
EXPORTS = ("sparkrun", "script", "compose", "kubernetes", "command")


def main(arguments: list[str]) -> int:
    """Read one file."""
    options = _parser().parse_args(arguments)
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1) if options.file == "-" else _read(Path(options.file))
    except OSError as error:
        print(f"sparkdesk recipe: {make_line(options.file)}: {error.strerror or error}", file=sys.stderr)
        return USAGE
    imported = _import(data, options.file)
    nodes = tuple(options.nodes.split(",")) if options.nodes else ()
    request, imported = _request(imported, nodes)
    if options.export:
        for line in _problem_lines(imported):
            print(line, file=sys.stderr)
        if request is not None and not _print_export(options.export, request, imported):
            return FORBIDDEN
    elif options.json:
        print(json.dumps(_data(imported, request), indent=1))
    else:
        print("\n".join(_lines(imported, request)))
    return GOOD if request is not None else FORBIDDEN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sparkdesk recipe",
        description=(__doc__ or "").partition("\n")[0],
        epilog="Reads recipes of sparkrun, eugr, spark-pulse and SparkDesk (YAML, TOML, JSON), commands of docker, "
        "vllm, sglang, trtllm-serve and llama-server, hub addresses, and GGUF files. Exit code 0: a launch request; "
        "1: a problem forbids it; 2: wrong usage, or the file cannot be read.",
    )
    parser.add_argument("file", metavar="FILE", help="the file; - is standard input")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--export", choices=EXPORTS, help="print the launch request in another form")
    parser.add_argument(
        "--nodes", default="", metavar="A,B", help="node ids in rank order (default rank-0, rank-1, ...)"
    )
    return parser


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _import(data: bytes, name: str) -> Imported:
    from sparkdesk import paths
    from sparkdesk.app.plugin import find_backends
    from sparkdesk.core.jobs.recipe.imported import Draft, digest_of
    from sparkdesk.core.jobs.recipe.paste import is_recipe_name, read_paste
    from sparkdesk.core.models.catalogue import read_catalogue
    from sparkdesk.infra.yaml_text import read_yaml

    if data.startswith(b"GGUF"):
        text = str(Path(name).absolute())
    elif len(data) > MAX_BYTES:
        return _refused("The file is too large for a recipe", f"A recipe has at most {MAX_BYTES} bytes.")
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            draft = Draft()
            draft.refuse("", "The file is not text", "Save it as UTF-8.")
            return draft.settle("", digest_of(data))
    catalogue = read_catalogue((paths.resources_dir() / "catalogue" / "models.toml").read_bytes())
    backends = find_backends().backends
    return read_paste(text, catalogue, backends, load_yaml=read_yaml, is_recipe=is_recipe_name(name))


def _refused(message: str, remedy: str) -> Imported:
    from sparkdesk.core.jobs.recipe.imported import Draft

    draft = Draft()
    draft.refuse("", message, remedy)
    return draft.settle("", "")


def _request(imported: Imported, nodes: Sequence[str]) -> tuple[LaunchRequest | None, Imported]:
    """The request, or None with the problem that forbids it."""
    from dataclasses import replace

    from sparkdesk.core.errors import PlanError
    from sparkdesk.core.jobs.plan import Problem, Severity

    names = tuple(nodes) or tuple(f"rank-{rank}" for rank in range(imported.nodes_wanted))
    try:
        return imported.request(names), imported
    except PlanError as error:
        if not imported.has_errors:
            found = Problem(
                Severity.ERROR, error.message, error.remedy, "nodes" if "engine" in imported.fields else "engine"
            )
            imported = replace(imported, problems=(*imported.problems, found))
        return None, imported


def _print_export(kind: str, request: LaunchRequest, imported: Imported) -> bool:
    from sparkdesk.core.errors import PlanError

    try:
        print(_export(kind, request, imported), end="")
    except PlanError as error:
        print(f"error: {error.message} {error.remedy}", file=sys.stderr)
        return False
    return True


def _export(kind: str, request: LaunchRequest, imported: Imported) -> str:
    from sparkdesk.core.jobs.recipe.command.text import command_of
    from sparkdesk.core.jobs.recipe.export.compose import export_compose
    from sparkdesk.core.jobs.recipe.export.kubernetes import export_kubernetes
    from sparkdesk.core.jobs.recipe.export.recipe import export_recipe
    from sparkdesk.core.jobs.recipe.export.script import export_script
    from sparkdesk.core.jobs.recipe.export.silence import silent_fields

    if kind == "command":
        return command_of(request, silent=silent_fields(request, imported))
    writers = {
        "sparkrun": export_recipe, "script": export_script, "compose": export_compose, "kubernetes": export_kubernetes
    }  # fmt: skip
    return writers[kind](request, origin=imported)


def _data(imported: Imported, request: LaunchRequest | None) -> dict[str, Any]:
    return {
        "schema": 1,
        "source_kind": imported.source_kind,
        "title": imported.title,
        "digest": imported.digest,
        "request": None if request is None else request.model_dump(mode="json"),
        "fields": json.loads(json.dumps(dict(imported.fields))),
        "nodes_wanted": imported.nodes_wanted,
        "problems": [
            {"severity": each.severity.value, "field": each.field, "message": each.message, "remedy": each.remedy}
            for each in imported.problems
        ],
        "unknown": [{"where": each.where, "text": each.text, "why": each.why} for each in imported.unknown],
        "set_aside": [{"where": each.where, "text": each.text, "why": each.why} for each in imported.set_aside],
        "shown_only": [{"kind": each.kind, "where": each.where, "text": each.text} for each in imported.shown_only],
    }


def _lines(imported: Imported, request: LaunchRequest | None) -> list[str]:
    from sparkdesk.core.jobs.recipe.wording import field_words, unread_words

    head = f"{imported.source_kind or 'not understood'}{f': {imported.title}' if imported.title else ''}"
    lines = [head, f"sha256 {imported.digest}" if imported.digest else ""]
    lines += [f"  {name:<24} {make_line(words, max_chars=160)}" for name, words in field_words(imported).items()]
    lines.append(f"  {'nodes':<24} {imported.nodes_wanted}")
    lines += _problem_lines(imported)
    lines += [f"off ({each.kind}): {each.where}: {each.text}" for each in imported.shown_only]
    for each in imported.unknown:
        lines.append(f"not understood{' (passed on)' * each.is_passed_on}: {unread_words(each)} ({each.why})")
    lines += [f"not taken: {unread_words(each)} ({each.why})" for each in imported.set_aside]
    lines.append("This is a launch request." if request is not None else "This cannot be launched as it stands.")
    return [line for line in lines if line]


def _problem_lines(imported: Imported) -> list[str]:
    return [
        f"{each.severity.value}{f' at {each.field}' if each.field else ''}: {each.message}. {each.remedy}"
        for each in imported.problems
    ]
