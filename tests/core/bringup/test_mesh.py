"""What is read of ~/.ssh, and what each node should have there: hostile texts, shared names, our own lines alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.bringup import mesh
from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.mesh import READS, Member, find_members, read_ssh, why_not
from sparkdesk.core.bringup.reading import SshReading
from sparkdesk.core.bringup.scheme import HalfAddress, Lane, Scheme
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.probes.read import Answer, Fault, Read, ReadCommand
from tests.core.bringup.cases import make_case, with_node
from tests.core.bringup.mesh_cases import make_key

MODES, CONNECTION, PUBLIC, AUTHORIZED, KNOWN, CONFIG = READS
ABSENT = Answer(fault=Fault.ABSENT)
OURS = f"{make_key(1)} sparkdesk-mesh spark-2 n2"
BLOCK = "# >>> sparkdesk-mesh spark-2 n2\nHost 10.0.20.32\n    User ana\nHost *\n# <<< sparkdesk-mesh\n"


def said(read: Read, text: str) -> dict[Read, Answer]:
    """One answer."""
    return {read: Answer(texts=(("", text),), code=0 if isinstance(read, ReadCommand) else None)}


def test_a_home_without_ssh_is_known_to_have_nothing() -> None:
    nothing: dict[Read, Answer] = dict.fromkeys(READS[2:], ABSENT)
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
    assert found.names == ("10.0.20.32", "spark-2", "192.168.100.2")
    assert found.known_line == f"10.0.20.32,spark-2,192.168.100.2 {found.host_key} sparkdesk-mesh spark-2 n2"
    assert found.block == (
        "# >>> sparkdesk-mesh spark-2 n2\nHost 10.0.20.32 spark-2 192.168.100.2\n    User nvidia\n"
        "    IdentityFile ~/.ssh/id_ed25519_sparkdesk\n    IdentitiesOnly yes\n    UpdateHostKeys no\nHost *\n"
        "# <<< sparkdesk-mesh\n"
    )


def test_another_port_stands_in_both() -> None:
    found = members(with_node(make_case(2, Shape.PAIR), "n2", ssh=SshReading(port=2222)))["n2"]
    assert found.known_line.startswith("[10.0.20.32]:2222,[spark-2]:2222 ssh-ed25519 ")
    assert "    Port 2222\n" in found.block


def test_a_name_or_address_that_two_nodes_claim_is_nobodys() -> None:
    case = with_node(make_case(3, Shape.RING), "n3", hostname="spark-2", management_address="10.0.20.31")
    found = members(case)
    assert list(found) == ["n1", "n2"], "what is left of n3 is nothing that is its own"
    assert (found["n1"].address, found["n1"].names) == ("", ("spark-1",))
    assert found["n2"].names == ("10.0.20.32",)


@pytest.mark.parametrize(
    "name", ["github.com", "localhost", "LOCALHOST", "-oProxyCommand=x", "*", "a b", "a,b", "!x", "ä", "", "x" * 64]
)
def test_a_name_that_is_no_plain_label_is_not_taken(name: str) -> None:
    assert members(with_node(make_case(2, Shape.PAIR), "n2", hostname=name))["n2"].names == ("10.0.20.32",)


@pytest.mark.parametrize("address", ["", "127.0.0.1", "::1", "fe80::1", "fe80::1%eth0", "224.0.0.1", "0.0.0.0", "x"])
def test_an_address_that_no_peer_could_mean_is_not_taken(address: str) -> None:
    found = members(with_node(make_case(2, Shape.PAIR), "n2", management_address=address))["n2"]
    assert (found.address, found.names) == ("", ("spark-2",))


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
