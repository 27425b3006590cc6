"""``python -m sparkdesk [verb] [argument ...]``, and the installed program ``sparkdesk``.

A verb is a module in ``sparkdesk/verbs`` with a function ``main(arguments: list[str]) -> int`` (the exit code); its
docstring's first line is its help. Without a verb the window opens. The one rule: only the named verb is imported, so
that the window's first frame waits for nothing that it does not show.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from sparkdesk import __version__
from sparkdesk.core.errors import SparkDeskError

WINDOW_VERB = "run"
_VERBS_DIR = Path(__file__).resolve().parent / "verbs"
_EXIT_USAGE = 2
_EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell counts
_EXIT_NO_READER = 141  # 128 + SIGPIPE


def verb_names() -> list[str]:
    """The verbs that exist, in alphabetical order."""
    return sorted(path.stem for path in _VERBS_DIR.glob("[a-z]*.py"))


def usage() -> str:
    """One line for each verb."""
    rows = [f"  {name:<12} {_first_line(_VERBS_DIR / f'{name}.py')}" for name in verb_names()]
    return "\n".join([f"SparkDesk {__version__}", "usage: python -m sparkdesk [verb] [argument ...]", "", *rows])


def main(arguments: list[str] | None = None) -> int:
    """Runs the verb that the command line names; returns its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    name = words[0] if words else WINDOW_VERB
    if name in ("-h", "--help", "help"):
        print(usage())
        return 0
    if name == "--version":
        print(__version__)
        return 0
    if name not in verb_names():
        print(f"{usage()}\n\nSparkDesk has no verb {name!r}.", file=sys.stderr)
        return _EXIT_USAGE
    run: Callable[[list[str]], int] = importlib.import_module(f"sparkdesk.verbs.{name}").main
    try:
        try:
            return run(words[1:])
        finally:
            print(end="", flush=True)
    except BrokenPipeError:  # the reader ended first (`| head`); what is buffered would fail once more at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _EXIT_NO_READER
    except SparkDeskError as error:
        print(f"SparkDesk: {error.sentence()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED


def main_gui() -> int:
    """The installed program: opens the window, with whatever options the command line holds."""
    return main([WINDOW_VERB, *sys.argv[1:]])


def _first_line(module: Path) -> str:
    """The first line of a module's docstring, read without running the module."""
    import ast  # 4 ms that the window need not wait for

    docstring = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
    return docstring.partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
