"""What is read of netplan's files before a bring-up: which there are, what they say, and who stands behind them.

The one rule: what a file says is known only where it was read whole. Ours is root's own; the copy that a kept trial
leaves beside its notes (remote/trial_notes.py) tells it, as long as both have one size and one time of change.
"""

from __future__ import annotations

import re

from sparkdesk.core.bringup.netplan import NETWORK_MANAGER, OUR_FILE, names_manager
from sparkdesk.core.bringup.reading import NetplanFile
from sparkdesk.core.plain_text import make_plain
from sparkdesk.core.probes import form
from sparkdesk.core.probes.read import Answers, Read, ReadCommand, ReadFile, answer_of

MAX_BYTES = 16384
COPY_FILE = "/var/lib/sparkdesk/90-sparkdesk.yaml"
_NAMES_SCRIPT = """for d in etc run lib; do
for f in "${SPARKDESK_ROOT-}/$d/netplan/"*.yaml; do [ -f "$f" ] && echo "${f#"${SPARKDESK_ROOT-}"}"; done
done; true"""
_TIMES_SCRIPT = """for f in "$@"; do stat -c '%s %y' -- "${SPARKDESK_ROOT-}$f" || exit 1; done"""
NAMES = ReadCommand(("sh", "-c", _NAMES_SCRIPT), max_bytes=MAX_BYTES)
FILES = tuple(ReadFile(f"/{top}/netplan/*.yaml", max_bytes=MAX_BYTES, max_files=16) for top in ("etc", "run", "lib"))
"""Those that the account may read. Source: netplan(5), "Introduction": the three folders and their order."""
COPY = ReadFile(COPY_FILE, max_bytes=MAX_BYTES)
TIMES = ReadCommand(("sh", "-c", _TIMES_SCRIPT, "sh", OUR_FILE, COPY_FILE), max_bytes=256)
"""Size and time of change, which need no right to read a file. Source: stat(1), stat(2)."""
NM_RENDERS = ReadFile("/run/NetworkManager/conf.d/10-globally-managed-devices.conf", max_bytes=256)
"""netplan makes it, empty, where its renderer is NetworkManager. Tried with netplan 0.106."""
NM_ACTIVE = ReadCommand(("systemctl", "is-active", "NetworkManager"), max_bytes=256)
READS: tuple[Read, ...] = (*FILES, NM_RENDERS, NM_ACTIVE, NAMES, COPY, TIMES)

MAX_FILES = 48
_PATH = re.compile(r"/(etc|run|lib)/netplan/[A-Za-z0-9_.@+-]{1,100}\.yaml")
_TIME = re.compile(r"[0-9]{1,9} [0-9]{4}-[0-9-]{5} [0-9:]{8}\.[0-9]{1,9} [+-][0-9]{4}")


def read_files(answers: Answers) -> tuple[tuple[NetplanFile, ...] | None, str]:
    """netplan's files, and what hinders knowing all of them: "" when nothing does, with None when nothing is known."""
    names = answer_of(answers, NAMES)
    texts = {path: text for read in FILES for path, text in answer_of(answers, read).texts}
    if not names.is_ok or names.is_cut:
        return None, names.why() or "there are more files than are read"
    lines = [line.strip() for line in form.lines_of(names.text) if line.strip()]
    paths = [line for line in dict.fromkeys(lines) if _PATH.fullmatch(line)]
    is_strange = len(paths) < len(dict.fromkeys(lines)) or len(paths) > MAX_FILES
    cut = [read for read in FILES if answer_of(answers, read).is_cut]
    is_whole = {path: not any(path.startswith(read.path.partition("*")[0]) for read in cut) for path in paths}
    known = {path: texts[path] for path in paths if path in texts and is_whole[path]}
    if OUR_FILE in paths and (copy := _read_copy(answers)) is not None:
        known.setdefault(OUR_FILE, copy)
    found = tuple(
        NetplanFile(path, make_plain(known[path], max_chars=MAX_BYTES) if path in known else None)
        for path in paths[:MAX_FILES]
    )
    return found, "some of its files have names that are not read" if is_strange else ""


def _read_copy(answers: Answers) -> str | None:
    """What our own file says, by its copy; None where there is none, or it is one of another file."""
    copy, times = answer_of(answers, COPY), answer_of(answers, TIMES)
    lines = form.lines_of(times.text) if times.is_ok and not times.is_cut else []
    is_same = len(lines) == 2 and lines[0] == lines[1] and _TIME.fullmatch(lines[0]) is not None
    return copy.texts[0][1] if is_same and copy.is_ok and copy.texts and not copy.is_cut else None


def read_renderer(answers: Answers, files: tuple[NetplanFile, ...] | None) -> str:
    """By what netplan left in /run, for its files most often are root's alone; where it runs, one may name a port."""
    if any(map(names_manager, files or ())) or answer_of(answers, NM_RENDERS).is_ok:
        return NETWORK_MANAGER
    state = answer_of(answers, NM_ACTIVE)
    return "networkd" if state.fault is None and state.text.strip() in ("inactive", "failed", "unknown") else ""
