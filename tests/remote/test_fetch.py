"""A model is fetched whole from a hub, or it is not there: cut, slow, refused, wrong, hostile, killed, full disk."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.fetch_node import FILES, FIRST, LARGE, REMOTE, SHARD, Node
from tests.servers.hub import COMMIT, Hub, HubServer


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with one small model."""
    with HubServer(Hub(dict(FILES), set(LARGE))) as hub:
        yield hub


@pytest.fixture
def node(tmp_path: Path, hub: Hub) -> Node:
    """A node whose hub is this one."""
    return Node(tmp_path, hub)


def test_a_model_arrives_in_the_hubs_own_layout(node: Node, hub: Hub) -> None:
    assert not node.is_whole()
    said = node.fetch()
    assert said["ok"] is True, said
    for name, content in FILES.items():
        if name != "pytorch_model.bin":
            assert (node.snapshot / name).is_symlink()
            assert (node.snapshot / name).read_bytes() == content
    assert not (node.snapshot / "pytorch_model.bin").exists()
    assert (node.repo / "refs/main").read_text() == COMMIT
    sha = hashlib.sha256(SHARD).hexdigest()
    assert os.readlink(node.snapshot / FIRST) == f"../../blobs/{sha}"
    assert not list(node.cache.rglob("*.incomplete"))
    assert node.is_whole()
    assert node.cache_program("verify", "o/n")["ok"] is True


def test_a_model_that_is_there_is_not_fetched_again(node: Node, hub: Hub) -> None:
    node.fetch()
    hub.cdn_asked.clear()
    assert node.fetch()["ok"] is True
    assert hub.cdn_asked == []


def test_a_download_that_is_cut_goes_on_from_what_is_there(node: Node, hub: Hub) -> None:
    hub.cut_after[FIRST] = [270_000, 10_000]
    assert node.fetch()["ok"] is True
    ranges = [asked[1] for asked in hub.cdn_asked if FIRST in asked[0]]
    assert ranges == ["", "bytes=270000-", "bytes=280000-"]
    assert (node.snapshot / FIRST).read_bytes() == SHARD


def test_a_hub_that_does_not_go_on_is_read_from_the_start(node: Node, hub: Hub) -> None:
    hub.cut_after[FIRST] = [200_000]
    hub.takes_range = False
    assert node.fetch()["ok"] is True
    assert (node.snapshot / FIRST).read_bytes() == SHARD


def test_a_killed_download_is_never_whole_and_goes_on(node: Node, hub: Hub) -> None:
    hub.halt_after[FIRST] = 100_000
    process = node.begin("o/n", "main")
    assert process.stdout is not None
    partial = node.repo / "blobs" / f"{hashlib.sha256(SHARD).hexdigest()}.incomplete"
    for _ in range(1000):
        if partial.exists() and partial.stat().st_size >= 50_000:
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stdout.close()
    kept = partial.stat().st_size
    assert not node.snapshot.exists()
    assert not node.is_whole()
    hub.go_on.set()
    hub.cdn_asked.clear()
    assert node.fetch()["ok"] is True
    assert f"bytes={kept}-" in [asked[1] for asked in hub.cdn_asked]
    assert (node.snapshot / FIRST).read_bytes() == SHARD


def test_a_file_that_is_not_what_the_hub_says_is_removed(node: Node, hub: Hub) -> None:
    for name, lie in ((FIRST, b"x" * len(SHARD)), ("config.json", b"x" * len(FILES["config.json"]))):
        hub.lies = {name: lie}
        said = node.fetch()
        assert (said["ok"], said["kind"]) == (False, "checksum")
        assert name in said["message"]
        assert not node.snapshot.exists()
        shutil.rmtree(node.repo)
    hub.lies = {FIRST: SHARD + b"more"}
    assert node.fetch()["kind"] == "checksum"


