"""A key of its own takes a password's place, or nothing is left behind. Real OpenSSH with StrictModes on."""

from __future__ import annotations

import asyncio
import shutil
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeState, SignIn
from sparkdesk.core.step import Run, RunEnded
from sparkdesk.infra.ssh import NodeKeyFolder
from sparkdesk.services.fleet.key_attempt import KeyAttempt, KeyAttempts
from sparkdesk.services.fleet.key_setup import KeySetUp
from sparkdesk.services.playbooks.journal import read_record
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.wait import wait_for_value
from tests.infra.sshd import Sshd, running_sshd
from tests.services.fleet.enrol_desk import PASSWORD, TIMEOUT_S, EnrolDesk, home_of, keys_of, sign_in_by_password


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[EnrolDesk]:
    desk = EnrolDesk(tmp_path / "data")
    await desk.open()
    yield desk
    await desk.close()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Sshd]:
    """A real sshd that takes a password, with a home of its own."""
    with running_sshd(tmp_path / "sshd", password=PASSWORD) as server:
        yield server


async def test_from_a_password_to_a_live_node_with_a_key_of_its_own(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node)
    desk.enroller.set_up_key()
    now = await desk.reach(EnrolStage.DONE)
    (record,) = desk.records
    assert record.id == now.node_id
    key = Path(record.key_path)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert len(record.setup_runs) == 1
    await desk.inventory_is(NodeState.LIVE)
    assert node.log.count("Accepted password") == 1  # every later sign-in was by the key
    assert await desk.secrets.get(f"password:{now.offer.fingerprint if now.offer else ''}:{node.user}") is None
    line = (node.home / ".ssh" / "authorized_keys").read_text()
    assert line.startswith("ssh-ed25519 ")
    assert line.endswith(" SparkDesk on ana@laptop\n")
    assert key.read_text().splitlines()[1] not in "".join(text.decode("latin1") for text in home_of(node).values())


async def test_the_set_up_can_be_undone_by_its_run(desk: EnrolDesk, node: Sshd) -> None:
    (node.home / ".ssh").mkdir(mode=0o700)
    (node.home / ".ssh" / "authorized_keys").write_text("# mine\nssh-ed25519 AAAA other@host")
    before = home_of(node)
    await sign_in_by_password(desk, node)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.DONE)
    await desk.inventory_is(NodeState.LIVE)
    assert home_of(node) != before
    runner = Runner(shells=desk.inventory.shell, store=desk.store, clock=desk.clock)
    ended = await runner.undo(desk.records[0].setup_runs[0], on_event=lambda event: None)
    assert ended.result == "done"
    before[".ssh/authorized_keys"] += b"\n"  # the end of line that others had left out stays
    assert home_of(node) == before


@pytest.mark.parametrize("last", ["home", "keys_elsewhere"])
async def test_a_key_that_would_not_let_in_is_taken_back_and_the_password_stays_a_way(
    desk: EnrolDesk, tmp_path: Path, last: str
) -> None:
    options = [f"AuthorizedKeysFile {tmp_path}/managed"] if last == "keys_elsewhere" else []
    server = Sshd(tmp_path / "sshd", password=PASSWORD, options=options)
    with running_sshd(tmp_path / "probe", password=PASSWORD):
        pass  # skips here where it cannot run
    server.start()
    try:
        if last == "home":
            server.home.chmod(0o770)
        await sign_in_by_password(desk, server)
        before = home_of(server)
        desk.enroller.set_up_key()
        await desk.reach(EnrolStage.SETTING_UP_KEY)
        now = await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
        assert ("may write" if last == "home" else "does not let in") in now.message
        assert ("chmod go-w" if last == "home" else "authorizedkeysfile") in now.remedy
        assert home_of(server) == before
        assert keys_of(desk) == []
        desk.enroller.keep_password()
        now = await desk.reach(EnrolStage.DONE)
        assert "until SparkDesk ends" in now.message
        await desk.inventory_is(NodeState.LIVE)
        assert desk.records[0].sign_in is SignIn.PASSWORD
    finally:
        server.stop()


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4])
async def test_giving_up_while_the_key_is_set_up_leaves_nothing_or_a_whole_node(
    desk: EnrolDesk, node: Sshd, delay_s: float
) -> None:
    await sign_in_by_password(desk, node)
    before = home_of(node)
    desk.enroller.set_up_key()
    await asyncio.sleep(delay_s)
    if desk.now.stage is EnrolStage.DONE:
        return
    desk.enroller.cancel()
    assert desk.now.stage is EnrolStage.IDLE
    await desk.idle()
    assert await desk.store.unfinished_runs() == ()
    if desk.records:  # it was added in the moment before: then it stays, with the key that lets in
        assert len(keys_of(desk)) == 1
        assert home_of(node) != before
        return
    assert home_of(node) == before
    assert keys_of(desk) == []


