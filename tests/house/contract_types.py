"""Two kinds of import contract that import-linter lacks, both written as lists of what IS allowed.

A list of what is forbidden says nothing about a name it forgot or spelt wrong; these fail on both. The one rule: a
contract that names a module which does not exist is an error, because it would hold nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class AllowedImports(Contract):
    """The modules below ``sources`` may import the standard library, themselves, and ``allowed``; nothing else.

    With ``self_contained`` they may not import each other either: each file must work when it is sent alone.
    ``denied`` takes parts of the standard library away again: what reads a clock, a socket or a die.
    """

    type_name = "allowed_imports"

    sources = fields.ListField(subfield=fields.StringField())
    allowed = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    denied = fields.ListField(subfield=fields.StringField(), required=False, default=[])
    self_contained = fields.BooleanField(required=False, default=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Walks the direct imports: what is reached through an allowed module is that module's own affair."""
        sources: list[str] = self.sources  # type: ignore[assignment]
        allowed: list[str] = self.allowed  # type: ignore[assignment]
        require_modules(graph, sources)
        denied: list[str] = self.denied  # type: ignore[assignment]
        own = [] if self.self_contained else sources
        standard = sys.stdlib_module_names - set(denied)
        # Importing a module runs the packages around it anyway, so these are free (the version number lies there).
        around = set() if self.self_contained else {name.rpartition(".")[0] for name in sources}
        illegal = [
            (importer, imported)
            for importer in members(graph, sources)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not lies_below(imported, (*own, *allowed))
            and imported.split(".")[0] not in standard
            and imported not in around
        ]
        return result(illegal)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Prints one line for each import that is not on the list."""
        render(check)


class SoleImporters(Contract):
    """Each row of ``doors`` reads ``library: module module ...``: those modules, and no other, may import it.

    A row may name a library that nobody imports yet. The library may also be a module of ours.
    """

    type_name = "sole_importers"

    doors = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Walks the importers of each library and of everything below it."""
        rows: list[str] = self.doors  # type: ignore[assignment]
        illegal = []
        for row in rows:
            library, _, named = row.partition(":")
            importers = named.split()
            require_modules(graph, importers)
            if library.split(".")[0] in {"sparkdesk", "ui", "backends"}:
                require_modules(graph, [library])
            illegal += [
                (importer, imported)
                for imported in sorted(graph.modules)
                if lies_below(imported, [library])
                for importer in sorted(graph.find_modules_that_directly_import(imported))
                if not lies_below(importer, (*importers, library))
            ]
        return result(illegal)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Prints one line for each import that did not come through its door."""
        render(check)


def require_modules(graph: ImportGraph, names: Iterable[str]) -> None:
    """Raises ValueError for the first name that is no module of the graph."""
    for name in names:
        if name not in graph.modules:
            raise ValueError(f"The contract names {name}, which does not exist.")


def members(graph: ImportGraph, packages: Iterable[str]) -> list[str]:
    """The packages and every module below them, sorted."""
    return sorted(name for name in graph.modules if lies_below(name, packages))


def lies_below(name: str, packages: Iterable[str]) -> bool:
    """Whether ``name`` is one of the packages or lies in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


def result(illegal: list[tuple[str, str]]) -> ContractCheck:
    """What import-linter wants to hear."""
    return ContractCheck(kept=not illegal, metadata={"illegal": illegal})


def render(check: ContractCheck) -> None:
    """The broken imports, one a line."""
    for importer, imported in check.metadata["illegal"]:
        output.print_error(f"{importer} imports {imported}", bold=False)
    output.new_line()
