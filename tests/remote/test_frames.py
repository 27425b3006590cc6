"""The program that listens below all addresses: without a card, without the right to listen, and on what it hears."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.program import python_command
from tests.remote.python_version import PYTHONS
from tests.remote.spark_root import write

PROGRAM = (Path(__file__).parents[2] / "sparkdesk" / "remote" / "frames.py").read_bytes()


def run(root: Path, python: str) -> dict[str, Any]:
    """What the program prints, sent as it is sent to a node."""
    argv = [python, *python_command([PROGRAM], "token", "n1", "0.2").argv[1:]]
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "SPARKDESK_ROOT": str(root)}
    done = subprocess.run(argv, input=PROGRAM, capture_output=True, timeout=30, env=env, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("python", PYTHONS)
def test_a_node_without_a_card_and_a_port_that_cannot_be_opened_end_in_words(python: str, tmp_path: Path) -> None:
    assert run(tmp_path, python)["frames"] == []
    write(tmp_path, "sys/class/net/enp1s0f0np0/carrier", "1\n")
    write(tmp_path, "sys/class/net/enp1s0f0np0/carrier_changes", "7\n")
    write(tmp_path, "sys/class/net/enp1s0f1np1/carrier", "0\n")
    answer = run(tmp_path, python)
    assert answer["changes"] == {"enp1s0f0np0": 7}
    assert set(answer["errors"]) == {"enp1s0f0np0"}
    assert (answer["node"], answer["frames"], answer["lldp"]) == ("n1", [], [])
