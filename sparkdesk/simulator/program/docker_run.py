"""`docker run`: checks the wish, makes the container, starts its runner apart from this client, and follows it.

The one rule: the container is the runner's child and not the client's. A client that is killed leaves it running, as
docker's does; a signal to the client goes to the container.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import docker_store as store
from docker_entry import NoProgram, engine_words
from docker_image import fetch
from docker_image_store import Image
from docker_image_store import find as find_image
from docker_limit import LimitError, check_limits
from docker_row import DaemonError
from spark_state import FOLDER, conditions

_DAEMON = 125
_NOT_FOUND = 127
_WORDS = ("brave", "calm", "eager", "gentle", "keen", "quiet", "swift", "wise")
_NAMES = ("bardeen", "curie", "hopper", "lovelace", "noether", "turing", "wilson", "yalow")
_POLL_S = 0.05


class Refused(Exception):
    """What the daemon says, with the client's exit code."""

    def __init__(self, words: str, code: int = _DAEMON) -> None:
        super().__init__(words)
        self.code = code


def run(options: dict[str, list[str]], words: list[str]) -> int:
    """Make and start a container; in the foreground follow it, else print its id."""
    try:
        state, launch = _prepare(options, words)
    except Refused as error:
        print(f"docker: {error}\n\nRun 'docker run --help' for more information", file=sys.stderr)
        return error.code
    _spawn_runner(state, launch)
    if "cidfile" in options:
        with open(options["cidfile"][-1], "x", encoding="ascii") as stream:
            stream.write(state["id"])
    if "detach" in options:
        print(state["id"])
        return 0
    for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(which, lambda number, _frame: _proxy(state["id"], number))
    code = follow(state["id"], start=0)
    if "rm" in options:  # its runner would do it a little later
        shutil.rmtree(store.folder_of(state["id"]), ignore_errors=True)
    return code


def _prepare(options: dict[str, list[str]], words: list[str]) -> tuple[store.State, dict[str, Any]]:
    """The container's state and what its runner must know. Raises Refused."""
    image = _find_image(words[0], options)
    restart = options.get("restart", ["no"])[-1]
    if restart not in ("", "no"):
        raise Refused(f"a simulated node does not restart containers: --restart {restart}")
    name = free_name(options.get("name", [""])[-1])
    limits = _limits(options)
    _check_gpu(options)
    engine, arguments = _engine_words(image, words[1:], options)
    network = options.get("network", options.get("net", ["bridge"]))[-1]
    environment = dict(pair for text in options.get("env", []) if (pair := _pair(text)) is not None)
    state = {
        "id": store.new_id(),
        "name": name,
        "image": words[0],
        "command": words[1:] or ["vllm", "serve"],
        "labels": dict(_label(text) for text in options.get("label", [])),
        "environment": [f"{key}={value}" for key, value in environment.items()],
        "limits": limits,
        "network": network,
        "ports": ["{}:{}->{}/tcp".format(*_published(text)) for text in options.get("publish", [])],
        "auto_remove": "rm" in options,
        "status": "created",
        "boot_id": store.boot_id(),
        "pid": 0,
        "runner_pid": 0,
        "exit_code": 0,
        "created_s": time.time(),
        "started_s": 0.0,
        "finished_s": 0.0,
    }
    launch = {
        "engine": engine,
        "image": image.name,
        "arguments": arguments,
        "published": None if network == "host" else [_published(text) for text in options.get("publish", [])],
        "has_gpu": _wants_gpu(options),
        "environment": environment | {"SPARKDESK_CONTAINER": " ".join(_rights(options, network))},
        "volumes": [_volume(text) for text in options.get("volume", [])],
    }
    return state, launch


def _rights(options: dict[str, list[str]], network: str) -> list[str]:
    """What the container may use of the machine, for those programs in it that ask."""
    is_whole = "privileged" in options
    rights = {
        "gpu": _wants_gpu(options),
        "network": network == "host",
        "rdma": is_whole or any(one.startswith("/dev/infiniband") for one in options.get("device", [])),
        "memlock": is_whole or any(one.startswith("memlock=-1") for one in options.get("ulimit", [])),
    }
    return [name for name, is_given in rights.items() if is_given]


def _wants_gpu(options: dict[str, list[str]]) -> bool:
    return "gpus" in options or "nvidia" in options.get("runtime", [])


def _check_gpu(options: dict[str, list[str]]) -> None:
    """Raises Refused where the container toolkit is not there."""
    if "no-toolkit" in conditions() and _wants_gpu(options):
        raise Refused(
            'Error response from daemon: could not select device driver "" with capabilities: [[gpu]]'
            if "gpus" in options
            else "Error response from daemon: unknown or invalid runtime name: nvidia"
        )


def _limits(options: dict[str, list[str]]) -> dict[str, Any]:
    try:
        return check_limits(options)
    except LimitError as error:
        raise Refused(f"Error response from daemon: {error}") from error


