"""The trial of a network on a node with a real netplan and systemd-networkd: kept, rolled back by itself, undone."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sparkdesk.core.bringup.chapters.network import plan_network
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.step import Step, Wait
from tests.core.bringup.cases import make_case
from tests.lab.bringup.trial_node import COPY, FOREIGN, KEPT, NOTES, PORT, RUN, TRIED, TWIN, WAIT_S, WANTED, YAML, Node
from tests.lab.lab import CAGE_PORTS, MANAGEMENT_PORT, PASSWORD, USER, Lab, LabNode
from tests.lab.patchbay import Patchbay, Wire

pytestmark = pytest.mark.lab
CABLE = ((0, 1), (1, 1))
AS_WANTED = "carrier, addresses and MTU are as wanted"


def pair_steps() -> list[Step]:
    """What the chapter plans for a fresh pair."""
    return [step for stage in plan_network(make_case(2, Shape.PAIR)).stages for step in stage.steps]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes."""
    with Lab(2, tmp_path_factory.mktemp("trial"), marker="trial", cables=None, with_networkd=True) as lab:
        yield lab


@pytest.fixture(scope="module", autouse=True)
def bay(lab: Lab) -> Iterator[Patchbay]:
    """A cable from cage 1 to cage 1."""
    bay = Patchbay(lab, wires=1)
    bay.patch([Wire(CABLE)])
    yield bay
    bay.close()


@pytest.fixture
def node(lab: Lab) -> Iterator[Node]:
    """The first node; as it was again afterwards."""
    node = Node(lab.nodes[0])
    before = node.state()
    yield node
    for name in ("a1", "b2"):
        node.do("undo", name)
    node.wait_for(before)


@contextmanager
def replaced(node: LabNode, program: str, other: str) -> Iterator[None]:
    """Another program in the place of this one; lazily taken away, since the node may be running it at that moment."""
    node.run("mount", "--bind", other, program)
    try:
        yield
    finally:
        node.run("umount", "--lazy", program)


def test_a_trial_is_kept_and_undone_exactly(node: Node) -> None:
    node.let_settings_be("1", "0")
    before = node.state()
    assert node.look()["ok"] is False
    tried = node.try_it(former="absent")
    assert (tried["ok"], tried["trial_s"]) == (True, 60.0)
    assert 0 < tried["left_s"] < 60.0, "it was begun before the network was applied"
    assert node.look()["ok"] is True
    assert node.state()[TRIED] == (YAML.encode(), "0o100600")
    assert node.do("keep", "a1")["ok"] is True
    assert node.do("keep", "a1")["ok"] is True, "an answer that was lost is asked for again"
    now = node.state()
    assert (now[KEPT], now[TRIED], now[COPY]) == ((YAML.encode(), "0o100600"), None, (YAML.encode(), "0o100644"))
    assert node.seen_without_root() == YAML
    assert node.look()["ok"] is True
    assert now["routes"] == before["routes"]
    assert now[MANAGEMENT_PORT] == before[MANAGEMENT_PORT]
    assert node.do("undo", "a1") == {"ok": True, "message": "as before"}
    assert node.state() == before
    assert node.settings() == ["1", "0"] * 2, "which networkd had set"
    assert node.do("undo", "a1") == {"ok": True, "message": "nothing to undo"}
    assert node.state() == before


def test_a_trial_that_nobody_keeps_goes_by_itself_and_cannot_be_kept_any_more(node: Node) -> None:
    before = node.state()
    assert node.try_it(2)["ok"] is True
    node.wait_until_back(before)
    refused = node.do("keep", "a1")
    assert refused["ok"] is False
    assert "put its former network back" in refused["message"]


