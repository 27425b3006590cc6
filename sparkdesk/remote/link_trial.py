"""A network that is tried on this node before it is kept: what was so before is noted, and comes back by itself.

    try NAME SECONDS WANTED [FORMER]   the YAML on standard input; {"ok": true, "trial_s": 60, "left_s": 54}
    look NAME WANTED [SHA256]          no root, changes nothing; with SHA256 also whether that file is kept (root)
    keep NAME                          the file moves to /etc/netplan, mode 0600, and the timer ends
    undo NAME                          files, addresses and MTU as they were before the first `try` of this NAME

Each prints one JSON line: {"ok": true} or {"ok": false, "message", "remedy"}; `look` says null where it could not tell.
NAME is an id of the run. WANTED is {netdev: {"addresses": ["192.168.100.1/24"], "mtu": 9000, "carrier": true}}.
FORMER says what the plan knew of our kept file: its SHA-256, "absent", or "unknown"; another one is not replaced. With
"unknown", what that file says of ports that the YAML does not name is added to it, where it is understood.

net_state.py, trial_notes.py and netplan_units.py are sent in front of it and run first: what a network is and how it is
given back, the files and notes, and what netplan makes of its files.

`try` writes /run/netplan/90-sparkdesk.yaml, which stands for the file of that name in /etc and is gone after a restart.
Before it applies it leaves a process behind that shares nothing with the caller and puts everything back after SECONDS,
over and over where that fails, unless `keep` came first. What was before is noted in /var/lib/sparkdesk/link_trial so
that `undo` works after a restart; a second `try` never writes it anew, and an undo takes later runs with it.

The one rule: of netplan's files only our own two are touched, of the ports only those of WANTED, and never one that
carries the default route or this sign-in. Whoever changes anything holds the lock. Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import re
import struct
import sys
import time

RUN = "/run/sparkdesk"
STATE, LOCK = RUN + "/trial.json", RUN + "/trial.lock"
NETDEV, FORMER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}\Z"), re.compile(r"(absent|unknown|[0-9a-f]{64})\Z")
MAX_YAML_BYTES, MAX_PORTS, MAX_ADDRESSES = 64 * 1024, 16, 16
LOOK_S, LOCK_S, MAX_TRIAL_S, POLL_S, MAX_PAUSE_S = 5.0, 60.0, 3600.0, 0.1, 60.0
HINDRANCES = (OSError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, MemoryError, struct.error)

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, Callable, Collection, Dict, Iterable, Iterator, List, Optional, Set, Tuple

    Record = Dict[str, Any]

    # net_state.py, which ran before in the same interpreter.
    class TrialError(Exception): ...

    def plain(text: str) -> str: ...
    def run(argv: List[str], limit_s: float) -> Tuple[int, str, str]: ...
    def read_ports() -> Dict[str, Record]: ...
    def find_wrong(wanted: Record, ports: Dict[str, Record]) -> str: ...
    def wait_until(limit_s: float, is_so: Callable[[], object]) -> None: ...
    def refuse_ports_in_use(wanted: Record) -> None: ...
    def waiting_for_link(wanted: Record, ports: Dict[str, Record]) -> List[str]: ...
    def apply_netplan(
        ours: Iterable[str], items: Iterable[str], apply: Callable[[], str] = str
    ) -> Tuple[str, List[str], List[str]]: ...
    def put_port_back(name: str, before: Record, ours: List[str], given: Tuple[Set[str], Optional[int]]) -> str: ...
    def read_items() -> List[str]: ...
    def give_back(items: Iterable[str]) -> List[str]: ...
    def ports_of(item: str) -> List[str]: ...
    def is_address_of(item: str, named: Dict[str, List[str]]) -> bool: ...
    def describe_item(item: str) -> str: ...
    def boot_id() -> str: ...

    # trial_notes.py, which ran before too.
    KEPT_FILE = TRIAL_FILE = STORE = NOTES = ""
    NAME = re.compile("")

    def read_file(path: str) -> Optional[bytes]: ...
    def write_file(path: str, data: bytes, mode: int = 0o600) -> None: ...
    def remove(path: str) -> None: ...
    def read_json(path: str) -> Optional[Record]: ...
    def refuse_strange_folders(*paths: str) -> None: ...
    def refuse_other_file(name: str, former: str) -> None: ...
    def with_other_lines(yaml: bytes, wanted: Record) -> Tuple[bytes, str]: ...
    def read_notes(name: str) -> Dict[str, Record]: ...
    def spoiled_notes() -> List[str]: ...
    def take_note(name: str, wanted: Record, items: List[str], planned: str = "") -> Record: ...
    def write_note(name: str, note: Record) -> None: ...
    def put_files_back(note: Record) -> str: ...
    def put_settings_back(note: Record, port: str) -> List[str]: ...
    def write_copy(digest: str) -> None: ...

    # netplan_units.py, likewise.
    def refuse_pending_edits(ours: Collection[str]) -> str: ...
    def refuse_bad_files() -> None: ...

    NEVER_APPLIED = STILL_WAITS = FIRST_APPLY = ""

    def apply_former(ours: Collection[str], words: List[str]) -> str: ...
    def given_by_files(name: str) -> Tuple[Set[str], Optional[int]]: ...


@contextlib.contextmanager
def locked(limit_s: float = LOCK_S) -> Iterator[None]:
    """Nobody else changes anything meanwhile. The file goes where no state stays: so look whether it is still there."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        os.makedirs(RUN, mode=0o755, exist_ok=True)
        try:
            fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # the folder was taken away at this very moment
            continue
        with open(fd) as file:
            is_ours = False
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_ours = os.path.samestat(os.stat(LOCK), os.fstat(file.fileno()))
            if is_ours:
                try:
                    yield
                finally:
                    if not os.path.lexists(STATE):
                        remove(LOCK)
                        with contextlib.suppress(OSError):
                            os.rmdir(RUN)
                return
        time.sleep(POLL_S / 2)
    raise TrialError("another change of this network is going on", "Wait a minute, then try again.")


