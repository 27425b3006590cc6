"""What was set by hand and what a file gives: addresses and MTU of a cluster's ports, and what a plan makes of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.bringup.chapters.network import plan_network
from sparkdesk.core.bringup.lasting import is_address_lasting, is_mtu_lasting
from sparkdesk.core.bringup.matrix import CellState
from sparkdesk.core.bringup.netplan import OUR_FILE, mtu_in
from sparkdesk.core.bringup.reading import Interface, NetplanFile, NodeReading
from sparkdesk.core.bringup.unit_reading import INDEXES, LINKS, READS, UDEV, UNITS, read_units
from sparkdesk.core.cluster.topology import Shape
from sparkdesk.core.probes.read import Answer, Answers, Fault, Read
from tests.core.bringup.cases import make_case, with_node
from tests.core.bringup.test_network_former import with_ports
from tests.core.probes.any_answers import any_answers

PORT, TWIN = "enp1s0f1np1", "enP2p1s0f1np1"
ADDRESS = IPv4Interface("192.168.100.31/24")
EMPTY = NetplanFile("/etc/netplan/00-installer-config.yaml", "network: {version: 2}\n")
ROOTS = NetplanFile("/etc/netplan/00-installer-config.yaml")
OTHER = "/etc/netplan/40-cx7.yaml"


def file_of(*lines: str, path: str = OTHER) -> NetplanFile:
    """A netplan file that says this of the port."""
    text = "".join(f"      {line}\n" for line in lines)
    return NetplanFile(path, f"network:\n  version: 2\n  ethernets:\n    {PORT}:\n{text}")


def reading_of(*files: NetplanFile, renderer: str = "networkd") -> NodeReading:
    """A node with these files."""
    return NodeReading("n1", "spark-1", netplan=files, renderer=renderer)


@pytest.mark.parametrize(
    ("files", "units", "renderer", "expected"),
    [
        ([EMPTY], None, "networkd", False),
        ([EMPTY], 0, "networkd", False),
        ([EMPTY], 9000, "networkd", True),
        ([EMPTY], None, "NetworkManager", None),
        ([ROOTS], None, "networkd", None),
        ([ROOTS], 9000, "networkd", True),
        ([ROOTS], 0, "networkd", False),
        ([ROOTS, file_of("mtu: 9000", path="/run/netplan/70-try.yaml")], 9000, "networkd", None),
        ([ROOTS, file_of("mtu: 9000")], None, "networkd", True),
        ([EMPTY, file_of('"mtu": 9000 # large')], None, "networkd", True),
        ([EMPTY, file_of("mtu: 1500")], None, "networkd", False),
        ([file_of("mtu: 9000"), file_of("mtu: 1500", path="/etc/netplan/50-late.yaml")], None, "networkd", False),
        ([file_of("routes: [{to: 10.9.0.0/16, mtu: 9000}]")], None, "networkd", None),
        (
            [NetplanFile(OTHER, 'network: {ethernets: {all: {match: {name: "en*"}, mtu: 9000}}}')],
            None,
            "networkd",
            None,
        ),
        ([EMPTY, file_of("mtu: 9000", path="/run/netplan/70-try.yaml")], None, "networkd", False),
    ],
)
def test_an_mtu_lasts_where_a_file_gives_it_and_is_not_known_where_none_could_be_read(
    files: list[NetplanFile], units: int | None, renderer: str, expected: bool | None
) -> None:
    port = Interface(PORT, mtu=9000, unit_mtu=units)
    assert is_mtu_lasting(reading_of(*files, renderer=renderer), port) is expected
    assert is_mtu_lasting(reading_of(*files, renderer=renderer), replace(port, mtu=1500)) is True, (
        "as the kernel has it"
    )
    assert is_mtu_lasting(NodeReading("n1", "spark-1"), port) is None


@pytest.mark.parametrize(
    ("files", "units", "expected"),
    [
        ([EMPTY], None, False),
        ([ROOTS], None, None),
        ([ROOTS], ("192.168.100.31/24",), True),
        ([ROOTS], (), False),
        ([EMPTY, file_of("addresses: [192.168.100.31/24]", path="/run/netplan/70-try.yaml")], None, False),
        ([ROOTS, file_of("addresses: [192.168.100.31/24]")], None, True),
    ],
)
def test_an_address_lasts_where_a_file_or_a_unit_of_networkd_gives_it(
    files: list[NetplanFile], units: tuple[str, ...] | None, expected: bool | None
) -> None:
    port = Interface(PORT, addresses=(str(ADDRESS),), unit_addresses=units)
    assert is_address_lasting(reading_of(*files), port, ADDRESS) is expected


def test_an_mtu_that_was_set_by_hand_is_told_and_written_into_our_file() -> None:
    case = make_case(2, Shape.PAIR, is_ready=True)
    ours = next(file.content for file in case.reading("n1").netplan or () if file.path == OUR_FILE) or ""
    other = NetplanFile(OTHER, ours[ours.index("network:") :].replace("      mtu: 9000\n", ""))
    case = with_node(case, "n1", netplan=(EMPTY, other))
    plan = plan_network(case)
    assert [step.id for stage in plan.stages for step in stage.steps if "trial" in step.id] == ["network-trial-n1"]
    (diff,) = plan.diffs
    after = diff.after or ""
    assert f"    {PORT}:\n      optional: true\n      mtu: 9000\n    {TWIN}:\n" in after
    assert "addresses" not in after, "these stand in a file"
    cell = plan.rows[2].cells["n1"]
    assert (cell.state, cell.text, cell.then) == (CellState.PLANNED, "9000, by hand", "9000, in the file")
    assert "gone after a restart" in cell.evidence
    assert any(f"The MTU of {PORT}, {TWIN} of spark-1 was set by hand" in note for note in plan.notes)
    assert plan.rows[2].cells["n2"].state is CellState.PASS
    ready = with_node(case, "n1", netplan=(EMPTY, other, NetplanFile(OUR_FILE, after)))
    assert plan_network(ready).stages == (), "and a second plan changes nothing"


def test_whether_an_mtu_lasts_is_not_known_where_files_are_roots() -> None:
    case = with_node(make_case(2, Shape.PAIR, is_ready=True), "n1", netplan=(ROOTS,))
    for netdev, address in ((PORT, "192.168.100.31/24"), (TWIN, "192.168.101.31/24")):
        case = with_ports(case, "n1", netdev, unit_addresses=(address,))
    plan = plan_network(case)
    assert plan.stages == ()
    cell = plan.rows[0].cells["n1"]
    assert (cell.state, cell.text) == (CellState.UNREAD, "kept; a restart may not")
    assert cell.evidence.startswith(f"MTU of {PORT}, MTU of {TWIN}: netplan's files are root's")


def test_the_mtu_of_a_port_is_read_from_anybodys_file() -> None:
    routes = "      routes:\n        - to: 10.9.0.0/16\n          mtu: 1400\n"
    nested = f"    {PORT}:\n{routes}      mtu: 9000\n    x:\n      mtu: 1\n"
    assert mtu_in(nested, PORT) == 9000
    assert mtu_in(f"  {PORT}: {{routes: [{{to: 10.9.0.0/16, mtu: 1400}}], mtu: 9216}}\n", PORT) == 9216
    assert mtu_in(f"  {PORT}: {{routes: [{{to: 10.9.0.0/16, mtu: 1400}}]}}\n", PORT) is None
    assert mtu_in(nested, "y") is None


@given(st.text())
def test_looking_for_an_mtu_never_fails(text: str) -> None:
    mtu_in(f"  {PORT}: {text}", PORT)
    mtu_in(f"  {PORT}:\n    {text}", PORT)


NETPLANS = "/run/systemd/network/10-netplan-a.network"


def answers_of(files: dict[str, str], network: str = f"NETWORK_FILE={NETPLANS}\n", link: str = "") -> Answers:
    """One port, number 3, with these units."""
    said: dict[Read, Answer] = {
        INDEXES: Answer(texts=((f"/sys/class/net/{PORT}/ifindex", "3\n"),)),
        LINKS: Answer(texts=(("/run/systemd/netif/links/3", f"ADMIN_STATE=configured\n{network}"),)),
        UDEV: Answer(texts=(("/run/udev/data/n3", f"E:ID_NET_LINK_FILE={link}\n" if link else ""),)),
    }
    for read in UNITS:
        start = read.path.partition("*")[0]
        texts = tuple((path, text) for path, text in files.items() if path.startswith(start))
        said[read] = Answer(texts=texts) if texts else Answer(fault=Fault.ABSENT)
    return said


UNIT = "[Match]\nName=a\n\n[Link]\nMTUBytes=9000\n\n[Network]\nAddress=10.1.1.1/24\n[Route]\nMTUBytes=1400\n"
DEFAULT_LINK = "/usr/lib/systemd/network/99-default.link"


@pytest.mark.parametrize(
    ("files", "words", "expected"),
    [
        ({NETPLANS: UNIT}, {}, (("10.1.1.1/24",), 9000)),
        ({}, {}, (None, None)),
        ({NETPLANS: "[Match]\nName=a\n"}, {"link": DEFAULT_LINK}, ((), 0)),
        ({NETPLANS: "[Match]\nName=a\n"}, {}, ((), None)),
        (
            {NETPLANS: "", "/etc/systemd/network/a.link": "[Link]\nMTUBytes=9100\n"},
            {"link": "/etc/systemd/network/a.link"},
            ((), 9100),
        ),
        ({"/run/systemd/network/mine.network": UNIT}, {"network": "NETWORK_FILE=/run/systemd/network/mine.network\n"},
         (None, None)),
        ({NETPLANS: UNIT}, {"network": f'NETWORK_FILE={NETPLANS}\nNETWORK_FILE_DROPINS="/etc/systemd/network/x"\n'},
         (None, None)),
        ({}, {"network": "", "link": DEFAULT_LINK}, ((), 0)),
    ],
)  # fmt: skip
def test_units_tell_what_a_port_has_where_all_of_them_were_read(
    files: dict[str, str], words: dict[str, str], expected: tuple[tuple[str, ...] | None, int | None]
) -> None:
    assert read_units(answers_of(files, **words)) == {PORT: expected}


@given(any_answers(READS))
def test_reading_units_is_total(answers: Answers) -> None:
    read_units(answers)
