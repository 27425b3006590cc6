"""A network that is tried on this node before it is kept: what was so before is noted, and comes back by itself.

    try NAME SECONDS WANTED     the YAML on standard input; {"ok": true, "trial_s": 60, "left_s": 54}
    look NAME WANTED [SHA256]   no root, changes nothing; with SHA256 also whether that file is kept (root)
    keep NAME                   the file moves to /etc/netplan, mode 0600, and the timer ends
    undo NAME                   files, addresses and MTU as they were before the first `try` of this NAME

Each prints one JSON line: {"ok": true} or {"ok": false, "message", "remedy"}; `look` says null where it could not tell.
NAME is an id of the run. WANTED is {netdev: {"addresses": ["192.168.100.1/24"], "mtu": 9000, "carrier": true}}.

`try` writes /run/netplan/90-sparkdesk.yaml, which stands for the file of that name in /etc and is gone after a restart.
Before it applies it leaves a process behind that shares nothing with the caller and puts everything back after SECONDS,
over and over where that fails, unless `keep` came first. What was before is noted in /var/lib/sparkdesk/link_trial so
that `undo` works after a restart; a second `try` never writes it anew, and an undo takes later runs with it.

The one rule: of netplan's files only our own two are touched, of the ports only those of WANTED, and never one that
carries the default route or this sign-in. Whoever changes anything holds the lock. Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import re
import stat
import subprocess
import sys
import time

KEPT_FILE, TRIAL_FILE = "/etc/netplan/90-sparkdesk.yaml", "/run/netplan/90-sparkdesk.yaml"
NOTES, RUN = "/var/lib/sparkdesk/link_trial", "/run/sparkdesk"
STATE, LOCK = RUN + "/trial.json", RUN + "/trial.lock"
NAME, NETDEV = re.compile(r"^[a-z0-9]{1,64}$"), re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$")
MAX_YAML_BYTES, MAX_NOTE_BYTES, MAX_PORTS, MAX_ADDRESSES, MAX_TRIES = 64 * 1024, 1 << 20, 16, 16, 60
GENERATE_S, APPLY_S, SETTLE_S, LOCK_S, MAX_TRIAL_S, POLL_S = 20.0, 40.0, 5.0, 60.0, 3600.0, 0.1
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENV = dict(os.environ, PATH="%s:%s" % (os.environ.get("PATH", PATH), PATH), LC_ALL="C.UTF-8")

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

    Record = Dict[str, Any]


class TrialError(Exception):
    """Two arguments: why it cannot be done, and what to do, in words for a person."""


def plain(text: str) -> str:
    """One bounded line of what another program said."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:300].strip()


def run(argv: List[str], limit_s: float) -> Tuple[int, str, str]:
    """Exit code, output and errors of a program; -1 when it could not be run to its end."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, env=ENV)
    except (OSError, subprocess.SubprocessError) as error:
        return -1, "", str(error)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


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
    raise TrialError("%s is no plain file of ours" % path, "Look at it on the node and move it away.")


def write_file(path: str, data: bytes, mode: int = 0o600, owner: Tuple[int, int] = (0, 0)) -> None:
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
        raise TrialError("%s cannot be understood" % path, "Look at it on the node and move it away.")
    return value or None


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Nobody else changes anything meanwhile. An undo removes the file, hence the look whether it is there."""
    os.makedirs(RUN, mode=0o755, exist_ok=True)
    until = time.monotonic() + LOCK_S
    while time.monotonic() < until:
        with open(os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)) as file:
            is_ours = False
            with contextlib.suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_ours = os.path.samestat(os.stat(LOCK), os.fstat(file.fileno()))
            if is_ours:
                yield
                return
        time.sleep(POLL_S / 2)
    raise TrialError("another change of this network is going on", "Wait a minute, then try again.")


