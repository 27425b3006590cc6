"""Writes a launch request as a Kubernetes manifest: a Deployment and a Service for one node's worth of model.

The one rule: Kubernetes expands $(NAME) in arguments, so each is doubled; a secret is a reference to a Secret.
"""

from __future__ import annotations

import re
from typing import Any

from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES
from sparkdesk.core.jobs.recipe.command.text import plain_environment, secret_names, server_words, starts_itself
from sparkdesk.core.jobs.recipe.export.coverage import covers, uncovered_words
from sparkdesk.core.jobs.recipe.export.silence import port_of, silent_fields
from sparkdesk.core.jobs.recipe.export.yaml_lines import write_yaml
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.request import LaunchRequest

SECRET = "sparkdesk-secrets"
CACHE = "/root/.cache/huggingface"


def export_kubernetes(request: LaunchRequest, *, origin: Imported | None = None) -> str:
    """The manifest's text (two documents).

    Of several nodes it is what each runs; a comment says that how they meet is not covered. `origin`: what it was
    imported from; what that left open stays open.
    Raises KeyError for an engine that SparkDesk has no flags of.
    """
    name, silent = resource_name(request.served_name), silent_fields(request, origin)
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "sparkdesk"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
            "template": {"metadata": {"labels": labels}, "spec": _pod(request, silent)},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "selector": {"app.kubernetes.io/name": name},
            "ports": [{"name": "http", "port": port_of(request, silent), "targetPort": "http"}],
        },
    }
    return f"{_comment(request)}{write_yaml(deployment)}---\n{write_yaml(service)}"


def resource_name(text: str) -> str:
    """A name as Kubernetes wants it: small letters, digits and dashes, at most 63, a letter first."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return (name if name[:1].isalpha() else f"model-{name}")[:63].strip("-")


def _pod(request: LaunchRequest, silent: frozenset[str]) -> dict[str, Any]:
    engine = ENGINES[request.engine]
    words = server_words(request, engine, host="0.0.0.0", silent=silent)
    own_program = not starts_itself(engine, request.image)
    program, flags = words[: len(engine.program)], words[len(engine.program) :]
    container: dict[str, Any] = {"name": "server", "image": request.image or engine.image}
    if own_program:
        container["command"] = program
    mounts = [{"name": "cache", "mountPath": CACHE}, {"name": "shm", "mountPath": "/dev/shm"}]
    volumes: list[dict[str, Any]] = [
        {"name": "cache", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
    if request.weights_path:
        file = request.weights_path.rsplit("/", 1)[-1]
        flags = [f"/models/{file}" if word == request.weights_path else word for word in flags]
        mounts.append({"name": "models", "mountPath": "/models"})
        volumes.append({"name": "models", "persistentVolumeClaim": {"claimName": "sparkdesk-models", "readOnly": True}})
    container["args"] = [_literal(word) for word in flags]
    environment: list[dict[str, Any]] = [
        {"name": name, "value": _literal(value)} for name, value in plain_environment(request)
    ]
    environment += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": name, "optional": True}}}
        for name in dict.fromkeys((*secret_names(request), "HF_TOKEN"))
    ]
    container["env"] = environment
    container["ports"] = [{"name": "http", "containerPort": port_of(request, silent)}]
    container["resources"] = {"limits": {"nvidia.com/gpu": 1}, "requests": {"cpu": "4"}}
    container["startupProbe"] = {"httpGet": _HEALTH, "periodSeconds": 10, "failureThreshold": 180}
    container["readinessProbe"] = {"httpGet": _HEALTH, "periodSeconds": 10}
    container["volumeMounts"] = mounts
    return {"containers": [container], "volumes": volumes}


_HEALTH = {"path": "/health", "port": "http"}


def _literal(text: str) -> str:
    return text.replace("$(", "$$(")


def _comment(request: LaunchRequest) -> str:
    lines = [
        "Made by SparkDesk. The model is downloaded into an emptyDir: put a volume claim there to keep it.",
        f"Keys and tokens come from the Secret {SECRET}, which is not in this file.",
        "GB10 shares its memory between CPU and GPU: a memory limit would count the model too, so there is none.",
    ]
    if request.weights_path:
        lines.append("The folder of the weights is expected in the volume claim sparkdesk-models.")
    if len(request.nodes) > 1:
        lines.append(
            f"NOT COVERED: this plan takes {len(request.nodes)} nodes; this starts one rank and they do not meet."
        )
        is_covered = covers(request)
        lines.append("The exported shell script does that." if is_covered else uncovered_words(request.engine))
    return "".join(f"# {line}\n" for line in lines)
