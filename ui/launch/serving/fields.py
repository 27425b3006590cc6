"""The further fields of the launch form as text, and how they become fields of a LaunchRequest. Pure.

The one rule: nothing typed is lost or corrected in silence: what cannot be read is an error beside its own field.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from sparkdesk.core.jobs.request import CustomServer, LaunchRequest
from ui.launch.serving.number import read_whole, wrong_number
from ui.launch.serving.refusal import refusals
from ui.launch.serving.words import read_line, read_number, read_share, read_time, write_time

CUSTOM_ENGINE: Final = "custom"
LLAMACPP: Final = "llamacpp"
OLLAMA: Final = "ollama"
"""The engine that is a service of its node already: its models have names of its own library."""
ON, OFF = "on", "off"
CHAT_PURPOSES: Final = ("chat", "vision")


@dataclass(frozen=True, slots=True)
class ServingFields:
    """What the form says beside model, nodes and load, as it was typed; "" is the engine's own choice."""

    purpose: str = "chat"
    tool_parser: str = ""
    reasoning_parser: str = ""
    prefix_caching: str = ""
    """"" (the engine's own), on, off."""
    max_batched_tokens: str = ""
    speculative_model: str = ""
    speculative_tokens: str = ""
    attention_backend: str = ""
    moe_backend: str = ""
    load_format: str = ""
    memory_fraction: str = ""
    threads: str = ""
    trust_remote_code: bool = False
    image: str = ""
    reach: str = "node"
    weights_from: str = "auto"
    restart_limit: str = "3"
    stop_after_s: str = ""
    """A time with its unit, "8 h"; "" is never."""
    load_timeout_s: str = ""
    """How long the load is waited for, "40 min"; "" is as the plan has it. No field of a request: it is its plan's."""
    system_prompt: str = ""
    temperature: str = ""
    custom_command: str = ""
    custom_venv: str = ""
    custom_ready: str = "http"
    custom_ready_value: str = "/health"
    custom_base_path: str = "/v1"
    custom_stop_command: str = ""


SERVING_FIELDS: Final = tuple(field.name for field in fields(ServingFields))
NEUTRAL: Final[Mapping[str, object]] = MappingProxyType({field.name: field.default for field in fields(ServingFields)})
"""What each of them says by saying nothing."""
SERVING_TITLES: Final = {
    "purpose": "Purpose",
    "tool_parser": "Tool parser",
    "reasoning_parser": "Reasoning parser",
    "prefix_caching": "Prefix caching",
    "max_batched_tokens": "Max batched tokens",
    "speculative_model": "Draft model",
    "speculative_tokens": "Draft tokens",
    "attention_backend": "Attention backend",
    "moe_backend": "MoE backend",
    "load_format": "Loader",
    "memory_fraction": "Share of memory",
    "threads": "CPU threads",
    "trust_remote_code": "Code of the model",
    "image": "Image",
    "reach": "Reachable from",
    "weights_from": "Weights from",
    "restart_limit": "Restarts at most",
    "stop_after_s": "Stop after",
    "load_timeout_s": "Wait for the load",
    "system_prompt": "System prompt of a new chat",
    "temperature": "Temperature",
    "custom_command": "Command",
    "custom_venv": "Python environment",
    "custom_ready": "Ready when",
    "custom_ready_value": "Ready value",
    "custom_base_path": "Base path",
    "custom_stop_command": "Stop command",
}
_WORDS: Final = (
    "purpose", "tool_parser", "reasoning_parser", "attention_backend", "moe_backend", "load_format",
    "speculative_model", "image", "reach", "weights_from",
)  # fmt: skip
_OPTIONAL: Final = {
    "speculative_tokens": (1, 64),
    "max_batched_tokens": (16, 1_048_576),
    "threads": (1, 256),
}
_SWITCH: Final = {"": None, ON: True, OFF: False}
LEAST_SPAN_S, MOST_STOP_S = 60, 30 * 86_400
MOST_WAIT_S = 86_400
MOST_SHARE, MOST_TEMPERATURE = 0.98, 5.0


def read_serving(form: ServingFields, engine: str) -> tuple[dict[str, object], dict[str, str]]:
    """Fields of a request and what is wrong, by field of the form. What cannot be read has a harmless value."""
    values: dict[str, object] = {name: getattr(form, name).strip() for name in _WORDS}
    values["prefix_caching"] = _SWITCH.get(form.prefix_caching)
    values["trust_remote_code"] = form.trust_remote_code
    values["system_prompt"] = form.system_prompt
    errors: dict[str, str] = {}
    for name, (least, most) in _OPTIONAL.items():
        typed = getattr(form, name)
        errors[name] = wrong_number(typed, least, most) if typed.strip() else ""
        values[name] = read_whole(typed) if typed.strip() and not errors[name] else None
    errors["restart_limit"] = wrong_number(form.restart_limit, 0, 10)
    values["restart_limit"] = 3 if errors["restart_limit"] else read_whole(form.restart_limit)
    values["stop_after_s"], errors["stop_after_s"] = _read_span(form.stop_after_s, MOST_STOP_S)
    _, errors["load_timeout_s"] = _read_span(form.load_timeout_s, MOST_WAIT_S)
    values["memory_fraction"], errors["memory_fraction"] = _read_share(form.memory_fraction)
    values["temperature"], errors["temperature"] = _read_temperature(form.temperature)
    values["custom"] = None
    if engine == CUSTOM_ENGINE:
        values["custom"], wrong = _read_custom(form)
        errors |= wrong
    return values, {name: words for name, words in errors.items() if words}


