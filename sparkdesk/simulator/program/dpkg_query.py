"""`dpkg-query` of a node: -W with a format. Words as dpkg 1.22 has them."""

from __future__ import annotations

import fnmatch
import re
import sys

from package_table import installed

_FIELDS = ("Package", "binary:Package", "Version", "Status", "db:Status-Status", "db:Status-Abbrev", "Architecture")


def main(arguments: list[str]) -> int:
    """`-W [-f FORMAT] [PATTERN ...]`."""
    form, patterns, is_show = "${binary:Package}\t${Version}\n", [], False
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word in ("-W", "--show"):
            is_show = True
        elif word == "-f" and left:
            form = left.pop(0)
        elif word.startswith(("-f=", "--showformat=")):
            form = word.partition("=")[2]
        elif word.startswith("-f") and len(word) > 2:
            form = word[2:]
        elif word.startswith("-"):
            return _fail(f"dpkg-query: error: unknown option {word}")
        else:
            patterns.append(word)
    if not is_show:
        return _fail("dpkg-query: error: need an action option")
    code, packages = 0, installed()
    for pattern in patterns or ["*"]:
        found = sorted(fnmatch.filter(packages, pattern))
        for name in found:
            sys.stdout.write(_fill(form, name, packages[name]))
        if not found:
            print(f"dpkg-query: no packages found matching {pattern}", file=sys.stderr)
            code = 1
    return code


def _fail(words: str) -> int:
    print(f"{words}\n\nUse --help for help about querying packages.", file=sys.stderr)
    return 2


def _fill(form: str, name: str, version: str) -> str:
    values = dict(zip(_FIELDS, (name, name, version, "install ok installed", "installed", "ii ", "arm64"), strict=True))
    text = form.replace("\\n", "\n").replace("\\t", "\t")
    return re.sub(r"\$\{([^}]*)\}", lambda match: values.get(match[1].partition(";")[0], ""), text)
