"""What was before a trial, noted: netplan's files as they were, and notes of each run that outlive a restart.

Sent between net_state.py and link_trial.py over the same channel, and run in the same interpreter.

Our kept file is root's own, since netplan wants it so; beside the notes lies a copy that every account may read, with
the same bytes and the same time of change. As long as both have one size and one time, the copy says what is kept, and
a look without root knows it.

The one rule: a file is written whole or not at all, and what is no plain file of ours is not read and not written
through. A note that cannot be understood stands in the way of its own run alone. Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import stat

KEPT_FILE, TRIAL_FILE = "/etc/netplan/90-sparkdesk.yaml", "/run/netplan/90-sparkdesk.yaml"
STORE = "/var/lib/sparkdesk"
NOTES, COPY_FILE = STORE + "/link_trial", STORE + "/90-sparkdesk.yaml"
NAME = re.compile(r"[a-z0-9]{1,64}\Z")
EDITED_HEAD = re.compile(r"(?:(?: *#.*)?\n)*network:\n  version: 2\n  ethernets:\n")
EDITED_START = re.compile(r"    ([A-Za-z][A-Za-z0-9]{0,14}):\Z")
EDITED_LINE = re.compile(r"      [A-Za-z0-9 _.:/\[\]{},\"'#+=@%-]*\Z")
MAX_NOTE_BYTES = 1 << 20
# What networkd sets on a port that it is told to manage, and leaves so. Source: systemd's networkd-sysctl.c, and seen.
SETTINGS = ("ipv6/conf/%s/accept_ra", "ipv4/conf/%s/promote_secondaries")
SETTINGS_FOLDER, SETTING = "/proc/sys/net", re.compile(rb"-?[0-9]{1,9}\Z")
LOOK_AT_IT = "Look at it on the node and move it away."

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, Dict, List, Optional, Tuple

    Record = Dict[str, Any]

    # net_state.py, which ran before in the same interpreter.
    class TrialError(Exception): ...

    def read_ports() -> Dict[str, Record]: ...
    def ports_of(item: str) -> List[str]: ...
    def boot_id() -> str: ...

    # netplan_units.py, which is read before any of this is called.
    def network_files(name: str) -> List[str]: ...
    def connection_files(name: str) -> List[str]: ...


def read_file(path: str) -> Optional[bytes]:
    """A plain file's bytes; None when there is none. Raises TrialError for anything else at that name."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode) and os.fstat(file.fileno()).st_size <= MAX_NOTE_BYTES:
                return file.read(MAX_NOTE_BYTES)
    except FileNotFoundError:
        return None
    except OSError:
        pass  # a link
    raise TrialError("%s is no plain file of ours" % path, LOOK_AT_IT)


def refuse_strange_folders(*paths: str) -> None:
    """Nobody but root can put a link there, yet what was noted would be elsewhere after the next start."""
    for path in paths:
        if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
            raise TrialError("%s is no folder of ours" % path, LOOK_AT_IT)


def write_file(
    path: str, data: bytes, mode: int = 0o600, owner: Tuple[int, int] = (0, 0), mtime_ns: Optional[int] = None
) -> None:
    """Write it whole and durably: it is there with all its bytes, or as it was before."""
    folder, name = os.path.split(path)
    new = os.path.join(folder, ".%s.%s.new" % (name, os.urandom(6).hex()))  # netplan reads *.yaml only
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchown(fd, owner[0], owner[1])
            os.fchmod(fd, mode)
            if mtime_ns is not None:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            os.fsync(fd)
        os.rename(new, path)
    except OSError as error:
        remove(new)
        words = "%s cannot be written: %s" % (path, error.strerror)
        raise TrialError(words, "Free some space there, then try again.") from error
    for one in (folder, os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):  # they may be new
        fd = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(fd)
        os.close(fd)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def read_json(path: str) -> Optional[Record]:
    """A file of ours; None when there is none. Raises TrialError for one that cannot be understood."""
    data = read_file(path)
    try:
        value = {} if data is None else json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise TrialError("%s cannot be understood" % path, LOOK_AT_IT)
    return value or None


