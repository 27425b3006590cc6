"""Takes out of a text what tells whose machine it is, and what opens it: names, addresses, ids, keys, passwords.

The one rule: too much rather than too little. What is taken out leaves a word that says what it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_STAND_IN = r"(?!\((?:secret|token|name|id|address|host|email)\))"
_NO_VALUE = (
    r"(?!(?:none|null|nil|true|false|yes|no|not|is|was|are|has|must|may|or|and|of|for|in|to|the|with|unset|empty|missing"
    r"|required|needed|expected|given|set|invalid|wrong|argument|option)(?![\w./+=~-]))"
)
"""What stands after a secret's name in words about it: "api_key=None", "--api-key is required"."""
_WORD = r"(?:[^\s\"',;&)\]}\\]|,(?![\s\"']|\w+=)|[)\]}](?=\w))+"
_QUOTED = r"\\?\"[^\"\n]{1,2000}\"|\\?'[^'\n]{1,2000}'"
_VALUE = _NO_VALUE + _STAND_IN + rf"(?:\[[^\]\n]{{1,2000}}\]|{_QUOTED}|(?![\"'\[])(?:(?:bearer|basic)[ ]+)?{_WORD})"
"""A list, a text between quotes, or a word."""
_IS = r"(?:\\?[\"'])?\s*[:=]\s*"
_NAME = (
    r"(?:(?:api|access|secret|private|auth|account|client|signing|encryption|master|ssh)[ _.-]?key"
    r"|pass(?:word|wd|phrase)|\bpwd|secret|credentials?"
    r"|(?:auth|access|api|hub|bearer|refresh|session|id|hf)[ _.-]?token)"
    r"(?:[_-]?\d{1,2})?"
)
_DENSE = r"(?=[^\s\"']{0,200}\d)(?=[^\s\"']{0,200}[A-Za-z])[A-Za-z0-9_+/=~-]{12,}(?![\w.])"
"""Letters and digits in one long word without a dot: no number, and no name of a tensor or a setting."""
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?s)-----BEGIN [A-Z0-9 ]{1,40}-----.*?(?:-----END [A-Z0-9 ]{1,40}-----|\Z)"), "(secret)"),
    # The end of such a block, whose beginning was cut off.
    (re.compile(r"(?m)^[ \t]*[A-Za-z0-9+/]{60,}={0,2}[ \t]*$"), "(secret)"),
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/@\"'<>]+(?:@[^\s/@\"'<>]+)*@"), r"\1(secret)@"),
    (re.compile(rf"(?i)(\bauthorization{_IS}){_STAND_IN}[a-z]+[ ]+{_WORD}"), r"\1(secret)"),
    (re.compile(rf"(?i)(\bauthorization{_IS}){_VALUE}"), r"\1(secret)"),
    (re.compile(r"(?im)(\b(?:set-)?cookie[\"']?\s*:[ \t]*)\S.*$"), r"\1(secret)"),
    (
        re.compile(r"(?i)(\bbearer\s+)(?!(?:auth\w*|tokens?|schemes?|headers?|credentials?)\b)[A-Za-z0-9._~+/-]{6,}=*"),
        r"\1(secret)",
    ),
    (re.compile(rf"(?i)({_NAME}{_IS}){_VALUE}"), r"\1(secret)"),
    # A flag with its value as the next word, in a command or in a list of its words.
    (
        re.compile(
            r"(?i)(--?(?:[a-z0-9]+[_-])*(?:key|token|password|passwd|passphrase|secret|credentials?)"
            rf"(?:[\"']?\s*[,=:]\s*|\s+))(?!--?[a-z]){_VALUE}"
        ),
        r"\1(secret)",
    ),
    (re.compile(r"(?i)([?&](?:key|token|sig|signature|auth|pass)=)[^&\s\"']+"), r"\1(secret)"),
    # A variable of the environment.
    (re.compile(rf"(\b[A-Z0-9_]*_(?:KEY|TOKEN|PASS){_IS})(?!\d{{1,7}}\b|<){_VALUE}"), r"\1(secret)"),
    # Names that innocent lines have too: only what looks like a secret is one.
    (re.compile(rf"(?i)((?:key|token){_IS}\\?[\"']?){_DENSE}"), r"\1(secret)"),
    (re.compile(rf"(?i)(\b(?:key|token|password|passphrase|secret)\s+(?:is\s+)?[\"']?){_DENSE}"), r"\1(secret)"),
    (re.compile(r"\b(hf_|sk-|nvapi-)[A-Za-z0-9_-]{8,}"), "(token)"),
    (re.compile(r"\b(?:gh[opsu]_|github_pat_|glpat-|xox[abp]-|AKIA|AIza)[A-Za-z0-9_-]{12,}"), "(token)"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"), "(token)"),
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    *_SECRETS,
    (
        re.compile(
            r"(?i)(?<![\w.%+-])[a-z0-9._%+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*"
            r"\.(?!(?:service|socket|slice|target|timer|mount|device|scope|path|so)\b)[a-z]{2,24}\b"
        ),
        "(email)",
    ),
    (re.compile(r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "(id)"),
    (re.compile(r"(?i)\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b"), "(mac)"),
    # 0.00.351.123 and 1.13.195.50 at the beginning of a line are times of llama.cpp's log: no host's address begins
    # with a nought, no octet with a nought and another digit, and none is over 255.
    (
        re.compile(
            rf"(?m)(?!^\d{{1,3}}(?:\.\d{{2,3}}){{3}} [DIWE] )(?!0\.(?!0\.0\.0\b))\b(?:{_OCTET}\.){{3}}{_OCTET}"
            r"(?:/\d{1,2})?\b"
        ),
        "(address)",
    ),
    # At least two groups and a double colon, or six groups: not a time, not a PCI address like 000f:01:00.0.
    (re.compile(r"(?i)(?<![\w:.])(?:[0-9a-f]{1,4}:){1,7}:(?:[0-9a-f]{1,4}:?){0,7}(?:%\w+)?(?![\w:])"), "(address)"),
    (re.compile(r"(?i)(?<![\w:.])(?:[0-9a-f]{1,4}:){5,7}[0-9a-f]{1,4}(?:%\w+)?(?![\w:])"), "(address)"),
    (re.compile(r"(?i)\b[0-9a-f]{32,}\b"), "(id)"),
    (re.compile(r"(?im)^(.*serial[^:=\n]*[:=]\s*).+$"), r"\1(serial)"),
    (re.compile(r"(?i)\bspark-[0-9a-f]{4}\b"), "(host)"),
    (re.compile(r"(?i)(?<![\w.-])(?!threading\.)[a-z0-9][a-z0-9-]{0,62}(\.(?:local|lan))\b(?![(-]|\.\w)"), r"(host)\1"),
    (re.compile(r"/(home|Users)/[^/\s\"']+"), r"/\1/(user)"),
)
LOOPBACK = ("127.0.0.1", "0.0.0.0")
MIN_WORD_CHARS = 3
"""A user called "a" cannot be taken out of every text without making it unreadable."""


def hide_secrets(text: str) -> str:
    """The text without what opens something: keys, tokens, passwords, serial numbers. Names and addresses stay."""
    for pattern, stand_in in (*_SECRETS, *(one for one in _PATTERNS if one[1] == r"\1(serial)")):
        text = pattern.sub(stand_in, text)
    return text


def redact(text: str, words: Iterable[str] = ()) -> str:
    """The text without what tells whose machine it is. `words` are this node's own names: host, user, address."""
    for word in sorted({word for word in words if len(word) >= MIN_WORD_CHARS}, key=len, reverse=True):
        text = re.sub(rf"(?<![\w]){re.escape(word)}(?![\w])", "(name)", text, flags=re.IGNORECASE)
    for pattern, stand_in in _PATTERNS:
        if stand_in == "(address)":
            text = pattern.sub(lambda found: found.group(0) if found.group(0) in LOOPBACK else "(address)", text)
        else:
            text = pattern.sub(stand_in, text)
    return text
