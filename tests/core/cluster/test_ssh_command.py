"""The SSH command for a node: what stands in it, and what is refused before it could be read as anything else."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.node import JumpHost, NodeRecord, SignIn
from sparkdesk.core.cluster.ssh_command import (
    alias_of,
    check_folder,
    is_pinned_by,
    is_reached_by,
    known_hosts_text,
    ssh_argv,
    ssh_config_text,
)
from sparkdesk.core.errors import SettingsError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1"
NODE = NodeRecord(id="abc", name="spark-1", address="10.0.0.5", port=2222, user="nvidia", host_key=KEY)
JUMP = JumpHost("gate.example", 22, "me", KEY + "X", key_path="/keys/gate")
FILE = "/data/known_hosts/sparkdesk-abc"
HOSTILE = ["-oProxyCommand=id", "a b", "a'b", 'a"b', "$(id)", "`id`", "a;id", "a\nb", "a|b", "", "%h", "../x", "a\x00b"]


def options(argv: tuple[str, ...]) -> dict[str, str]:
    """The -o options of a command."""
    return dict(argv[i + 1].split("=", 1) for i, word in enumerate(argv) if word == "-o")


def test_the_command_trusts_the_pinned_key_alone() -> None:
    argv = ssh_argv(NODE, FILE)
    assert argv[:5] == ("ssh", "-p", "2222", "-l", "nvidia")
    assert argv[-2:] == ("--", "10.0.0.5")
    assert options(argv) == {
        "UserKnownHostsFile": FILE,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": "sparkdesk-abc",
        "UpdateHostKeys": "no",
        "VerifyHostKeyDNS": "no",
        "ControlPath": "none",
        "ProxyCommand": "none",
    }
    assert known_hosts_text(NODE) == f"sparkdesk-abc {KEY}\n"


def test_a_key_file_and_a_password_are_asked_for_as_the_record_says() -> None:
    keyed = ssh_argv(replace(NODE, key_path="/keys/a", sign_in=SignIn.KEY), FILE)
    assert keyed[5:7] == ("-i", "/keys/a")
    assert options(keyed)["IdentitiesOnly"] == "yes"
    assert options(ssh_argv(replace(NODE, key_path="/my keys/100%"), FILE))["IdentityFile"] == '"/my keys/100%%"'
    assert options(ssh_argv(replace(NODE, sign_in=SignIn.PASSWORD), FILE))["PubkeyAuthentication"] == "no"


def test_a_jump_host_is_trusted_by_its_own_pinned_key() -> None:
    record = replace(NODE, jump=JUMP)
    way = shlex.split(options(ssh_argv(record, FILE, program="/bin/my ssh"))["ProxyCommand"])
    assert way[:5] == ["/bin/my ssh", "-p", "22", "-l", "me"]
    assert way[-4:] == ["-W", "[%h]:%p", "--", "gate.example"]
    assert options(tuple(way))["HostKeyAlias"] == "sparkdesk-abc-jump"
    assert options(tuple(way))["UserKnownHostsFile"] == FILE
    assert known_hosts_text(record) == f"sparkdesk-abc-jump {KEY}X\nsparkdesk-abc {KEY}\n"


@pytest.mark.parametrize("field", ["user", "address", "host_key"])
@pytest.mark.parametrize("text", HOSTILE)
def test_what_could_be_read_as_anything_else_is_refused(field: str, text: str) -> None:
    with pytest.raises(SettingsError):
        ssh_argv(replace(NODE, **{field: text}), FILE)
    with pytest.raises(SettingsError):
        ssh_config_text(replace(NODE, jump=replace(JUMP, **{field: text})), FILE)


@pytest.mark.parametrize("address", ["spark-1.local", "10.0.0.5", "fe80::1%enp1s0f0np0", "fd00::5", "a_b"])
def test_usual_addresses_are_taken(address: str) -> None:
    assert ssh_argv(replace(NODE, address=address), FILE)[-1] == address


@pytest.mark.parametrize("key_path", ["/a\nb", "/${HOME}/k"])
def test_a_key_path_that_ssh_would_expand_is_refused(key_path: str) -> None:
    with pytest.raises(SettingsError):
        ssh_argv(replace(NODE, key_path=key_path), FILE)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.integers())
def test_any_record_is_refused_or_stands_where_it_should(node_id: str, user: str, address: str, port: int) -> None:
    record = replace(NODE, id=node_id, user=user, address=address, port=port)
    assert set(alias_of(record)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    try:
        argv = ssh_argv(record, FILE)
    except SettingsError:
        return
    assert argv[4] == user
    assert argv[-1] == address
    assert not address.startswith("-")


def test_the_lines_for_a_config_file_say_the_same() -> None:
    text = ssh_config_text(replace(NODE, name="my spark", key_path="/my keys/k", jump=JUMP), "/my data/kh")
    assert text.splitlines()[0] == "Host sparkdesk-abc"
    assert "  HostName 10.0.0.5\n  Port 2222\n  User nvidia\n" in text
    assert '  IdentityFile "/my keys/k"\n' in text
    assert '  UserKnownHostsFile "/my data/kh"\n' in text
    assert ssh_config_text(NODE, FILE).splitlines()[0] == "Host spark-1"


def test_the_users_settings_lead_to_the_node_only_when_all_of_it_fits() -> None:
    fit = {"hostname": ("10.0.0.5",), "port": ("2222",), "user": ("nvidia",), "identityfile": ("/home/me/.ssh/id",)}
    assert is_reached_by(NODE, fit)
    assert is_reached_by(replace(NODE, key_path="/home/me/.ssh/id"), fit)
    assert not is_reached_by(replace(NODE, key_path="/other"), fit)
    assert not is_reached_by(replace(NODE, port=22), fit)
    assert not is_reached_by(replace(NODE, user="root"), fit)
    assert not is_reached_by(NODE, fit | {"proxyjump": ("gate.example",)})
    assert is_reached_by(replace(NODE, jump=JUMP), fit | {"proxyjump": ("me@gate.example",)})
    assert not is_reached_by(replace(NODE, jump=JUMP), fit)
    assert not is_reached_by(NODE, {})


@pytest.mark.parametrize("folder", ["", "--help", "relative", "/a\nb", "/a\x00", "~"])
def test_a_folder_that_is_none_is_refused(folder: str) -> None:
    with pytest.raises(SettingsError):
        check_folder(folder)


def test_a_tunnel_is_led_by_the_same_command_with_the_pinned_key_and_the_jump_host() -> None:
    record = replace(NODE, jump=JUMP)
    plain, led = ssh_argv(record, FILE), ssh_argv(record, FILE, tunnel=("127.77.0.1", 8000))
    assert led == ("ssh", "-N", "-L", "127.0.0.1:8000:127.77.0.1:8000", *plain[1:])
    assert ssh_argv(NODE, FILE, tunnel=("::1", 8000))[3] == "127.0.0.1:8000:[::1]:8000"
    for host, port in (("a b", 8000), ("$(id)", 8000), ("-x", 8000), ("127.0.0.1", 0)):
        with pytest.raises(SettingsError):
            ssh_argv(NODE, FILE, tunnel=(host, port))


@pytest.mark.parametrize(
    ("said", "is_it"),
    [
        ({"proxyjump": ("10.0.0.1",)}, True),
        ({"proxyjump": ("me@10.0.0.1:22",)}, True),
        ({"proxyjump": ("10.0.0.12",)}, False),
        ({"proxyjump": ("110.0.0.1",)}, False),
        ({"proxyjump": ("you@10.0.0.1",)}, False),
        ({"proxyjump": ("10.0.0.1:2200",)}, False),
        ({"proxyjump": ("10.0.0.1,10.0.0.9",)}, False),
        ({"proxycommand": ("ssh -W [%h]:%p -- 10.0.0.1",)}, True),
        ({"proxycommand": ("ssh -W [%h]:%p -- 10.0.0.12",)}, False),
        ({"proxycommand": ("ssh 'unfinished 10.0.0.1",)}, False),
    ],
)
def test_a_jump_host_is_compared_as_a_whole(said: dict[str, tuple[str, ...]], is_it: bool) -> None:
    settings = {"hostname": ("10.0.0.5",), "port": ("2222",), "user": ("nvidia",)} | said
    record = replace(NODE, jump=JumpHost("10.0.0.1", 22, "me", KEY))
    assert is_reached_by(record, settings) is is_it


def test_the_pinned_key_is_enforced_only_by_its_own_file_under_its_own_name() -> None:
    fit = {
        "userknownhostsfile": (FILE,),
        "hostkeyalias": ("sparkdesk-abc",),
        "stricthostkeychecking": ("true",),
    }
    assert is_pinned_by(NODE, fit, FILE)
    assert not is_pinned_by(NODE, fit | {"userknownhostsfile": (f"{FILE} /other",)}, FILE)
    assert not is_pinned_by(NODE, fit | {"hostkeyalias": ("other",)}, FILE)
    assert not is_pinned_by(NODE, fit | {"stricthostkeychecking": ("accept-new",)}, FILE)
    assert not is_pinned_by(NODE, {}, FILE)
