"""Looks after a node's hub cache and its models; sent over a channel by length, and never installed.

    hub_cache check REPO REVISION [PATTERN ...]      {"whole": true, "path": ..., "bytes": ...}: asks nobody outside
    hub_cache expose REPO REVISION FOLDER FILE ...   links to whole files under names that stay
    hub_cache verify REPO                            reads every file again: its name in the cache is its checksum
    hub_cache remove REPO                            {"removed": true, "bytes": ...}
    hub_cache remove_file PATH                       one GGUF file, or a link to one, below ~/models
    hub_cache clean NAME                             empties a compile cache of CACHES
    hub_cache list                                   models with their files, files below ~/models, images, containers
                                                     that run, downloads under way, compile caches, the free disk
The one rule: what is partial is never called whole, and only what is named, below the cache's own folders, is removed.
Stdlib only, Python 3.8+. Source: huggingface_hub's documented cache layout.
"""

from __future__ import annotations

import fcntl
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

CHUNK = 1 << 20
SAY_EVERY_S = 0.5
MAX_REPOS = 500
MAX_DEPTH = 6
DOCKER_WAIT_S = 10.0
MODEL_FILES = "~/models"
TRANSFERS = "~/.local/state/sparkdesk/transfers"
"""Where remote/transfer.py keeps its downloads."""
MAX_TOLD_FILES = 200
DAMAGED = ".damaged"  # remote/fetch.py removes such a file once it has the right one
MAX_ALL_FILES = 4000
"""Names of files in one answer, which has a bound."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}(/[A-Za-z0-9][A-Za-z0-9._-]{0,127})?\Z")
COMMIT = re.compile(r"[0-9a-f]{40}\Z")
WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth")
CACHES = {
    "vllm": "~/.cache/vllm",
    "flashinfer": "~/.cache/flashinfer",
    "triton": "~/.triton",
    "torch_extensions": "~/.cache/torch_extensions",
    "tvm-ffi": "~/.cache/tvm-ffi",
}
"""What engines compile and keep. Source: the engines' own defaults (vLLM VLLM_CACHE_ROOT, Triton TRITON_HOME)."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any


class Refusal(Exception):
    """Why not."""


def say(**cells: Any) -> None:
    """One JSON line."""
    print(json.dumps(cells, separators=(",", ":")), flush=True)


def cache_folder() -> str:
    """The hub's cache of this account."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    home = os.environ.get("HF_HOME") or os.path.join(cache, "huggingface")
    return os.path.expanduser(named or os.path.join(home, "hub"))


def repo_folder(repo: str) -> str:
    """The cache's folder of a repository. Raises Refusal."""
    if not NAME.match(repo):
        raise Refusal("%r is no name of a model" % repo[:80])
    return os.path.join(cache_folder(), "models--" + repo.replace("/", "--"))


def commit_of(folder: str, revision: str) -> str:
    """The commit that a revision stood for when it was fetched; "" where none was."""
    if COMMIT.match(revision):
        return revision
    try:
        with open(os.path.join(folder, "refs", os.path.basename(revision))) as file:
            found = file.read(64).strip()
    except OSError:
        return ""
    return found if COMMIT.match(found) else ""


def list_files(snapshot: str) -> dict[str, int]:
    """File -> bytes of what is whole in a snapshot; a link to nothing is -1."""
    found: dict[str, int] = {}
    for folder, _, names in os.walk(snapshot):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found[os.path.relpath(path, snapshot)] = os.path.getsize(path)
            except OSError:
                found[os.path.relpath(path, snapshot)] = -1
    return found


def kept_list(folder: str, commit: str) -> dict[str, int] | None:
    """File -> bytes of all that makes this revision whole, where we fetched it; None where nobody knows."""
    try:
        with open(os.path.join(folder, ".sparkdesk", commit + ".json")) as file:
            return {str(path): int(size) for path, size, _ in json.load(file)}
    except (OSError, ValueError, TypeError):
        return None


def is_whole(folder: str, commit: str, patterns: list[str]) -> bool:
    """Whether a snapshot has all that is wanted: by our own list, else by its index and its shards' names."""
    snapshot = os.path.join(folder, "snapshots", commit)
    files = list_files(snapshot)
    if not files:
        return False
    if patterns:
        return all(
            any(fnmatch.fnmatchcase(name, one) and size >= 0 for name, size in files.items()) for one in patterns
        )
    kept = kept_list(folder, commit)
    if kept is not None:
        return all(files.get(name) == size for name, size in kept.items())
    return -1 not in files.values() and has_all_shards(snapshot, set(files))


