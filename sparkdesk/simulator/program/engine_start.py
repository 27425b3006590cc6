"""What the starts of all simulated engines share: the launch, the small model, memory, the faults, the watch.

The one rule: what a container was not given it does not see: no volume, no weights; no variable, no key.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from engine import Engine
from gateway import Front, is_stalled
from spark_state import LIVE, ROOT, conditions, read_json, read_text

GIB = 2**30
REAL_CONTEXT = 8192  # what the small model was trained with
_BACKEND_TIMEOUT_S = 120.0
_COUNT_TIMEOUT_S = 20.0
_BEGUN_S = time.monotonic()
_TICK_S = 0.2
_LOAD_S = 0.6
_LOAD_S_PER_GIB = 0.04
_CRASHES = f"{LIVE}/docker/crashes"
_SEEN_CRASHES = 2


@dataclass(frozen=True, slots=True)
class Launch:
    """What `docker run` asked for. Volumes are (on the node, inside)."""

    folder: str
    arguments: list[str]
    published: list[tuple[str, int, int]] | None
    has_gpu: bool
    environment: dict[str, str] = field(default_factory=dict)
    volumes: list[tuple[str, str]] = field(default_factory=list)
    image: str = ""

    def on_node(self, inside: str) -> str:
        """Where a path of the container lies on the node; "" where nothing is mounted there."""
        for source, target in sorted(self.volumes, key=lambda pair: -len(pair[1])):
            if inside == target or inside.startswith(f"{target.rstrip('/')}/"):
                return source + inside[len(target.rstrip("/")) :]
        return ""

    @property
    def hub_cache(self) -> str:
        """The hub's cache on the node, "" where the container sees none."""
        return self.on_node(self.environment.get("HF_HOME", "/root/.cache/huggingface"))


def read_launch(path: str) -> Launch:
    """The file that docker_run wrote."""
    with open(path, encoding="utf-8") as stream:
        row = json.load(stream)
    published = row["published"]
    return Launch(
        folder=os.path.dirname(path),
        arguments=[str(word) for word in row["arguments"]],
        published=None if published is None else [(str(a), int(b), int(c)) for a, b, c in published],
        has_gpu=bool(row["has_gpu"]),
        environment=row["environment"],
        volumes=[(str(one), str(other)) for one, other in row["volumes"]],
        image=str(row["image"]),
    )


def listeners(launch: Launch, host: str, port: int) -> list[tuple[str, int]]:
    """Where the server can be reached from the node, by the container's network."""
    own = os.environ.get("SPARKDESK_SIM_ADDRESS")
    host = "127.0.0.1" if host == "localhost" else host
    if launch.published is None:
        return [(own or host, port)]
    if host not in ("0.0.0.0", "::"):
        return []  # its own loopback: docker's way in finds nobody there
    return [(own or address, outside) for address, outside, inside in launch.published if inside == port]


def small_model(node: dict[str, Any]) -> str:
    """The file that really answers, "" where there is none."""
    files = sorted(glob.glob(f"{node['models']}/*.gguf"))
    small = [file for file in files if "smollm2" in file.lower()]
    return (small or files or [""])[0]


def real_problem(node: dict[str, Any], model: str, name: str) -> str:
    """Why nothing can answer on this computer, or ""."""
    if node["engine_problem"]:
        return f"RuntimeError: simulated {name} needs llama.cpp: {node['engine_problem']}"
    return "" if model else f"RuntimeError: simulated {name} needs a GGUF file on the node, and there is none"


def read_node() -> dict[str, Any]:
    """Who the node is."""
    return read_json("node")


def available_bytes() -> int:
    """MemAvailable, as the node counted it after this program began: without what had ended by then."""
    end_s = time.monotonic() + _COUNT_TIMEOUT_S
    while read_json("count")["at_s"] < _BEGUN_S and time.monotonic() < end_s:
        time.sleep(0.02)
    return meminfo_bytes("MemAvailable")


def meminfo_bytes(name: str) -> int:
    """One line of the node's /proc/meminfo."""
    for line in read_text("/proc/meminfo").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def context_of(asked: int, slots: int) -> tuple[int, int]:
    """(tokens a request really has, requests that really run at a time)."""
    context = min(asked or REAL_CONTEXT, REAL_CONTEXT)
    return context, max(1, min(slots, 2 if context <= 4096 else 1))


def has_crash() -> bool:
    """Whether this start is to end after its load: at every one, or at the first two since the fault was off."""
    on = conditions()
    if "engine-crash-twice" not in on:
        with contextlib.suppress(OSError):
            os.unlink(_CRASHES)
        return "engine-crash" in on
    try:
        with open(_CRASHES, encoding="ascii") as stream:
            seen = int(stream.read() or 0)
    except (OSError, ValueError):
        seen = 0
    with open(_CRASHES, "w", encoding="ascii") as stream:
        stream.write(str(seen + 1))
    return seen < _SEEN_CRASHES


def die_of_memory(launch: Launch) -> None:
    """What the kernel's OOM killer does to a container that reached its limit: no word, everything in it is gone."""
    with open(f"{launch.folder}/oom", "w", encoding="ascii"):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def load_seconds(weights_bytes: int) -> float:
    """How long a simulated load takes: longer for larger models, and always short enough to wait for."""
    return _LOAD_S + weights_bytes / GIB * _LOAD_S_PER_GIB


def on_signal() -> threading.Event:
    """An event that TERM and INT set."""
    ending = threading.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, lambda *_: ending.set())
    return ending


def wait_ready(engine: Engine, ending: threading.Event) -> bool:
    """Until llama.cpp answers. False when it died, took too long, or the container is to end."""
    end_s = time.monotonic() + _BACKEND_TIMEOUT_S
    while not engine.is_ready():
        if engine.process.poll() is not None or time.monotonic() > end_s or ending.wait(0.05):
            return False
    return True


def watch(front: Front, engine: Engine, ending: threading.Event, tell_death: Any) -> int:
    """Serve until a signal (0), or until the engine is gone of itself (1). Makes it die or stall where a fault says."""
    is_held = False
    while not ending.wait(_TICK_S):
        if "engine-dead" in conditions() and not front.is_dead:
            front.is_dead = True
            engine.process.kill()
            engine.process.wait()
            tell_death()
        if is_stalled() != is_held and not front.is_dead:
            is_held = not is_held
            engine.process.send_signal(signal.SIGSTOP if is_held else signal.SIGCONT)
        if engine.process.poll() is not None and not front.is_dead:
            front.is_dead = True
            tell_death()
            return 1
    if is_held:
        engine.process.send_signal(signal.SIGCONT)
    return 0


def node_path(path: str) -> str:
    """A path of the node as this process opens it."""
    return f"{ROOT}{path}"
