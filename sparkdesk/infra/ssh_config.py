"""Hosts that the user's own ~/.ssh/config names, as hints for a search.

The one rule: it is read, never obeyed: no Match block, no ProxyCommand, nothing that runs a program. OpenSSH's way of
taking the first value that fits a host is kept. Source: ssh_config(5).
"""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sparkdesk.core.ports import ConfiguredHost

MAX_BYTES = 256 * 1024
MAX_FILES = 64
MAX_HOSTS = 500
_KEYS = ("hostname", "port", "user", "proxyjump")


@dataclass
class _Block:
    """A Host block: which names it is about, and what it says first of each key."""

    patterns: list[str]
    outer: _Block | None = None
    """The block that an Include stands in: what it includes is about that block's names only."""
    values: dict[str, str] = field(default_factory=dict)

    def fits(self, alias: str) -> bool:
        """Whether the block is about this name."""
        if self.outer is not None and not self.outer.fits(alias):
            return False
        is_fit = False
        for pattern in self.patterns:
            if fnmatch.fnmatchcase(alias, pattern.removeprefix("!")):
                if pattern.startswith("!"):
                    return False
                is_fit = True
        return is_fit


def read_ssh_config(path: Path | None = None) -> tuple[ConfiguredHost, ...]:
    """The hosts with a name of their own in the file and what it includes. A file that is not there names none.

    Raises OSError when it is there and cannot be read.
    """
    path = path or Path.home() / ".ssh" / "config"
    if not path.exists():
        return ()
    blocks = list(_blocks(path, path.parent, None, []))
    aliases = dict.fromkeys(
        pattern
        for block in blocks
        for pattern in block.patterns
        if pattern and not any(mark in pattern for mark in "*?!") and block.fits(pattern)
    )
    return tuple(_resolve(alias, blocks) for alias in list(aliases)[:MAX_HOSTS])


def _blocks(path: Path, folder: Path, outer: _Block | None, seen: list[Path]) -> Iterator[_Block]:
    """The blocks of a file and of what it includes, in order. `seen` are the files on the way and before."""
    if len(seen) >= MAX_FILES or path in seen:
        return
    seen.append(path)
    block: _Block | None = _Block(["*"], outer)  # what stands before the first Host is about all of them
    with path.open("rb") as file:
        text = file.read(MAX_BYTES).decode("utf-8", "replace")
    for line in text.splitlines():
        key, words = _split(line)
        if key in ("host", "match", "include") and block is not None:
            yield block
        if key == "host":
            block = _Block(words, outer)
        elif key == "match":
            block = None
        elif key == "include" and block is not None:
            for name in words:
                yield from _included(name, folder, block, seen)
            block = _Block(block.patterns, outer)
        elif key in _KEYS and words and block is not None:
            block.values.setdefault(key, words[0])
    if block is not None:
        yield block


def _included(name: str, folder: Path, outer: _Block, seen: list[Path]) -> Iterator[_Block]:
    where = Path(name).expanduser()
    is_absolute = where.is_absolute()
    root, pattern = (Path(where.anchor), str(where.relative_to(where.anchor))) if is_absolute else (folder, name)
    for path in sorted(root.glob(pattern))[:MAX_FILES]:
        if path.is_file():
            yield from _blocks(path, folder, outer, seen)


def _split(line: str) -> tuple[str, list[str]]:
    """A line's key, in small letters, and its words; `Key=value` is `Key value`."""
    line = line.strip()
    if not line or line.startswith("#"):
        return "", []
    try:
        words = shlex.split(line.replace("=", " ", 1) if " " not in line.partition("=")[0].strip() else line)
    except ValueError:
        return "", []
    return (words[0].lower(), words[1:]) if words else ("", [])


def _resolve(alias: str, blocks: list[_Block]) -> ConfiguredHost:
    values: dict[str, str] = {}
    for block in blocks:
        if block.fits(alias):
            for key, value in block.values.items():
                values.setdefault(key, value)
    port = values.get("port", "22")
    jump = values.get("proxyjump", "")
    return ConfiguredHost(
        alias=alias,
        address=values.get("hostname", alias).replace("%h", alias).replace("%%", "%"),
        port=int(port) if port.isascii() and port.isdigit() and 0 < int(port) < 65536 else 22,
        user=values.get("user", ""),
        jump="" if jump.lower() == "none" else jump,
    )
