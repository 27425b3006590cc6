"""Our own keys are closed to others from the start."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sparkdesk.core.errors import AuthFailed, SettingsError
from sparkdesk.infra.ssh import ensure_key


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_key_is_0600_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        line = ensure_key(tmp_path / "keys" / "key", comment="sparkdesk@desk")
    finally:
        os.umask(before)
    path = tmp_path / "keys" / "key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["key"]
    assert line.split()[0] == "ssh-ed25519"
    assert line.split()[2] == "sparkdesk@desk"


def test_a_private_key_is_0600_from_its_first_byte_on(tmp_path: Path) -> None:
    """At every call that the making makes, each file that is there is looked at: no moment is missed."""
    modes: list[tuple[str, int, int]] = []

    def look(*_event: object) -> None:
        for path in (tmp_path / "keys").glob("*") if (tmp_path / "keys").is_dir() else ():
            found = path.stat()
            modes.append((path.name, stat.S_IMODE(found.st_mode), found.st_size))

    before = os.umask(0)
    sys.setprofile(look)
    try:
        ensure_key(tmp_path / "keys" / "key")
    finally:
        sys.setprofile(None)
        os.umask(before)
    assert {mode for _, mode, _ in modes} == {0o600}
    assert any(size == 0 for _, _, size in modes)  # it was seen before its first byte
    assert any(name == "key" for name, _, _ in modes)
    assert all(size > 0 for name, _, size in modes if name == "key")  # under its name it is whole


def test_openssh_accepts_the_key_and_sees_the_same_public_line(tmp_path: Path) -> None:
    line = ensure_key(tmp_path / "key")
    shown = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(tmp_path / "key")], check=True, capture_output=True, text=True
    ).stdout
    assert shown.split()[:2] == line.split()[:2]


def test_an_existing_key_is_kept(tmp_path: Path) -> None:
    first = ensure_key(tmp_path / "key")
    content = (tmp_path / "key").read_bytes()
    assert ensure_key(tmp_path / "key") == first
    assert (tmp_path / "key").read_bytes() == content


def test_a_key_that_is_open_or_broken_or_impossible_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    ensure_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(AuthFailed, match="open to other users"):
        ensure_key(tmp_path / "key")
    (tmp_path / "broken").write_text("no key")
    (tmp_path / "broken").chmod(0o600)
    with pytest.raises(AuthFailed, match="cannot be read"):
        ensure_key(tmp_path / "broken")
    with pytest.raises(SettingsError, match="No key can be written"):
        ensure_key(tmp_path / "broken" / "below" / "key")
