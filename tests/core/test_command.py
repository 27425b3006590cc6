"""Commands arrive as they were meant, and an unknown fate is never a success."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.core.command import Command, Exit, Outcome, Refused, Signal, Unknown

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@given(st.lists(words, min_size=1, max_size=4))
@settings(max_examples=150, deadline=None)
def test_every_word_reaches_a_real_shell_unchanged(texts: list[str]) -> None:
    command = Command(("printf", "%s\\0", *texts))
    printed = subprocess.run(["sh", "-c", command.to_shell()], capture_output=True, timeout=20, check=True).stdout
    assert printed == b"".join(text.encode() + b"\0" for text in texts)


@given(words)
@settings(max_examples=50, deadline=None)
def test_a_variable_reaches_the_program_unchanged(text: str) -> None:
    command = Command(("sh", "-c", 'printf %s "$SPARK"'), env={"SPARK": text})
    printed = subprocess.run(["sh", "-c", command.to_shell()], capture_output=True, timeout=20, check=True).stdout
    assert printed == text.encode()


def test_a_folder_with_a_quote_in_its_name_is_entered(tmp_path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "it's $HOME; rm"
    folder.mkdir()
    printed = subprocess.run(
        ["sh", "-c", Command(("pwd",), cwd=str(folder)).to_shell()], capture_output=True, timeout=20, check=True
    ).stdout
    assert printed.decode().strip() == str(folder)


@pytest.mark.parametrize("argv", [(), ("",), ("echo", "a\0b"), ("echo",) * 5000, ("echo", "x" * 200_000)])
def test_a_command_that_cannot_be_sent_is_refused(argv: tuple[str, ...]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each of them has words of its own
        Command(argv)


@pytest.mark.parametrize("name", ["", "A B", "A;rm", "É", "1X"])
def test_a_variable_with_a_strange_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="variable"):
        Command(("true",), env={name: "1"})


@pytest.mark.parametrize("fate", [Exit(1), Signal("KILL"), Unknown("connection lost"), Refused("no channel")])
def test_only_a_known_exit_with_zero_is_a_success(fate: Exit | Signal | Unknown | Refused) -> None:
    assert not Outcome(fate).is_ok
    assert Outcome(Exit(0)).is_ok


def test_the_last_line_of_the_error_stream_explains_the_fate() -> None:
    outcome = Outcome(Exit(2), stderr=b"warning\nno such file: \xff\n")
    assert outcome.explain() == "exit code 2: no such file: \ufffd"
