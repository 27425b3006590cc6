"""What this computer sends to a node: a full disk and a killed sender leave a part that is never called whole, and both
are gone on from."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.remote.fetch_node import REMOTE

WHOLE = os.urandom(300_000)
DIGEST = hashlib.sha256(WHOLE).hexdigest().encode()


def begin(path: Path, *, at_start: Callable[[], None] | None = None) -> subprocess.Popen[bytes]:
    """The receiving end, as it runs behind a channel."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(REMOTE / "receive.py"), "take", str(path), str(len(WHOLE))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=at_start,
    )


def send(process: subprocess.Popen[bytes], data: bytes) -> list[dict[str, object]]:
    """Send so much, and end; gives all that was answered."""
    out, _ = process.communicate(data, timeout=30)
    return [json.loads(line) for line in out.splitlines()]


def goes_on(path: Path, kept: int) -> bool:
    """Whether the next try wants only what is missing, and makes it whole."""
    said = send(begin(path), WHOLE[kept:] + DIGEST)
    return said[0] == {"at": kept} and said[-1]["ok"] is True and path.read_bytes() == WHOLE


def test_a_disk_that_fills_during_a_copy_is_named_and_the_copy_goes_on(tmp_path: Path) -> None:
    path, partial = tmp_path / "blob", tmp_path / "blob.incomplete"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    said = send(begin(path, at_start=limit), WHOLE + DIGEST)[-1]
    assert (said["ok"], said["error"]) == (False, "the node's disk is full")
    assert "Make room" in str(said["remedy"])
    assert not path.exists()
    assert goes_on(path, partial.stat().st_size)
    assert not partial.exists()


def test_a_copy_whose_sender_is_killed_is_never_whole_and_goes_on(tmp_path: Path) -> None:
    path, partial = tmp_path / "blob", tmp_path / "blob.incomplete"
    process = begin(path)
    assert process.stdin is not None
    process.stdin.write(WHOLE[:120_000])
    process.stdin.close()  # all that a node sees of it: its line ends
    process.wait(timeout=30)
    assert (process.returncode, path.exists()) == (2, False)
    process.stdout.close()  # type: ignore[union-attr]
    assert goes_on(path, partial.stat().st_size)


def test_a_copy_that_came_but_was_not_confirmed_is_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    send(begin(path), WHOLE)  # all of the bytes, and no checksum
    assert not path.exists()
    assert goes_on(path, len(WHOLE))
