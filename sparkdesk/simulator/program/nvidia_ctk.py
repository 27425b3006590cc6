"""`nvidia-ctk` of a node: its version. With the fault no-toolkit it is not there."""

from __future__ import annotations

import json
import os
import sys

from package_table import TOOLKIT_VERSION
from spark_state import conditions


def main(arguments: list[str]) -> int:
    """--version, and what set-up guides run; the rest is not simulated."""
    if "no-toolkit" in conditions():  # the shell's own words, as for sudo
        print("bash: line 1: nvidia-ctk: command not found", file=sys.stderr)
        return 127
    if arguments in (["--version"], ["-v"]):
        print(f"NVIDIA Container Toolkit CLI version {TOOLKIT_VERSION}\ncommit: simulated")
        return 0
    if arguments == ["runtime", "configure", "--runtime=docker"]:
        return _configure()
    print(f"nvidia-ctk {' '.join(arguments)} is not simulated", file=sys.stderr)
    return 1


def _configure() -> int:
    """Name the runtime in docker's configuration, keeping what else stands there."""
    path = "/etc/docker/daemon.json"
    try:
        with open(path, encoding="utf-8") as stream:
            setting = json.load(stream)
    except (OSError, ValueError):
        setting = {}
    setting.setdefault("runtimes", {})["nvidia"] = {"args": [], "path": "nvidia-container-runtime"}
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(setting, indent=4) + "\n")
    except OSError as error:
        words = f"unable to flush config: unable to open {path} for writing: {(error.strerror or '').lower()}"
        print(f"ERRO[0000] {words}", file=sys.stderr)
        return 1
    print("INFO[0000] It is recommended that docker daemon be restarted.", file=sys.stderr)
    return 0
