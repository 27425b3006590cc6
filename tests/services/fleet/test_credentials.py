"""A password goes to the holder of the key that it was given for, and to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from sparkdesk.core.cluster.node import JumpHost, NodeRecord
from sparkdesk.infra.keychain import KeyringSecrets
from sparkdesk.services.fleet.credentials import Credentials, Given
from tests.infra.ssh_server import new_key, public_line

ONE = NodeRecord("1", "spark-1", "10.0.0.1", 22, "bob", host_key=public_line(new_key()), key_path="/k")
TWO = replace(ONE, id="2", name="spark-2", address="10.0.0.2", host_key=public_line(new_key()))


class Vault(KeyringBackend):
    """A keyring whose vault is a dict."""

    priority = 1  # type: ignore[assignment]  # keyring declares a property of the class

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop(username, None) is None:
            raise PasswordDeleteError(username)


@pytest.fixture
def vault() -> Iterator[Vault]:
    before = keyring.get_keyring()
    vault = Vault()
    keyring.set_keyring(vault)
    yield vault
    keyring.set_keyring(before)


def make() -> Credentials:
    """As after a start of the program."""
    return Credentials(KeyringSecrets(encrypted={__name__}))


async def test_a_kept_password_is_there_after_a_restart_for_the_same_key_and_user(vault: Vault) -> None:
    assert await make().keep_password(ONE, "secret") == "kept in this computer's keyring"
    assert (await make().get(replace(ONE, address="10.9.9.9", name="moved", id="x"))).password == "secret"


async def test_another_key_another_user_and_no_key_get_nothing(vault: Vault) -> None:
    credentials = make()
    await credentials.keep_password(ONE, "secret")
    credentials.hold_password(ONE, "held")
    for other in (TWO, replace(ONE, user="root"), replace(ONE, host_key=""), replace(ONE, host_key="nonsense")):
        assert await credentials.get(other) == Given()
    assert "not kept" in await credentials.keep_password(replace(ONE, host_key=""), "secret")
    assert len(vault.kept) == 1


async def test_without_an_encrypted_keyring_it_says_that_it_lasts_until_the_end() -> None:
    credentials = make()
    assert "until SparkDesk ends" in await credentials.keep_password(ONE, "secret")
    assert (await credentials.get(ONE)).password == "secret"
    assert (await make().get(ONE)).password is None


async def test_what_is_only_held_never_reaches_the_keyring(vault: Vault) -> None:
    credentials = make()
    credentials.hold_password(ONE, "secret")
    credentials.hold_passphrase("/k", "open sesame")
    assert await credentials.get(ONE) == Given("secret", "open sesame")
    assert vault.kept == {}
    assert await make().get(ONE) == Given()


async def test_one_nodes_password_is_nobody_elses(vault: Vault) -> None:
    credentials = make()
    await credentials.keep_password(ONE, "secret")
    credentials.hold_password(ONE, "held")
    assert await credentials.get(TWO) == Given()
    assert await credentials.get(replace(TWO, id=ONE.id, name=ONE.name, address=ONE.address)) == Given()


async def test_a_jump_host_has_its_own_password(vault: Vault) -> None:
    jump = JumpHost("10.0.0.9", 22, "gate", public_line(new_key()))
    credentials = make()
    await credentials.keep_password(jump, "for the gate")
    assert await credentials.get(replace(ONE, jump=jump)) == Given(jump_password="for the gate")


async def test_what_is_forgotten_is_gone(vault: Vault) -> None:
    credentials = make()
    await credentials.keep_password(ONE, "secret")
    await credentials.keep_passphrase("/k", "open sesame")
    await credentials.forget_node(TWO, (ONE,))
    assert await credentials.get(ONE) == Given("secret", "open sesame")
    await credentials.forget_passphrase("/k")
    assert await credentials.get(ONE) == Given("secret")
    await credentials.forget_node(ONE, ())
    assert await credentials.get(ONE) == Given()
    assert vault.kept == {}


async def test_what_another_node_needs_outlives_a_removed_one(vault: Vault) -> None:
    jump = JumpHost("10.0.0.9", 22, "gate", public_line(new_key()))
    one, two = replace(ONE, jump=jump), replace(TWO, jump=jump)
    credentials = make()
    await credentials.keep_password(jump, "for the gate")
    await credentials.keep_passphrase("/k", "open sesame")
    await credentials.keep_password(one, "secret")
    await credentials.forget_node(one, (two,))
    assert await credentials.get(two) == Given(None, "open sesame", "for the gate")
    await credentials.forget_node(two, ())
    assert vault.kept == {}


def test_no_secret_shows_in_a_repr() -> None:
    assert "secret" not in repr(Given("secret", "secret", "secret"))
