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
    "apt": "apt",
    "apt-get": "apt_get",
    "arping": "arping",
    "date": "date",
    "df": "df",
    "dmesg": "dmesg",
    "docker": "docker",
    "dpkg-query": "dpkg_query",
    "ethtool": "ethtool",
    "fwupdmgr": "fwupdmgr",
    "halt": "power",
    "hostname": "hostname",
    "ibdev2netdev": "ibdev2netdev",
    "id": "id_program",
    "ip": "ip",
    "journalctl": "journalctl",
    "lldpctl": "lldpctl",
    "llama-server": "llama_server",
    "loginctl": "loginctl",
    "lspci": "lspci",
    "netplan": "netplan",
    "nvidia-ctk": "nvidia_ctk",
    "nvidia-smi": "nvidia_smi",
    "ollama": "ollama",
    "ping": "ping",
    "ping6": "ping",
    "poweroff": "power",
    "reboot": "power",
    "shutdown": "power",
    "ss": "ss",
    "sudo": "sudo",
    "systemctl": "systemctl",
    "timedatectl": "timedatectl",
    "uname": "uname",
}
# commands of packages that are not on every node: package_shelf.py says which
EXTRA = {"earlyoom": "earlyoom", "ib_write_bw": "ib_write_bw", "ib_write_lat": "ib_write_lat", "iperf3": "iperf3"}
# programs that are no commands by themselves: name -> module
INNER = {"python_of_fault": "python_of_fault"}
# below /usr/local/cuda/bin, which is on nobody's PATH
CUDA = {"nvcc": "nvcc"}
_MAX_SHEBANG = 120
_RUNNABLE = ("bin", "extra", "inner")


def install(folder: Path, tables: dict[str, Path]) -> None:
    """Fill `folder`: modules with their bytecode, `bin/` with one launcher a command, `flags/` with these tables."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in sorted(_SOURCE.glob("*.py")):
        target = folder / source.name
        target.write_text(source.read_text("utf-8"), "utf-8")
        py_compile.compile(str(target), doraise=True, quiet=1)
    python = os.path.realpath(sys.executable)
    for place, commands in (("bin", COMMANDS), ("extra", EXTRA), ("inner", INNER), ("cuda/bin", CUDA)):
        (folder / place).mkdir(parents=True)
        for command, module in commands.items():
            text = _launcher(python, module, depth=1 + place.count("/"), is_of_node=place == "inner")
            (folder / place / command).write_text(text, "utf-8")
    for name in ("python3", "python"):
        (folder / "bin" / name).symlink_to(python)
    for name, table in tables.items():
        (folder / "flags").mkdir(exist_ok=True)
        (folder / "flags" / name).write_bytes(table.read_bytes())
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name in _RUNNABLE else 0o644)
    folder.chmod(0o755)


def _launcher(python: str, module: str, *, depth: int, is_of_node: bool) -> str:
    """A file, so many folders below the modules, that runs one; Python starts without `site`, half its start-up.

    The fault disk-full limits files of what runs as the node's user (`is_of_node`), not what stands for a daemon.
    """
    lift = "" if is_of_node else "s.setrlimit(s.RLIMIT_FSIZE, s.getrlimit(s.RLIMIT_FSIZE)[1:] * 2)\n"
    body = (
        "import os, sys, resource as s\n"
        f"{lift}"
        f"sys.path.insert(0, os.path.realpath(__file__).rsplit('/', {depth + 1})[0])\n"
        f"from {module} import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    if " " not in python and len(python) < _MAX_SHEBANG:
        return f"#!{python} -IS\n{body}"
    return f"#!/bin/sh\n''':'\nexec '{python}' -IS \"$0\" \"$@\"\n'''\n{body}"
