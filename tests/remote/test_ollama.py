"""The keeper of a model in Ollama: pull, load, hold, let go; and each way in which that can go wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.remote.ollama_stand_in import MODEL, StandIn, ollama_service
from tests.remote.python_version import PYTHONS

PROGRAM = Path(__file__).parents[2] / "sparkdesk" / "remote" / "ollama.py"
WAIT_S = 20.0


@pytest.fixture
def service() -> Iterator[StandIn]:
    with ollama_service() as state:
        yield state


@contextmanager
def keeper(service: StandIn, *words: str, python: str = sys.executable) -> Iterator[subprocess.Popen[str]]:
    """The keeper as the job's guard starts it."""
    argv = [python, "-I", str(PROGRAM), MODEL, "--port", str(service.port), "--context", "2048", *words]
    env = {"PATH": os.environ["PATH"], "SPARKDESK_OLLAMA_PACE": "0.004"}
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=WAIT_S)


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < until, "it never came so far"
        time.sleep(0.01)


def read_until(process: subprocess.Popen[str], words: str) -> list[str]:
    """The log up to a line with these words."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if words in line:
            return lines
    raise AssertionError(f"{words!r} never came: {lines}")


def end_of(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Its exit code and its log, once it has ended by itself."""
    output, _ = process.communicate(timeout=WAIT_S)
    return process.returncode, output.splitlines()


@pytest.mark.parametrize("python", PYTHONS)
def test_a_model_is_pulled_loaded_held_and_let_go_on_term(service: StandIn, python: str) -> None:
    with keeper(service, python=python) as process:
        lines = read_until(process, "holding")
        assert service.is_loaded
        assert service.posts("/api/generate")[0]["options"] == {"num_ctx": 2048}
        assert "[ollama] service 0.12.6" in lines[0]
        assert lines[-2].startswith("[ollama] loaded 270898672 bytes, 270898672 of them for the GPU, context 2048")
        service.unload_wait_s = 0.3
        process.terminate()
        read_until(process, "asked to end")
        process.terminate()  # as job.py does: what is under way goes on
        code, rest = end_of(process)
    assert (code, rest[-1]) == (0, "[ollama] unloaded")
    assert not service.is_loaded
    assert service.posts("/api/generate")[-1]["keep_alive"] == 0


def test_a_model_that_is_there_is_not_pulled(service: StandIn) -> None:
    service.has_model = True
    with keeper(service) as process:
        read_until(process, "holding")
    assert service.posts("/api/pull") == []


def test_a_pull_that_breaks_off_at_90_percent_goes_on(service: StandIn) -> None:
    service.cut_pulls = 1
    with keeper(service) as process:
        lines = read_until(process, "pulled")
    assert any("it goes on where it was" in line for line in lines)
    assert len(service.posts("/api/pull")) == 2


def test_a_pull_that_always_breaks_off_ends_with_its_cause_and_nothing_is_loaded(service: StandIn) -> None:
    service.cut_pulls = 9
    with keeper(service) as process:
        code, lines = end_of(process)
    assert code == 4
    assert lines[-1].startswith("[ollama] error: pull failed: ")
    assert not any(line == "[ollama] pulled" for line in lines)
    assert service.posts("/api/generate") == []


def test_a_pull_that_ends_without_success_is_never_taken_for_whole(service: StandIn) -> None:
    service.is_never_whole = True
    with keeper(service) as process:
        code, lines = end_of(process)
    assert (code, lines[-1]) == (4, "[ollama] error: pull failed: the download ended before it was whole")


def test_a_name_that_the_library_does_not_know_is_asked_for_once(service: StandIn) -> None:
    service.pull_error = "pull model manifest: file does not exist\n\x1b[31m[ollama] pulled"
    with keeper(service) as process:
        code, lines = end_of(process)
    assert code == 4
    assert "file does not exist" in lines[-1], "the service's own words are one line, whatever they hold"
    assert "\x1b" not in lines[-1]
    assert len(service.posts("/api/pull")) == 1


