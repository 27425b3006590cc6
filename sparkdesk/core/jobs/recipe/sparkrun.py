"""Reads recipes of the second generation (sparkrun): runtime, container, topology, values, hooks, execution settings.

The one rule: hooks never run, and execution settings may not give the container power over the node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparkdesk.core.jobs.recipe.command.container import Container, take_option
from sparkdesk.core.jobs.recipe.command.flag_map import RUNTIMES
from sparkdesk.core.jobs.recipe.eugr import NODES_FOLLOW, take_solo
from sparkdesk.core.jobs.recipe.imported import Draft, show
from sparkdesk.core.jobs.recipe.template import (
    leave_description,
    list_rest,
    mapping_of,
    take_image,
    take_revision,
    take_template,
    take_title,
    values_of,
)

_KNOWN = frozenset({
    "recipe_version", "name", "description", "model", "model_revision", "runtime", "container", "containers",
    "min_nodes", "max_nodes", "solo_only", "cluster_only", "defaults", "env", "command", "executor_config", "metadata",
})  # fmt: skip
SHOWN = {
    "pre_exec": "hook", "post_exec": "hook", "post_commands": "hook", "hooks": "hook", "mods": "mod",
    "build_args": "build", "builder": "build", "builder_config": "build", "include": "include", "registries": "include",
    "distribution_config": "include",
}  # fmt: skip
"""Keys that change a computer or bring in other text."""
_LEFT = {
    "min_sparkrun_version": "Another program's version.",
    "runtime_version": "The image says the engine's version.",
    "mode": "The number of nodes follows from the parallelism.",
    "layout": "Nodes are chosen in the form.",
    "scheduler": "SparkDesk places the job itself.",
    "cluster_config": "SparkDesk knows the cluster itself.",
    "executor": "SparkDesk runs containers its own way.",
    "runtime_cache": "SparkDesk mounts the model cache itself.",
    "stop_after_post": "Hooks are off.",
    "readiness": "SparkDesk waits for the server's first token.",
    "capabilities": "For people only.",
    "unsupported_capabilities": "For people only.",
    "benchmark": "SparkDesk measures its own way.",
}
_OPTIONS = {"privileged": "--privileged", "cap_add": "--cap-add", "devices": "--device", "device": "--device",
            "volumes": "--volume", "mounts": "--volume", "binds": "--volume", "pid": "--pid", "ipc": "--ipc",
            "network": "--network", "network_mode": "--network", "shm_size": "--shm-size", "gpus": "--gpus",
            "entrypoint": "--entrypoint", "security_opt": "--security-opt", "user": "--user", "userns": "--userns",
            "restart_policy": "--restart", "restart": "--restart", "auto_remove": "--rm", "env": "--env",
            "environment": "--env", "ulimits": "--ulimit", "ulimit": "--ulimit", "cgroupns": "--cgroupns",
            "uts": "--uts", "sysctls": "--sysctl", "ports": "--publish"}  # fmt: skip
"""executor_config's words for docker's options."""


def take_sparkrun(draft: Draft, data: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    """Take such a recipe into the draft."""
    take_title(draft, data)
    leave_description(draft, data)
    take_image(draft, _container(data))
    take_template(draft, data, values_of(draft, data, "defaults", overrides), _engine(draft, data.get("runtime")))
    take_revision(draft, data.get("model_revision"))
    take_solo(draft, data)
    _take_bounds(draft, data)
    take_execution(draft, mapping_of(draft, data, "executor_config"))
    for key, why in _LEFT.items():
        if data.get(key) is not None:
            draft.leave(key, data[key], why)
    list_rest(draft, data, _KNOWN | frozenset(_LEFT), SHOWN)


def take_execution(draft: Draft, settings: Mapping[str, Any]) -> None:
    """How another launcher would run the container: judged as docker's own options are."""
    spare = Container()
    for key, value in settings.items():
        where = f"executor_config.{show(key)[:64]}"
        option = _OPTIONS.get(str(key), "")
        inner = Draft()
        for item in _items(value):
            text = "" if item is True else show(item)
            if item is False or item is None:
                draft.leave(where, item, "Off.")
            elif option:
                take_option(inner, spare, option, text)
            elif str(key) in ("docker_args", "extra_args", "run_args", "args"):
                name, _, rest = text.replace(" ", "=", 1).partition("=")
                take_option(inner, spare, name, rest)
            else:
                draft.miss(where, item, "SparkDesk gives its containers no such option.")
        for problem in inner.problems:
            draft.problems.append(type(problem)(problem.severity, problem.message, problem.remedy, where))
        for each in (*inner.set_aside, *inner.unknown):
            draft.leave(where, each.text, each.why)


def _items(value: object) -> list[Any]:
    if isinstance(value, list):
        return value[:64]
    if isinstance(value, Mapping):
        return [f"{key}={item}" for key, item in list(value.items())[:64]]
    return [value]


def _engine(draft: Draft, runtime: object) -> str:
    if runtime is None:
        return "vllm"  # as sparkrun does
    name = RUNTIMES.get(runtime) if isinstance(runtime, str) else None
    if name is None:
        draft.refuse(
            "engine", f"SparkDesk has no engine for the runtime {show(runtime)[:60]!r}", "Choose vLLM or llama.cpp."
        )
    return name or ""


def _container(data: Mapping[str, Any]) -> object:
    choices = data.get("containers")
    if data.get("container") is None and isinstance(choices, Mapping) and choices:
        return choices.get("spark") or choices.get("dgx-spark") or choices.get("gb10") or next(iter(choices.values()))
    return data.get("container")


def _take_bounds(draft: Draft, data: Mapping[str, Any]) -> None:
    low, high = draft.node_bounds
    for key in ("min_nodes", "max_nodes"):
        value = data.get(key)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 64:
            draft.refuse(
                key, f"{key} is {show(value)[:60]!r}, not a number of nodes (1 to 64)", "Write a whole number."
            )
        elif key == "min_nodes":
            low = max(low, value)
            draft.leave(key, value, NODES_FOLLOW)
        else:
            high = min(high, value)
            draft.leave(key, value, NODES_FOLLOW)
    if low > high:
        draft.refuse("max_nodes", f"It wants at least {low} nodes and at most {high}", "Correct one of the two.")
    else:
        draft.node_bounds = (low, high)
