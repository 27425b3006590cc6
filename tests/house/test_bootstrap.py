"""Setting up says what is missing and how to get it, on a machine that lacks one thing after the other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT, copy_tree

# What any Linux has; everything else on PATH is what a test puts there.
PLAIN_TOOLS = ("sh", "cat", "cksum", "dirname", "grep", "id", "ls", "mkdir", "rm", "uname", "env", "ldd", "awk")
CRIPPLED_PYTHON = """#!/bin/sh
case "$2" in
    *ensurepip*) exit 1 ;;
    *print*) echo 3.12 ;;
esac
"""


class Machine:
    """A clone on a machine whose programs are chosen one by one."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "a clone"
        self.programs = folder / "bin"
        self.programs.mkdir()
        copy_tree(self.clone)
        for name in PLAIN_TOOLS:
            found = shutil.which(name)
            assert found is not None
            (self.programs / name).symlink_to(found)

    def add(self, name: str, script: str) -> None:
        """Puts a program on PATH."""
        path = self.programs / name
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def set_up(self) -> subprocess.CompletedProcess[str]:
        """Runs the bootstrap of the clone, as `make run` does first."""
        command = ["sh", str(self.clone / "packaging" / "bootstrap.sh"), "app"]
        environment = {"PATH": str(self.programs), "HOME": os.environ["HOME"]}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_fitting_python_the_versions_are_named(machine: Machine) -> None:
    machine.add("python3", "#!/bin/sh\nexit 1\n")
    ended = machine.set_up()
    assert ended.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_without_the_venv_module_a_person_is_given_the_line_to_run(machine: Machine) -> None:
    machine.add("python3", CRIPPLED_PYTHON)
    machine.add("id", "#!/bin/sh\necho 1000\n")
    machine.add("apt-get", "#!/bin/sh\nexit 99\n")
    machine.add("sudo", "#!/bin/sh\nexit 1\n")
    ended = machine.set_up()
    assert ended.returncode == 1
    assert "    sudo apt-get install -y python3.12-venv" in ended.stderr


@pytest.mark.parametrize(("user", "expected"), [("0", "apt-get"), ("1000", "sudo -n")])
def test_who_may_install_does(machine: Machine, user: str, expected: str) -> None:
    """The package manager is asked, twice because the first time its lists may be empty; it gets no standard input."""
    log = machine.clone / "asked"
    machine.add("python3", CRIPPLED_PYTHON)
    machine.add("id", f"#!/bin/sh\necho {user}\n")
    machine.add("apt-get", f'#!/bin/sh\necho "apt-get $*" >>"{log}"\nexit 1\n')
    machine.add("sudo", f'#!/bin/sh\necho "sudo $1" >>"{log}"\n[ "$2" != true ] || exit 0\nshift\n"$@"\n')
    ended = machine.set_up()
    assert ended.returncode == 1
    asked = log.read_text()
    assert expected in asked
    assert "install -y --no-install-recommends python3.12-venv" in asked
    assert "apt-get -qq update" in asked


def test_continuous_integration_runs_what_a_person_runs() -> None:
    lines = [line for line in (ROOT / ".ci/run").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[-1] == "exec make test </dev/null"
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_make_help_lists_every_verb() -> None:
    make = shutil.which("make")
    assert make is not None
    listed = subprocess.run([make, "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    verbs = set(re.findall(r"^  make (\S+)", listed, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split())
    assert verbs == phony
