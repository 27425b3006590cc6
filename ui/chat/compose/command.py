"""What can be said to the program itself instead of to the model: "/" and a word.

Rule: only what is connected is listed; a line that begins with "/" and no known word is a question like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

Choices = Callable[[], Sequence[str]]
MAX_CHOICES: Final = 200


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One command. `argument` names what must follow it ("NAME"); "" is nothing."""

    name: str
    title: str
    argument: str = ""
    icon: str = "chevron-right"
    choices: Choices | None = None
    """What may follow, where that is known."""

    @property
    def usage(self) -> str:
        """As it is typed."""
        return f"/{self.name} {self.argument}".rstrip()


KNOWN_COMMANDS: Final = (
    SlashCommand("new", "Begin a new chat", icon="plus"),
    SlashCommand("model", "Talk to another model from now on", "NAME", "server"),
    SlashCommand("preset", "Use a system prompt from your files", "NAME", "list"),
    SlashCommand("system", "Say what the model shall know before all else", "TEXT", "terminal"),
    SlashCommand("remember", "Add a line to the project's memory", "TEXT", "star"),
    SlashCommand("regenerate", "Have the last question answered again", icon="refresh-cw"),
    SlashCommand("continue", "Let the last answer go on where it ends", icon="play"),
    SlashCommand("stop", "Stop the answer that is being written", icon="square"),
    SlashCommand("compare", "Ask several models side by side", icon="columns-2"),
    SlashCommand("export", "Save this chat as a file", icon="download"),
    SlashCommand("help", "Show these commands", icon="circle-help"),
)


def command_table(names: Iterable[str], choices: Mapping[str, Choices] | None = None) -> tuple[SlashCommand, ...]:
    """The commands that are connected, in their usual order, with what may follow them."""
    wanted, known = set(names), choices or {}
    return tuple(replace(each, choices=known.get(each.name)) for each in KNOWN_COMMANDS if each.name in wanted)


def split_command(text: str) -> tuple[str, str]:
    """Name and argument of what is typed; the name is "" when it is no command."""
    if not text.startswith("/") or "\n" in text:
        return "", ""
    name, _, argument = text[1:].partition(" ")
    return name, argument.strip()


def offers(text: str, commands: Sequence[SlashCommand]) -> list[tuple[SlashCommand, str]]:
    """What the list shows while this is typed: commands, or what may follow one, each with its argument."""
    if not text.startswith("/") or "\n" in text:
        return []
    name, space, rest = text[1:].partition(" ")
    if not space:
        starts = [each for each in commands if each.name.startswith(name.lower())]
        return [(each, "") for each in starts]
    found = next((each for each in commands if each.name == name), None)
    if found is None or found.choices is None:
        return []
    words = rest.strip().casefold()
    return [(found, choice) for choice in found.choices() if words in choice.casefold()][:MAX_CHOICES]
