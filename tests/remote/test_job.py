"""Jobs outlive whoever started them, and every answer about one can be checked. Real processes, real kill -9."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.remote.job_node import (
    ENGINE,
    REMOTE,
    Node,
    clean,
    free_port,
    kill,
    log_of,
    put_engine,
    session_of,
    state_of,
    wait_for,
)
from tests.remote.python_version import PYTHONS

# Ends only by KILL, with a child of its own that does so too and one that left the process group.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('child', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", child])
stray = "import os,time; os.setpgid(0, 0); print('stray', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", stray])
print("stubborn", flush=True)
time.sleep(600)
"""


@pytest.fixture(params=PYTHONS)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path, request.param)
    yield made
    clean(made)


def test_a_job_starts_gets_ready_generates_a_token_and_stops(node: Node) -> None:
    folder = put_engine(node, env={"ENGINE_WORD": "apricot"})
    assert state_of(node, folder) == "planned"
    started = node.run("start", folder)
    assert started["started"] is True
    first = node.run("ready", folder)
    assert first["ready"] is False
    assert first["ended"] is False
    wait_for(lambda: node.run("ready", folder)["ready"])
    answer = node.run("token", folder)
    assert answer["ok"] is True
    assert answer["text"].startswith("OK tiny")
    assert answer["tokens"] == 2
    assert "listening apricot" in log_of(folder)
    assert node.run("stop", folder) == {"stopped": True}
    assert session_of(started["pid"]) == []
    ended = node.run("status", folder)
    assert (ended["state"], ended["reason"]) == ("ended", "stopped by user")
    assert node.run("ready", folder)["ended"] is True


def test_starting_twice_is_one_job_and_stopping_twice_is_fine(node: Node) -> None:
    folder = put_engine(node)
    pid = node.run("start", folder)["pid"]
    again = node.run("start", folder)
    assert again == {"started": True, "already": True, "pid": pid}
    node.run("stop", folder)
    assert node.run("stop", folder) == {"stopped": True, "already": True}
    assert node.run("start", folder)["pid"] != pid
    assert state_of(node, folder) == "running"
    node.run("stop", folder)


