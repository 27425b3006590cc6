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

import docker_image as image
import docker_image_store as image_store
import docker_store as store
import docker_view as view
from docker_options import UsageError, parse, split
from docker_row import DaemonError, one
from docker_run import Refused, free_name, run
from go_template import TemplateError, fill
from spark_state import conditions, read_text

Options = dict[str, list[str]]
_VERSION = "28.3.3"
_SOCKET = "/var/run/docker.sock"
_USER_ID, _GROUP_ID, _OVERFLOW_ID = 1000, 989, 65534  # the last: Source: linux/highuid.h


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
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 0


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
    text = one(options, "timeout", one(options, "time", "10"))
    if not text.lstrip("-").isdigit():
        raise UsageError(f'invalid argument "{text}" for "-t, --timeout" flag', 125)
    which = _signal_number(one(options, "signal", "TERM"))

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
    which = _signal_number(one(options, "signal", "KILL"))
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


def _rename(_options: Options, names: list[str]) -> int:
    """Another name for a container, whether it runs or not."""
    state = _find(names[0])
    if names[1].removeprefix("/") == state["name"]:
        raise DaemonError("Renaming a container with the same name as its current name")
    store.set_name(state["id"], free_name(names[1].removeprefix("/")))
    return 0


def _version(options: Options, _rest: list[str]) -> int:
    side = {"Version": _VERSION, "ApiVersion": "1.51", "Os": "linux", "Arch": "arm64", "Experimental": False}
    if "format" in options:
        form = one(options, "format")
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
    facts = {"Containers": len(store.containers()), "ContainersRunning": count, "Images": len(image_store.images()),
             "ServerVersion": _VERSION, "OperatingSystem": "Ubuntu 24.04.4 LTS", "Architecture": "aarch64", "NCPU": 20,
             "DockerRootDir": "/var/lib/docker", "Driver": "overlay2", "Runtimes": _runtimes()}  # fmt: skip
    if "format" in options:
        form = one(options, "format")
        print(fill("{{json .}}" if form == "json" else form, facts))
        return 0
    print("\n".join(f" {name}: {value}" for name, value in facts.items()))
    return 0


def _runtimes() -> dict[str, object]:
    """runc, and what the daemon's configuration names."""
    try:
        with open("/etc/docker/daemon.json", encoding="utf-8") as stream:
            named = json.load(stream).get("runtimes", {})
    except (OSError, ValueError, AttributeError):
        named = {}
    return {"runc": {"path": "runc"}, **named}


_ACTIONS: dict[str, Callable[[Options, list[str]], int]] = {
    "run": run,
    "ps": view.show,
    "inspect": view.inspect,
    "image inspect": view.inspect_image,
    "logs": view.logs,
    "stop": _stop,
    "kill": _kill,
    "rm": _remove,
    "rename": _rename,
    "wait": _wait,
    "images": image.show,
    "image prune": image.prune,
    "rmi": image.remove,
    "pull": image.pull,
    "save": image.save,
    "load": image.load,
    "system df": image.disk_usage,
    "version": _version,
    "info": _info,
}