def _find_image(name: str, options: dict[str, list[str]]) -> Image:
    """The image on this node; one that is not there is pulled, as docker does unless --pull says never."""
    image = find_image(name)
    if image is not None:
        return image
    if "quiet" not in options:
        print(f"Unable to find image '{name}' locally", file=sys.stderr)
    if options.get("pull", ["missing"])[-1] == "never":
        raise Refused(f"Error response from daemon: No such image: {name}")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return fetch(name, is_quiet="quiet" in options)
    except DaemonError as error:
        raise Refused(f"Error response from daemon: {error}") from error


def free_name(asked: str) -> str:
    """The container's name: the one that was asked for if it is good and free, else one of docker's kind.

    Raises Refused.
    """
    if not asked:
        return f"{secrets.choice(_WORDS)}_{secrets.choice(_NAMES)}"
    if not store.is_good_name(asked):
        raise Refused(
            f"Error response from daemon: Invalid container name ({asked}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )
    other = store.find(asked)
    if other is not None and other["name"] == asked:
        raise Refused(
            f'Error response from daemon: Conflict. The container name "/{asked}" is already in use by container '
            f'"{other["id"]}". You have to remove (or rename) that container to be able to reuse that name.'
        )
    return asked


def _pair(text: str) -> tuple[str, str] | None:
    """`NAME=value`; a name alone takes the client's own value, and is left out where it has none, as docker does."""
    name, equals, value = text.partition("=")
    if not equals and name not in os.environ:
        return None
    return name, value if equals else os.environ[name]


def _label(text: str) -> tuple[str, str]:
    name, _equals, value = text.partition("=")
    return name, value


def _published(text: str) -> tuple[str, int, int]:
    """(address, port on the node, port in the container) of `--publish`. Raises Refused."""
    match = re.match(r"(?:(\d+\.\d+\.\d+\.\d+):)?(\d{1,5}):(\d{1,5})(?:/tcp)?\Z", text)
    if not match:
        raise Refused(f"invalid containerPort: {text}")
    return match[1] or "0.0.0.0", int(match[2]), int(match[3])


def _volume(text: str) -> tuple[str, str]:
    """(folder on the node, folder inside); docker makes a folder that is to be bound and is not there."""
    source, _colon, rest = text.partition(":")
    if source.startswith("/"):
        try:
            os.makedirs(os.environ.get("SPARKDESK_ROOT", "") + source, exist_ok=True)
        except FileExistsError:
            return source, rest.partition(":")[0]  # a file
        except OSError as error:
            raise Refused(
                f"Error response from daemon: error while creating mount source path '{source}': {error}"
            ) from error
    return source, rest.partition(":")[0]


def _engine_words(image: Image, words: list[str], options: dict[str, list[str]]) -> tuple[str, list[str]]:
    """The engine and what reaches it. Raises Refused."""
    try:
        return engine_words(image.repository, words, options["entrypoint"][-1] if "entrypoint" in options else None)
    except NoProgram as error:
        raise Refused(
            "Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime "
            f'create failed: runc create failed: unable to start container process: exec: "{error}": '
            "a simulated image has only its engine",
            _NOT_FOUND,
        ) from error


def _spawn_runner(state: store.State, launch: dict[str, Any]) -> None:
    """Start the container's runner in its own session and return when its state is written."""
    folder = store.folder_of(state["id"])
    os.makedirs(store.FOLDER, exist_ok=True)
    os.mkdir(folder, 0o700)  # the environment may hold a key
    store.write_state(state["id"], state)
    with open(f"{folder}/launch.json", "w", encoding="utf-8") as stream:
        json.dump(launch, stream)
    python = os.path.realpath(sys.executable)
    process = subprocess.Popen(
        [python, "-IS", f"{FOLDER}/docker_runner.py", state["id"]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    while process.poll() is None:
        now = store.read_state(state["id"])
        if now is None or now["status"] != "created":
            break
        time.sleep(0.01)


def _proxy(container: str, number: int) -> None:
    """Pass a signal on to the container's first process."""
    state = store.read_state(container)
    if state is not None and state["status"] == "running":
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(state["pid"]), number)


def log_lines(container: str, offset: int = 0) -> Iterator[dict[str, str]]:
    """The whole lines of a container's log, from this line on."""
    try:
        with open(f"{store.folder_of(container)}/log.jsonl", encoding="utf-8") as stream:
            for number, line in enumerate(stream):
                if number >= offset and line.endswith("\n"):
                    yield json.loads(line)
    except FileNotFoundError:
        return


def follow(container: str, start: int, *, has_stamps: bool = False) -> int:
    """Print the log as it grows, until the container has ended; its exit code."""
    try:
        stream = open(f"{store.folder_of(container)}/log.jsonl", encoding="utf-8")  # noqa: SIM115  closed below
    except FileNotFoundError:
        return 0
    with stream:
        for _line in range(start):
            stream.readline()
        rest = ""
        while True:
            state = store.read_state(container)
            rest += stream.read()
            *lines, rest = rest.split("\n")
            for line in lines:
                row = json.loads(line)
                out = sys.stdout if row["stream"] == "stdout" else sys.stderr
                out.write((f"{row['time']} " if has_stamps else "") + row["log"])
                out.flush()
            if state is None or state["status"] == "exited":
                return int(state["exit_code"]) if state else 0
            time.sleep(_POLL_S)