def has_all_shards(snapshot: str, names: set[str]) -> bool:
    """Whether weights are there, with every shard that an index or another shard's name tells of."""
    weights = {name for name in names if name.endswith(WEIGHTS)}
    for name in names:
        if name.endswith(".index.json"):
            try:
                with open(os.path.join(snapshot, name)) as file:
                    wanted = set(json.load(file)["weight_map"].values())
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                return False
            if not wanted <= names:
                return False
    for name in weights:
        shard = re.search(r"-(\d{5})-of-(\d{5})(\.[a-z]+)\Z", name)
        if shard:
            ends = ["-%05d-of-%s%s" % (number, shard[2], shard[3]) for number in range(1, int(shard[2]) + 1)]
            if not all(name[: shard.start()] + end in names for end in ends):
                return False
    return bool(weights)


def has_files(snapshot: str) -> bool:
    """Whether all weights of a snapshot are whole GGUF files: of those a person wants some, never all."""
    names = {name for name, size in list_files(snapshot).items() if size >= 0 and name.endswith(WEIGHTS)}
    return bool(names) and all(name.endswith(".gguf") for name in names) and has_all_shards(snapshot, names)


def check(repo: str, revision: str, patterns: list[str]) -> None:
    """Whether it is there."""
    folder = repo_folder(repo)
    commit = commit_of(folder, revision)
    snapshot = os.path.join(folder, "snapshots", commit)
    whole = bool(commit) and is_whole(folder, commit, patterns)
    size = sum(max(0, size) for size in list_files(snapshot).values()) if commit else 0
    say(whole=whole, path=snapshot if whole else "", revision=commit, bytes=size)


def expose(repo: str, revision: str, folder: str, names: list[str]) -> None:
    """Links in `folder` to whole files of a snapshot. Raises Refusal."""
    commit = commit_of(repo_folder(repo), revision)
    snapshot = os.path.join(repo_folder(repo), "snapshots", commit)
    folder = os.path.expanduser(folder)
    for name in names:
        source = os.path.join(snapshot, name)
        if not commit or ".." in name.split("/") or not os.path.isfile(source):
            raise Refusal("%s of %s is not there" % (name[:200], repo))
        link = os.path.join(folder, name)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if os.path.lexists(link):
            if not os.path.islink(link):
                raise Refusal("%s is a file of somebody's" % link)
            os.remove(link)
        os.symlink(source, link)
    say(ok=True, path=os.path.join(folder, names[0]))


def digest_of(path: str, name: str, tell: Any) -> str:
    """A blob's checksum of the kind that its name is: SHA-256, or git's SHA-1."""
    digest = hashlib.sha256() if len(name) == 64 else hashlib.sha1(b"blob %d\0" % os.path.getsize(path))
    with open(path, "rb") as file:
        for data in iter(lambda: file.read(CHUNK), b""):
            digest.update(data)
            tell(len(data))
    return digest.hexdigest()


def verify(repo: str) -> None:
    """Every blob read again; what is bad is set aside: the model is partial then, and a fetch brings that file anew."""
    folder = os.path.join(repo_folder(repo), "blobs")
    names = [name for name in os.listdir(folder) if re.match(r"([0-9a-f]{40}|[0-9a-f]{64})\Z", name)]
    total = sum(os.path.getsize(os.path.join(folder, name)) for name in names)
    done, said_s, bad = 0, time.monotonic(), []  # type: tuple[int, float, list[str]]

    def tell(count: int) -> None:
        nonlocal done, said_s
        done += count
        if time.monotonic() - said_s >= SAY_EVERY_S:
            said_s = time.monotonic()
            say(done=done, total=total)

    for name in names:
        if digest_of(os.path.join(folder, name), name, tell) != name:
            bad.append(name)
            os.replace(os.path.join(folder, name), os.path.join(folder, name + DAMAGED))
    if bad:
        message = "%d of %d files %s damaged" % (len(bad), len(names), "is" if len(bad) == 1 else "are")
        say(ok=False, message=message, bad=bad[:50], remedy="Fetch the model again: only these files are downloaded.")
    else:
        say(ok=True, checked=len(names), bytes=total)


def measure(folder: str) -> int:
    """Bytes below a folder; links count nothing."""
    size = 0
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(os.path.join(top, name)).st_blocks * 512
            except OSError:
                continue
    return size


def remove(repo: str) -> None:
    """A model with all its revisions."""
    folder = repo_folder(repo)
    size = measure(folder)
    if os.path.islink(folder):
        raise Refusal("%s is a link" % folder)
    if os.path.isdir(folder):
        shutil.rmtree(folder)
    say(removed=not os.path.exists(folder), bytes=size)


def remove_file(path: str) -> None:
    """One file of ~/models. Raises Refusal for any other."""
    top = os.path.realpath(os.path.expanduser(MODEL_FILES))
    whole = os.path.join(os.path.realpath(os.path.dirname(os.path.expanduser(path))), os.path.basename(path))
    if os.path.commonpath([top, whole]) != top or not whole.lower().endswith(".gguf"):
        raise Refusal("%s is no model file below %s" % (path[:200], MODEL_FILES))
    size = os.lstat(whole).st_size
    os.remove(whole)
    say(removed=not os.path.lexists(whole), bytes=size)


