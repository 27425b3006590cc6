"""What netplan makes of its files: edits that nobody has applied yet, and what a file gives a port by now.

Sent behind net_state.py over the same channel, and run in the same interpreter.

`netplan apply` applies every file, also what another person wrote for another port and has not applied yet, the
management port's among them. What it would make of the files is seen beforehand: netplan's generator makes it in a
folder aside (`--root-dir`), and that is held against what lies where the services read. It is called by itself, for
`netplan generate` runs `systemctl daemon-reload` since netplan 1.0, also for a folder aside, and that has every edit
made into units where the services read: none would be seen any more. Source: netplan 1.0, cli/commands/generate.py;
unverified on hardware [netplan-generator].

An edit that something else has made units of without applying them (`systemctl daemon-reload` runs netplan's generator)
is not seen this way: what it brings is taken out again afterwards (net_state.take_out_again), of NetworkManager's ports
too. What NetworkManager had before is then in no file any more, so its connection keeps the edit until somebody applies
it or takes it back. That NetworkManager leaves netplan's connections as netplan makes them, and does not give again
what was taken out, is unverified on hardware [netplan-renderer].

The one rule: a unit that is not of our own ports is compared and never written. Stdlib only, Python 3.8+.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat

ASIDE, ASIDE_S = "/run/sparkdesk", 20.0
SOURCES = ("etc/netplan", "run/netplan", "lib/netplan", "usr/lib/netplan")
NETWORKD, NETWORK_MANAGER = "run/systemd/network", "run/NetworkManager/system-connections"
PREFIXES = {NETWORKD: "10-netplan-", NETWORK_MANAGER: "netplan-"}
SYSTEM = "/usr/"
# What makes the units: "configure" since netplan 1.2, whose "generate" is systemd's alone. Source: netplan, pull 552.
GENERATORS = tuple(
    "%s/netplan/%s" % (folder, name)
    for name in ("configure", "generate")
    for folder in ("/usr/libexec", "/usr/lib", "/lib")
)
MAX_FILES, MAX_FILE_BYTES = 256, 1 << 20
LINKS = "/run/systemd/netif/links"
NEVER_APPLIED = "netplan's files hold an edit that was never applied"
STILL_WAITS = "an edit of netplan's files that was never applied still waits"
FIRST_APPLY = "Apply or take back that edit first (sudo netplan try), then look again."

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing costs memory on the node
    from typing import Any, Collection, Dict, Iterator, List, Optional, Set, Tuple

    Record = Dict[str, Any]

    # net_state.py, which ran before in the same interpreter.
    ENV: Dict[str, str] = {}

    class TrialError(Exception): ...

    def apply_files() -> str: ...
    def netplan(words: List[str], limit_s: float, program: str = "netplan") -> str: ...
    def run(argv: List[str], limit_s: float) -> Tuple[int, str, str]: ...
    def plain(text: str) -> str: ...

    # trial_notes.py, likewise.
    KEPT_FILE = TRIAL_FILE = ""

    def write_file(path: str, data: bytes, mode: int = 0o600, owner: Tuple[int, int] = (0, 0)) -> None: ...
    def remove(path: str) -> None: ...


def read_folder(folder: str, prefix: str, suffix: str = "") -> Dict[str, bytes]:
    """The plain files of a folder by name, links followed as netplan does. Raises OSError, and for too much of it."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith(prefix) and name.endswith(suffix)]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = {}
    for name in names[: MAX_FILES + 1]:
        with open(os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                found[name] = file.read(MAX_FILE_BYTES + 1)
    if len(found) > MAX_FILES or any(len(data) > MAX_FILE_BYTES for data in found.values()):
        raise OSError("%s holds more than is read" % folder)
    return found


def read_units(root: str) -> Dict[str, bytes]:
    """Every unit that netplan made below this folder, by its path in it. Raises OSError."""
    return {
        "%s/%s" % (folder, name): data
        for folder, prefix in PREFIXES.items()
        for name, data in read_folder(os.path.join(root, folder), prefix).items()
    }


def generator() -> str:
    """What makes the units of the netplan that we call; "" where that is not the system's own, or has none there."""
    found = os.path.realpath(shutil.which("netplan", path=ENV["PATH"]) or "")
    return next((path for path in GENERATORS if found.startswith(SYSTEM) and os.access(path, os.X_OK)), "")


@contextlib.contextmanager
def made_aside(but: Collection[str] = ()) -> Iterator[str]:
    """A folder with what netplan makes of the files as they are now, but for these. Raises TrialError where that
    cannot be done."""
    root = "%s-%s" % (ASIDE, os.urandom(8).hex())
    try:
        os.mkdir(root, 0o700)  # the files may hold the password of a WLAN
        for folder in SOURCES:
            os.makedirs(os.path.join(root, folder))
            found = read_folder("/" + folder, "", ".yaml")
            for name in [name for name in found if "/%s/%s" % (folder, name) not in but]:
                with open(os.open(os.path.join(root, folder, name), os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                    file.write(found[name])
        program = generator()
        failure = netplan(([] if program else ["generate"]) + ["--root-dir", root], ASIDE_S, program or "netplan")
        if failure:
            raise TrialError(failure.replace(root, ""), "Look at netplan's files on the node.")
        yield root
    except OSError as error:
        words = "what netplan's files say cannot be made aside: %s" % plain(str(error))
        raise TrialError(words, "Look at netplan's files on the node.") from error
    finally:
        shutil.rmtree(root, ignore_errors=True)


def refuse_bad_files() -> None:
    """What netplan makes of the files is seen aside: `netplan generate` would leave nothing for an apply to tell
    networkd (net_state.apply_files). Raises TrialError."""
    try:
        with made_aside():
            pass
    except TrialError as error:
        raise TrialError(
            error.args[0] + ". Nothing was applied", "Mend the file that it names, then look again."
        ) from None


def port_of_unit(path: str, data: bytes) -> str:
    """The port of a unit as its text names it, else what netplan calls it."""
    for line in data.decode("utf-8", "replace").splitlines():
        key, _, value = line.strip().partition("=")
        if key in ("Name", "OriginalName", "interface-name"):
            return plain(value)
    folder, name = os.path.split(path)
    return plain(os.path.splitext(name[len(PREFIXES[folder]) :])[0])


def changed_units(root: str) -> Dict[str, str]:
    """The port of each unit that an apply would change, by its path. Raises OSError."""
    made, stands = read_units(root), read_units("/")
    paths = [path for path in sorted({*made, *stands}) if made.get(path) != stands.get(path)]
    return {path: port_of_unit(path, made.get(path) or stands.get(path) or b"") for path in paths}


def pending_edits(ours: Collection[str]) -> List[str]:
    """Others' ports for which netplan's files say what was never applied, in words. Raises TrialError: not known."""
    with made_aside() as root:
        ports = sorted({port for port in changed_units(root).values() if port not in ours})
        return ["%s (%s)" % (port, newest_file_about(port)) for port in ports]


def pending_on_ours(ours: Collection[str]) -> List[str]:
    """Our ports for which others' files say what was never applied, in words. Raises TrialError: not known.

    What others' files say alone, what all of them come to, and not what stands: what our file says otherwise is no
    edit of others, nor is what it no longer says.
    """
    with made_aside() as root:
        made, changed = read_units(root), changed_units(root)
        changed = {path: port for path, port in changed.items() if port in ours}
    if not changed:
        return []
    own = (KEPT_FILE, TRIAL_FILE)
    with made_aside(own) as root:
        alone, stands = read_units(root), read_units("/")
    brought = {
        path: (lines_of(alone.get(path)) & lines_of(made.get(path))) - lines_of(stands.get(path)) for path in changed
    }
    ports = sorted({port for path, port in changed.items() if brought[path]})
    return ["%s (%s)" % (port, newest_file_about(port, own)) for port in ports]


def lines_of(data: Optional[bytes]) -> Set[Tuple[bytes, bytes]]:
    """What a unit says, each line with its section."""
    section, found = b"", set()
    for line in (data or b"").splitlines():
        section = line.strip() if line.startswith(b"[") else section
        if b"=" in line:
            found.add((section, line.strip()))
    return found


def newest_file_about(port: str, but: Collection[str] = ()) -> str:
    """The file of netplan, not one of these, that names this port and was changed last; else that one was removed."""
    paths = [
        "/%s/%s" % (folder, name)
        for folder in SOURCES
        for name, data in read_folder("/" + folder, "", ".yaml").items()
        if port.encode() in data and "/%s/%s" % (folder, name) not in but
    ]
    return plain(max(paths, key=os.path.getmtime)) if paths else "its file is gone"


def refuse_pending_edits(ours: Collection[str]) -> str:
    """A trial must not bring in what is others' to apply. In words why that is not known, or "". Raises TrialError."""
    try:
        pending = [*pending_edits(ours), *pending_on_ours(ours)]
    except TrialError as error:  # netplan may be older than --root-dir; its files it checks again before it applies
        return "whether netplan's files hold an edit that was never applied is not known: %s" % error.args[0]
    if pending:
        raise TrialError("%s, and this would apply it: %s" % (NEVER_APPLIED, ", ".join(pending)), FIRST_APPLY)
    return ""


def apply_former(ours: Collection[str], words: List[str]) -> str:
    """Apply our own files as they were; why it failed, or "". To `words` is added what others' edits came to.

    An undo that refuses leaves a person stuck with a network that is to go, and one that applies everything changes a
    port which nobody named, perhaps the one that this sign-in came over. So where others' edits wait, networkd is given
    our ports' units alone, and those edits go on waiting. With NetworkManager, which was never tried, or where this
    fails, everything is applied, and that is said.
    """
    try:
        pending = ", ".join(pending_edits(ours))
    except TrialError:
        pending = ""
    if pending:
        try:
            apply_ours_alone(ours)
            words.append("%s: %s" % (STILL_WAITS, pending))
            return ""
        except (TrialError, OSError):
            words.append("an edit of netplan's files that was never applied went in with it: %s" % pending)
    return apply_files()


def apply_ours_alone(ours: Collection[str]) -> None:
    """Write the units of these ports as the files say now, no others, and let networkd read them. Raises TrialError."""
    with made_aside() as root:
        paths = [path for path, port in changed_units(root).items() if port in ours]
        if any(not path.startswith(NETWORKD) for path in paths):
            raise TrialError("NetworkManager has our ports", "Run `sudo netplan apply` on the node.")
        made = read_units(root)
        for path in paths:
            if path in made:
                about = os.stat(os.path.join(root, path))
                write_file("/" + path, made[path], stat.S_IMODE(about.st_mode), (about.st_uid, about.st_gid))
            else:
                remove("/" + path)
    code, out, err = run(["networkctl", "reload"], ASIDE_S)
    if code != 0:
        raise TrialError("networkctl reload failed: %s" % plain(err or out), "Run `sudo netplan apply` on the node.")


def network_files(name: str) -> List[str]:
    """The files by which networkd sets this port now; none where it does not.

    Source: systemd's networkd-state-file.c: NETWORK_FILE=PATH and NETWORK_FILE_DROPINS="PATH:PATH" in links/INDEX, the
    latter with \\xHH for what would part them.
    """
    paths: List[str] = []
    with contextlib.suppress(OSError, ValueError):
        with open("/sys/class/net/%s/ifindex" % name) as file:
            index = str(int(file.read(16)))
        for line in read_folder(LINKS, index).get(index, b"").splitlines():
            key, _, value = line.partition(b"=")
            if key in (b"NETWORK_FILE", b"NETWORK_FILE_DROPINS"):
                parted = re.sub(rb'\A"(.*)"\Z', rb"\1", value).split(b":")
                paths += [os.fsdecode(re.sub(rb"\\x([0-9A-Fa-f]{2})", unescaped, part)) for part in parted]
    return [path for path in paths if os.path.isabs(path)]


def unescaped(found: Any) -> bytes:
    """The byte that a match of two hexadecimal digits stands for."""
    return bytes([int(found.group(1), 16)])


def connection_files(name: str) -> List[str]:
    """The files of netplan's by which NetworkManager sets this port; none where networkd does.

    Source: netplan's nm.c: "interface-name" is the port; one that goes by a MAC address alone is not found.
    """
    if network_files(name):
        return []
    found = {}
    with contextlib.suppress(OSError):
        found = read_folder("/" + NETWORK_MANAGER, PREFIXES[NETWORK_MANAGER])
    paths = {"%s/%s" % (NETWORK_MANAGER, file): data for file, data in found.items()}
    return ["/" + path for path, data in paths.items() if port_of_unit(path, data) == name]


def is_set_by_netplan(name: str) -> bool:
    """Whether networkd, or NetworkManager, sets this port by a file that netplan made."""
    made = "/%s/%s" % (NETWORKD, PREFIXES[NETWORKD])
    return bool(connection_files(name)) or any(path.startswith(made) for path in network_files(name))


def given_by_files(name: str) -> Tuple[Set[str], Optional[int]]:
    """Addresses and MTU that the files for this port give it now.

    Source: systemd.network(5); nm-settings-keyfile(5): address1=IP/LENGTH,GATEWAY and the ethernet section's mtu.
    """
    addresses: Set[str] = set()
    mtu = None
    for path in [*network_files(name), *connection_files(name)]:
        folder, base = os.path.split(path)
        section, text = "", ""
        with contextlib.suppress(OSError):  # what cannot be read gives nothing, and must not keep an undo from going on
            text = read_folder(folder, base).get(base, b"").decode("utf-8", "replace")
        for line in text.splitlines():
            key, _, value = (word.strip() for word in line.partition("="))
            section = line.strip() if line.startswith("[") else section
            if (section, key) in (("[Network]", "Address"), ("[Address]", "Address")):
                addresses.add(value)
            elif section in ("[ipv4]", "[ipv6]") and key.startswith("address") and key[7:].isdigit():
                addresses.add(value.split(",")[0])
            elif (section, key) in (("[Link]", "MTUBytes"), ("[ethernet]", "mtu")) and value.isdigit():
                mtu = int(value)
    return addresses, mtu