def read_notes(name: str) -> Dict[str, Record]:
    """What was before each run that was not undone, by the run's name, the newest first.

    Those that cannot be understood are left out; raises TrialError where it is that of this run.
    """
    notes = {}
    for one in note_names():
        try:
            notes[one] = read_note(one)
        except TrialError:
            if one == name:
                raise
    return dict(sorted(notes.items(), key=lambda pair: -pair[1]["number"]))


def note_names() -> List[str]:
    """The names of the runs that left a note."""
    names = os.listdir(NOTES) if os.path.isdir(NOTES) else []
    return sorted(name[:-5] for name in names if name.endswith(".json") and NAME.match(name[:-5]))


def read_note(name: str) -> Record:
    """One note. Raises TrialError for what none of ours would be."""
    note = read_json(NOTES + "/%s.json" % name) or {}
    kinds = {"number": int, "files": dict, "folders": list, "ports": dict, "ours": dict, "boot": str, "items": list}
    if not all(isinstance(note.get(key), kind) for key, kind in kinds.items()) or KEPT_FILE not in note["files"]:
        raise TrialError("%s/%s.json cannot be understood" % (NOTES, name), LOOK_AT_IT)
    return note


def spoiled_notes() -> List[str]:
    """Which notes cannot be understood, in words."""
    spoiled = [name for name in note_names() if name not in read_notes("")]
    return ["%s/%s.json cannot be understood and was left as it is" % (NOTES, name) for name in spoiled]


def take_note(name: str, wanted: Record, items: List[str], planned: str = "") -> Record:
    """What was so before the first `try` of this run; what we give the ports is added to it, nothing is replaced.

    `planned` is the digest of the file as the plan has it: what is kept may hold other ports' lines beside.
    """
    notes, ports, files = read_notes(name), read_ports(), (KEPT_FILE, TRIAL_FILE, COPY_FILE)
    note = notes.get(name) or {
        "name": name,
        "number": 1 + max((note["number"] for note in notes.values()), default=0),
        "files": {path: former_file(path) for path in files},
        "folders": [os.path.dirname(path) for path in files if os.path.isdir(os.path.dirname(path))],
        "ports": {},
        "ours": {},
        "boot": boot_id(),
        "items": [item for item in items if set(ports_of(item)) & set(wanted)],
    }
    for port, want in wanted.items():
        if port in ports:
            note["ports"].setdefault(port, ports[port])
            note.setdefault("settings", {}).setdefault(port, read_settings(port))  # older notes have none
        note["ours"][port] = sorted({*note["ours"].get(port, ()), *want["addresses"]})
    note["planned"] = planned
    os.makedirs(NOTES, mode=0o700, exist_ok=True)
    write_note(name, note)
    return note


def write_note(name: str, note: Record) -> None:
    """For an undo after a restart."""
    write_file(NOTES + "/%s.json" % name, json.dumps(note).encode())


def read_settings(port: str) -> Dict[str, str]:
    """What the kernel holds for this port of what networkd sets, by name; without what cannot be read."""
    found = {}
    for name in SETTINGS:
        with contextlib.suppress(OSError), open("%s/%s" % (SETTINGS_FOLDER, name % port), "rb") as file:
            text = file.read(16).strip()
            if SETTING.match(text):
                found[name] = text.decode()
    return found


def put_settings_back(note: Record, port: str) -> List[str]:
    """The same as it was, unless somebody's file sets the port now. In words what could not be put back."""
    if any(os.path.lexists(path) for path in (*network_files(port), *connection_files(port))):
        return []
    former, words = note.get("settings", {}).get(port, {}), []
    now = read_settings(port)
    for name in SETTINGS:
        text = str(former.get(name, ""))
        if name in now and now[name] != text and SETTING.match(text.encode()):
            try:
                with open("%s/%s" % (SETTINGS_FOLDER, name % port), "wb", buffering=0) as file:
                    file.write(text.encode())
            except OSError as error:
                words.append("net/%s cannot be set to %s again: %s" % (name % port, text, error.strerror))
    return words


def former_file(path: str) -> Optional[Record]:
    """A file as it is: bytes, mode, owner."""
    data = read_file(path)
    if data is None:
        return None
    about = os.stat(path)
    owner, mode = [about.st_uid, about.st_gid], stat.S_IMODE(about.st_mode)
    return {"data": base64.b64encode(data).decode(), "mode": mode, "owner": owner, "mtime_ns": about.st_mtime_ns}