def list_model_files() -> dict[str, int]:
    """GGUF files below ~/models; links, as `expose` makes them, are shown by their model."""
    found: dict[str, int] = {}
    for top, folders, names in os.walk(os.path.expanduser(MODEL_FILES)):
        if top.count(os.sep) - os.path.expanduser(MODEL_FILES).count(os.sep) >= MAX_DEPTH:
            del folders[:]
        for name in names:
            path = os.path.join(top, name)
            if name.lower().endswith(".gguf") and os.path.isfile(path) and not os.path.islink(path):
                found[path] = os.path.getsize(path)
        if len(found) >= MAX_REPOS:
            break
    return found


def list_images() -> tuple[list[dict[str, Any]] | None, str]:
    """docker's images with size and architecture, None where docker does not tell; and why not: absent, down, group."""
    names, problem = ask_docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    if names is None:
        return None, problem
    names = [name for name in names if "<none>" not in name][:MAX_REPOS]
    rows = ask_docker("image", "inspect", "--format", "{{.Architecture}} {{.Id}} {{.Size}}", *names)[0] if names else []
    if rows is None or len(rows) != len(names):
        return [{"name": name} for name in names], ""
    cells = [row.split() for row in rows]
    return [
        {"name": name, "architecture": cell[0], "id": cell[1], "bytes": int(cell[2])}
        for name, cell in zip(names, cells)
        if len(cell) == 3 and cell[2].isdigit()
    ], ""


def list_running() -> list[list[str]] | None:
    """[image, container] of all that run; None where docker does not tell."""
    rows = ask_docker("ps", "--format", "{{.Image}} {{.Names}}")[0]
    return None if rows is None else [row.split(" ", 1) for row in rows[:MAX_REPOS] if " " in row]


