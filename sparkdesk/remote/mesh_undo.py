"""Takes back what a run of ssh_mesh.py did to ~/.ssh: exactly where nobody changed it since, else our own part alone.

Sent in front of ssh_mesh.py over the same channel where something is taken back, and run in the same interpreter, which
then knows the verb `undo RUN key|let-in|hosts`.

A person may have changed what is ours since: options before a key, names that `ssh-keygen -H` hashed, words in a block.
Such a line goes by the key that it is about, and our words go from among theirs where that is safe. The one rule: what
of ours stays is said, with file and line; and the private key stays as long as ~/.ssh/config names it, lest ssh have no
key at all for that host. Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import re
import stat

MAX_NUMBERS = 6
NO_NOTE = "this run has no note any more, so that it cannot be told what was there before: "
HEAD_FORM = re.compile(r"(?:host|match|include)\b", re.IGNORECASE)
THEN_ALL = b"Host *\n"

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, Dict, List, Optional, Set, Tuple

    Note = Dict[str, Any]
    Units = List[Tuple[str, str]]

    # ssh_mesh.py, which runs behind it in the same interpreter.
    WORD = FOLDER = KEY = END = ""
    PARTS: Dict[str, Tuple[str, ...]] = {}
    BEGIN_FORM = re.compile("")

    class Refusal(Exception): ...

    class Notes:
        note: Note
        told: Dict[str, str]

        def keep(self) -> None: ...
        def others(self, name: str) -> List[Notes]: ...

    def read_own(path: str, name: str) -> Optional[Tuple[bytes, os.stat_result]]: ...
    def replace_file(path: str, name: str, data: bytes, mode: int, seen: Optional[os.stat_result]) -> None: ...
    def beside(path: str) -> str: ...
    def remove(*paths: str) -> None: ...
    def state_of(data: Optional[bytes]) -> str: ...
    def first_entry(former: Optional[bytes], seen: Optional[os.stat_result]) -> Note: ...
    def take_out(data: bytes, texts: List[str]) -> bytes: ...
    def put_back(data: bytes, texts: List[str], *, is_first: bool) -> bytes: ...
    def own_lines(data: bytes) -> Units: ...
    def own_blocks(data: bytes) -> Units: ...


def undo(notes: Notes, part: str) -> bool:
    """A part of the run taken back; whether anything was to do. Raises Refusal and OSError."""
    has_note = bool(notes.note)
    is_changed = part == "key" and undo_key(notes)
    for name in PARTS[part]:
        remove(beside(os.path.join(FOLDER, name)))
        if name in notes.note.get("files", {}):
            undo_file(notes, name)
            is_changed = True
        elif not has_note:
            tell_unnoted(notes, name)
    notes.keep()
    return is_changed


def undo_file(notes: Notes, name: str) -> None:
    """The file as it was before the run, byte for byte, or without our own part. Raises Refusal and OSError."""
    entry, path, others = notes.note["files"][name], os.path.join(FOLDER, name), notes.others(name)
    data, seen = read_own(path, name) or (None, None)
    spared = added_by(others, name, entry)
    tell_later_runs(others, name, entry, data)
    left = without(name, entry, data, spared)
    if seen is not None and left is None:
        remove(path)
    elif seen is not None and left is not None:
        now = stat.S_IMODE(seen.st_mode)
        mode = entry["mode"] if now == entry["left_mode"] and entry["former"] is not None else now
        if left != data or mode != now:
            replace_file(path, name, left, mode, seen)
    if data is not None and not is_as_noted(entry, data):
        bare = take_out(data, entry["added"])
        if take_changed(name, entry, bare, spared) != bare:
            notes.told[name] = "SparkDesk's part of ~/.ssh/%s, which somebody had changed since, went too" % name
        tell_remaining(notes, name, entry, left or b"", spared)
    del notes.note["files"][name]


def undo_key(notes: Notes) -> bool:
    """The pair goes when this run made it; what others put there, or changed, or ssh still uses, stays."""
    path, files = os.path.join(FOLDER, KEY), notes.note.get("files", {})
    made, found = notes.note.pop("key", ""), None
    remove(beside(path), beside(path) + ".pub")
    with contextlib.suppress(Refusal):  # a link, or another user's
        found = read_own(path, KEY) if made else None
    if found is not None and state_of(found[0]) != made:
        notes.told[KEY] = "~/.ssh/%s was changed since: it stays" % KEY
    elif found is not None and is_named(notes):
        files.pop(KEY + ".pub", None)
        words = "~/.ssh/%s stays, because ~/.ssh/config still names it: take that out, then remove it and its .pub"
        notes.told[KEY] = words % KEY
    elif found is not None:
        remove(path)
    return bool(made)


def is_named(notes: Notes) -> bool:
    """Whether ~/.ssh/config leads to our key, also without what this run and others put there and will take back."""
    entry, others, found = notes.note.get("files", {}).get("config"), notes.others("config"), None
    try:
        found = read_own(os.path.join(FOLDER, "config"), "config")
    except Refusal:  # somebody's link, say
        if entry is not None:
            raise
    data = None if found is None else found[0]
    if entry is not None:
        data = without("config", entry, data, added_by(others, "config", entry))
    data = take_out(data or b"", [text for other in others for text in other.note["files"]["config"]["added"]])
    return any(KEY in row and not row.startswith("#") for row in map(plain, rows_of(data)))


def added_by(others: List[Notes], name: str, entry: Note, before: float = float("inf")) -> List[str]:
    """What other runs, those before that number, added to this file and still need there."""
    entries = [other.note["files"][name] for other in others]
    texts = [text for one in entries if one["number"] < before for text in one["added"]]
    return [text for text in texts if text not in entry["removed"]]  # those come back by themselves


def tell_later_runs(others: List[Notes], name: str, entry: Note, data: Optional[bytes]) -> None:
    """What later runs are to give back is then without what this one did, too, so that any order comes to the same."""
    later = [other for other in others if other.note["files"][name]["number"] > entry["number"]]
    now = without(name, entry, data, added_by(others, name, entry))
    moved = {state_of(data): state_of(now)} if data is not None else {}
    entries = [other.note["files"][name] for other in later]
    for one in entries:
        spared = added_by(others, name, entry, one["number"])
        former = former_of(one)
        new = without(name, entry, former, spared)
        moved[state_of(former)] = state_of(new)
        one.update(former=None if new is None else base64.b64encode(new).decode(), before=state_of(new))
        rests = [take_changed(name, entry, take_out(text.encode(), entry["added"]), spared) for text in one["removed"]]
        kept = [rest.decode() for rest in rests if rest]
        if kept != one["removed"]:
            one["removed"] = kept + entry["removed"]
    for other, one in zip(later, entries):
        one["left"] += [moved[state] for state in one["left"] if state in moved and moved[state] not in one["left"]]
        other.keep()


def former_of(entry: Note) -> Optional[bytes]:
    """A file's bytes before the run; None where there was none."""
    return None if entry["former"] is None else base64.b64decode(entry["former"])


