"""Extracts the flags of `python -m sglang.launch_server` from SGLang's own package, without installing or importing it.

    python -m tests.flags.extract_sglang sglang-0.5.23-...whl > resources/flags/sglang-0.5.23.toml

The package is only read as text: the fields of its arguments (srt/arg_groups/fields), the lists of choices beside them
and what server_args.py declares itself. How many words a flag takes follows SGLang's own rule (srt/arg_groups/
arg_utils.py): a bool is a switch, a list takes one or more unless it has a parser of its own, all else takes one.
"""

from __future__ import annotations

import ast
import re
import sys
import zipfile
from collections.abc import Iterator

from tests.flags.extract_vllm import Flag

FIELDS = re.compile(r"sglang/srt/arg_groups/fields/\w+\.py")
CHOICES = "sglang/srt/arg_groups/choices.py"
NAMES = {
    "reasoning_parser_choices": ("sglang/srt/parser/reasoning_parser_names.py", "REASONING_PARSER_NAMES"),
    "tool_call_parser_choices": ("sglang/srt/function_call/parser_names.py", "TOOL_CALL_PARSER_NAMES"),
}
SERVER = "sglang/srt/server_args.py"
SWITCHES = ("store_true", "DeprecatedStoreTrueAction", "BooleanOptionalAction")


class Lists:
    """The package's named lists of words."""

    def __init__(self, package: zipfile.ZipFile) -> None:
        self._values: dict[str, ast.expr] = {}
        for path in (CHOICES, *(path for path, _ in NAMES.values())):
            for node in ast.parse(package.read(path)).body:
                targets = node.targets if isinstance(node, ast.Assign) else []
                if isinstance(node, ast.AnnAssign) and node.value is not None:
                    targets, value = [node.target], node.value
                elif isinstance(node, ast.Assign):
                    value = node.value
                else:
                    continue
                for target in targets:
                    if isinstance(target, ast.Name):
                        self._values[target.id] = value
        for name, (_, known) in NAMES.items():
            self._values[name] = ast.Name(known)

    def words(self, value: ast.expr | None, depth: int = 0) -> list[str]:
        """The words of a list, tuple or set, of its name, or of a sum of them; none where they are not written out."""
        if depth > 5:
            return []
        match value:
            case ast.Name(id=name) if name in self._values:
                return self.words(self._values[name], depth + 1)
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                found = [self.words(part, depth + 1) for part in parts]
                return [word for words in found for word in words]
            case ast.Constant(value=str() | int() as word):
                return [str(word)]
            case ast.BinOp(left=left, right=right):
                return self.words(left, depth + 1) + self.words(right, depth + 1)
            case ast.Call(args=[inner]):
                return self.words(inner, depth + 1)
        return []


def field_flags(tree: ast.Module, lists: Lists) -> Iterator[Flag]:
    """The flags of the annotated fields of one file."""
    for owner in tree.body:
        for node in owner.body if isinstance(owner, ast.ClassDef) else []:
            flag = read_field(node, lists) if isinstance(node, ast.AnnAssign) else None
            if flag is not None:
                yield flag


def read_field(node: ast.AnnAssign, lists: Lists) -> Flag | None:
    """One field `name: A[type, "help" or Arg(...)]`; None when it has no flag."""
    mark = node.annotation
    is_marked = isinstance(mark, ast.Subscript) and isinstance(mark.value, ast.Name) and mark.value.id == "A"
    if not is_marked or not isinstance(node.target, ast.Name) or not isinstance(mark.slice, ast.Tuple):  # type: ignore[attr-defined]
        return None
    kind, *marks = mark.slice.elts  # type: ignore[attr-defined]
    given: dict[str, ast.expr] = {}
    for each in marks:
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "Arg":
            given = {keyword.arg: keyword.value for keyword in each.keywords if keyword.arg}
    if "no_cli" in given:
        return None
    name = "--" + node.target.id.replace("_", "-")
    if isinstance(given.get("cli_name"), ast.Constant):
        name = ast.literal_eval(given["cli_name"])
    flag = Flag(name, lists.words(given.get("aliases")), choices=lists.words(given.get("choices")))
    flag.takes = words_taken(kind, given)
    literal = re.search(r"Literal\[(.*)\]", ast.unparse(kind), re.DOTALL)
    if literal and not flag.choices:
        flag.choices = re.findall(r"'([^']*)'", literal[1])
    return flag


def words_taken(kind: ast.expr, given: dict[str, ast.expr]) -> str:
    """How many words a field's flag takes, by SGLang's own rule."""
    inner = re.sub(r"^Optional\[(.*)\]$", r"\1", ast.unparse(kind), flags=re.DOTALL)
    if "action" in given:
        return "none" if any(word in ast.unparse(given["action"]) for word in SWITCHES) else "many"
    if re.match(r"(List|list)\[", inner) and "type_parser" not in given:
        return "many"
    if inner == "bool":
        return "none"
    nargs = given.get("nargs")
    written = str(ast.literal_eval(nargs)) if isinstance(nargs, ast.Constant) else ""
    return {"+": "many", "*": "many", "?": "optional"}.get(written, "value")


def declared_flags(tree: ast.Module, lists: Lists) -> Iterator[Flag]:
    """What server_args.py declares itself with `add_argument`."""
    for node in ast.walk(tree):
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if not is_call or node.func.attr != "add_argument":  # type: ignore[attr-defined]
            continue
        names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]  # type: ignore[attr-defined]
        given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}  # type: ignore[attr-defined]
        if not names:
            continue
        action = ast.unparse(given["action"]) if "action" in given else ""
        takes = "none" if any(word in action for word in SWITCHES) else "value"
        yield Flag(str(names[0]), [str(name) for name in names[1:]], takes, lists.words(given.get("choices")))


def extract(archive: str) -> str:
    """The whole table as TOML, with the version in its head."""
    release = re.search(r"sglang-(\d[\w.]*?)-", archive)
    if release is None:
        raise SystemExit("give the path of sglang-VERSION-....whl")
    flags: dict[str, Flag] = {}
    with zipfile.ZipFile(archive) as package:
        lists = Lists(package)
        for path in sorted(name for name in package.namelist() if FIELDS.fullmatch(name)):
            for flag in field_flags(ast.parse(package.read(path)), lists):
                flags.setdefault(flag.name, flag)
        for flag in declared_flags(ast.parse(package.read(SERVER)), lists):
            flags.setdefault(flag.name, flag)
    head = [
        "# Flags of `python -m sglang.launch_server`, extracted from its package by tests/flags/extract_sglang.py.",
        'engine = "sglang"',
        f'version = "{release[1]}"',
        f"count = {len(flags)}",
    ]
    return "\n".join(head) + "\n\n" + "\n\n".join(flags[name].to_toml() for name in sorted(flags)) + "\n"


if __name__ == "__main__":
    sys.stdout.write(extract(sys.argv[1]))
