"""The look below all addresses, with a sudo that lets everybody through and a program that tells what it is told to."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sparkdesk.core.errors import CommandFailed
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.deep_look import listen_deep
from sparkdesk.services.playbooks.root import Root
from tests.fakes.shell import LocalShell

SUDO = """#!/bin/sh
while [ "$1" != -- ] && [ "$1" != true ]; do shift; done
[ "$1" = -- ] && shift
exec "$@"
"""
PROGRAM = b"""
import json, os, time
if os.path.exists("broken"):
    raise SystemExit("no such device")
print(json.dumps({"frames": [["enp1s0f1np1", "n2", "enp1s0f1np1", 3, 3]]}), flush=True)
if os.path.exists("slow"):
    time.sleep(60)
"""


def make_shell(folder: Path, name: str, *traits: str) -> LocalShell:
    home, programs = folder / name, folder / "bin"
    home.mkdir()
    programs.mkdir(exist_ok=True)
    (programs / "sudo").write_text(SUDO)
    (programs / "sudo").chmod(0o755)
    for trait in traits:
        (home / trait).touch()
    return LocalShell(home, node=name, env={"PATH": f"{programs}:/usr/bin:/bin"})


def make_root() -> Root:
    return Root(SystemClock(), None, lambda node_id: node_id)


async def test_every_node_tells_what_it_heard(tmp_path: Path) -> None:
    shells = {name: make_shell(tmp_path, name) for name in ("n1", "n2")}
    heard = await listen_deep(shells, PROGRAM, make_root(), seconds=1.0)
    assert {node_id: view.frames[0].from_node for node_id, view in heard.items()} == {"n1": "n2", "n2": "n2"}


async def test_when_one_node_fails_the_others_are_stopped_and_its_error_is_told(tmp_path: Path) -> None:
    shells = {"n1": make_shell(tmp_path, "n1", "slow"), "n2": make_shell(tmp_path, "n2", "broken")}
    before = asyncio.all_tasks()
    with pytest.raises(CommandFailed, match="n2 could not listen") as failed:
        await listen_deep(shells, PROGRAM, make_root(), seconds=60.0)
    assert "no such device" in failed.value.detail
    assert asyncio.all_tasks() == before
