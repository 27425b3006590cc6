"""Extracts the flags of `vllm serve` from vLLM's own source package, without installing or importing it.

    python -m tests.flags.extract_vllm vllm-0.33.0.tar.gz > resources/flags/vllm-0.33.0.toml

The package is only read as text: its argument code (engine/arg_utils.py, entrypoints/common/cli_args.py) and the
dataclasses that it takes types from (config/). How many words a flag takes follows vLLM's own rule there: a bool
becomes `--x` and `--no-x`, `bool | str | None` takes an optional word, lists take one or more, all else takes one.
"""

from __future__ import annotations

import ast
import re
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

ARGUMENT_FILES = ("vllm/engine/arg_utils.py", "vllm/entrypoints/common/cli_args.py")
FRONTEND_CLASSES = ("BaseFrontendArgs", "FrontendArgs")


@dataclass
class Flag:
    """One flag: its names, how many words it takes (none, value, optional, many), and its choices if closed."""

    name: str
    aliases: list[str] = field(default_factory=list)
    takes: str = "value"
    choices: list[str] = field(default_factory=list)

    def to_toml(self) -> str:
        """As one table of the array `flag`."""
        lines = ["[[flag]]", f'name = "{self.name}"', f'takes = "{self.takes}"']
        if self.aliases:
            lines.append("aliases = [" + ", ".join(f'"{alias}"' for alias in self.aliases) + "]")
        if self.choices:
            lines.append("choices = [" + ", ".join(f'"{choice}"' for choice in self.choices) + "]")
        return "\n".join(lines)


class Package:
    """The Python files of an unpacked source package, parsed on demand."""

    def __init__(self, archive: str) -> None:
        self.trees: dict[str, ast.Module] = {}
        with tarfile.open(archive) as tar:
            for member in tar:
                path = member.name.partition("/")[2]
                if path in ARGUMENT_FILES or re.fullmatch(
                    r"vllm/(config|entrypoints|tool_parsers|model_executor/layers)/.*\.py", path
                ):
                    stream = tar.extractfile(member)
                    if stream is not None:
                        self.trees[path] = ast.parse(stream.read())
        self.types: dict[str, ast.expr] = {}
        self.fields: dict[str, dict[str, ast.expr]] = {}
        for tree in self.trees.values():
            self._collect(tree)

    def _collect(self, tree: ast.Module) -> None:
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.types.setdefault(node.targets[0].id, node.value)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
                self.types.setdefault(node.target.id, node.value)
            elif isinstance(node, ast.ClassDef):
                own = {
                    item.target.id: item.annotation
                    for item in node.body
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
                }
                inherited: dict[str, ast.expr] = {}
                for parent in node.bases:
                    if isinstance(parent, ast.Name):
                        inherited |= self.fields.get(parent.id, {})
                self.fields[node.name] = inherited | own

    def names_in(self, annotation: ast.expr, depth: int = 0) -> set[str]:
        """The type names of an annotation, with this package's own aliases followed."""
        names: set[str] = set()
        for node in ast.walk(annotation):
            if isinstance(node, ast.Name):
                names.add(node.id)
                alias = self.types.get(node.id)
                if alias is not None and depth < 4 and isinstance(alias, ast.Subscript | ast.BinOp | ast.Name):
                    names |= self.names_in(alias, depth + 1)
            elif isinstance(node, ast.Constant) and node.value is None:
                names.add("None")
        return names

    def literals_in(self, annotation: ast.expr, depth: int = 0) -> list[str]:
        """The words of every Literal in an annotation, with this package's own aliases followed."""
        words: list[str] = []
        for node in ast.walk(annotation):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
                parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                for part in parts:
                    if isinstance(part, ast.Constant):
                        words.append(str(part.value))
                    else:
                        words += self.literals_in(part, depth + 1)
            elif isinstance(node, ast.Name) and depth < 4:
                alias = self.types.get(node.id)
                if isinstance(alias, ast.Subscript | ast.BinOp):
                    words += self.literals_in(alias, depth + 1)
        return list(dict.fromkeys(words))


