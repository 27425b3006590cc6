"""A server that is not the node it poses as: no password and no signature reaches it, in eight variants and behind a
jump host. Real servers on loopback, and a client that has a password, a key file and an agent's key to lose.

SparkDesk trusts no certificate authority, so a host certificate never proves anything here.
"""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sparkdesk.core.cluster.node import JumpHost, NodeRecord, SignIn
from sparkdesk.core.errors import HostKeyChanged, HostKeyUnknown, NodeError, Unreachable
from sparkdesk.infra.ssh import SshConnector, UserKnownHosts, ensure_key
from tests.infra.ssh_agent import add_key
from tests.infra.ssh_server import Seen, new_key, public_line, running_server
from tests.infra.sshd import running_sshd

PASSWORD = "canary-password"


@pytest.fixture(autouse=True)
def keys_to_lose(own_home: Path, agent: Path, tmp_path: Path) -> None:
    """A key file and an agent's key that would be offered to whoever is let that far."""
    ensure_key(own_home / ".ssh" / "id_ed25519")
    ensure_key(tmp_path / "agents")
    add_key(agent, tmp_path / "agents")


def record_at(port: int, host_key: str, **changes: object) -> NodeRecord:
    base = NodeRecord(id="n", name="spark-1", address="127.0.0.1", port=port, user="nvidia", host_key=host_key)
    return replace(base, **changes)  # type: ignore[arg-type]


async def attack(record: NodeRecord, seen: Seen | None) -> NodeError:
    """Sign in with all there is, in each way; gives the last refusal. Nobody must have got so far as a user name."""
    error: NodeError | None = None
    for how in (SignIn.AUTOMATIC, SignIn.PASSWORD, SignIn.AGENT):
        with pytest.raises(NodeError) as caught:
            await SshConnector().connect(replace(record, sign_in=how), password=PASSWORD, timeout_s=20.0)
        error = caught.value
        assert error.remedy
        assert PASSWORD not in f"{error} {error.detail} {error.remedy}"
    if seen is not None:
        assert seen.connections > 0
        assert (seen.users, seen.passwords, seen.keys) == ([], [], [])
    assert error is not None
    return error


async def test_1_a_new_key_is_asked_about() -> None:
    async with running_server(password=PASSWORD) as rogue:
        error = await attack(record_at(rogue.port, ""), rogue.seen)
        assert isinstance(error, HostKeyUnknown)
        assert error.host_key == rogue.host_key


async def test_2_a_changed_key_is_refused() -> None:
    async with running_server(password=PASSWORD) as rogue:
        assert isinstance(await attack(record_at(rogue.port, public_line(new_key())), rogue.seen), HostKeyChanged)


@pytest.mark.parametrize(
    "key", [("ssh-rsa", 2048), ("ssh-rsa", 1024), ("ecdsa-sha2-nistp256", 0)], ids=lambda key: f"{key[0]}-{key[1]}"
)
async def test_3_another_type_of_key_than_the_trusted_one_is_a_changed_key(key: tuple[str, int]) -> None:
    kind, bits = key
    weaker = new_key(kind, key_size=bits) if bits else new_key(kind)
    async with running_server(weaker, password=PASSWORD) as rogue:
        assert isinstance(await attack(record_at(rogue.port, public_line(new_key())), rogue.seen), HostKeyChanged)
        fresh = await attack(record_at(rogue.port, ""), rogue.seen)
        assert isinstance(fresh, Unreachable if bits == 1024 else HostKeyUnknown)


@pytest.mark.parametrize("principal", ["127.0.0.1", "another-host"])
async def test_4_a_certificate_of_an_authority_proves_nothing(principal: str) -> None:
    authority, key, trusted = new_key(), new_key(), new_key()
    certificate = authority.generate_host_certificate(key, "rogue", principals=[principal])
    async with running_server(key, password=PASSWORD, options={"server_host_certs": [certificate]}) as rogue:
        assert isinstance(await attack(record_at(rogue.port, public_line(trusted)), rogue.seen), HostKeyChanged)
        # Not even where the authority's own key is what a person trusts: that is another key.
        assert isinstance(await attack(record_at(rogue.port, public_line(authority)), rogue.seen), HostKeyChanged)
        fresh = await attack(record_at(rogue.port, ""), rogue.seen)
        assert isinstance(fresh, HostKeyUnknown)
        assert fresh.host_key == public_line(key)


@pytest.mark.parametrize("is_known", [True, False])
async def test_4_a_server_that_has_nothing_but_a_certificate_is_told_so(tmp_path: Path, is_known: bool) -> None:
    options = [
        "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com",
        f"HostCertificate {tmp_path / 'sshd' / 'host-cert.pub'}",
    ]
    with running_sshd(tmp_path / "sshd", options=options) as rogue:
        sign_certificate(tmp_path / "sshd")
        rogue.stop()
        rogue.start()
        error = await attack(rogue.record(host_key=public_line(new_key()) if is_known else ""), None)
        assert isinstance(error, HostKeyChanged if is_known else Unreachable)
        assert is_known or "certificate" in error.message
        assert "Failed" not in rogue.log
        assert "Accepted" not in rogue.log