def ask_docker(*words: str) -> tuple[list[str] | None, str]:
    """The lines that docker prints; None when it fails, with why: absent, down, group, or "" for something else."""
    try:
        done = subprocess.run(
            ["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=DOCKER_WAIT_S, check=False
        )
    except FileNotFoundError:
        return None, "absent"
    except (OSError, subprocess.TimeoutExpired):
        return None, ""
    if done.returncode == 0:
        return done.stdout.decode("utf-8", "replace").splitlines(), ""
    complaint = done.stderr.decode("utf-8", "replace")
    if "permission denied" in complaint:
        return None, "group"
    return None, "down" if "Cannot connect" in complaint or "Is the docker daemon running" in complaint else ""


def read_cells(path: str) -> dict[str, Any]:
    """A small JSON object; empty where there is none."""
    try:
        with open(path) as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def words_of(pid: Any) -> list[str]:
    """The program and the words of a download's own process; none where it has ended, or is another's."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            words = file.read(8192).decode("utf-8", "replace").split("\0")
    except (OSError, TypeError):
        return []
    at = words.index("start") + 2 if "start" in words else len(words)  # transfer.py start FOLDER PROGRAM WORD ...
    return words[at:] if words[at : at + 1] in (["fetch.py"], ["pull.py"]) else []


def list_transfers() -> list[dict[str, Any]]:
    """Downloads that run now, whoever of us began them: what, and how far."""
    top, found = os.path.expanduser(TRANSFERS), []
    for name in sorted(os.listdir(top))[:MAX_REPOS] if os.path.isdir(top) else []:
        folder = os.path.join(top, name)
        words = words_of(read_cells(os.path.join(folder, "run.json")).get("pid"))
        is_over = any(os.path.exists(os.path.join(folder, end)) for end in ("end.json", "full"))
        if len(words) > 1 and not is_over:  # its process may live a moment longer than it
            last = read_cells(os.path.join(folder, "last.json"))
            cells = {key: last.get(key) for key in ("done", "total", "rate", "again")}
            found.append(dict(cells, kind="model" if words[0] == "fetch.py" else "image", name=words[1]))
    return found


def wanted_bytes(repo: str) -> int | None:
    """What the whole model takes, as the last download of all of it told; None where nobody knows."""
    words = "\0".join(("fetch", repo, "main")).encode()  # core/playbooks/fetch/transfer.py names the folder so
    folder = os.path.join(os.path.expanduser(TRANSFERS), hashlib.sha256(words).hexdigest()[:24])
    for name in ("end.json", "last.json"):
        total = read_cells(os.path.join(folder, name)).get("total")
        if isinstance(total, int):
            return total
    return None


def tell_files(folder: str, revision: str) -> list[list[Any]]:
    """[name, bytes there, bytes when whole or None] of a snapshot, and of what is half fetched; MAX_TOLD_FILES."""
    kept = kept_list(folder, revision) or {}
    files = list_files(os.path.join(folder, "snapshots", revision)) if revision else {}
    rows = [[name, max(0, size), kept.get(name, size if size >= 0 else None)] for name, size in files.items()]
    blobs = os.path.join(folder, "blobs")
    for name in sorted(os.listdir(blobs)) if os.path.isdir(blobs) else []:
        size = os.lstat(os.path.join(blobs, name)).st_size if name.endswith(".incomplete") else 0
        if size:
            rows.append(["(half fetched) " + name[:12], size, None])
    return sorted(rows)[:MAX_TOLD_FILES]


def clean(name: str) -> None:
    """A compile cache, emptied."""
    if name not in CACHES:
        raise Refusal("%r is no compile cache" % name[:80])
    folder = os.path.expanduser(CACHES[name])
    size = measure(folder)
    if os.path.islink(folder):
        raise Refusal("%s is a link" % folder)
    if os.path.isdir(folder):
        shutil.rmtree(folder)
    say(removed=not os.path.exists(folder), bytes=size)


def describe(name: str) -> dict[str, Any]:
    """One model of the cache."""
    folder = os.path.join(cache_folder(), name)
    blobs = os.path.join(folder, "blobs")
    held = os.listdir(blobs) if os.path.isdir(blobs) else []
    snapshots = os.path.join(folder, "snapshots")
    revisions = [one for one in (os.listdir(snapshots) if os.path.isdir(snapshots) else []) if COMMIT.match(one)]
    whole = [one for one in revisions if is_whole(folder, one, []) or has_files(os.path.join(snapshots, one))]
    main = commit_of(folder, "main")
    used = [stat_time(os.path.join(blobs, one)) for one in held]
    revision = main if main in whole or not whole else whole[0]
    repo = name[len("models--") :].replace("--", "/", 1)
    return {
        "repo": repo,
        "bytes": measure(folder),
        "state": "whole" if whole else "partial",
        "is_growing": any(is_growing(os.path.join(blobs, one)) for one in held if one.endswith(".incomplete")),
        "revision": revision,
        "total": None if whole else wanted_bytes(repo),
        "files": tell_files(folder, revision or max(revisions, default="")),
        "used_s": max(used, default=0.0),
    }


def is_growing(path: str) -> bool:
    """Whether somebody fetches this file now: we or the hub's own client hold its lock while they do."""
    repo, name = os.path.split(os.path.dirname(os.path.dirname(path)))[1], os.path.basename(path)
    theirs = os.path.join(cache_folder(), ".locks", repo, name[: -len(".incomplete")] + ".lock")
    return is_held(path) or is_held(theirs)


def is_held(path: str) -> bool:
    """Whether another process has locked a file; one that is not there or not to be read is nobody's."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk without locks: nobody can hold it
        return False
    finally:
        os.close(number)
    return False


def stat_time(path: str) -> float:
    """When a file was last read or written, as far as its disk notes it."""
    try:
        found = os.stat(path)
    except OSError:
        return 0.0
    return max(found.st_atime, found.st_mtime)


def list_all() -> None:
    """Everything, in one line."""
    root = cache_folder()
    names = sorted(name for name in os.listdir(root) if name.startswith("models--")) if os.path.isdir(root) else []
    models = []
    for name in names[:MAX_REPOS]:
        try:
            cells = describe(name)
        except OSError:
            continue  # it is being removed
        if cells["bytes"] or cells["is_growing"]:  # of a fetch that was refused nothing is there
            models.append(cells)
    caches = {name: measure(os.path.expanduser(path)) for name, path in CACHES.items()}
    disk = shutil.disk_usage(os.path.expanduser("~"))
    images, problem = list_images()
    told = 0
    for model in models:
        told += len(model["files"])
        if told > MAX_ALL_FILES:
            model["files"] = []
    say(
        models=models,
        files=list_model_files(),
        images=images,
        docker=problem,
        running=list_running() if images is not None else None,
        transfers=list_transfers(),
        caches={name: size for name, size in caches.items() if size},
        free=disk.free,
        total=disk.total,
    )


def main(argv: list[str]) -> int:
    """One verb."""
    verbs: dict[str, Any] = {
        "verify": verify,
        "remove": remove,
        "remove_file": remove_file,
        "clean": clean,
        "list": list_all,
    }
    try:
        if argv[0] == "check":
            check(argv[1], argv[2], argv[3:])
        elif argv[0] == "expose":
            expose(argv[1], argv[2], argv[3], argv[4:])
        else:
            verbs[argv[0]](*argv[1:])
    except (Refusal, OSError) as error:
        say(ok=False, message=str(error), remedy="Look at that on the node, then try again.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
