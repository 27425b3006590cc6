"""The user's SSH configuration is read as OpenSSH reads it, and nothing in it is obeyed."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sparkdesk.infra.ssh_config import read_ssh_config

CONFIG = """
Include more.d/*.conf
Host spark-a spark-b !not *.lab
    HostName %h.example
    Port 2222
    Include only.d/*.conf
Host "spark quoted"
    HostName=10.0.0.7
    User = anna
Match host spark-a exec "touch {trap} && false"
    User trapped
Host spark-a
    ProxyCommand touch {trap}
    User later
Host *
    Port 22
"""
MORE = """
Host inner
    HostName 10.0.0.9
    ProxyJump anna@gate:2200
Host spark-*
    User fromInclude
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / ".ssh"
    (folder / "more.d").mkdir(parents=True)
    (folder / "config").write_text(CONFIG.format(trap=tmp_path / "trap"))
    (folder / "more.d" / "a.conf").write_text(MORE)
    (folder / "only.d").mkdir()
    (folder / "only.d" / "b.conf").write_text("User inside\nHost never\n  HostName 1.2.3.4\nHost spark-b\n  User b\n")
    return folder / "config"


def test_hosts_come_with_what_the_file_says_of_them(config: Path) -> None:
    hosts = {host.alias: host for host in read_ssh_config(config)}
    assert set(hosts) == {"spark-a", "spark-b", "inner", "spark quoted"}
    assert (hosts["spark-b"].address, hosts["spark-b"].port) == ("spark-b.example", 2222)
    assert (hosts["inner"].address, hosts["inner"].jump) == ("10.0.0.9", "anna@gate:2200")
    assert (hosts["spark quoted"].address, hosts["spark quoted"].user) == ("10.0.0.7", "anna")


def test_nothing_in_it_is_run(config: Path, tmp_path: Path) -> None:
    read_ssh_config(config)
    assert not (tmp_path / "trap").exists()


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
@pytest.mark.parametrize("alias", ["spark-a", "spark-b", "inner"])
def test_openssh_reads_the_same(config: Path, alias: str) -> None:
    text = config.read_text().replace("Include ", f"Include {config.parent}/")
    said = subprocess.run(
        ["ssh", "-G", "-F", "/dev/stdin", alias], input=text, capture_output=True, text=True, env=dict(os.environ)
    ).stdout
    values = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    host = next(host for host in read_ssh_config(config) if host.alias == alias)
    assert (values["hostname"], values["port"]) == (host.address, str(host.port))
    assert values.get("proxyjump", "") == host.jump
    assert values["user"] == (host.user or getpass.getuser())


def test_a_file_that_includes_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "config").write_text(f"Host a\nInclude {tmp_path}/config\nHost b\n")
    assert {host.alias for host in read_ssh_config(tmp_path / "config")} == {"a", "b"}


def test_no_file_names_no_hosts(tmp_path: Path) -> None:
    assert read_ssh_config(tmp_path / "config") == ()


@pytest.mark.parametrize("text", ["Host a\nPort x\n", "Host a\nPort 99999\n", 'Host "a\n', "Host\n", "\0\nHost a\n="])
def test_a_damaged_file_is_read_as_far_as_it_goes(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    assert all(host.port == 22 for host in read_ssh_config(tmp_path / "config"))
