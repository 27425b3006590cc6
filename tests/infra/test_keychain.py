"""Secrets go into an encrypted keyring or nowhere."""

from __future__ import annotations

from collections.abc import Iterator

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked, PasswordDeleteError

from sparkdesk.infra.keychain import KeyringSecrets

HERE = frozenset({__name__})


class VaultKeyring(KeyringBackend):
    """A real keyring backend whose vault is a dict; `is_locked` makes it refuse."""

    priority = 1  # type: ignore[assignment]  # keyring declares a property of the class

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.is_locked:
            raise KeyringLocked("locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.is_locked:
            raise KeyringLocked("locked")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError("none")
        del self.kept[service, username]


@pytest.fixture
def vault() -> Iterator[VaultKeyring]:
    before = keyring.get_keyring()
    backend = VaultKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


async def test_an_encrypted_keyring_keeps_secrets_for_the_next_start(vault: VaultKeyring) -> None:
    await KeyringSecrets(encrypted=HERE).set("spark-1", "word")
    assert vault.kept == {("SparkDesk", "spark-1"): "word"}
    later = KeyringSecrets(encrypted=HERE)
    assert await later.get("spark-1") == "word"
    assert later.is_durable
    await later.forget("spark-1")
    await later.forget("spark-1")
    assert await later.get("spark-1") is None


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring, VaultKeyring])
async def test_a_keyring_that_is_not_known_to_be_encrypted_is_not_used(backend: type[KeyringBackend]) -> None:
    before = keyring.get_keyring()
    used = backend()
    keyring.set_keyring(used)
    try:
        secrets = KeyringSecrets()
        await secrets.set("spark-1", "word")
        assert await secrets.get("spark-1") == "word"
        assert not secrets.is_durable
        assert not getattr(used, "kept", {})
        assert await KeyringSecrets().get("spark-1") is None
        await secrets.forget("spark-1")
        assert await secrets.get("spark-1") is None
    finally:
        keyring.set_keyring(before)


async def test_a_locked_keyring_means_memory_and_says_so(vault: VaultKeyring) -> None:
    vault.is_locked = True
    secrets = KeyringSecrets(encrypted=HERE)
    assert await secrets.get("spark-1") is None
    await secrets.set("spark-1", "word")
    assert not secrets.is_durable
    assert await secrets.get("spark-1") == "word"
    assert vault.kept == {}
