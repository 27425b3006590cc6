"""What is read of ~/.ssh, and what each node should have there: hostile texts, shared names, our own lines alone."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.bringup import mesh
from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapters.keys import plan_keys
from sparkdesk.core.bringup.mesh import READS, Member, find_members, read_ssh, why_not
from sparkdesk.core.bringup.netplan import OUR_FILE
from sparkdesk.core.bringup.reading import NetplanFile, SshReading
from sparkdesk.core.bringup.scheme import HalfAddress, Lane, Scheme
from sparkdesk.core.bringup.scheme_choice import make_scheme
from sparkdesk.core.cluster.port import CAGE_NETDEVS
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.probes.read import Answer, Fault, Read, ReadCommand
from tests.core.bringup.cases import make_case, with_node
from tests.core.bringup.mesh_cases import make_key
from tests.infra.sshd import require

MODES, CONNECTION, PUBLIC, AUTHORIZED, KNOWN, CONFIG = READS
ABSENT = Answer(fault=Fault.ABSENT)
OURS = f"{make_key(1)} sparkdesk-mesh spark-2 n2"
BLOCK = "# >>> sparkdesk-mesh spark-2 n2\nHost 10.0.20.32\n    User ana\nHost *\n# <<< sparkdesk-mesh\n"


def said(read: Read, text: str) -> dict[Read, Answer]:
    """One answer."""
    return {read: Answer(texts=(("", text),), code=0 if isinstance(read, ReadCommand) else None)}


def test_a_home_without_ssh_is_known_to_have_nothing() -> None:
    nothing = {PUBLIC: ABSENT, **said(AUTHORIZED, ""), **said(KNOWN, ""), **said(CONFIG, "")}
    found = read_ssh({**nothing, **said(MODES, "750\n-\n-\n-\n"), **said(CONNECTION, "10.0.20.5 4711 10.0.20.31 22\n")})
    assert found == SshReading(home_mode="750", authorized=(), known_hosts=(), config="", port=22)


def test_what_nobody_read_is_not_known() -> None:
    assert read_ssh({}) == SshReading()


def test_only_lines_and_blocks_with_our_mark_are_ours() -> None:
    lines = f"# sparkdesk-mesh\nssh-rsa AAAA bob\n{OURS}\n{OURS} more\nsparkdesk-mesh spark-2 n2\n"
    config = f"Host *\n{BLOCK}Host x\n    # >>> sparkdesk-mesh a b\n{BLOCK}"
    answers = {**said(AUTHORIZED, lines), **said(KNOWN, lines), **said(CONFIG, config)}
    found = read_ssh(answers)
    assert found.authorized == found.known_hosts == (OURS,)
    assert found.config == BLOCK + BLOCK


def test_what_was_cut_or_denied_is_not_known() -> None:
    cut = Answer(texts=(("", OURS),), is_cut=True)
    denied = Answer(fault=Fault.DENIED)
    found = read_ssh({AUTHORIZED: cut, KNOWN: denied, CONFIG: cut})
    assert (found.authorized, found.known_hosts, found.config) == (None, None, None)


@pytest.mark.parametrize("mode", ["644", "-", "drwx", ""])
def test_a_public_half_counts_only_beside_a_private_one_that_ssh_accepts(mode: str) -> None:
    public = said(PUBLIC, f"{make_key(1)} sparkdesk-mesh spark-1 n1\n")
    assert read_ssh({**public, **said(MODES, "750\n700\n600\n600\n")}).public_key == make_key(1)
    assert read_ssh({**public, **said(MODES, f"750\n700\n600\n{mode}\n")}).public_key == ""


@pytest.mark.parametrize("text", ["", "1 2 3", "a b c 0", "a b c 65536", "a b c 22 d", "a b c -1", "a b c ٢٢"])
def test_a_port_that_is_none_is_not_known(text: str) -> None:
    assert read_ssh(said(CONNECTION, text)).port is None


@given(st.dictionaries(st.sampled_from(READS), st.text(max_size=300)))
def test_any_text_gives_a_reading(texts: dict[Read, str]) -> None:
    answers: dict[Read, Answer] = {}
    for read, text in texts.items():
        answers |= said(read, text)
    found = read_ssh(answers)
    assert all("\n" not in line for line in (*(found.authorized or ()), *(found.known_hosts or ()), found.public_key))


# Members -------------------------------------------------------------------------------------------------------------


def members(case: Case, scheme: Scheme | None = None) -> dict[str, Member]:
    """By node id."""
    return {one.node_id: one for one in find_members(case, scheme or Scheme())}


def test_a_peer_is_known_by_its_management_address_its_name_and_its_cables() -> None:
    ends = tuple(
        HalfAddress(f"n{number}", "P0", "enp1s0f0np0", f"192.168.100.{number}/24") for number in (1, 2)
    )  # fmt: skip
    found = members(make_case(2, Shape.PAIR), Scheme((Lane("cable", 0, "192.168.100.0/24", ends),)))["n2"]
    assert found.names == ("10.0.20.32", "192.168.100.2")
    assert found.known_line == f"10.0.20.32,192.168.100.2 {found.host_key} sparkdesk-mesh spark-2 n2"
    assert found.block == (
        "# >>> sparkdesk-mesh spark-2 n2\nHost spark-2\n    HostName 10.0.20.32\n"
        "Host 10.0.20.32 192.168.100.2 spark-2\n    HostName %h\n    User nvidia\n    Port 22\n"
        "    ProxyCommand none\n    ProxyJump none\n    ControlPath none\n"
        "    IdentityFile ~/.ssh/id_ed25519_sparkdesk\n    IdentitiesOnly yes\n    UpdateHostKeys no\nHost *\n"
        "# <<< sparkdesk-mesh\n"
    )


def test_another_port_stands_in_both() -> None:
    found = members(with_node(make_case(2, Shape.PAIR), "n2", ssh=SshReading(port=2222)))["n2"]
    assert found.known_line.startswith("[10.0.20.32]:2222 ssh-ed25519 ")
    assert "    Port 2222\n" in found.block


def test_an_address_or_name_that_two_nodes_have_is_nobodys() -> None:
    case = with_node(make_case(3, Shape.RING), "n3", name="Spark-2", management_address="10.0.20.31")
    found = members(case)
    assert list(found) == ["n2"], "nothing is left of the others that is their own"
    assert (found["n2"].names, found["n2"].alias) == (("10.0.20.32",), "")


@pytest.mark.parametrize(
    "name",
    ["github.com", "localhost", "LOCALHOST", "-oProxyCommand=x", "*", "a b", "a,b", "!x", "ä", "", "x" * 64, "7"],
)
def test_a_name_that_is_no_plain_label_is_not_taken(name: str) -> None:
    found = members(with_node(make_case(2, Shape.PAIR), "n2", name=name))["n2"]
    assert (found.names, found.alias) == (("10.0.20.32",), "")
    assert "Host 10.0.20.32\n" in found.block


def test_what_a_node_calls_itself_stands_nowhere() -> None:
    found = members(with_node(make_case(2, Shape.PAIR), "n2", hostname="nas"))["n2"]
    assert "nas" not in found.known_line + found.block


@pytest.mark.parametrize(
    ("used", "said", "expected"),
    [
        ("10.0.20.32", "140.82.112.3", "10.0.20.32"),
        ("10.0.20.32", "10.0.20.9", "10.0.20.32"),
        ("203.0.113.7", "10.0.20.9", "203.0.113.7"),
        ("spark-2.local", "10.0.20.32", "10.0.20.32"),
        ("spark-2.local", "140.82.112.3", ""),
        ("spark-2.local", "250.1.2.3", ""),
        ("fe80::1%eth0", "10.0.20.32", "10.0.20.32"),
        ("127.0.0.1", "10.0.20.32", "10.0.20.32"),
    ],
)
def test_the_address_is_the_one_that_sparkdesk_uses_and_no_node_stands_for_a_host_elsewhere(
    used: str, said: str, expected: str
) -> None:
    case = with_node(make_case(2, Shape.PAIR), "n2", address=used, management_address=said)
    found = members(case)
    assert (found["n2"].address if "n2" in found else "") == expected


@pytest.mark.parametrize("address", ["", "127.0.0.1", "::1", "fe80::1", "fe80::1%eth0", "224.0.0.1", "0.0.0.0", "x"])
def test_an_address_that_no_peer_could_mean_is_not_taken(address: str) -> None:
    assert "n2" not in members(with_node(make_case(2, Shape.PAIR), "n2", management_address=address))


def test_no_setting_of_the_persons_own_leads_a_peer_elsewhere(tmp_path: Path) -> None:
    require(shutil.which("ssh") is not None, "there is no ssh")
    block = members(make_case(2, Shape.PAIR))["n2"].block
    own = ("Port 2222", "ProxyCommand nc x 1", "ProxyJump bastion", "HostName evil", "ControlPath /tmp/%C", "User eve")
    (tmp_path / "config").write_text(block + "".join(f"{line}\n" for line in ("Host *", *own)))
    for name in ("spark-2", "10.0.20.32"):
        words = ("ssh", "-G", "-F", str(tmp_path / "config"), name)
        told = subprocess.run(words, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
        said = dict(line.split(" ", 1) for line in told.splitlines() if " " in line)
        assert (said["hostname"], said["port"], said["user"]) == ("10.0.20.32", "22", "nvidia")
        assert {"proxyjump", "controlpath"}.isdisjoint(said)
        assert said.get("proxycommand", "none") == "none"


def test_simulated_nodes_have_loopback_addresses() -> None:
    case = with_node(make_case(2, Shape.PAIR, is_simulated=True), "n2", management_address="127.77.0.2")
    assert members(case)["n2"].address == "127.77.0.2"


@pytest.mark.parametrize(
    "changes",
    [
        {"user": "ana bob"},
        {"user": "ana\n    ProxyCommand x"},
        {"user": "-x"},
        {"user": ""},
        {"host_key": ""},
        {"host_key": "ssh-ed25519 AAAA\n* ssh-ed25519 BBBB"},
        {"did_answer": False},
    ],
)
def test_a_node_of_which_something_is_not_plain_takes_no_part(changes: dict[str, object]) -> None:
    case = with_node(make_case(2, Shape.PAIR), "n2", **changes)
    assert list(members(case)) == ["n1"]
    assert why_not(case.reading("n2"))


def test_odd_names_and_ids_of_nodes_become_one_plain_word() -> None:
    case = make_case(2, Shape.PAIR)
    case = replace(case, readings={**case.readings, "n2": replace(case.reading("n2"), name="my spark\n# <<< ☃")})
    found = members(case)["n2"]
    assert found.comment == "sparkdesk-mesh my-spark- n2"
    assert read_ssh(said(CONFIG, found.block)).config == found.block
    assert read_ssh(said(KNOWN, found.known_line)).known_hosts == (found.known_line,)
    assert mesh.plain_word("☃" * 100) == "-"


@pytest.mark.parametrize("is_cut_off", [False, True], ids=["addresses stand", "addresses went with the link"])
def test_a_peer_that_is_off_takes_none_of_its_neighbours_addresses_out_of_the_mesh(*, is_cut_off: bool) -> None:
    case = with_node(make_case(3, Shape.RING, is_ready=True), "n3", did_answer=False, message="off")
    for node, port in (("n1", "P1"), ("n2", "P0")) if is_cut_off else ():
        ports = case.reading(node).interfaces
        dark = {name: replace(ports[name], carrier=False, addresses=()) for name in CAGE_NETDEVS[port]}
        case = with_node(case, node, interfaces={**ports, **dark})
    plan = plan_keys(case, make_scheme(case))
    assert plan.stages == ()
    unread = (NetplanFile("/etc/netplan/00-installer-config.yaml"), NetplanFile(OUR_FILE))
    for node in ("n1", "n2"):
        case = with_node(case, node, netplan=unread)
    assert plan_keys(case, make_scheme(case)).stages == (), "what our file gives it is not known to have changed"


def test_an_address_that_a_node_gave_up_leaves_its_peers_lines() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    ports = case.reading("n1").interfaces
    moved = {"enp1s0f1np1": replace(ports["enp1s0f1np1"], addresses=("192.168.100.77/24",))}
    case = with_node(case, "n1", interfaces={**ports, **moved})
    first = next(one for one in find_members(case, make_scheme(case)) if one.node_id == "n1")
    assert "192.168.100.77" in first.names
    assert "192.168.100.31" not in first.names


def test_what_a_peers_line_says_of_a_node_counts_only_with_its_pinned_key() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    ports = case.reading("n1").interfaces
    spare = {"enp1s0f0np0": replace(ports["enp1s0f0np0"], addresses=("192.168.7.1/24",))}
    case = with_node(case, "n1", interfaces={**ports, **spare})
    names = [one.names for one in find_members(case, make_scheme(case))]
    assert not any("192.168.7.1" in each for each in names), "a node's word alone makes nothing of an address"
    for key, is_taken in ((case.reading("n1").host_key, True), (make_key(9), False)):
        line = f"10.0.20.31,192.168.7.1,8.8.8.8 {key} sparkdesk-mesh spark-1 n1"
        told = with_node(case, "n2", ssh=replace(case.reading("n2").ssh, known_hosts=(line,)))
        first = find_members(told, make_scheme(told))[0]
        assert ("192.168.7.1" in first.names) is is_taken
        assert "8.8.8.8" not in first.names
