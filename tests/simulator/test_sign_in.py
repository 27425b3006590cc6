"""Signing in with a name and a password only, and with a key that was installed on the node afterwards."""

from __future__ import annotations

from typing import Any

import asyncssh
import pytest

from tests.simulator.conftest import Simulator, StartSimulator

NO_KEYS: dict[str, Any] = {"client_keys": None, "preferred_auth": "password"}


def password(simulator: Simulator) -> str:
    """The node's password, as its file has it."""
    return (simulator.state / "password").read_text().strip()


def install(key: asyncssh.SSHKey, mode: str = "600") -> str:
    """The commands that put a public key into the user's own file."""
    line = key.export_public_key().decode().strip()
    return f"mkdir -p -m 700 ~/.ssh && echo '{line}' > ~/.ssh/authorized_keys && chmod {mode} ~/.ssh/authorized_keys"


async def test_a_host_name_and_a_password_are_enough_where_it_was_asked_for(start: StartSimulator) -> None:
    with start("--nodes", "1", "--sign-in", "password") as simulator:
        assert not (simulator.state / "client_ed25519").exists()
        with pytest.raises(asyncssh.PermissionDenied):
            await simulator.connect(**NO_KEYS, password="wrong")
        with pytest.raises(asyncssh.PermissionDenied):
            await simulator.connect(username="root", **NO_KEYS, password=password(simulator))
        key = asyncssh.generate_private_key("ssh-ed25519")
        with pytest.raises(asyncssh.PermissionDenied):
            await simulator.connect(client_keys=[key], preferred_auth="publickey")
        async with simulator.connect(**NO_KEYS, password=password(simulator)) as connection:
            await connection.run(install(key), check=True)
        async with simulator.connect(client_keys=[key], preferred_auth="publickey") as connection:
            assert (await connection.run("id -un", check=True)).stdout == "nvidia\n"
    with start("--nodes", "1", "--sign-in", "password") as simulator:
        async with simulator.connect(client_keys=[key], preferred_auth="publickey"):
            pass


async def test_without_the_option_no_password_is_taken(cluster: Simulator) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await cluster.connect(**NO_KEYS, password=password(cluster))


async def test_a_file_of_keys_that_others_may_write_is_refused(start: StartSimulator) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    with start("--nodes", "1") as simulator:
        for script in (
            install(key, "666"),
            f"{install(key)}; chmod 777 ~/.ssh",
            f"chmod 700 ~/.ssh; {install(key)}; chmod 777 ~",
        ):
            async with simulator.connect() as connection:
                await connection.run(script, check=True)
            with pytest.raises(asyncssh.PermissionDenied):
                await simulator.connect(client_keys=[key])
        async with simulator.connect() as connection:
            await connection.run("chmod 755 ~", check=True)
        async with simulator.connect(client_keys=[key]):
            pass


async def test_a_link_in_place_of_the_file_is_not_followed(start: StartSimulator) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    with start("--nodes", "1") as simulator:
        outside = simulator.state / "outside"
        outside.write_bytes(key.export_public_key())
        async with simulator.connect() as connection:
            await connection.run(f"mkdir -m 700 ~/.ssh; ln -s {outside} ~/.ssh/authorized_keys", check=True)
        with pytest.raises(asyncssh.PermissionDenied):
            await simulator.connect(client_keys=[key])


async def test_a_given_password_is_used_and_kept_for_the_owner_only(start: StartSimulator) -> None:
    with start("--nodes", "1") as simulator:
        first = password(simulator)
        file = simulator.state.parent / "given"
        assert len(first) > 12
    file.write_text("open sesame\n")
    with start("--nodes", "1", "--sign-in", "both", "--password-file", str(file)) as simulator:
        assert (password(simulator), (simulator.state / "password").stat().st_mode & 0o777) == ("open sesame", 0o600)
        async with simulator.connect(**NO_KEYS, password="open sesame") as connection:
            done = await connection.run("sudo -S -p '' id -un; cat /proc/[0-9]*/environ", input="open sesame\n")
            assert str(done.stdout).startswith("root\n")
            assert "sesame" not in str(done.stdout)
