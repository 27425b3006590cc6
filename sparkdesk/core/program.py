"""How a Python program of ours runs on a node without being installed: sent by its length, ahead of what else it reads.

The one rule: standard input stays open behind the source, so that the program can be talked to and notices the end.
Isolated (-I) and without site packages (-S): no file of the user's can stand in for a module, and it starts faster.
"""

from __future__ import annotations

from collections.abc import Sequence

from sparkdesk.core.command import Command


def python_command(sources: Sequence[bytes], *arguments: str) -> Command:
    """The command that runs these sources, one after another in one namespace; write them to its standard input."""
    lengths = ",".join(str(len(source)) for source in sources)
    script = f'import sys\nfor n in({lengths},):exec(compile(sys.stdin.buffer.read(n),"sparkdesk","exec"))'
    return Command(("python3", "-I", "-S", "-u", "-c", script, *arguments), env={"LC_ALL": "C"})
