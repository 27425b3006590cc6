"""The user's own programs on a node: real processes with recorded words, and real ssh against a real sshd."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import JumpHost, NodeRecord
from sparkdesk.core.cluster.ssh_command import alias_of
from sparkdesk.core.errors import SettingsError
from sparkdesk.core.ports import NodeTools
from sparkdesk.infra.terminal import TERMINALS, Terminal
from tests.infra.sshd import Sshd, require, running_sshd

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1"
NODE = NodeRecord(id="abc", name="spark-1", address="10.0.0.5", port=22, user="nvidia", host_key=KEY)


class Computer:
    """A PATH and a data folder of a test's own; programs in it write down the words they were given."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.config = folder / "ssh_config"
        self.config.write_text("")
        self.said = folder / "said"
        self.keys = folder / "data of mine" / "known_hosts"
        for name in ("sh", "env"):
            (self.programs / name).symlink_to(shutil.which(name) or "")

    def add(self, name: str, *, code: int = 0, words: str = "") -> None:
        """A program that records its words and ends."""
        self._write(
            name,
            f"import json, sys\nopen({str(self.said)!r}, 'a').write(json.dumps([{name!r}, *sys.argv[1:]]) + '\\n')\n"
            f"print({words!r})\nsys.stderr.write('no display\\n')\nsys.exit({code})\n",
        )

    def add_ssh(self) -> None:
        """The real ssh, which here reads a test's settings and not those of who runs it."""
        require(shutil.which("ssh") is not None, "OpenSSH's client is not installed")
        program = self.programs / "ssh"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {shlex.quote(str(self.config))} "$@"\n')
        program.chmod(0o755)

    def add_running_terminal(self) -> None:
        """A terminal that runs what it is told to, and keeps what came."""
        self._write(
            "xterm",
            "import subprocess, sys\nassert sys.argv[1] == '-e'\n"
            "done = subprocess.run(sys.argv[2:], input=b'echo hello $((6*7)); exit 3\\n', capture_output=True)\n"
            f"open({str(self.said)!r}, 'w').write(f'{{done.returncode}} {{done.stdout}} {{done.stderr}}')\n",
        )

    def _write(self, name: str, text: str) -> None:
        program = self.programs / name
        program.write_text(f"#!{sys.executable}\n{text}")
        program.chmod(0o755)

    def terminal(self, **variables: str) -> Terminal:
        return Terminal(self.keys, environment={"PATH": str(self.programs), "HOME": "/home/me", **variables})

    def words(self) -> list[list[str]]:
        """What the programs were called with, in turn."""
        return [json.loads(line) for line in self.said.read_text().splitlines()] if self.said.exists() else []


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "node") as server:
        yield server


@pytest.mark.parametrize(("name", "before"), TERMINALS.items())
async def test_each_terminal_is_told_in_its_own_way(computer: Computer, name: str, before: tuple[str, ...]) -> None:
    computer.add(name)
    computer.add("ssh")
    tools: NodeTools = computer.terminal()
    await tools.open_terminal(NODE)
    (words,) = computer.words()
    assert words[: 1 + len(before)] == [name, *before]
    assert words[1 + len(before) :][:2] == ["sh", "-c"]
    assert words[-2:] == ["--", "10.0.0.5"]


async def test_the_users_own_choice_comes_first(computer: Computer) -> None:
    for name in ("konsole", "xterm", "my-term", "ssh"):
        computer.add(name)
    await computer.terminal(TERMINAL="my-term").open_terminal(NODE)
    await computer.terminal(TERMINAL=str(computer.programs / "xterm")).open_terminal(NODE)
    await computer.terminal(TERMINAL="not-there").open_terminal(NODE)
    assert [words[:2] for words in computer.words()] == [["my-term", "-e"], ["xterm", "-e"], ["konsole", "-e"]]


async def test_what_is_not_installed_is_named(computer: Computer) -> None:
    with pytest.raises(SettingsError, match="No terminal") as no_terminal:
        await computer.terminal().open_terminal(NODE)
    assert "apt install" in no_terminal.value.remedy
    computer.add("xterm")
    with pytest.raises(SettingsError, match="ssh program") as no_ssh:
        await computer.terminal().open_terminal(NODE)
    assert "openssh-client" in no_ssh.value.remedy
    with pytest.raises(SettingsError, match="VS Code was not found"):
        await computer.terminal().open_vscode(NODE, "/home/nvidia")


async def test_a_terminal_that_fails_at_once_says_why(computer: Computer) -> None:
    computer.add("xterm", code=1)
    computer.add("ssh")
    with pytest.raises(SettingsError, match="xterm did not start") as failed:
        await computer.terminal().open_terminal(NODE)
    assert "no display" in failed.value.detail


