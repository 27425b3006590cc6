"""Whether docker can know of the NVIDIA toolkit, by the read's own script over real files."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from sparkdesk.core.bringup.reading_table import TOOLKIT_KNOWN, read_node
from sparkdesk.core.probes.doctor_docker import DAEMON_FILE, DAEMON_PID
from sparkdesk.core.probes.read import Answer, Read

NAMED = '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}'


def told(root: Path) -> str:
    """What the script prints of the machine below this folder."""
    argv = TOOLKIT_KNOWN.argv
    env = {**os.environ, "SPARKDESK_ROOT": str(root), "PATH": f"{root}/bin:{os.environ['PATH']}"}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout.strip()


def machine(root: Path, *, has_hook: bool = True, daemon: str | None = None, started_s: float = 0.0) -> Path:
    """A machine whose docker started so many seconds from now."""
    for path in (f"{root}/bin/nvidia-container-runtime-hook", f"{root}{DAEMON_PID}", f"{root}{DAEMON_FILE}"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    if has_hook:
        hook = root / "bin/nvidia-container-runtime-hook"
        hook.write_text("#!/bin/sh\n")
        hook.chmod(0o755)
        os.utime(hook, (1, 1))  # dpkg gives a file the time of its build; when it came says ctime
    pid = Path(f"{root}{DAEMON_PID}")
    pid.write_text("1")
    os.utime(pid, (time.time() + started_s,) * 2)
    if daemon is not None:
        Path(f"{root}{DAEMON_FILE}").write_text(daemon)
    return root


@pytest.mark.parametrize(
    ("daemon", "started_s", "words"),
    [(None, -60.0, "untold"), ("{}", -60.0, "untold"), (NAMED, -60.0, "known"), (None, 60.0, "known")],
)
def test_docker_knows_a_toolkit_that_its_file_names_or_that_was_there_when_it_started(
    tmp_path: Path, daemon: str | None, started_s: float, words: str
) -> None:
    assert told(machine(tmp_path, daemon=daemon, started_s=started_s)) == words


def test_without_a_toolkit_or_a_start_of_docker_nothing_is_told(tmp_path: Path) -> None:
    assert told(machine(tmp_path, has_hook=False, started_s=-60.0)) == ""
    machine(tmp_path, started_s=-60.0)
    Path(f"{tmp_path}{DAEMON_PID}").unlink()
    assert told(tmp_path) == ""


@pytest.mark.parametrize(("text", "known"), [("known\n", True), ("untold\n", False), ("", None), ("x\nknown", None)])
def test_only_the_scripts_own_words_are_taken(text: str, known: bool | None) -> None:
    answers: dict[Read, Answer] = {TOOLKIT_KNOWN: Answer((("", text),), code=0)}
    assert read_node(answers, node_id="n1", name="spark-1", host_key="").is_toolkit_known is known
