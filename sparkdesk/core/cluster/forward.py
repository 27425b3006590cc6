"""Forwards: ports of a node that this computer can open, through the SSH connection, on a random loopback port.

The one rule: a forward listens on 127.0.0.1 only, and only while its node's line stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from sparkdesk.core.errors import SettingsError
from sparkdesk.core.plain_text import make_line

OWN = "own"
MAX_TITLE_CHARS = 60
MAX_PATH_CHARS = 400
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?|[0-9A-Fa-f:.]{2,45}")
_PATH = re.compile(r"/[!-~]*")

JUPYTER_PORTS_FILE = "/opt/nvidia/dgx-dashboard-service/jupyterlab_ports.yaml"
"""Where the DGX Dashboard notes each user's JupyterLab port; unverified on hardware [jupyter-ports].
Source: NVIDIA's dgx-dashboard playbook, "find your username and note the assigned port number"."""
MAX_PORTS_FILE_BYTES = 64 * 1024


class ForwardState(StrEnum):
    """How a forward stands."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    WAITING = "waiting"
    """Wanted, and its node is away: it opens again by itself."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ForwardSpec:
    """A forward as it is kept. `kind` is dashboard, jupyter, open-webui, comfyui, tensorboard or own."""

    id: str
    node_id: str
    kind: str
    title: str
    port: int
    """On the node; 0 means it is read there each time (JupyterLab's per-user port file)."""
    host: str = "127.0.0.1"
    """As seen from the node."""
    scheme: str = "http"
    path: str = "/"
    is_wanted: bool = False
    """Open whenever the node is live; remembered."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ForwardSpec:
        """From `to_json`; unknown keys are ignored. Raises KeyError, TypeError or ValueError."""
        return cls(
            id=str(data["id"]),
            node_id=str(data["node_id"]),
            kind=str(data["kind"]),
            title=str(data["title"]),
            port=int(data["port"]),
            host=str(data.get("host", "127.0.0.1")),
            scheme=str(data.get("scheme", "http")),
            path=str(data.get("path", "/")),
            is_wanted=bool(data.get("is_wanted", False)),
        )


@dataclass(frozen=True, slots=True)
class Forward:
    """A forward as it stands. `url` is "" unless open."""

    spec: ForwardSpec
    state: ForwardState = ForwardState.CLOSED
    local_port: int = 0
    url: str = ""
    answers: bool | None = None
    """Whether something answered on the node's port when it was last tried; None is not known."""
    message: str = ""
    remedy: str = ""


_PRESETS = (
    # Source: NVIDIA's dgx-dashboard playbook: localhost:11000, OS login; unverified on hardware [dashboard-port].
    ("dashboard", "DGX Dashboard", 11000),
    # Its port is read from JUPYTER_PORTS_FILE each time.
    ("jupyter", "JupyterLab", 0),
    # Source: NVIDIA's open-webui playbook, docker run -p 8080:8080 (12000 only where NVIDIA Sync set it up).
    ("open-webui", "Open WebUI", 8080),
    # Source: NVIDIA's comfy-ui playbook, python main.py --listen 0.0.0.0, ComfyUI's default port.
    ("comfyui", "ComfyUI", 8188),
    # Source: TensorBoard's own default, --port 6006.
    ("tensorboard", "TensorBoard", 6006),
)


def preset_specs(node_id: str) -> tuple[ForwardSpec, ...]:
    """The forwards that every node's list begins with; none of them is wanted yet."""
    return tuple(ForwardSpec(f"{node_id}:{kind}", node_id, kind, title, port) for kind, title, port in _PRESETS)


def check_spec(spec: ForwardSpec) -> ForwardSpec:
    """An own entry as it may be kept, its texts trimmed. Raises SettingsError that names what is wrong."""
    title = " ".join(spec.title.split())
    if not title or len(title) > MAX_TITLE_CHARS or make_line(title) != title:
        raise _refused(f"A title has 1 to {MAX_TITLE_CHARS} plain characters", "Shorten it.")
    if not 1 <= spec.port <= 65535:
        raise _refused("A port is a number from 1 to 65535", "Enter the port on which the program listens.")
    host = spec.host.strip()
    if not _HOST.fullmatch(host):
        raise _refused(
            "The host is no plain name or address",
            "Enter a name or an address as the node sees it, mostly 127.0.0.1, without http:// and port.",
        )
    if spec.scheme not in ("http", "https"):
        raise _refused("Only http and https can be opened", "Choose one of the two.")
    if len(spec.path) > MAX_PATH_CHARS or not _PATH.fullmatch(spec.path):
        raise _refused("A path begins with / and has no blanks", "Leave it at /.")
    return replace(spec, kind=OWN, title=title, host=host)


def find_jupyter_port(text: str, user: str) -> int | None:
    """The user's port in JUPYTER_PORTS_FILE; None when it names none. Total.

    Understood are its list of `username:` and `jupyterlab_port:` pairs, and the plain form `user: port`.
    """
    name = ""
    for line in text.splitlines()[:4096]:
        key, _, value = line.strip().removeprefix("- ").partition(":")
        key, value = key.strip().strip("'\""), value.partition("#")[0].strip().strip("'\"")
        if key == "username":
            name = value
        elif key == user or (key == "jupyterlab_port" and name == user):
            is_number = value.isascii() and value.isdigit() and len(value) < 6
            return int(value) if is_number and 0 < int(value) < 65536 else None
    return None


def url_of(spec: ForwardSpec, local_port: int) -> str:
    """What a browser of this computer opens."""
    return f"{spec.scheme}://127.0.0.1:{local_port}{spec.path}"


def _refused(message: str, remedy: str) -> SettingsError:
    return SettingsError(message, remedy=remedy)
