"""The parent of a container's first process: what containerd's shim is on a real node.

The one rule: it alone writes the container's state after the start, and its log; it ends when the container ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import IO, Any

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import docker_store as store
from docker_entry import PROGRAMS
from spark_state import FOLDER

_GROUP_TIMEOUT_S = 5.0
_REMOVE_AFTER_S = 1.0  # with --rm: so long the client has to read how it ended


def main(arguments: list[str]) -> int:
    """Run the container of this id to its end."""
    container = arguments[0]
    folder = store.folder_of(container)
    state = store.read_state(container)
    if state is None:
        return 1
    for which in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(which, signal.SIG_IGN)
    with open(f"{folder}/launch.json", encoding="utf-8") as stream:
        launch = json.load(stream)
    with open(f"{folder}/log.jsonl", "a", encoding="utf-8") as log:
        process = _start(folder, launch)
        state |= {"status": "running", "pid": process.pid, "runner_pid": os.getpid(), "started_s": time.time()}
        store.write_state(container, state)
        _copy_log(process, log)
        code = process.wait()
    _end_group(process.pid)
    state |= {"status": "exited", "exit_code": 128 - code if code < 0 else code, "finished_s": time.time()}
    state["is_oom_killed"] = os.path.exists(f"{folder}/oom")
    store.write_state(container, state)
    if state["auto_remove"]:
        time.sleep(_REMOVE_AFTER_S)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _start(folder: str, launch: dict[str, Any]) -> subprocess.Popen[bytes]:
    """The engine, as the leader of its own group, with the container's environment beside the node's."""
    return subprocess.Popen(
        [os.path.realpath(sys.executable), "-IS", f"{FOLDER}/{PROGRAMS[launch['engine']]}", f"{folder}/launch.json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        restore_signals=True,
        preexec_fn=_default_signals,
    )


def _end_group(group: int) -> None:
    """End what the first process left, as its PID namespace would: who sees it ended finds its memory free."""
    end_s = time.monotonic() + _GROUP_TIMEOUT_S
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end_s:
            os.killpg(group, signal.SIGKILL)
            time.sleep(0.01)


def _default_signals() -> None:
    for which in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(which, signal.SIG_DFL)


def _copy_log(process: subprocess.Popen[bytes], log: IO[str]) -> None:
    """Both streams into one file, a JSON object a line, as docker's json-file does."""
    lock = threading.Lock()

    def copy(name: str, source: IO[bytes] | None) -> None:
        for line in source or ():
            row = {"log": line.decode("utf-8", "replace"), "stream": name, "time": _stamp()}
            with lock:
                log.write(json.dumps(row) + "\n")
                log.flush()

    threads = [
        threading.Thread(target=copy, args=pair, daemon=True)
        for pair in (("stdout", process.stdout), ("stderr", process.stderr))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _stamp() -> str:
    now_s = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_s)) + f".{int(now_s % 1 * 1e9):09d}Z"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
