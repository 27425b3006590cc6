"""Looks at a node for what a launch plan leans on; sent over a channel by length, as the probe is, and never installed.

    survey [PROGRAM ...]                 one JSON line; a cell that could not be read is null

home, cpu_count, mem_total_bytes, mem_available_bytes, disk_free_bytes (of the home's disk), programs (name -> path),
weights (path -> bytes of every *.gguf below ~/models and the hub's cache, ~ written out), repos (hub id -> bytes of
safetensors, of every whole download in the hub's cache), partials (hub id -> bytes so far, of those that are not
whole), ports (listening TCP port -> who, as far as a 127.0.0.1 server would meet it), images (docker's, null when it
does not answer), architectures (image -> "arm64"), docker ("" it works; "absent", "down", "group", "runtime": what is
wrong with it), shm_bytes (/dev/shm), mem_free_bytes (without the page cache), hub (whether the hub answers from here).
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
import threading
import time

ROOT = os.environ.get("SPARKDESK_ROOT", "").rstrip("/")
LOOPBACK = os.environ.get("SPARKDESK_LOOPBACK", "127.0.0.1")
HUB_FOLDER = "~/.cache/huggingface/hub"
WEIGHT_FOLDERS = ("~/models", HUB_FOLDER)
MAX_REPOS = 300
MAX_INDEX_BYTES = 32 << 20
MAX_FILES = 500
MAX_WALK_S = 3.0
MAX_DEPTH = 8
MAX_PORTS = 2000
MAX_IMAGES = 500
DOCKER_WAIT_S = 5.0
HUB_WAIT_S = 2.0
HUB_HOST = "huggingface.co"
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
    """Bytes of a downloaded revision's safetensors; 0 where one is missing, by its index or "...-00001-of-00012"."""
    names = [name for name in os.listdir(folder) if name.endswith(".safetensors")]
    counts = {name.rpartition("-of-")[2] for name in names if "-of-" in name}
    if any(sum(name.endswith("-of-" + count) for name in names) != int(count[:-12]) for count in counts):
        return 0
    index = os.path.join(folder, "model.safetensors.index.json")
    if os.path.isfile(index) and os.path.getsize(index) < MAX_INDEX_BYTES:
        with open(index) as file:
            wanted = json.load(file)["weight_map"].values()
        if not set(wanted) <= set(names):
            return 0
    return sum(os.path.getsize(os.path.join(folder, name)) for name in names)


def find_downloads() -> tuple[dict[str, int], dict[str, int]]:
    """Hub id -> bytes, of the repositories of which a whole revision lies in the hub's cache, and of those that are
    partial; bounded as the files."""
    root = os.path.expanduser(HUB_FOLDER)
    whole: dict[str, int] = {}
    partial: dict[str, int] = {}
    until = time.monotonic() + MAX_WALK_S
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        if len(whole) + len(partial) >= MAX_REPOS or time.monotonic() > until:
            break
        if not name.startswith("models--"):
            continue
        repo = name[len("models--") :].replace("--", "/", 1)
        size = measure_repo(os.path.join(root, name, "snapshots"))
        if size:
            whole[repo] = size
        elif is_begun(os.path.join(root, name)):
            partial[repo] = measure_blobs(os.path.join(root, name, "blobs"))
    return whole, partial