def test_the_timer_outlives_the_program_that_left_it_and_ends_with_keep(node: Node) -> None:
    node.try_it()
    timers = node.lab.processes("link_trial.py")
    assert len(timers) == 1
    assert sorted(str(file.path) for file in timers[0].open_files()) == []
    assert timers[0].cwd() == "/"
    node.do("keep", "a1")
    deadline_s = time.monotonic() + WAIT_S
    while node.lab.processes("link_trial.py"):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_a_second_try_keeps_the_first_note_and_starts_the_time_anew(node: Node) -> None:
    before = node.state()
    node.try_it(3)
    time.sleep(1.5)
    assert node.try_it(60)["ok"] is True
    time.sleep(2.5)  # until the first one is due
    assert node.look()["ok"] is True, "the first timer has nothing to say any more"
    assert len(node.lab.processes("link_trial.py")) == 1
    node.do("keep", "a1")
    node.try_it(60)
    node.do("undo", "a1")
    assert node.state() == before


def test_a_former_file_of_ours_and_a_strangers_addresses_come_back(node: Node) -> None:
    plain = node.state()
    file = node.lab.root / KEPT[1:]
    other = f"    {CAGE_PORTS[0][0]}:\n      # of another cable\n      mtu: 1500\n"
    file.write_text(FOREIGN + other)
    file.chmod(0o640)
    node.lab.run("netplan", "apply")
    node.wait_until_applied("10.9.8.7/24", "mtu 1400")
    node.lab.run("ip", "addr", "add", "172.30.1.2/24", "dev", TWIN)
    before = node.state()
    assert before[PORT][0] == 1400
    assert f"what {KEPT} says of {CAGE_PORTS[0][0]} stays in it" in node.try_it()["message"], "nobody had read it"
    now = node.state()
    assert "172.30.1.2" in str(now[TWIN]), "set by hand, in nobody's file"
    node.do("keep", "a1")
    assert file.read_text() == YAML + other.replace("      # of another cable\n", "")
    assert node.look(hashlib.sha256(YAML.encode()).hexdigest())["ok"] is True, "as planned, with others' lines"
    node.do("undo", "a1")
    assert node.state() == before
    file.unlink()
    node.lab.run("netplan", "apply")
    for port in (PORT, TWIN):
        node.lab.run("ip", "addr", "flush", "dev", port, "scope", "global")
    node.lab.run("ip", "link", "set", PORT, "mtu", "1500")
    node.wait_until_back(plain)


def test_undo_works_after_a_restart_in_the_middle_and_after_keep(node: Node) -> None:
    before = node.state()
    node.try_it()
    node.lab.restart(0.1)
    node.wait_until_back(before)
    assert node.do("keep", "a1")["ok"] is False
    node.try_it()
    node.do("keep", "a1")
    node.lab.restart(0.1)
    deadline_s = time.monotonic() + WAIT_S
    while node.look()["ok"] is not True:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    assert node.do("undo", "a1")["ok"] is True
    assert node.state() == before


def test_what_netplan_refuses_is_told_in_its_words_and_nothing_stays(node: Node) -> None:
    before = node.state()
    refused = node.try_it(yaml=YAML.replace("mtu: 9000", "mtu: much"))
    assert refused["ok"] is False
    assert (
        "90-sparkdesk.yaml:7:12: Error in network definition: invalid unsigned int value 'much'" in refused["message"]
    )
    assert refused["remedy"]
    node.do("undo", "a1")
    node.wait_for(before)  # its timer looks a few times a second


def test_the_port_of_the_default_route_is_refused(node: Node) -> None:
    wanted = json.dumps({MANAGEMENT_PORT: {"addresses": [], "mtu": 9000}})
    refused = node.do("try", "a1", "60", wanted, stdin=YAML)
    assert refused["message"] == f"{MANAGEMENT_PORT} carries the default route"