@pytest.mark.parametrize(
    ("token", "given", "is_gated", "kind"),
    [("t0", "", False, "no_token"), ("t0", "t1", False, "token"), ("t0", "t0", True, "gated"), ("", "", True, "gated")],
)
def test_no_token_a_bad_one_and_a_gate_are_told_apart(
    node: Node, hub: Hub, token: str, given: str, is_gated: bool, kind: str
) -> None:
    hub.token, hub.is_gated = token, is_gated
    node.env["HF_TOKEN"] = given
    said = node.fetch()
    assert (said["ok"], said["kind"]) == (False, kind)
    assert said["remedy"]


def test_a_model_a_revision_and_a_file_that_are_not_there_are_told_apart(node: Node) -> None:
    for words, what in ((("o/x", "main"), "no such model"), (("o/n", "v9"), "no such revision")):
        said = node.fetch(*words)
        assert (said["kind"], what in said["message"]) == ("missing", True)
    assert "x.gguf" in node.fetch("o/n", "main", "x.gguf")["message"]


def test_a_model_of_which_nothing_came_is_not_listed_as_there_in_part(node: Node, hub: Hub) -> None:
    hub.codes = [404] * 20
    assert node.fetch()["kind"] == "missing"
    assert list(node.repo.glob("blobs/*.incomplete")), "what the refused files would have been written to"
    assert node.cache_program("list")["models"] == []
    hub.codes = []
    hub.cut_after[FIRST] = [100_000, *([0] * 20)]
    assert node.fetch()["kind"] == "cut"
    assert [model["state"] for model in node.cache_program("list")["models"]] == ["partial"]


def test_a_busy_hub_is_asked_again_and_one_that_stays_busy_is_named(node: Node, hub: Hub) -> None:
    hub.codes = [429, 503]
    assert node.fetch()["ok"] is True
    hub.codes = [429] * 100
    (node.repo / "blobs" / hub.entry("config.json")["oid"]).unlink()
    said = node.fetch()
    assert (said["ok"], said["kind"]) == (False, "busy")