def read_wanted(text: str) -> Record:
    """WANTED, checked. Raises TrialError."""
    try:
        value = json.loads(text)
        assert isinstance(value, dict)
        assert 0 < len(value) <= MAX_PORTS
        wanted = {}
        for name, want in value.items():
            addresses, mtu = want.get("addresses", []), want.get("mtu")
            assert NETDEV.match(name), name
            assert len(addresses) <= MAX_ADDRESSES
            assert mtu is None or (isinstance(mtu, int) and 576 <= mtu <= 65535)
            addresses = [str(ipaddress.IPv4Interface(one)) for one in addresses]
            wanted[name] = {"addresses": addresses, "mtu": mtu, "carrier": want.get("carrier", True) is True}
        return wanted
    except (ValueError, AssertionError, AttributeError, TypeError, RecursionError):
        raise TrialError("what is wanted of the ports is not understood", "Make the plan again.") from None


@contextlib.contextmanager
def trying(troubles: List[str]) -> Iterator[None]:
    """One part of what must be put back: what hinders it does not hinder the others."""
    try:
        yield
    except (*HINDRANCES, TrialError) as error:
        troubles.append(plain(str(error.args[0] if isinstance(error, TrialError) else repr(error))))


def put_back(note: Record, items: Iterable[str] = ()) -> List[str]:
    """Everything of a note as it was: files, addresses, MTU. In words what is not quite as it was before.

    `items` are others' addresses, routes and rules that must be there too, beside those that are there now. Raises
    TrialError, having done what it can.
    """
    troubles: List[str] = []
    of_files: List[str] = []
    words: List[str] = []
    here: List[str] = []
    ours = {
        port: [text for text in texts if text not in note["ports"].get(port, {"addresses": ()})["addresses"]]
        for port, texts in note["ours"].items()
    }
    with trying(of_files):
        copy = put_files_back(note)
        words += ["%s was changed since; a copy is %s" % (KEPT_FILE, copy)] if copy else []
    with trying(troubles):
        noted = note["items"] if note["boot"] == boot_id() else []
        # What stands on our own addresses goes with them.
        others = [item for item in read_items() if not set(ports_of(item)) & set(note["ours"])]
        items = [item for item in dict.fromkeys([*noted, *items, *others]) if not is_address_of(item, ours)]
        here = [item for item in read_items() if item not in items and not is_address_of(item, ours)]
    failure = "nothing was applied"
    with trying(troubles):
        ports = our_ports(note)
        failure, _, brought = apply_netplan(ports, [*items], lambda: apply_former(ports, words))
        words += ["%s: %s" % (STILL_WAITS, ", ".join(brought))] if brought else []
        troubles += [failure] if failure else []
    for name, port in note["ports"].items():
        with trying(troubles):
            texts, given = note["ours"].get(name, []), (set(), None) if failure else given_by_files(name)
            wrong = put_port_back(name, port, texts, given)
            if wrong:  # networkd may still be at it
                time.sleep(LOOK_S)
                wrong = put_port_back(name, port, texts, given)
            troubles += [wrong] if wrong else []
            words += put_settings_back(note, name)
            words += describe_given(name, port, texts, given)
    with trying(troubles):
        give_back(here)
        words += ["%s is lost" % describe_item(item) for item in give_back(items)]
    if of_files:
        said = "netplan's files are not as they were: %s" % "; ".join([*of_files, *troubles, *words])
        raise TrialError(said, "Mend what it names, then undo it again.")
    if troubles:
        said = "the files are as they were, but %s" % "; ".join([*troubles, *words])
        raise TrialError(said, "Run `sudo netplan apply` on the node.")
    return words


