"""Pulls a container image on a node; run by transfer.py, apart from any channel.

    pull get REFERENCE ARCHITECTURE           one JSON line twice a second, the last says {"ok": ...}
    pull look REFERENCE ARCHITECTURE          {"whole": true, ...}: asks only this node's docker
    pull load PATH REFERENCE ARCHITECTURE     takes an archive that was sent, and removes it

The docker client itself pulls, because it has the person's own sign-ins and context; it gets a terminal, because only
then does it tell bytes. docker keeps whole layers by itself, so a next try goes on from them. The one rule: an image
counts as whole only when docker lists it, for the right processor. Stdlib only, Python 3.8+.
Source: the docker client's words (moby, pkg/jsonmessage and pkg/progress); containerd's image store has the like.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time

TRIES = 4
WAIT_S = float(os.environ.get("SPARKDESK_RETRY_S", "3"))
SAY_EVERY_S = 0.5
TAIL_LINES = 20
LAYER = re.compile(
    r"([0-9a-f]{12}): ([A-Z][A-Za-z ]+?)\s*(?:\[[^\]]*\]\s*)?(?:([\d.]+)\s?([kMGT]?B)(?:/([\d.]+)\s?([kMGT]?B))?.*)?$"
)
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SHARES = {"Download complete": 0.8, "Verifying Checksum": 0.8, "Pull complete": 1.0, "Already exists": 1.0}
"""How far a layer is; downloading is the first four fifths of it, unpacking the last."""
CAUSES = (
    ("no space left", "disk", "the node's disk is full", "Make room (Models on disk), then try again."),
    ("no matching manifest", "architecture", "the image is not made for this processor", "Choose an image for arm64."),
    ("manifest unknown", "missing", "the registry has no such tag", "Check the image's name and tag."),
    ("not found", "missing", "the registry has no such image", "Check the image's name and tag."),
    ("pull access denied", "access", "the registry does not give this image to this account",
     "Check the name; sign in on the node: docker login REGISTRY"),
    ("unauthorized", "access", "the registry wants a sign-in", "Sign in on the node: docker login REGISTRY"),
    ("toomanyrequests", "busy", "the registry takes no more pulls from here now", "Wait, or sign in: docker login"),
    ("permission denied while trying", "group", "this user may not ask docker",
     "On the node: sudo usermod -aG docker $USER, then sign in again."),
    ("Cannot connect to the Docker daemon", "down", "docker does not run", "On the node: sudo systemctl start docker"),
)  # fmt: skip
"""Words of docker's, a kind, what it means, what helps. Source: moby's and the registries' messages."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any


def say(**cells: Any) -> None:
    """One JSON line."""
    print(json.dumps(cells, separators=(",", ":")), flush=True)


class Layers:
    """What docker said of each layer."""

    def __init__(self) -> None:
        self.share: dict[str, float] = {}
        self.got: dict[str, int] = {}
        self.size: dict[str, int] = {}
        self.seen: list[tuple[float, int]] = []

    def take(self, line: str) -> None:
        """One line of docker's."""
        found = LAYER.match(line)
        if found is None:
            return
        layer, word, done, done_unit, total, total_unit = found.groups()
        before = self.share.get(layer, 0.0)
        now = SHARES.get(word, 0.0)
        if total and word in ("Downloading", "Extracting"):
            count, size = float(done) * UNITS[done_unit], float(total) * UNITS[total_unit]
            part = min(1.0, count / size) if size else 0.0
            now = 0.8 * part if word == "Downloading" else 0.8 + 0.2 * part
            if word == "Downloading":
                self.got[layer], self.size[layer] = int(count), int(size)
        if now >= 0.8 and layer in self.size:
            self.got[layer] = self.size[layer]
        self.share[layer] = max(before, now)

    def tell(self, **more: Any) -> None:
        """One line of ours; the rate is of the last ten seconds."""
        now, got = time.monotonic(), sum(self.got.values())
        self.seen = [one for one in self.seen if now - one[0] < 10.0] + [(now, got)]
        first_s, first = self.seen[0]
        rate = (got - first) / (now - first_s) if now - first_s >= 1.0 else None
        count = len(self.share)
        whole = sum(share >= 1.0 for share in self.share.values())
        fraction = sum(self.share.values()) / count if count else None
        say(layers=count, layers_done=whole, got=got, rate=rate, fraction=fraction, **more)


