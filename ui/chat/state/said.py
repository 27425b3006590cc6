"""What of a turn can be searched.

Rule: all that a person could have read or given, in small letters.
"""

from __future__ import annotations

from sparkdesk.core.chat.message import FilePart
from sparkdesk.core.chat.session import Turn


def said_of(turn: Turn) -> str:
    """All words of a turn that can be searched: what is said and thought, and the files that went along."""
    attached = (f"{part.name}\n{part.text if isinstance(part, FilePart) else ''}" for part in turn.message.attachments)
    return "\n".join((turn.text, turn.reasoning, *attached)).casefold()
