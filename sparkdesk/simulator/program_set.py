"""Put the programs of the nodes (nvidia-smi, docker, llama-server, ...) into a folder that every node sees.

The one rule: a program is a Python file in `program/` here, read as text and run by the Python that runs the simulator,
without any package but the standard library; only the engine adds its own.
"""

from __future__ import annotations

import os
import py_compile
import shutil
import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parent / "program"
# name on the node's PATH -> module in program/
COMMANDS = {
    "docker": "docker",
    "ethtool": "ethtool",
    "hostname": "hostname",
    "ibdev2netdev": "ibdev2netdev",
    "ip": "ip",
    "llama-server": "llama_server",
    "loginctl": "loginctl",
    "nvidia-smi": "nvidia_smi",
    "ss": "ss",
    "sudo": "sudo",
    "systemctl": "systemctl",
    "uname": "uname",
}
_MAX_SHEBANG = 120


def install(folder: Path, tables: dict[str, Path]) -> None:
    """Fill `folder`: modules with their bytecode, `bin/` with one launcher a command, `flags/` with these tables."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    for source in sorted(_SOURCE.glob("*.py")):
        target = folder / source.name
        target.write_text(source.read_text("utf-8"), "utf-8")
        py_compile.compile(str(target), doraise=True, quiet=1)
    python = os.path.realpath(sys.executable)
    for command, module in COMMANDS.items():
        if (folder / f"{module}.py").exists():
            launcher = folder / "bin" / command
            launcher.write_text(_launcher(python, module), "utf-8")
            launcher.chmod(0o755)
    for name in ("python3", "python"):
        (folder / "bin" / name).symlink_to(python)
    for name, table in tables.items():
        (folder / "flags").mkdir(exist_ok=True)
        (folder / "flags" / name).write_bytes(table.read_bytes())
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    folder.chmod(0o755)


def _launcher(python: str, module: str) -> str:
    """A file that runs the module; Python starts without `site`, which is half of its start-up time."""
    body = (
        "import os, sys\n"
        "sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))\n"
        f"from {module} import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    if " " not in python and len(python) < _MAX_SHEBANG:
        return f"#!{python} -IS\n{body}"
    return f"#!/bin/sh\n''':'\nexec '{python}' -IS \"$0\" \"$@\"\n'''\n{body}"
