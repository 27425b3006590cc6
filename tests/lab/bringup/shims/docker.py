#!/usr/bin/env -S python3 -S
"""Stands for docker: who may ask the daemon is strict, images are a list, and a container is a process of the node.

Its options are parsed as the simulator's docker parses them. The one rule: what a container would not have (GPU, host
network, RDMA devices) the process does not have either; the PyTorch of an image is that of image/, which says so.
Images: a line each of /var/lib/lab/images. Source of words: Docker CE 28.
"""

from __future__ import annotations

import grp
import json
import os
import signal
import subprocess
import sys

LAB = "/usr/local/lib/lab"
VERSION = "28.3.3"
SOCKET = "/var/run/docker.sock"
NAMES = "/run/lab/containers"
sys.path.insert(0, f"{LAB}/program")

from docker_options import UsageError, parse, split  # noqa: E402 # type: ignore[import-not-found]
from go_template import TemplateError, fill  # noqa: E402 # type: ignore[import-not-found]


class Refused(Exception):
    """The words, and the exit code."""

    def __init__(self, words: str, code: int = 1) -> None:
        super().__init__(words)
        self.code = code


def main(arguments: list[str]) -> int:
    """One command."""
    try:
        command, words = split(arguments)
        if command == "--version":
            print(f"Docker version {VERSION}, build 980b856")
            return 0
        options, rest = parse(command, words)
        reach_daemon(125 if command == "run" else 1)
        if command not in ACTIONS:
            raise Refused(f"docker {command} is not simulated in the lab")
        return ACTIONS[command](options, rest)
    except (UsageError, Refused) as error:
        print(error, file=sys.stderr)
        return int(error.code)
    except TemplateError as error:
        print(error, file=sys.stderr)
        return 64


def reach_daemon(code: int) -> None:
    """Raise Refused where it does not run, or where this sign-in is not in its group."""
    state = subprocess.run(["systemctl", "is-active", "docker"], capture_output=True, text=True, check=False)
    if state.stdout.strip() != "active":
        raise Refused(f"Cannot connect to the Docker daemon at unix://{SOCKET}. Is the docker daemon running?", code)
    if os.getuid() != 0 and grp.getgrnam("docker").gr_gid not in os.getgroups():
        raise Refused(
            f"permission denied while trying to connect to the Docker daemon socket at unix://{SOCKET}: Get "
            f'"http://%2Fvar%2Frun%2Fdocker.sock/v1.51/info": dial unix {SOCKET}: connect: permission denied',
            code,
        )


def images() -> list[str]:
    """NAME:TAG of each."""
    try:
        with open("/var/lib/lab/images", encoding="utf-8") as stream:
            return stream.read().split()
    except FileNotFoundError:
        return []


def show(row: dict[str, object], options: dict[str, list[str]], default: str) -> None:
    """A row in the form that was asked for."""
    form = options.get("format", [default])[-1]
    print(fill("{{json .}}" if form == "json" else form, row))


def show_version(options: dict[str, list[str]], _rest: list[str]) -> int:
    side = {"Version": VERSION, "ApiVersion": "1.51", "Os": "linux", "Arch": "arm64"}
    show({"Client": side, "Server": side}, options, "Server: Docker Engine - Community\n Version: {{.Server.Version}}")
    return 0


def show_info(options: dict[str, list[str]], _rest: list[str]) -> int:
    with open("/run/lab/docker.json", encoding="utf-8") as stream:
        named = json.load(stream).get("runtimes", {})
    runtimes = {"runc": {"path": "runc"}, **named}
    row = {"ServerVersion": VERSION, "Runtimes": runtimes, "Architecture": "aarch64", "Images": len(images())}
    show(row, options, "Server Version: {{.ServerVersion}}")
    return 0


def list_images(options: dict[str, list[str]], rest: list[str]) -> int:
    for name in images():
        repository, _, tag = name.rpartition(":")
        if not rest or rest[0] in (name, repository):
            row = {"Repository": repository, "Tag": tag, "ID": f"{abs(hash(name)):012x}"[:12], "Size": "18.2GB"}
            show(row, options, "{{.Repository}}   {{.Tag}}   {{.ID}}   {{.Size}}")
    return 0


def inspect_image(options: dict[str, list[str]], rest: list[str]) -> int:
    for name in rest:
        if name not in images():
            raise Refused(f"Error response from daemon: No such image: {name}")
        show({"RepoTags": [name], "Architecture": "arm64", "Os": "linux", "Id": f"sha256:{'0' * 64}"}, options,
             "{{json .}}")  # fmt: skip
    return 0


def list_containers(options: dict[str, list[str]], _rest: list[str]) -> int:
    for name in sorted(os.listdir(NAMES) if os.path.isdir(NAMES) else ()):
        if pid_of(name):
            show({"Names": name, "ID": name, "State": "running", "Image": "", "Labels": ""}, options, "{{.Names}}")
    return 0


