"""Our adapter against a real vLLM: it takes our words, and says in log, pages and errors what we read there."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from backends import vllm
from sparkdesk.core.jobs import reading
from sparkdesk.core.jobs.backend import LoadProgress, LogFailure, Reading, Told
from tests.vllm.server import Server, planned_words, serving


def heard(server: Server) -> list[object]:
    """What our reader takes from the whole log."""
    reader = vllm.backend.log_reader()
    return [found for line in server.lines() for found in reader.feed(line)]


def test_a_real_vllm_takes_the_words_of_our_plan_and_answers(server: Server) -> None:
    status, body = server.chat()
    assert status == 200, body
    assert json.loads(body)["usage"]["completion_tokens"] >= 1


def test_its_log_tells_the_phases_and_what_it_holds(server: Server) -> None:
    found = heard(server)
    assert [row for row in found if isinstance(row, LoadProgress) and row.phase == "load"]
    assert [row for row in found if isinstance(row, LoadProgress) and row.phase == "token"]
    told = {row.key: row.value for row in found if isinstance(row, Reading)}
    assert told[reading.KV_CAPACITY_TOKENS] == 1 << 21  # 1 GiB of 2 layers of 2 heads of 32 numbers of 2 bytes, twice
    assert told[reading.START_S] > 0
    assert not [row for row in found if isinstance(row, LogFailure)]
    words = {row.key: row.text for row in found if isinstance(row, Told)}
    assert words["version"].startswith("0.32.0")


def test_its_metrics_have_the_names_that_we_read(server: Server) -> None:
    for _ in range(2):  # a block of its cache holds 128 tokens here, and a token is a byte
        server.chat("the same words, twice over, so that the cache holds them. " * 6)
    status, body = server.ask("/metrics")
    assert status == 200
    found = vllm.backend.readings(body.decode())
    wanted = (
        reading.GENERATED_TOKENS, reading.PROMPT_TOKENS, reading.REQUESTS_RUNNING, reading.REQUESTS_WAITING,
        reading.KV_USED, reading.PREEMPTIONS, reading.PREFIX_QUERIES, reading.PREFIX_HITS,
        reading.TTFT_COUNT, reading.TTFT_SUM_S,
    )  # fmt: skip
    assert [key for key in wanted if key not in found] == []
    assert found[reading.PREFIX_HITS] > 0
    assert any(key.startswith(f"{reading.TTFT}_le_") for key in found)
    assert any(key.startswith(f"{reading.TPOT}_le_") for key in found)


def test_its_errors_are_understood(server: Server) -> None:
    status, body = server.chat("word " * 4000)
    failure = vllm.backend.failure(status, body)
    assert failure is not None
    assert (failure.kind, failure.context_tokens) == ("context_overflow", 1024)
    status, body = server.ask("/v1/chat/completions", {"model": "other", "messages": [], "max_tokens": 1})
    failure = vllm.backend.failure(status, body)
    assert failure is not None
    assert failure.kind in ("model_not_found", "bad_request")


def test_more_memory_than_there_is_is_told_with_what_to_do(python: str, model: Path, tmp_path: Path) -> None:
    words = planned_words(build="eager")
    with serving(python, model, tmp_path / "log", words, VLLM_CPU_KVCACHE_SPACE="4000") as server:
        assert server.process.poll() not in (None, 0)
        assert [row for row in heard(server) if isinstance(row, LogFailure) and row.remedy]


def test_a_context_that_the_model_does_not_have_is_told_with_what_to_do(
    python: str, model: Path, tmp_path: Path
) -> None:
    words = [*planned_words(build="eager"), "--max-model-len", "99999"]
    with serving(python, model, tmp_path / "log", words) as server:
        assert server.process.poll() not in (None, 0)
        assert [row for row in heard(server) if isinstance(row, LogFailure) and row.remedy]


def test_the_end_of_its_engine_behind_the_open_api_is_understood(python: str, model: Path, tmp_path: Path) -> None:
    with serving(python, model, tmp_path / "log", planned_words(build="eager")) as server:
        os.kill(engine_of(server), signal.SIGKILL)
        status, body = server.chat()
        failure = vllm.backend.failure(status, body)
        assert failure is not None
        assert failure.kind == "engine_dead"


def engine_of(server: Server) -> int:
    """The process of its engine, among those of its session."""
    for entry in Path("/proc").iterdir():
        try:
            is_engine = entry.name.isdigit() and b"EngineCore" in (entry / "cmdline").read_bytes()
            if is_engine and os.getsid(int(entry.name)) == server.process.pid:
                return int(entry.name)
        except OSError:
            continue
    raise AssertionError("\n".join(server.lines()[-20:]))


def test_two_ranks_of_one_host_answer_together(python: str, model: Path, tmp_path: Path) -> None:
    words = [*planned_words(build="eager"), "--tensor-parallel-size", "2"]
    with serving(python, model, tmp_path / "log", words, VLLM_CPU_OMP_THREADS_BIND="0|1") as server:
        status, body = server.chat()
        assert status == 200, body


def test_a_flag_that_it_does_not_have_ends_it_with_a_named_cause(python: str, model: Path, tmp_path: Path) -> None:
    words = [*planned_words(build="eager"), "--no-such-flag", "1"]
    with serving(python, model, tmp_path / "log", words) as server:
        assert server.process.poll() not in (None, 0)
        assert [row for row in heard(server) if isinstance(row, LogFailure)]
