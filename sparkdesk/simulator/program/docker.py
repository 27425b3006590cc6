"""`docker` of a node: the client's commands on containers that are ordinary processes of the node.

The one rule: strict and honest: what is not simulated says so and fails. Words and exit codes as Docker CE 28 has.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import docker_store as store
from docker_options import UsageError, parse, split
from docker_run import follow, log_lines, run
from go_template import TemplateError, fill
from spark_state import conditions, read_text

Options = dict[str, list[str]]
_VERSION = "28.3.3"
_SOCKET = "/var/run/docker.sock"
_USER_ID, _GROUP_ID, _OVERFLOW_ID = 1000, 989, 65534  # the last: Source: linux/highuid.h


class DaemonError(Exception):
    """What the daemon refuses."""


class NoDaemon(Exception):
    """Why the daemon cannot be asked at all."""


def _reach_daemon() -> None:
    """Raise NoDaemon when it does not run, or this user may not ask it. Containers are never root's own."""
    if "docker-down" in conditions():
        raise NoDaemon(f"Cannot connect to the Docker daemon at unix://{_SOCKET}. Is the docker daemon running?")
    if not may_ask():
        raise NoDaemon(
            f"permission denied while trying to connect to the Docker daemon socket at unix://{_SOCKET}: Get "
            f'"http://%2Fvar%2Frun%2Fdocker.sock/v1.51/info": dial unix {_SOCKET}: connect: permission denied'
        )
    if os.getuid() == 0:
        with contextlib.suppress(OSError):  # where the node has one id only, root and the user share it
            os.setgroups([_GROUP_ID])
            os.setresgid(_USER_ID, _USER_ID, _USER_ID)
            os.setresuid(_USER_ID, _USER_ID, _USER_ID)


def may_ask() -> bool:
    """Whether this process may use the daemon's socket: root, and who is in the group docker since they signed in."""
    if os.getuid() == 0 or "SPARKDESK_ROOT" in os.environ:
        return True
    held = os.getgroups()
    if held and _OVERFLOW_ID not in held:
        return _GROUP_ID in held
    rows = [line.split(":") for line in read_text("/etc/group").splitlines()]
    return any(row[0] == "docker" and "nvidia" in row[-1].split(",") for row in rows)


