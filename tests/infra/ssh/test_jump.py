"""Ways to sign in, and nodes behind a jump host, against real OpenSSH servers."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import JumpHost, NodeRecord, SignIn
from sparkdesk.core.command import Command
from sparkdesk.core.errors import AuthFailed, HostKeyChanged, KeyLocked, NodeBusy, Unreachable
from sparkdesk.infra.ssh import SshConnector, ensure_key
from sparkdesk.infra.ssh.dial import read_host_key_kinds
from tests.infra.ssh_server import new_key, public_line, running_server
from tests.infra.sshd import Sshd, free_port, running_sshd


@pytest.fixture
def jump(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "jump") as server:
        yield server


def through(jump: Sshd) -> JumpHost:
    return JumpHost("127.0.0.1", jump.port, jump.user, jump.host_key, str(jump.key_path))


def behind(node: Sshd, jump: Sshd) -> NodeRecord:
    return replace(node.record(), jump=through(jump))


async def until_no_session(server: Sshd) -> None:
    for _ in range(200):
        if not server.sessions():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("a session is left")


async def test_a_node_behind_a_jump_host_answers_and_closing_closes_both(sshd: Sshd, jump: Sshd) -> None:
    session = await SshConnector().connect(behind(sshd, jump))
    assert (await session.run(Command(("echo", "hi")))).stdout == b"hi\n"
    assert len(jump.sessions()) > 0
    await session.close()
    await until_no_session(sshd)
    await until_no_session(jump)


async def test_look_through_a_jump_host_shows_the_far_key(sshd: Sshd, jump: Sshd) -> None:
    offer = await SshConnector().look("127.0.0.1", sshd.port, jump=through(jump))
    assert offer.host_key == sshd.host_key
    assert "Accepted" not in sshd.log
    await until_no_session(jump)


async def test_a_failure_behind_the_jump_host_leaves_no_session_on_it(sshd: Sshd, jump: Sshd) -> None:
    record = behind(sshd, jump)
    message = ""
    for wrong, kind in (
        (replace(record, host_key=public_line(new_key())), HostKeyChanged),
        (replace(record, sign_in=SignIn.PASSWORD), AuthFailed),
        (replace(record, port=free_port()), Unreachable),
    ):
        with pytest.raises(kind) as caught:
            await SshConnector().connect(wrong)
        assert caught.value.node == record.name
        message = caught.value.message
    assert "does not reach port" in message
    assert record.jump is not None
    assert record.jump.title in message
    await until_no_session(jump)


async def test_a_jump_host_that_goes_takes_the_node_with_it_and_says_so(sshd: Sshd, jump: Sshd) -> None:
    session = await SshConnector().connect(behind(sshd, jump))
    jump.kill_sessions()
    async with asyncio.timeout(10):
        assert await session.wait_closed()
    await session.close()


async def test_a_cancelled_attempt_through_a_jump_host_leaves_nothing(sshd: Sshd, jump: Sshd) -> None:
    for delay_s in (0.0, 0.01, 0.03, 0.06, 0.1):
        attempt = asyncio.ensure_future(SshConnector().connect(behind(sshd, jump)))
        await asyncio.sleep(delay_s)
        attempt.cancel()
        (result,) = await asyncio.gather(attempt, return_exceptions=True)
        if not isinstance(result, BaseException):
            await result.close()
    await until_no_session(jump)
    await until_no_session(sshd)


async def test_a_jump_host_without_forwarding_is_told_so(sshd: Sshd, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "closed", options=["AllowTcpForwarding no"]) as closed:
        with pytest.raises(Unreachable, match="does not reach") as caught:
            await SshConnector().connect(behind(sshd, closed))
        assert "AllowTcpForwarding" in caught.value.remedy


async def test_a_busy_server_behind_a_jump_host_is_busy_not_lost(jump: Sshd) -> None:
    tries = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.write(b"Exceeded MaxStartups\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    record = NodeRecord("n", "spark-1", "127.0.0.1", server.sockets[0].getsockname()[1], "bob", jump=through(jump))
    with pytest.raises(NodeBusy, match="busy with other logins"):
        await SshConnector().connect(replace(record, host_key=public_line(new_key())))
    assert tries == 3
    server.close()


async def test_ten_nodes_at_once_behind_one_jump_host_do_not_block_each_other(sshd: Sshd, jump: Sshd) -> None:
    connector = SshConnector()
    sessions = await asyncio.gather(*(connector.connect(behind(sshd, jump), timeout_s=40) for _ in range(10)))
    await asyncio.gather(*(session.close() for session in sessions))


async def test_each_machine_gets_the_password_that_was_given_for_it_alone(jump: Sshd) -> None:
    async with running_server(password="of the jump host") as gate:
        way = JumpHost("127.0.0.1", gate.port, "nvidia", gate.host_key)
        record = NodeRecord("n", "spark-1", "127.0.0.1", 1, "nvidia", host_key=public_line(new_key()), jump=way)
        with pytest.raises(AuthFailed) as caught:
            await SshConnector().connect(record, password="of the node")
        assert caught.value.node == way.title
        assert gate.seen.passwords == []
    async with running_server(password="of the node") as node:
        record = replace(node.record(), sign_in=SignIn.PASSWORD, jump=through(jump))
        with pytest.raises(AuthFailed):
            await SshConnector().connect(record, jump_password="of the jump host")
        assert node.seen.passwords == []


# Ways to sign in ----------------------------------------------------------------------------------------------------


async def test_by_password_no_key_is_offered(own_home: Path) -> None:
    ensure_key(own_home / ".ssh" / "id_ed25519")
    async with running_server(password="right") as server:
        record = replace(server.record(), sign_in=SignIn.PASSWORD, key_path=str(own_home / ".ssh" / "id_ed25519"))
        session = await SshConnector().connect(record, password="right")
        await session.close()
        assert server.seen.keys == []


async def test_by_key_file_nothing_else_is_offered(own_home: Path, tmp_path: Path) -> None:
    ensure_key(own_home / ".ssh" / "id_ed25519")
    only = " ".join(ensure_key(tmp_path / "only").split()[:2])
    async with running_server() as server:
        record = replace(server.record(), sign_in=SignIn.KEY, key_path=str(tmp_path / "only"))
        with pytest.raises(AuthFailed):
            await SshConnector().connect(record)
        assert set(server.seen.keys) == {only}


async def test_by_agent_the_usual_key_files_stay_at_home(own_home: Path) -> None:
    ensure_key(own_home / ".ssh" / "id_ed25519")
    async with running_server() as server:
        with pytest.raises(AuthFailed, match="refused the sign-in") as caught:
            await SshConnector().connect(replace(server.record(), sign_in=SignIn.AGENT))
        assert server.seen.keys == []
        assert "no SSH agent" in caught.value.detail


async def test_automatic_offers_our_own_key_first_and_the_usual_ones_only_when_it_is_refused(
    own_home: Path, tmp_path: Path
) -> None:
    usual = " ".join(ensure_key(own_home / ".ssh" / "id_ed25519").split()[:2])
    own = " ".join(ensure_key(tmp_path / "own").split()[:2])
    for authorized, offered in (({own}, [own]), ({usual}, [own, usual])):
        async with running_server(authorized=authorized) as server:
            session = await SshConnector().connect(server.record(key_path=str(tmp_path / "own")))
            await session.close()
            assert list(dict.fromkeys(server.seen.keys)) == offered


async def test_the_agent_is_not_even_asked_when_our_own_key_lets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = " ".join(ensure_key(tmp_path / "own").split()[:2])
    visits = 0

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal visits
        visits += 1
        writer.close()

    agent = await asyncio.start_unix_server(visit, tmp_path / "agent")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    async with running_server(authorized={own}) as server:
        session = await SshConnector().connect(server.record(key_path=str(tmp_path / "own")))
        await session.close()
    assert visits == 0
    agent.close()


async def test_a_locked_key_needs_its_passphrase_and_nothing_is_sent_without(sshd: Sshd) -> None:
    lock = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(sshd.key_path)]
    await asyncio.to_thread(subprocess.run, lock, check=True)
    record = replace(sshd.record(), sign_in=SignIn.KEY)
    with pytest.raises(KeyLocked, match="is locked"):
        await SshConnector().connect(record)
    with pytest.raises(KeyLocked, match="does not open"):
        await SshConnector().connect(record, passphrase="wrong")
    assert "userauth" not in sshd.log
    assert "Accepted" not in sshd.log
    session = await SshConnector().connect(record, passphrase="open sesame")
    await session.close()


# Kinds of host key --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("is_behind", [True, False])
async def test_a_node_with_only_old_host_keys_is_told_so(
    tmp_path: Path, jump: Sshd, is_known: bool, is_behind: bool
) -> None:
    with running_sshd(tmp_path / "old", options=["HostKeyAlgorithms ssh-rsa"]) as server:
        server.change_host_key("rsa")
        record = replace(server.record(), host_key=public_line(new_key()) if is_known else "")
        record = replace(record, jump=through(jump) if is_behind else None)
        for _ in range(5):
            with pytest.raises(HostKeyChanged if is_known else Unreachable) as caught:
                await SshConnector().connect(record)
            assert "ssh-rsa" in f"{caught.value.message} {caught.value.detail}"
            assert is_known or "kinds that SparkDesk does not accept" in caught.value.message
        assert "Accepted" not in server.log


def test_an_opening_that_is_not_whole_tells_nothing() -> None:
    names = [b"curve25519-sha256", b"ssh-rsa,ssh-dss"]
    lists = b"".join(len(name).to_bytes(4, "big") + name for name in names)
    whole = b"hello\r\nSSH-2.0-x\r\n" + (200).to_bytes(4, "big") + b"\x04\x14" + b"c" * 16 + lists
    assert read_host_key_kinds(whole) == ("ssh-rsa", "ssh-dss")
    for length in range(len(whole)):
        assert read_host_key_kinds(whole[:length]) == ()
    assert read_host_key_kinds(b"SSH-2.0-x\n" + b"\xff" * 500) == ()
