"""Looks after a node's hub cache and its models; sent over a channel by length, and never installed.

    hub_cache check REPO REVISION [PATTERN ...]      {"whole": true, "path": ..., "bytes": ...}: asks nobody outside
    hub_cache expose REPO REVISION FOLDER FILE ...   links to whole files under names that stay
    hub_cache verify REPO                            reads every file again: its name in the cache is its checksum
    hub_cache remove REPO                            {"removed": true, "bytes": ...}
    hub_cache remove_file PATH                       one GGUF file, or a link to one, below ~/models
    hub_cache clean NAME                             empties a compile cache of CACHES
    hub_cache list                                   models, files below ~/models, images, compile caches, the free disk
The one rule: what is partial is never called whole, and only what is named, below the cache's own folders, is removed.
Stdlib only, Python 3.8+. Source: huggingface_hub's documented cache layout.
"""

from __future__ import annotations

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
YOUNG_S = 20.0
MAX_DEPTH = 6
DOCKER_WAIT_S = 10.0
MODEL_FILES = "~/models"
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
    """Every blob read again; what is bad is named, and left for a person to decide on."""
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
    if bad:
        message = "%d of %d files are damaged" % (len(bad), len(names))
        say(ok=False, message=message, bad=bad[:50], remedy="Remove the model, then fetch it again.")
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


def list_images() -> list[dict[str, Any]] | None:
    """docker's images with size and architecture; None where docker does not tell."""
    names = ask_docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    names = [name for name in names or [] if "<none>" not in name] if names is not None else None
    if not names:
        return names  # type: ignore[return-value]
    rows = ask_docker("image", "inspect", "--format", "{{.Architecture}} {{.Id}} {{.Size}}", *names[:MAX_REPOS])
    if rows is None or len(rows) != len(names[:MAX_REPOS]):
        return [{"name": name} for name in names[:MAX_REPOS]]
    cells = [row.split() for row in rows]
    return [
        {"name": name, "architecture": cell[0], "id": cell[1], "bytes": int(cell[2])}
        for name, cell in zip(names, cells)
        if len(cell) == 3 and cell[2].isdigit()
    ]


def ask_docker(*words: str) -> list[str] | None:
    """The lines that docker prints; None when it fails or is not there."""
    try:
        done = subprocess.run(
            ["docker", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=DOCKER_WAIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace").splitlines() if done.returncode == 0 else None


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
    weights = [path for one in revisions for path in list_files(os.path.join(snapshots, one)) if path.endswith(WEIGHTS)]
    used = [stat_time(os.path.join(blobs, one)) for one in held]
    return {
        "repo": name[len("models--") :].replace("--", "/", 1),
        "bytes": measure(folder),
        "state": "whole" if whole else "partial",
        "is_growing": any(is_young(os.path.join(blobs, one)) for one in held if one.endswith(".incomplete")),
        "revision": main if main in whole or not whole else whole[0],
        "weights": sorted(set(weights))[:200],
        "used_s": max(used, default=0.0),
    }


def is_young(path: str) -> bool:
    """Whether a file was written in this moment: somebody is fetching it."""
    try:
        return time.time() - os.stat(path).st_mtime < YOUNG_S
    except OSError:
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
            models.append(describe(name))
        except OSError:
            continue  # it is being removed
    caches = {name: measure(os.path.expanduser(path)) for name, path in CACHES.items()}
    disk = shutil.disk_usage(os.path.expanduser("~"))
    say(
        models=models,
        files=list_model_files(),
        images=list_images(),
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
