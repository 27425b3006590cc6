"""Who is let in, who is refused, and that nothing secret goes out before the host key was judged."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.command import Command
from sparkdesk.core.errors import (
    AuthFailed,
    HostKeyChanged,
    HostKeyUnknown,
    NodeBusy,
    NodeError,
    Unreachable,
)
from sparkdesk.infra.ssh import SshConnector, ensure_key
from tests.infra.ssh_agent import add_key
from tests.infra.ssh_server import new_key, public_line, running_server
from tests.infra.sshd import Sshd, free_port, running_sshd


def run_tool(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=20).stdout


async def expect(kind: type[NodeError], record: NodeRecord, *, password: str | None = None) -> NodeError:
    with pytest.raises(kind) as caught:
        await SshConnector().connect(record, password=password)
    assert type(caught.value) is kind
    assert caught.value.node == record.name
    assert caught.value.remedy
    return caught.value


async def test_an_unknown_host_key_is_shown_to_be_compared_and_nothing_is_sent() -> None:
    async with running_server(password="secret") as server:
        error = await expect(HostKeyUnknown, server.record(host_key=""), password="secret")
        assert isinstance(error, HostKeyUnknown)
        assert error.host_key == server.host_key
        assert error.fingerprint.startswith("SHA256:")
        assert "ssh-keygen -lf" in error.remedy
        assert server.seen.connections == 1
        assert (server.seen.users, server.seen.passwords, server.seen.keys) == ([], [], [])


async def test_a_changed_host_key_is_refused_with_both_fingerprints_and_nothing_is_sent() -> None:
    other = new_key()
    async with running_server(password="secret") as server:
        error = await expect(HostKeyChanged, server.record(host_key=public_line(other)), password="secret")
        assert isinstance(error, HostKeyChanged)
        assert error.trusted == other.get_fingerprint()
        assert error.offered.startswith("SHA256:")
        assert error.offered != error.trusted
        assert (server.seen.users, server.seen.passwords, server.seen.keys) == ([], [], [])


async def test_another_kind_of_host_key_is_a_changed_one() -> None:
    ecdsa = new_key("ecdsa-sha2-nistp256")
    async with running_server(ecdsa, password="secret") as server:
        error = await expect(HostKeyChanged, server.record(host_key=public_line(new_key())), password="secret")
        assert isinstance(error, HostKeyChanged)
        assert error.offered == ecdsa.get_fingerprint()
        assert server.seen.users == []


async def test_a_node_with_several_host_keys_proves_itself_with_the_trusted_one() -> None:
    rsa, ecdsa, ed25519 = new_key("ssh-rsa", key_size=2048), new_key("ecdsa-sha2-nistp384"), new_key()
    async with running_server(ed25519, ecdsa, rsa, password="secret") as server:
        for key in (rsa, ecdsa, ed25519):
            record = server.record(host_key=public_line(key))
            session = await SshConnector().connect(record, password="secret")
            await session.close()


async def test_a_host_key_that_cannot_be_read_is_never_treated_as_new() -> None:
    async with running_server(password="secret") as server:
        await expect(HostKeyChanged, server.record(host_key="ssh-ed25519 AAAA"), password="secret")
        assert server.seen.connections == 0


@pytest.mark.parametrize("known", [True, False])
async def test_a_short_rsa_host_key_is_refused_known_or_not(known: bool) -> None:
    short = new_key("ssh-rsa", key_size=1024)
    async with running_server(short, password="secret") as server:
        error = await expect(
            Unreachable, server.record(host_key=public_line(short) if known else ""), password="secret"
        )
        assert "too weak" in error.message
        assert server.seen.passwords == []


async def test_sha1_and_old_key_exchanges_are_refused() -> None:
    weak: list[dict[str, object]] = [
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"encryption_algs": ["aes128-cbc"]},
        {"encryption_algs": ["aes128-ctr"], "mac_algs": ["hmac-sha1"]},
    ]
    for options in weak:
        async with running_server(password="secret", options=options) as server:
            error = await expect(Unreachable, server.record(), password="secret")
            assert "no longer safe" in error.message
            assert server.seen.users == []


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_signature_by_sha1_is_refused(tmp_path: Path, is_known: bool) -> None:
    with running_sshd(tmp_path / "sshd", options=["HostKeyAlgorithms ssh-rsa"]) as server:
        server.change_host_key("rsa")
        # sshd hangs up as soon as it sees our list; whether its own list still reaches us is a matter of luck.
        with pytest.raises((HostKeyChanged, Unreachable)):
            await SshConnector().connect(server.record(host_key=server.host_key if is_known else ""))
        assert "Accepted" not in server.log


async def test_look_shows_the_key_as_ssh_keygen_prints_it(sshd: Sshd) -> None:
    offer = await SshConnector().look("127.0.0.1", sshd.port)
    assert offer.host_key == sshd.host_key
    assert offer.fingerprint in run_tool("ssh-keygen", "-lf", str(sshd.folder / "host.pub"))


async def test_a_wrong_password_is_refused_after_one_try_and_says_what_was_tried() -> None:
    async with running_server(password="right") as server:
        error = await expect(AuthFailed, server.record(), password="wrong")
        assert server.seen.passwords == ["wrong"]
        assert "password" in error.detail
        assert "wrong" not in f"{error} {error.detail} {error.remedy}"


async def test_the_right_password_lets_in() -> None:
    async with running_server(password="right") as server:
        session = await SshConnector().connect(server.record(), password="right")
        assert (await session.run(Command(("greet",)))).stdout == b"hello\n"
        await session.close()


async def test_without_key_and_password_the_error_says_how_to_get_in() -> None:
    async with running_server() as server:
        error = await expect(AuthFailed, server.record())
        assert "no SSH key" in error.remedy
    async with running_server(password="right") as server:
        error = await expect(AuthFailed, server.record())
        assert "Enter the password" in error.remedy
        assert server.seen.passwords == []


async def test_the_default_key_of_the_user_is_offered_and_named_when_refused(own_home: Path) -> None:
    line = " ".join(ensure_key(own_home / ".ssh" / "id_ed25519").split()[:2])
    async with running_server() as server:
        error = await expect(AuthFailed, server.record())
        assert server.seen.keys == [line]
        assert "key ssh-ed25519 SHA256:" in error.detail
    async with running_server(authorized={line}) as server:
        session = await SshConnector().connect(server.record())
        await session.close()


async def test_no_more_keys_are_offered_than_sshd_counts(own_home: Path, agent: Path, tmp_path: Path) -> None:
    for number in range(4):
        ensure_key(tmp_path / f"agents_{number}")
        add_key(agent, tmp_path / f"agents_{number}")
    for name in ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk"):
        ensure_key(own_home / ".ssh" / name)
    async with running_server() as server:
        error = await expect(AuthFailed, server.record())
        assert len(set(server.seen.keys)) == 5
        assert "more keys were not offered" in error.detail


async def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "key"
    ensure_key(path)
    path.chmod(0o644)
    async with running_server() as server:
        with pytest.raises(AuthFailed, match="open to other users") as caught:
            await SshConnector().connect(server.record(key_path=str(path)))
        assert "chmod 600" in caught.value.remedy
        with pytest.raises(AuthFailed, match="missing"):
            await SshConnector().connect(server.record(key_path=str(tmp_path / "none")))
        assert server.seen.keys == []


async def test_the_agent_is_asked_for_keys(agent: Path, tmp_path: Path) -> None:
    line = " ".join(ensure_key(tmp_path / "key").split()[:2])
    add_key(agent, tmp_path / "key")
    async with running_server(authorized={line}) as server:
        session = await SshConnector().connect(server.record())
        await session.close()


async def test_a_dead_agent_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody"))
    async with running_server(password="right") as server:
        session = await SshConnector().connect(server.record(), password="right")
        await session.close()


async def test_the_users_ssh_configuration_changes_nothing(own_home: Path, tmp_path: Path) -> None:
    """A hop or a program from there would meet no key that was confirmed here."""
    proof = tmp_path / "ran"
    lines = [f"ProxyCommand touch {proof}", "ProxyJump nobody@127.0.0.1:1", "User somebody", "Port 1"]
    lines += ["StrictHostKeyChecking no", "UserKnownHostsFile /dev/null", "ForwardAgent yes"]
    async with running_server(password="right") as server:
        (own_home / ".ssh").mkdir(mode=0o700)
        (own_home / ".ssh" / "config").write_text("Host *\n" + "\n".join(f"    {line}" for line in lines) + "\n")
        session = await SshConnector().connect(server.record(), password="right")
        await session.close()
        await expect(HostKeyChanged, server.record(host_key=public_line(new_key())), password="right")
        assert server.seen.users == ["nvidia"]
    assert not proof.exists()


async def test_a_closed_port_and_an_unknown_name_are_told_apart() -> None:
    record = NodeRecord(id="n", name="spark-1", address="127.0.0.1", port=free_port(), user="nvidia")
    error = await expect(Unreachable, record)
    assert error.message == f"Nothing answers on port {record.port} of 127.0.0.1"
    error = await expect(Unreachable, replace(record, address="no-such-host.invalid"))
    assert error.message == "The name no-such-host.invalid was not found"


@asynccontextmanager
async def listening(answer: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[NodeRecord]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield NodeRecord(id="n", name="spark-1", address="127.0.0.1", port=port, user="nvidia")
    finally:
        server.close()


async def test_a_port_that_says_nothing_ends_in_time() -> None:
    enough = asyncio.Event()

    async def keep_silent(writer: asyncio.StreamWriter) -> None:
        await enough.wait()

    async with listening(keep_silent) as record:
        with pytest.raises(Unreachable, match=r"within 0\.5 s"):
            await SshConnector().connect(record, timeout_s=0.5)
        enough.set()
        await asyncio.sleep(0.01)


async def test_a_port_that_speaks_something_else_is_unreachable() -> None:
    async def speak_http(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 2000)
        await writer.drain()

    async with listening(speak_http) as record:
        await expect(Unreachable, record)


@pytest.mark.parametrize(
    ("greeting", "words", "tries"),
    [
        (b"Exceeded MaxStartups\r\n", "busy with other logins", 3),
        (b"", "busy with other logins", 3),
        (b"Not allowed at this time\r\n", "for a while", 1),
    ],
)
async def test_a_server_without_a_free_login_is_tried_a_few_times(greeting: bytes, words: str, tries: int) -> None:
    count = 0

    async def refuse(writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        writer.write(greeting)

    async with listening(refuse) as record:
        error = await expect(NodeBusy, replace(record, host_key=public_line(new_key())))
        assert words in error.message
        assert count == tries
        await expect(NodeBusy, replace(record, host_key=""))  # a mere look is one touch
        assert count == tries + 1


async def test_thirty_logins_at_once_stay_below_what_sshd_refuses(tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd", options=["MaxStartups 10:100:10"]) as server:
        connector = SshConnector()
        sessions = await asyncio.gather(*(connector.connect(server.record(), timeout_s=60) for _ in range(30)))
        assert "MaxStartups" not in server.log
        await asyncio.gather(*(session.close() for session in sessions))


async def test_a_cancelled_attempt_leaves_no_socket_behind() -> None:
    async with running_server(password="right") as server:
        connector = SshConnector()
        for delay_s in (0.0, 0.002, 0.005, 0.01, 0.02, 0.04):
            attempt = asyncio.ensure_future(connector.connect(server.record(), password="right"))
            await asyncio.sleep(delay_s)
            attempt.cancel()
            results = await asyncio.gather(attempt, return_exceptions=True)
            if not isinstance(results[0], BaseException):
                await results[0].close()
        session = await connector.connect(server.record(), password="right")
        await session.close()


def test_core_and_services_work_without_asyncssh() -> None:
    code = "import sparkdesk.services.tasks, sparkdesk.core.ports, sys; print('asyncssh' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"


async def test_a_closed_socket_in_the_middle_of_the_handshake_is_unreachable() -> None:
    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        await writer.drain()
        sock: socket.socket = writer.get_extra_info("socket")
        sock.shutdown(socket.SHUT_RDWR)

    async with listening(half) as record:
        await expect(Unreachable, record)
