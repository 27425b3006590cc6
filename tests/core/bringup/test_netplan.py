"""Our netplan file: what stands in it, that netplan understands it, and that only our own text is taken for ours."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.bringup.netplan import (
    OUR_FILE,
    addresses_in,
    gives_address,
    names_manager,
    netplan_text,
    read_edited,
    read_ours,
    rival_of,
)
from sparkdesk.core.bringup.reading import Interface, NetplanFile
from sparkdesk.core.bringup.scheme import HalfAddress
from tests.infra.sshd import require
from tests.remote.trial_programs import load_programs

PORT, TWIN = "enp1s0f1np1", "enP2p1s0f1np1"
TRIAL = load_programs()
FRESH = HalfAddress("n1", "P1", PORT, "192.168.100.31/24", needs_mtu=True)
SECOND = HalfAddress("n1", "P1", TWIN, "192.168.101.31/24", needs_mtu=True)
TEXT = """# Written by SparkDesk, for the CX-7 ports named below. Other files and other ports are left as they are.
# To remove it: sudo rm /etc/netplan/90-sparkdesk.yaml && sudo netplan apply
network:
  version: 2
  ethernets:
    # IPv6 link-local stays on: SparkDesk sees the cabling by it and reaches Sparks without an address.
    # optional: a start does not wait for a cable that is out.
    enp1s0f1np1:
      dhcp4: no
      dhcp6: no
      link-local: [ipv6]
      optional: true
      mtu: 9000
      addresses: [192.168.100.31/24]
    enP2p1s0f1np1:
      dhcp4: no
      dhcp6: no
      link-local: [ipv6]
      optional: true
      mtu: 9000
      addresses: [192.168.101.31/24]
