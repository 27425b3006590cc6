"""The trial program on its own: what it refuses, what it reads of ports, and that it leaves nothing behind by looking.

What it does to a network is tried in the lab, with a real netplan and systemd-networkd (tests/lab/bringup).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.bringup.chapters.network import PROGRAMS
from sparkdesk.core.program import python_command
from tests.remote.python_version import PYTHONS
from tests.remote.trial_programs import load_programs

REMOTE = Path(__file__).parents[2] / "sparkdesk" / "remote"
SOURCES = [(REMOTE / f"{name}.py").read_bytes() for name in PROGRAMS]
WANTED = {"enp1s0f1np1": {"addresses": ["192.168.100.11/24"], "mtu": 9000}}
_IP = """#!/bin/sh
case "$*" in "-j addr show") cat <<'X'
%s
X
;; *) echo "ip: not understood: $*" >&2; exit 1;; esac
"""


def port(name: str = "enp1s0f1np1", mtu: int = 9000, *addresses: str, flags: str = "UP LOWER_UP") -> dict[str, Any]:
    """A port as `ip -j addr` of iproute2 6.1 shows it."""
    infos = [
        {"family": "inet", "local": text.split("/")[0], "prefixlen": int(text.split("/")[1]), "scope": "global"}
        for text in addresses
    ]
    return {"ifname": name, "flags": ["BROADCAST", *flags.split()], "mtu": mtu, "addr_info": infos}


def run(python: str, *words: str, stdin: bytes = b"", path: str = "") -> tuple[int, dict[str, Any]]:
    """Exit code and answer."""
    env = {"PATH": path or os.environ["PATH"]}
    argv = [python, *python_command(SOURCES, *words).argv[1:]]
    done = subprocess.run(argv, input=b"".join(SOURCES) + stdin, capture_output=True, timeout=60, env=env, check=False)
    assert not done.stderr, done.stderr.decode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, answer


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """This Python, and the oldest that is promised."""
    return str(request.param)


def look(python: str, folder: Path, printed: object, wanted: object = WANTED, *digest: str) -> dict[str, Any]:
    """What `look` makes of what `ip` prints."""
    (folder / "ip").write_text(_IP % (printed if isinstance(printed, str) else json.dumps(printed)))
    (folder / "ip").chmod(0o755)
    code, answer = run(python, "look", "a1", json.dumps(wanted), *digest, path=f"{folder}:{os.environ['PATH']}")
    assert code == 0
    return answer


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ([port("enp1s0f1np1", 9000, "192.168.100.11/24")], ""),
        ([port("enp1s0f1np1", 9000, "192.168.100.12/24")], "enp1s0f1np1 lacks 192.168.100.11/24"),
        ([port("enp1s0f1np1", 1500, "192.168.100.11/24")], "enp1s0f1np1 has MTU 1500, not 9000"),
        ([port("enp1s0f1np1", 9000, "192.168.100.11/24", flags="UP")], "enp1s0f1np1 has no link"),
        ([port(flags="UP")], "enp1s0f1np1 has no link; enp1s0f1np1 lacks 192.168.100.11/24"),
        ([port("eth0")], "there is no port enp1s0f1np1"),
    ],
)
def test_a_look_says_what_is_not_as_wanted(python: str, tmp_path: Path, shown: object, words: str) -> None:
    answer = look(python, tmp_path, shown)
    assert answer["ok"] is (words == "")
    assert words in answer["message"]


def test_a_port_whose_cable_was_out_before_needs_no_link(python: str, tmp_path: Path) -> None:
    wanted: object = {"enp1s0f1np1": {**WANTED["enp1s0f1np1"], "carrier": False}}
    waits = "enp1s0f1np1 has no link: its address comes with the link"
    said = "carrier, addresses and MTU are as wanted"
    cases = {
        f"{said}; {waits}": [port(flags="UP")],
        said: [port("enp1s0f1np1", 9000, "192.168.100.11/24", flags="UP")],
        "enp1s0f1np1 has MTU 1500, not 9000": [port(mtu=1500, flags="UP")],
        "enp1s0f1np1 lacks 192.168.100.11/24": [port()],
        "there is no port enp1s0f1np1": [port("eth0")],
    }
    for message, shown in cases.items():
        answer = look(python, tmp_path, shown, wanted)
        assert (answer["ok"], answer["message"]) == (message.startswith(said), message)


@pytest.mark.parametrize("printed", ["", "nonsense", "{}", "[1]", '[{"ifname": "x", "addr_info": 3}]'])
def test_what_cannot_be_read_is_null_and_not_a_yes_or_no(python: str, tmp_path: Path, printed: str) -> None:
    answer = look(python, tmp_path, printed)
    assert answer["ok"] is None
    assert answer["remedy"]


def test_a_file_that_is_not_there_is_not_kept(python: str, tmp_path: Path) -> None:
    shown = [port("enp1s0f1np1", 9000, "192.168.100.11/24")]
    answer = look(python, tmp_path, shown, WANTED, "0" * 64)
    assert answer["ok"] is not True


@pytest.mark.parametrize(
    "wanted",
    [
        "", "[]", "{}", '{"x; reboot": {}}', '{"x": 3}', '{"x": {"addresses": 3}}',
        '{"x": {"addresses": ["1.2.3.4.5"]}}',
        '{"x": {"mtu": "9000"}}', '{"x": {"mtu": 10}}', '{"-x": {}}', "[" * 5000,
        json.dumps({f"p{i}": {} for i in range(17)}),
    ],
)  # fmt: skip
def test_what_is_wanted_is_checked_before_anything_is_done(python: str, wanted: str) -> None:
    code, answer = run(python, "look", "a1", wanted)
    assert answer["ok"] is False
    assert answer["message"] == "what is wanted of the ports is not understood"
    assert code == 0


@pytest.mark.parametrize(
    "words", [(), ("try",), ("keep", "../x"), ("undo", "A"), ("format", "a1"), ("look", "a1"), ("undo", "a" * 65)]
)
def test_what_is_not_a_verb_of_it_does_nothing(python: str, words: tuple[str, ...]) -> None:
    code, answer = run(python, *words)
    assert answer["message"].startswith("usage")
    assert code == (0 if words[:1] == ("look",) else 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do all of it")
def test_changes_need_root(python: str) -> None:
    assert run(python, "undo", "a1")[1]["message"] == "this needs root"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="root alone may try in a namespace")
@pytest.mark.parametrize("yaml", [b"", b"  \n", b"\xff\xfe", b"network:\0", b"x" * 65537, b"\x1b[31m"])
def test_what_is_no_text_is_not_written(python: str, yaml: bytes) -> None:
    script = 'mount -t tmpfs none /run; "$@"; code=$?; ls -A /run >&2; exit $code'
    argv = [python, *python_command(SOURCES, "try", "a1", "60", json.dumps(WANTED)).argv[1:]]
    unshare = ["unshare", "--net", "--mount", "sh", "-c", script, "sh", *argv]
    done = subprocess.run(unshare, input=b"".join(SOURCES) + yaml, capture_output=True, check=False)
    assert json.loads(done.stdout)["message"] == "what came is no netplan file"
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may give a folder away")
def test_root_runs_no_program_of_a_folder_that_others_may_write(python: str, tmp_path: Path) -> None:
    shown = [port("enp1s0f1np1", 9000, "192.168.100.11/24")]
    assert look(python, tmp_path, shown)["ok"] is True
    tmp_path.chmod(0o777)
    assert look(python, tmp_path, shown)["ok"] is False
    tmp_path.chmod(0o755)
    os.chown(tmp_path, 1000, 1000)
    assert look(python, tmp_path, shown)["ok"] is False


_REFUSES = """import json, sys
exec(compile(open(sys.argv[1]).read(), "net_state", "exec"))
session_address = lambda: sys.argv[2]
try:
    refuse_ports_in_use({"enp1s0f1np1": {}})
