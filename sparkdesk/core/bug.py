"""A mistake of ours as text: what a report and a log say of it.

The one rule: what looks like a key, a password or a token is left out before the text goes anywhere.
"""

from __future__ import annotations

import re
import traceback

_HIDDEN = "(left out)"
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"(?i)(?<=bearer )[^\s'\"]+"),
    # key=value, key: value and 'key': 'value', the value whole when it stands in quotes.
    re.compile(
        r"(?i)(?<![a-z])((?:pass(?:word|phrase|wd)?|secret|token|api[_-]?key|authorization)['\"]?\s*[=:]\s*)"
        r"(b?'[^'\n]*'|b?\"[^\"\n]*\"|[^\s,;)'\"]+)"
    ),
)


def without_secrets(text: str) -> str:
    """The text, with what looks like a key, a password or a token left out."""
    text = _SECRETS[0].sub(_HIDDEN, text)
    text = _SECRETS[1].sub(_HIDDEN, text)
    return _SECRETS[2].sub(rf"\g<1>{_HIDDEN}", text)


def describe_bug(bug: BaseException) -> str:
    """The exception with its traceback."""
    return without_secrets("".join(traceback.format_exception(bug)))