def test_progress_is_said_about_once_a_second(service: StandIn) -> None:
    service.pull_lines, service.pull_wait_s = 300, 0.004
    with keeper(service) as process:
        lines = read_until(process, "pulled")
    told = [line for line in lines if " of 100000000 bytes, " in line]
    assert 1 <= len(told) <= 30
    assert "bytes/s: pulling 2bada8a74506" in told[0]


def test_term_during_a_pull_ends_it_at_once_and_loads_nothing(service: StandIn) -> None:
    service.pull_lines, service.pull_wait_s = 1000, 0.05
    with keeper(service) as process:
        read_until(process, "pull pulling manifest")
        process.terminate()
        code, lines = end_of(process)
    assert (code, lines[-1]) == (0, "[ollama] nothing was loaded")


def test_a_pull_that_is_not_allowed_is_not_tried(service: StandIn) -> None:
    with keeper(service, "--no-pull") as process:
        code, lines = end_of(process)
    assert (code, service.posts("/api/pull")) == (4, [])
    assert "not to be pulled" in lines[-1]


def test_a_load_that_fails_ends_with_the_services_words(service: StandIn) -> None:
    service.has_model, service.load_error = True, "model requires more system memory (90.0 GiB) than is available"
    with keeper(service) as process:
        code, lines = end_of(process)
    assert (code, lines[-1]) == (5, f"[ollama] error: load failed: {service.load_error}")


def test_a_model_that_somebody_else_unloads_ends_the_job_with_that_cause(service: StandIn) -> None:
    service.has_model = True
    with keeper(service) as process:
        read_until(process, "holding")
        service.loaded_until_s = 0.0
        code, lines = end_of(process)
    assert (code, lines[-1]) == (6, f"[ollama] error: {MODEL} was unloaded by somebody else")


def test_a_lease_is_renewed_while_the_keeper_lives_and_runs_out_when_it_is_killed(service: StandIn) -> None:
    service.has_model = True
    with keeper(service) as process:
        read_until(process, "holding")
        wait_for(lambda: len(service.posts("/api/generate")) >= 3)
        assert {body["options"]["num_ctx"] for body in service.posts("/api/generate")} == {2048}
        assert {body["keep_alive"] for body in service.posts("/api/generate")} == {1}
        process.kill()
        process.communicate(timeout=WAIT_S)
        asked = len(service.posts("/api/generate"))
        wait_for(lambda: not service.is_loaded)
    assert len(service.posts("/api/generate")) == asked


def test_a_context_that_somebody_changes_is_said_and_not_changed_back(service: StandIn) -> None:
    service.has_model = True
    with keeper(service) as process:
        read_until(process, "holding")
        service.context = 512
        read_until(process, "the context is 512 now")
        asked = len(service.posts("/api/generate"))
        wait_for(lambda: len(service.posts("/api/generate")) > asked + 1)
    assert service.posts("/api/generate")[-1]["options"] == {"num_ctx": 512}


def test_a_service_that_is_not_there_is_named_with_its_port() -> None:
    with ollama_service() as service:
        pass
    with keeper(service) as process:
        code, lines = end_of(process)
    assert code == 3
    assert f"no Ollama service answers on 127.0.0.1:{service.port}" in lines[-1]


def test_a_service_that_dies_while_it_holds_ends_the_job() -> None:
    with ollama_service() as service:
        service.has_model = True
        process_context = keeper(service)
        process = process_context.__enter__()
        read_until(process, "holding")
    code, lines = end_of(process)
    process_context.__exit__(None, None, None)
    assert code == 7
    assert "does not answer any more" in lines[-1]


def test_a_model_for_vectors_is_loaded_by_its_own_path(service: StandIn) -> None:
    service.has_model = True
    with keeper(service, "--purpose", "embed") as process:
        read_until(process, "holding")
        process.terminate()
        assert end_of(process)[0] == 0
    assert service.posts("/api/embed")[0]["input"] == []
    assert not service.is_loaded