def test_a_half_without_a_link_gets_its_address_when_the_link_comes(bay: Patchbay, node: Node) -> None:
    bay.patch([Wire(CABLE, halves_out=tuple((plug, 1) for plug in CABLE))])
    before, wanted = node.state(), json.dumps({**WANTED, TWIN: {**WANTED[TWIN], "carrier": False}})
    waits = f"{TWIN} has no link: its address comes with the link"
    try:
        assert node.do("try", "a1", "60", wanted, stdin=YAML)["message"] == waits
        assert node.do("look", "a1", wanted) == {"ok": True, "message": f"{AS_WANTED}; {waits}"}
        assert node.state()[TWIN] == (9000, [])
        node.do("keep", "a1")
        bay.patch([Wire(CABLE)])
        node.wait_until_applied("192.168.101.11/24")
        assert node.do("look", "a1", wanted) == {"ok": True, "message": AS_WANTED}
        assert node.do("undo", "a1")["message"] == "as before"
        assert node.state() == before
    finally:
        bay.patch([Wire(CABLE)])


def test_an_edit_of_others_that_nobody_has_applied_goes_on_waiting(node: Node) -> None:
    before = node.state()
    file = node.lab.root / "etc/netplan/95-pending.yaml"
    text = FOREIGN.replace(PORT, MANAGEMENT_PORT)
    waits = f"{MANAGEMENT_PORT} (/etc/netplan/95-pending.yaml)"
    try:
        file.write_text(text)
        refused = node.try_it()
        assert (refused["ok"], waits in refused["message"]) == (False, True)
        assert refused["remedy"] == "Apply or take back that edit first (sudo netplan try), then look again."
        assert node.state() == before, "nothing was changed, and nothing of ours lies anywhere"
        node.lab.run("netplan", "generate")  # as `systemctl daemon-reload` does, and applies nothing
        refused = node.try_it()
        assert (refused["ok"], f"would apply it: {MANAGEMENT_PORT}" in refused["message"]) == (False, True)
        node.do("undo", "a1")
        assert node.state() == before
        file.unlink()
        node.lab.run("netplan", "generate")
        assert node.try_it()["ok"] is True
        node.do("keep", "a1")
        file.write_text(text)
        told = node.do("undo", "a1")
        assert told["ok"] is True
        assert told["message"] == f"as before; an edit of netplan's files that was never applied still waits: {waits}"
        assert node.state() == before
        assert node.lab.run("ls", "/run/systemd/network").split() == [f"10-netplan-{MANAGEMENT_PORT}.network"]
    finally:
        file.unlink(missing_ok=True)


def test_an_undo_leaves_what_an_administrators_own_file_gives_by_now(node: Node) -> None:
    before = node.state()
    node.try_it()
    node.do("keep", "a1")
    file = node.lab.root / "etc/netplan/40-cx7.yaml"
    file.write_text(FOREIGN.replace("1400", "9000").replace("10.9.8.7", "192.168.100.11"))
    try:
        node.lab.run("netplan", "apply")
        told = node.do("undo", "a1")
        now = node.state()
        keeps = f"{PORT} keeps 192.168.100.11/24, MTU 9000, which another file of this node gives it"
        assert told == {"ok": True, "message": f"as before; {keeps}"}
        assert (now[PORT][0], [one["local"] for one in now[PORT][1]]) == (9000, ["192.168.100.11"])
        assert now[TWIN] == before[TWIN]
    finally:
        node.take_away(file)


def test_an_edit_of_others_that_gives_a_port_of_ours_something_is_refused_or_told(node: Node) -> None:
    before = node.state()
    file = node.lab.root / "etc/netplan/40-cx7.yaml"
    told = f"{PORT} has 10.9.8.7/24, which it did not have before"
    try:
        file.write_text(FOREIGN)
        refused = node.try_it()
        assert (refused["ok"], f"would apply it: {PORT} (/etc/netplan/40-cx7.yaml)" in refused["message"]) == (
            False,
            True,
        )
        assert node.state() == before
        node.lab.run("netplan", "generate")  # units of it are there, and nobody has applied them
        assert node.try_it()["message"] == told
        node.do("keep", "a1")
        gives = f"{PORT} keeps MTU 1400, which another file of this node gives it"
        assert node.do("undo", "a1")["message"] == f"as before; {gives}; {told}"
    finally:
        node.take_away(file)
    node.wait_for(before)