except TrialError as error:
    print(error.args[0])
"""


def refusal(python: str, folder: Path, session: str, local: str) -> str:
    """Why a port with this address is not touched, for a sign-in at the address of `session`; "" where it may be."""
    shown = json.dumps([{"ifname": "enp1s0f1np1", "addr_info": [{"local": local}]}, {"ifname": "lo"}])
    script = f"#!/bin/sh\ncase \"$*\" in *route*) echo '[]' ;; *) cat <<'X'\n{shown}\nX\nesac\n"
    (folder / "ip").write_text(script)
    (folder / "ip").chmod(0o755)
    words = [python, "-I", "-S", "-c", _REFUSES, str(REMOTE / "net_state.py"), session]
    env = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env, check=True)
    return done.stdout.strip()


def test_a_port_is_not_touched_over_which_this_sign_in_came_or_may_have_come(python: str, tmp_path: Path) -> None:
    assert refusal(python, tmp_path, "10.0.20.31", "10.0.20.31") == "this sign-in came over enp1s0f1np1"
    assert refusal(python, tmp_path, "fd00::31", "fd00::31") == "this sign-in came over enp1s0f1np1"
    assert refusal(python, tmp_path, "fe80::31", "fe80::31") == "", "nobody takes that address away"
    assert refusal(python, tmp_path, "10.0.20.31", "10.0.20.3") == ""
    with socket.create_server(("127.0.0.77", 0)) as server, socket.create_connection(server.getsockname()[:2]):
        told = "a connection is open over enp1s0f1np1, and which one is this sign-in is not known"
        assert refusal(python, tmp_path, "", "127.0.0.77") == told
        assert refusal(python, tmp_path, "", "127.0.0.78") == ""
        assert refusal(python, tmp_path, "10.0.20.31", "127.0.0.77") == "", "what is known is enough"


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="there is no IPv6 here")
@pytest.mark.parametrize(("at", "seen"), [("::1", "::1"), ("127.0.0.79", "127.0.0.79")])
def test_connections_of_a_server_for_both_families_are_seen(python: str, tmp_path: Path, at: str, seen: str) -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection((at, server.getsockname()[1])),
    ):
        assert "which one is this sign-in is not known" in refusal(python, tmp_path, "", seen)


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, Any]:
    """The programs in a folder of their own, with a netplan that does nothing and a run that has kept its file."""
    for name in ("bin", "etc", "run", "store/notes", "trial"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("netplan", "networkctl"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    files = {"KEPT_FILE": "etc/90.yaml", "TRIAL_FILE": "trial/90.yaml", "COPY_FILE": "store/90.yaml", "RUN": "run"}
    files |= {"STATE": "run/trial.json", "LOCK": "run/trial.lock", "STORE": "store", "NOTES": "store/notes"}
    places = {name: str(tmp_path / path) for name, path in files.items()}
    env = dict(os.environ, PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    units = str(tmp_path / "run/units").lstrip("/")
    places |= {"ASIDE": str(tmp_path / "aside"), "SYSTEM": "/nowhere/", "NETWORKD": units, "NETWORK_MANAGER": units}
    no_others = {"SOURCES": (), "PREFIXES": {units: "netplan-"}, "read_items": list}
    programs = load_programs(**places, **no_others, ENV=env, STABLE_S=0.0)
    note = {"name": "a1", "number": 1, "folders": [], "ports": {}, "ours": {}, "boot": "b", "items": []}
    former = {places[name]: None for name in ("KEPT_FILE", "TRIAL_FILE", "COPY_FILE")}
    kept = hashlib.sha256(b"ours").hexdigest()
    (tmp_path / "store/notes/a1.json").write_text(json.dumps(dict(note, files=former, kept=kept)))
    (tmp_path / "run/trial.json").write_text('{"name": "a1", "state": "kept"}')
    return programs


def test_what_is_kept_is_looked_at_when_its_keeping_is_asked_for_again(programs: dict[str, Any]) -> None:
    kept, trial = Path(programs["KEPT_FILE"]), Path(programs["TRIAL_FILE"])
    trial.touch()
    for data in (None, b"another"):
        if data is not None:
            kept.write_bytes(data)
        with pytest.raises(programs["TrialError"], match="yaml is not as it was kept"):
            programs["keep"]("a1")
    kept.write_bytes(b"ours")
    assert programs["keep"]("a1")["ok"] is True
    assert not trial.exists(), "it was cut short there"


def test_an_undo_that_cannot_write_the_files_says_that_it_is_the_files(programs: dict[str, Any]) -> None:
    Path(programs["KEPT_FILE"]).mkdir()
    with pytest.raises(programs["TrialError"]) as refused:
        programs["undo"]("a1")
    kept = programs["KEPT_FILE"]
    assert refused.value.args == (
        f"netplan's files are not as they were: {kept} is no plain file of ours",
        "Mend what it names, then undo it again.",
    )
    Path(kept).rmdir()
    (Path(kept).parents[1] / "bin/netplan").write_text("#!/bin/sh\necho 'Error: no' >&2; exit 1\n")
    with pytest.raises(programs["TrialError"], match="the files are as they were, but netplan apply failed"):
        programs["undo"]("a1")
