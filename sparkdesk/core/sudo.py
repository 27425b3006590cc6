"""Root on a node by way of sudo: how a command is wrapped, what its words mean, what to do about a refusal.

The one rule: a password and a payload never meet. sudo is given a prompt of our own random letters, and the password is
written only after those letters came back; the payload says a second random word before it does anything, and only
after that word is anything else written. Without the prompt (NOPASSWD) the password is never written at all.
Source of sudo's words: sudo 1.9.13p3 as it was run here (tests/services/playbooks/test_root.py), its sources for older
ones; sudo-rs by its sources, not run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sparkdesk.core.command import Command, Exit, Outcome, Refused, Signal, Unknown
from sparkdesk.core.plain_text import make_line

REDACTED = b"(password)"
MIN_REDACTED_CHARS = 6
"""A shorter password is not searched for: it would be found in ordinary words, and so be told by what is missing."""

CHECK = Command(("sudo", "-n", "true"), env={"LC_ALL": "C"})
"""Succeeds where sudo wants no password; changes nothing."""


class Refusal(StrEnum):
    """Why sudo did not run a command."""

    NEEDS_PASSWORD = "needs_password"
    WRONG_PASSWORD = "wrong_password"
    NOT_ALLOWED = "not_allowed"
    NEEDS_TTY = "needs_tty"
    ABSENT = "absent"
    BROKEN = "broken"
    """sudo itself cannot work there: its rules cannot be read, or it may not become root."""
    UNKNOWN = "unknown"
    """It ended without a word that we know, or its end is not known."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Random words of one command: the prompt, and what the payload says first. Letters and digits only."""

    prompt: str
    begun: str

    @property
    def begun_line(self) -> bytes:
        """The first line of standard output once the payload runs as root."""
        return f"{self.begun}\n".encode()


def root_command(command: Command, marks: Marks, *, has_password: bool, has_stdin: bool) -> Command:
    """The command as root. Its own environment and folder are set behind sudo, which clears the environment.

    With `has_password` sudo forgets earlier sign-ins (-k) and reads the password from standard input (-S); without, it
    never asks (-n). A payload that has no input of its own gets none: not what is left of the password's channel.
    """
    language = "" if {"LC_ALL", "LANG"} & set(command.env) else "export LC_ALL=C.UTF-8; "
    no_input = "" if has_stdin else "exec </dev/null; "
    payload = f"printf '%s\\n' {shlex.quote(marks.begun)}; {no_input}{language}{command.to_shell()}"
    how = ("-k", "-S", "-p", marks.prompt) if has_password else ("-n",)
    return Command(("sudo", *how, "--", "sh", "-c", payload), env={"LC_ALL": "C"})


# In this order: the first that fits says the most.
_WORDS: tuple[tuple[Refusal, re.Pattern[str]], ...] = (
    (Refusal.NEEDS_TTY, re.compile(r"must have a tty")),
    (
        Refusal.NOT_ALLOWED,
        re.compile(
            r"is not in the sudoers file|is not allowed to (execute|run)|may not run sudo|I'm afraid I can't do that"
        ),
    ),
    (
        Refusal.BROKEN,
        re.compile(
            r"no valid sudoers sources|unable to (open|stat|read) /etc/sudoers|"
            r"must be owned by uid 0|setuid|no new privileges|"
            r"effective uid is not 0|account validation failure|unable to initialize PAM|password expired"
        ),
    ),
    (Refusal.WRONG_PASSWORD, re.compile(r"try again|incorrect (password|authentication) attempt")),
    (
        Refusal.NEEDS_PASSWORD,
        re.compile(
            r"a password is required|no password was provided|a terminal is required|no tty present|"
            r"interactive authentication is required|timed out reading password"
        ),
    ),
    (Refusal.ABSENT, re.compile(r"sudo['\u2019]?: (No such file or directory|(command )?not found)")),
)
_NOT_FOUND = 127


def read_refusal(outcome: Outcome) -> Refusal:
    """Why sudo refused, from how it ended and what it said; total. For outcomes whose payload did not begin only."""
    if isinstance(outcome.fate, Unknown | Refused | Signal):
        return Refusal.UNKNOWN
    said = outcome.stderr.decode("utf-8", "replace")
    for refusal, words in _WORDS:
        if words.search(said):
            return refusal
    return Refusal.ABSENT if outcome.fate == Exit(_NOT_FOUND) else Refusal.UNKNOWN


def explain_refusal(refusal: Refusal, node: str, outcome: Outcome | None = None) -> tuple[str, str]:
    """The refusal as a message and what to do about it; neither holds a secret, nor does any carry what was typed."""
    said = make_line(outcome.explain(), max_chars=200) if outcome is not None else ""
    match refusal:
        case Refusal.NEEDS_PASSWORD:
            return f"sudo on {node} wants a password, and none was given", "Start again and type the password."
        case Refusal.WRONG_PASSWORD:
            return (
                f"sudo on {node} did not accept the password",
                "Nothing was changed. Start again with the password with which this account signs in there; after "
                "several wrong ones a node may refuse every one for some minutes.",
            )
        case Refusal.NOT_ALLOWED:
            return (
                f"This account may not use sudo on {node}",
                "Have an administrator of the node add it: sudo usermod -aG sudo USER. It counts at the next sign-in.",
            )
        case Refusal.NEEDS_TTY:
            return (
                f"sudo on {node} works at a terminal only (its rules say requiretty)",
                "Have an administrator of the node allow it: sudo visudo, and add the line: Defaults:USER !requiretty",
            )
        case Refusal.ABSENT:
            return f"There is no sudo on {node}", "Install it there as root: apt install sudo"
        case Refusal.BROKEN:
            return (
                f"sudo on {node} does not work: {said}" if said else f"sudo on {node} does not work",
                "Have an administrator of the node look at it as root: visudo -c names what is wrong with its rules.",
            )
    return (
        f"sudo on {node} did not run the command: {said}" if said else f"sudo on {node} did not run the command",
        "Sign in to the node and try there: sudo true",
    )


def strip_marks(data: bytes, marks: Marks) -> bytes:
    """Output without our own words in it."""
    return data.replace(marks.begun_line, b"").replace(marks.prompt.encode(), b"")


def redact(data: bytes, passwords: Iterable[str]) -> bytes:
    """Output in which no password is left, should a node have sent one back."""
    for password in sorted(passwords, key=len, reverse=True):
        if len(password) >= MIN_REDACTED_CHARS:
            data = data.replace(password.encode("utf-8", "surrogateescape"), REDACTED)
    return data


def is_line(password: str) -> bool:
    """Whether sudo can read this password at all: one line, not empty."""
    return bool(password) and not any(character in password for character in "\n\r\0")