def test_two_starts_at_once_are_one_job(node: Node) -> None:
    folder = put_engine(node)
    command = [node.python, str(folder / "job.py"), "start", str(folder)]
    both = [subprocess.Popen(command, env=node.env, stdout=subprocess.PIPE) for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert answers[0]["pid"] == answers[1]["pid"]
    assert [answer.get("already", False) for answer in answers].count(True) == 1
    node.run("stop", folder)


def test_the_job_lives_on_when_the_session_that_started_it_is_killed(node: Node) -> None:
    folder = put_engine(node, load_s=0)
    command = f"{node.python} {folder}/job.py start {folder}; sleep 600"
    shell = subprocess.Popen(["sh", "-c", command], env=node.env, start_new_session=True, stdout=subprocess.PIPE)
    assert shell.stdout is not None
    pid = json.loads(shell.stdout.readline())["pid"]
    os.killpg(shell.pid, signal.SIGKILL)
    shell.communicate(timeout=10)
    wait_for(lambda: node.run("ready", folder)["ready"])
    assert node.run("status", folder)["pid"] == pid
    node.run("stop", folder)


def test_stop_ends_a_stubborn_engine_with_its_child_and_the_stray_of_its_session(node: Node) -> None:
    folder = node.put("stubborn", [node.python, "-c", STUBBORN])
    pid = node.run("start", folder)["pid"]
    wait_for(lambda: all(word in log_of(folder) for word in ("child", "stray", "stubborn")))
    assert len(session_of(pid)) == 3
    assert node.run("stop", folder) == {"stopped": True}
    assert session_of(pid) == []


def test_the_engines_own_way_to_stop_comes_first(node: Node) -> None:
    mark = node.home / "asked"
    folder = node.put("polite", ["sleep", "600"], stop_argv=[["touch", str(mark)], ["no-such-program"]])
    node.run("start", folder)
    node.run("stop", folder)
    assert mark.exists()


def test_after_kill_9_of_the_guard_the_job_can_still_be_stopped(node: Node) -> None:
    folder = node.put("orphan", ["sleep", "600"])
    pid = node.run("start", folder)["pid"]
    kill(node.run("status", folder)["guard_pid"])
    assert state_of(node, folder) == "running"
    assert node.run("stop", folder) == {"stopped": True}
    assert session_of(pid) == []
    assert node.run("status", folder)["reason"] == "stopped by user"


def test_guard_and_engine_both_killed_is_an_end_that_nobody_saw(node: Node) -> None:
    folder = node.put("both", ["sleep", "600"])
    record = node.run("start", folder) | node.run("status", folder)
    kill(record["guard_pid"])
    kill(record["pid"])
    wait_for(lambda: state_of(node, folder) == "ended")
    ended = node.run("status", folder)
    assert "unseen" in ended["reason"]
    assert ended.get("code") is None


def test_a_crash_is_told_with_its_code_and_the_last_lines_of_the_log(node: Node) -> None:
    folder = node.put("crash", ["sh", "-c", "echo loading; echo 'CUDA error: out of memory' >&2; exit 3"])
    node.run("start", folder)
    wait_for(lambda: state_of(node, folder) == "ended")
    ended = node.run("ready", folder)
    assert (ended["ready"], ended["ended"], ended["detail"]) == (False, True, "ended with exit code 3")
    assert "CUDA error: out of memory" in ended["log"]
    assert node.run("status", folder)["code"] == 3


def test_a_killed_engine_is_told_with_its_signal(node: Node) -> None:
    folder = node.put("killed", ["sleep", "600"])
    kill(node.run("start", folder)["pid"])
    wait_for(lambda: state_of(node, folder) == "ended")
    ended = node.run("status", folder)
    assert (ended["signal"], ended["code"]) == (9, None)


def test_a_program_that_is_not_there_is_not_started(node: Node) -> None:
    folder = node.put("missing", ["llama-server-of-nowhere"])
    assert "cannot start llama-server-of-nowhere" in node.run("start", folder, code=1)["error"]
    assert state_of(node, folder) == "ended"


def test_a_pid_that_another_process_got_is_not_our_job_and_is_not_touched(node: Node) -> None:
    folder = node.put("reused", ["sleep", "600"])
    record = node.run("start", folder) | node.run("status", folder)
    kill(record["guard_pid"])
    kill(record["pid"])
    wait_for(lambda: session_of(record["pid"]) == [])
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        kept = json.loads((folder / "job.json").read_text())
        (folder / "job.json").write_text(json.dumps(kept | {"pid": other.pid}))
        assert state_of(node, folder) == "ended"
        assert node.run("stop", folder)["stopped"] is True
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_after_a_restart_of_the_node_the_job_has_ended(node: Node) -> None:
    folder = node.put("reboot", ["sleep", "600"])
    node.run("start", folder)
    kept = (folder / "job.json").read_text()
    (folder / "job.json").write_text(json.dumps(json.loads(kept) | {"boot_id": "another"}))
    found = node.run("status", folder)
    assert (found["state"], found["reason"]) == ("ended", "the node was restarted")
    (folder / "job.json").write_text(kept)
    node.run("stop", folder)


def test_the_log_is_cut_into_files_whose_names_are_offsets_and_the_oldest_go(node: Node) -> None:
    node.env["SPARKDESK_LOG_FILE_BYTES"] = "500"
    script = "import time\nfor n in range(1000):\n print('line %04d' % n, flush=True)\n n % 20 or time.sleep(0.01)"
    folder = node.put("chatty", [node.python, "-c", script])
    node.run("start", folder)
    wait_for(lambda: state_of(node, folder) == "ended")
    files = sorted(folder.glob("log-*"))
    assert len(files) == 16
    for before, after in itertools.pairwise(files):
        assert int(before.name[4:]) + before.stat().st_size == int(after.name[4:])
    assert (folder / "log").resolve() == files[-1].resolve()
    assert log_of(folder).endswith("[sparkdesk] ended with exit code 0\n")
    assert node.run("status", folder)["log_bytes"] == 10_000 + len("[sparkdesk] ended with exit code 0\n")


def test_the_secret_reaches_the_engine_alone_and_goes_when_it_ends(node: Node) -> None:
    script = "import os,time; print('key has', len(os.environ['API_KEY']), flush=True); time.sleep(600)"
    folder = node.put("secret", [node.python, "-c", script])
    (folder / "secrets.json").write_text(json.dumps({"API_KEY": "canary-7f3a"}))
    node.run("start", folder)
    wait_for(lambda: "key has 11" in log_of(folder))
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            assert b"canary-7f3a" not in Path("/proc", name, "cmdline").read_bytes()
        except OSError:
            continue
    node.run("stop", folder)
    assert not (folder / "secrets.json").exists()
    assert all(b"canary" not in path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_a_server_with_a_key_gets_it_and_one_elsewhere_on_loopback_is_found(node: Node) -> None:
    port = free_port()
    where = {"host": "127.0.0.1", "port": port, "key_env": "API_KEY"}
    token = {**where, "path": "/v1/chat/completions", "model": "tiny"}
    argv = [node.python, "-c", ENGINE, str(port), "0", "127.0.0.9"]
    folder = node.put("elsewhere", argv, ready={**where, "path": "/"}, token=token)
    (folder / "secrets.json").write_text(json.dumps({"API_KEY": "k1"}))
    node.env |= {"SPARKDESK_LOOPBACK": "127.0.0.9", "http_proxy": "http://127.0.0.1:1"}
    node.run("start", folder)
    wait_for(lambda: node.run("ready", folder)["ready"])
    assert node.run("token", folder)["text"] == "OK tiny Bearer k1"
    node.run("stop", folder)


def test_no_token_is_not_a_success(node: Node) -> None:
    folder = put_engine(node, token={"host": "127.0.0.1", "port": free_port(), "path": "/v1/chat/completions"})
    node.run("start", folder)
    assert "Connection refused" in node.run("token", folder, code=1)["error"]
    node.run("stop", folder)


def test_only_what_is_over_is_removed_and_files_of_others_stay(node: Node) -> None:
    folder = node.put("gone", ["sleep", "600"])
    node.run("start", folder)
    assert "not over" in node.run("remove", folder, code=1)["error"]
    node.run("stop", folder)
    assert node.run("remove", folder) == {"removed": True}
    assert not folder.exists()
    folder = node.put("kept", ["true"])
    (folder / "notes.txt").write_text("mine")
    node.run("remove", folder, code=1)
    assert (folder / "notes.txt").read_text() == "mine"


def test_files_that_the_plan_brought_go_with_the_folder(node: Node) -> None:
    folder = node.put("brought", ["true"], files=["config.yaml"])
    (folder / "config.yaml").write_text("a: 1\n")
    assert node.run("remove", folder) == {"removed": True}


def test_the_folder_stands_in_words_and_variables_without_a_shell(node: Node) -> None:
    script = "import os,sys; print(sys.argv[1], os.environ['CONFIG'], flush=True)"
    argv = [node.python, "-c", script, "--config={folder}/a b.json {other}"]
    folder = node.put("words", argv, env={"CONFIG": "{folder}/c"})
    node.run("start", folder)
    wait_for(lambda: state_of(node, folder) == "ended")
    assert log_of(folder).splitlines()[0] == f"--config={folder}/a b.json {{other}} {folder}/c"


def test_a_folder_without_its_guard_is_not_started(node: Node) -> None:
    folder = node.put("bare", ["true"])
    (folder / "guard.py").unlink()
    assert "guard.py is missing" in node.run("start", folder, code=1)["error"]


def test_a_job_that_ended_unseen_loses_its_secret_at_the_stop(node: Node) -> None:
    folder = node.put("both", ["sleep", "600"])
    (folder / "secrets.json").write_text(json.dumps({"API_KEY": "canary"}))
    record = node.run("start", folder) | node.run("status", folder)
    kill(record["guard_pid"])
    kill(record["pid"])
    wait_for(lambda: state_of(node, folder) == "ended")
    assert node.run("stop", folder)["stopped"] is True
    assert not (folder / "secrets.json").exists()


def test_a_folder_of_another_schema_is_shown_and_never_touched(node: Node) -> None:
    folder = node.put("future", ["true"])
    (folder / "spec.json").write_text(json.dumps({"schema": 2, "program": "true"}))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for verb in ("start", "stop", "remove", "status"):
        assert "another schema" in node.run(verb, folder, code=1)["error"]
    listed = node.list()["jobs"][0]
    assert (listed["job_id"], listed["state"]) == ("future", "unreadable")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_list_tells_each_job_as_it_is(node: Node) -> None:
    assert node.list() | {"others": []} == {"jobs": [], "more": 0, "others": []}, "others may run on this machine"
    node.put("planned", ["true"])
    ended = node.put("ended", ["sh", "-c", "exit 4"], title="A model")
    running = node.put("running", ["sleep", "600"], plan={"title": "p"}, plan_hash="h1", engine="llama.cpp")
    (node.jobs / "broken").mkdir()
    (node.jobs / "broken" / "spec.json").write_bytes(b"\xff{")
    for folder in (ended, running):
        node.run("start", folder)
    wait_for(lambda: state_of(node, ended) == "ended")
    found = {job["job_id"]: job for job in node.list()["jobs"]}
    states = {key: job["state"] for key, job in found.items()}
    assert states == {"planned": "planned", "ended": "ended", "running": "running", "broken": "unreadable"}
    assert (found["ended"]["code"], found["ended"]["title"]) == (4, "A model")
    assert found["running"]["plan"] == {"title": "p"}
    assert found["running"]["engine"] == "llama.cpp"
    assert "plan" not in found["ended"]
    node.run("stop", running)


def test_a_lingering_user_gets_a_unit_and_a_failing_systemd_is_no_obstacle(node: Node) -> None:
    """A stand-in for systemd-run: the first time it runs what it was given, the second time it fails."""
    root = node.home / "root"
    (root / "var/lib/systemd/linger").mkdir(parents=True)
    (root / "var/lib/systemd/linger/ada").touch()
    tool = node.home / "bin" / "systemd-run"
    tool.parent.mkdir()
    tool.write_text(
        f'#!/bin/sh\necho "$*" >> {node.home}/asked\n[ -e {node.home}/fail ] && exit 1\n'
        'while [ "${1#--}" != "$1" ]; do [ "$1" = --unit ] && shift; shift; done\n'
        'setsid "$@" </dev/null >/dev/null 2>&1 &\n'
    )
    tool.chmod(0o755)
    node.env |= {"SPARKDESK_ROOT": str(root), "USER": "ada", "PATH": f"{tool.parent}:{node.env['PATH']}"}
    folder = node.put("abcdefgh", ["sleep", "600"])
    node.run("start", folder)
    asked = (node.home / "asked").read_text()
    assert "--user --quiet --collect --unit sparkdesk-abcdefgh" in asked
    assert f"--setenv=SPARKDESK_ROOT={root}" in asked
    node.run("stop", folder)
    (node.home / "fail").touch()
    node.run("start", folder)
    assert state_of(node, folder) == "running"
    node.run("stop", folder)


def test_the_program_says_how_it_is_used(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, REMOTE / "job.py", "dance"], capture_output=True, timeout=30)
    assert done.returncode == 1
    assert b"usage: job.py start|watch|status" in done.stderr
