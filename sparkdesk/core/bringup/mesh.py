"""The SSH mesh between nodes: what is read of ~/.ssh, what each node should have there, and how a line of ours is told.

Each node has a key pair of its own, made there, whose private half never leaves it; its public half stands in each
peer's authorized_keys, the host keys that the application has pinned stand in known_hosts, and a block of ~/.ssh/config
says as whom a peer is reached. The one rule: only what carries our own mark is ours; everything else in these files is
other people's.
"""

from __future__ import annotations

import re

from sparkdesk.core.bringup.reading import SshReading
from sparkdesk.core.playbooks.reader import read_public_key
from sparkdesk.core.probes.form import lines_of, parse_whole
from sparkdesk.core.probes.read import MAX_TEXT_BYTES, Answer, Answers, ReadCommand, ReadFile, answer_of

WORD = "sparkdesk-mesh"
"""Every line of ours says it, with the name and the id of the node that it is about: "sparkdesk-mesh spark-1 ID"."""
KEY_FILE = "~/.ssh/id_ed25519_sparkdesk"
AUTHORIZED, KNOWN_HOSTS, CONFIG = "~/.ssh/authorized_keys", "~/.ssh/known_hosts", "~/.ssh/config"
_MODES_SCRIPT = """for f in "$HOME/." "$HOME/.ssh" "$HOME/.ssh/authorized_keys" "$HOME/.ssh/id_ed25519_sparkdesk"
do stat -c %a -- "$f" 2>/dev/null || echo -; done"""
_MODES = ReadCommand(("sh", "-c", _MODES_SCRIPT), max_bytes=256)
_CONNECTION = ReadCommand(("printenv", "SSH_CONNECTION"), max_bytes=256)
_PUBLIC = ReadFile(f"{KEY_FILE}.pub", max_bytes=4096)
_AUTHORIZED, _KNOWN, _CONFIG = (ReadFile(path, MAX_TEXT_BYTES) for path in (AUTHORIZED, KNOWN_HOSTS, CONFIG))
READS = (_MODES, _CONNECTION, _PUBLIC, _AUTHORIZED, _KNOWN, _CONFIG)
"""What `read_ssh` understands. Source: ssh(1) for SSH_CONNECTION, sshd(8) and ssh_config(5) for the files."""

MAX_LINES = 256
_MODE = re.compile(r"[0-7]{3,4}")
_OURS = re.compile(rf"[ -~]{{1,2000}} {WORD} [A-Za-z0-9._-]{{1,64}} [A-Za-z0-9._-]{{1,64}}")
_BEGIN = re.compile(rf"# >>> {WORD} [A-Za-z0-9._-]{{1,64}} [A-Za-z0-9._-]{{1,64}}")
_END = f"# <<< {WORD}"


def read_ssh(answers: Answers) -> SshReading:
    """What was read of a node's ~/.ssh; total. What could not be read is None or ""."""
    said = answer_of(answers, _MODES)
    modes = [line if _MODE.fullmatch(line) else "" for line in said.text.split("\n")] if said.is_ok else []
    home, folder, authorized, private = modes if len(modes) == 4 else ("", "", "", "")
    public = answer_of(answers, _PUBLIC)
    key = read_public_key(public.text) if public.is_ok and not public.is_cut and private == "600" else None
    lines = _lines(answer_of(answers, _AUTHORIZED))
    known = _lines(answer_of(answers, _KNOWN))
    return SshReading(
        home_mode=home,
        folder_mode=folder,
        authorized_mode=authorized,
        public_key=key or "",
        authorized=None if lines is None else tuple(line for line in lines if _OURS.fullmatch(line))[:MAX_LINES],
        known_hosts=None if known is None else tuple(line for line in known if _OURS.fullmatch(line))[:MAX_LINES],
        config=_our_part(_lines(answer_of(answers, _CONFIG))),
        port=_port(answer_of(answers, _CONNECTION)),
    )


def _lines(answer: Answer) -> list[str] | None:
    """A file's lines; none where there is no file, None where it is not known what is in it."""
    if answer.is_absent:
        return []
    return lines_of(answer.texts[0][1]) if answer.is_ok and answer.texts and not answer.is_cut else None


def _our_part(lines: list[str] | None) -> str | None:
    """Our blocks of a configuration, marker lines included, one after another."""
    if lines is None:
        return None
    kept: list[str] = []
    is_ours = False
    for line in lines[: 8 * MAX_LINES]:
        is_ours = is_ours or _BEGIN.fullmatch(line) is not None
        if is_ours:
            kept.append(line)
        is_ours = is_ours and line != _END
    return "".join(f"{line}\n" for line in kept)


def _port(answer: Answer) -> int | None:
    """The port of the node's own SSH server: the last word of SSH_CONNECTION."""
    words = answer.text.split() if answer.is_ok else []
    port = parse_whole(words[3]) if len(words) == 4 else None
    return port if port is not None and 0 < port < 65536 else None
