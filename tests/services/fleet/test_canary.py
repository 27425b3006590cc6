"""Secrets that are given while a node is added are searched for everywhere they must not be, on both sides.

The one rule: the search itself is shown to find what is planted, in every place and in every form.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
import traceback
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeState, SignIn
from sparkdesk.core.command import Command
from sparkdesk.infra.crash_report import write_report
from tests.infra.sshd import running_sshd
from tests.services.fleet.enrol_desk import EnrolDesk

MAX_FILE_BYTES = 32 << 20


def new_secret() -> str:
    """Random, and with signs in it that change when they are written another way."""
    return f'{secrets.token_hex(8)}&/"=é {secrets.token_hex(4)}'


def forms_of(secret: str) -> set[bytes]:
    """How the secret may be written. Base64 is cut to what does not depend on its place in a longer text."""
    raw = secret.encode()
    forms = {raw, raw.hex().encode(), raw.hex().upper().encode(), secret.encode("utf-16-le")}
    forms |= {urllib.parse.quote(secret, safe=safe).encode() for safe in ("", "/")}
    forms |= {urllib.parse.quote_plus(secret).encode(), json.dumps(secret)[1:-1].encode(), repr(secret)[1:-1].encode()}
    forms |= {secret.split()[0].encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            text = encode(b"\0" * shift + raw)
            forms.add(text[4 if shift else 0 : len(text) - 4])
    return forms


class Search:
    """Looks for secrets in processes and files. `hits` names what was found where, without the secret."""

    def __init__(self, given: Sequence[str]) -> None:
        self._forms = {form for secret in given for form in forms_of(secret)}
        self.hits: set[str] = set()
        self.looked_at = 0

    def look(self, where: str, data: bytes) -> None:
        self.looked_at += 1
        if any(form in data for form in self._forms):
            self.hits.add(where)

    def look_in_processes(self) -> None:
        """The command line and the environment of every process that we may look into."""
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            for name in ("cmdline", "environ"):
                try:
                    self.look(f"{name} of a process", (folder / name).read_bytes())
                except OSError:
                    continue  # gone, or another user's

    def look_in_files(self, *folders: Path) -> None:
        for folder in folders:
            for path in folder.rglob("*"):
                if path.is_file() and path.stat().st_size < MAX_FILE_BYTES:
                    self.look(str(path), path.read_bytes())

    @contextmanager
    def watching_processes(self) -> Iterator[None]:
        """Look at the processes again and again, by a thread of its own."""
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.is_set():
                self.look_in_processes()
                time.sleep(0.02)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """Everything that any logger says, at the finest level."""
    path = tmp_path / "data" / "logs" / "all.log"
    path.parent.mkdir(parents=True)
    handler = logging.FileHandler(path)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield path
    root.removeHandler(handler)
    root.setLevel(before)
    handler.close()


async def add_by_password(desk: EnrolDesk, port: int, password: str) -> None:
    """A wrong password, the right one, then a key of the node's own."""
    await desk.reach(EnrolStage.TRUST)
    desk.enroller.trust()
    await desk.reach(EnrolStage.NEEDS_PASSWORD)
    desk.enroller.give_password(password, remember=True)
    await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.DONE)


