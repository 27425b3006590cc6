"""Which ports a node's networks reach is read from the kernel, in a network namespace of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SURVEY = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote" / "survey.py"
LISTEN = """
import json, runpy, socket
kept = []
for number, (family, host) in enumerate(((2, "127.0.0.1"), (2, "0.0.0.0"), (10, "::1"), (10, "::"), (2, "127.7.0.3"))):
    one = socket.socket(family)
    if family == 10:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind((host, 8000 + number))
    one.listen()
    kept.append(one)
survey = runpy.run_path(PATH, run_name="survey")
print(json.dumps([survey["find_open_ports"](), sorted(map(int, survey["find_ports"]()))]))
"""
SPACE = ("unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")


def test_a_port_is_open_when_it_listens_beyond_the_loopback() -> None:
    if shutil.which("unshare") is None or subprocess.run([*SPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces are refused here")
    words = LISTEN.replace("PATH", repr(str(SURVEY)), 1)
    ran = subprocess.run([*SPACE, sys.executable, "-c", words], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    opened, held = json.loads(ran.stdout)
    assert opened == [8001, 8003]
    assert {8000, 8001, 8003} <= set(held)
