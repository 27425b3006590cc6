"""What the node's docker knows of its containers: a folder each, kept over restarts of the node.

The one rule: a container's `state.json` is written whole or not at all, and only by the container's own runner; what it
says of a process is checked against the kernel.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from typing import Any

from spark_state import KEPT, read_text

FOLDER = f"{KEPT}/containers"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*\Z")

State = dict[str, Any]


def is_good_name(name: str) -> bool:
    """Whether docker takes it as a container's name."""
    return len(name) > 1 and _NAME.match(name) is not None


def new_id() -> str:
    """A container's full id."""
    return secrets.token_hex(32)


def folder_of(container: str) -> str:
    """Where a container's files are, by its full id."""
    return f"{FOLDER}/{container}"


def write_state(container: str, state: State) -> None:
    """Replace the state file."""
    path = f"{folder_of(container)}/state.json"
    with open(f"{path}.part", "w", encoding="utf-8") as stream:
        json.dump(state, stream)
    os.replace(f"{path}.part", path)


def read_state(container: str) -> State | None:
    """The state, or None when there is no such container (any more)."""
    try:
        with open(f"{folder_of(container)}/state.json", encoding="utf-8") as stream:
            state: State = json.load(stream)
    except (OSError, ValueError):
        return None
    if state["status"] != "exited" and state.get("boot_id", "") != boot_id():
        # Source: dockerd's restore of a container that no runtime knows any more: exit code 255.
        state |= {"status": "exited", "exit_code": 255, "finished_s": float(state["created_s"])}
    elif state["status"] == "running" and not _is_alive(int(state["runner_pid"])):
        state |= {"status": "exited", "exit_code": 137, "finished_s": time.time()}  # its runner was killed
    try:
        with open(f"{folder_of(container)}/name", encoding="utf-8") as stream:
            state["name"] = stream.read()
    except OSError:
        return state  # it has the name that it was made with
    return state


def boot_id() -> str:
    """Which start of the node this is."""
    return read_text("/proc/sys/kernel/random/boot_id")


def set_name(container: str, name: str) -> None:
    """Give it another name; apart from its state, which only its runner writes."""
    with open(f"{folder_of(container)}/name.part", "w", encoding="utf-8") as stream:
        stream.write(name)
    os.replace(f"{folder_of(container)}/name.part", f"{folder_of(container)}/name")


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def containers() -> list[State]:
    """All of them, the newest first."""
    try:
        names = os.listdir(FOLDER)
    except OSError:
        return []
    found = [state for name in names if (state := read_state(name)) is not None]
    return sorted(found, key=lambda state: -float(state["created_s"]))


def find(name: str) -> State | None:
    """The container of this name, or of an id that begins so."""
    for state in containers():
        if state["name"] == name.removeprefix("/"):
            return state
    matches = [state for state in containers() if len(name) >= 1 and state["id"].startswith(name)]
    return matches[0] if len(matches) == 1 else None


def words_for_status(state: State) -> str:
    """`Up 3 seconds`, `Exited (137) 2 minutes ago`."""
    if state["status"] == "running":
        return f"Up {_span(time.time() - float(state['started_s']))}"
    if state["status"] == "created":
        return "Created"
    return f"Exited ({state['exit_code']}) {_span(time.time() - float(state['finished_s']))} ago"


def _span(span_s: float) -> str:
    """A length of time as docker words it."""
    seconds = int(span_s)
    if seconds < 1:
        return "Less than a second"
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{seconds // size} {word}s"
    if seconds >= 60:
        return "About a minute" if seconds < 3600 else "About an hour"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
