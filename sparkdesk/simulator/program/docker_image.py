"""`docker`'s commands on images: list, look, pull, save, load, remove.

The one rule: a pull shows docker's plain words (layers, no bars, as without a terminal), goes on where an earlier one
was cut, and leaves no image before its last layer is there. Saved archives are real tar files of small layers.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
import time
from typing import Any

import docker_image_store as store
from docker_row import DaemonError, one, print_rows
from docker_store import containers
from go_template import fill
from spark_state import conditions

Options = dict[str, list[str]]
_PULL_S = 1.5  # a whole image; the largest layer takes half of it
_CUT_AT = 0.9
_MAX_ARCHIVE_BYTES = 64 * 2**20
_LAYER_BYTES = 64 * 1024
_NO_SPACE = "no space left on device"


def show(options: Options, rest: list[str]) -> int:
    """`docker images`."""
    rows = []
    for image in store.images():
        if rest and rest[0] not in (image.repository, image.name):
            continue
        since = "4 months ago" if not image.created_s else "Less than a minute ago"
        rows.append({"Repository": image.repository, "Tag": image.tag, "ID": image.id, "CreatedSince": since,
                     "Size": store.show_size(image.size_bytes), "Digest": f"sha256:{image.digest}"})  # fmt: skip
    if "quiet" in options:
        print("".join(f"{row['ID']}\n" for row in rows), end="")
        return 0
    columns = ("Repository", "Tag", "ID", "CreatedSince", "Size")
    print_rows(rows, one(options, "format"), columns, {"ID": "IMAGE ID"})
    return 0


def facts(image: store.Image) -> dict[str, Any]:
    """What `inspect` tells."""
    return {
        "Id": f"sha256:{image.digest}",
        "RepoTags": [image.name],
        "RepoDigests": [f"{image.repository}@sha256:{image.digest}"],
        "Architecture": image.architecture,
        "Os": "linux",
        "Size": image.size_bytes,
    }


def pull(options: Options, rest: list[str]) -> int:
    """`docker pull`."""
    fetch(rest[0], platform=one(options, "platform"), is_quiet="quiet" in options)
    return 0


def fetch(asked: str, *, platform: str = "", is_quiet: bool = False) -> store.Image:
    """Get an image whole and print docker's words. Raises DaemonError."""
    name = store.whole_name(asked)
    known = store.registry().get(name)
    full = f"docker.io/{name}" if "." not in name.partition("/")[0] else name
    if known is None:
        repository = name.rpartition(":")[0]
        if any(image.repository == repository for image in store.registry().values()):
            raise DaemonError(f"manifest for {name} not found: manifest unknown: manifest unknown")
        raise DaemonError(
            f"pull access denied for {repository}, repository does not exist or may require 'docker login': denied: "
            f"requested access to the resource is denied (the simulated registry has no {name!r})"
        )
    architecture = platform.split("/")[1] if platform.count("/") else store.ARCHITECTURE
    image = store.Image(known.repository, known.tag, known.size_bytes, architecture)
    held = store.find(name)
    say = (lambda _words: None) if is_quiet else _say
    say(f"{image.tag}: Pulling from {image.repository.partition('/')[2] if full == name else image.repository}")
    is_new = held is None or held.architecture != architecture
    if is_new:
        _fetch_layers(image, say)
        store.keep(image)
    say(f"Digest: sha256:{image.digest}")
    say(f"Status: {'Downloaded newer image' if is_new else 'Image is up to date'} for {name}")
    print(full, flush=True)
    return image


def _say(words: str) -> None:
    print(words, flush=True)


def _fetch_layers(image: store.Image, say: Any) -> None:
    """One layer after another, in the time that its share of the image takes."""
    missing = []
    for layer, size in image.layers:
        if store.has_layer(layer):
            say(f"{layer}: Already exists")
        else:
            say(f"{layer}: Pulling fs layer")
            missing.append((layer, size))
    for number, (layer, size) in enumerate(missing):
        span_s = _PULL_S * size / image.size_bytes
        on = conditions()
        if "disk-full" in on:
            raise DaemonError(f"failed to register layer: write /var/lib/docker/tmp/GetImageBlob{layer}: {_NO_SPACE}")
        if "pull-cut" in on and number == len(missing) - 1:
            time.sleep(span_s * _CUT_AT)
            say(f"{layer}: Retrying in 1 second")
            raise DaemonError("unexpected EOF")
        time.sleep(span_s)
        for words in ("Verifying Checksum", "Download complete", "Pull complete"):
            say(f"{layer}: {words}")
        store.keep_layer(layer)


def _found(name: str) -> store.Image:
    image = store.find(name)
    if image is None:
        raise DaemonError(f"No such image: {store.whole_name(name)}")
    return image


def remove(options: Options, names: list[str]) -> int:
    """`docker rmi`."""
    code = 0
    for name in names:
        try:
            image = _found(name)
            users = [state for state in containers() if state["image"] in (image.name, image.repository)]
            if users and ("force" not in options or users[0]["status"] == "running"):
                raise DaemonError(
                    f'conflict: unable to remove repository reference "{name}" (must force) - container '
                    f"{users[0]['id'][:12]} is using its referenced image {image.id}"
                )
            store.remove(image)
            print(f"Untagged: {image.name}\nDeleted: sha256:{image.digest}")
        except DaemonError as error:
            print(f"Error response from daemon: {error}", file=sys.stderr)
            code = 1
    return code