def load_serving(request: LaunchRequest) -> dict[str, object]:
    """The further fields of the form that say what a request says."""
    found: dict[str, object] = {name: getattr(request, name) for name in (*_WORDS, "system_prompt")}
    found["prefix_caching"] = {None: "", True: ON, False: OFF}[request.prefix_caching]
    found["trust_remote_code"] = request.trust_remote_code
    for name in _OPTIONAL:
        number = getattr(request, name)
        found[name] = "" if number is None else f"{number:,}"
    found["restart_limit"] = str(request.restart_limit)
    found["stop_after_s"] = write_time(request.stop_after_s)
    found["memory_fraction"] = write_number(request.memory_fraction)
    found["temperature"] = write_number(request.temperature)
    custom = request.custom
    if custom is not None:
        found |= {
            "custom_command": shlex.join(custom.command),
            "custom_venv": custom.venv,
            "custom_ready": custom.ready,
            "custom_ready_value": custom.ready_value,
            "custom_base_path": custom.base_path,
            "custom_stop_command": shlex.join(custom.stop_command),
        }
    return found


def places_of(name: str) -> frozenset[str]:
    """The fields of the form that say a field of a request."""
    if name == "custom":
        return frozenset(each for each in SERVING_FIELDS if each.startswith("custom_"))
    return frozenset((name,)) & frozenset(SERVING_FIELDS)


def write_number(number: float | None) -> str:
    """A number so that it reads back as the same one; "" for none."""
    return "" if number is None else repr(float(number))


def read_patience(form: ServingFields) -> float:
    """Seconds that the load is waited for; NaN as the plan has it, also where nothing can be read."""
    seconds, _ = _read_span(form.load_timeout_s, MOST_WAIT_S)
    return math.nan if seconds is None else float(seconds)


def write_patience(load_timeout_s: float) -> str:
    """Such a time as the form has it, in whole minutes; "" for NaN."""
    if not math.isfinite(load_timeout_s):
        return ""
    return write_time(min(max(1, math.ceil(load_timeout_s / 60)) * 60, MOST_WAIT_S))


def _read_span(typed: str, most_s: int) -> tuple[int | None, str]:
    if not typed.strip():
        return None, ""
    seconds = read_time(typed)
    if seconds is None:
        return None, "A time with its unit: 8 h, 90 min or 2 d"
    if not LEAST_SPAN_S <= seconds <= most_s:
        return None, "At least 1 min" if seconds < LEAST_SPAN_S else f"At most {write_time(most_s)}"
    return seconds, ""


def _read_share(typed: str) -> tuple[float | None, str]:
    if not typed.strip():
        return None, ""
    share = read_share(typed)
    return (share, "") if 0.0 < share <= MOST_SHARE else (None, f"A share above 0 and up to {MOST_SHARE}")


def _read_temperature(typed: str) -> tuple[float | None, str]:
    if not typed.strip():
        return None, ""
    number = read_number(typed.strip())
    return (number, "") if 0.0 <= number <= MOST_TEMPERATURE else (None, f"From 0 to {MOST_TEMPERATURE:g}")


def _read_custom(form: ServingFields) -> tuple[CustomServer, dict[str, str]]:
    """The server that the person describes; something harmless in the place of what cannot be read."""
    errors: dict[str, str] = {}
    lines: dict[str, tuple[str, ...]] = {}
    for name in ("custom_command", "custom_stop_command"):
        lines[name], wrong = read_line(getattr(form, name))
        errors |= {name: wrong} if wrong else {}
    if not lines["custom_command"]:
        errors.setdefault("custom_command", "Write the command that starts the server")
    ready, value = form.custom_ready, form.custom_ready_value
    if ready == "http" and not value.startswith("/"):
        errors["custom_ready_value"] = "A path that begins with /"
    if ready == "log" and not value.strip():
        errors["custom_ready_value"] = "Some words of a line of the log"
    if form.custom_base_path and not form.custom_base_path.startswith("/"):
        errors["custom_base_path"] = "A path such as /v1, or nothing"
    if errors:
        return CustomServer(command=("true",)), errors
    described = {
        "command": lines["custom_command"],
        "venv": form.custom_venv,
        "ready": "http" if ready == "http" else "log" if ready == "log" else "port",
        "ready_value": value,
        "base_path": form.custom_base_path,
        "stop_command": lines["custom_stop_command"],
    }
    try:
        return CustomServer.model_validate(described), {}
    except ValidationError as error:
        return CustomServer(command=("true",)), {f"custom_{name}": said for name, said in refusals(error).items()}
