"""A key of its own takes a password's place, or nothing is left behind. Real OpenSSH with StrictModes on."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sparkdesk.core.cluster.enrolment import EnrolStage
from sparkdesk.core.cluster.node import NodeState, SignIn
from sparkdesk.services.playbooks.runner import Runner
from tests.infra.sshd import Sshd, running_sshd
from tests.services.fleet.enrol_desk import PASSWORD, EnrolDesk, home_of, keys_of, sign_in_by_password


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
async def test_giving_up_while_the_key_is_set_up_leaves_nothing(desk: EnrolDesk, node: Sshd, delay_s: float) -> None:
    await sign_in_by_password(desk, node)
    before = home_of(node)
    desk.enroller.set_up_key()
    await asyncio.sleep(delay_s)
    if desk.now.stage is EnrolStage.DONE:
        return
    desk.enroller.cancel()
    assert desk.now.stage is EnrolStage.IDLE
    await desk.idle()
    assert home_of(node) == before
    assert keys_of(desk) == []
    assert desk.records == []
    assert await desk.store.unfinished_runs() == ()


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
