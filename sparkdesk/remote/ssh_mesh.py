"""Keeps a node's part of the SSH mesh between nodes: its own key pair, its peers' keys, their host keys and user names.

    ssh_mesh.py key RUN COMMENT              a pair of its own, without passphrase: ~/.ssh/id_ed25519_sparkdesk
    ssh_mesh.py let-in RUN COMMENT           a peer's public key, from standard input, into authorized_keys
    ssh_mesh.py hosts RUN TEXT ...           lines of known_hosts, and blocks of ~/.ssh/config, which go first
    ssh_mesh.py check VERB RUN ...           whether that is so already: exit code 0 or 1; changes nothing
    ssh_mesh.py undo RUN key|let-in|hosts    as it was before that run; mesh_undo.py is sent in front of it for this

Prints a JSON line: {"ok": true, "changed": ...} or {"ok": false, "message": ..., "remedy": ...} and exit code 1.
The one rule: what does not carry our mark is never rewritten. What a run changes it notes first, with what was there,
in ~/.local/state/sparkdesk/bringup/mesh-RUN.json (0600); a file is replaced whole or not at all; undo gives back the
former bytes and mode when the file is what we left, else takes out our own part alone. Links and others' files are
refused. The private key stays here. Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import time

WORD = "sparkdesk-mesh"
FOLDER = os.path.expanduser("~/.ssh")
STATE = os.path.expanduser("~/.local/state/sparkdesk/bringup")
KEY = "id_ed25519_sparkdesk"
NOTE = "the note of this run"
NOT_SO = ("it is not so yet", "Apply the step.")
PARTS = {"key": (KEY + ".pub",), "let-in": ("authorized_keys",), "hosts": ("known_hosts", "config")}
MAX_FILE_BYTES, MAX_NOTE_BYTES, MAX_KEY_BYTES = 1 << 20, 8 << 20, 1024  # a note has the former bytes of all files
KEYGEN_S, LOCK_S = 30.0, 30.0

RUN_FORM = re.compile(r"[a-z0-9]{1,64}")
NOTE_FORM = re.compile(r"mesh-([a-z0-9]{1,64})\.json")
NAME = r"[A-Za-z0-9._-]{1,64}"
COMMENT_FORM = re.compile(r"%s (%s) (%s)" % (WORD, NAME, NAME))
KEY_FORM = re.compile(r"ssh-ed25519 (AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43})")
KNOWN_FORM = re.compile(r"[\w.:,\[\]-]{1,1000} [a-z0-9@.-]{1,64} [\w+/=]{1,2000} %s" % COMMENT_FORM.pattern, re.ASCII)
BEGIN_FORM = re.compile(r"# >>> %s" % COMMENT_FORM.pattern)
END = "# <<< " + WORD
BLOCK_FORM = re.compile(r"%s\n(?:[A-Za-z~ ][ -~]{0,500}\n){1,40}%s\n" % (BEGIN_FORM.pattern, END))
SPACE = "Free some space on the node, then try again."
LOOK = "Look at ~/.ssh and at the free space on the node, then try again."

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, Callable, Dict, Iterator, List, Tuple

    Note = Dict[str, Any]
    Units = List[Tuple[str, str]]
    Edit = Tuple[bytes, List[str], List[str]]

    # mesh_undo.py, which ran before in the same interpreter where something is taken back.
    def undo(notes: Notes, part: str) -> bool: ...


class Refusal(Exception):
    """What cannot be done, and what helps: two texts."""


def see_folder() -> None:
    """Raises Refusal unless ~/.ssh is a folder of this user's own."""
    found = os.lstat(FOLDER)
    if not stat.S_ISDIR(found.st_mode):
        raise Refusal("~/.ssh is not a folder", "Make it a folder first.")
    if found.st_uid != os.geteuid():
        raise Refusal("~/.ssh belongs to another user", "On the node run: sudo chown -R $USER ~/.ssh")


def read_own(path: str, name: str, most: int = MAX_FILE_BYTES) -> tuple[bytes, os.stat_result] | None:
    """A file of this user's own; None when there is none. Raises Refusal for anything else, and never blocks."""
    if os.path.islink(path):
        raise Refusal("%s is a link to somewhere else" % name, "Make it a file first.")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise Refusal("%s is not a file" % name, "Move it away, then try again.")
        if found.st_uid != os.geteuid():
            raise Refusal("%s belongs to another user" % name, "Somebody else manages it on this node: ask them.")
        with os.fdopen(os.dup(handle), "rb") as file:
            data = file.read(most + 1)
    finally:
        os.close(handle)
    if len(data) > most:
        raise Refusal("%s has more than %d bytes" % (name, most), "Move it away, then try again.")
    return data, found


def beside(path: str) -> str:
    """Where a file is written before it comes to its name."""
    return os.path.join(os.path.dirname(path), ".%s.sparkdesk" % os.path.basename(path))