def pid_of(name: str) -> int:
    """The container's process; 0 when it has ended."""
    try:
        with open(f"{NAMES}/{name}", encoding="ascii") as stream:
            pid = int(stream.read())
        os.kill(pid, 0)
    except PermissionError:
        return pid
    except (OSError, ValueError):
        return 0
    return pid


def end(_options: dict[str, list[str]], rest: list[str]) -> int:
    """`stop`, `kill` and `rm`: the process is killed. One that is not there is an error in docker's words."""
    code = 0
    for name in rest:
        pid = pid_of(name)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.unlink(f"{NAMES}/{name}")
            print(name)
        else:
            print(f"Error response from daemon: No such container: {name}", file=sys.stderr)
            code = 1
    return code


def run(options: dict[str, list[str]], rest: list[str]) -> int:
    """Become the container's process. Its first line says that it is simulated."""
    if "rm" not in options or "detach" in options:
        raise Refused("docker: a lab node runs containers with --rm and without --detach only", 125)
    if rest[0] not in images():
        raise Refused(f"docker: Error response from daemon: pull access denied for {rest[0]}", 125)
    if "gpus" in options and not os.path.getsize("/run/lab/docker-hook"):
        words_of_daemon = 'could not select device driver "" with capabilities: [[gpu]]'
        raise Refused(f"docker: Error response from daemon: {words_of_daemon}", 125)
    words = [*options.get("entrypoint", []), *rest[1:]]
    volumes = dict(bound(volume) for volume in options.get("volume", []))
    volumes |= dict(mounted(mount) for mount in options.get("mount", []))
    words = [within(word, volumes) for word in words]
    if "name" in options:
        os.makedirs(NAMES, exist_ok=True)
        if pid_of(options["name"][-1]):
            raise Refused("docker: Error response from daemon: Conflict. The container name "
                          f'"/{options["name"][-1]}" is already in use', 125)  # fmt: skip
        with open(f"{NAMES}/{options['name'][-1]}", "w", encoding="ascii") as stream:
            stream.write(str(os.getpid()))
    environment = {"PATH": os.environ["PATH"], "HOME": "/tmp", "PYTHONPATH": f"{LAB}/image", "LAB_IMAGE": rest[0]}
    for pair in options.get("env", []):
        name, equals, value = pair.partition("=")
        if equals or name in os.environ:
            environment[name] = value if equals else os.environ[name]
    environment |= {"LAB_HAS": " ".join(rights(options))}
    print("# simulated", flush=True)
    try:
        os.execvpe(words[0], words, environment)
    except (IndexError, OSError) as error:
        program = words[0] if words else ""
        words_of_docker = f'docker: Error response from daemon: exec: "{program}": executable file not found in $PATH'
        raise Refused(f"{words_of_docker} ({error})", 127) from None


def rights(options: dict[str, list[str]]) -> list[str]:
    """What the container may use of the machine."""
    has = []
    if options.get("gpus", [""])[-1] == "all" or options.get("runtime") == ["nvidia"]:
        has.append("gpu")
    if options.get("network", options.get("net", [""]))[-1] == "host":
        has.append("network")
    if "privileged" in options or any(one.startswith("/dev/infiniband") for one in options.get("device", [])):
        has.append("rdma")
    if any(one.startswith("memlock=-1") for one in options.get("ulimit", [])) or "privileged" in options:
        has.append("memlock")
    return has


def bound(volume: str) -> tuple[str, str]:
    """Target -> source of -v SOURCE:TARGET[:ro]."""
    parts = volume.split(":")
    if len(parts) not in (2, 3) or not parts[0].startswith("/") or parts[2:] not in ([], ["ro"], ["rw"]):
        raise Refused(f'docker: invalid reference format: "{volume}"', 125)
    return parts[1], existing(parts[0])


def mounted(mount: str) -> tuple[str, str]:
    """Target -> source of --mount type=bind,source=...,target=...[,readonly]."""
    cells = dict(cell.partition("=")[::2] for cell in mount.split(","))
    if cells.get("type") != "bind" or not ({"source", "src"} & set(cells)):
        raise Refused(f'docker: invalid argument "{mount}" for "--mount" flag', 125)
    target = cells.get("target") or cells.get("dst") or cells.get("destination", "")
    return target, existing(cells.get("source") or cells["src"])


def existing(path: str) -> str:
    """A path of the node. docker would make an empty folder of one that is not there."""
    if not os.path.exists(path):
        raise Refused(f"docker: Error response from daemon: invalid mount config: {path} does not exist", 125)
    return path


def within(word: str, volumes: dict[str, str]) -> str:
    """A path of the container, as the node has it."""
    for target, source in volumes.items():
        if word == target or word.startswith(f"{target}/"):
            return source + word[len(target) :]
    return word


ACTIONS = {
    "version": show_version,
    "info": show_info,
    "images": list_images,
    "image inspect": inspect_image,
    "ps": list_containers,
    "run": run,
    "stop": end,
    "kill": end,
    "rm": end,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
