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
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import docker_store as store
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
    return follow(state["id"], start=0)


def _prepare(options: dict[str, list[str]], words: list[str]) -> tuple[store.State, dict[str, Any]]:
    """The container's state and what its runner must know. Raises Refused."""
    image = _find_image(words[0], is_quiet="quiet" in options)
    restart = options.get("restart", ["no"])[-1]
    if restart not in ("", "no"):
        raise Refused(f"a simulated node does not restart containers: --restart {restart}")
    name = _free_name(options.get("name", [""])[-1])
    if "no-toolkit" in conditions() and ("gpus" in options or "nvidia" in options.get("runtime", [])):
        raise Refused(
            'Error response from daemon: could not select device driver "" with capabilities: [[gpu]]'
            if "gpus" in options
            else "Error response from daemon: unknown or invalid runtime name: nvidia"
        )
    arguments = _engine_arguments(image, words[1:], options)
    network = options.get("network", options.get("net", ["bridge"]))[-1]
    now_s = time.time()
    state = {
        "id": store.new_id(),
        "name": name,
        "image": words[0],
        "command": words[1:] or ["vllm", "serve"],
        "labels": dict(_pair(text) for text in options.get("label", [])),
        "environment": options.get("env", []),
        "network": network,
        "ports": ["{}:{}->{}/tcp".format(*_published(text)) for text in options.get("publish", [])],
        "auto_remove": "rm" in options,
        "status": "created",
        "pid": 0,
        "runner_pid": 0,
        "exit_code": 0,
        "created_s": now_s,
        "started_s": 0.0,
        "finished_s": 0.0,
    }
    launch = {
        "arguments": arguments,
        "published": None if network == "host" else [_published(text) for text in options.get("publish", [])],
        "has_gpu": "gpus" in options or "nvidia" in options.get("runtime", []),
        "environment": dict(_pair(text) for text in options.get("env", [])),
    }
    for text in options.get("volume", []):
        _make_volume(text)
    return state, launch


def _find_image(name: str, *, is_quiet: bool) -> dict[str, Any]:
    image = store.find_image(name)
    if image is None:
        if not is_quiet:
            print(f"Unable to find image '{name}' locally", file=sys.stderr)
        why = "a simulated node has no way to the Internet"
        raise Refused(f'Error response from daemon: failed to resolve reference "{name}": {why}')
    return image


def _free_name(asked: str) -> str:
    """The container's name: the one that was asked for if it is good and free, else one of docker's kind."""
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


def _pair(text: str) -> tuple[str, str]:
    """`NAME=value`; a name alone takes the client's own value, as docker's --env does."""
    name, equals, value = text.partition("=")
    return name, value if equals else os.environ.get(name, "")


def _published(text: str) -> tuple[str, int, int]:
    """(address, port on the node, port in the container) of `--publish`. Raises Refused."""
    match = re.match(r"(?:(\d+\.\d+\.\d+\.\d+):)?(\d{1,5}):(\d{1,5})(?:/tcp)?\Z", text)
    if not match:
        raise Refused(f"invalid containerPort: {text}")
    return match[1] or "0.0.0.0", int(match[2]), int(match[3])


def _make_volume(text: str) -> None:
    """docker makes a folder that is to be bound and is not there."""
    source = text.split(":")[0]
    if not source.startswith("/"):
        return
    try:
        os.makedirs(os.environ.get("SPARKDESK_ROOT", "") + source, exist_ok=True)
    except OSError as error:
        raise Refused(
            f"Error response from daemon: error while creating mount source path '{source}': {error}"
        ) from error


def _engine_arguments(image: dict[str, Any], words: list[str], options: dict[str, list[str]]) -> list[str]:
    """What reaches vLLM: the upstream image has it as its entry point, NVIDIA's needs to be told. Raises Refused."""
    if "entrypoint" in options:
        words = [options["entrypoint"][-1], *words]
    elif image["repository"] == "vllm/vllm-openai":
        return words
    if words[:2] == ["vllm", "serve"]:
        return words[2:]
    module = "vllm.entrypoints.openai.api_server"
    if words[:3] in (["python3", "-m", module], ["python", "-m", module]):
        return words[3:]
    first = words[0] if words else "bash"
    raise Refused(
        "Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime "
        f'create failed: runc create failed: unable to start container process: exec: "{first}": '
        "a simulated image has only vllm",
        _NOT_FOUND,
    )


def _spawn_runner(state: store.State, launch: dict[str, Any]) -> None:
    """Start the container's runner in its own session and return when its state is written."""
    folder = store.folder_of(state["id"])
    os.makedirs(folder)
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


def follow(container: str, start: int) -> int:
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
                out.write(row["log"])
                out.flush()
            if state is None or state["status"] == "exited":
                return int(state["exit_code"]) if state else 0
            time.sleep(_POLL_S)
