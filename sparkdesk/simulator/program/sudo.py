"""`sudo` of a node: asks for the user's password and starts commands as the node's root.

The one rule: this program has no rights of its own. The node's resident checks the password and starts the command;
root there is root of the node's own user namespace, without what could undo its confinement.
Words, order and exit codes as measured with sudo 1.9.13 (Debian 12) in the C locale.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import sys
import termios
import time
from dataclasses import dataclass, field
from typing import NoReturn

from door import Door, DoorClosed
from spark_state import conditions

_USAGE = """\
usage: sudo -h | -K | -k | -V
usage: sudo -v [-ABkNnS] [-g group] [-h host] [-p prompt] [-u user]
usage: sudo -l [-ABkNnS] [-g group] [-h host] [-p prompt] [-U user] [-u user] [command [arg ...]]
usage: sudo [-ABbEHkNnPS] [-r role] [-t type] [-C num] [-D directory] [-g group] [-h host] [-p prompt] [-R directory] \
[-T timeout] [-u user] [VAR=value] [-i | -s] [command [arg ...]]
usage: sudo -e [-ABkNnS] [-r role] [-t type] [-C num] [-D directory] [-g group] [-h host] [-p prompt] [-R directory] \
[-T timeout] [-u user] file ...
"""
_VALUES = {"-u": "user", "-g": "group", "-p": "prompt", "-h": "host", "-C": "fd", "-D": "folder", "-R": "root",
           "-T": "timeout", "-U": "other", "-r": "role", "-t": "type", "--user": "user", "--group": "group",
           "--prompt": "prompt", "--host": "host", "--close-from": "fd", "--chdir": "folder", "--chroot": "root",
           "--command-timeout": "timeout", "--other-user": "other", "--role": "role", "--type": "type"}  # fmt: skip
_FLAGS = {"-n": "quiet", "-S": "stdin", "-k": "reset", "-K": "remove", "-v": "validate", "-l": "list", "-E": "keep",
          "-H": "home", "-i": "login", "-s": "shell", "-b": "background", "-A": "askpass", "-P": "groups", "-B": "bell",
          "-N": "no_update", "-V": "version", "-e": "edit", "--non-interactive": "quiet", "--stdin": "stdin",
          "--reset-timestamp": "reset", "--remove-timestamp": "remove", "--validate": "validate", "--list": "list",
          "--preserve-env": "keep", "--set-home": "home", "--login": "login", "--shell": "shell",
          "--background": "background", "--askpass": "askpass", "--preserve-groups": "groups", "--bell": "bell",
          "--no-update": "no_update", "--version": "version", "--edit": "edit", "--help": "help"}  # fmt: skip
_NOT_SIMULATED = ("edit", "root", "other", "group", "host", "fd", "timeout", "role", "type")
_TRIES = 3
_WRONG_DELAY_S = 1.8  # Source: measured, 1.4 to 2.2 s (pam_faildelay)
_SECURE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROGRAMS = "/run/sparkdesk-sim/bin:/opt/sparkdesk-sim/program/bin"
_KEPT = ("TERM", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "COLORTERM", "DISPLAY")


@dataclass
class Wish:
    """A command line, read."""

    flags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


class Refused(Exception):
    """The words, a line each, for standard error; the exit code is 1."""


def main(arguments: list[str]) -> int:
    """Ask, check, start, wait."""
    on = conditions()
    if "SPARKDESK_ROOT" in os.environ:
        words = "sudo: this simulated node is not confined, so nothing may change the computer it runs on"
        print(words, file=sys.stderr)
        return 1
    if "no-sudo" in on:  # the shell's own words: the file cannot be taken off the path of a running node
        print("bash: line 1: sudo: command not found", file=sys.stderr)
        return 127
    try:
        return _serve(parse(arguments), on)
    except Refused as error:
        print(error, file=sys.stderr)
    except DoorClosed as error:
        print(f"sudo: unable to start: {error}", file=sys.stderr)
    return 1


def parse(arguments: list[str]) -> Wish:
    """Options, variables and the command. Raises Refused."""
    wish, words = Wish(), list(arguments)
    while words and words[0].startswith("-") and len(words[0]) > 1:
        word = words.pop(0)
        if word == "--":
            break
        for name, value in _options(word):
            if name in _VALUES:
                if value is None and not words:
                    raise Refused(f"sudo: option requires an argument -- '{name.lstrip('-')}'\n{_USAGE}".rstrip())
                wish.values[_VALUES[name]] = words.pop(0) if value is None else value
            elif name == "-h":
                wish.flags.add("help")
            else:
                wish.flags.add(_FLAGS[name])
    while words and "=" in words[0].lstrip("=") and not words[0].startswith("/"):
        name, _equals, text = words.pop(0).partition("=")
        wish.environment[name] = text
    wish.words = words
    return wish


def _options(word: str) -> list[tuple[str, str | None]]:
    """What one word says. Raises Refused."""
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        if name in _VALUES:
            return [(name, value if equals else None)]
        if name in _FLAGS:
            return [(name, None)]
        raise Refused(f"sudo: unrecognized option '{word}'\n{_USAGE}".rstrip())
    found: list[tuple[str, str | None]] = []
    for at, letter in enumerate(word[1:], start=1):
        name = f"-{letter}"
        if name == "-h" and word == "-h":
            return [("--help", None)]
        if name in _VALUES:
            return [*found, (name, word[at + 1 :] or None)]
        if name not in _FLAGS:
            raise Refused(f"sudo: invalid option -- '{letter}'\n{_USAGE}".rstrip())
        found.append((name, None))
    return found


def _serve(wish: Wish, on: set[str]) -> int:
    flags = wish.flags
    if "version" in flags or "help" in flags:
        print(
            "Sudo version 1.9.15p5" if "version" in flags else f"sudo - execute a command as another user\n\n{_USAGE}"
        )
        return 0
    for name in _NOT_SIMULATED:
        if name in flags or name in wish.values:
            raise Refused(f"sudo: {name} is not simulated")
    door = Door()
    if {"reset", "remove"} & flags and not wish.words and not {"validate", "list", "shell", "login"} & flags:
        door.say({"op": "forget"})
        return 0
    if not wish.words and not {"validate", "list", "shell", "login"} & flags:
        raise Refused(_USAGE.rstrip())
    user = wish.values.get("user", "root")
    if user not in ("root", "nvidia", "#0", "#1000"):
        raise Refused(f"sudo: unknown user {user}\nsudo: error initializing audit plugin sudoers_audit")
    if "sudo-needs-tty" in on and os.getuid() != 0 and not _has_terminal():
        raise Refused("sudo: sorry, you must have a tty to run sudo")
    _sign_in(door, wish, user)
    if "list" in flags:
        print(_rights("sudo-nopasswd" in on))
        return 0
    if "validate" in flags:
        return 0
    return _run(door, wish, "nvidia" if user in ("nvidia", "#1000") else "root")


def _sign_in(door: Door, wish: Wish, user: str) -> None:
    """Be let in, with a password where one is needed. Raises Refused."""
    door.say({"op": "ask", "reset": "reset" in wish.flags})
    if not door.hear()["needs"]:
        return
    if "quiet" in wish.flags:
        raise Refused("sudo: a password is required")
    if "askpass" in wish.flags:
        raise Refused("sudo: no askpass program specified, try setting SUDO_ASKPASS")
    if "stdin" not in wish.flags and not _has_terminal():
        raise Refused(
            "sudo: a terminal is required to read the password; either use the -S option to read from standard input "
            "or configure an askpass helper\nsudo: a password is required"
        )
    prompt = _prompt(wish.values.get("prompt", os.environ.get("SUDO_PROMPT", "[sudo] password for %p: ")), user)
    for attempt in range(_TRIES):
        given = _read_line(prompt) if "stdin" in wish.flags else _read_terminal(prompt)
        if given is None:
            wrong = f"sudo: {_count(attempt)}" if attempt else "sudo: a password is required"
            raise Refused(f"\nsudo: no password was provided\n{wrong}")
        door.say({"op": "password", "password": given, "remember": not {"reset", "no_update"} & wish.flags})
        answer = door.hear()
        if answer["is_right"]:
            if not answer["is_allowed"]:
                raise Refused(f"{_own_name()} is not in the sudoers file.")
            return
        time.sleep(_WRONG_DELAY_S)
        if attempt + 1 < _TRIES:
            print("Sorry, try again.", file=sys.stderr, flush=True)
    raise Refused(f"sudo: {_count(_TRIES)}")


def _count(attempts: int) -> str:
    return f"{attempts} incorrect password attempt{'' if attempts == 1 else 's'}"


def _prompt(text: str, user: str) -> str:
    """The prompt with %u, %U, %p, %h, %H and %% filled in."""
    own, host = _own_name(), os.uname().nodename
    filled = {"u": own, "U": user, "p": own, "h": host.partition(".")[0], "H": host, "%": "%"}
    parts, letters = [], iter(text)
    for letter in letters:
        following = next(letters, "") if letter == "%" else ""
        parts.append(filled.get(following, letter + following) if letter == "%" else letter)
    return "".join(parts)


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _read_line(prompt: str) -> str | None:
    """One line of standard input, byte for byte, so that what follows is left for the command."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = bytearray()
    while (byte := os.read(0, 1)) and byte != b"\n":
        line += byte
    if not byte and not line:
        return None
    return line.decode("utf-8", "surrogateescape")


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _read_terminal(prompt: str) -> str | None:
    """One line of the terminal, without echo."""
    number = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    try:
        before = termios.tcgetattr(number)
        silent = list(before)
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(number, termios.TCSAFLUSH, silent)  # before the prompt: a quick answer must not be flushed
        try:
            os.write(number, prompt.encode())
            line = os.read(number, 4096)
        finally:
            termios.tcsetattr(number, termios.TCSANOW, before)
            os.write(number, b"\n")
    finally:
        os.close(number)
    return line.rstrip(b"\n").decode("utf-8", "surrogateescape") if line else None