def our_ports(note: Record) -> Set[str]:
    """Every port that a run of ours has set: what netplan's files say of these is no edit of others."""
    ports = {*note["ports"], *note["ours"]}
    with contextlib.suppress(*HINDRANCES, TrialError):  # the timer's own note is enough for what it must do
        for other in read_notes("").values():
            ports |= {*other["ports"], *other["ours"]}
    return ports


def describe_given(name: str, before: Record, ours: List[str], given: Tuple[Set[str], Optional[int]]) -> List[str]:
    """What a port has that it did not have before: ours, since somebody's file gives it too by now, and others'."""
    kept = [text for text in ours if text in given[0] and text not in before["addresses"]]
    kept += ["MTU %d" % given[1]] if given[1] is not None and given[1] != before["mtu"] else []
    words = ["%s keeps %s, which another file of this node gives it" % (name, ", ".join(kept))] if kept else []
    return words + describe_others(name, before, ours)


def describe_others(name: str, before: Record, ours: Iterable[str]) -> List[str]:
    """Which addresses a port has that it did not have before and we did not give it; networkd may still be at it."""
    due = [text for text in given_by_files(name)[0] if ":" not in text and text not in before["addresses"]]

    def now() -> Record:
        return read_ports().get(name, before)

    wait_until(LOOK_S / 2, lambda: not now()["carrier"] or set(due) <= set(now()["addresses"]))
    others = [text for text in now()["addresses"] if text not in before["addresses"] and text not in ours]
    return ["%s has %s, which it did not have before" % (name, ", ".join(others))] if others else []