def replace_file(path: str, name: str, data: bytes, mode: int, seen: os.stat_result | None) -> None:
    """Write a file whole, beside its place and then into it. Raises Refusal; the file is then as it was."""
    remove(beside(path))  # of a try that was ended in the middle
    try:
        handle = os.open(beside(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            with contextlib.suppress(OSError):
                os.fchown(handle, -1, -1 if seen is None else seen.st_gid)
            os.fchmod(handle, mode)
            os.fsync(handle)
        if not is_same(path, seen):
            raise Refusal("%s was changed meanwhile" % name, "Try again.")
        os.rename(beside(path), path)
        sync(os.path.dirname(path))
    except OSError as error:
        raise Refusal("%s cannot be written: %s" % (name, error.strerror), SPACE) from None
    finally:
        remove(beside(path))


def is_same(path: str, seen: os.stat_result | None) -> bool:
    """Whether the file is still the one that was read."""
    with contextlib.suppress(FileNotFoundError):
        now = os.lstat(path)
        facts = (now.st_ino, now.st_size, now.st_mtime_ns)
        return seen is not None and facts == (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return seen is None


def sync(path: str) -> None:
    """Have a file's bytes, or a folder's names, on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(*paths: str) -> None:
    """The files go, if they are there. Raises OSError."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def lock_state() -> int:
    """Our folder, held; who held it before may have removed it. Raises Refusal and OSError."""
    until_s = time.monotonic() + LOCK_S
    while time.monotonic() < until_s:
        os.makedirs(STATE, 0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(STATE, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            with contextlib.suppress(FileNotFoundError, BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(handle), os.stat(STATE)):
                    return handle
            os.close(handle)
        time.sleep(0.05)
    raise Refusal("another run of SparkDesk changes ~/.ssh at this moment", "Try again in a minute.")


class Notes:
    """What one run found and left, durable before anything is changed."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.path = os.path.join(STATE, "mesh-%s.json" % run)
        self.note: Note = {}
        self.told: Dict[str, str] = {}  # what a person should know

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """One program of ours at a time in this account. Raises Refusal and OSError."""
        handle = lock_state()
        try:
            self.note = self.read()
            yield
        finally:
            with contextlib.suppress(OSError):  # something is in it
                os.rmdir(STATE)  # while it is ours: who waits for it makes a new one
            os.close(handle)

    def read(self) -> Note:
        """The note as it lies there. Raises Refusal."""
        found, note = read_own(self.path, NOTE, MAX_NOTE_BYTES), None
        with contextlib.suppress(ValueError, RecursionError):
            note = {} if found is None else json.loads(found[0])
        if note is None or not is_note(note):
            raise Refusal("%s cannot be read" % NOTE, "Look at %s on the node." % self.path)
        return note

    def keep(self) -> None:
        """Write it down; an empty one goes."""
        if not self.note.get("files") and not self.note.get("key"):
            remove(self.path, beside(self.path))
            return
        found = read_own(self.path, NOTE, MAX_NOTE_BYTES)
        data = json.dumps(self.note, separators=(",", ":")).encode()
        replace_file(self.path, NOTE, data, 0o600, None if found is None else found[1])

    def others(self, name: str) -> list[Notes]:
        """Those of other runs that changed this file; one that cannot be understood is passed over, and told."""
        names = sorted(os.listdir(STATE)) if os.path.isdir(STATE) else []
        runs = [match[1] for match in map(NOTE_FORM.fullmatch, names) if match]
        found = [Notes(run) for run in runs if run != self.run]
        for other in found:
            try:
                other.note = other.read()
            except (Refusal, OSError):
                self.told[other.path] = "%s cannot be understood: it was passed over" % other.path
        return [other for other in found if name in other.note.get("files", {})]


def is_note(note: Note) -> bool:
    """Whether a note has the form in which this program writes them."""
    form = {**first_entry(None, None), "number": 1}
    with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError):
        files = note.get("files", {}).values()
        texts = [base64.b64decode(one["former"] or "").hex() for one in files]
        texts += [text for one in files for text in (*one["added"], *one["removed"], *one["left"], note.get("key", ""))]
        pairs = [(one[key], form[key]) for one in files for key in form if key != "former"]
        return all(isinstance(text, str) for text in texts) and all(isinstance(now, type(was)) for now, was in pairs)
    return False


def change(notes: Notes, name: str, build: Callable[[bytes], Edit], *, is_check: bool) -> bool:
    """Make a file of ~/.ssh what `build` makes of its bytes; whether anything was to do. Raises Refusal."""
    path = os.path.join(FOLDER, name)
    see_folder()
    found = read_own(path, name)
    former, seen = found if found is not None else (None, None)
    data, added, removed = build(former or b"")
    mode = 0o600 if seen is None else stat.S_IMODE(seen.st_mode) & ~0o022  # who may write to it may sign in by it
    if data == (former or b"") and (seen is None or mode == stat.S_IMODE(seen.st_mode)):
        return False
    if is_check:
        raise Refusal(*NOT_SO)
    entry = notes.note.setdefault("files", {}).setdefault(name, first_entry(former, seen))
    entry.setdefault("number", 1 + max((one.note["files"][name]["number"] for one in notes.others(name)), default=0))
    entry["mixed"] = entry["mixed"] or state_of(former) not in (entry["before"], *entry["left"])
    entry["left"] = [state_of(former), state_of(data)]  # should we be ended before the file is written, the first
    entry["left_mode"] = mode
    entry["removed"] += [text for text in removed if text not in entry["removed"] + entry["added"]]
    entry["added"] = [text for text in entry["added"] if text not in (*removed, *added)] + added
    notes.keep()
    replace_file(path, name, data, mode, seen)
    return True


def state_of(data: bytes | None) -> str:
    """A file's bytes, or that there is none, as one word."""
    return "absent" if data is None else hashlib.sha256(data).hexdigest()


def first_entry(former: bytes | None, seen: os.stat_result | None) -> Note:
    """What is noted of a file before it is changed for the first time."""
    mode = 0o600 if seen is None else stat.S_IMODE(seen.st_mode)
    text = None if former is None else base64.b64encode(former).decode()
    states = {"before": state_of(former), "left": [], "mixed": False}
    return {"former": text, "mode": mode, "left_mode": 0o600, "added": [], "removed": [], **states}


def take_out(data: bytes, texts: list[str]) -> bytes:
    """The bytes without these texts, each of which is whole lines."""
    last = data.rpartition(b"\n")[2]  # a line without its end
    data += b"\n" if last else b""
    for text in texts:
        unit = text.encode()
        data = data[len(unit) :] if data.startswith(unit) else data.replace(b"\n" + unit, b"\n", 1)
    return data[:-1] if last and data.endswith(last + b"\n") else data


def put_back(data: bytes, texts: list[str], *, is_first: bool) -> bytes:
    """The bytes with these texts: before all others, or behind them. A last line without its end gets one first."""
    more = "".join(texts).encode()
    if is_first or not more:
        return more + data
    return data + (b"\n" if data and not data.endswith(b"\n") else b"") + more


def own_lines(data: bytes) -> Units:
    """Our lines in a file of lines, each with the id of the node that it is about."""
    found = ((COMMENT_FORM.search(line), line) for line in data.decode("utf-8", "replace").split("\n"))
    return [(match[2], line + "\n") for match, line in found if match and line.endswith(" " + match[0])]


def own_blocks(data: bytes) -> Units:
    """Our blocks in a configuration, each with the id of the node that it is about. One without its end is not ours."""
    text = data.decode("utf-8", "replace")
    found = BLOCK_FORM.finditer(text)
    return [(match[2], match[0]) for match in found if text[max(0, match.start() - 1) : match.start()] in ("", "\n")]


def edit(data: bytes, ours: Units, wanted: Units, *, is_first: bool = False) -> Edit:
    """The bytes with what is wanted, without what of ours is about the same nodes and otherwise; what came and went."""
    ids, texts = {id for id, _ in wanted}, [text for _, text in wanted]
    removed = [text for id, text in ours if id in ids and text not in texts]
    added = [text for text in texts if text not in [there for _, there in ours]]
    return put_back(take_out(data, removed), added, is_first=is_first), added, removed


def let_in(notes: Notes, comment: str, *, is_check: bool) -> bool:
    """A peer's key into authorized_keys, unless it stands there already, whoever wrote it."""
    match = COMMENT_FORM.fullmatch(comment)
    key = sys.stdin.buffer.read(MAX_KEY_BYTES).decode("ascii", "replace").strip()
    if match is None or not KEY_FORM.fullmatch(key):
        raise Refusal("this is not one ed25519 public key", "Make the plan again.")

    def build(data: bytes) -> Edit:
        lines = data.decode("utf-8", "replace").split("\n")
        if any(line.split()[:2] == key.split() for line in lines):
            return data, [], []
        return edit(data, own_lines(data), [(match[2], "%s %s\n" % (key, comment))])

    return change(notes, "authorized_keys", build, is_check=is_check)


def tell_hosts(notes: Notes, texts: list[str], *, is_check: bool) -> bool:
    """Lines of known_hosts and blocks of the configuration."""
    known, blocks = [], []
    for text in texts:
        block, line = BLOCK_FORM.fullmatch(text), KNOWN_FORM.fullmatch(text)
        if block:
            blocks.append((block[2], text))
        elif line:
            known.append((line[2], text + "\n"))
        else:
            raise Refusal("this is neither a line of known_hosts nor a block of ours", "Make the plan again.")
    is_changed = change(notes, "known_hosts", lambda data: edit(data, own_lines(data), known), is_check=is_check)
    # ssh takes the first value that it finds, so ours go first (ssh_config(5)).
    more = change(notes, "config", lambda data: edit(data, own_blocks(data), blocks, is_first=True), is_check=is_check)
    return is_changed or more


def run_keygen(*arguments: str) -> str:
    """What ssh-keygen prints. Raises Refusal."""
    command, pipe, null = ("ssh-keygen", *arguments), subprocess.PIPE, subprocess.DEVNULL
    try:
        done = subprocess.run(command, stdin=null, stdout=pipe, stderr=null, timeout=KEYGEN_S, check=True)
    except subprocess.CalledProcessError:
        raise Refusal("ssh-keygen does not make or read %s" % KEY, "Free space, or move it away.") from None
    except (OSError, subprocess.TimeoutExpired):
        raise Refusal("ssh-keygen cannot be run", "Install it there: sudo apt install openssh-client") from None
    return done.stdout.decode("ascii", "replace").strip()


def public_of(path: str) -> str:
    """The public half of a private key, as "ssh-ed25519 BLOB". Raises Refusal."""
    key = " ".join(run_keygen("-y", "-P", "", "-f", path).split()[:2])
    if not KEY_FORM.fullmatch(key):
        raise Refusal("~/.ssh/%s is no ed25519 key" % KEY, "Move it away, then try again.")
    return key


def own_key(notes: Notes, comment: str, *, is_check: bool) -> bool:
    """This node's own pair; one that is there stays."""
    if not COMMENT_FORM.fullmatch(comment):
        raise Refusal("this is no comment of ours", "Make the plan again.")
    see_folder()
    path = os.path.join(FOLDER, KEY)
    found = read_own(path, KEY)
    if found is None:
        if is_check:
            raise Refusal(*NOT_SO)
        make_pair(notes, path, comment)
        return True
    if stat.S_IMODE(found[1].st_mode) & 0o077:  # ssh passes over such a key
        raise Refusal("others may read ~/.ssh/%s" % KEY, "On the node run: chmod 600 ~/.ssh/%s" % KEY)
    name, key = KEY + ".pub", public_of(path).encode()
    new = b"%s %s\n" % (key, comment.encode())
    return change(notes, name, lambda old: (old if old.split()[:2] == key.split() else new, [], []), is_check=is_check)


def make_pair(notes: Notes, path: str, comment: str) -> None:
    """A new pair, made beside its place; the private half comes to its name last. Raises Refusal and OSError."""
    new = beside(path)
    remove(new, new + ".pub")
    try:
        run_keygen("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", new)
        key = public_of(new)
        line, private = read_own(new + ".pub", KEY + ".pub"), read_own(new, KEY)
        if line is None or private is None or line[0].decode("utf-8", "replace").split()[:2] != key.split():
            raise Refusal("the public half was not written whole", SPACE)
        change(notes, KEY + ".pub", lambda _: (line[0], [], []), is_check=False)
        notes.note["key"] = state_of(private[0])
        notes.keep()
        sync(new)
        os.rename(new, path)
        sync(FOLDER)
    finally:
        remove(new, new + ".pub")


def carry_out(words: list[str]) -> dict[str, Any]:
    """One call. Raises Refusal."""
    is_check = words[:1] == ["check"]
    verb, run, *rest = [*words[is_check:], "", ""][: max(2, len(words) - is_check)]
    if not RUN_FORM.fullmatch(run):
        raise Refusal("this is no run of a bring-up", "Make the plan again.")
    notes = Notes(run)
    os.umask(0o077)
    with contextlib.nullcontext() if is_check or (verb == "undo" and not os.path.isdir(STATE)) else notes.held():
        if verb in ("key", "let-in") and len(rest) == 1:
            is_changed = (own_key if verb == "key" else let_in)(notes, rest[0], is_check=is_check)
        elif verb == "hosts":
            is_changed = tell_hosts(notes, rest, is_check=is_check)
        elif verb == "undo" and "undo" in globals() and not is_check and len(rest) == 1 and rest[0] in PARTS:
            is_changed = undo(notes, rest[0])
        else:
            raise Refusal("this is no verb of ssh_mesh.py", "Make the plan again.")
    return {"changed": is_changed, **({"message": "; ".join(notes.told.values())} if notes.told else {})}


def main() -> int:
    """What the arguments ask for, and one JSON line."""
    try:
        said = {"ok": True, **carry_out(sys.argv[1:])}
    except (Refusal, OSError) as error:
        words = error.args if isinstance(error, Refusal) else ("that cannot be done: %s" % error.strerror, LOOK)
        said = {"ok": False, "message": words[0], "remedy": words[1]}
    print(json.dumps(said))
    return 0 if said["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