def put_files_back(note: Record) -> str:
    """netplan's two files and our copy as they were; where what somebody has written into ours since lies, or ""."""
    copy = keep_strangers_words(note)
    for path, former in note["files"].items():
        if former is None:
            remove(path)
        elif former_file(path) != former:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            data, owner = base64.b64decode(former["data"]), tuple(former["owner"])
            write_file(path, data, former["mode"], owner, former.get("mtime_ns"))
    for folder in {os.path.dirname(path) for path in note["files"]} - set(note["folders"]):
        with contextlib.suppress(OSError):  # somebody else's file is in it
            os.rmdir(folder)
    return copy


def keep_strangers_words(note: Record) -> str:
    """A copy beside the notes of what somebody has written into the file that we kept; its path, or ""."""
    data, former = read_file(KEPT_FILE), note["files"][KEPT_FILE]
    known = (note.get("kept"), hashlib.sha256(base64.b64decode(former["data"])).hexdigest() if former else "")
    if data is None or "kept" not in note or hashlib.sha256(data).hexdigest() in known:
        return ""
    copy = "%s/90-sparkdesk.yaml.%s" % (NOTES, hashlib.sha256(data).hexdigest()[:12])
    os.makedirs(NOTES, mode=0o700, exist_ok=True)
    write_file(copy, data)
    return copy


def refuse_other_file(name: str, former: str) -> None:
    """A plan is for the file that it was made from; what this very run has kept is no surprise. Raises TrialError."""
    if former == "unknown":
        return
    data = read_file(KEPT_FILE)
    now = "absent" if data is None else hashlib.sha256(data).hexdigest()
    if now not in (former, read_notes(name).get(name, {}).get("kept")):
        message = "%s is not as it was when this plan was made" % KEPT_FILE
        raise TrialError(message, "Look again, and read the new plan.")


def with_other_lines(yaml: bytes, wanted: Record) -> Tuple[bytes, str]:
    """What came, with what our kept file says of ports that the plan did not name; in words what goes of it, or "".

    For a plan that was made without having read that file. The planner reads one that is no secret in the same way
    (core/bringup/netplan.read_edited).
    """
    kept = (read_file(KEPT_FILE) or b"").decode("utf-8", "replace")
    blocks = read_edited(kept)
    if not blocks:
        return yaml, "what %s said was not understood, and is replaced" % KEPT_FILE if kept.strip() else ""
    named = set(wanted).union(start.group(1) for start in map(EDITED_START.match, yaml.decode().splitlines()) if start)
    others = {port: lines for port, lines in blocks.items() if port not in named}
    text = "".join("%s\n" % line for lines in others.values() for line in lines)
    words = "what %s says of %s stays in it" % (KEPT_FILE, ", ".join(others)) if others else ""
    return yaml.rstrip(b"\n") + b"\n" + text.encode() if others else yaml, words


def read_edited(text: str) -> Dict[str, List[str]]:
    """The lines of our file by port, whoever changed it; {} where it is not understood."""
    head, name = EDITED_HEAD.match(text), ""
    blocks: Dict[str, List[str]] = {}
    for line in text[head.end() :].splitlines() if head else ():
        start = EDITED_START.match(line)
        if start and start.group(1) not in blocks:
            name = start.group(1)
            blocks[name] = [line]
        elif re.match(r" *(?:#.*)?\Z", line):
            continue
        elif start or not name or not EDITED_LINE.match(line):
            return {}
        else:
            blocks[name].append(line)
    return {} if any(len(lines) < 2 for lines in blocks.values()) else blocks


def write_copy(digest: str) -> None:
    """The copy of what is kept, for a look without root. Without it a look does not know, which undoes no keeping."""
    with contextlib.suppress(TrialError, OSError):
        data = read_file(KEPT_FILE)
        if data is not None and hashlib.sha256(data).hexdigest() == digest:
            os.makedirs(STORE, exist_ok=True)
            write_file(COPY_FILE, data, 0o644, mtime_ns=os.stat(KEPT_FILE).st_mtime_ns)