"""


def generate(folder: Path, **files: str) -> dict[str, str]:
    """What netplan makes of these files for systemd-networkd."""
    require(shutil.which("netplan") is not None, "netplan is not installed")
    place = folder / "etc/netplan"
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / f"{name.replace('_', '-')}.yaml").write_text(text)
        (place / f"{name.replace('_', '-')}.yaml").chmod(0o600)
    done = subprocess.run(
        ["netplan", "generate", "--root-dir", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_text() for path in (folder / "run/systemd/network").glob("*.network")}


def test_a_fresh_node_gets_both_halves_and_the_way_to_remove_them() -> None:
    assert netplan_text([FRESH, SECOND]) == TEXT
    assert f"sudo rm {OUR_FILE}" in TEXT


def test_an_address_that_another_file_gives_gets_its_mtu_only() -> None:
    kept = replace(FRESH, origin="kept", is_set_elsewhere=True)
    assert netplan_text([kept]).endswith("    enp1s0f1np1:\n      optional: true\n      mtu: 9000\n")
    assert netplan_text([replace(kept, needs_mtu=False)]) == ""
    unknown = replace(FRESH, origin="kept")
    assert netplan_text([unknown]).endswith(
        "    enp1s0f1np1:\n      optional: true\n      mtu: 9000\n      addresses: [192.168.100.31/24]\n"
    ), "a start does not wait for the cable"
    assert "dhcp4" not in netplan_text([replace(FRESH, beside=("10.1.1.1/24",))])


def test_netplan_takes_the_text_and_joins_it_with_others(tmp_path: Path) -> None:
    other = (
        f"network:\n  version: 2\n  ethernets:\n    {PORT}:\n      dhcp4: true\n      addresses: [192.168.100.31/24, "
        "10.1.1.1/24]\n"
    )
    made = generate(
        tmp_path, **{"40_cx7": other, "90_sparkdesk": netplan_text([replace(FRESH, beside=("x",)), SECOND])}
    )
    network = made[f"10-netplan-{PORT}.network"]
    assert network.count("Address=192.168.100.31/24") == 1
    assert "Address=10.1.1.1/24" in network
    assert "DHCP=ipv4" in network
    assert "MTUBytes=9000" in network
    twin = made[f"10-netplan-{TWIN}.network"]
    assert "DHCP" not in twin
    assert "LinkLocalAddressing=ipv6" in twin
    assert "RequiredForOnline=no" in twin


@pytest.mark.parametrize(
    "bad",
    [
        replace(FRESH, netdev="x:\n    y"), replace(FRESH, netdev="../x"), replace(FRESH, address="192.168.1.300/24"),
        replace(FRESH, address="fe80::1/64"), replace(FRESH, mtu=65536), replace(FRESH, netdev=""),
    ],
)  # fmt: skip
def test_nothing_unchecked_comes_into_the_text(bad: HalfAddress) -> None:
    with pytest.raises(ValueError, match=r".+"):
        netplan_text([bad])
    with pytest.raises(ValueError, match="one address"):
        netplan_text([FRESH, FRESH])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('  all-en:\n    match: {name: "en*"}\n    dhcp4: true\n', "all-en"),
        ("  all-en:\n    match:\n      name: en*\n", "all-en"),
        ('  "a":\n    match:\n      macaddress: "4C:BB:47:00:01:20"\n', "a"),
        ("  a:\n    match: {driver: mlx5_core}\n", "a"),
        ("  a:\n    match: {driver: r8152, name: en*}\n", ""),
        ("  zz-all:\n    match: {name: 'en*'}\n", ""),
        ("  all-wl:\n    match: {name: 'wl*'}\n", ""),
        (f"  {PORT}:\n    match:\n      macaddress: 4c:bb:47:00:01:20\n", ""),
        ("  # a:\n    # match: {name: 'en*'}\n", ""),
        ("match:", ""),
        ("  a:\n    match: {}\n", ""),
    ],
)
def test_a_pattern_that_takes_a_port_ahead_of_our_file_is_found(text: str, expected: str) -> None:
    assert rival_of(text, Interface(PORT, "4c:bb:47:00:01:20")) == expected


def test_netplan_calls_a_patterns_file_after_its_name_and_it_sorts_ahead(tmp_path: Path) -> None:
    other = 'network:\n  version: 2\n  ethernets:\n    all-en:\n      match: {name: "en*"}\n      dhcp4: true\n'
    made = sorted(generate(tmp_path, **{"50_cloud_init": other, "90_sparkdesk": netplan_text([FRESH])}))
    assert made == ["10-netplan-all-en.network", f"10-netplan-{PORT}.network"]


@pytest.mark.parametrize("name", ["90-NM-5f0e.yaml", "01-network-manager-all.yaml"])
def test_files_of_network_manager_are_known_by_name_or_text(name: str) -> None:
    text = None if name.startswith("90-NM") else "network:\n  renderer: NetworkManager\n"
    assert names_manager(NetplanFile(f"/etc/netplan/{name}", text))
    assert not names_manager(NetplanFile("/etc/netplan/40-cx7.yaml", "network:\n  renderer: networkd\n"))
    assert not names_manager(NetplanFile("/etc/netplan/40-cx7.yaml"))


@given(st.text())
def test_looking_for_a_pattern_never_fails(text: str) -> None:
    rival_of(text, Interface(PORT))
    rival_of(f"  a:\n    match: {text}", Interface(PORT))
    names_manager(NetplanFile("/etc/netplan/a.yaml", text))


@given(st.text())
def test_looking_for_an_address_never_fails(text: str) -> None:
    gives_address(text, PORT, "192.168.100.31/24")


def test_a_file_that_gives_an_address_is_found() -> None:
    assert gives_address(TEXT, PORT, "192.168.100.31/24")
    assert not gives_address(TEXT, TWIN, "192.168.100.31/24")
    assert not gives_address(TEXT, PORT, "92.168.100.31/24")
    assert gives_address(f"    {PORT}: {{addresses: [10.1.1.1/24]}}", PORT, "10.1.1.1/24")
    assert gives_address(f'  "{PORT}":\n    addresses:\n      - 10.1.1.1/24\n', PORT, "10.1.1.1/24")
    assert not gives_address(f"  {PORT}:\n    addresses:\n      # - 10.1.1.1/24\n  x:\n", PORT, "10.1.1.1/24")


def test_our_own_file_is_read_back_and_what_it_gives_to_other_ports_stays() -> None:
    third = HalfAddress("n1", "P0", "enp1s0f0np0", "192.168.102.31/24", needs_mtu=True)
    former = read_ours(TEXT)
    assert former is not None
    assert [(one.netdev, one.mtu, one.addresses) for one in former] == [
        (PORT, 9000, ("192.168.100.31/24",)), (TWIN, 9000, ("192.168.101.31/24",)),
    ]  # fmt: skip
    text = netplan_text([third], former)
    assert text.startswith(TEXT)
    assert "enp1s0f0np0:" in text.removeprefix(TEXT)
    moved = netplan_text([replace(FRESH, address="10.0.0.1/24"), third], former)
    assert "192.168.100.31" not in moved
    assert "192.168.101.31" in moved
    kept = replace(FRESH, origin="kept", mtu=9216)
    assert netplan_text([kept], former) == TEXT.replace("mtu: 9000", "mtu: 9216", 1)
    elsewhere = replace(FRESH, origin="kept", needs_mtu=False, is_set_elsewhere=True)
    assert netplan_text([elsewhere], former) == TEXT, "the MTU there may be ours"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"origin": "kept", "is_set_elsewhere": True, "address": "10.1.1.1/24"}, "addresses: [192.168.100.31/24]"),
        ({"origin": "kept", "address": "10.1.1.1/24"}, "addresses: [192.168.100.31/24, 10.1.1.1/24]"),
        ({"address": "10.1.1.1/24", "beside": ("10.2.2.2/24",)}, "addresses: [10.1.1.1/24]"),
        (
            {"origin": "kept", "mtu": 9216, "needs_mtu": False, "is_mtu_lasting": False},
            "addresses: [192.168.100.31/24]",
        ),
    ],
)
def test_a_port_of_our_file_keeps_what_it_says_beside_mtu_and_address(changes: dict[str, Any], line: str) -> None:
    former = read_ours(TEXT)
    assert former is not None
    end = replace(FRESH, **changes)
    text = netplan_text([end], former)
    wanted = TEXT.replace("addresses: [192.168.100.31/24]", line, 1).replace("mtu: 9000", f"mtu: {end.mtu}", 1)
    assert text == wanted
    assert netplan_text([end], read_ours(text) or ()) == wanted, "and it is read again"


def test_a_lease_ends_by_no_line_of_ours() -> None:
    end = replace(FRESH, origin="kept", leased=("192.168.100.31/24",))
    assert netplan_text([end], read_ours(TEXT) or ()) == TEXT.replace("dhcp4: no", "dhcp4: yes", 1)


EDITED = f"""# mine
network:
  version: 2
  ethernets:

    {PORT}:
      mtu: 9000   # large
      # and more
      addresses:
        - 192.168.100.31/24
        - "10.5.5.5/24"
      routes: [{{to: 10.9.0.0/16, via: 10.5.5.1}}]
    {TWIN}:
      mtu: 1500
