"""Files of this computer that are sent to nodes: files, folders, container images, models of its hub cache.

The one rule: nothing outside what was named is ever read: links that lead out of a folder are refused, not followed.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncGenerator
from pathlib import Path

from sparkdesk.core.errors import StepFailed
from sparkdesk.core.ports import LocalItem

PIECE_BYTES = 1 << 20
MAX_ITEMS = 20_000
LOOK_TIMEOUT_S = 30.0
SAVE_TIMEOUT_S = 6 * 3600.0
_REPO = re.compile(
    r"(?P<owner>[A-Za-z0-9][A-Za-z0-9._-]{0,127})/(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,127})@(?P<revision>[\w.-]{1,128})"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")


class DeskFiles:
    """Fulfils core's LocalFiles. `spool` is where image archives lie until they were sent."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool

    async def items(self, kind: str, source: str, platform: str) -> tuple[LocalItem, ...]:
        """What there is to send, links last. Raises StepFailed."""
        if kind == "image":
            await self._save_image(source, platform)
        try:
            return await asyncio.to_thread(self._list, kind, source)
        except OSError as error:
            raise _failed(f"{source} cannot be read", str(error)) from error

    async def read(self, kind: str, source: str, path: str) -> AsyncGenerator[bytes]:
        """The bytes of one item, in pieces. Raises StepFailed."""
        root = self._root(kind, source)
        whole = root / path if path else root
        try:
            with await asyncio.to_thread(whole.open, "rb") as file:
                while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                    yield piece
        except OSError as error:
            raise _failed(f"{whole} cannot be read", str(error)) from error

    async def release(self, kind: str, source: str) -> None:
        """Remove an image's archive; what the user's own is stays."""
        if kind == "image":
            await asyncio.to_thread(self._archive(source).unlink, missing_ok=True)

    def _root(self, kind: str, source: str) -> Path:
        if kind == "image":
            return self._archive(source)
        if kind == "repo":
            return repo_folder(source)
        return Path(source).expanduser()

    def _archive(self, reference: str) -> Path:
        return self._spool / f"{hashlib.sha256(reference.encode()).hexdigest()[:24]}.tar"

    def _list(self, kind: str, source: str) -> tuple[LocalItem, ...]:
        root = self._root(kind, source)
        if kind == "repo":
            return list_revision(root, source.rpartition("@")[2])
        if kind == "folder":
            return list_folder(root)
        if not root.is_file():
            raise _failed(f"There is no file {root} on this computer")
        return (LocalItem("", root.stat().st_size),)

    async def _save_image(self, reference: str, platform: str) -> None:
        """The image's archive, made once: docker's own stream cannot be gone on from, a file can."""
        archive = self._archive(reference)
        found = await _docker("image", "inspect", "--format", "{{.Id}} {{.Os}}/{{.Architecture}}", reference)
        if found is None:
            more = ("--platform", platform) if platform else ()
            if await _docker("pull", "--quiet", *more, reference, timeout_s=SAVE_TIMEOUT_S) is None:
                raise _failed(
                    f"This computer has no image {reference}, and docker could not pull it",
                    remedy=f"Pull it here by hand: docker pull {' '.join((*more, reference))}",
                )
            found = await _docker("image", "inspect", "--format", "{{.Id}} {{.Os}}/{{.Architecture}}", reference)
        words = (found or "").split()
        if len(words) != 2 or not _IMAGE_ID.fullmatch(words[0]):
            raise _failed(f"docker does not tell what {reference} is")
        if platform and words[1] != platform:
            raise _failed(
                f"{reference} on this computer is for {words[1]}, the node needs {platform}",
                remedy=f"Pull the other one here: docker pull --platform {platform} {reference}",
            )
        mark = archive.with_suffix(".id")
        if archive.is_file() and mark.is_file() and mark.read_text() == words[0]:
            return
        self._spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = archive.with_suffix(".incomplete")
        if await _docker("save", "--output", str(partial), reference, timeout_s=SAVE_TIMEOUT_S) is None:
            partial.unlink(missing_ok=True)
            raise _failed(
                f"docker could not save {reference} on this computer",
                remedy=f"Make room in {self._spool}, then try again.",
            )
        mark.write_text(words[0])
        partial.replace(archive)


