"""A file of this computer goes to a node over a real OpenSSH server, and on from what is there after a lost line."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from sparkdesk.app.remote import read_remote
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import Playbook, Push, PutSecrets, Stage, Step
from sparkdesk.infra.desk_files import DeskFiles
from sparkdesk.infra.ssh import SshConnector
from sparkdesk.infra.ssh.session import NodeSession
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.supply import Supplies
from tests.infra.sshd import Sshd


async def secret(_reference: str) -> str:
    """Some secret."""
    return "hf_one"


async def test_a_file_arrives_and_goes_on_after_the_line_was_lost(
    sshd: Sshd, node: NodeSession, tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "there" / "weights"
    source.write_bytes(os.urandom(48 << 20))
    shells: list[Shell] = [node]
    store = SqliteStore(None)
    await store.open()
    supplies = Supplies(secret, DeskFiles(tmp_path / "spool"), read_remote("receive"))
    runner = Runner(shells=lambda _: shells[0], store=store, clock=SystemClock(), settle_s=0.2, supplies=supplies)
    actions = (
        PutSecrets(f"{tmp_path}/there/secrets.json", (("HF_TOKEN", "hub_token"),)),
        Push(str(source), str(target)),
    )
    book = Playbook("Send", (Stage("s", (Step("s", "Send", "n1", actions),)),))

    running = asyncio.create_task(runner.run("a", book, on_event=lambda _: None))
    partial = tmp_path / "there" / "weights.incomplete"
    for _ in range(2000):
        if partial.exists() and partial.stat().st_size > 4 << 20:
            break
        await asyncio.sleep(0.002)
    sshd.kill_sessions()
    ended = await running
    assert ended.result in ("unknown", "failed"), ended
    kept = partial.stat().st_size
    assert not target.exists()
    assert 0 < kept < source.stat().st_size

    again = await SshConnector().connect(sshd.record())
    shells[0] = again
    inode = partial.stat().st_ino
    assert (await runner.run("b", book, on_event=lambda _: None)).result == "done"
    assert target.stat().st_ino == inode
    assert target.read_bytes() == source.read_bytes()
    await again.close()
    await store.close()
