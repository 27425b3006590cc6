"""Reads the options of `docker run` and `docker exec` around a server.

The one rule: SparkDesk makes its own container; of somebody else's it takes the image and the variables, lists the
rest, and refuses what would give the container power over the node.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sparkdesk.core.jobs.recipe.command.words import Word
from sparkdesk.core.jobs.recipe.imported import Draft
from sparkdesk.core.jobs.recipe.risk import check_device, check_mount, check_variable, refuse_power

_SWITCHES = frozenset({
    "--rm", "--detach", "--interactive", "--tty", "--init", "--privileged", "--read-only", "--no-healthcheck",
    "--oom-kill-disable", "--publish-all", "--quiet", "--help", "--sig-proxy", "--disable-content-trust",
})  # fmt: skip
_SHORT_SWITCHES = frozenset("ditPq")
_LONG = {
    "-e": "--env", "-v": "--volume", "-p": "--publish", "-w": "--workdir", "-u": "--user", "-l": "--label",
    "-h": "--hostname", "-m": "--memory", "-c": "--cpu-shares", "-a": "--attach", "--net": "--network",
}  # fmt: skip
_OWN = frozenset({
    "--rm", "--detach", "--interactive", "--tty", "--init", "--name", "--gpus", "--network", "--ipc", "--ulimit",
    "--shm-size", "--restart", "--label", "--hostname", "--log-driver", "--log-opt", "--pull", "--platform", "--quiet",
    "--stop-timeout", "--runtime", "--workdir", "--entrypoint",
})  # fmt: skip
"""How SparkDesk runs a container is its own affair: these change nothing about what is served."""
_POWER = frozenset({
    "--privileged", "--cap-add", "--security-opt", "--volumes-from", "--device-cgroup-rule", "--cgroup-parent",
    "--oom-kill-disable", "--sysctl", "--group-add",
})  # fmt: skip
_POWER_OF_HOST = frozenset({"--pid", "--uts", "--userns", "--cgroupns"})


@dataclass(slots=True)
class Container:
    """What a container's command says: image, what runs in it, and folders of the node by their place inside."""

    image: str = ""
    words: list[Word] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)


def read_container(draft: Draft, words: Sequence[Word], *, is_exec: bool = False) -> Container:
    """The words behind `docker run` or `docker exec`. Its variables and refusals go into the draft."""
    found = Container()
    at = 0
    while at < len(words) and words[at].text.startswith("-"):
        name, mark, value = words[at].text.partition("=")
        asks: Sequence[str] = words[at].asks
        at += 1
        if not mark and not name.startswith("--") and len(name) > 2:
            if set(name[1:]) <= _SHORT_SWITCHES:
                draft.leave("docker", name, "SparkDesk runs the container its own way.")
                continue
            name, mark, value = name[:2], "=", name[2:]  # -p8000:8000
        is_switch = name in _SWITCHES or (not name.startswith("--") and set(name[1:]) <= _SHORT_SWITCHES)
        if not mark and not is_switch and at < len(words):
            value, asks = words[at].text, words[at].asks
            at += 1
        take_option(draft, found, _LONG.get(name, name), value, asks)
    if at < len(words):
        found.image = "" if is_exec else words[at].text
        found.words = list(words[at + 1 :])
    return found


def take_option(draft: Draft, found: Container, name: str, value: str, asks: Sequence[str] | None = None) -> None:
    """One option of a container, by its long name. `asks`: what a shell would have expanded in its value."""
    if name == "--env":
        _take_variable(draft, found, value, asks)
    elif name in ("--volume", "--mount"):
        source, target = _mount(name, value)
        found.mounts[target] = source
        check_mount(draft, name, source, target)
    elif name == "--device":
        check_device(draft, name, value)
    elif name in _POWER and not (name == "--privileged" and value in ("false", "0")):
        refuse_power(draft, name, f"{name} {value}".strip())
    elif name in _POWER_OF_HOST and value != "private":
        refuse_power(draft, name, f"{name} {value}")
    elif name == "--entrypoint" and value:
        draft.warn(name, f"It starts {value!r} instead of the image's own program", "Check what the server will run.")
        found.words.insert(0, Word(value))
    elif name == "--publish":
        _take_port(draft, value)
    elif name in _OWN or (len(name) == 2 and name[1] in _SHORT_SWITCHES):
        draft.leave("docker", f"{name} {value}".strip(), "SparkDesk runs the container its own way.")
    else:
        draft.miss("docker", f"{name} {value}".strip(), "SparkDesk gives its containers no such option.")


def _mount(name: str, value: str) -> tuple[str, str]:
    if name == "--mount":
        parts = dict(part.partition("=")[::2] for part in value.split(","))
        source = parts.get("source") or parts.get("src") or ""
        return source, parts.get("target") or parts.get("dst") or parts.get("destination") or ""
    source, _, rest = value.partition(":")
    return source, rest.partition(":")[0]


def _take_variable(draft: Draft, found: Container, value: str, asks: Sequence[str] | None) -> None:
    name, mark, text = value.partition("=")
    if not mark:
        draft.leave("docker", f"--env {name}", "A variable of another computer: SparkDesk takes none of this one's.")
        return
    if check_variable(draft, "environment", name, text, asks):
        found.variables[name] = text
        draft.fields["environment"] = (*draft.fields.get("environment", ()), (name, text))


def _take_port(draft: Draft, value: str) -> None:
    outside = value.split(":")[-2] if ":" in value else value
    if re.fullmatch(r"[0-9]{1,5}", outside):
        draft.fields.setdefault("port", int(outside))
    draft.leave("docker", f"--publish {value}", "SparkDesk's servers answer on the node's own loopback.")