def hub_folder() -> Path:
    """This computer's hub cache. Source: huggingface_hub's documented environment variables."""
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if cache:
        return Path(cache).expanduser()
    home = os.environ.get("HF_HOME")
    if home:
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "huggingface" / "hub"


def repo_folder(source: str) -> Path:
    """The cache's folder of OWNER/NAME@REVISION. Raises StepFailed."""
    named = _REPO.fullmatch(source)
    if named is None:
        raise _failed(f"{source} is no OWNER/NAME@REVISION")
    return hub_folder() / f"models--{named['owner']}--{named['name']}"


def list_revision(root: Path, revision: str) -> tuple[LocalItem, ...]:
    """The blobs of one revision, its ref, and its snapshot's links last. Raises StepFailed, OSError."""
    ref = root / "refs" / revision
    commit = revision if _COMMIT.fullmatch(revision) else ref.read_text().strip() if ref.is_file() else ""
    snapshot = root / "snapshots" / commit
    if not _COMMIT.fullmatch(commit) or not snapshot.is_dir():
        raise _failed(
            f"This computer does not have {root.name.removeprefix('models--').replace('--', '/', 1)} at {revision}",
            remedy="Download it here first (hf download), or let the node fetch it.",
        )
    blobs: dict[str, LocalItem] = {}
    links: list[LocalItem] = []
    for path in sorted(snapshot.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        blob = path.resolve(strict=True)
        if not path.is_symlink() or blob.parent != (root / "blobs").resolve():
            raise _failed(f"{path} is not laid out as the hub's cache lays it out")
        blobs[blob.name] = LocalItem(f"blobs/{blob.name}", blob.stat().st_size)
        links.append(LocalItem(path.relative_to(root).as_posix(), 0, os.readlink(path).replace(os.sep, "/")))
    refs = [LocalItem(f"refs/{revision}", ref.stat().st_size)] if ref.is_file() else []
    return (*blobs.values(), *links, *refs)


def list_folder(root: Path) -> tuple[LocalItem, ...]:
    """Every file below, links last. Raises StepFailed for a link that leads out, OSError."""
    if not root.is_dir():
        raise _failed(f"There is no folder {root} on this computer")
    whole = root.resolve()
    files: list[LocalItem] = []
    links: list[LocalItem] = []
    for path in sorted(root.rglob("*")):
        place = path.relative_to(root).as_posix()
        if path.is_symlink():
            if not path.resolve().is_relative_to(whole) or Path(os.readlink(path)).is_absolute():
                raise _failed(f"{path} leads out of the folder", remedy="Remove that link, or send the file itself.")
            links.append(LocalItem(place, 0, os.readlink(path).replace(os.sep, "/")))
        elif path.is_file() and not place.endswith(".incomplete"):
            files.append(LocalItem(place, path.stat().st_size))
        if len(files) + len(links) > MAX_ITEMS:
            raise _failed(f"{root} holds more than {MAX_ITEMS} files")
    return (*files, *links)


def _failed(
    message: str, detail: str = "", *, remedy: str = "Look at it on this computer, then try again."
) -> StepFailed:
    return StepFailed(message, remedy=remedy, detail=detail)


async def _docker(*words: str, timeout_s: float = LOOK_TIMEOUT_S) -> str | None:
    """What this computer's docker prints; None when it fails or is not there."""
    try:
        process = await asyncio.create_subprocess_exec(
            "docker",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(timeout_s):
            out, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return out.decode("utf-8", "replace") if process.returncode == 0 else None