def is_as_noted(entry: Note, data: bytes) -> bool:
    """Whether these bytes are what was there before, or what we left."""
    return not entry["mixed"] and state_of(data) in (entry["before"], *entry["left"])


def without(name: str, entry: Note, data: Optional[bytes], spared: List[str]) -> Optional[bytes]:
    """A file's bytes without what a run did to them; None where there is no file then."""
    if data is None or (state_of(data) == entry["before"] and not entry["mixed"]):
        return data
    if is_as_noted(entry, data):
        return former_of(entry)
    find = own_blocks if name == "config" else own_lines
    data = take_changed(name, entry, take_out(data, entry["added"]), spared)
    there = {id for id, _ in find(data)}
    removed = [text for text in entry["removed"] if not there & {id for id, _ in find(text.encode())}]
    return put_back(data, removed, is_first=name == "config") or (None if entry["former"] is None else b"")


# What somebody changed since -----------------------------------------------------------------------------------------


def rows_of(data: bytes) -> List[bytes]:
    """Lines with their ends; the last may have none."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def plain(row: bytes) -> str:
    """A line's words."""
    return " ".join(row.decode("utf-8", "replace").split())


def plain_rows(*texts: bytes) -> Set[str]:
    """The words of every line of these texts."""
    return {plain(row) for text in texts for row in rows_of(text)}


def take_changed(name: str, entry: Note, data: bytes, spared: List[str]) -> bytes:
    """The bytes without lines and blocks that the run added and somebody changed since."""
    if name == "config":
        return take_changed_blocks(entry, data, spared)
    former = former_of(entry) or b""
    there = plain_rows(former)
    for text in entry["added"]:
        has_twin = any(is_like(name, row, text) for row in rows_of(former))  # somebody's own line about the same key
        like = {row for row in rows_of(data) if is_like(name, row, text) and plain(row) not in there}
        gone = {row for row in like if not has_twin or WORD in plain(row)}
        gone = {row for row in gone if not any(is_like(name, row, other) for other in spared)}
        data = b"".join(row for row in rows_of(data) if row not in gone)
    return data


