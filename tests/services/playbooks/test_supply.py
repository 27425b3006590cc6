"""Secrets reach the node's file and nothing else; files of this computer reach the node whole, or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from sparkdesk.app.remote import read_remote
from sparkdesk.core.ports import LocalItem
from sparkdesk.core.step import Playbook, Progress, Push, PutSecrets, RunEnded, Stage, Step, StepEvent
from sparkdesk.infra.desk_files import DeskFiles
from sparkdesk.infra.keychain import KeyringSecrets
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.supply import Supplies
from sparkdesk.services.secret_store import SecretStore, key_reference
from tests.canary import Search, new_word
from tests.fakes.shell import LocalShell

RECEIVE = read_remote("receive")


class Desk:
    """A runner over one local node, with files and secrets of this computer."""

    def __init__(self, folder: Path, store: SqliteStore) -> None:
        self.home = folder / "node"
        self.here = folder / "desk"
        self.home.mkdir()
        self.here.mkdir()
        self.store = store
        self.shell = LocalShell(self.home)
        self.secrets = SecretStore(KeyringSecrets(encrypted=()))
        self.files = DeskFiles(folder / "spool")
        self.events: list[StepEvent] = []

    def runner(self, files: object = None) -> Runner:
        """A new one, as after a restart."""
        supplies = Supplies(self.secrets.get, files or self.files, RECEIVE)  # type: ignore[arg-type]
        return Runner(
            shells=lambda _: self.shell, store=self.store, clock=SystemClock(), settle_s=0.5, supplies=supplies
        )

    async def perform(self, *actions: Push | PutSecrets, run_id: str = "r", files: object = None) -> RunEnded:
        """One step with these actions."""
        book = Playbook("test", (Stage("s", (Step("s", "Send it", "n1", actions),)),))
        return await self.runner(files).run(run_id, book, on_event=self.events.append)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk over a store on the disk."""
    store = SqliteStore(tmp_path / "store")
    await store.open()
    yield Desk(tmp_path, store)
    await store.close()