def _rights(is_free: bool) -> str:
    return (
        f"User nvidia may run the following commands on {os.uname().nodename}:\n    "
        f"(ALL : ALL) {'NOPASSWD: ' if is_free else ''}ALL"
    )


def _run(door: Door, wish: Wish, user: str) -> int:
    """Start the command and end as it ends."""
    argv = _command(wish, user)
    environment = _environment(wish, user, argv)
    folder = wish.values.get("folder") or (environment["HOME"] if "login" in wish.flags else os.getcwd())
    door.say({"op": "run", "argv": argv, "environment": environment, "folder": folder, "user": user}, (0, 1, 2))
    if "background" in wish.flags:
        return 0
    for which in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(which, lambda number, _frame: door.say({"op": "signal", "signal": number}))
    ended = door.hear()
    if ended["signal"]:
        _end_by(int(ended["signal"]))
    return int(ended["code"])


def _end_by(which: int) -> NoReturn:
    """End as the command did, by the same signal."""
    if which != signal.SIGKILL:
        signal.signal(which, signal.SIG_DFL)
    os.kill(os.getpid(), which)
    sys.exit(128 + which)


def _command(wish: Wish, user: str) -> list[str]:
    """The command's words, with its program by its full path. Raises Refused."""
    if {"shell", "login"} & wish.flags:
        shell = ["/bin/bash", *(["-l"] if "login" in wish.flags else [])]
        return [*shell, "-c", shlex.join(wish.words)] if wish.words else shell
    program = wish.words[0]
    path = shutil.which(program, path=f"{_PROGRAMS}:{_SECURE_PATH}")
    if path is None:
        raise Refused(f"sudo: {program}: command not found")
    return [path, *wish.words[1:]]


def _environment(wish: Wish, user: str, argv: list[str]) -> dict[str, str]:
    """What the command gets: little of ours, unless it was asked for."""
    names = list(os.environ) if "keep" in wish.flags else _KEPT
    kept = {name: os.environ[name] for name in names if name in os.environ}
    home = "/root" if user == "root" else "/home/nvidia"
    own = {
        "HOME": home,
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/bash",
        "MAIL": f"/var/mail/{user}",
        "PATH": f"{_PROGRAMS}:{_SECURE_PATH}",
        "SUDO_COMMAND": shlex.join(argv),
        "SUDO_USER": _own_name(),
        "SUDO_UID": str(os.getuid()),
        "SUDO_GID": str(os.getgid()),
    }
    return {"TERM": "unknown", **kept, **own, **wish.environment}
