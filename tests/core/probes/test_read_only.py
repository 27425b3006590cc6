"""Reads change nothing: every command in the tables that are shipped is on a list of programs that only tell.

The one rule: a new command is put on the list by a person who looked it up, with every word of it.
"""

from __future__ import annotations

import re

import pytest

from sparkdesk.core.probes.assumption_table import ASSUMPTIONS
from sparkdesk.core.probes.details import DETAILS
from sparkdesk.core.probes.doctor import CHECKS
from sparkdesk.core.probes.read import Probe, Read, ReadCommand, ReadDisk, ReadFile

PROBES: tuple[Probe, ...] = (
    DETAILS, *(check.probe for check in CHECKS), *(assumption.probe for assumption in ASSUMPTIONS)
)  # fmt: skip
READS: tuple[Read, ...] = tuple(dict.fromkeys(read for probe in PROBES for read in probe.reads))
COMMANDS = tuple(read for read in READS if isinstance(read, ReadCommand))
TELL_ONLY = (
    r"(apt) (list) (--upgradable)",
    r"docker --version",
    r"docker version --format \{\{[.A-Za-z]+\}\}",
    r"dpkg-query -W -f \S+( [a-z0-9.+-]+)+",
    r"(getent) (group|passwd) [a-z-]+",
    r"id (-un|-Gn|-u|-g)",
    r"ip (-j |-br |-4 |-6 )*(link|addr|address|route|neigh)( show)?( dev \S+)?",
    r"ls (-d |-1 )*(/[A-Za-z0-9._*/-]+ ?)+",
    r"lldpctl -f keyvalue",
    r"lspci( -[nmDk]+)*",
    r"nvidia-ctk --version",
    r"nvidia-smi (--version|-L|--query-(gpu|compute-apps)=[a-z0-9_.,]+ --format=csv,noheader(,nounits)?)",
    r"nvidia-smi -q( -d [A-Z,_]+)?",
    r"(/usr/local/cuda/bin/)?nvcc --version",
    r"python3 --version",
    r"ss (-[HltnpuO]+ ?)+",
    r"ibdev2netdev",
    r"sudo -n true",
    r"systemctl (is-active|is-enabled) [A-Za-z-]+",
    r"systemctl list-units --state=failed --plain --no-legend --no-pager",
    r"timedatectl show",
    r"uname -[amrs]+",
)
"""No option of these, as they stand here, writes, starts, stops or fetches anything. Source: their manual pages.

sudo -n true: asks for nothing and runs `true`; a refusal is noted in the node's own log, which is what a log is for.
"""


@pytest.mark.parametrize("read", COMMANDS, ids=lambda read: " ".join(read.argv)[:60])
def test_every_command_only_tells(read: ReadCommand) -> None:
    line = " ".join(read.argv)
    if read.argv[:2] == ("python3", "-c"):
        is_known = len(read.argv) == 3 and not re.search(
            r"\b(open|write|remove|unlink|system|popen|subprocess|exec|eval|socket|kill)\b|nvmlDeviceSet", read.argv[2]
        )
    else:
        is_known = any(re.fullmatch(form, line) for form in TELL_ONLY)
    assert is_known, f"{line!r} is on no list of commands that change nothing"
    assert 0 < read.timeout_s <= 30


@pytest.mark.parametrize("line", ["sudo -n reboot", "systemctl start docker", "apt update", "nvidia-smi -lgc 300,2000",
                                  "nvidia-smi -q -x > /etc/passwd", "docker version; reboot", "id -un -x"])  # fmt: skip
def test_the_list_lets_no_change_through(line: str) -> None:
    assert not any(re.fullmatch(form, line) for form in TELL_ONLY)


def test_files_are_absolute_or_in_the_home_and_bounded() -> None:
    files = [read for read in READS if isinstance(read, ReadFile)]
    assert files
    for read in files:
        assert read.path.startswith(("/etc/", "/proc/", "/sys/", "/run/", "/var/", "/usr/", "/opt/", "/dev/", "~/")), (
            read
        )
        assert ".." not in read.path
        assert 0 <= read.max_bytes <= 64 * 1024
        assert not re.search(r"\.ssh|shadow|id_(rsa|ed25519)|/keys?/|token|secret", read.path), read
    assert all(read.path.startswith("/") for read in READS if isinstance(read, ReadDisk))
