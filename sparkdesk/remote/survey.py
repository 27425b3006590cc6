"""Looks at a node for what a launch plan leans on; sent over a channel by length, as the probe is, and never installed.

    survey [PROGRAM ...]                 one JSON line; a cell that could not be read is null

home, cpu_count, mem_total_bytes, mem_available_bytes, disk_free_bytes (of the home's disk), programs (name -> path),
weights (path -> bytes of every *.gguf below ~/models and the hub's cache, ~ written out), repos (hub id -> bytes of
safetensors, of every whole download in the hub's cache), ports (listening TCP port ->
who, as far as a 127.0.0.1 server would meet it), images (docker's, null when docker does not answer).
The one rule: nothing is changed, and every cell has its own bound in time and number. Stdlib only, Python 3.8+.

Environment: SPARKDESK_ROOT is put before /proc/meminfo; SPARKDESK_LOOPBACK is this node's loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time

ROOT = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")
LOOPBACK = os.environ.get("SPARKDESK_LOOPBACK", "127.0.0.1")
HUB_FOLDER = "~/.cache/huggingface/hub"
WEIGHT_FOLDERS = ("~/models", HUB_FOLDER)
MAX_REPOS = 300
MAX_FILES = 500
MAX_WALK_S = 3.0
MAX_DEPTH = 8
MAX_PORTS = 2000
MAX_IMAGES = 500
DOCKER_WAIT_S = 5.0
LISTEN = "0A"

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, Callable


def read_meminfo(key: str) -> int | None:
    """One line of /proc/meminfo in bytes."""
    with open(ROOT + "/proc/meminfo") as file:
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(key + ":")), None)


def find_weights() -> dict[str, int]:
    """Every GGUF file with its size, bounded in number, depth and time."""
    found: dict[str, int] = {}
    until = time.monotonic() + MAX_WALK_S
    for top in WEIGHT_FOLDERS:
        root = os.path.expanduser(top)
        for folder, folders, names in os.walk(root):
            if folder[len(root) :].count(os.sep) >= MAX_DEPTH:
                del folders[:]
            for name in names:
                if name.lower().endswith(".gguf"):
                    try:
                        found[os.path.join(folder, name)] = os.path.getsize(os.path.join(folder, name))
                    except OSError:
                        pass  # a link to a file that is not whole yet
            if len(found) >= MAX_FILES or time.monotonic() > until:
                return found
    return found


def measure_snapshot(folder: str) -> int:
    """Bytes of a downloaded revision's safetensors; 0 where one of "...-00001-of-00012" is not there, or not whole."""
    names = [name for name in os.listdir(folder) if name.endswith(".safetensors")]
    counts = {name.rpartition("-of-")[2] for name in names if "-of-" in name}
    if any(sum(name.endswith("-of-" + count) for name in names) != int(count[:-12]) for count in counts):
        return 0
    return sum(os.path.getsize(os.path.join(folder, name)) for name in names)


def find_repos() -> dict[str, int]:
    """Hub id -> bytes, of the repositories of which a whole revision lies in the hub's cache; bounded as the files."""
    root = os.path.expanduser(HUB_FOLDER)
    found: dict[str, int] = {}
    until = time.monotonic() + MAX_WALK_S
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        if len(found) >= MAX_REPOS or time.monotonic() > until:
            break
        snapshots = os.path.join(root, name, "snapshots")
        for revision in os.listdir(snapshots) if name.startswith("models--") and os.path.isdir(snapshots) else []:
            try:
                size = measure_snapshot(os.path.join(snapshots, revision))
            except (OSError, ValueError):
                continue  # a link to a file that is not whole yet, or no revision at all
            if size:
                repo = name[len("models--") :].replace("--", "/", 1)
                found[repo] = max(size, found.get(repo, 0))
    return found


def decode_address(word: str) -> str:
    """An address as /proc/net/tcp writes it: 4-byte words of the host's byte order."""
    raw = b"".join(bytes.fromhex(word[i : i + 8])[::-1] for i in range(0, len(word), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def find_listeners() -> dict[int, str]:
    """Port -> inode of the listening sockets that a server on the loopback would meet."""
    met = ("0.0.0.0", "::", LOOPBACK, "::ffff:" + LOOPBACK)
    found: dict[int, str] = {}
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name) as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        for row in rows:
            address, _, port = row[1].partition(":")
            if row[3] == LISTEN and decode_address(address) in met and len(found) < MAX_PORTS:
                found[int(port, 16)] = row[9]
    return found


def find_holders(inodes: set[str]) -> dict[str, str]:
    """Socket inode -> "name (pid n)", of the processes that we may look into."""
    found: dict[str, str] = {}
    for pid in (name for name in os.listdir("/proc") if name.isdigit()):
        try:
            for entry in os.scandir("/proc/" + pid + "/fd"):
                link = os.readlink(entry.path)
                if link.startswith("socket:[") and link[8:-1] in inodes:
                    with open("/proc/" + pid + "/comm") as file:
                        found[link[8:-1]] = "%s (pid %s)" % (file.read(64).strip(), pid)
        except OSError:
            continue  # another user's, or gone
    return found


def find_ports() -> dict[str, str]:
    """Listening port -> who holds it, in words."""
    listeners = find_listeners()
    holders = find_holders(set(listeners.values()))
    return {str(port): holders.get(inode, "another user's program") for port, inode in listeners.items()}


def list_images() -> list[str] | None:
    """The images that docker has; None when it does not answer."""
    argv = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=DOCKER_WAIT_S, check=False)
    if done.returncode != 0:
        return None
    names = done.stdout.decode("utf-8", "replace").split()
    return [name for name in names if "<none>" not in name][:MAX_IMAGES]


def survey(programs: list[str]) -> dict[str, Any]:
    """All cells; one that fails is None and stops no other."""
    paths = {name: shutil.which(name) for name in programs}
    cells: dict[str, Callable[[], Any]] = {
        "home": lambda: os.path.expanduser("~"),
        "cpu_count": os.cpu_count,
        "mem_total_bytes": lambda: read_meminfo("MemTotal"),
        "mem_available_bytes": lambda: read_meminfo("MemAvailable"),
        "disk_free_bytes": lambda: shutil.disk_usage(os.path.expanduser("~")).free,
        "programs": lambda: {name: path for name, path in paths.items() if path},
        "weights": find_weights,
        "repos": find_repos,
        "ports": find_ports,
        "images": lambda: list_images() if paths.get("docker") else None,
    }
    found: dict[str, Any] = {}
    for key, read in cells.items():
        try:
            found[key] = read()
        except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
            found[key] = None
    return found


if __name__ == "__main__":
    print(json.dumps(survey(sys.argv[1:]), separators=(",", ":")))