async def test_a_secret_lies_in_the_nodes_file_only(
    desk: Desk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    token = new_word()
    await desk.secrets.set_hub_token(token)
    search = Search({"token": token})
    with search.watching_processes():
        ended = await desk.perform(PutSecrets("~/job/secrets.json", (("HF_TOKEN", "hub_token"),)))
    assert ended.result == "done"
    path = desk.home / "job" / "secrets.json"
    assert json.loads(path.read_text()) == {"HF_TOKEN": token}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    search.look("events", repr(desk.events).encode())
    search.look("log", caplog.text.encode())
    search.look("lines", "\n".join(desk.shell.lines).encode())
    search.look("journal", b"".join(await desk.store.journal("r")))
    search.look_in_files(tmp_path, but={path})
    assert search.hits == set()
    search.look_in_files(tmp_path)
    assert search.hits == {("token", str(path))}


async def test_a_secret_that_must_be_and_is_not_stops_the_step_and_an_optional_one_does_not(desk: Desk) -> None:
    ended = await desk.perform(PutSecrets("~/s.json", (("HF_TOKEN", "hub_token"),)), run_id="a")
    assert ended.result == "failed"
    assert "HF_TOKEN" in ended.message
    assert "Settings" in ended.remedy
    ended = await desk.perform(PutSecrets("~/s.json", (("HF_TOKEN", "hub_token?"),)), run_id="b")
    assert ended.result == "done"
    assert (desk.home / "s.json").read_text() == "{}\n"


async def test_a_servers_key_is_made_once_and_forgotten_with_its_job(desk: Desk) -> None:
    key = await desk.secrets.get(key_reference("job1"))
    assert key is not None
    assert len(key) >= 40
    assert await desk.secrets.get(key_reference("job1")) == key != await desk.secrets.get(key_reference("job2"))
    await desk.secrets.forget_key("job1")
    assert await desk.secrets.find(key_reference("job1")) is None
    assert await desk.secrets.get("anything else") is None


async def test_a_file_arrives_whole_with_progress(desk: Desk) -> None:
    (desk.here / "w.gguf").write_bytes(os.urandom(3 << 20))
    assert (await desk.perform(Push(str(desk.here / "w.gguf"), "~/models/w.gguf"))).result == "done"
    assert (desk.home / "models/w.gguf").read_bytes() == (desk.here / "w.gguf").read_bytes()
    assert [path.name for path in (desk.home / "models").iterdir()] == ["w.gguf"]
    assert any(isinstance(event, Progress) and "MB" in event.text for event in desk.events)


class Cutting:
    """Files of this computer whose line to the node is lost in the middle."""

    def __init__(self, desk: Desk, at_bytes: int) -> None:
        self._desk = desk
        self._at = at_bytes

    async def items(self, kind: str, source: str, platform: str) -> tuple[LocalItem, ...]:
        """As they are."""
        return await self._desk.files.items(kind, source, platform)

    async def read(self, kind: str, source: str, path: str) -> AsyncGenerator[bytes]:
        """The pieces up to the cut."""
        seen = 0
        async for piece in self._desk.files.read(kind, source, path):
            if seen >= self._at:
                for _ in range(200):
                    if (self._desk.home / "w.incomplete").stat().st_size:
                        break
                    await asyncio.sleep(0.01)
                self._desk.shell.cut()
            seen += len(piece)
            yield piece

    async def release(self, kind: str, source: str) -> None:
        """Nothing to let go."""


async def test_a_file_whose_line_is_lost_goes_on_from_what_is_there(desk: Desk) -> None:
    source = desk.here / "w"
    source.write_bytes(os.urandom(8 << 20))
    ended = await desk.perform(Push(str(source), "~/w"), files=Cutting(desk, 4 << 20))
    assert ended.result == "unknown"
    assert not (desk.home / "w").exists()
    part = desk.home / "w.incomplete"
    kept = part.stat().st_size
    assert 0 < kept < source.stat().st_size
    inode = part.stat().st_ino
    desk.shell.mend()
    assert (await desk.perform(Push(str(source), "~/w"), run_id="again")).result == "done"
    assert (desk.home / "w").read_bytes() == source.read_bytes()
    assert (desk.home / "w").stat().st_ino == inode


async def test_a_partial_of_something_else_is_found_out_and_sent_anew(desk: Desk) -> None:
    source = desk.here / "w"
    source.write_bytes(b"right" * 1000)
    (desk.home / "w.incomplete").write_bytes(b"wrong" * 10)
    ended = await desk.perform(Push(str(source), "~/w"), run_id="a")
    assert (ended.result, (desk.home / "w").exists()) == ("failed", False)
    assert "SHA-256" in ended.message
    assert (await desk.perform(Push(str(source), "~/w"), run_id="b")).result == "done"
    assert (desk.home / "w").read_bytes() == source.read_bytes()


async def test_a_model_of_the_hub_cache_arrives_in_the_caches_layout(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "a" * 40
    monkeypatch.setenv("HF_HUB_CACHE", str(desk.here))
    root = desk.here / "models--o--n"
    for name in ("blobs", "refs", f"snapshots/{commit}/sub"):
        (root / name).mkdir(parents=True)
    (root / "blobs/b1").write_bytes(b"one")
    (root / "blobs/other").write_bytes(b"of another revision")
    (root / "refs/main").write_text(commit)
    (root / f"snapshots/{commit}/sub/config.json").symlink_to("../../../blobs/b1")
    ended = await desk.perform(Push("o/n@main", "~/hub/models--o--n", "repo"))
    assert ended.result == "done", ended.message
    there = desk.home / "hub/models--o--n"
    assert (there / f"snapshots/{commit}/sub/config.json").read_bytes() == b"one"
    assert (there / f"snapshots/{commit}/sub/config.json").is_symlink()
    assert (there / "refs/main").read_text() == commit
    assert not (there / "blobs/other").exists()


async def test_a_link_out_of_the_folder_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "private").write_text("mine")
    folder = desk.here / "f"
    folder.mkdir()
    (folder / "x").symlink_to("../../private")
    ended = await desk.perform(Push(str(folder), "~/f", "folder"))
    assert ended.result == "failed"
    assert "leads out" in ended.message
    assert not (desk.home / "f").exists()