def is_like(name: str, row: bytes, text: str) -> bool:
    """Whether a line does what this line of ours does: it lets the same key in, or has it for one of the same hosts."""
    ours = [*text.split(), "", "", ""]
    key = ours[1] if name == "authorized_keys" else ours[2]
    if key.encode() not in row:
        return False
    words = plain(row).split()
    if name == "authorized_keys":
        return key in words
    at = words.index(key) if key in words else 0
    return at > 1 and words[0][0] != "@" and is_host(words[at - 2], ours[0].lower().split(","))


def is_host(word: str, names: List[str]) -> bool:
    """Whether a host of known_hosts, hashed or not, is one of these. Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT."""
    with contextlib.suppress(ValueError):
        _, kind, salt, told = word.split("|")
        secret, digest = base64.b64decode(salt), base64.b64decode(told)
        return kind == "1" and any(hmac.new(secret, one.encode(), "sha1").digest() == digest for one in names)
    return bool(set(word.lower().split(",")) & set(names))


def take_changed_blocks(entry: Note, data: bytes, spared: List[str]) -> bytes:
    """The configuration without our words in the blocks about these nodes, which somebody changed."""
    needed = {id for text in spared for id, _ in own_blocks(text.encode())}
    ours = {id: text.encode() for text in entry["added"] for id, _ in own_blocks(text.encode()) if id not in needed}
    former, kept, text = former_of(entry) or b"", b"", b""
    block: List[bytes] = []
    for row in rows_of(data):
        match = BEGIN_FORM.fullmatch(plain(row))
        if match:  # a block before it has no end, so that nobody knows how far it goes: it stays
            kept, block, text = kept + b"".join(block), [], ours.get(match[2], b"")
        if not block and not (match and text):
            kept += row
            continue
        block.append(row)
        if plain(row) == END:
            whole = b"".join(block)
            kept, block = kept + (whole if whole in former else rest_of(block, plain_rows(text))), []
    return kept + b"".join(block)


def rest_of(block: List[bytes], ours: Set[str]) -> bytes:
    """What a person wrote into a block of ours, each setting beneath the Host line where it stood; all of it where they
    wrote a Host line: words like ours could be theirs there."""
    kept, head, has_settings = b"", b"", False
    for row in block[1:-1]:
        words = plain(row)
        if words in ours:
            head = row if HEAD_FORM.match(words) else head
        elif HEAD_FORM.match(words):
            return b"".join(block)
        elif words.startswith("#"):
            kept += row
        elif words:
            kept, head, has_settings = kept + head + row, b"", True
    return kept + (THEN_ALL if has_settings else b"")


# What is said --------------------------------------------------------------------------------------------------------


def tell_remaining(notes: Notes, name: str, entry: Note, data: bytes, spared: List[str], why: str = "") -> None:
    """Name the lines of ours that stay, and that neither stood there before nor are another run's."""
    there = plain_rows(former_of(entry) or b"", *(text.encode() for text in spared))
    signs = [WORD.encode(), *([KEY.encode()] if name == "config" else [])]
    likes = entry["added"] if name == "authorized_keys" else []
    numbers = [
        str(number)
        for number, row in enumerate(rows_of(data), 1)
        if (any(sign in row for sign in signs) or any(is_like(name, row, text) for text in likes))
        and plain(row) not in there
        and not any(is_like(name, row, text) for text in spared)
    ]
    if numbers:
        listed = ", ".join(numbers[:MAX_NUMBERS])
        listed += " and %d more" % (len(numbers) - MAX_NUMBERS) if len(numbers) > MAX_NUMBERS else ""
        which, are, them = ("line", "is", "it") if len(numbers) == 1 else ("lines", "are", "them")
        what = "SparkDesk's still" + (", for a peer to sign in" if name == "authorized_keys" else "")
        told = (why, which, listed, name, are, what, them)
        notes.told[name + " left"] = "%s%s %s of ~/.ssh/%s %s %s: take %s out by hand" % told


def tell_unnoted(notes: Notes, name: str) -> None:
    """Where the run has no note, the lines of ours that are in no other run's either."""
    others = notes.others(name)
    try:
        found = read_own(os.path.join(FOLDER, name), name)
    except Refusal as refusal:
        notes.told[name] = "%s: what of SparkDesk's is in it was not looked at" % refusal.args[0]
        return
    data = b"" if found is None else found[0]
    if name != KEY + ".pub":
        entry = first_entry(None, None)
        tell_remaining(notes, name, entry, data, added_by(others, name, entry), NO_NOTE)
    elif WORD.encode() in data and not others:
        notes.told[KEY] = "~/.ssh/%s stays: no note says that this run made it" % KEY
