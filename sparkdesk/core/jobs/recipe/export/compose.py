"""Writes a launch request as a docker compose file for one node.

The one rule: compose expands $ in every value, so each is doubled; secrets are named and taken from the environment.
"""

from __future__ import annotations

from typing import Any

from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES
from sparkdesk.core.jobs.recipe.command.text import plain_environment, secret_names, server_words, starts_itself
from sparkdesk.core.jobs.recipe.export.coverage import covers, uncovered_words
from sparkdesk.core.jobs.recipe.export.silence import port_of, silent_fields
from sparkdesk.core.jobs.recipe.export.yaml_lines import write_yaml
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.request import LaunchRequest


def export_compose(request: LaunchRequest, *, origin: Imported | None = None) -> str:
    """The file's text. Of several nodes it is what each runs; a comment says that how they meet is not covered.

    `origin`: what it was imported from; what that left open stays open.
    Raises KeyError for an engine that SparkDesk has no flags of.
    """
    engine = ENGINES[request.engine]
    silent = silent_fields(request, origin)
    words = [
        "/models/" + _file(word) if word == request.weights_path else word
        for word in server_words(request, engine, silent=silent)
    ]
    if starts_itself(engine, request.image):
        words = words[len(engine.program) :]
    service: dict[str, Any] = {
        "image": _literal(request.image or engine.image),
        "command": [_literal(word) for word in words],
        "network_mode": "host",
        "ipc": "host",
        "restart": "no",
        "volumes": ["${HOME}/.cache/huggingface:/root/.cache/huggingface"],
        "ulimits": {"memlock": -1, "stack": 67108864},
        "deploy": {
            "resources": {"reservations": {"devices": [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]}}
        },
        "healthcheck": {
            "test": ["CMD-SHELL", f"curl -sf http://127.0.0.1:{port_of(request, silent)}/health"],
            "interval": "10s",
            "start_period": "15m",
        },
    }
    variables = {name: _literal(value) for name, value in plain_environment(request)}
    service["environment"] = variables | {name: f"${{{name}:-}}" for name in (*secret_names(request), "HF_TOKEN")}
    if request.weights_path:
        folder = request.weights_path.rsplit("/", 1)[0] or "/"
        source = f"${{HOME}}{_literal(folder[1:])}" if folder.startswith("~") else _literal(folder)
        service["volumes"].append(f"{source}:/models:ro")
        service["command"] = [
            "/models" + word[len(folder) :] if word == request.weights_path else word for word in words
        ]
    return _comment(request) + write_yaml({"services": {"server": service}})


def _file(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _comment(request: LaunchRequest) -> str:
    lines = ["Made by SparkDesk. Start with: docker compose up"]
    if len(request.nodes) > 1:
        lines.append(
            f"NOT COVERED: this plan takes {len(request.nodes)} nodes and compose starts one. How the ranks meet"
        )
        is_covered = covers(request)
        lines.append(f"is not in this file{': export the shell script for that.' if is_covered else '.'}")
        if not is_covered:
            lines.append(uncovered_words(request.engine))
    return "".join(f"# {line}\n" for line in lines)