def sign_certificate(folder: Path) -> None:
    for command in (
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "authority")],
        ["ssh-keygen", "-q", "-s", str(folder / "authority"), "-I", "x", "-h", "-n", "a", str(folder / "host.pub")],
    ):
        subprocess.run(command, check=True, timeout=20)


async def test_5_a_revoked_key_is_no_known_one_whatever_else_the_list_says(own_home: Path) -> None:
    # That adding a node stops at such a key is shown in tests/services/fleet/test_enrolment.py.
    async with running_server(password=PASSWORD) as rogue:
        place = f"[127.0.0.1]:{rogue.port}"
        lines = [f"{place} {rogue.host_key}", f"@revoked * {rogue.host_key}"]
        known_hosts = own_home / ".ssh" / "known_hosts"
        known_hosts.write_text(lines[0] + "\n")
        assert await UserKnownHosts().has("127.0.0.1", rogue.port, rogue.host_key)
        assert not await UserKnownHosts().revokes("127.0.0.1", rogue.port, rogue.host_key)
        for order in (lines, lines[::-1]):
            known_hosts.write_text("\n".join(order) + "\n")
            assert not await UserKnownHosts().has("127.0.0.1", rogue.port, rogue.host_key)
            assert await UserKnownHosts().revokes("127.0.0.1", rogue.port, rogue.host_key)
        # And no line of the user's list ever lets a password go.
        assert isinstance(await attack(record_at(rogue.port, ""), rogue.seen), HostKeyUnknown)


async def test_6_the_same_name_at_another_address_is_judged_by_its_key() -> None:
    honest, false = new_key(), new_key()
    async with running_server(honest, password=PASSWORD) as node:
        # "localhost" is the name; what it leads to is another machine now, on the same port.
        async with running_server(false, address="127.0.0.2", port=node.port, password=PASSWORD) as rogue:
            record = record_at(node.port, public_line(honest), name="localhost", address="127.0.0.2")
            assert isinstance(await attack(record, rogue.seen), HostKeyChanged)
        session = await SshConnector().connect(record_at(node.port, public_line(honest)), password=PASSWORD)
        await session.close()


async def test_7_the_same_address_with_another_key_is_refused_after_the_first_visit() -> None:
    async with running_server(password=PASSWORD) as node:
        record = record_at(node.port, node.host_key)
        session = await SshConnector().connect(record, password=PASSWORD)
        await session.close()
    async with running_server(new_key(), password=PASSWORD, port=record.port) as rogue:
        assert isinstance(await attack(record, rogue.seen), HostKeyChanged)


@pytest.mark.parametrize(
    "piece", [b"hello\r\n" * 500, b"x" * 4096, b"\x00\xff\x1b[2J" * 600], ids=["lines", "line", "bytes"]
)
@pytest.mark.parametrize("is_known", [True, False])
async def test_8_a_flood_before_the_version_ends_bounded(piece: bytes, is_known: bool) -> None:
    received = bytearray()
    before = psutil.Process().memory_info().rss

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                writer.write(piece)
                await writer.drain()
                received.extend(await read_ready(reader))
        writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    error = await attack(record_at(port, public_line(new_key()) if is_known else ""), None)
    server.close()
    await asyncio.sleep(0.05)
    assert isinstance(error, Unreachable)
    assert received.startswith(b"SSH-2.0-")
    assert PASSWORD.encode() not in received
    assert len(error.detail) <= 4096
    assert psutil.Process().memory_info().rss - before < 64 << 20


async def read_ready(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(0.001):
            return await reader.read(4096)
    except TimeoutError:
        return b""


async def test_a_jump_host_that_leads_elsewhere_gets_neither_password_nor_signature(tmp_path: Path) -> None:
    with running_sshd(tmp_path / "jump") as jump:
        way = JumpHost("127.0.0.1", jump.port, jump.user, jump.host_key, str(jump.key_path))
        async with running_server(password=PASSWORD) as rogue:
            record = record_at(rogue.port, public_line(new_key()), jump=way)
            assert isinstance(await attack(record, rogue.seen), HostKeyChanged)
            assert isinstance(await attack(replace(record, host_key=""), rogue.seen), HostKeyUnknown)
        assert "Failed password" not in jump.log


async def test_a_false_jump_host_gets_nothing(tmp_path: Path) -> None:
    async with running_server(password=PASSWORD) as rogue:
        for trusted, kind in ((public_line(new_key()), HostKeyChanged), ("", HostKeyUnknown)):
            way = JumpHost("127.0.0.1", rogue.port, "nvidia", trusted)
            record = record_at(1, public_line(new_key()), jump=way)
            with pytest.raises(kind) as caught:
                await SshConnector().connect(record, password=PASSWORD, jump_password="jump-canary")
            assert caught.value.node == way.title
            with pytest.raises(kind):
                await SshConnector().look("10.0.0.1", 22, jump=way, jump_password="jump-canary")
        assert rogue.seen.connections == 4
        assert (rogue.seen.users, rogue.seen.passwords, rogue.seen.keys) == ([], [], [])
