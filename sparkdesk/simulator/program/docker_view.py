"""`docker`'s commands that look at containers: ps, inspect, logs.

The one rule: they change nothing, and show of a container what its own runner wrote.
"""

from __future__ import annotations

import datetime
import json
import re
import sys
import time
from typing import Any

import docker_image_store as image_store
import docker_store as store
from docker_image import facts as image_facts
from docker_options import UsageError
from docker_row import DaemonError, one, print_rows
from docker_run import follow, log_lines
from go_template import fill

Options = dict[str, list[str]]
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def show(options: Options, _rest: list[str]) -> int:
    rows = [
        _ps_row(state, is_short="no-trunc" not in options) for state in store.containers() if _matches(state, options)
    ]
    if "last" in options:
        rows = rows[: int(one(options, "last"))]
    if "latest" in options:
        rows = rows[:1]
    if "quiet" in options:
        print("".join(f"{row['ID']}\n" for row in rows), end="")
        return 0
    print_rows(rows, one(options, "format"), ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"), {})
    return 0


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


def inspect(options: Options, names: list[str]) -> int:
    return _inspect_all(options, names, is_image=one(options, "type") == "image", is_any="type" not in options)


def inspect_image(options: Options, names: list[str]) -> int:
    return _inspect_all(options, names, is_image=True, is_any=False)


def _inspect_all(options: Options, names: list[str], *, is_image: bool, is_any: bool) -> int:
    found, code = [], 0
    for name in names:
        state = None if is_image else store.find(name)
        image = image_store.find(name) if is_image or is_any else None
        if state is not None:
            found.append(_container_facts(state))
        elif image is not None:
            found.append(image_facts(image))
        else:
            kind = "image" if is_image else "object" if is_any else "container"
            print(f"Error: No such {kind}: {name}", file=sys.stderr)
            code = 1
    if "format" in options:
        for facts in found:
            print(fill(one(options, "format"), facts))
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
            "OOMKilled": state.get("is_oom_killed", False),
            "Dead": False,
            "Pid": state["pid"] if is_running else 0,
            "ExitCode": state["exit_code"],
            "Error": state.get("error", ""),
            "StartedAt": _stamp(state["started_s"]),
            "FinishedAt": _stamp(state["finished_s"]),
        },
        "Config": {"Image": state["image"], "Labels": state["labels"], "Env": state["environment"],
                   "Cmd": state["command"]},
        "HostConfig": {**state.get("limits", {}), "NetworkMode": state["network"], "AutoRemove": state["auto_remove"],
                       "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
    }  # fmt: skip


def _stamp(time_s: float) -> str:
    if not time_s:
        return "0001-01-01T00:00:00Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time_s)) + f".{int(time_s % 1 * 1e9):09d}Z"


def logs(options: Options, names: list[str]) -> int:
    """`docker logs`: what is there, and with --follow what comes."""
    state = store.find(names[0])
    if state is None:
        raise DaemonError(f"No such container: {names[0]}")
    for name in ("until", "details"):
        if name in options:
            raise UsageError(f"docker logs --{name} is not simulated", 125)
    tail, has_stamps = one(options, "tail", "all"), "timestamps" in options
    if tail != "all" and not tail.isdigit():
        raise UsageError(f'invalid argument "{tail}" for "-n, --tail" flag', 125)
    since = _since(one(options, "since"))
    lines = list(log_lines(state["id"]))
    shown = [line for line in lines if not since or str(line["time"]) >= since]
    for line in shown if tail == "all" else shown[max(0, len(shown) - int(tail)) :]:
        stream = sys.stdout if line["stream"] == "stdout" else sys.stderr
        stream.write((f"{line['time']} " if has_stamps else "") + line["log"])
        stream.flush()
    if "follow" in options:
        follow(state["id"], start=len(lines), has_stamps=has_stamps)
    return 0


def _since(text: str) -> str:
    """A stamp in the log's own form of `10m`, Unix seconds or a date; "" for none. Raises UsageError."""
    if not text:
        return ""
    spans = _SPAN.findall(text)
    if spans and "".join(number + unit for number, unit in spans) == text:
        return _stamp(time.time() - sum(float(number) * _SECONDS[unit] for number, unit in spans))
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return _stamp(float(text))
    try:
        found = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        raise UsageError(
            f'invalid value for "since": failed to parse value as time or duration: "{text}"', 125
        ) from None
    return _stamp(found.replace(tzinfo=found.tzinfo or datetime.UTC).timestamp())