def try_it(name: str, seconds: str, text: str, former: str = "unknown") -> Record:
    """Note, write, check, leave the timer behind, apply, and look."""
    wanted, trial_s = read_wanted(text), float(seconds)
    if not 1.0 <= trial_s <= MAX_TRIAL_S or not FORMER.match(former):
        raise TrialError("a trial lasts 1 to 3600 seconds, and follows a file that is known", "Make the plan again.")
    yaml = sys.stdin.buffer.read(MAX_YAML_BYTES + 1)
    letters = yaml.decode("utf-8", "replace").replace("\n", "")  # whether it is sound, says netplan itself
    if not letters.isprintable() or "\ufffd" in letters or not letters.strip() or len(yaml) > MAX_YAML_BYTES:
        raise TrialError("what came is no netplan file", "Make the plan again.")
    refuse_ports_in_use(wanted)
    with locked():
        other = running_trial()
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        if other is not None and other["name"] != name and now_s < other["ends_s"] + LOCK_S:
            raise TrialError("another network is on trial on this node", "Wait until it has ended, then try again.")
        refuse_other_file(name, former)
        ours = [port for one in read_notes(name).values() for port in (*one["ports"], *one["ours"])]
        said = [refuse_pending_edits({*ours, *wanted}), *spoiled_notes()]
        items = read_items()
        note = take_note(name, wanted, items, hashlib.sha256(yaml).hexdigest())
        yaml, about = with_other_lines(yaml, wanted) if former == "unknown" else (yaml, "")
        said.append(about)
        ends_s, token = now_s + trial_s, os.urandom(16).hex()
        state = {"name": name, "token": token, "state": "trying", "ends_s": ends_s}
        write_file(STATE, json.dumps(state).encode(), 0o644)
        try:
            start_timer(token, ends_s, note, items)
            os.makedirs(os.path.dirname(TRIAL_FILE), exist_ok=True)
            write_file(TRIAL_FILE, yaml)
            refuse_bad_files()
        except TrialError:
            put_files_back(note)
            remove(STATE)  # the timer ends by this
            raise
        apply_trial(note, wanted, items)
    for port, before in note["ports"].items():
        said += describe_others(port, before, note["ours"].get(port, ()))
    left_s, words = ends_s - time.clock_gettime(time.CLOCK_BOOTTIME), [*describe_waiting(wanted, read_ports()), *said]
    return {"ok": True, "trial_s": trial_s, "left_s": left_s, "message": "; ".join(filter(None, words))}


def apply_trial(note: Record, wanted: Record, items: List[str]) -> None:
    """Apply what lies there now, with everything else as it was; else all as it was. Raises TrialError."""
    known = {port: [text for one in read_notes("").values() for text in one["ours"].get(port, ())] for port in wanted}
    failure, lost, brought = apply_netplan(our_ports(note), [item for item in items if not is_address_of(item, known)])
    others = [describe_item(item) for item in lost if not set(ports_of(item)) & set(wanted)]
    if not failure and brought:
        failure = "%s, and this would apply it: %s" % (NEVER_APPLIED, ", ".join(brought))
    if not failure and others:
        failure = "netplan apply takes away what no file of its gives (%s), and it cannot be given back" % others[0]
    if failure:
        put_back(note, items)  # else the timer goes on with it
        remove(STATE)
        raise TrialError(
            failure + ". The former network is back", FIRST_APPLY if brought else "Mend what it names, then try again."
        )
    wait_until(LOOK_S, lambda: not find_wrong_now(wanted, read_ports()))


def find_wrong_now(wanted: Record, ports: Dict[str, Record]) -> str:
    """What is not as it can be by now: a port that has waited for its link since the plan was made has no address."""
    waiting = waiting_for_link(wanted, ports)
    return find_wrong(
        {name: dict(want, addresses=()) if name in waiting else want for name, want in wanted.items()}, ports
    )


def describe_waiting(wanted: Record, ports: Dict[str, Record]) -> List[str]:
    """Which ports get their addresses later."""
    late = [
        name
        for name in waiting_for_link(wanted, ports)
        if set(wanted[name]["addresses"]) - set(ports[name]["addresses"])
    ]
    return ["%s has no link: its address comes with the link" % name for name in late]


def running_trial() -> Optional[Record]:
    """What is on trial now; None when nothing is. It lies in /run, so a restart ends it."""
    state = read_json(STATE)
    return state if state is not None and state["state"] == "trying" else None