def flag_of_type(name: str, aliases: list[str], annotation: ast.expr, package: Package) -> Flag:
    """A flag from the dataclass field that it sets, by vLLM's own rule."""
    names = package.names_in(annotation)
    if "bool" in names:
        takes = "optional" if {"str", "None"} <= names else "none"
        return Flag(name, aliases, takes)
    if names & {"list", "tuple", "set"} and "dict" not in names:
        return Flag(name, aliases, "many")
    literals = package.literals_in(annotation)
    is_closed = "Literal" in names and not names & {"str", "int"}
    return Flag(name, aliases, "value", literals if is_closed else [])


def frontend_flags(package: Package) -> Iterator[Flag]:
    """The HTTP server's flags: one for each field of its dataclasses."""
    one_word = {"allowed_origins", "allowed_methods", "allowed_headers"}
    for class_name in FRONTEND_CLASSES:
        for key, annotation in package.fields[class_name].items():
            flag = flag_of_type("--" + key.replace("_", "-"), [], annotation, package)
            if key in one_word:
                flag.takes = "value"
            yield flag


def declared_flags(package: Package) -> Iterator[Flag]:
    """The flags that are declared one by one with `add_argument`."""
    for path in ARGUMENT_FILES:
        groups = kwargs_classes(package.trees[path])
        for node in ast.walk(package.trees[path]):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if is_call and node.func.attr == "add_argument":  # type: ignore[attr-defined]
                names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]  # type: ignore[attr-defined]
                options = [name for name in names if isinstance(name, str) and name.startswith("-")]
                if options:
                    options.sort(key=lambda name: not name.startswith("--"))
                    yield read_declaration(options, node, groups, package)  # type: ignore[arg-type]


Groups = dict[str, str | ast.Subscript]


def find_field(value: ast.expr, groups: Groups, package: Package) -> ast.expr | None:
    """The dataclass field behind `**x_kwargs["field"]`, also when it is wrapped or has a name of its own."""
    for node in ast.walk(value):
        target = groups.get(node.id) if isinstance(node, ast.Name) else None
        if isinstance(target, ast.Subscript):
            return find_field(target, groups, package)
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.value, ast.Name)
            and isinstance(node.slice, ast.Constant)
        ):
            class_name = groups.get(node.value.id)
            if isinstance(class_name, str):
                return package.fields.get(class_name, {}).get(str(node.slice.value))
    return None


def kwargs_classes(tree: ast.Module) -> Groups:
    """`x_kwargs = get_kwargs(XConfig)` and `y = x_kwargs["field"]`: what each such name stands for."""
    groups: Groups = {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Subscript)
        and node.targets[0].id.endswith("_kwargs")
    }
    return groups | {
        node.targets[0].id: node.value.args[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "get_kwargs"
        and isinstance(node.value.args[0], ast.Name)
    }


def read_declaration(options: list[str], call: ast.Call, groups: Groups, package: Package) -> Flag:
    """One `add_argument(...)`."""
    name, aliases = options[0], options[1:]
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    for keyword in call.keywords:
        if keyword.arg is None:
            annotation = find_field(keyword.value, groups, package)
            if annotation is not None:
                return flag_of_type(name, aliases, annotation, package)
    action = ast.unparse(given["action"]) if "action" in given else ""
    if "store_true" in action or "BooleanOptionalAction" in action:
        return Flag(name, aliases, "none")
    nargs = ast.literal_eval(given["nargs"]) if isinstance(given.get("nargs"), ast.Constant) else None
    return Flag(name, aliases, {"+": "many", "*": "many", "?": "optional"}.get(str(nargs), "value"))


def extract(archive: str) -> str:
    """The whole table as TOML, with the version in its head."""
    release = re.search(r"vllm-(\d[\w.]*?)\.tar\.gz$", archive)
    if release is None:
        raise SystemExit("give the path of vllm-VERSION.tar.gz")
    package = Package(archive)
    flags: dict[str, Flag] = {}
    for flag in (*frontend_flags(package), *declared_flags(package)):
        flags.setdefault(flag.name, flag)
    head = [
        "# Flags of `vllm serve`, extracted from vLLM's own source package by tests/flags/extract_vllm.py.",
        'engine = "vllm"',
        f'version = "{release[1]}"',
        f"count = {len(flags)}",
    ]
    body = [flags[name].to_toml() for name in sorted(flags)]
    return "\n".join(head) + "\n\n" + "\n\n".join(body) + "\n"


if __name__ == "__main__":
    sys.stdout.write(extract(sys.argv[1]))
