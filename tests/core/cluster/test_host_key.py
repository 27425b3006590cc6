"""A host key looks here as it looks on the node's own console."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.host_key import describe_host_key, fingerprint_of


@pytest.mark.parametrize(
    "kind", [("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521")]
)
def test_kind_fingerprint_and_picture_are_openssh_s(tmp_path: Path, kind: tuple[str, str]) -> None:
    for number in range(3):
        path = tmp_path / f"key{number}"
        make = ["ssh-keygen", "-q", "-t", kind[0], "-b", kind[1], "-N", "", "-C", "a b", "-f", str(path)]
        subprocess.run(make, check=True, timeout=60)
        public = path.with_suffix(".pub")
        shown = subprocess.run(["ssh-keygen", "-lvf", str(public)], check=True, capture_output=True, text=True).stdout
        first, picture = shown.split("\n", 1)
        look = describe_host_key(public.read_text())
        assert first == f"{look.bits} {look.fingerprint} a b ({look.kind})"
        assert picture.rstrip("\n") == look.art


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: "ssh-ed25519 " + raw.hex()))
def test_anything_else_is_not_a_key(line: str) -> None:
    with pytest.raises(ValueError, match=r"key|kind"):
        describe_host_key(line)
    assert fingerprint_of(line) == ""


def test_a_key_that_names_another_kind_than_it_is_is_refused() -> None:
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINsjRub+eT7y88uYMuZ/OJbZa93keEw22Sm0AbTQX/Qv"
    assert describe_host_key(line).kind == "ED25519"
    with pytest.raises(ValueError, match="not of the kind"):
        describe_host_key(line.replace("ssh-ed25519", "ssh-rsa"))