def test_another_run_waits_for_the_end_of_a_trial(node: Node) -> None:
    node.try_it()
    assert "another network is on trial" in node.try_it(name="b2")["message"]
    node.do("keep", "a1")
    kept, other = node.state(), f"{YAML}# of another computer\n"
    for former in ("absent", "0" * 64):
        refused = node.try_it(name="b2", yaml=other, former=former)
        assert refused["message"] == f"{KEPT} is not as it was when this plan was made"
        assert refused["remedy"] == "Look again, and read the new plan."
    assert node.state() == kept, "nothing was changed"
    assert node.try_it(name="b2", yaml=other, former=hashlib.sha256(YAML.encode()).hexdigest())["ok"] is True
    assert node.seen_without_root() == YAML, "what is on trial is not kept"
    node.do("keep", "b2")
    assert node.seen_without_root() == other
    node.do("undo", "b2")
    assert node.state() | {RUN: True} == kept
    assert node.seen_without_root() == YAML
    assert node.try_it(name="b2")["ok"] is True
    node.do("keep", "b2")
    told = {"ok": True, "message": "as before; a later change of it by another bring-up (run b2) went too"}
    assert node.do("undo", "a1") == told
    assert node.do("undo", "b2")["message"] == "nothing to undo"


def test_a_full_disk_leaves_the_trial_to_its_timer(node: Node) -> None:
    before = node.state()
    node.try_it(8)  # long enough for what follows
    node.lab.run("mount", "-t", "tmpfs", "-o", "size=4k", "full", "/etc/netplan")
    try:
        node.lab.run("sh", "-c", "cat /dev/zero > /etc/netplan/ballast 2>/dev/null || true")
        refused = node.do("keep", "a1")
    finally:
        node.lab.run("umount", "--lazy", "/etc/netplan")
    assert "No space left" in refused["message"]
    assert "takes its former network back" in refused["message"]
    node.wait_until_back(before)


def test_a_timer_without_room_for_its_own_note_puts_everything_back(node: Node) -> None:
    before = node.state()
    node.lab.run("mkdir", "-p", RUN)
    node.lab.run("mount", "-t", "tmpfs", "-o", "size=16k", "small", RUN)
    try:
        assert node.try_it(3)["ok"] is True
        node.lab.run("sh", "-c", f"cat /dev/zero > {RUN}/ballast 2>/dev/null || true")
        node.wait_until_back(before)
    finally:
        node.lab.run("umount", "--lazy", RUN)
    node.lab.run("rmdir", RUN)


def test_a_timer_that_fails_tries_again(node: Node) -> None:
    before = node.state()
    assert node.try_it(2)["ok"] is True
    with replaced(node.lab, "/usr/sbin/ip", "/bin/false"):
        node.wait_until_rolling_back()
        time.sleep(1.0)  # and has failed
    node.wait_until_back(before)


def test_an_undo_says_what_it_could_not_put_back_and_can_be_done_again(node: Node) -> None:
    before = node.state()
    node.try_it()
    node.do("keep", "a1")
    script = '#!/bin/sh\ncase "$*" in "link set "*) exit 2 ;; esac\nexec /opt/ip "$@"\n'
    node.lab.run("cp", "/usr/sbin/ip", "/opt/ip")
    (node.lab.root / "opt/lame").write_text(script)
    (node.lab.root / "opt/lame").chmod(0o755)
    with replaced(node.lab, "/usr/sbin/ip", "/opt/lame"):
        told = node.do("undo", "a1")
    assert told["ok"] is False
    assert f"{PORT} has MTU 9000, not 1500" in told["message"]
    assert node.do("undo", "a1")["message"] == "as before"
    assert node.state() == before


