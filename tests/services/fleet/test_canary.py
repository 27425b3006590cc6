"""Secrets that are given while a node is added are searched for everywhere they must not be, on both sides.

The one rule: the search itself is shown to find what is planted, in every place and in every form.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import re
import subprocess
import sys
import time
import traceback
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from sparkdesk import paths
from sparkdesk.app.stack import Stack
from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeState, SignIn
from sparkdesk.infra.crash_report import write_report
from sparkdesk.infra.ssh import ensure_key
from sparkdesk.infra.ssh.key import SignIn as SignInOffer
from sparkdesk.services.fleet.credentials import Given
from sparkdesk.services.fleet.enrol_course import Memory
from sparkdesk.services.fleet.enrol_screen import Answer
from sparkdesk.services.playbooks.root import SharedPassword
from sparkdesk.services.wait import wait_for_value
from tests.canary import Search, forms_of, forms_of_key, new_secret, new_serial
from tests.infra.ssh_agent import add_key, running_agent
from tests.infra.sshd import require, running_sshd
from tests.services.fleet.enrol_desk import EnrolDesk


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


async def add_by_password(desk: EnrolDesk, password: str) -> None:
    """The password, then a key of the node's own."""
    await desk.reach(EnrolStage.TRUST)
    desk.enroller.trust()
    await desk.reach(EnrolStage.NEEDS_PASSWORD)
    desk.enroller.give_password(password, remember=True)
    await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.DONE)