def main(arguments: list[str]) -> int:
    """One command."""
    command = ""
    try:
        command, words = split(arguments)
        if command == "--version":
            print(f"Docker version {_VERSION}, build 980b856")
            return 0
        options, rest = parse(command, words)
        if "help" in options:
            print(f"Usage:  docker {command} [OPTIONS]")
            return 0
        if command == "version" and "format" not in options:
            _print_side("Client: Docker Engine - Community")
        _reach_daemon()
        return _ACTIONS[command](options, rest)
    except UsageError as error:
        print(error, file=sys.stderr)
        return error.code
    except NoDaemon as error:
        print(f"docker: {error}" if command == "run" else error, file=sys.stderr)
        return 125 if command == "run" else 1
    except TemplateError as error:
        print(error, file=sys.stderr)
        return 64
    except DaemonError as error:
        print(f"Error response from daemon: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _one(options: Options, name: str, default: str = "") -> str:
    return options.get(name, [default])[-1]


def _find(name: str) -> store.State:
    state = store.find(name)
    if state is None:
        raise DaemonError(f"No such container: {name}")
    return state


def _each(names: list[str], action: Callable[[store.State], None]) -> int:
    """Do it to every container and print its name; one that fails does not stop the others."""
    code = 0
    for name in names:
        try:
            action(_find(name))
            print(name)
        except DaemonError as error:
            print(f"Error response from daemon: {error}", file=sys.stderr)
            code = 1
    return code


def _signal_number(text: str) -> int:
    if text.isdigit():
        return int(text)
    try:
        return int(signal.Signals["SIG" + text.upper().removeprefix("SIG")])
    except KeyError:
        raise DaemonError(f"invalid signal: {text}") from None


def _send(state: store.State, which: int) -> None:
    """Signal the container's first process; SIGKILL takes its whole group, as the kernel does with a PID namespace."""
    if state["status"] != "running":
        raise DaemonError(f"cannot kill container: {state['name']}: container {state['id']} is not running")
    try:
        if which == signal.SIGKILL:
            os.killpg(int(state["pid"]), which)
        else:
            os.kill(int(state["pid"]), which)
    except ProcessLookupError:
        return


def _wait_until_ended(state: store.State, timeout_s: float) -> store.State | None:
    """The state once it no longer runs, None when it is gone; after the time limit whatever it is then."""
    end_s = time.monotonic() + timeout_s
    while (now := store.read_state(state["id"])) is not None and now["status"] == "running":
        if time.monotonic() > end_s:
            break
        time.sleep(0.05)
    return now


def _stop(options: Options, names: list[str]) -> int:
    text = _one(options, "timeout", _one(options, "time", "10"))
    if not text.lstrip("-").isdigit():
        raise UsageError(f'invalid argument "{text}" for "-t, --timeout" flag', 125)
    which = _signal_number(_one(options, "signal", "TERM"))

    def stop(state: store.State) -> None:
        if state["status"] != "running":
            return
        _send(state, which)
        now = _wait_until_ended(state, float(text) if int(text) >= 0 else 1e9)
        if now is not None and now["status"] == "running":
            _send(now, signal.SIGKILL)
            _wait_until_ended(now, 10.0)

    return _each(names, stop)


def _kill(options: Options, names: list[str]) -> int:
    which = _signal_number(_one(options, "signal", "KILL"))
    return _each(names, lambda state: _send(state, which))


def _remove(options: Options, names: list[str]) -> int:
    def remove(state: store.State) -> None:
        if state["status"] == "running":
            if "force" not in options:
                raise DaemonError(
                    f'cannot remove container "{state["name"]}": container is running: stop the container before '
                    "removing or force remove"
                )
            _send(state, signal.SIGKILL)
            _wait_until_ended(state, 10.0)
        shutil.rmtree(store.folder_of(state["id"]), ignore_errors=True)

    return _each(names, remove)


def _wait(_options: Options, names: list[str]) -> int:
    code = 0
    for name in names:
        try:
            now = _wait_until_ended(_find(name), 1e9)
            print(now["exit_code"] if now else 0)
        except DaemonError as error:
            print(f"Error response from daemon: {error}", file=sys.stderr)
            code = 1
    return code


def _logs(options: Options, names: list[str]) -> int:
    state = _find(names[0])
    for name in ("since", "until", "details"):
        if name in options:
            raise UsageError(f"docker logs --{name} is not simulated", 125)
    tail = _one(options, "tail", "all")
    lines = list(log_lines(state["id"]))
    for line in lines if tail == "all" else lines[max(0, len(lines) - int(tail)) :]:
        stamp = f"{line['time']} " if "timestamps" in options else ""
        stream = sys.stdout if line["stream"] == "stdout" else sys.stderr
        stream.write(stamp + line["log"])
        stream.flush()
    if "follow" in options:
        follow(state["id"], start=len(lines))
    return 0


def _ps(options: Options, _rest: list[str]) -> int:
    rows = [
        _ps_row(state, is_short="no-trunc" not in options) for state in store.containers() if _matches(state, options)
    ]
    if "last" in options:
        rows = rows[: int(_one(options, "last"))]
    if "latest" in options:
        rows = rows[:1]
    if "quiet" in options:
        print("".join(f"{row['ID']}\n" for row in rows), end="")
        return 0
    _print_rows(
        rows, _one(options, "format"), ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"), _HEADS
    )
    return 0


_HEADS = {"ID": "CONTAINER ID", "RunningFor": "CREATED", "Repository": "REPOSITORY", "CreatedSince": "CREATED"}


def _matches(state: store.State, options: Options) -> bool:
    """Whether `ps` shows it: running, or all of them, and every filter."""
    filters = [text.partition("=") for text in options.get("filter", [])]
    wants_all = {"all", "last", "latest"} & set(options) or any(name == "status" for name, _eq, _v in filters)
    if not wants_all and state["status"] != "running":
        return False
    statuses = [value for name, _eq, value in filters if name == "status"]
    if statuses and state["status"] not in statuses:
        return False
    for name, equals, value in filters:
        if not equals or name not in ("label", "name", "id", "status", "ancestor"):
            raise DaemonError(f"invalid filter '{name}'")
        key, has_value, wanted = value.partition("=")
        labels = state["labels"]
        if name == "label" and (key not in labels or (has_value and labels[key] != wanted)):
            return False
        if name == "name" and value.removeprefix("/") not in state["name"]:
            return False
        if name == "id" and not state["id"].startswith(value):
            return False
        if name == "ancestor" and value != state["image"]:
            return False
    return True


def _ps_row(state: store.State, *, is_short: bool) -> dict[str, Any]:
    words = store.words_for_status(state)
    command = " ".join(state["command"])
    return {
        "ID": state["id"][:12] if is_short else state["id"],
        "Names": state["name"],
        "Image": state["image"],
        "Command": f'"{command[:19] + "…" if is_short and len(command) > 20 else command}"',
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(state["created_s"])),
        "RunningFor": words.removeprefix("Up ").partition(") ")[2] or f"{words.removeprefix('Up ')} ago",
        "State": state["status"],
        "Status": words,
        "Ports": ", ".join(state["ports"]),
        "Networks": state["network"],
        "Labels": ",".join(f"{name}={value}" for name, value in state["labels"].items()),
        "_labels": state["labels"],
    }