def read_ports() -> Dict[str, Record]:
    """Every port by name: {"carrier", "up", "mtu", "addresses": {"192.168.1.2/24": {...}}}. Raises TrialError."""
    code, out, err = run(["ip", "-j", "addr", "show"], 10.0)
    try:
        found = json.loads(out) if code == 0 else None
        assert isinstance(found, list)
        return {one["ifname"]: port_of(one) for one in found if "ifname" in one}
    except (ValueError, AssertionError, RecursionError, TypeError, AttributeError):
        raise TrialError("the ports cannot be read: " + plain(err), "Run `ip -j addr` on the node.") from None


def port_of(one: Record) -> Record:
    """One port of `ip -j addr`."""
    flags, keys = one.get("flags", ()), ("broadcast", "scope", "dynamic", "noprefixroute", "label")
    infos = [info for info in one.get("addr_info", ()) if info.get("family") == "inet" and info.get("scope") != "link"]
    named = {"%s/%s" % (info.get("local"), info.get("prefixlen")): info for info in infos}
    addresses = {text: {key: info[key] for key in keys if key in info} for text, info in named.items()}
    return {"carrier": "LOWER_UP" in flags, "up": "UP" in flags, "mtu": one.get("mtu"), "addresses": addresses}


def find_wrong(wanted: Record, ports: Dict[str, Record]) -> str:
    """What is not as wanted, in words; "" when everything is."""
    wrong = []
    for name, want in wanted.items():
        port = ports.get(name, {"carrier": False, "mtu": want["mtu"], "addresses": ()})
        if want["carrier"] and not port["carrier"]:
            wrong.append("%s has no link" % name if name in ports else "there is no port %s" % name)
        wrong += ["%s lacks %s" % (name, text) for text in want["addresses"] if text not in port["addresses"]]
        if want["mtu"] is not None and port["mtu"] != want["mtu"]:
            wrong.append("%s has MTU %s, not %s" % (name, port["mtu"], want["mtu"]))
    return "; ".join(wrong)


def wait_until(limit_s: float, is_so: Callable[[], object]) -> None:
    """`netplan apply` returns before the addresses are set: look again and again, for some seconds at most."""
    until = time.monotonic() + limit_s
    while not is_so() and time.monotonic() < until:
        time.sleep(POLL_S)


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


def refuse_ports_in_use(wanted: Record) -> None:
    """The default route and this sign-in are never touched. Raises TrialError."""
    for family in ("-4", "-6"):
        code, out, err = run(["ip", family, "-j", "route", "show", "default"], 10.0)
        if code != 0:
            raise TrialError("the routes cannot be read: %s" % plain(err), "Run `ip route` on the node.")
        for name in wanted:
            if '"dev":"%s"' % name in out.replace(" ", ""):
                raise TrialError("%s carries the default route" % name, "Move the cable or the route, then look again.")
    address = session_address()
    for name, port in read_ports().items():  # a sign-in over IPv6 link-local is safe: nobody takes that address away
        if name in wanted and any(text.split("/")[0] == address for text in port["addresses"]):
            raise TrialError("this sign-in came over %s" % name, "Sign in over the management address.")


