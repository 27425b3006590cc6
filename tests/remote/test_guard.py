"""The guard on a node ends what would freeze it, starts again what died, and says why. Real processes, real kill -9."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.remote.job_node import CRASHES, Node, clean, kill, log_of, session_of, state_of, wait_for
from tests.remote.python_version import PYTHONS

MIB = 1 << 20
NO_PROOF = {"proof": "none"}


@pytest.fixture(params=PYTHONS)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path, request.param)
    yield made
    clean(made)


def set_memory(node: Node, available: int, *, stall_us: int = 1) -> None:
    """What the node's kernel says from now on; replaced whole, as a reader must never see half of it."""
    root = node.home / "root"
    (root / "proc/pressure").mkdir(parents=True, exist_ok=True)
    texts = {
        "meminfo": f"MemTotal: 999999 kB\nMemAvailable: {available // 1024} kB\n",
        "pressure/memory": f"some avg10=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total={stall_us}\n",
    }
    for name, text in texts.items():
        new = root / "proc" / "new"
        new.write_text(text)
        new.replace(root / "proc" / name)
    node.env["SPARKDESK_ROOT"] = str(root)


def end_of(node: Node, folder: Path) -> dict[str, Any]:
    """How a job ended, when it has."""
    wait_for(lambda: state_of(node, folder) == "ended")
    return node.run("status", folder)


def test_too_little_memory_kills_the_engine_and_says_why(node: Node) -> None:
    set_memory(node, 900 * MIB)
    folder = node.put("floor", ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], memory_floor_bytes=500 * MIB)
    pid = node.run("start", folder)["pid"]
    time.sleep(0.6)
    assert state_of(node, folder) == "running"
    set_memory(node, 100 * MIB)
    ended = end_of(node, folder)
    assert ended["reason"] == "memory floor: 100.0 MiB available, at least 500.0 MiB wanted"
    assert (ended["kind"], ended["signal"]) == ("memory", 9)
    assert ended["memory"]["available_bytes"] == 100 * MIB
    assert session_of(pid) == []
    assert "[sparkdesk] memory floor: 100.0 MiB" in log_of(folder)


def test_the_newest_job_goes_first_and_the_older_one_only_when_that_did_not_help(node: Node) -> None:
    set_memory(node, 900 * MIB)
    old, new = (node.put(name, ["sleep", "600"], memory_floor_bytes=500 * MIB) for name in ("b-old", "a-new"))
    node.run("start", old)
    time.sleep(0.01)
    node.run("start", new)
    set_memory(node, 400 * MIB)
    assert end_of(node, new)["kind"] == "memory"
    set_memory(node, 900 * MIB)
    time.sleep(1.8)
    assert state_of(node, old) == "running"
    set_memory(node, 400 * MIB)
    assert end_of(node, old)["kind"] == "memory", "nothing newer is left"


def test_the_older_job_goes_too_when_memory_stays_low(node: Node) -> None:
    set_memory(node, 900 * MIB)
    old, new = (node.put(name, ["sleep", "600"], memory_floor_bytes=500 * MIB) for name in ("old", "new"))
    node.run("start", old)
    time.sleep(0.01)
    node.run("start", new)
    set_memory(node, 400 * MIB)
    for folder in (new, old):
        assert end_of(node, folder)["kind"] == "memory"
    decided_s = [(folder / "why.json").stat().st_mtime for folder in (new, old)]
    assert decided_s[1] - decided_s[0] > 1.0


def test_an_older_job_waits_until_what_a_newer_one_held_can_have_come_back(node: Node) -> None:
    """Its guard may look only when the newer engine is dead already, and its memory not yet free."""
    set_memory(node, 900 * MIB)
    old, new = (node.put(name, ["sleep", "600"], memory_floor_bytes=500 * MIB) for name in ("old", "new"))
    node.run("start", old)
    time.sleep(0.01)
    node.run("start", new)
    guard = node.run("status", old)["guard_pid"]
    os.kill(guard, signal.SIGSTOP)
    try:
        set_memory(node, 400 * MIB)
        ended_ms = end_of(node, new)["ended_ms"]
    finally:
        os.kill(guard, signal.SIGCONT)
    end_of(node, old)
    assert (old / "why.json").stat().st_mtime - ended_ms / 1000 > 1.0


def test_an_older_job_lives_on_where_a_newer_plan_leaves_less_than_its_own_floor(node: Node) -> None:
    set_memory(node, 900 * MIB)
    old = node.put("old", ["sleep", "600"], memory_floor_bytes=500 * MIB)
    node.run("start", old)
    time.sleep(0.01)
    new = node.put("new", ["sleep", "600"], memory_floor_bytes=300 * MIB)
    node.run("start", new)
    set_memory(node, 400 * MIB)
    time.sleep(2.5)
    assert [state_of(node, folder) for folder in (old, new)] == ["running", "running"], "as both plans reckoned"
    set_memory(node, 250 * MIB)
    assert end_of(node, new)["kind"] == "memory"
    assert end_of(node, old)["kind"] == "memory", "memory stays too low for anybody"


