"""Our programs run on a node from standard input, and what they print is not trusted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.errors import CommandFailed, Unreachable
from sparkdesk.core.playbooks.reader import last_object
from sparkdesk.services.remote_program import run_program
from tests.fakes.shell import LocalShell


@pytest.fixture
def shell(tmp_path: Path) -> LocalShell:
    return LocalShell(tmp_path)


async def test_a_program_gets_its_words_and_what_follows_its_source(shell: LocalShell) -> None:
    source = b"import json,sys\nprint('rc text')\nprint(json.dumps([1]))\n" + (
        b"print(json.dumps({'args': sys.argv[1:], 'rest': sys.stdin.buffer.read().decode(), 'main': __name__}))\n"
    )
    answer = await run_program(shell, source, ("a b", "$c"), stdin=b"rest")
    assert answer == {"args": ["a b", "$c"], "rest": "rest", "main": "__main__"}


async def test_a_program_that_fails_says_why(shell: LocalShell) -> None:
    with pytest.raises(CommandFailed) as failed:
        await run_program(shell, b"import sys; sys.exit('no such job')", ("status",))
    assert "no such job" in failed.value.detail
    assert failed.value.message == "status failed on spark-1"


async def test_an_answer_that_is_no_object_is_a_failure(shell: LocalShell) -> None:
    with pytest.raises(CommandFailed, match="cannot be read"):
        await run_program(shell, b"print('hello')")


async def test_a_lost_program_is_not_a_failed_one(shell: LocalShell) -> None:
    with pytest.raises(Unreachable, match="not known"):
        await run_program(shell, b"import time; time.sleep(60)", timeout_s=0.3)


async def test_a_node_without_python_is_told_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "env"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    shell = LocalShell(tmp_path, env={"PATH": str(tmp_path / "bin")})
    with pytest.raises(CommandFailed, match="no python3"):
        await run_program(shell, b"pass")


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(output: bytes) -> None:
    found = last_object(output.decode("utf-8", "replace"))
    assert found is None or isinstance(found, dict)


def test_a_deeply_nested_answer_is_no_object() -> None:
    assert last_object('{"a":' * 100_000) is None
