"""The reader through which one node's key reaches another: one key of one type, without what a hostile node adds."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.playbooks.reader import read
from tests.core.bringup.mesh_cases import make_key

KEY = make_key(1)
TYPE, BLOB = KEY.split()


def read_key(text: str) -> str | None:
    """What the reader makes of what a node printed."""
    return read("public_key", text.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    "text", [KEY, f"{KEY}\n", f"{KEY} ana@laptop\n", f"{KEY} sparkdesk-mesh spark-1 n1\n", f"{KEY} "]
)
def test_a_key_comes_without_its_comment(text: str) -> None:
    assert read_key(text) == KEY


def test_a_key_that_ssh_keygen_made_is_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a b c", "-f", str(path)], check=True)
    line = path.with_suffix(".pub").read_text()
    assert read_key(line) == " ".join(line.split()[:2])


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_keys_of_other_types_are_none(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True)
    assert read_key(path.with_suffix(".pub").read_text()) is None
    assert read_key(path.read_text()) is None


def blob(kind: bytes = b"ssh-ed25519", key: bytes = b"k" * 32, more: bytes = b"") -> str:
    """A blob of this inner type, with this key."""
    data = len(kind).to_bytes(4, "big") + kind + len(key).to_bytes(4, "big") + key + more
    return base64.b64encode(data).decode()


def test_the_blob_says_the_same_type_and_length_as_its_line() -> None:
    assert read_key(f"{TYPE} {blob()}") == f"{TYPE} {blob()}"
    for wrong in (blob(b"ssh-ed25518"), blob(key=b"k" * 31), blob(key=b"k" * 33), blob(more=b"x"), blob(b"ssh-rsa")):
        assert read_key(f"{TYPE} {wrong}") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TYPE,
        f"{TYPE} ",
        f"{TYPE}  {BLOB}",
        f"{TYPE}\t{BLOB}",
        f" {KEY}",
        f'command="rm -rf ~" {KEY}',
        f'from="*" {KEY}',
        f"cert-authority {KEY}",
        f"{KEY}\n{make_key(2)}\n",
        f"{KEY}\n\n",
        f"\n{KEY}",
        f"{KEY}\r\n",
        f"{KEY} x\rssh-rsa AAAA",
        f"{KEY} x\0y",
        f"{KEY} ☃",
        f"{KEY} \x1b[2J",
        f"{KEY}\u2028{make_key(2)}",
        f"{TYPE} {BLOB[:-1]}",
        f"{TYPE} {BLOB}=",
        f"{TYPE} {BLOB[:-1]}=",
        f"{TYPE} {BLOB[:-2]}\n{BLOB[-2:]}",
        f"{TYPE}-cert-v01@openssh.com {BLOB}",
        f"ssh-rsa {BLOB}",
        f"sk-ssh-ed25519@openssh.com {BLOB}",
        f"{KEY} {'x' * 201}",
        f"{KEY} {'x' * 10_000_000}",
        "x" * 10_000_000,
        "\udcff",
    ],
)
def test_what_is_not_exactly_one_plain_key_is_none(text: str) -> None:
    assert read_key(text) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_a_key_or_none(data: bytes) -> None:
    found = read("public_key", data)
    assert found is None or data.startswith(found.encode())


@given(st.text(max_size=60), st.integers(0, len(KEY)))
def test_whatever_is_put_into_a_key_it_is_that_key_or_none(more: str, at: int) -> None:
    found = read_key(KEY[:at] + more + KEY[at:])
    assert found is None or (found in KEY[:at] + more + KEY[at:] and found.split()[0] == TYPE and "\n" not in found)