def _print_rows(rows: list[dict[str, Any]], form: str, columns: tuple[str, ...], heads: dict[str, str]) -> None:
    """As a table, as JSON lines, or by a template."""
    if form == "json":
        form = "{{json .}}"
    if form and not form.startswith("table"):
        for row in rows:
            print(fill(form, row))
        return
    if form.startswith("table "):
        columns = tuple(part.strip("{}. ") for part in form[6:].replace("\\t", "\t").split("\t"))
    cells = [[heads.get(name, name.upper()) for name in columns]]
    cells += [[str(row.get(name, "")) for name in columns] for row in rows]
    widths = [max(len(line[at]) for line in cells) + 3 for at in range(len(columns))]
    for line in cells:
        print("".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _images(options: Options, rest: list[str]) -> int:
    rows = []
    for image in store.IMAGES:
        full = f"{image['repository']}:{image['tag']}"
        if rest and rest[0] not in (image["repository"], full):
            continue
        digest = f"sha256:{image['id']}"
        rows.append({"Repository": image["repository"], "Tag": image["tag"], "ID": image["id"], "Size": image["size"],
                     "CreatedSince": "4 months ago", "Digest": digest})  # fmt: skip
    if "quiet" in options:
        print("".join(f"{row['ID']}\n" for row in rows), end="")
        return 0
    _print_rows(rows, _one(options, "format"), ("Repository", "Tag", "ID", "CreatedSince", "Size"),
                {**_HEADS, "ID": "IMAGE ID"})  # fmt: skip
    return 0


def _prune(options: Options, _rest: list[str]) -> int:
    """Every image of a node has its name: none is without one, so nothing goes."""
    if "all" in options or "filter" in options:
        raise DaemonError("of an image prune only that of images without a name is simulated")
    if "force" not in options:
        print("WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] ", end="")
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("image prune has been cancelled", file=sys.stderr)
            return 1
    print("Total reclaimed space: 0B")
    return 0


def _inspect(options: Options, names: list[str]) -> int:
    return _inspect_all(options, names, is_image=_one(options, "type") == "image", is_any="type" not in options)


def _image_inspect(options: Options, names: list[str]) -> int:
    return _inspect_all(options, names, is_image=True, is_any=False)


def _inspect_all(options: Options, names: list[str], *, is_image: bool, is_any: bool) -> int:
    found, code = [], 0
    for name in names:
        state = None if is_image else store.find(name)
        image = store.find_image(name) if is_image or is_any else None
        if state is not None:
            found.append(_container_facts(state))
        elif image is not None:
            found.append(_image_facts(image))
        else:
            kind = "image" if is_image else "object" if is_any else "container"
            print(f"Error: No such {kind}: {name}", file=sys.stderr)
            code = 1
    if "format" in options:
        for facts in found:
            print(fill(_one(options, "format"), facts))
    else:
        print(json.dumps(found, indent=4))
    return code


def _container_facts(state: store.State) -> dict[str, Any]:
    is_running = state["status"] == "running"
    return {
        "Id": state["id"],
        "Created": _stamp(state["created_s"]),
        "Path": state["command"][0] if state["command"] else "",
        "Args": state["command"][1:],
        "Name": f"/{state['name']}",
        "Image": state["image"],
        "RestartCount": 0,
        "State": {
            "Status": state["status"],
            "Running": is_running,
            "Paused": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": state["pid"] if is_running else 0,
            "ExitCode": state["exit_code"],
            "Error": "",
            "StartedAt": _stamp(state["started_s"]),
            "FinishedAt": _stamp(state["finished_s"]),
        },
        "Config": {"Image": state["image"], "Labels": state["labels"], "Env": state["environment"],
                   "Cmd": state["command"]},
        "HostConfig": {"NetworkMode": state["network"], "AutoRemove": state["auto_remove"],
                       "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
    }  # fmt: skip


def _stamp(time_s: float) -> str:
    if not time_s:
        return "0001-01-01T00:00:00Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_s)) + f".{int(time_s % 1 * 1e9):09d}Z"


def _image_facts(image: dict[str, Any]) -> dict[str, Any]:
    full = f"{image['repository']}:{image['tag']}"
    return {
        "Id": f"sha256:{image['id']:0<64}",
        "RepoTags": [full],
        "RepoDigests": [f"{image['repository']}@sha256:{image['id']:0<64}"],
        "Architecture": "arm64",
        "Os": "linux",
        "Size": image["bytes"],
    }


def _pull(options: Options, rest: list[str]) -> int:
    if store.find_image(rest[0]) is not None:
        print(f"Status: Image is up to date for {rest[0]}\n{rest[0]}")
        return 0
    raise DaemonError(f'failed to resolve reference "{rest[0]}": a simulated node has no way to the Internet')


def _version(options: Options, _rest: list[str]) -> int:
    side = {"Version": _VERSION, "ApiVersion": "1.51", "Os": "linux", "Arch": "arm64", "Experimental": False}
    if "format" in options:
        form = _one(options, "format")
        print(fill("{{json .}}" if form == "json" else form, {"Client": side, "Server": side}))
        return 0
    _print_side("\nServer: Docker Engine - Community\n Engine:")
    return 0


def _print_side(name: str) -> None:
    print(
        f"{name}\n Version:           {_VERSION}\n API version:       1.51\n OS/Arch:           linux/arm64", flush=True
    )


def _info(options: Options, _rest: list[str]) -> int:
    count = len([state for state in store.containers() if state["status"] == "running"])
    facts = {"Containers": len(store.containers()), "ContainersRunning": count, "Images": len(store.IMAGES),
             "ServerVersion": _VERSION, "OperatingSystem": "Ubuntu 24.04.4 LTS", "Architecture": "aarch64", "NCPU": 20,
             "DockerRootDir": "/var/lib/docker", "Driver": "overlay2"}  # fmt: skip
    if "format" in options:
        form = _one(options, "format")
        print(fill("{{json .}}" if form == "json" else form, facts))
        return 0
    print("\n".join(f" {name}: {value}" for name, value in facts.items()))
    return 0


_ACTIONS: dict[str, Callable[[Options, list[str]], int]] = {
    "run": run,
    "ps": _ps,
    "inspect": _inspect,
    "image inspect": _image_inspect,
    "stop": _stop,
    "kill": _kill,
    "rm": _remove,
    "wait": _wait,
    "logs": _logs,
    "images": _images,
    "image prune": _prune,
    "pull": _pull,
    "version": _version,
    "info": _info,
}