def prune(options: Options, _rest: list[str]) -> int:
    """`docker image prune`: every image has its name, so without --all nothing goes."""
    if "filter" in options:
        raise DaemonError("an image prune with a filter is not simulated")
    is_all = "all" in options
    if "force" not in options:
        which = "images without at least one container associated to them" if is_all else "dangling images"
        print(f"WARNING! This will remove all {which}.\nAre you sure you want to continue? [y/N] ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("image prune has been cancelled", file=sys.stderr)
            return 1
    used = {state["image"] for state in containers()}
    gone = [image for image in store.images() if is_all and image.name not in used]
    if gone:
        print("Deleted Images:")
    for image in gone:
        store.remove(image)
        print(f"untagged: {image.name}\ndeleted: sha256:{image.digest}")
    print(f"Total reclaimed space: {store.show_size(sum(image.size_bytes for image in gone))}")
    return 0


def save(options: Options, names: list[str]) -> int:
    """`docker save`: a real archive in docker's own layout, of small layers with seeded bytes."""
    images = [_found(name) for name in names]
    path = one(options, "output")
    if not path and sys.stdout.isatty():
        print("cowardly refusing to save to a terminal. Use the -o flag or redirect", file=sys.stderr)
        return 1
    with open(path, "wb") if path else sys.stdout.buffer as target, tarfile.open(fileobj=target, mode="w|") as archive:
        manifest = [_add_image(archive, image) for image in images]
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    return 0


def _add_image(archive: tarfile.TarFile, image: store.Image) -> dict[str, Any]:
    config = {"architecture": image.architecture, "os": "linux", "created": "2026-06-18T19:44:21Z",
              "simulated_size": image.size_bytes}  # fmt: skip
    data = json.dumps(config).encode()
    config_name = f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    _add(archive, config_name, data)
    layers = []
    for layer, _size in image.layers:
        body = hashlib.shake_256(layer.encode()).digest(_LAYER_BYTES)
        layers.append(f"blobs/sha256/{hashlib.sha256(body).hexdigest()}")
        _add(archive, layers[-1], body)
    return {"Config": config_name, "RepoTags": [image.name], "Layers": layers}


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def load(options: Options, _rest: list[str]) -> int:
    """`docker load`: takes what `save` wrote; an archive that was cut, or another one's, is refused."""
    path = one(options, "input")
    if not path and sys.stdin.isatty():
        print("requested load from stdin, but stdin is empty", file=sys.stderr)
        return 1
    try:
        with open(path, "rb") if path else sys.stdin.buffer as source:
            files = _read_archive(source)
        found = [_loaded(files, row) for row in json.loads(files["manifest.json"])]
    except OSError as error:
        print(f"open {path}: {str(error.strerror).lower()}", file=sys.stderr)
        return 1
    except tarfile.TarError:
        raise DaemonError("archive/tar: invalid tar header") from None
    except (KeyError, ValueError, TypeError, AttributeError):
        raise DaemonError("unexpected EOF") from None
    for image in found:
        if "disk-full" in conditions():
            raise DaemonError(f"write /var/lib/docker/tmp/{image.id}: {_NO_SPACE}")
        store.keep(image)
        print(f"Loaded image: {image.name}")
    return 0


def _read_archive(source: Any) -> dict[str, bytes]:
    """Every file of a tar stream. Raises TarError when it is none or was cut, OSError."""
    files: dict[str, bytes] = {}
    left = _MAX_ARCHIVE_BYTES
    with tarfile.open(fileobj=source, mode="r|*") as archive:
        for entry in archive:
            stream = archive.extractfile(entry)
            data = stream.read() if stream is not None and entry.size <= left else b""
            left -= len(data)
            files[entry.name] = data
    return files


def _loaded(files: dict[str, bytes], row: dict[str, Any]) -> store.Image:
    """The image of a manifest's row, each of whose blobs must be whole. Raises KeyError, ValueError."""
    for name in (row["Config"], *row["Layers"]):
        if hashlib.sha256(files[name]).hexdigest() != name.rpartition("/")[2]:
            raise ValueError(name)
    config = json.loads(files[row["Config"]])
    repository, _colon, tag = str(row["RepoTags"][0]).rpartition(":")
    return store.Image(repository, tag, int(config["simulated_size"]), str(config["architecture"]))


def disk_usage(options: Options, _rest: list[str]) -> int:
    """`docker system df`."""
    held, used = store.images(), {state["image"] for state in containers()}
    running = [state for state in containers() if state["status"] == "running"]
    total = sum(image.size_bytes for image in held)
    free = sum(image.size_bytes for image in held if image.name not in used)
    rows = [
        _usage("Images", len(held), len(used), total, free),
        _usage("Containers", len(containers()), len(running), 0, 0),
        _usage("Local Volumes", 0, 0, 0, 0),
        _usage("Build Cache", 0, 0, 0, 0),
    ]
    heads = {"TotalCount": "TOTAL"}
    print_rows(rows, one(options, "format"), ("Type", "TotalCount", "Active", "Size", "Reclaimable"), heads)
    return 0


def _usage(kind: str, count: int, active: int, size: int, free: int) -> dict[str, Any]:
    share = f" ({free * 100 // size}%)" if size else ""
    return {"Type": kind, "TotalCount": str(count), "Active": str(active), "Size": store.show_size(size),
            "Reclaimable": f"{store.show_size(free)}{share}"}  # fmt: skip


def fill_facts(image: store.Image, form: str) -> str:
    """`inspect --format`."""
    return fill(form, facts(image))