def run(argv: list[str], layers: Layers) -> tuple[int, str]:
    """docker on a terminal of its own: its exit code, and the last that it said."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 200, 0, 0))
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=its, stderr=its, env=dict(os.environ, TERM="xterm"))
    os.close(its)
    rest, tail, said_s = "", [], 0.0  # type: tuple[str, list[str], float]
    while True:
        if time.monotonic() - said_s >= SAY_EVERY_S:  # also while docker is silent: what it said last stands then
            said_s = time.monotonic()
            layers.tell()
        if not select.select([ours], [], [], SAY_EVERY_S)[0]:
            continue
        try:
            data = os.read(ours, 65536)
        except OSError as error:  # Linux: the other end of a terminal is closed
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            break
        text = ESCAPES.sub("", rest + data.decode("utf-8", "replace")).replace("\r", "\n")
        *lines, rest = text.split("\n")
        for line in (line.strip() for line in lines):
            layers.take(line)
            if line and not LAYER.match(line):
                tail = [*tail, line][-TAIL_LINES:]
    os.close(ours)
    return child.wait(), "\n".join([*tail, rest])


def explain(text: str) -> tuple[str, str, str]:
    """Kind, message and remedy of a pull that failed."""
    for words, kind, message, remedy in CAUSES:
        if words in text:
            return kind, message, remedy
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "no word of why")
    return "cut", "the pull broke off: " + last.strip()[:300], "Try again: layers that are whole stay."


def look(reference: str, wanted: str) -> dict[str, Any]:
    """What docker has of an image; `whole` only when it is for this architecture."""
    argv = ["docker", "image", "inspect", "--format", "{{.Architecture}} {{.Id}} {{.Size}}", reference]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"whole": False, "message": str(error)[:200]}
    words = done.stdout.decode("utf-8", "replace").split()
    if done.returncode != 0 or len(words) != 3:
        return {"whole": False, "message": done.stderr.decode("utf-8", "replace").strip()[-300:]}
    cells: dict[str, Any] = {"architecture": words[0], "image_id": words[1], "bytes": int(words[2])}
    if words[0] != wanted:
        message = "the image that is there is for %s, the node needs %s" % (words[0], wanted)
        return dict(cells, whole=False, kind="architecture", message=message, remedy="Choose an image for " + wanted)
    return dict(cells, whole=True)


def pull(reference: str, wanted: str) -> int:
    """Pull it, with patience."""
    layers = Layers()
    for left in reversed(range(TRIES)):
        code, text = run(["docker", "pull", reference], layers)
        if code == 0:
            layers.tell()
            found = look(reference, wanted)
            say(ok=found["whole"], **found)
            return 0 if found["whole"] else 1
        kind, message, remedy = explain(text)
        if kind != "cut" or not left:
            say(ok=False, kind=kind, message=message, remedy=remedy)
            return 1
        layers.tell(again={"why": "line cut", "try": TRIES - left, "of": TRIES - 1, "in_s": WAIT_S})
        time.sleep(WAIT_S)
    raise AssertionError("unreachable")


def load(path: str, reference: str, wanted: str) -> int:
    """`docker load` of an archive, which is removed when docker has it."""
    path = os.path.expanduser(path)
    code, text = run(["docker", "load", "--input", path], Layers())
    found = look(reference, wanted)
    if code == 0 and found["whole"]:
        os.remove(path)
        say(ok=True, **found)
        return 0
    kind, message, remedy = explain(text)
    if code == 0:
        message, remedy = "docker took the archive, but %s is not in it" % reference, "Send the image again."
    say(ok=False, kind=kind, message=message, remedy=remedy)
    return 1


def main(argv: list[str]) -> int:
    """One verb."""
    if argv[0] == "look":
        say(**look(argv[1], argv[2]))
        return 0
    return pull(*argv[1:]) if argv[0] == "get" else load(*argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
