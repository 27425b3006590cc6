"""A docker of few words for tests of what runs on a node: containers are processes of this machine.

Installed as `docker` on the PATH of a test. It speaks what docker documents of run, ps, inspect, logs, wait, stop,
kill, rename and rm as far as jobs use it, refuses every other word; each container is a folder below DOCKER_FOLDER.
A file `down` there makes the daemon unreachable.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(os.environ.get("DOCKER_FOLDER", "/nonexistent"))


def fail(words: str, code: int = 1) -> None:
    sys.stderr.write(words + "\n")
    raise SystemExit(code)


def find(name: str) -> Path:
    """The container of this name or id."""
    for folder in ROOT.glob("c-*"):
        if name in (folder.name[2:], (folder / "name").read_text()):
            return folder
    fail(f"Error response from daemon: No such container: {name}")
    raise AssertionError


def is_running(folder: Path) -> bool:
    return not (folder / "exit").exists()


def shim(folder: Path, words: list[str]) -> None:
    """The container's own process: outlives the client."""
    with (folder / "output").open("wb") as output:
        engine = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        (folder / "pid").write_text(str(engine.pid))
        code = engine.wait()
    (folder / "exit.new").write_text(str(128 - code if code < 0 else code))
    (folder / "exit.new").rename(folder / "exit")


def follow(folder: Path, offset: int) -> int:
    """Print the output until the container has ended, or is gone; gives its exit code."""
    while True:
        is_over = not folder.exists() or not is_running(folder)
        data = (folder / "output").read_bytes()[offset:] if (folder / "output").exists() else b""
        offset += len(data)
        os.write(1, data)
        if is_over and not data:
            return int((folder / "exit").read_text()) if folder.exists() else 137
        time.sleep(0.02)


def run(words: list[str]) -> int:
    options: dict[str, str] = {}
    while words and words[0].startswith("--"):
        options[words[0]] = words[1]
        words = words[2:]
    name = options["--name"]
    if any((folder / "name").read_text() == name for folder in ROOT.glob("c-*")):
        fail(f'docker: Error response from daemon: Conflict. The container name "/{name}" is already in use', 125)
    folder = ROOT / f"c-{uuid.uuid4().hex}{uuid.uuid4().hex}"
    folder.mkdir()
    (folder / "label").write_text(options.get("--label", ""))
    (folder / "name").write_text(name)
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    argv = [sys.executable, "-S", __file__, "shim", str(folder), *words[1:]]
    subprocess.Popen(argv, start_new_session=True, **quiet)  # type: ignore[call-overload]
    return follow(folder, 0)


def ps(words: list[str]) -> None:
    label = words[words.index("--filter") + 1].partition("label=")[2]
    if not {"--all", "--quiet", "--no-trunc"} <= set(words):
        fail("unexpected words")
    for folder in ROOT.glob("c-*"):
        if (folder / "label").read_text() == label:
            print(folder.name[2:])


def inspect(folder: Path) -> None:
    code = 0 if is_running(folder) else int((folder / "exit").read_text())
    is_killed = (folder / "oom").exists()
    state = {
        "Status": "running" if is_running(folder) else "exited", "Running": is_running(folder), "Paused": False,
        "OOMKilled": is_killed, "Dead": False, "ExitCode": code, "Error": "",
        "StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    print(json.dumps([{"Id": folder.name[2:], "Name": "/" + (folder / "name").read_text(), "State": state}]))


def send(folder: Path, number: int, wait_s: float) -> None:
    """Signal the container's process and wait for its end."""
    until = time.monotonic() + wait_s
    if is_running(folder):
        while not (folder / "pid").exists():
            time.sleep(0.01)
        os.kill(int((folder / "pid").read_text()), number)
    while is_running(folder) and time.monotonic() < until:
        time.sleep(0.01)


def logs(words: list[str]) -> int:
    folder, options = find(words[-1]), words[:-1]
    lines = (folder / "output").read_bytes().splitlines(keepends=True)
    if "--tail" in options:
        count = int(options[options.index("--tail") + 1])
        lines = lines[len(lines) - count :] if count else []
    if "--follow" not in options:
        os.write(1, b"".join(lines))
        return 0
    return 0 * follow(folder, (folder / "output").stat().st_size)


def main(words: list[str]) -> int:
    verb, rest = words[0], words[1:]
    if verb == "shim":
        shim(Path(rest[0]), rest[1:])
        return 0
    if (ROOT / "down").exists():
        fail("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    with (ROOT / "asked").open("a") as asked:
        asked.write(" ".join(words) + "\n")
    if verb in ("run", "logs"):
        return run(rest) if verb == "run" else logs(rest)
    if verb == "ps":
        ps(rest)
        return 0
    folder = find(rest[0] if verb == "rename" else rest[-1])
    if verb == "inspect":
        inspect(folder)
    elif verb == "stop":
        send(folder, signal.SIGTERM, float(rest[1]))
        send(folder, signal.SIGKILL, 5.0)
    elif verb == "kill":
        send(folder, signal.SIGKILL, 5.0)
    elif verb == "wait":
        print(follow(folder, 0))
    elif verb == "rename":
        (folder / "name").write_text(rest[1])
    elif verb == "rm":
        if is_running(folder) and "--force" not in rest:
            fail(f"Error response from daemon: cannot remove container: container is running: {rest[-1]}")
        send(folder, signal.SIGKILL, 5.0)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    else:
        fail(f"docker: '{verb}' is not a docker command", 125)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