def test_an_older_job_has_its_own_floor_back_when_the_newer_one_has_ended(tmp_path: Path) -> None:
    node = Node(tmp_path, sys.executable)
    set_memory(node, 900 * MIB)
    old = node.put("old", ["sleep", "600"], memory_floor_bytes=500 * MIB)
    node.run("start", old)
    time.sleep(0.01)
    new = node.put("new", ["sleep", "600"], memory_floor_bytes=300 * MIB)
    node.run("start", new)
    set_memory(node, 400 * MIB)
    time.sleep(1.0)
    assert node.run("stop", new) == {"stopped": True}
    assert end_of(node, old)["reason"] == "memory floor: 400.0 MiB available, at least 500.0 MiB wanted"


def test_a_folder_beside_it_that_cannot_be_read_does_not_end_the_guarding(tmp_path: Path) -> None:
    node = Node(tmp_path, sys.executable)
    set_memory(node, 900 * MIB)
    folder = node.put("ours", ["sleep", "600"], memory_floor_bytes=500 * MIB)
    node.run("start", folder)
    record = json.loads((folder / "job.json").read_text())
    newer = record | {"started_ms": record["started_ms"] + 5}
    for name, spec in (("other-schema", '{"schema": 99}'), ("words", '{"schema": 1, "memory_floor_bytes": "much"}')):
        (node.jobs / name).mkdir()
        (node.jobs / name / "spec.json").write_text(spec)
        (node.jobs / name / "job.json").write_text(json.dumps(newer))
    (node.jobs / "odd").mkdir()
    (node.jobs / "odd" / "job.json").write_text(json.dumps(record | {"started_ms": "yesterday"}))
    set_memory(node, 100 * MIB)
    assert end_of(node, folder)["kind"] == "memory"


def test_a_guard_that_cannot_look_at_the_other_jobs_kills_all_the_same(tmp_path: Path) -> None:
    node = Node(tmp_path, sys.executable)
    set_memory(node, 900 * MIB)
    pid = node.run("start", node.put("alone", ["sleep", "600"], memory_floor_bytes=500 * MIB))["pid"]
    away = node.jobs.rename(node.jobs.with_name("away"))
    try:
        set_memory(node, 100 * MIB)
        wait_for(lambda: session_of(pid) == [])
    finally:
        away.rename(node.jobs)
        clean(node)