@pytest.mark.parametrize("text", ["-oProxyCommand=touch /tmp/x", "$(id)", "a'; id; '", 'a"b', "a b"])
async def test_a_hostile_record_starts_nothing(computer: Computer, text: str) -> None:
    for name in ("xterm", "ssh", "code"):
        computer.add(name)
    for record in (replace(NODE, user=text), replace(NODE, address=text)):
        with pytest.raises(SettingsError):
            await computer.terminal().open_terminal(record)
        with pytest.raises(SettingsError):
            await computer.terminal().open_vscode(record, "/home/nvidia")
        with pytest.raises(SettingsError):
            computer.terminal().describe(record)
    assert computer.words() == []


def test_the_known_hosts_file_has_the_pinned_key_alone_and_is_private(computer: Computer) -> None:
    text = computer.terminal().describe(NODE)
    path = computer.keys / alias_of(NODE)
    assert path.read_text() == f"sparkdesk-abc {KEY}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(computer.keys.stat().st_mode) == 0o700
    assert shlex.split(text)[-1] == "10.0.0.5"
    computer.terminal().describe(replace(NODE, host_key=KEY + "Z"))
    assert path.read_text() == f"sparkdesk-abc {KEY}Z\n"
    assert os.listdir(computer.keys) == [path.name]


def run(command: str, computer: Computer, line: str) -> subprocess.CompletedProcess[str]:
    """Run the described command as a person who pasted it, with a command for the node behind it."""
    return subprocess.run(
        ["sh", "-c", f"{command} {shlex.quote(line)}"],
        env={"PATH": str(computer.programs), "HOME": str(computer.keys)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_command_works_with_real_ssh_and_refuses_a_changed_key(computer: Computer, sshd: Sshd) -> None:
    computer.add_ssh()
    command = computer.terminal().describe(sshd.record())
    works = run(command, computer, "echo $((6*7))")
    assert (works.returncode, works.stdout.strip()) == (0, "42"), works.stderr
    sshd.change_host_key()
    refused = run(command, computer, "echo $((6*7))")
    assert (refused.returncode, refused.stdout) == (255, "")
    assert "Host key verification failed" in refused.stderr or "IDENTIFICATION HAS CHANGED" in refused.stderr


def test_the_command_leads_through_a_jump_host_and_refuses_a_changed_one(
    computer: Computer, sshd: Sshd, tmp_path: Path
) -> None:
    computer.add_ssh()
    with running_sshd(tmp_path / "gate", name="gate") as gate:
        jump = JumpHost("127.0.0.1", gate.port, gate.user, gate.host_key, str(gate.key_path))
        command = computer.terminal().describe(replace(sshd.record(), jump=jump))
        works = run(command, computer, "echo $((6*7))")
        assert (works.returncode, works.stdout.strip()) == (0, "42"), works.stderr
        assert "Accepted publickey" in gate.log
        gate.change_host_key()
        refused = run(command, computer, "echo $((6*7))")
        assert (refused.returncode, refused.stdout) == (255, "")


async def test_a_terminal_really_reaches_the_node(computer: Computer, sshd: Sshd) -> None:
    computer.add_ssh()
    computer.add_running_terminal()
    await computer.terminal().open_terminal(sshd.record())
    async with asyncio.timeout(20):
        while not computer.said.exists() or not computer.said.read_text():
            await asyncio.sleep(0.05)
    assert computer.said.read_text().startswith("3 b'"), computer.said.read_text()
    assert "hello 42" in computer.said.read_text()


async def test_vscode_opens_a_node_that_needs_nothing_special(computer: Computer) -> None:
    computer.add_ssh()
    computer.add("code")
    said = await computer.terminal().open_vscode(NODE, "/home/nvidia/my work")
    assert "HostKeyAlias sparkdesk-abc" in said, "the pinned key is not enforced, and that is said"
    assert computer.words() == [["code", "--remote", "ssh-remote+nvidia@10.0.0.5", "/home/nvidia/my work"]]


async def test_vscode_uses_the_users_own_name_for_a_node_with_another_port(computer: Computer) -> None:
    computer.add_ssh()
    computer.add("code")
    record = replace(NODE, port=2222, key_path="/home/me/.ssh/spark")
    with pytest.raises(SettingsError, match="cannot reach spark-1") as needs:
        await computer.terminal().open_vscode(record, "/home/nvidia")
    assert "Host spark-1\n  HostName 10.0.0.5\n  Port 2222\n" in needs.value.detail
    assert computer.words() == []
    computer.config.write_text(needs.value.detail)
    assert await computer.terminal().open_vscode(record, "/home/nvidia") == "", "now only the pinned key is accepted"
    assert computer.words() == [["code", "--remote", "ssh-remote+spark-1", "/home/nvidia"]]


async def test_vscode_without_a_command_is_opened_by_its_link(computer: Computer) -> None:
    computer.add_ssh()
    computer.add("xdg-open")
    computer.add("xdg-mime", words="code-url-handler.desktop")
    await computer.terminal().open_vscode(NODE, "/home/nvidia/a b")
    assert computer.words()[-1] == ["xdg-open", "vscode://vscode-remote/ssh-remote+nvidia@10.0.0.5/home/nvidia/a%20b"]