async def test_no_secret_is_left_anywhere(tmp_path: Path, log_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a password, by a locked key and by an agent; sudo's and the servers' are searched for in tests/lab."""
    password, passphrase, serial = new_secret(), new_secret(), new_serial()
    search = Search({"password": password, "passphrase": passphrase, "serial": serial})
    desk = EnrolDesk(tmp_path / "data")
    await desk.open()
    published: list[str] = []
    desk.enroller.enrolment.subscribe(lambda now: published.append(repr(now)))
    release = tmp_path / "machine" / "etc" / "dgx-release"
    release.parent.mkdir(parents=True)
    release.write_text(f'DGX_SERIAL_NUMBER="{serial}"\n')
    (release.parent / "machine-id").write_text(f"{1:032x}\n")
    root = f"SetEnv SPARKDESK_ROOT={tmp_path / 'machine'}"
    with (
        running_sshd(tmp_path / "one", password=password, options=["LogLevel DEBUG3", root]) as first,
        running_sshd(tmp_path / "two", options=["LogLevel DEBUG3"]) as second,
        running_agent(tmp_path) as agent,
    ):
        search.add("the user's key", forms_of_key(second.key_path))
        lock_key(second.key_path, passphrase)
        with search.watching_processes():
            desk.start(first, SignIn.PASSWORD)
            await add_by_password(desk, password)
            await desk.inventory_is(NodeState.LIVE)
            own_key = Path(desk.records[0].key_path)
            search.add("the node's key", forms_of_key(own_key))
            assert desk.records[0].serial_hash
            desk.start(second, SignIn.KEY, key_path=str(second.key_path))
            await desk.reach(EnrolStage.TRUST)
            desk.enroller.trust()
            await desk.reach(EnrolStage.NEEDS_PASSPHRASE)
            desk.enroller.give_passphrase(passphrase, remember=True)
            await desk.reach(EnrolStage.DONE)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
            add_key(agent, own_key)
            desk.start(first, SignIn.AGENT)
            await desk.reach(EnrolStage.DONE)
        crash(tmp_path / "data" / "logs", password, passphrase)
        assert await desk.secrets.get(f"passphrase:{second.key_path}") == passphrase  # it was kept, in memory
        await desk.close()
        homes = (first.home, second.home, first.folder, second.folder)
        search.look_in_files(tmp_path / "data", *homes, but=(own_key,))
        search.look("what the page was shown", "\n".join(published).encode())
    assert log_file.stat().st_size > 0
    assert search.looked_at > 200
    assert search.hits == set()


async def test_a_sparks_serial_number_stays_on_it(log_file: Path) -> None:
    """A simulated Spark has one in its release file and in its firmware, and everything that reads it is run."""
    search = Search({})
    shown: list[str] = []
    stack = Stack(folder=paths.data_dir())
    await stack.open()
    fleet = stack.fleet
    for feed in (fleet.details.details, fleet.doctor.check_ups, fleet.field.reports, stack.inventory.nodes):
        feed.subscribe(lambda value: shown.append(repr(value)))
    cluster = await stack.open_simulation(["--nodes", "1"])
    require("only be read" not in cluster.note, cluster.note)
    disk = paths.data_dir() / "simulated"
    serials = re.findall(r'"serial": ?"(\d{9,})"', "".join(path.read_text() for path in disk.rglob("*.json")))
    search.add("serial", {form for serial in serials for form in forms_of(serial)})
    await wait_for_value(stack.inventory.nodes, lambda nodes: bool(nodes) and nodes[0].is_live, timeout_s=60)
    node_id = cluster.nodes[0].id
    details = await fleet.details.refresh(node_id)
    await fleet.doctor.run(node_id)
    await fleet.field.run(node_id)
    shown.append(fleet.field.redacted(node_id).decode())
    await stack.close()
    assert serials
    assert details.serial_hash
    search.look("what was shown", "\n".join(shown).encode())
    search.look("the log", log_file.read_bytes())
    search.look_in_files(paths.data_dir().parent, but=set(disk.rglob("*")))
    assert search.hits == set()


def lock_key(path: Path, passphrase: str) -> None:
    """Give the key a passphrase, before anybody watches the command line of it."""
    command = ["ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True, timeout=20)


def crash(folder: Path, password: str, passphrase: str) -> None:
    """A bug among values that hold secrets; its report is written as the application writes it."""

    def sign_in(word: str, other: str) -> None:
        values = (Given(word, other, word), Answer(word), Memory(jump_password=word), SharedPassword(word))
        raise RuntimeError(f"a bug with {values}, password={word!r} and {SignInOffer(password=word)}")

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
    search = Search({"it": secret})
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0" * 500 + planted + b"\0")
    search.look_in_files(tmp_path)
    assert search.hits == {("it", str(tmp_path / "deep" / "file"))}


@pytest.mark.parametrize("place", ["cmdline", "environ"])
def test_the_search_finds_what_is_planted_in_a_process(place: str) -> None:
    secret = new_secret()
    search = Search({"it": secret})
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
    assert search.hits == {("it", f"{place} of a process")}


async def test_the_search_finds_what_the_log_and_the_database_hold(tmp_path: Path, log_file: Path) -> None:
    secret = new_secret()
    search = Search({"it": secret})
    desk = EnrolDesk(tmp_path / "data")
    await desk.open()
    logging.getLogger("sparkdesk.services").info("the password is %s", secret)
    await desk.store.save_session("s", secret, b"{}")
    await asyncio.sleep(0)
    search.look_in_files(tmp_path / "data")
    await desk.close()
    found = {Path(where).name for _, where in search.hits}
    assert "all.log" in found
    assert any(name.startswith("app.db") for name in found)


@pytest.mark.parametrize("form", range(4))
def test_the_search_finds_a_private_key_however_it_is_written(tmp_path: Path, form: int) -> None:
    ensure_key(tmp_path / "key")
    seed: bytes = asyncssh.read_private_key(str(tmp_path / "key")).pyca_key.private_bytes_raw()
    whole = (tmp_path / "key").read_bytes()
    planted = [whole, seed, seed.hex().encode(), base64.b64encode(b"x" + seed + b"y")][form]
    search = Search({})
    search.add("key", forms_of_key(tmp_path / "key"))
    ensure_key(tmp_path / "another")
    search.look("another key", (tmp_path / "another").read_bytes())
    search.look("its public half", whole.splitlines()[1])
    assert search.hits == set()
    search.look("here", b"before " + planted + b" after")
    assert search.hits == {("key", "here")}