def session_address() -> str:
    """The address at which this sign-in came in; sudo takes it out of the environment, our parents have it."""
    pid = os.getpid()
    while pid > 1:
        try:
            with open("/proc/%d/environ" % pid, "rb") as file:
                found = re.search(rb"(?:^|\0)SSH_CONNECTION=\S+ \S+ (?:::ffff:)?([0-9A-Fa-f:.]+)", file.read(1 << 17))
            with open("/proc/%d/stat" % pid) as file:
                pid = int(file.read(4096).rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
        if found:
            return found.group(1).decode()
    return ""


def read_notes() -> Dict[str, Record]:
    """What was before each run that was not undone, by the run's name, the newest first."""
    names = [name[:-5] for name in (os.listdir(NOTES) if os.path.isdir(NOTES) else ()) if NAME.match(name[:-5])]
    notes = {name: read_json(NOTES + "/%s.json" % name) or {} for name in names}
    return dict(sorted(notes.items(), key=lambda pair: -pair[1]["number"]))


def take_note(name: str, wanted: Record) -> Record:
    """What was so before the first `try` of this run; what we give the ports is added to it, nothing is replaced."""
    notes, ports = read_notes(), read_ports()
    files = {path: former_file(path) for path in (KEPT_FILE, TRIAL_FILE)}
    number = 1 + max((note["number"] for note in notes.values()), default=0)
    has_folder = os.path.isdir(os.path.dirname(TRIAL_FILE))
    note = notes.get(name) or {"number": number, "files": files, "has_folder": has_folder, "ports": {}, "ours": {}}
    for port, want in wanted.items():
        if port in ports:
            note["ports"].setdefault(port, ports[port])
        note["ours"][port] = sorted({*note["ours"].get(port, ()), *want["addresses"]})
    os.makedirs(NOTES, mode=0o700, exist_ok=True)
    write_file(NOTES + "/%s.json" % name, json.dumps(note).encode())
    return note


def former_file(path: str) -> Optional[Record]:
    """A file as it is: bytes, mode, owner."""
    data = read_file(path)
    if data is None:
        return None
    mode, _, _, _, uid, gid = os.stat(path)[:6]
    return {"data": base64.b64encode(data).decode(), "mode": stat.S_IMODE(mode), "owner": [uid, gid]}


def put_files_back(note: Record) -> None:
    """netplan's two files as they were."""
    for path, former in note["files"].items():
        if former is None:
            remove(path)
        elif former_file(path) != former:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_file(path, base64.b64decode(former["data"]), former["mode"], tuple(former["owner"]))
    if not note["has_folder"]:
        with contextlib.suppress(OSError):  # somebody else's file is in it
            os.rmdir(os.path.dirname(TRIAL_FILE))


def put_back(note: Record) -> None:
    """Everything of a note as it was: files, addresses, MTU. Raises TrialError, having done what it can."""
    put_files_back(note)
    failure, until = apply_netplan(note["ports"]), time.monotonic() + SETTLE_S
    while True:  # networkd may still be at it
        wrong = [put_port_back(name, port, note["ours"].get(name, ())) for name, port in note["ports"].items()]
        if not any(wrong) or time.monotonic() >= until:
            break
    failure = failure or "; ".join(words for words in wrong if words)
    if failure:
        raise TrialError("the files are as they were, but %s" % failure, "Run `sudo netplan apply` on the node.")


def put_port_back(name: str, before: Record, ours: List[str]) -> str:
    """networkd leaves addresses and MTU of a port that lost its settings. What is not as before then, in words."""
    wait_until(SETTLE_S / 2, lambda: set(before["addresses"]) <= set(read_ports().get(name, before)["addresses"]))
    now = read_ports().get(name, before)
    for text in now["addresses"]:
        if text in ours and text not in before["addresses"]:
            run(["ip", "addr", "del", text, "dev", name], 10.0)
    add_missing(name, before)
    if isinstance(before["mtu"], int) and now["mtu"] != before["mtu"]:
        run(["ip", "link", "set", "dev", name, "mtu", str(before["mtu"])], 10.0)
    if not before["up"]:
        run(["ip", "link", "set", "dev", name, "down"], 10.0)
    now = read_ports().get(name, before)
    fixed = [text for text, info in before["addresses"].items() if not info.get("dynamic")]
    stays = ", ".join(text for text in now["addresses"] if text in ours and text not in before["addresses"])
    wrong = find_wrong({name: {"addresses": fixed, "mtu": before["mtu"], "carrier": False}}, {name: now})
    return "%s still has %s" % (name, stays) if stays else wrong


def add_missing(name: str, before: Record) -> None:
    """Addresses that nobody's file gives: networkd takes them away from a port that it is told to manage."""
    now = read_ports().get(name, before)
    for text, info in before["addresses"].items():
        if text not in now["addresses"] and not info.get("dynamic"):
            pairs = [word for key in ("broadcast", "scope", "label") if key in info for word in (key, str(info[key]))]
            flags = ["noprefixroute"] if info.get("noprefixroute") else []
            run(["ip", "addr", "add", text, "dev", name, *pairs, *flags], 10.0)


def netplan(verb: str, limit_s: float) -> str:
    """Run it; in words why it failed, or ""."""
    code, out, err = run(["netplan", verb], limit_s)
    if code == 0:
        return ""
    lines = [line for line in (err or out).splitlines() if line.strip()] or ["no word of it"]
    return "netplan %s failed: %s" % (verb, plain(next((line for line in lines if "rror" in line), lines[0])))


def apply_netplan(ours: Record) -> str:
    """`netplan apply`, and a look until every address that it does not concern is back. Why it failed, or ""."""
    ports = read_ports()
    others = {name: dict(port, mtu=None, carrier=False) for name, port in ports.items() if name not in ours}
    failure = netplan("apply", APPLY_S)
    # networkd starts anew, and gives them again one after another
    wait_until(SETTLE_S, lambda: not find_wrong(others, dict(ports, **read_ports())))
    return failure


def try_it(name: str, seconds: str, text: str) -> Record:
    """Note, write, check, leave the timer behind, apply, and look."""
    wanted, trial_s = read_wanted(text), float(seconds)
    if not 1.0 <= trial_s <= MAX_TRIAL_S:
        raise TrialError("a trial lasts 1 to 3600 seconds", "Make the plan again.")
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
        note = take_note(name, wanted)
        ends_s, token = now_s + trial_s, os.urandom(16).hex()
        state = {"name": name, "token": token, "state": "trying", "ends_s": ends_s}
        write_file(STATE, json.dumps(state).encode(), 0o644)
        try:
            start_timer(name, token, ends_s)
            os.makedirs(os.path.dirname(TRIAL_FILE), exist_ok=True)
            write_file(TRIAL_FILE, yaml)
            failure = netplan("generate", GENERATE_S)
            if failure:
                raise TrialError(failure + ". Nothing was applied", "Mend the file that it names, then look again.")
        except TrialError:
            remove(STATE)  # the timer ends by this
            put_files_back(note)
            netplan("generate", GENERATE_S)
            raise
        failure = apply_netplan(wanted)
        if failure:
            write_file(STATE, json.dumps(dict(state, state="rolled back")).encode(), 0o644)
            put_back(note)
            raise TrialError(failure + ". The former network is back", "Mend what it names, then try again.")
        wait_until(SETTLE_S, lambda: not find_wrong(wanted, read_ports()))
        for port, before in note["ports"].items():
            add_missing(port, before)
    return {"ok": True, "trial_s": trial_s, "left_s": ends_s - time.clock_gettime(time.CLOCK_BOOTTIME)}


def running_trial() -> Optional[Record]:
    """What is on trial now; None when nothing is. It lies in /run, so a restart ends it."""
    state = read_json(STATE)
    return state if state is not None and state["state"] == "trying" else None


def start_timer(name: str, token: str, ends_s: float) -> None:
    """Leave a process behind: of its own session, without a descriptor or folder of ours."""
    child = os.fork()
    if child:
        if os.waitpid(child, 0)[1]:
            raise TrialError("the timer that puts the network back did not start", "Nothing was changed. Try again.")
        return
    code = 1
    try:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            for fd in (0, 1, 2):
                os.dup2(os.open(os.devnull, os.O_RDWR), fd)
            os.closerange(3, 65536)
            be_timer(name, token, ends_s)
        code = 0
    finally:
        os._exit(code)


def be_timer(name: str, token: str, ends_s: float) -> None:
    """Put everything back at the end of the trial unless it was kept, undone or begun anew; what fails, again."""
    tries = 0
    while tries < MAX_TRIES:
        time.sleep(2 * POLL_S)
        is_due = time.clock_gettime(time.CLOCK_BOOTTIME) >= ends_s
        tries += is_due
        with contextlib.suppress(TrialError, OSError, KeyError), locked() if is_due else contextlib.nullcontext():
            state = read_json(STATE) or {}
            if state.get("token") != token or state["state"] not in ("trying", "rolling back"):
                return
            if is_due:
                with contextlib.suppress(TrialError, OSError):  # without room for it, all the same
                    write_file(STATE, json.dumps(dict(state, state="rolling back")).encode(), 0o644)
                put_back(read_notes()[name])
                return


def look(name: str, text: str, digest: str = "") -> Record:
    """Whether the ports are as wanted, and the file is kept where its digest is given."""
    wanted = read_wanted(text)
    try:
        wrong = find_wrong(wanted, read_ports())
        if digest and not wrong:
            kept = read_file(KEPT_FILE)
            if kept is None or hashlib.sha256(kept).hexdigest() != digest or os.path.lexists(TRIAL_FILE):
                wrong = "%s is not kept as planned" % KEPT_FILE
    except (TrialError, OSError) as error:
        words = str(error.args[0] if isinstance(error, TrialError) else error)
        return {"ok": None, "message": plain(words), "remedy": "Look at the ports on the node: ip addr"}
    if wrong:
        return {"ok": False, "message": wrong, "remedy": "See that the cable is in at both ends, then try again."}
    return {"ok": True, "message": "carrier, addresses and MTU are as wanted"}


def keep(name: str) -> Record:
    """From a trial to what stays, unless the timer was faster."""
    with locked():
        state, trial = read_json(STATE) or {}, running_trial()
        if trial is None and (state.get("name"), state.get("state")) == (name, "kept"):
            remove(TRIAL_FILE)  # we were interrupted here
            return {"ok": True, "file": KEPT_FILE}
        if trial is None or trial["name"] != name:
            remedy = "Look at the cable and at the node's way to this computer, then try again."
            raise TrialError("the trial is over: the node has put its former network back by itself", remedy)
        data = read_file(TRIAL_FILE)
        if data is None:
            raise TrialError("somebody removed the file on trial", "Wait until the trial is over, then try again.")
        try:
            write_file(KEPT_FILE, data)
        except TrialError as error:
            raise TrialError(error.args[0] + "; the node takes its former network back", error.args[1]) from error
        write_file(STATE, json.dumps(dict(trial, state="kept")).encode(), 0o644)
        remove(TRIAL_FILE)  # the same bytes under the same name: what netplan made of it stays right
    return {"ok": True, "file": KEPT_FILE}


def undo(name: str) -> Record:
    """As before the first `try` of this run, later runs included; nothing where there was none."""
    with locked():
        notes, state = read_notes(), read_json(STATE)
        ours = list(notes)[: list(notes).index(name) + 1] if name in notes else []
        if state is not None and state["name"] in (name, *ours):
            remove(STATE)  # the timer ends by this
        for one in ours:
            put_back(notes[one])
            remove(NOTES + "/%s.json" % one)
        if not os.path.lexists(STATE):
            remove(LOCK)
        for folder in (RUN, NOTES, os.path.dirname(NOTES)):
            with contextlib.suppress(OSError):  # others' notes, or nothing there
                os.rmdir(folder)
    return {"ok": True, "message": "as before" if ours else "nothing to undo"}


def main(argv: List[str]) -> int:
    """Run a verb; gives the exit code."""
    verbs = {"try": (try_it, (3,)), "look": (look, (2, 3)), "keep": (keep, (1,)), "undo": (undo, (1,))}
    os.umask(0o022)  # networkd reads what netplan writes
    try:
        if not argv or argv[0] not in verbs or len(argv) - 1 not in verbs[argv[0]][1] or not NAME.match(argv[1]):
            raise TrialError("usage: link_trial.py try|look|keep|undo NAME [...]", "Make the plan again.")
        if argv[0] != "look" and os.geteuid() != 0:
            raise TrialError("this needs root", "Run it through sudo.")
        said = verbs[argv[0]][0](*argv[1:])  # type: ignore[operator]
    except (TrialError, OSError, ValueError, KeyError) as error:
        other = (plain("it did not work: %r" % error), "Look at the node, then try again.")
        message, remedy = error.args if isinstance(error, TrialError) else other
        said = {"ok": False, "message": message[:1000], "remedy": remedy[:1000]}
    print(json.dumps(said))
    return 1 if said["ok"] is False and argv[:1] != ["look"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
