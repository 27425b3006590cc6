"""docker's command line: which options each command has, and what docker says to one that it has not.

The one rule: strict. Source: docker's command line reference (Docker CE 28), and its wording for wrong options.
"""

from __future__ import annotations

import re
from typing import NoReturn

from docker_limit import ulimit_problem

_RUN_VALUES = """
add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-count
cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach-keys device
device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops dns dns-option dns-search
domainname entrypoint env env-file expose gpus group-add health-cmd health-interval health-retries health-start-interval
health-start-period health-timeout hostname ip ip6 ipc isolation label label-file link link-local-ip log-driver log-opt
mac-address memory memory-reservation memory-swap memory-swappiness mount name net network net-alias network-alias
oom-score-adj pid pids-limit platform publish pull restart runtime security-opt shm-size stop-signal stop-timeout
storage-opt sysctl tmpfs ulimit user userns uts volume volume-driver volumes-from workdir
"""
_RUN_FLAGS = """
detach help init interactive no-healthcheck oom-kill-disable privileged publish-all quiet read-only rm sig-proxy tty
disable-content-trust
"""
_RUN_SHORT = {
    "a": "attach", "c": "cpu-shares", "e": "env", "h": "hostname", "l": "label", "m": "memory", "p": "publish",
    "u": "user", "v": "volume", "w": "workdir", "d": "detach", "i": "interactive", "t": "tty", "q": "quiet",
    "P": "publish-all",
}  # fmt: skip

# command -> (options with a value, options without, short names, fewest arguments, most arguments or -1)
Table = tuple[frozenset[str], frozenset[str], dict[str, str], int, int]


def _table(values: str, flags: str, short: dict[str, str], fewest: int, most: int) -> Table:
    return frozenset(values.split()), frozenset(flags.split()), short, fewest, most


COMMANDS: dict[str, Table] = {
    "run": _table(_RUN_VALUES, _RUN_FLAGS, _RUN_SHORT, 1, -1),
    "ps": _table("filter format last", "all latest no-trunc quiet size",
                 {"a": "all", "f": "filter", "n": "last", "l": "latest", "q": "quiet", "s": "size"}, 0, 0),
    "inspect": _table("format type", "size", {"f": "format", "s": "size"}, 1, -1),
    "stop": _table("signal time timeout", "", {"s": "signal", "t": "time"}, 1, -1),
    "kill": _table("signal", "", {"s": "signal"}, 1, -1),
    "rm": _table("", "force link volumes", {"f": "force", "l": "link", "v": "volumes"}, 1, -1),
    "wait": _table("", "", {}, 1, -1),
    "logs": _table("since tail until", "details follow timestamps",
                   {"f": "follow", "n": "tail", "t": "timestamps"}, 1, 1),
    "images": _table("filter format", "all digests no-trunc quiet tree",
                     {"a": "all", "f": "filter", "q": "quiet"}, 0, 1),
    "image inspect": _table("format", "", {"f": "format"}, 1, -1),
    "image prune": _table("filter", "all force", {"a": "all", "f": "force"}, 0, 0),
    "pull": _table("platform", "all-tags disable-content-trust quiet", {"a": "all-tags", "q": "quiet"}, 1, 1),
    "rename": _table("", "", {}, 2, 2),
    "rmi": _table("platform", "force no-prune", {"f": "force"}, 1, -1),
    "save": _table("output platform", "", {"o": "output"}, 1, -1),
    "load": _table("input platform", "quiet", {"i": "input", "q": "quiet"}, 0, 0),
    "system df": _table("format", "verbose", {"v": "verbose"}, 0, 0),
    "version": _table("format", "", {"f": "format"}, 0, 0),
    "info": _table("format", "", {"f": "format"}, 0, 0),
}  # fmt: skip
OTHER_NAMES = {
    ("image", "ls"): "images", ("image", "list"): "images", ("image", "pull"): "pull", ("system", "info"): "info",
    ("image", "save"): "save", ("image", "load"): "load", ("image", "rm"): "rmi", ("image", "remove"): "rmi",
    ("system", "df"): "system df",
    ("image", "inspect"): "image inspect", ("image", "prune"): "image prune",
}  # fmt: skip
CONTAINER_COMMANDS = ("run", "inspect", "stop", "kill", "rm", "wait", "logs", "ls", "list", "ps", "rename")
MANY = ("filter", "label", "env", "volume", "publish", "device", "ulimit", "mount", "cap-add", "security-opt")