@pytest.mark.parametrize("last", [EnrolStage.TRUST, EnrolStage.NEEDS_PASSWORD, EnrolStage.IDENTIFYING])
async def test_giving_up_at_any_question_leaves_nothing(desk: EnrolDesk, node: Sshd, last: EnrolStage) -> None:
    desk.start(node, SignIn.PASSWORD)
    await desk.reach(EnrolStage.TRUST)
    if last is not EnrolStage.TRUST:
        desk.enroller.trust()
        await desk.reach(EnrolStage.NEEDS_PASSWORD)
    if last is EnrolStage.IDENTIFYING:
        desk.enroller.give_password(PASSWORD, remember=True)
        await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
    desk.enroller.cancel()
    await desk.idle()
    assert desk.now.stage is EnrolStage.IDLE
    assert home_of(node) == {}
    assert desk.records == []
    assert desk.inventory.clusters.value == ()
    assert desk.secrets._memory == {}
    for _ in range(100):
        if not node.sessions():
            break
        await asyncio.sleep(0.05)
    assert node.sessions() == []


async def test_a_connection_that_is_lost_while_the_person_thinks_is_made_anew(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node)
    node.kill_sessions()
    await asyncio.sleep(0.1)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.DONE)


async def test_a_remembered_password_is_kept_for_this_key_and_user_beside_the_new_key(
    desk: EnrolDesk, node: Sshd
) -> None:
    await sign_in_by_password(desk, node, remember=True)
    desk.enroller.set_up_key()
    now = await desk.reach(EnrolStage.DONE)
    assert now.offer is not None
    assert await desk.secrets.get(f"password:{now.offer.fingerprint}:{node.user}") == PASSWORD


async def set_up_again(desk: EnrolDesk, node: Sshd) -> tuple[bytes, dict[str, bytes]]:
    """A node with a key of its own, up to the choice of another attempt at its address; its key, and its home."""
    await sign_in_by_password(desk, node)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.DONE)
    await desk.inventory_is(NodeState.LIVE)
    kept = Path(desk.records[0].key_path).read_bytes(), home_of(node)
    desk.start(node, SignIn.PASSWORD)
    await desk.reach(EnrolStage.NEEDS_PASSWORD)
    desk.enroller.give_password(PASSWORD, remember=False)
    await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
    return kept


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.2])
async def test_giving_up_a_second_set_up_leaves_the_key_that_worked_before(
    desk: EnrolDesk, node: Sshd, delay_s: float
) -> None:
    key, home = await set_up_again(desk, node)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.SETTING_UP_KEY)
    await asyncio.sleep(delay_s)
    desk.enroller.cancel()
    await desk.idle()
    assert Path(desk.records[0].key_path).read_bytes() == key
    assert home_of(node) == home
    desk.inventory.reconnect(desk.records[0].id)
    await desk.inventory_is(NodeState.LIVE)


