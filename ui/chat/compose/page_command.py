"""What the "/" commands do on the chat page.

Rule: a command does what its button does, by the same way; what cannot be done says so in the composer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ui.chat.compose.command import Choices, command_table
from ui.text import one_line

if TYPE_CHECKING:
    from ui.chat.view import ChatPage


@dataclass(frozen=True, slots=True)
class FileCommands:
    """What the commands need of the person's own files; without it those are not listed."""

    presets: Choices
    """The names of the system prompts."""
    use_preset: Callable[[str], object]
    remember: Callable[[str], object]
    """Add a line to the memory of the project that the chat shown belongs to."""


class PageCommands:
    """Connects the page's composer. Made once; `connect_files` adds what lies in files."""

    def __init__(self, page: ChatPage) -> None:
        self._page = page
        model = page.model
        self._runs: dict[str, Callable[[str], object]] = {
            "new": lambda _: page.start_new(),
            "model": self._choose_model,
            "system": lambda text: model.change_settings({"system_prompt": text}),
            "regenerate": lambda _: model.retry(),
            "continue": lambda _: page.resume(),
            "stop": lambda _: model.stop(),
            "compare": lambda _: page.head.compare.toggle(),
            "export": lambda _: page.export(),
            "help": lambda _: None,  # the composer itself lists them
        }
        self._choices: dict[str, Choices] = {"model": self._models}
        page.composer.command_asked.connect(self._run)
        self._show()

    def connect_files(self, files: FileCommands) -> None:
        """List the commands that need the person's files too."""
        self._runs["preset"] = files.use_preset
        self._runs["remember"] = files.remember
        self._choices["preset"] = files.presets
        self._show()

    def _show(self) -> None:
        self._page.composer.set_commands(command_table(self._runs, self._choices))

    def _run(self, name: str, argument: str) -> None:
        run = self._runs.get(name)
        if run is not None:
            run(argument)

    def _models(self) -> tuple[str, ...]:
        return tuple(one_line(endpoint.label, 120) for endpoint in self._page.model.endpoints)

    def _choose_model(self, words: str) -> None:
        """By its whole name, else by a part of it that only one has."""
        wanted = words.casefold()
        named = [(one_line(each.label, 120).casefold(), each.id) for each in self._page.model.endpoints]
        found = [ident for name, ident in named if name == wanted] or [ident for name, ident in named if wanted in name]
        if len(found) == 1:
            self._page.model.choose_endpoint(found[0])
        else:
            many = "More than one model that is ready has" if found else "No model that is ready has"
            self._page.composer.say(f"{many} “{one_line(words, 80)}” in its name")