async def test_no_secret_is_left_anywhere(tmp_path: Path, log_file: Path) -> None:
    password, passphrase, sudo_word = new_secret(), new_secret(), new_secret()
    search = Search([password, passphrase, sudo_word])
    desk = EnrolDesk(tmp_path / "data")
    await desk.open()
    published: list[str] = []
    desk.enroller.enrolment.subscribe(lambda now: published.append(repr(now)))
    with (
        running_sshd(tmp_path / "one", password=password, options=["LogLevel DEBUG3"]) as first,
        running_sshd(tmp_path / "two", options=["LogLevel DEBUG3"]) as second,
    ):
        lock_key(second.key_path, passphrase)
        with search.watching_processes():
            desk.start(first, SignIn.PASSWORD)
            await add_by_password(desk, first.port, password)
            await desk.inventory_is(NodeState.LIVE)
            desk.start(second, SignIn.KEY, key_path=str(second.key_path))
            await desk.reach(EnrolStage.TRUST)
            desk.enroller.trust()
            await desk.reach(EnrolStage.NEEDS_PASSPHRASE)
            desk.enroller.give_passphrase(passphrase, remember=True)
            await desk.reach(EnrolStage.SAME_NODE)  # both servers run on this one machine
            desk.enroller.take_same(is_same=False)
            await desk.reach(EnrolStage.DONE)
            shell = desk.inventory.shell(desk.records[0].id)
            asked = await shell.run(
                Command(("sh", "-c", "read -r word; sleep 0.2; echo heard")), stdin=f"{sudo_word}\n".encode()
            )
            assert asked.stdout == b"heard\n"
        crash(tmp_path / "data" / "logs", password, passphrase)
        assert await desk.secrets.get(f"passphrase:{second.key_path}") == passphrase  # it was kept, in memory
        await desk.close()
        search.look_in_files(tmp_path / "data", first.home, second.home, first.folder, second.folder)
        search.look("what the page was shown", "\n".join(published).encode())
    assert log_file.stat().st_size > 0
    assert search.looked_at > 200
    assert search.hits == set()


def lock_key(path: Path, passphrase: str) -> None:
    """Give the key a passphrase, before anybody watches the command line of it."""
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True, timeout=20)


def crash(folder: Path, password: str, passphrase: str) -> None:
    """A bug in a function that holds secrets; its report is written as the application writes it."""

    def sign_in(word: str, other: str) -> None:
        raise RuntimeError(f"a bug with {len(word) + len(other)} characters")

    try:
        sign_in(password, passphrase)
    except RuntimeError:
        assert write_report(folder, traceback.format_exc()) is not None


@pytest.mark.parametrize("form", range(6))
def test_the_search_finds_what_is_planted_in_a_file(tmp_path: Path, form: int) -> None:
    secret = new_secret()
    raw = secret.encode()
    planted = [
        raw, raw.hex().encode(), base64.b64encode(b"user:" + raw + b"\n"), urllib.parse.quote(secret).encode(),
        json.dumps({"password": secret}).encode(), base64.urlsafe_b64encode(b"x" + raw),
    ][form]  # fmt: skip
    search = Search([secret])
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0" * 500 + planted + b"\0")
    search.look_in_files(tmp_path)
    assert search.hits == {str(tmp_path / "deep" / "file")}


@pytest.mark.parametrize("place", ["cmdline", "environ"])
def test_the_search_finds_what_is_planted_in_a_process(place: str) -> None:
    secret = new_secret()
    search = Search([secret])
    argv = [sys.executable, "-c", "import time; time.sleep(30)", *([secret] if place == "cmdline" else [])]
    env = {**os.environ, **({"SECRET": secret} if place == "environ" else {})}
    process = subprocess.Popen(argv, env=env)
    try:
        with search.watching_processes():
            deadline_s = time.monotonic() + 10
            while not search.hits and time.monotonic() < deadline_s:
                time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert search.hits == {f"{place} of a process"}


async def test_the_search_finds_what_the_log_and_the_database_hold(tmp_path: Path, log_file: Path) -> None:
    secret = new_secret()
    search = Search([secret])
    desk = EnrolDesk(tmp_path / "data")
    await desk.open()
    logging.getLogger("sparkdesk.services").info("the password is %s", secret)
    await desk.store.save_session("s", secret, b"{}")
    await asyncio.sleep(0)
    search.look_in_files(tmp_path / "data")
    await desk.close()
    assert {Path(hit).name for hit in search.hits} >= {"all.log"}
    assert any(Path(hit).name.startswith("app.db") for hit in search.hits)