def test_the_token_goes_to_the_hub_only(node: Node, hub: Hub) -> None:
    hub.token = "hf_secret"
    (node.home / ".cache/huggingface").mkdir(parents=True)
    (node.home / ".cache/huggingface/token").write_text("hf_secret\n")
    assert node.fetch()["ok"] is True
    assert {asked[2] for asked in hub.asked} == {"Bearer hf_secret"}
    assert {asked[2] for asked in hub.cdn_asked} == {""}


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/../../x", "a\x1b[2J", "a\\b", "a//b", "x" * 300])
def test_a_file_name_that_leaves_its_folder_is_refused(node: Node, hub: Hub, name: str) -> None:
    hub.files[name] = b"bad"
    said = node.fetch()
    assert (said["ok"], said["kind"]) == (False, "hostile")
    assert not node.repo.joinpath("snapshots").exists()


def test_a_full_disk_is_named_and_what_came_stays(node: Node) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    said = node.fetch("o/n", "main", preexec_fn=limit)
    assert (said["ok"], said["kind"]) == (False, "disk")
    assert not node.is_whole()
    assert any(path.stat().st_size == 100_000 for path in node.repo.rglob("*.incomplete"))
    assert node.fetch()["ok"] is True


def test_too_little_room_is_said_before_anything_comes(node: Node, hub: Hub) -> None:
    node.env["SPARKDESK_SPARE_BYTES"] = str(1 << 60)
    said = node.fetch()
    assert (said["kind"], hub.cdn_asked) == ("disk", [])


def test_a_node_without_internet_is_named(node: Node) -> None:
    node.env["HF_ENDPOINT"] = "http://127.0.0.1:9"
    said = node.fetch()
    assert (said["kind"], "cannot reach" in said["message"]) == ("offline", True)


def test_one_file_of_a_model_gets_a_name_that_stays(node: Node, hub: Hub) -> None:
    hub.files["q/w.gguf"] = b"GGUF" * 100
    hub.large.add("q/w.gguf")
    assert node.fetch("o/n", "main", "q/w.gguf")["files"] == 1
    assert node.cache_program("check", "o/n", "main", "q/w.gguf")["whole"] is True
    assert not node.is_whole()
    said = node.cache_program("expose", "o/n", "main", "~/models/o--n", "q/w.gguf")
    assert said["ok"] is True
    assert (node.home / "models/o--n/q/w.gguf").read_bytes() == b"GGUF" * 100


def test_damage_on_the_disk_is_found_and_a_model_is_removed(node: Node) -> None:
    node.fetch()
    blob = node.repo / "blobs" / hashlib.sha256(SHARD).hexdigest()
    blob.write_bytes(b"y" + SHARD[1:])
    said = node.cache_program("verify", "o/n")
    assert (said["ok"], said["bad"]) == (False, [blob.name])
    assert node.cache_program("remove", "o/n")["removed"] is True
    assert not node.repo.exists()
    assert node.cache_program("remove", "../../x")["ok"] is False


def test_each_try_of_a_cut_download_is_told_with_its_reason_and_its_wait(node: Node, hub: Hub) -> None:
    hub.cut_after[FIRST] = [270_000, 0]
    node.env["SPARKDESK_RETRY_S"] = "0.2"
    lines = node.lines()
    again = [line["again"] for line in lines if "again" in line and line["again"]["why"] == "line cut"]
    assert lines[-1]["ok"] is True
    assert {(one["try"], one["of"]) for one in again} == {(1, 5), (2, 5)}
    assert all(0 < one["in_s"] <= 0.5 for one in again)
    assert all(line["done"] < line["total"] for line in lines if "again" in line)
    hub.codes = [503]
    shutil.rmtree(node.repo)
    assert "the hub has a fault" in str(node.lines())


def test_a_hub_that_is_not_there_is_asked_again_aloud(node: Node) -> None:
    node.env["HF_ENDPOINT"] = "http://127.0.0.1:9"
    again = [line["again"] for line in node.lines() if "again" in line]
    assert [(one["why"], one["try"]) for one in again] == [("no way to the hub", number) for number in range(1, 6)]


def test_two_downloads_of_one_model_at_once_leave_no_hole(node: Node, hub: Hub) -> None:
    hub.piece_s = 0.02
    first = node.begin("o/n", "main")
    second = node.begin("o/n", "main", FIRST)  # other words: another folder of transfer.py, and no lock there
    told = [process.communicate(timeout=50)[0] for process in (first, second)]
    assert [json.loads(out.splitlines()[-1])["ok"] for out in told] == [True, True]
    assert b"another download brings it" in told[0] + told[1]
    assert sum(FIRST in asked[0] for asked in hub.cdn_asked) == 1, "it came once"
    assert (node.snapshot / FIRST).read_bytes() == SHARD
    assert node.cache_program("verify", "o/n")["ok"] is True
    assert not list(node.cache.rglob("*.incomplete"))


def test_two_files_of_the_same_bytes_come_once_and_wait_for_nobody(node: Node, hub: Hub) -> None:
    hub.files["copy.safetensors"] = SHARD
    hub.large.add("copy.safetensors")
    hub.halt_after = {FIRST: 100_000, "copy.safetensors": 100_000}
    process = node.begin("o/n", "main")
    partial = node.repo / "blobs" / f"{hashlib.sha256(SHARD).hexdigest()}.incomplete"
    for _ in range(1000):
        if partial.exists() and partial.stat().st_size >= 50_000:
            break
        time.sleep(0.01)
    time.sleep(0.1)  # who would wait for it has said so
    hub.go_on.set()
    told = process.communicate(timeout=50)[0]
    assert json.loads(told.splitlines()[-1])["ok"] is True
    assert b"another download brings it" not in told
    assert (node.snapshot / FIRST).read_bytes() == (node.snapshot / "copy.safetensors").read_bytes() == SHARD
    assert node.is_whole()


def test_who_waits_for_another_download_goes_on_when_that_is_killed(node: Node, hub: Hub) -> None:
    hub.halt_after[FIRST] = 100_000
    first = node.begin("o/n", "main", FIRST)
    partial = node.repo / "blobs" / f"{hashlib.sha256(SHARD).hexdigest()}.incomplete"
    for _ in range(1000):
        if partial.exists() and partial.stat().st_size >= 50_000:
            break
        time.sleep(0.01)
    second = node.begin("o/n", "main")
    time.sleep(0.3)
    first.kill()
    first.communicate()
    hub.go_on.set()
    assert json.loads(second.communicate(timeout=50)[0].splitlines()[-1])["ok"] is True
    assert (node.snapshot / FIRST).read_bytes() == SHARD


def test_a_disk_that_fills_in_the_middle_is_named_and_with_room_it_goes_on(node: Node) -> None:
    """A real ENOSPC: a small disk of its own, then a larger one."""
    (node.home / ".cache").mkdir()
    node.env["SPARKDESK_SPARE_BYTES"] = "-999999999"  # it begins although there is no room
    fetch = [sys.executable, "-I", "-S", str(REMOTE / "fetch.py"), "o/n", "main"]
    look = f"ls -s {node.repo}/blobs/*.incomplete; mount -o remount,size=9m $HOME/.cache"
    script = f'mount -t tmpfs -o size=300k none $HOME/.cache || exit 99; "$@"; {look}; "$@"; cat $0 | wc -c'
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(node.snapshot / FIRST), *fetch]
    done = subprocess.run(argv, env=node.env, capture_output=True, timeout=50, check=False)
    if done.returncode == 99 or b"unshare" in done.stderr:
        pytest.skip("namespaces are not allowed here")
    said = [json.loads(line) for line in done.stdout.splitlines() if b'"ok"' in line]
    assert [(one["ok"], one.get("kind")) for one in said] == [(False, "disk"), (True, None)]
    assert "full" in said[0]["message"]
    assert "Make room" in said[0]["remedy"]
    assert int(done.stdout.splitlines()[-1]) == len(SHARD)