"""


def test_the_lines_of_other_ports_in_our_edited_file_stay() -> None:
    former = read_edited(EDITED)
    assert former is not None
    assert [one.netdev for one in former] == [PORT, TWIN]
    text = netplan_text([SECOND], former)
    assert '        - "10.5.5.5/24"\n      routes: [{to: 10.9.0.0/16, via: 10.5.5.1}]\n' in text
    assert "mtu: 1500" not in text
    assert "# and more" not in text
    assert read_edited(text) is not None


@pytest.mark.parametrize(
    "bad",
    [
        "", "network: {version: 2}\n", EDITED.replace("  version: 2\n", "  version: 2\n  renderer: NetworkManager\n"),
        EDITED.replace("routes: [", "routes: &a ["), EDITED.replace(TWIN, PORT), EDITED.replace("   mtu: 1500\n", "\n"),
        EDITED + "  wifis:\n    wl: {}\n", EDITED.replace("      mtu: 1500", "\t mtu: 1500"),
    ],
)  # fmt: skip
def test_an_edit_that_is_not_understood_is_not_carried_on(bad: str) -> None:
    assert read_edited(bad) is None
    assert TRIAL["read_edited"](bad) == {}


@given(st.text(max_size=200))
def test_the_node_understands_an_edited_file_as_the_plan_does(text: str) -> None:
    for one in (text, EDITED + text, EDITED.replace("large", text)):
        here, there = read_edited(one) or (), TRIAL["read_edited"](one)
        assert {block.netdev: block.text for block in here} == {
            name: "\n".join((*lines, "")) for name, lines in there.items()
        }


@pytest.mark.parametrize(
    "text",
    [
        "", TEXT + "# mine\n", TEXT.replace("mtu: 9000", "mtu: 9"), TEXT.replace("    enp1s0f1np1", "    en*", 1),
        TEXT.replace("optional: true\n", "optional: true\n      gateway4: 10.0.0.1\n", 1), TEXT[: len(TEXT) // 2],
        TEXT.replace("192.168.100.31/24", "192.168.100.31/99"), TEXT.replace(TWIN, PORT), TEXT.rstrip("\n"),
        TEXT.replace("    # optional: a start does not wait for a cable that is out.\n", ""),
    ],
)  # fmt: skip
def test_a_file_that_somebody_changed_by_a_letter_is_not_taken_for_ours(text: str) -> None:
    assert read_ours(text) is None


@given(st.text(max_size=400))
def test_reading_our_file_is_total(text: str) -> None:
    assert read_ours(text) is None
    assert read_ours(TEXT + text) is None or not text


def test_the_addresses_of_a_port_are_read_from_anybodys_file() -> None:
    assert addresses_in(TEXT, TWIN) == ("192.168.101.31/24",)
    text = f"""network:
  ethernets:
    {PORT}:
      addresses:   # two
        - 10.1.2.3/24
        - "10.1.3.3/24"
      routes: [{{to: 10.9.0.0/16, via: 10.1.2.1}}]
      nameservers: {{addresses: [1.1.1.1]}}
    {TWIN}: {{addresses: [10.2.2.3/24], mtu: 9000}}
"""
    assert addresses_in(text, PORT) == ("10.1.2.3/24", "10.1.3.3/24")
    assert addresses_in(text, TWIN) == ("10.2.2.3/24",)
    assert addresses_in(text, "enp9") == ()
