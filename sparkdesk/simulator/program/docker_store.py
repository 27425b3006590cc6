"""What the node's docker knows: its images, and its containers as folders that end with the node's boot.

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

from spark_state import LIVE

FOLDER = f"{LIVE}/docker"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*\Z")

# Tags are real ones that NVIDIA's playbooks name; ids, sizes and dates are ours.
IMAGES: tuple[dict[str, Any], ...] = (
    {"repository": "nvcr.io/nvidia/vllm", "tag": "26.05-py3", "id": "9f1c77a0b3d2", "size": "27.4GB",
     "bytes": 27_400_000_000},
    {"repository": "vllm/vllm-openai", "tag": "v0.33.0", "id": "4be03c5dd8e1", "size": "21.1GB",
     "bytes": 21_100_000_000},
)  # fmt: skip

State = dict[str, Any]


def find_image(name: str) -> dict[str, Any] | None:
    """The image of this name, with or without its tag, or of this id."""
    for image in IMAGES:
        full = f"{image['repository']}:{image['tag']}"
        if name == full or (len(name) >= 4 and image["id"].startswith(name)):
            return image
        if name == image["repository"] and image["tag"] == "latest":
            return image
    return None


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
    if state["status"] == "running" and not _is_alive(int(state["runner_pid"])):
        state |= {"status": "exited", "exit_code": 137, "finished_s": time.time()}  # its runner was killed
    return state


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
