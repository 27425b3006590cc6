"""How a Python program of ours runs on a node without being installed: sent by its length, ahead of what else it reads.

The one rule: standard input stays open behind the source, so that the program can be talked to and notices the end.
Isolated (-I) and without site packages (-S): no file of the user's can stand in for a module, and it starts faster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkdesk.core.command import Command

_SCRIPT = 'import sys\nfor n in({},):exec(compile(sys.stdin.buffer.read(n),"sparkdesk","exec"))'
_LENGTHS = re.compile(re.escape(_SCRIPT).replace(r"\{\}", r"(\d+(?:,\d+)*)"))


def python_command(sources: Sequence[bytes], *arguments: str) -> Command:
    """The command that runs these sources, one after another in one namespace; write them to its standard input."""
    lengths = ",".join(str(len(source)) for source in sources)
    script = _SCRIPT.format(lengths)
    return Command(("python3", "-I", "-S", "-u", "-c", script, *arguments), env={"LC_ALL": "C"})


def sources_of(argv: Sequence[str], stdin: bytes) -> tuple[bytes, ...]:
    """The sources that such a command reads from this input; nothing for any other command."""
    match = next((found for word in argv if (found := _LENGTHS.fullmatch(word))), None)
    sources, start = [], 0
    for length in map(int, match[1].split(",")) if match else ():
        sources.append(stdin[start : start + length])
        start += length
    return tuple(one for one in sources if one)