def start_timer(token: str, ends_s: float, note: Record, items: List[str]) -> None:
    """Leave a process behind: of its own session, without a descriptor or folder of ours, and not of this sign-in."""
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setsid()
            if os.fork() == 0:
                os.chdir("/")
                for fd in (0, 1, 2):
                    os.dup2(os.open(os.devnull, os.O_RDWR), fd)
                os.dup2(told, 3)
                os.closerange(4, 65536)
                leave_sign_in(token)
                os.write(3, b"1")
                os.close(3)
                be_timer(token, ends_s, note, items)
            code = 0
        finally:
            os._exit(code)
    os.close(told)
    with open(heard, "rb") as file:
        is_there = file.read(1) == b"1"
    if os.waitpid(child, 0)[1] or not is_there:
        raise TrialError("the timer that puts the network back did not start", "Nothing was changed. Try again.")


def leave_sign_in(token: str) -> None:
    """Move to a unit of our own: logind may end what a sign-in left (KillUserProcesses). The kernel takes others first.

    Not a service: what was before is in our memory, and needs no file then. Unverified on hardware [trial-scope].
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("-1000")
    if not os.path.isdir("/run/systemd/system"):
        return
    place = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    unit = "sparkdesk-trial-%s.scope" % token[:8]
    given = ["2", "PIDs", "au", "1", str(os.getpid()), "CollectMode", "s", "inactive-or-failed", "0"]
    if run(["busctl", "call", *place, "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", *given], 10.0)[0] == 0:
        wait_until(LOOK_S, lambda: unit.encode() in (read_file("/proc/self/cgroup") or b""))


def be_timer(token: str, ends_s: float, note: Record, items: List[str]) -> None:
    """Put everything back at the end of the trial unless it was kept, undone or begun anew; what fails, again.

    All it needs is in its memory, and it ends only when everything is back or another one has the say.
    """
    pause_s = 2 * POLL_S
    while True:
        time.sleep(pause_s)
        is_due = time.clock_gettime(time.CLOCK_BOOTTIME) >= ends_s
        with trying([]), locked(float("inf")) if is_due else contextlib.nullcontext():
            if is_over(token):
                return
            if is_due:
                pause_s = min(MAX_PAUSE_S, 2 * pause_s)
                state = {"name": note["name"], "token": token, "state": "rolling back"}
                with trying([]):  # without room for it, all the same
                    write_file(STATE, json.dumps(state).encode(), 0o644)
                put_back(note, items)
                return


def is_over(token: str) -> bool:
    """Whether this trial has ended otherwise. A state that is lost or not readable is no end: our file says so."""
    try:
        state = read_json(STATE)
    except TrialError:
        return False
    if state is None:
        return not os.path.lexists(TRIAL_FILE)
    return state.get("token") != token or state.get("state") not in ("trying", "rolling back")


def look(name: str, text: str, digest: str = "") -> Record:
    """Whether the ports are as wanted, and the file is kept where its digest is given."""
    wanted = read_wanted(text)
    try:
        ports = read_ports()
        wrong = find_wrong_now(wanted, ports)
        if digest and not wrong:
            kept = read_file(KEPT_FILE)
            if kept is None or not is_planned(name, kept, digest) or os.path.lexists(TRIAL_FILE):
                wrong = "%s is not kept as planned" % KEPT_FILE
    except (TrialError, OSError) as error:
        words = str(error.args[0] if isinstance(error, TrialError) else error)
        return {"ok": None, "message": plain(words), "remedy": "Look at the ports on the node: ip addr"}
    if wrong:
        return {"ok": False, "message": wrong, "remedy": "See that the cable is in at both ends, then try again."}
    message = "; ".join(["carrier, addresses and MTU are as wanted", *describe_waiting(wanted, ports)])
    return {"ok": True, "message": message}


def is_planned(name: str, kept: bytes, digest: str) -> bool:
    """Whether this is the file of that digest, or what this run has made of it with the lines of other ports."""
    found = hashlib.sha256(kept).hexdigest()
    if found == digest:
        return True
    note = read_notes("").get(name, {})
    return (note.get("kept"), note.get("planned")) == (found, digest)


def keep(name: str) -> Record:
    """From a trial to what stays, unless the timer was faster."""
    with locked():
        state, trial = read_json(STATE) or {}, running_trial()
        if trial is None and (state.get("name"), state.get("state")) == (name, "kept"):
            kept, data = read_notes(name)[name]["kept"], read_file(KEPT_FILE)
            if data is None or hashlib.sha256(data).hexdigest() != kept:
                raise TrialError("%s is not as it was kept" % KEPT_FILE, "Look again, and read the new plan.")
            remove(TRIAL_FILE)  # we were interrupted here
            write_copy(kept)
            return {"ok": True, "file": KEPT_FILE}
        if trial is None or trial["name"] != name:
            remedy = "Look at the cable and at the node's way to this computer, then try again."
            raise TrialError("the trial is over: the node has put its former network back by itself", remedy)
        data = read_file(TRIAL_FILE)
        if data is None:
            raise TrialError("somebody removed the file on trial", "Wait until the trial is over, then try again.")
        try:
            note = dict(read_notes(name)[name], kept=hashlib.sha256(data).hexdigest())
            write_note(name, note)
            os.makedirs(os.path.dirname(KEPT_FILE), exist_ok=True)
            write_file(KEPT_FILE, data)
            write_copy(note["kept"])
        except TrialError as error:
            raise TrialError(error.args[0] + "; the node takes its former network back", error.args[1]) from error
        write_file(STATE, json.dumps(dict(trial, state="kept")).encode(), 0o644)
        remove(TRIAL_FILE)  # the same bytes under the same name: what netplan made of it stays right
    return {"ok": True, "file": KEPT_FILE}


def undo(name: str) -> Record:
    """As before the first `try` of this run, later runs included; nothing where there was none."""
    words: List[str] = []
    with locked():
        notes, state = read_notes(name), read_json(STATE)
        ours = list(notes)[: list(notes).index(name) + 1] if name in notes else []
        for one in ours:
            try:
                words += put_back(notes[one])
            except TrialError as error:
                raise TrialError("; ".join([error.args[0], *words]), error.args[1]) from error
            remove(NOTES + "/%s.json" % one)
            words += ["a later change of it by another bring-up (run %s) went too" % one] if one != name else []
        if state is not None and state["name"] in (name, *ours):
            remove(STATE)  # the timer ends by this
        for folder in (NOTES, STORE):
            with contextlib.suppress(OSError):  # others' notes, or nothing there
                os.rmdir(folder)
        words += spoiled_notes()
    return {"ok": True, "message": "; ".join(dict.fromkeys(["as before" if ours else "nothing to undo", *words]))}


def main(argv: List[str]) -> int:
    """Run a verb; gives the exit code."""
    verbs = {"try": (try_it, (3, 4)), "look": (look, (2, 3)), "keep": (keep, (1,)), "undo": (undo, (1,))}
    os.umask(0o022)  # networkd reads what netplan writes
    try:
        if not argv or argv[0] not in verbs or len(argv) - 1 not in verbs[argv[0]][1] or not NAME.match(argv[1]):
            raise TrialError("usage: link_trial.py try|look|keep|undo NAME [...]", "Make the plan again.")
        if argv[0] != "look" and os.geteuid() != 0:
            raise TrialError("this needs root", "Run it through sudo.")
        if argv[0] != "look":
            refuse_strange_folders(STORE, NOTES, RUN)
        said = verbs[argv[0]][0](*argv[1:])  # type: ignore[operator]
    except (TrialError, OSError, ValueError, KeyError) as error:
        other = (plain("it did not work: %r" % error), "Look at the node, then try again.")
        message, remedy = error.args if isinstance(error, TrialError) else other
        said = {"ok": False, "message": message[:1000], "remedy": remedy[:1000]}
    print(json.dumps(said))
    return 1 if said["ok"] is False and argv[:1] != ["look"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