async def test_a_second_set_up_that_fails_leaves_the_key_that_worked_before(desk: EnrolDesk, node: Sshd) -> None:
    key, home = await set_up_again(desk, node)
    node.home.chmod(0o777)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.SETTING_UP_KEY)
    now = await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
    assert now.message
    assert Path(desk.records[0].key_path).read_bytes() == key
    assert home_of(node) == home


async def test_what_the_set_up_runs_can_be_read_before_it_begins(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node)
    plan = desk.now.key_plan
    assert home_of(node) == {}
    assert keys_of(desk) == []
    assert "SparkDesk on ana@laptop" in plan
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.DONE)
    record = await read_record(desk.store, desk.records[0].setup_runs[0])
    for step in record.playbook.steps():
        assert step.title in plan
        for action in (*step.check, *step.apply, *step.undo):
            assert isinstance(action, Run)
            for line in action.command.argv[2].splitlines():
                assert line in plan


async def test_the_undo_gives_folder_and_file_the_rights_that_they_had(desk: EnrolDesk, node: Sshd) -> None:
    folder = node.home / ".ssh"
    folder.mkdir()
    folder.chmod(0o755)
    file = folder / "authorized_keys"
    file.write_text("# mine\n")
    file.chmod(0o644)
    await sign_in_by_password(desk, node)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.DONE)
    await desk.inventory_is(NodeState.LIVE)
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)
    runner = Runner(shells=desk.inventory.shell, store=desk.store, clock=desk.clock)
    assert (await runner.undo(desk.records[0].setup_runs[0], on_event=lambda event: None)).result == "done"
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o755, 0o644)
    assert file.read_text() == "# mine\n"


async def test_a_connection_that_is_replaced_is_closed(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node)
    old = node.sessions()
    node.signal_sessions(signal.SIGSTOP)  # it does not answer in time, and is alive again later
    desk.enroller.set_up_key()
    await wait_for_value(
        desk.enroller.enrolment, lambda now: any("connecting again" in line for line in now.log), timeout_s=TIMEOUT_S
    )
    for process in old:
        process.send_signal(signal.SIGCONT)
    await desk.reach(EnrolStage.DONE)
    async with asyncio.timeout(10):
        while any(process.is_running() for process in old):
            await asyncio.sleep(0.05)


async def test_an_undo_that_is_cut_off_leaves_no_connection_open(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node)
    desk.enroller.set_up_key()
    await wait_for_value(
        desk.enroller.enrolment, lambda now: any("Add the public key" in line for line in now.log), timeout_s=TIMEOUT_S
    )
    node.signal_sessions(signal.SIGSTOP)  # nothing is undone while it does not answer
    desk.enroller.cancel()
    (task,) = [task for task, name in desk.tasks._running.items() if name == "add node"]
    await asyncio.sleep(0.2)
    assert not task.done()
    task.cancel()  # as the end of the program does when its patience is over
    await asyncio.wait([task], timeout=TIMEOUT_S)
    await asyncio.sleep(0.05)
    ends = [link for link in psutil.Process().net_connections("tcp") if link.raddr and link.raddr.port == node.port]
    assert [link for link in ends if link.status == psutil.CONN_ESTABLISHED] == []


@asynccontextmanager
async def started_after_a_kill(desk: EnrolDesk, node: Sshd, data: Path) -> AsyncIterator[EnrolDesk]:
    """The next start of a program that was killed while its key's line was added on the node."""
    await sign_in_by_password(desk, node)
    desk.enroller.set_up_key()
    await wait_for_value(
        desk.enroller.enrolment, lambda now: any("Add the public key" in line for line in now.log), timeout_s=TIMEOUT_S
    )
    shutil.copytree(desk.data, data)  # what a kill leaves at this moment: its files, and the line on the node
    desk.enroller.cancel()
    await desk.idle()
    again = EnrolDesk(data)
    await again.open()
    try:
        (note,) = await KeyAttempts(again.store)._all()
        (node.home / ".ssh").mkdir(mode=0o700, exist_ok=True)
        (node.home / ".ssh" / "authorized_keys").write_text(f"{note.public_line}\n")
        yield again
    finally:
        await again.close()