def test_who_waits_for_another_download_that_leaves_wrong_bytes_starts_once_more(node: Node) -> None:
    partial = node.repo / "blobs" / f"{hashlib.sha256(SHARD).hexdigest()}.incomplete"
    partial.parent.mkdir(parents=True)
    with partial.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        process = node.begin("o/n", "main", FIRST)
        assert process.stdout is not None
        assert any(b"another download brings it" in line for line in iter(process.stdout.readline, b""))
        other.write(b"y" * len(SHARD))
    out, _ = process.communicate(timeout=50)
    assert json.loads(out.splitlines()[-1])["ok"] is True
    assert (node.snapshot / FIRST).read_bytes() == SHARD


def test_a_file_is_growing_only_while_somebody_holds_its_lock(node: Node) -> None:
    partial = node.repo / "blobs" / f"{hashlib.sha256(SHARD).hexdigest()}.incomplete"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"y")
    assert [model["is_growing"] for model in node.cache_program("list")["models"]] == [False]
    with partial.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert [model["is_growing"] for model in node.cache_program("list")["models"]] == [True]
    without = """import errno, fcntl, runpy, sys
def flock(*_): raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = flock
sys.argv = [sys.argv[1], "list"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    argv = [sys.executable, "-I", "-S", "-c", without, str(REMOTE / "hub_cache.py")]
    done = subprocess.run(argv, env=node.env, capture_output=True, timeout=50, check=False)
    told = json.loads(done.stdout.splitlines()[-1])["models"]
    assert [model["is_growing"] for model in told] == [False], "a disk without locks"


def test_two_files_that_wait_for_the_same_moment_are_told(node: Node) -> None:
    both = """import runpy, sys
meter = runpy.run_path(sys.argv[1])["Meter"](2, 2)
meter.again = {str(n): (1e12, {"why": "line cut", "try": n}) for n in (1, 2)}
meter.tell()
"""
    argv = [sys.executable, "-I", "-S", "-c", both, str(REMOTE / "fetch.py")]
    done = subprocess.run(argv, env=node.env, capture_output=True, timeout=50, check=True)
    assert json.loads(done.stdout)["again"]["why"] == "line cut"