def sign_in(lab: Lab, command: str, stdin: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command on the first node through its sshd, as a person's SSH would."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    argv = ["ssh", "-T", *options, "-i", str(lab.key_path), f"{USER}@{lab.nodes[0].address}", command]
    with lab.workstation():
        return subprocess.run(argv, input=stdin.encode(), capture_output=True, timeout=60, check=False)


def test_over_ssh_and_sudo_the_channel_ends_at_once_and_the_timer_lives_on(lab: Lab, node: Node) -> None:
    before = node.state()
    program = f"python3 -I -S -B /opt/link_trial.py try a1 10 '{json.dumps(WANTED)}'"
    done = sign_in(lab, f"sudo -S -p '' {program}", f"{PASSWORD}\n{YAML}")
    assert json.loads(done.stdout)["ok"] is True, done.stderr.decode()
    assert len(node.lab.processes("link_trial.py")) == 1, "the channel has ended before it"
    node.lab.kill_sshd()
    try:
        node.wait_until_back(before)
    finally:
        node.lab.start_sshd()


def test_a_sign_in_over_the_port_itself_is_refused(lab: Lab, node: Node) -> None:
    node.lab.run("ip", "addr", "add", "10.77.0.1/24", "dev", PORT)
    try:
        done = node.do_as("SSH_CONNECTION=10.77.0.9 1 10.77.0.1 22", "try", "a1", "60", json.dumps(WANTED), stdin=YAML)
        assert done["message"] == f"this sign-in came over {PORT}"
        done = node.do_as("SSH_CONNECTION=fe80::9%x 1 fe80::1%x 22", "try", "a1", "60", json.dumps(WANTED), stdin=YAML)
        assert done["ok"] is True, "link-local stays"
        node.do("undo", "a1")
    finally:
        node.lab.run("ip", "addr", "del", "10.77.0.1/24", "dev", PORT)


def test_the_playbooks_ping_finds_a_port_between_with_a_small_mtu(lab: Lab, node: Node) -> None:
    peer = Node(lab.nodes[1])
    text = json.dumps(WANTED).replace(".11/24", ".12/24")
    node.try_it()
    assert peer.do("try", "a1", "60", text, stdin=YAML.replace(".11/24", ".12/24"))["ok"] is True
    wait = next(step for step in pair_steps() if step.id == "network-ping-n1").apply[0]
    assert isinstance(wait, Wait)
    script, (size, *_) = wait.command.argv[2], wait.command.argv[4:]
    words = ("sh", "-c", script, "sh", size, PORT, "192.168.100.12", '{"message": "large"}', '{"message": "all"}')
    try:
        assert '"ok": true' in node.lab.run(*words)
        node.lab.run("ip", "link", "set", PORT, "mtu", "1500")
        with pytest.raises(subprocess.CalledProcessError) as lost:
            node.lab.run(*words)
        assert (lost.value.returncode, lost.value.stdout) == (3, '{"message": "large"}\n')
        node.lab.run("ip", "link", "set", PORT, "mtu", "9000")
        lab.nodes[1].run("ip", "addr", "del", "192.168.100.12/24", "dev", PORT)
        with pytest.raises(subprocess.CalledProcessError) as silent:
            node.lab.run(*words)
        assert silent.value.stdout == '{"message": "all"}\n'
    finally:
        assert peer.do("undo", "a1")["ok"] is True


def test_what_networkd_takes_from_ports_that_nobody_named_is_given_back_after_every_apply(node: Node) -> None:
    """A VPN's rule and table, routes by hand on the management port and on a cable's, IPv6 and a peer's address."""
    gateway = json.loads(node.lab.run("ip", "-j", "route", "show", "default"))[0]["gateway"]
    rule = ("rule", "add", "pref", "5270", "not", "fwmark", "0x80000/0xff0000", "lookup", "52")
    table = ("route", "add", "10.98.0.0/16", "via", gateway, "dev", MANAGEMENT_PORT, "table", "52", "mtu", "1280")
    by_hand = ("route", "add", "10.99.0.0/16", "via", gateway, "dev", MANAGEMENT_PORT, "proto", "static")
    several = ("nexthop", "via", "10.60.0.9", "weight", "2", "nexthop", "via", gateway, "dev", MANAGEMENT_PORT)
    given = [
        ("-6", "rule", "add", "pref", "5271", "from", "fd00:9::/64", "lookup", "53"),
        rule, table, by_hand,
        ("route", "add", "blackhole", "10.97.0.0/16"),
        ("addr", "add", "fd00:1::5/64", "dev", PORT, "nodad"),
        ("addr", "add", "10.60.0.1/24", "dev", PORT),
        ("addr", "add", "10.61.0.1", "peer", "10.61.0.2/32", "dev", TWIN),
        ("route", "add", "10.70.0.0/16", "via", "10.60.0.9", "dev", PORT),
        ("route", "add", "10.71.0.0/16", *several),
        ("-6", "route", "add", "fd00:7::/64", "via", "fd00:1::9", "dev", PORT),
    ]  # fmt: skip
    for words in given:
        node.lab.run("ip", *words)
    before = node.everything()
    assert len(before) >= 15
    try:
        assert node.try_it(6)["ok"] is True
        assert before - node.everything() == set(), "while it is tried"
        deadline_s = time.monotonic() + WAIT_S
        while node.lab.processes("link_trial.py"):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        assert node.everything() == before, "by the timer"
        assert node.try_it()["ok"] is True
        node.do("keep", "a1")
        assert before - node.everything() == set(), "kept"
        assert node.do("undo", "a1") == {"ok": True, "message": "as before"}
        assert node.everything() == before, "undone"
    finally:
        for words in reversed(given):
            node.lab.run("sh", "-c", 'ip "$@" || true', "sh", *(word if word != "add" else "del" for word in words))


def test_a_timer_whose_notes_are_lost_puts_everything_back_all_the_same(node: Node) -> None:
    before = node.state()
    assert node.try_it(3)["ok"] is True
    node.lab.run("rm", "-r", NOTES)
    (node.lab.root / RUN[1:] / "trial.json").unlink()
    node.wait_until_back(before)


def test_a_timer_waits_for_whoever_holds_the_lock(node: Node) -> None:
    before = node.state()
    tried = node.try_it(8)
    assert tried["left_s"] > 0
    held = 'sleep "$0" && exec /usr/bin/python3 -I -S -B /opt/link_trial.py look a1 "$1"'
    words = ("sh", "-c", held, str(tried["left_s"] + 2), json.dumps(WANTED))
    assert json.loads(node.lab.run("flock", f"{RUN}/trial.lock", *words))["ok"] is True
    node.wait_until_back(before)


def test_an_undo_keeps_a_copy_of_what_somebody_wrote_into_our_file(node: Node) -> None:
    before = node.state()
    node.try_it()
    node.do("keep", "a1")
    file = node.lab.root / KEPT[1:]
    file.write_text(YAML + "# what an administrator added\n")
    told = node.do("undo", "a1")
    assert told["ok"] is True
    copy = node.lab.root / told["message"].rpartition("a copy is ")[2].lstrip("/")
    assert copy.read_text() == YAML + "# what an administrator added\n"
    assert f"{KEPT} was changed since" in told["message"]
    copy.unlink()
    node.lab.run("rmdir", "-p", "--ignore-fail-on-non-empty", f"{NOTES}/link_trial")
    assert node.state() == before


def test_where_netplan_has_no_folder_one_is_made_and_taken_away(node: Node) -> None:
    before = node.state()
    node.lab.run("mv", "/etc/netplan", "/etc/netplan.away")
    try:
        assert f"would apply it: {MANAGEMENT_PORT} (its file is gone)" in node.try_it()["message"]
        node.lab.run("netplan", "generate")  # as after a start without the folder
        assert node.try_it()["ok"] is True
        assert node.do("keep", "a1")["ok"] is True
        assert node.do("undo", "a1")["ok"] is True
        assert not (node.lab.root / "etc/netplan").exists()
    finally:
        node.lab.run("mv", "/etc/netplan.away", "/etc/netplan")
        node.lab.run("netplan", "apply")
    node.wait_until_back(before)