class UsageError(Exception):
    """The words for a wrong command line; `code` is docker's exit code."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


def split(arguments: list[str]) -> tuple[str, list[str]]:
    """The command's name in COMMANDS and its own words. Raises UsageError."""
    if not arguments:
        raise UsageError("Usage:  docker [OPTIONS] COMMAND", 1)
    first, rest = arguments[0], arguments[1:]
    if first in ("--version", "-v"):
        return "--version", []
    if first.startswith("-"):
        raise UsageError(f"unknown flag: {first}\nSee 'docker --help'.", 125)
    if first == "container" and rest and rest[0] in CONTAINER_COMMANDS:
        return ("ps" if rest[0] in ("ls", "list") else rest[0]), rest[1:]
    if rest and (first, rest[0]) in OTHER_NAMES:
        return OTHER_NAMES[first, rest[0]], rest[1:]
    if first not in COMMANDS:
        raise UsageError(f"docker: '{first}' is not a docker command.\nSee 'docker --help'", 1)
    return first, rest


def parse(command: str, words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Options (each a list of values; [""] for one without) and arguments. Raises UsageError.

    `docker run` ends its options at the image, as docker does.
    """
    values, flags, short, fewest, most = COMMANDS[command]
    found: dict[str, list[str]] = {}
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            rest += left
            break
        if not word.startswith("-") or word == "-":
            rest.append(word)
            if command == "run":
                rest += left
                break
            continue
        for name, value in _options(command, word, values, flags, short):
            if value is None:
                if not left:
                    _refuse(
                        command, f"flag needs an argument: {word if len(word) > 2 else repr(word[1]) + ' in ' + word}"
                    )
                value = left.pop(0)
            _check_value(command, name, value)
            found[name] = [*found.get(name, []), value] if name in MANY else [value]
    if len(rest) < fewest or 0 <= most < len(rest):
        need = (
            f"at least {fewest}"
            if len(rest) < fewest and most < 0
            else f"{fewest}"
            if fewest == most
            else f"at most {most}"
        )
        many = "argument" if need.endswith("1") else "arguments"
        raise UsageError(f"docker: \"docker {command}\" requires {need} {many}.\nSee 'docker {command} --help'.", 1)
    return found, rest


def _check_value(command: str, name: str, value: str) -> None:
    """Refuse a value that docker's client refuses before it asks the daemon. Source: docker/cli opts, go-units."""
    words = ""
    if name == "gpus":
        words = _gpus_problem(value)
    elif name in ("memory", "memory-reservation", "memory-swap", "shm-size"):
        words = "" if name == "memory-swap" and value == "-1" else _size_problem(value)
    elif name == "ulimit":
        words = ulimit_problem(value)
    elif name == "oom-score-adj" and not re.fullmatch(r"[+-]?[0-9]+", value):
        words = f'strconv.ParseInt: parsing "{value}": invalid syntax'
    if words:
        flag = "-m, --memory" if name == "memory" else f"--{name}"
        _refuse(command, f'invalid argument "{value}" for "{flag}" flag: {words}')


def _gpus_problem(value: str) -> str:
    for part in value.replace('"', "").split(","):
        key, equals, text = part.partition("=")
        count = text if equals else key
        if (not equals or key == "count") and count != "all" and not re.fullmatch(r"[+-]?[0-9]+", count):
            if "=" in value and not equals:
                continue  # a further device of `device=0,1`
            return f'invalid count ({count}): value must be either "all" or an integer: invalid syntax'
        if equals and key not in ("count", "device", "driver", "capabilities", "options"):
            return f"unexpected key '{key}' in '{part}'"
    return ""


def _size_problem(value: str) -> str:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?([A-Za-z]*)", value)
    if not match:
        return f"invalid size: '{value}'"
    is_unit = re.fullmatch(r"(?:[kmgtp](?:i?b)?|b)?", match[2].lower())
    return "" if is_unit else f"invalid suffix: '{match[2]}'"


def _options(
    command: str, word: str, values: frozenset[str], flags: frozenset[str], short: dict[str, str]
) -> list[tuple[str, str | None]]:
    """What one word says: (option, value), with None where the value is the next word."""
    if word.startswith("--"):
        name, has_value, value = word[2:].partition("=")
        if name in values:
            return [(name, value if has_value else None)]
        if name in flags:
            return [] if has_value and value.lower() in ("false", "0") else [(name, "")]
        _refuse(command, f"unknown flag: --{name}")
    found: list[tuple[str, str | None]] = []
    for at, letter in enumerate(word[1:], start=1):
        name = short.get(letter, "")
        if name in values:
            rest = word[at + 1 :].removeprefix("=")
            return [*found, (name, rest or None)]
        if name not in flags:
            _refuse(command, f"unknown shorthand flag: {letter!r} in {word}")
        found.append((name, ""))
    return found


def _refuse(command: str, words: str) -> NoReturn:
    raise UsageError(f"{words}\nSee 'docker {command} --help'.", 125)
