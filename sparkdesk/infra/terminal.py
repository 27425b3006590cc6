"""Opens the user's own programs on a node: a terminal with SSH, and VS Code; fulfils core's NodeTools.

The one rule: programs are started with a list of words, never through a shell that reads what a record says; no secret
stands in one, and the node's pinned key is the only key that is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.cluster.ssh_command import (
    alias_of,
    check_folder,
    config_name,
    is_pinned_by,
    is_reached_by,
    known_hosts_text,
    ssh_argv,
    ssh_config_text,
)
from sparkdesk.core.errors import SettingsError

# How each terminal is told to run a program. Source: the programs' own manual pages; `-e` is what Debian's policy
# (11.8.3) asks of every x-terminal-emulator, and the guess for a $TERMINAL that is not in this table.
TERMINALS: Mapping[str, tuple[str, ...]] = {
    "x-terminal-emulator": ("-e",),
    "gnome-terminal": ("--",),
    "ptyxis": ("--",),
    "konsole": ("-e",),
    "xfce4-terminal": ("-x",),
    "mate-terminal": ("-x",),
    "kitty": (),
    "alacritty": ("-e",),
    "wezterm": ("start", "--"),
    "ghostty": ("-e",),
    "foot": (),
    "xterm": ("-e",),
}
VSCODES = ("code", "code-insiders")
# $0 is ssh's path. A window that closes at once would hide why the sign-in failed; 255 is ssh's own failure.
_RUN_AND_HOLD = (
    '"$0" "$@"; code=$?; if [ "$code" -eq 255 ]; then '
    'printf "\\nThe connection failed or was lost. Press Enter to close.\\n"; read -r _; fi; exit "$code"'
)
START_WAIT_S = 1.0
"""A program that fails does so within this; one that runs longer has opened its window."""
SETTINGS_WAIT_S = 5.0
_SCHEME = "x-scheme-handler/vscode"


class Terminal:
    """`folder` is the application's own, where a known_hosts file per node is kept (0600)."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environment = dict(os.environ if environment is None else environment)
        self._running: list[subprocess.Popen[bytes]] = []

    async def open_terminal(self, record: NodeRecord) -> None:
        """Open the user's terminal with an SSH session on the node. Raises SettingsError."""
        terminal = self._find_terminal()
        ssh, *words = ssh_argv(record, self._keep_known_hosts(record), program=self._find_ssh())
        await self._start((*terminal, "sh", "-c", _RUN_AND_HOLD, ssh, *words))

    async def open_vscode(self, record: NodeRecord, folder: str) -> str:
        """Open a folder of the node in VS Code, which reaches it by the user's own SSH settings. Raises SettingsError.

        Gives the lines that would have VS Code accept the pinned key alone; "" when the user's settings do so. VS Code
        takes no options for SSH: another port, a jump host or an own key must stand in ~/.ssh/config.
        """
        check_folder(folder)
        known_hosts = self._keep_known_hosts(record)
        opener = self._find_vscode()
        for host in (config_name(record), f"{record.user}@{record.address}"):
            settings = await asyncio.to_thread(self._read_settings, host)
            if is_reached_by(record, settings):
                await self._start(opener(host, folder))
                return "" if is_pinned_by(record, settings, known_hosts) else ssh_config_text(record, known_hosts)
        raise SettingsError(
            f"VS Code cannot reach {record.name} by your SSH settings yet",
            remedy="It reads ~/.ssh/config only: add the lines in the details there, then open it again.",
            detail=ssh_config_text(record, known_hosts),
            node=record.name,
        )

    def describe(self, record: NodeRecord, *, tunnel: tuple[str, int] | None = None) -> str:
        """The SSH command as text for a POSIX shell; the file that it names is written. Raises SettingsError.

        With `tunnel`, a host and port as the node sees them, it leads the same port of this computer there.
        """
        return shlex.join(ssh_argv(record, self._keep_known_hosts(record), tunnel=tunnel))

    def forget(self, record: NodeRecord) -> None:
        """Drop the file with the pinned keys of a node that was removed."""
        with contextlib.suppress(OSError):
            (self._folder / alias_of(record)).unlink(missing_ok=True)

    def _keep_known_hosts(self, record: NodeRecord) -> str:
        """The path of the node's known_hosts file, which has exactly the pinned keys."""
        text = known_hosts_text(record)
        path = self._folder / alias_of(record)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.is_file() or path.read_text() != text:
                handle, name = tempfile.mkstemp(dir=self._folder)  # 0600
                with os.fdopen(handle, "w") as file:
                    file.write(text)
                os.replace(name, path)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                "The node's host key cannot be written for other programs",
                remedy=f"Check that {self._folder} can be written and the disk is not full.",
                detail=str(error),
            ) from error
        return str(path)

    # Programs of this computer ------------------------------------------------------------------------------------

    def _which(self, name: str) -> str | None:
        return shutil.which(name, path=self._environment.get("PATH", os.defpath))

    def _find_terminal(self) -> tuple[str, ...]:
        """The user's terminal with the words that make it run a program."""
        chosen = self._environment.get("TERMINAL", "").strip()
        for name in (chosen, *TERMINALS):
            path = self._which(name) if name else None
            if path is not None:
                return (path, *TERMINALS.get(os.path.basename(name), ("-e",)))
        raise SettingsError(
            "No terminal program was found on this computer",
            remedy="Install one, for example: sudo apt install gnome-terminal; or name yours in the variable TERMINAL. "
            "The SSH command can also be copied.",
        )

    def _find_ssh(self) -> str:
        path = self._which("ssh")
        if path is None:
            raise SettingsError(
                "The ssh program is not installed on this computer",
                remedy="Install it: sudo apt install openssh-client",
            )
        return path

    def _find_vscode(self) -> _Opener:
        for name in VSCODES:
            path = self._which(name)
            if path is not None:
                return _Opener((path, "--remote"), is_uri=False)
        opener, query = self._which("xdg-open"), self._which("xdg-mime")
        if opener is not None and query is not None and self._ask((query, "query", "default", _SCHEME)).strip():
            return _Opener((opener,), is_uri=True)
        raise SettingsError(
            "VS Code was not found on this computer",
            remedy="Install it with its Remote-SSH extension, so that the command `code` works in a terminal.",
        )

    def _read_settings(self, host: str) -> Mapping[str, tuple[str, ...]]:
        """What the user's own SSH settings say about a name; empty when they cannot be read."""
        found: dict[str, tuple[str, ...]] = {}
        for line in self._ask((self._find_ssh(), "-G", "--", host)).splitlines():
            key, _, value = line.partition(" ")
            home = self._environment.get("HOME", "~")
            found[key] = (*found.get(key, ()), f"{home}{value[1:]}" if value.startswith("~/") else value)
        return found

    def _ask(self, argv: Sequence[str]) -> str:
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SETTINGS_WAIT_S,
                check=False,
                env=self._environment,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""

    async def _start(self, argv: Sequence[str]) -> None:
        """Start a program that outlives us. Raises SettingsError when it ends at once with an error."""
        failure = await asyncio.to_thread(self._start_and_look, argv)
        if failure:
            raise SettingsError(
                f"{os.path.basename(argv[0])} did not start",
                remedy="Try it in a terminal of your own, or copy the SSH command instead.",
                detail=failure,
            )

    def _start_and_look(self, argv: Sequence[str]) -> str:
        self._running = [process for process in self._running if process.poll() is None]
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                    env=self._environment,
                )
            except OSError as error:
                return str(error)
            try:
                code = process.wait(START_WAIT_S)
            except subprocess.TimeoutExpired:
                self._running.append(process)
                return ""
            errors.seek(0)
            words = errors.read(2000).decode("utf-8", "replace").strip()
        return "" if code == 0 else f"exit code {code}\n{words}"


class _Opener:
    """How VS Code is told where to go. Source: `code --help` (--remote); VS Code's vscode://vscode-remote/ links."""

    def __init__(self, words: tuple[str, ...], *, is_uri: bool) -> None:
        self._words = words
        self._is_uri = is_uri

    def __call__(self, host: str, folder: str) -> tuple[str, ...]:
        if self._is_uri:
            return (*self._words, f"vscode://vscode-remote/ssh-remote+{quote(host, safe='@')}{quote(folder)}")
        return (*self._words, f"ssh-remote+{host}", folder)