def test_a_time_that_is_up_while_there_is_no_memory_for_a_thread_ends_the_job_when_there_is(node: Node) -> None:
    folder = node.put("timed", ["sleep", "600"], stop_after_s=2)
    pid = node.run("start", folder)["pid"]
    guard = json.loads((folder / "job.json").read_text())["guard_pid"]
    resource.prlimit(guard, resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
    time.sleep(3.0)
    assert session_of(pid) != []
    resource.prlimit(guard, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert end_of(node, folder)["kind"] == "time"


def test_a_node_without_meminfo_is_no_reason_to_kill(node: Node) -> None:
    node.env["SPARKDESK_ROOT"] = str(node.home / "nothing")
    folder = node.put("blind", ["sleep", "600"], memory_floor_bytes=500 * MIB)
    node.run("start", folder)
    time.sleep(0.6)
    assert state_of(node, folder) == "running"


def test_an_engine_that_had_been_ready_is_started_again_and_a_crash_loop_ends_with_its_cause(node: Node) -> None:
    folder = node.put("loop", ["sh", "-c", CRASHES, "{folder}"], restart_limit=9, token=NO_PROOF)
    node.run("start", folder)
    assert node.run("token", folder)["ok"] is True
    ended = end_of(node, folder)
    assert ended["kind"] == "crash_loop"
    assert ended["reason"].startswith("crashed 3 times in ")
    assert ended["reason"].endswith(" s, stopped: E: RuntimeError: out of luck")
    assert ended["restarts"] == 2
    assert [row["try"] for row in ended["tries"]] == [1, 2, 3]
    log = log_of(folder)
    assert log.count("attempt\n") == 3
    assert [log.index(f"try {number} begins") for number in (2, 3)] == sorted(
        log.index(f"try {number} begins") for number in (2, 3)
    )
    assert "[sparkdesk] try 1 ended with exit code 3: E: RuntimeError: out of luck" in log


def test_the_restart_limit_holds(node: Node) -> None:
    folder = node.put("loop", ["sh", "-c", CRASHES, "{folder}"], restart_limit=1, token=NO_PROOF)
    node.run("start", folder)
    node.run("token", folder)
    ended = end_of(node, folder)
    assert (ended["restarts"], ended["reason"]) == (1, "ended with exit code 3 after 1 restart")
    assert ended["cause"] == "E: RuntimeError: out of luck"


def test_an_engine_that_never_got_ready_is_not_started_again(node: Node) -> None:
    folder = node.put("once", ["sh", "-c", "echo attempt; exit 1"], restart_limit=3)
    node.run("start", folder)
    ended = end_of(node, folder)
    assert (ended["restarts"], ended["reason"]) == (0, "ended with exit code 1")
    assert log_of(folder).count("attempt\n") == 1


def test_an_engine_that_somebody_ended_by_term_is_not_started_again(node: Node) -> None:
    folder = node.put("asked", ["sleep", "600"], restart_limit=3, token=NO_PROOF)
    pid = node.run("start", folder)["pid"]
    node.run("token", folder)
    os.kill(pid, signal.SIGTERM)
    ended = end_of(node, folder)
    assert (ended["signal"], ended["restarts"]) == (15, 0)


def test_a_stop_between_two_lives_is_not_followed_by_a_third(node: Node) -> None:
    folder = node.put("loop", ["sh", "-c", CRASHES, "{folder}"], restart_limit=9, token=NO_PROOF)
    node.run("start", folder)
    node.run("token", folder)
    wait_for(lambda: "try 2 begins" in log_of(folder))
    wait_for(lambda: state_of(node, folder) == "unknown")
    assert node.run("stop", folder) == {"stopped": True}
    lives = log_of(folder).count("attempt\n")
    time.sleep(2.5)
    assert log_of(folder).count("attempt\n") == lives
    assert node.run("status", folder)["reason"] == "stopped by user"


def test_a_job_ends_when_its_time_is_up(node: Node) -> None:
    folder = node.put("timed", ["sleep", "600"], stop_after_s=1)
    pid = node.run("start", folder)["pid"]
    ended = end_of(node, folder)
    assert (ended["kind"], ended["reason"]) == ("time", "its time was up: 1 s after its start")
    assert session_of(pid) == []


def test_a_guard_that_is_asked_to_end_takes_its_engine_along(node: Node) -> None:
    folder = node.put("asked", ["sleep", "600"])
    pid = node.run("start", folder)["pid"]
    os.kill(node.run("status", folder)["guard_pid"], signal.SIGTERM)
    ended = end_of(node, folder)
    assert (ended["kind"], ended["reason"]) == ("signal", "the guard was asked to end (signal 15)")
    assert session_of(pid) == []


def test_a_job_that_lost_its_guard_gets_a_new_one_that_guards(node: Node) -> None:
    set_memory(node, 900 * MIB)
    folder = node.put("orphan", ["sleep", "600"], memory_floor_bytes=500 * MIB)
    first = node.run("start", folder)["pid"]
    run = node.run("status", folder)["run"]
    kill(node.run("status", folder)["guard_pid"])
    wait_for(lambda: not node.run("status", folder)["guarded"])
    answer = node.run("start", folder)
    assert (answer["pid"], answer["guard"]) == (first, "new")
    now = node.run("status", folder)
    assert (now["state"], now["guarded"], now["run"]) == ("running", True, run)
    set_memory(node, 100 * MIB)
    assert end_of(node, folder)["kind"] == "memory"
    assert session_of(first) == []


def test_why_it_was_killed_is_told_even_when_the_guard_went_with_it(node: Node) -> None:
    folder = node.put("both", ["sleep", "600"])
    record = node.run("start", folder) | node.run("status", folder)
    kill(record["guard_pid"])
    why = {"schema": 1, "run": record["run"], "reason": "memory floor: 1.0 GiB available"}
    (folder / "why.json").write_text(json.dumps(why))
    kill(record["pid"])
    assert end_of(node, folder)["reason"] == "memory floor: 1.0 GiB available"


def test_a_guard_that_fails_says_why_and_leaves_nothing_running(node: Node) -> None:
    words = 'sleep 600 & sleep 1; echo "{" > "$0/proved.json"; exit 3'
    folder = node.put("mark", ["sh", "-c", words, "{folder}"], restart_limit=1)
    pid = node.run("start", folder)["pid"]
    ended = end_of(node, folder)
    assert ended["kind"] == "guard"
    assert ended["reason"].startswith("its guard failed: JobError: proved.json cannot be read")
    assert session_of(pid) == []


def test_guarding_costs_next_to_nothing(tmp_path: Path) -> None:
    """CPU time, not wall time: at most half a hundredth of a core, measured over two seconds of guarding."""
    node = Node(tmp_path, sys.executable)
    folder = node.put("idle", ["sleep", "600"], memory_floor_bytes=1)
    node.run("start", folder)
    guard = node.run("status", folder)["guard_pid"]

    def spent_s() -> float:
        tasks = list(Path(f"/proc/{guard}/task").glob("*/schedstat"))
        assert len(tasks) >= 2, "the thread that looks at the memory, too"
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    begun, before = time.monotonic(), spent_s()
    time.sleep(2.0)
    share = (spent_s() - before) / (time.monotonic() - begun)
    node.run("stop", folder)
    assert share <= 0.005, share


def test_the_guard_says_how_it_is_used(tmp_path: Path) -> None:
    node = Node(tmp_path, sys.executable)
    folder = node.put("usage", ["true"])
    done = subprocess.run([sys.executable, folder / "guard.py", "dance"], capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (1, b"usage: guard.py guard FOLDER\n")


def test_a_job_that_has_ended_is_not_started_again_by_who_wants_a_guard_for_it(node: Node) -> None:
    folder = node.put("over", ["sleep", "600"])
    assert "never started" in node.run("watch", folder, code=1)["error"]
    node.run("start", folder)
    node.run("stop", folder)
    assert "does not run" in node.run("watch", folder, code=1)["error"]
    assert state_of(node, folder) == "ended"


def test_an_engine_outlives_its_guard_and_what_it_says_meanwhile_is_kept_by_the_next(node: Node) -> None:
    words = 'i=0; while :; do i=$((i+1)); echo "line $i" || exit 9; sleep 0.05; done'
    folder = node.put("talks", ["sh", "-c", words])
    pid = node.run("start", folder)["pid"]
    wait_for(lambda: "line 3\n" in log_of(folder))
    kill(node.run("status", folder)["guard_pid"])
    time.sleep(0.5)
    said = node.run("watch", folder)
    assert (said["pid"], said["guard"]) == (pid, "new")
    wait_for(lambda: log_of(folder).count("line ") > 20)  # the next guard writes a file of its own
    whole = "".join(path.read_text() for path in sorted(folder.glob("log-*")))
    numbers = [int(line[5:]) for line in whole.splitlines() if line.startswith("line ")]
    assert numbers == list(range(1, len(numbers) + 1)), "nothing of it is lost, nothing comes twice"
    assert node.run("stop", folder) == {"stopped": True}
    assert session_of(pid) == []


def test_output_that_a_full_disk_loses_is_counted_in_the_log_once_there_is_room(node: Node) -> None:
    script = "import time\nfor n in range(10**6): print('line', n, flush=True); time.sleep(0.02)"
    folder = node.put("abcdefghijklmnop", [sys.executable, "-c", script], **NO_PROOF)
    node.run("start", folder)
    wait_for(lambda: "line 3" in log_of(folder))
    guard = json.loads((folder / "job.json").read_text())["guard_pid"]
    resource.prlimit(guard, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    size = len(log_of(folder))
    time.sleep(0.5)
    assert len(log_of(folder)) - size < 200, "nothing more is written"
    resource.prlimit(guard, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_for(lambda: "the disk was full" in log_of(folder))
    wait_for(lambda: log_of(folder).rpartition("disk was full\n")[2].count("\n") > 1)
    pattern = r"(line \d+)\n\n\[sparkdesk\] (\d+) bytes of the log are lost here: .*\n(line \d+)\n"
    found = re.search(pattern, log_of(folder))
    assert found is not None
    first, last = (int(found[number].split()[1]) for number in (1, 3))
    assert int(found[2]) == sum(len(f"line {n}\n") for n in range(first + 1, last))
    assert state_of(node, folder) == "running", "the engine went on"


def test_a_log_whose_next_file_cannot_be_made_goes_on_when_it_can(tmp_path: Path) -> None:
    node = Node(tmp_path, sys.executable)
    node.env["SPARKDESK_LOG_FILE_BYTES"] = "400"
    script = "import time\nfor n in range(10**6): print('line', n, flush=True); time.sleep(0.02)"
    folder = node.put("rotates", [sys.executable, "-c", script])
    node.run("start", folder)

    def end() -> int:
        last = max(folder.glob("log-*"))
        return int(last.name[4:]) + last.stat().st_size

    wait_for(lambda: end() > 20)
    guard = json.loads((folder / "job.json").read_text())["guard_pid"]
    limits = resource.prlimit(guard, resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    time.sleep(1.5)
    resource.prlimit(guard, resource.RLIMIT_NOFILE, limits)
    since = end()
    wait_for(lambda: end() > since + 500)
    assert node.run("stop", folder) == {"stopped": True}