def measure_repo(snapshots: str) -> int:
    """Bytes of the largest whole revision; 0 where none is."""
    size = 0
    for revision in os.listdir(snapshots) if os.path.isdir(snapshots) else []:
        try:
            size = max(size, measure_snapshot(os.path.join(snapshots, revision)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # a link to a file that is not whole yet, or no revision at all
    return size


def is_begun(folder: str) -> bool:
    """Whether a download was begun and is not whole: something .incomplete, or a safetensors' shard missing."""
    blobs = os.path.join(folder, "blobs")
    if os.path.isdir(blobs) and any(name.endswith(".incomplete") for name in os.listdir(blobs)):
        return True
    for _, _, names in os.walk(os.path.join(folder, "snapshots")):
        if any(name.endswith((".safetensors", ".safetensors.index.json")) for name in names):
            return True
    return False


def measure_blobs(folder: str) -> int:
    """Bytes that lie there, whole or not."""
    size = 0
    for entry in os.scandir(folder) if os.path.isdir(folder) else []:
        try:
            size += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue  # it was renamed in this moment
    return size


def decode_address(word: str) -> str:
    """An address as /proc/net/tcp writes it: 4-byte words of the host's byte order."""
    raw = b"".join(bytes.fromhex(word[i : i + 8])[::-1] for i in range(0, len(word), 8))
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def list_listeners() -> list[tuple[str, int, str]]:
    """Address, port and inode of every listening TCP socket."""
    found: list[tuple[str, int, str]] = []
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name) as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            continue
        for row in rows:
            address, _, port = row[1].partition(":")
            if row[3] == LISTEN and len(found) < MAX_PORTS:
                found.append((decode_address(address), int(port, 16), row[9]))
    return found


def find_open_ports() -> list[int]:
    """Ports that listen beyond the loopback: whoever reaches the node may reach them."""
    own = ("127.", "::ffff:127.")
    return sorted({port for address, port, _ in list_listeners() if address != "::1" and not address.startswith(own)})


def find_listeners() -> dict[int, str]:
    """Port -> inode of the listening sockets that a server on the loopback would meet."""
    met = ("0.0.0.0", "::", LOOPBACK, "::ffff:" + LOOPBACK)
    return {port: inode for address, port, inode in list_listeners() if address in met}


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


def ask_docker(*words: str) -> tuple[list[str] | None, str]:
    """The lines that docker prints, None when it fails, and its complaint."""
    try:
        done = subprocess.run(
            ["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=DOCKER_WAIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None, "no answer in time"
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return lines if done.returncode == 0 else None, done.stderr.decode("utf-8", "replace")


def look_at_docker(cells: dict[str, Any]) -> None:
    """Images with their architectures, and what is wrong with docker."""
    cells.update(images=None, architectures=None, docker=None)
    if not shutil.which("docker"):
        cells["docker"] = "absent"
        return
    lines, complaint = ask_docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    if lines is None:
        if "permission denied" in complaint:
            cells["docker"] = "group"
        elif "Cannot connect" in complaint or "Is the docker daemon running" in complaint:
            cells["docker"] = "down"
        return
    names = [name for name in lines if "<none>" not in name and not name.startswith("-")][:MAX_IMAGES]
    cells["images"] = names
    kinds, _ = ask_docker("image", "inspect", "--format", "{{.Architecture}}", *names) if names else ([], "")
    if kinds is not None and len(kinds) == len(names):
        cells["architectures"] = dict(zip(names, kinds))
    runtimes, _ = ask_docker("info", "--format", "{{json .Runtimes}}")
    if runtimes is not None:
        has_hook = any(shutil.which(name) for name in ("nvidia-container-runtime-hook", "nvidia-ctk"))
        cells["docker"] = "" if has_hook or "nvidia" in "".join(runtimes) else "runtime"


def reaches_hub() -> bool | None:
    """Whether the hub's port answers from here; None where a proxy stands between, or another hub is named."""
    if any(os.environ.get(name) for name in ("HF_ENDPOINT", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return None
    try:
        socket.create_connection((HUB_HOST, 443), timeout=HUB_WAIT_S).close()
    except OSError:
        return False
    return True


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
        "ports": find_ports,
        "open_ports": find_open_ports,
        "mem_free_bytes": lambda: read_meminfo("MemFree"),
        "shm_bytes": lambda: shutil.disk_usage("/dev/shm").free,
    }
    found: dict[str, Any] = {"hub": None}
    asking = threading.Thread(target=lambda: found.update(hub=reaches_hub()), daemon=True)  # a name may take long
    asking.start()
    for key, read in cells.items():
        try:
            found[key] = read()
        except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
            found[key] = None
    try:
        found["repos"], found["partials"] = find_downloads()
    except OSError:
        found["repos"], found["partials"] = None, None
    look_at_docker(found)
    asking.join(HUB_WAIT_S)
    return dict(found)


if __name__ == "__main__":
    print(json.dumps(survey(sys.argv[1:]), separators=(",", ":")))