async def clear_away(desk: EnrolDesk) -> list[tuple[str, str]]:
    """What the start says of attempts that were cut off."""
    said: list[tuple[str, str]] = []
    known = [node for cluster in desk.inventory.clusters.value for node in cluster.nodes]
    keys = NodeKeyFolder(desk.data / "keys")
    await KeyAttempts(desk.store).clear_away(known, keys, desk.clock, lambda title, words: said.append((title, words)))
    return said


async def test_a_set_up_that_was_killed_is_cleared_away_at_the_next_start(
    desk: EnrolDesk, node: Sshd, tmp_path: Path
) -> None:
    async with started_after_a_kill(desk, node, tmp_path / "copy") as again:
        assert await again.store.unfinished_runs() != ()
        assert keys_of(again) != []
        ((title, words),) = await clear_away(again)
        assert f"{node.user}@127.0.0.1" in title
        assert "SparkDesk on ana@laptop" in words
        assert "authorized_keys" in words
        assert keys_of(again) == []
        assert await again.store.unfinished_runs() == ()
        assert await clear_away(again) == []  # it is said once


async def test_a_line_that_a_killed_set_up_left_is_replaced_when_the_node_is_added(
    desk: EnrolDesk, node: Sshd, tmp_path: Path
) -> None:
    async with started_after_a_kill(desk, node, tmp_path / "copy") as again:
        await clear_away(again)
        file = node.home / ".ssh" / "authorized_keys"
        (stale,) = file.read_text().splitlines()
        file.write_text(f"# mine\n{stale}\nssh-ed25519 AAAA other@host\n")
        await sign_in_by_password(again, node)
        assert stale in again.now.key_plan
        again.enroller.set_up_key()
        await again.reach(EnrolStage.DONE)
        lines = file.read_text().splitlines()
        assert lines[:2] == ["# mine", "ssh-ed25519 AAAA other@host"]
        assert stale not in lines
        assert len(lines) == 3
        assert await again.store.documents("key_set_up") == {}


async def test_the_key_of_a_kept_node_is_never_cleared_away(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.DONE)
    record = desk.records[0]
    attempt = KeyAttempt(record.id, record.setup_runs[0], record.address, record.user, record.host_key, "x",
                         record.key_path)  # fmt: skip
    await KeyAttempts(desk.store).note(attempt)  # killed between keeping the node and ending the attempt
    assert await clear_away(desk) == []
    assert keys_of(desk) != []
    assert await desk.store.documents("key_set_up") == {}


async def test_a_step_that_a_node_answers_with_nonsense_is_said_as_a_sentence(desk: EnrolDesk, node: Sshd) -> None:
    folder = node.home / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "authorized_keys").mkdir(mode=0o700)
    await sign_in_by_password(desk, node)
    desk.enroller.set_up_key()
    await desk.reach(EnrolStage.SETTING_UP_KEY)
    now = await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
    assert "authorized_keys is not a file" in now.message


async def test_words_of_a_node_stand_in_the_details_and_not_in_the_sentence(desk: EnrolDesk) -> None:
    set_up = KeySetUp(
        keys=NodeKeyFolder(desk.data / "keys"), connector=desk.connector, store=desk.store, clock=desk.clock, say=print
    )
    set_up._titles = {"home": "See that no other user may write"}
    ended = RunEnded(0, "failed", "See that no other user may write: exit code 1: <h1>no</h1>", "Read the details.")
    error = set_up._explain(ended, "spark-1")
    assert (
        error.message
        == "The key was not set up: spark-1 did not do the step \u201cSee that no other user may write\u201d"
    )
    assert error.detail.startswith("exit code 1: <h1>no</h1>")
