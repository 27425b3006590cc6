"""A person adds a node: the key first, then the sign-in; who gives up leaves nothing behind. Real SSH servers."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.cluster.candidate import Candidate
from sparkdesk.core.cluster.enrolment import EnrolStage, Who
from sparkdesk.core.cluster.node import ClusterRecord, JumpHost, NodeRecord, NodeState, SignIn
from sparkdesk.infra.ssh import ensure_key, fingerprint_of
from sparkdesk.services.wait import wait_for_value
from tests.infra.ssh_agent import add_key, running_agent
from tests.infra.ssh_server import SshServer, new_key, public_line, running_server
from tests.infra.sshd import Sshd, free_port, running_sshd
from tests.services.fleet.enrol_desk import PASSWORD, TIMEOUT_S, EnrolDesk, home_of, sign_in_by_password


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


def run_keygen(*arguments: str, check: bool = True) -> str:
    return subprocess.run(["ssh-keygen", *arguments], check=check, capture_output=True, text=True, timeout=20).stdout


def is_untouched(server: SshServer) -> bool:
    """Whether nobody tried to sign in."""
    seen = server.seen
    return not seen.passwords and not seen.keys and not seen.users


# Trust --------------------------------------------------------------------------------------------------------------


async def test_the_key_is_shown_as_ssh_keygen_shows_it_before_anything_is_sent(desk: EnrolDesk, node: Sshd) -> None:
    desk.start(node)
    now = await desk.reach(EnrolStage.TRUST)
    shown = run_keygen("-lvf", str(node.folder / "host.pub"))
    assert now.offer is not None
    assert now.offer.fingerprint in shown
    assert now.offer.art == shown.split("\n", 1)[1].rstrip("\n")
    assert f"({now.offer.key_type})" in shown
    assert (now.offer.known_as, now.offer.in_known_hosts) == ("", False)
    assert "Failed" not in node.log
    assert "Accepted" not in node.log


@pytest.mark.parametrize("is_hashed", [False, True])
async def test_the_users_own_known_hosts_is_a_hint_only(desk: EnrolDesk, own_home: Path, is_hashed: bool) -> None:
    async with running_server(password=PASSWORD) as server:
        folder = own_home / ".ssh"
        folder.mkdir(mode=0o700)
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.host_key}\nnonsense\n")
        if is_hashed:
            run_keygen("-q", "-H", "-f", str(folder / "known_hosts"), check=False)
        desk.start(server)
        now = await desk.reach(EnrolStage.TRUST)
        assert now.offer is not None
        assert now.offer.in_known_hosts
        assert is_untouched(server)


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256"])
async def test_another_key_in_the_users_own_list_is_said_beside_the_new_one(
    desk: EnrolDesk, own_home: Path, kind: str
) -> None:
    async with running_server(password=PASSWORD) as server:
        other = public_line(new_key(kind))
        (own_home / ".ssh").mkdir(mode=0o700)
        (own_home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {other}\n")
        desk.start(server)
        now = await desk.reach(EnrolStage.TRUST)
        assert now.offer is not None
        assert not now.offer.in_known_hosts
        assert now.offer.other_fingerprint == fingerprint_of(other)
        assert now.offer.other_key_type == ("ED25519" if kind == "ssh-ed25519" else "ECDSA")
        assert "by another key" in "".join(now.log)
        assert is_untouched(server)


async def test_a_second_key_of_a_known_host_is_no_contradiction(desk: EnrolDesk, own_home: Path) -> None:
    async with running_server(password=PASSWORD) as server:
        place, other = f"[127.0.0.1]:{server.port}", public_line(new_key())
        (own_home / ".ssh").mkdir(mode=0o700)
        (own_home / ".ssh" / "known_hosts").write_text(f"{place} {other}\n{place} {server.host_key}\n")
        desk.start(server)
        now = await desk.reach(EnrolStage.TRUST)
        assert now.offer is not None
        assert (now.offer.in_known_hosts, now.offer.other_fingerprint) == (True, "")


async def test_a_key_that_the_users_own_list_revokes_ends_the_attempt(desk: EnrolDesk, own_home: Path) -> None:
    async with running_server(password=PASSWORD) as server:
        (own_home / ".ssh").mkdir(mode=0o700)
        (own_home / ".ssh" / "known_hosts").write_text(f"@revoked * {server.host_key}\n")
        desk.start(server, SignIn.PASSWORD)
        now = await desk.reach(EnrolStage.FAILED)
        assert "must not be trusted" in now.message
        desk.enroller.trust()
        await asyncio.sleep(0.05)
        assert desk.now.stage is EnrolStage.FAILED
        assert is_untouched(server)


async def test_a_known_address_with_another_key_is_refused_with_no_way_on(desk: EnrolDesk) -> None:
    async with running_server(password=PASSWORD) as server:
        await desk.inventory.add_node(server.record(), password=PASSWORD)
        await desk.inventory.close()
        port = server.port
    async with running_server(new_key(), password=PASSWORD, port=port) as impostor:
        desk.start(impostor, SignIn.PASSWORD)
        await desk.reach(EnrolStage.NEEDS_PASSWORD)
        desk.enroller.give_password(PASSWORD, remember=False)
        now = await desk.reach(EnrolStage.CHANGED_KEY)
        assert now.offer is not None
        assert now.offer.fingerprint.startswith("SHA256:")
        assert now.trusted_fingerprint.startswith("SHA256:")
        assert now.trusted_fingerprint != now.offer.fingerprint
        assert now.known_as == "spark-1"
        for way_on in (desk.enroller.trust, desk.enroller.retry, desk.enroller.set_up_key):
            way_on()
        await asyncio.sleep(0.05)
        assert desk.now.stage is EnrolStage.CHANGED_KEY
        assert is_untouched(impostor)


async def test_a_key_that_changed_since_it_was_shown_lets_nobody_in(desk: EnrolDesk) -> None:
    async with running_server(password=PASSWORD) as server:
        desk.start(server, SignIn.PASSWORD)
        await desk.reach(EnrolStage.TRUST)
        port = server.port
    async with running_server(new_key(), password=PASSWORD, port=port) as impostor:
        desk.enroller.trust()
        await desk.reach(EnrolStage.NEEDS_PASSWORD)
        desk.enroller.give_password(PASSWORD, remember=False)
        now = await desk.reach(EnrolStage.CHANGED_KEY)
        assert is_untouched(impostor)
        assert "remove" not in now.remedy.lower()  # there is no node yet
        desk.start(impostor, SignIn.PASSWORD)
        await wait_for_value(desk.enroller.enrolment, lambda now: "again in" in now.message, timeout_s=TIMEOUT_S)
        desk.clock.move(61.0)
        now = await desk.reach(EnrolStage.TRUST)
        assert now.offer is not None
        assert now.offer.fingerprint == fingerprint_of(impostor.host_key)


async def test_nothing_but_trust_leads_on_from_trust(desk: EnrolDesk) -> None:
    async with running_server(password=PASSWORD) as server:
        desk.start(server)
        await desk.reach(EnrolStage.TRUST)
        desk.enroller.give_password(PASSWORD, remember=True)
        desk.enroller.set_up_key()
        desk.enroller.take_same(is_same=True)
        desk.enroller.retry()
        await asyncio.sleep(0.05)
        assert desk.now.stage is EnrolStage.TRUST
        assert is_untouched(server)


@pytest.mark.parametrize(
    "who",
    [
        Who("", user="bob"),
        Who("-oProxyCommand=x", user="bob"),
        Who("spark", user=""),
        Who("spark", user="-l"),
        Who("spark", user="bob", port=0),
        Who("spark", user="bob", sign_in=SignIn.KEY),
        Who("spark", user="bob", jump="a b"),
    ],
)
async def test_what_cannot_be_tried_is_said_at_once(desk: EnrolDesk, who: Who) -> None:
    desk.enroller.start(who)
    assert desk.now.stage is EnrolStage.FAILED
    assert desk.now.message
    assert desk.now.remedy
    desk.enroller.retry()
    assert desk.now.stage is EnrolStage.FAILED


async def test_a_closed_port_is_said_and_can_be_tried_again(desk: EnrolDesk) -> None:
    port = free_port()
    desk.enroller.start(Who("127.0.0.1", port, "nvidia"))
    now = await desk.reach(EnrolStage.FAILED)
    assert "Nothing answers" in now.message
    assert now.remedy
    async with running_server(password=PASSWORD, port=port):
        desk.enroller.retry()
        await desk.reach(EnrolStage.TRUST)


# Sign in ------------------------------------------------------------------------------------------------------------


async def test_a_usual_key_of_the_user_lets_in_without_a_question(
    desk: EnrolDesk, tmp_path: Path, own_home: Path
) -> None:
    with running_sshd(tmp_path / "sshd") as server:
        (own_home / ".ssh").mkdir(mode=0o700)
        (own_home / ".ssh" / "id_ed25519").write_bytes(server.key_path.read_bytes())
        (own_home / ".ssh" / "id_ed25519").chmod(0o600)
        desk.start(server)
        await desk.reach(EnrolStage.TRUST)
        desk.enroller.trust()
        now = await desk.reach(EnrolStage.DONE)
        assert not now.can_set_up_key
        assert [record.id for record in desk.records] == [now.node_id]
        assert desk.records[0].key_path == ""
        assert desk.records[0].machine_id
        await desk.inventory_is(NodeState.LIVE)


async def test_a_locked_key_asks_for_its_passphrase_and_a_wrong_one_again(desk: EnrolDesk, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "sshd") as server:
        path = str(server.key_path)
        run_keygen("-q", "-p", "-P", "", "-N", "open sesame", "-f", path)
        desk.start(server, SignIn.KEY, key_path=path)
        await desk.reach(EnrolStage.TRUST)
        desk.enroller.trust()
        now = await desk.reach(EnrolStage.NEEDS_PASSPHRASE)
        assert "locked" in now.message
        desk.enroller.give_passphrase("wrong", remember=False)
        await wait_for_message(desk, EnrolStage.NEEDS_PASSPHRASE, "does not open")
        assert "Failed" not in server.log
        desk.enroller.give_passphrase("open sesame", remember=False)
        await desk.reach(EnrolStage.DONE)
        await desk.inventory_is(NodeState.LIVE)  # its line finds the passphrase, too
        assert "open sesame" not in "\n".join(desk.now.log)


async def wait_for_message(desk: EnrolDesk, stage: EnrolStage, words: str) -> None:
    while not (desk.now.stage is stage and words in desk.now.message):
        await asyncio.sleep(0.01)


async def test_after_two_refused_sign_ins_it_stops_and_says_why(desk: EnrolDesk) -> None:
    async with running_server(password=PASSWORD) as server:
        desk.start(server)
        await desk.reach(EnrolStage.TRUST)
        desk.enroller.trust()
        now = await desk.reach(EnrolStage.NEEDS_PASSWORD)
        assert now.message == ""
        desk.enroller.give_password("wrong 1", remember=False)
        await wait_for_message(desk, EnrolStage.NEEDS_PASSWORD, "refused")
        desk.enroller.give_password("wrong 2", remember=False)
        now = await desk.reach(EnrolStage.FAILED)
        assert "10 minutes" in now.remedy
        assert server.seen.passwords == ["wrong 1", "wrong 2"]
        await asyncio.sleep(0.1)
        assert server.seen.passwords == ["wrong 1", "wrong 2"]
        desk.enroller.retry()
        await desk.reach(EnrolStage.NEEDS_PASSWORD)
        desk.enroller.give_password(PASSWORD, remember=False)
        await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
        assert server.seen.passwords[-1] == PASSWORD
        assert "wrong" not in repr(desk.now)


async def test_a_node_that_takes_no_password_asks_for_none(desk: EnrolDesk) -> None:
    async with running_server() as server:
        desk.start(server)
        await desk.reach(EnrolStage.TRUST)
        desk.enroller.trust()
        now = await desk.reach(EnrolStage.FAILED)
        assert "no SSH key" in now.remedy


async def test_the_agents_key_lets_in_and_no_other_is_offered(
    desk: EnrolDesk, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_key(own_home / ".ssh" / "id_ed25519")
    with running_sshd(tmp_path / "sshd") as server, running_agent(tmp_path) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        add_key(agent, server.key_path)
        desk.start(server, SignIn.AGENT)
        await desk.reach(EnrolStage.TRUST)
        desk.enroller.trust()
        now = await desk.reach(EnrolStage.DONE)
        assert not now.can_set_up_key
        assert desk.records[0].sign_in is SignIn.AGENT
        assert "Failed publickey" not in server.log


async def test_a_password_of_one_node_is_never_tried_on_another(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node, remember=True)
    desk.enroller.keep_password()
    await desk.reach(EnrolStage.DONE)
    async with running_server(password=PASSWORD) as second:
        for how in (SignIn.PASSWORD, SignIn.AUTOMATIC):
            desk.start(second, how, user=node.user)
            await desk.reach(EnrolStage.TRUST)
            desk.enroller.trust()
            await desk.reach(EnrolStage.NEEDS_PASSWORD)
            await asyncio.sleep(0.05)
            assert second.seen.passwords == []
        await desk.inventory.add_node(replace(second.record(), user=node.user, sign_in=SignIn.PASSWORD))
        await wait_for_value(
            desk.inventory.nodes, lambda nodes: nodes[-1].state is NodeState.REFUSED, timeout_s=TIMEOUT_S
        )
        assert second.seen.passwords == []


async def test_a_removed_nodes_password_is_forgotten(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node, remember=True)
    desk.enroller.keep_password()
    await desk.reach(EnrolStage.DONE)
    (record,) = desk.records
    assert (await desk.credentials.get(record)).password == PASSWORD
    await desk.inventory.remove_node(record.id)
    assert (await desk.credentials.get(record)).password is None


# The same machine ---------------------------------------------------------------------------------------------------


async def test_the_same_node_at_another_address_stays_one_node(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node)
    desk.enroller.set_up_key()
    first = await desk.reach(EnrolStage.DONE)
    desk.start(node, SignIn.PASSWORD, address="localhost")
    now = await desk.reach(EnrolStage.TRUST)
    assert now.offer is not None
    assert now.offer.known_as == desk.records[0].name
    desk.enroller.trust()
    await desk.reach(EnrolStage.NEEDS_PASSWORD)
    desk.enroller.give_password(PASSWORD, remember=False)
    now = await desk.reach(EnrolStage.SAME_NODE)
    assert now.known_as == desk.records[0].name
    desk.enroller.take_same(is_same=True)
    now = await desk.reach(EnrolStage.DONE)
    assert now.node_id == first.node_id
    (record,) = desk.records
    assert record.other_addresses == (f"localhost:{node.port}",)


async def test_two_machines_with_one_host_key_are_never_merged(desk: EnrolDesk, node: Sshd) -> None:
    copy = NodeRecord("old", "spark-9", "10.0.0.9", 22, "bob", host_key=node.host_key, machine_id="0" * 32)
    await desk.inventory.open(ClusterRecord("c", "Mine", (copy,)))
    desk.start(node, SignIn.PASSWORD)
    await desk.reach(EnrolStage.TRUST)
    desk.enroller.trust()
    await desk.reach(EnrolStage.NEEDS_PASSWORD)
    desk.enroller.give_password(PASSWORD, remember=False)
    now = await desk.reach(EnrolStage.FAILED)
    assert "two machines" in now.message
    assert "ssh_host_" in now.remedy
    assert [record.id for record in desk.records] == ["old"]


async def test_the_same_machine_id_behind_another_key_is_asked_about(desk: EnrolDesk, node: Sshd) -> None:
    machine_id = Path("/etc/machine-id").read_text().strip()
    other = NodeRecord("old", "spark-9", "10.0.0.9", 22, "bob", host_key=public_line(new_key()), machine_id=machine_id)
    await desk.inventory.open(ClusterRecord("c", "Mine", (other,)))
    for is_same in (True, False):
        desk.start(node, SignIn.PASSWORD)
        await desk.reach(EnrolStage.TRUST)
        desk.enroller.trust()
        await desk.reach(EnrolStage.NEEDS_PASSWORD)
        desk.enroller.give_password(PASSWORD, remember=False)
        now = await desk.reach(EnrolStage.SAME_NODE)
        assert now.known_as == "spark-9"
        desk.enroller.take_same(is_same=is_same)
        if is_same:
            now = await desk.reach(EnrolStage.FAILED)
            assert "Remove spark-9" in now.remedy
        else:
            await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
            desk.enroller.keep_password()
            await desk.reach(EnrolStage.DONE)
            assert len(desk.records) == 2


async def test_a_node_that_is_added_again_renews_its_sign_in(desk: EnrolDesk, node: Sshd) -> None:
    await sign_in_by_password(desk, node)
    desk.enroller.keep_password()
    first = await desk.reach(EnrolStage.DONE)
    assert desk.records[0].sign_in is SignIn.PASSWORD
    desk.start(node, SignIn.PASSWORD)
    await desk.reach(EnrolStage.NEEDS_PASSWORD)  # its key is trusted already
    desk.enroller.give_password(PASSWORD, remember=False)
    await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
    desk.enroller.set_up_key()
    now = await desk.reach(EnrolStage.DONE)
    assert now.node_id == first.node_id
    (record,) = desk.records
    assert record.key_path
    assert record.sign_in is SignIn.AUTOMATIC


# Through a jump host ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_remembered", [False, True])
async def test_a_node_behind_a_jump_host_is_added_with_both_keys_confirmed(
    desk: EnrolDesk, node: Sshd, tmp_path: Path, is_remembered: bool
) -> None:
    with running_sshd(tmp_path / "jump", password="jump secret") as jump:
        desk.start(node, SignIn.PASSWORD, jump=f"{jump.user}@localhost:{jump.port}")
        now = await desk.reach(EnrolStage.TRUST)
        assert now.offer is not None
        assert now.offer.host == "localhost"
        desk.enroller.trust()
        await wait_for_message(desk, EnrolStage.NEEDS_PASSWORD, "jump host localhost")
        assert desk.enroller.enrolment.value.asked_for == "jump host localhost"
        desk.enroller.give_password("jump secret", remember=is_remembered)
        now = await desk.reach(EnrolStage.TRUST)
        assert now.offer is not None
        assert now.offer.host == "127.0.0.1"
        assert "Accepted" not in node.log
        desk.enroller.trust()
        await desk.reach(EnrolStage.NEEDS_PASSWORD)
        desk.enroller.give_password(PASSWORD, remember=False)
        await desk.reach(EnrolStage.IDENTIFYING, has_choice=True)
        desk.enroller.set_up_key()
        await desk.reach(EnrolStage.DONE)
        (record,) = desk.records
        assert record.jump is not None
        assert record.jump.host_key == jump.host_key
        await desk.inventory_is(NodeState.LIVE)
        assert "Failed password" not in jump.log + node.log
        assert home_of(jump) == {}
        assert (await desk.credentials.get(record)).jump_password == "jump secret"  # for its line
        kept = await desk.secrets.get(f"password:{fingerprint_of(jump.host_key)}:{jump.user}")
        assert kept == ("jump secret" if is_remembered else None)
        assert is_remembered == any("jump host localhost is kept" in line for line in desk.now.log)


async def test_a_jump_host_of_a_candidate_is_used_as_it_was_confirmed(tmp_path: Path, node: Sshd) -> None:
    with running_sshd(tmp_path / "jump") as jump:
        way = JumpHost("127.0.0.1", jump.port, jump.user, jump.host_key, str(jump.key_path))
        found = Candidate("c1", "spark-2", "127.0.0.1", node.port, jump=way)
        desk = EnrolDesk(tmp_path / "data", candidates={"c1": found})
        await desk.open()
        desk.start(node, SignIn.PASSWORD, candidate_id="c1")
        now = await desk.reach(EnrolStage.TRUST)
        assert now.offer is not None
        assert now.offer.host == "127.0.0.1"
        assert "Accepted publickey" in jump.log
        await desk.close()


async def test_a_jump_host_whose_key_changed_is_refused(desk: EnrolDesk, node: Sshd, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "jump") as jump:
        known = replace(jump.record(), id="j", name="gate", address="localhost")
        await desk.inventory.open(ClusterRecord("c", "Mine", (known,)))
        await desk.inventory_is(NodeState.LIVE)
        jump.change_host_key()
        desk.start(node, SignIn.PASSWORD, jump=f"{jump.user}@localhost:{jump.port}")
        now = await desk.reach(EnrolStage.CHANGED_KEY)
        assert now.known_as == "gate"
        assert node.log.count("Connection from") == 1  # the fixture's own look at the port


async def test_a_jump_host_whose_key_is_locked_says_what_to_do(desk: EnrolDesk, node: Sshd, tmp_path: Path) -> None:
    with running_sshd(tmp_path / "jump") as jump:
        run_keygen("-q", "-p", "-P", "", "-N", "open sesame", "-f", str(jump.key_path))
        known = replace(jump.record(), id="j", name="gate", address="localhost", sign_in=SignIn.KEY)
        await desk.inventory.open(ClusterRecord("c", "Mine", (known,)))
        desk.start(node, SignIn.PASSWORD, jump=f"{jump.user}@localhost:{jump.port}")
        now = await desk.reach(EnrolStage.FAILED)
        assert "is locked; the jump host localhost lets in by it" in now.message
        assert "ssh-add" in now.remedy


async def test_local_keys_are_listed_with_what_is_locked(desk: EnrolDesk, own_home: Path) -> None:
    ensure_key(own_home / ".ssh" / "id_ed25519", comment="me")
    locked = own_home / ".ssh" / "id_rsa"
    run_keygen("-q", "-t", "rsa", "-b", "2048", "-N", "secret", "-f", str(locked))
    first, second = await desk.enroller.local_keys()
    assert "SHA256:" in first.title
    assert not first.is_locked
    assert second.is_locked
