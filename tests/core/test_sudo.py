"""sudo's words are read for what they are, whatever else is said; nothing of ours or of the person's is left over."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparkdesk.core.command import Command, Exit, Outcome, Refused, Signal, Unknown
from sparkdesk.core.sudo import (
    Marks,
    Refusal,
    explain_refusal,
    is_line,
    read_refusal,
    redact,
    root_command,
    strip_marks,
)

MARKS = Marks("sparkdeskprompt", "begunword")
fates = st.one_of(
    st.builds(Exit, st.integers(0, 255)), st.just(Signal("TERM")), st.just(Unknown("lost")), st.just(Refused("full"))
)

# As printed by sudo 1.9.13p3 with LC_ALL=C, but for those marked otherwise.
SAID = [
    (1, "sudo: a password is required\n", Refusal.NEEDS_PASSWORD),
    (1, "MARK\nsudo: no password was provided\nsudo: a password is required\n", Refusal.NEEDS_PASSWORD),
    (1, "sudo: a terminal is required to read the password; either use the -S option", Refusal.NEEDS_PASSWORD),
    (1, "sudo: no tty present and no askpass program specified", Refusal.NEEDS_PASSWORD),  # sudo 1.8
    (1, "sudo: interactive authentication is required", Refusal.NEEDS_PASSWORD),  # sudo-rs
    (1, "/etc/sudoers:4:9: syntax error\nbob ALL ALL ALL\n\nsudo: a password is required\n", Refusal.NEEDS_PASSWORD),
    (1, "MARKSorry, try again.\nMARK\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
     Refusal.WRONG_PASSWORD),
    (1, "MARKsudo: 3 incorrect password attempts\n", Refusal.WRONG_PASSWORD),
    (1, "MARKbob is not in the sudoers file.\n", Refusal.NOT_ALLOWED),
    (1, "bob is not in the sudoers file.  This incident will be reported.\n", Refusal.NOT_ALLOWED),  # sudo 1.8
    (1, "MARKSorry, user bob is not allowed to execute '/usr/bin/true' as root on vm.\n", Refusal.NOT_ALLOWED),
    (1, "sudo: sorry, you must have a tty to run sudo\n", Refusal.NEEDS_TTY),
    (127, "/bin/sh: 1: sudo: not found\n", Refusal.ABSENT),
    (127, "env: 'sudo': No such file or directory\n", Refusal.ABSENT),
    (127, "bash: line 1: sudo: command not found\n", Refusal.ABSENT),
    (1, 'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.\n', Refusal.BROKEN),
    (1, "sudo: /etc/sudoers is world writable\nsudo: no valid sudoers sources found, quitting\n", Refusal.BROKEN),
    (1, "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set\n", Refusal.BROKEN),
    (1, "", Refusal.UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("code", "said", "refusal"), SAID)
def test_real_words_are_understood(code: int, said: str, refusal: Refusal) -> None:
    assert read_refusal(Outcome(Exit(code), b"", said.encode())) is refusal


@given(fates, st.binary(max_size=200), st.binary(max_size=200))
@example(Exit(0), b"", b"\xff\x00")
def test_anything_is_some_refusal_with_a_message_and_a_remedy(fate: Exit, stdout: bytes, stderr: bytes) -> None:
    outcome = Outcome(fate, stdout, stderr)
    message, remedy = explain_refusal(read_refusal(outcome), "spark-1", outcome)
    assert "spark-1" in message
    assert remedy
    assert "\n" not in message


def test_each_refusal_has_a_message_of_its_own() -> None:
    told = {explain_refusal(refusal, "spark-1") for refusal in Refusal}
    assert len(told) == len(Refusal)


@pytest.mark.parametrize("fate", [Unknown("lost"), Refused("full"), Signal("KILL")])
def test_an_end_that_is_not_known_is_never_read_as_a_word(fate: Unknown | Refused | Signal) -> None:
    assert read_refusal(Outcome(fate, b"", b"bob is not in the sudoers file.")) is Refusal.UNKNOWN


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=20), st.binary(max_size=50))
def test_a_password_that_comes_back_is_not_shown(password: str, around: bytes) -> None:
    secret = password.encode()
    shown = redact(around + secret + around, [password])
    assert secret not in shown.replace(b"(password)", b"\0")


@given(st.binary(max_size=60))
def test_output_without_our_words_is_as_it_was(data: bytes) -> None:
    assert strip_marks(data, MARKS) == data
    assert strip_marks(MARKS.begun_line + data, MARKS) == data


def test_a_payload_without_input_gets_none_of_the_passwords_channel() -> None:
    command = Command(("tee", "/etc/x y"), env={"A": "1"}, cwd="/srv")
    quiet = root_command(command, MARKS, has_password=True, has_stdin=False)
    assert quiet.argv[:6] == ("sudo", "-k", "-S", "-p", MARKS.prompt, "--")
    assert "exec </dev/null" in quiet.argv[-1]
    assert "cd /srv && env A=1 tee '/etc/x y'" in quiet.argv[-1]
    assert quiet.env == {"LC_ALL": "C"}
    fed = root_command(command, MARKS, has_password=False, has_stdin=True)
    assert fed.argv[:3] == ("sudo", "-n", "--")
    assert "</dev/null" not in fed.argv[-1]


def test_what_is_no_line_is_no_password() -> None:
    assert [is_line(text) for text in ("", "a\nb", "a\0", "ä b")] == [False, False, False, True]
