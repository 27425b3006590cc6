"""What a node says for a plan: the survey really looks, and what it says is typed and bounded."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.node import NodeFacts, NodeRecord
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.services.jobs.node_context import read_survey
from sparkdesk.services.remote_program import run_program
from tests.fakes.shell import LocalShell

SURVEY = (Path(__file__).resolve().parents[3] / "sparkdesk" / "remote" / "survey.py").read_bytes()
RECORD = NodeRecord("n1", "spark-1", "127.0.0.1", 22, "spark")


def prepare(home: Path) -> None:
    """A home with model files, one of them by a link as the hub's cache has it, and one link to nothing."""
    blob = home / ".cache/huggingface/hub/models--a--b/blobs/0a1b"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x" * 7)
    snapshot = home / ".cache/huggingface/hub/models--a--b/snapshots/c0/weights.gguf"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(blob)
    hub = home / ".cache/huggingface/hub"
    for name, files in {
        "models--owner--whole--name": ("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"),
        "models--owner--half": ("m-00001-of-00002.safetensors",),
        "models--single--file": ("model.safetensors", "config.json"),
        "datasets--owner--rows": ("rows.safetensors",),
    }.items():
        folder = hub / name / "snapshots" / "c0"
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).write_bytes(b"x" * (9 if file == "model.safetensors" else 3))
    broken = hub / "models--owner--broken" / "snapshots" / "c0"
    broken.mkdir(parents=True)
    (broken / "model.safetensors").symlink_to(home / "nothing")
    (home / "models").mkdir()
    (home / "models" / "one.GGUF").write_bytes(b"x" * 5)
    (home / "models" / "gone.gguf").symlink_to(home / "nothing")
    (home / "models" / "notes.txt").write_text("no model")


async def test_the_survey_finds_models_ports_and_programs(tmp_path: Path) -> None:
    await asyncio.to_thread(prepare, tmp_path)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        found = await run_program(LocalShell(tmp_path), SURVEY, ("sh", "no-such-program"))
    context = read_survey(NodeContext(RECORD), found)
    assert context.home == str(tmp_path)
    assert context.weight_files == {
        f"{tmp_path}/models/one.GGUF": 5,
        f"{tmp_path}/.cache/huggingface/hub/models--a--b/snapshots/c0/weights.gguf": 7,
    }
    assert context.hub_repos == {"owner/whole--name": 6, "single/file": 9}
    assert set(context.partial_repos) == {"owner/half", "owner/broken"}
    assert context.shm_bytes
    assert context.mem_free_bytes
    assert context.mem_free_bytes <= context.mem_total_bytes
    assert "(pid " in context.used_ports[port]
    assert list(context.programs) == ["sh"]
    assert context.images is None
    assert context.cpu_count
    assert context.disk_free_bytes
    assert context.mem_total_bytes
    assert context.mem_available_bytes


async def test_a_server_on_another_address_does_not_hold_the_port(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.9", 0))
        held.listen()
        port = held.getsockname()[1]
        found = await run_program(LocalShell(tmp_path), SURVEY)
        elsewhere = LocalShell(tmp_path, env={"SPARKDESK_LOOPBACK": "127.0.0.9"})
        there = await run_program(elsewhere, SURVEY)
    assert str(port) not in found["ports"]
    assert str(port) in there["ports"]


async def test_images_are_those_that_docker_names(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\n[ \"$1 $2\" = 'image ls' ] && printf 'a/b:1\\n<none>:<none>\\nc:2\\n'\n")
    docker.chmod(0o755)
    path = f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin"
    found = await run_program(LocalShell(tmp_path, env={"PATH": path}), SURVEY, ("docker",))
    assert read_survey(NodeContext(RECORD), found).images == ("a/b:1", "c:2")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
keys = st.sampled_from(["home", "images", "weights", "ports", "programs", "cpu_count", "mem_total_bytes"])


@given(st.dictionaries(keys, json_values))
def test_any_answer_gives_a_context(found: dict[str, object]) -> None:
    context = read_survey(NodeContext(RECORD, NodeFacts(home="/home/spark")), json.loads(json.dumps(found)))
    assert all(isinstance(size, int) for size in context.weight_files.values())
    assert all(0 <= port <= 65535 for port in context.used_ports)
    assert context.home
