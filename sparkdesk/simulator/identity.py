"""Who the nodes of a simulated cluster are: names, ids and host keys, kept so that a restart is the same nodes.

The one rule: whoever holds the lock of a state folder owns it; a second simulator on the same folder is refused.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh

NODE_NAMES = ("spark-5c2d", "spark-bd26", "spark-afe0", "spark-3995")
MAX_NODES = 64
USER = "nvidia"
_SCHEMA = 1
_LOCK = "lock"


class StateError(Exception):
    """The state folder cannot be used: in use, or from another version."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a node the same node after a restart. `index` counts from 1 and is the last part of its addresses."""

    index: int
    name: str
    machine_id: str
    gpu_uuid: str
    serial: str
    port: int
    host_key: str

    @property
    def address(self) -> str:
        """Where its SSH server listens: all of 127.0.0.0/8 is this computer."""
        return f"127.77.0.{self.index}"

    def public(self) -> dict[str, Any]:
        """What the resident process may know: everything but the private host key."""
        return {"index": self.index, "name": self.name, "machine_id": self.machine_id, "gpu_uuid": self.gpu_uuid,
                "serial": self.serial}  # fmt: skip


def name_of(index: int) -> str:
    """The name of node `index` (from 1): `spark-` and four hexadecimal digits, as from the factory."""
    if index <= len(NODE_NAMES):
        return NODE_NAMES[index - 1]
    return f"spark-{0x1000 + index * 0x9E5 % 0xF000:04x}"


def new_host_key() -> asyncssh.SSHKey:
    """A fresh ed25519 key."""
    return asyncssh.generate_private_key("ssh-ed25519")


def public_line(key: asyncssh.SSHKey) -> str:
    """`ssh-ed25519 AAAA...` without a comment."""
    return " ".join(key.export_public_key().decode("ascii").split()[:2])


def lock(folder: Path) -> int:
    """Take the state folder for this process; the lock ends with the returned open file.

    Raises:
        StateError: another simulator has it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    number = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise StateError(f"another simulator uses {folder}; stop it or give --state another folder") from None
    return number


def forget(folder: Path) -> None:
    """Empty a state folder of which this process has the lock. Raises OSError."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _LOCK:
            path.unlink()


def load(folder: Path, count: int) -> list[Identity]:
    """The first `count` nodes of this folder, made where they are missing.

    Raises:
        StateError: the file is damaged or of another version.
    """
    file = file_of(folder)
    known = _read(file) if file.exists() else []
    nodes = known + [_new(index) for index in range(len(known) + 1, count + 1)]
    if len(nodes) > len(known):
        save(folder, nodes)
    return nodes[:count]


def save(folder: Path, nodes: list[Identity]) -> None:
    """Write the list whole or not at all; it holds private keys, so for the owner only."""
    rows = [{**node.public(), "port": node.port, "host_key": node.host_key} for node in nodes]
    text = json.dumps({"schema": _SCHEMA, "nodes": rows}, indent=1)
    part = folder / "nodes.json.part"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file_of(folder))


def update(folder: Path, changed: list[Identity]) -> None:
    """Replace these nodes in the list, by their index; the others stay."""
    known = {node.index: node for node in _read(file_of(folder))}
    save(folder, [node for _, node in sorted((known | {node.index: node for node in changed}).items())])


def with_port(node: Identity, port: int) -> Identity:
    """The same node on this port."""
    return replace(node, port=port)


def file_of(folder: Path) -> Path:
    """Where the list lies."""
    return folder / "nodes.json"


def _read(file: Path) -> list[Identity]:
    try:
        data = json.loads(file.read_text("ascii"))
        if data["schema"] != _SCHEMA:
            raise StateError(f"{file} is of version {data['schema']}, not {_SCHEMA}; give another --state")
        return [Identity(**row) for row in data["nodes"]]
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"{file} is damaged ({error}); delete it or give --state another folder") from None


def _new(index: int) -> Identity:
    return Identity(
        index=index,
        name=name_of(index),
        machine_id=secrets.token_hex(16),
        gpu_uuid=f"GPU-{uuid.uuid4()}",
        serial=f"{1980000000000 + secrets.randbelow(10**9)}",
        port=0,
        host_key=new_host_key().export_private_key("openssh").decode("ascii"),
    )
