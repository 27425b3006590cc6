"""What netplan makes of its files, with a netplan that is told what to make: what differs, for which port, and then.

The real netplan and networkd are in the lab (tests/lab/bringup/test_link_trial.py).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.remote.trial_programs import load_programs

OURS = "[Match]\nName=cx7\n"
MANAGEMENT = "[Match]\nPermanentMACAddress=02:00:00:00:00:01\nName=lan0\n\n[Network]\nAddress=10.42.0.31/24\n"
PROGRAM = """#!/bin/sh
echo "$0 $*" >> {root}/said
[ "$1" != generate ] || shift
case "$1" in --root-dir)
ls "$2{root}/etc" >> {root}/said; cp -r {root}/made/. "$2"
[ ! -e "$2{root}/etc/90-sparkdesk.yaml" ] || cp -r {root}/made_of_ours/. "$2" ;; esac
[ ! -e {root}/lame-"${{0##*/}}" ] || {{ echo "no such option" >&2; exit 2; }}
"""


class Netplan:
    """A root folder with netplan's files, what is made of them, what stands, and our programs, which look there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        at = str(root).lstrip("/")
        self.names = {"networkd": f"{at}/run/network", "nm": f"{at}/run/nm"}
        for folder in ("etc", "run/network", "run/nm", "made", "made_of_ours", "bin", "links"):
            (root / folder).mkdir(parents=True)
        for name in ("netplan", "networkctl"):
            (root / "bin" / name).write_text(PROGRAM.format(root=root))
            (root / "bin" / name).chmod(0o755)
        self.programs = load_programs(
            SOURCES=(f"{at}/etc",),
            NETWORKD=self.names["networkd"],
            NETWORK_MANAGER=self.names["nm"],
            PREFIXES={self.names["networkd"]: "10-netplan-", self.names["nm"]: "netplan-"},
            KEPT_FILE=str(root / "etc/90-sparkdesk.yaml"),
            LINKS=str(root / "links"),
            SYSTEM=str(root),
            GENERATORS=(str(root / "bin/configure"), str(root / "bin/generate")),
            ASIDE=str(root / "aside"),
            ENV=dict(os.environ, PATH=f"{root}/bin:{os.environ['PATH']}"),
        )

    def stands(self, name: str, text: str, kind: str = "networkd") -> Path:
        """A unit that the services read now."""
        path = Path("/", self.names[kind], name)
        path.write_text(text)
        return path

    def makes(self, name: str, text: str, kind: str = "networkd", *, where: str = "made") -> None:
        """A unit that netplan makes of the files as they are now; `made_of_ours`: where our file is among them."""
        folder = self.root / where / self.names[kind]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    def said(self) -> list[str]:
        """Which programs ran, and what they saw."""
        lines = (self.root / "said").read_text().splitlines()
        return [line.split("/")[-1] for line in lines if "--root-dir" not in line]


@pytest.fixture
def node(tmp_path: Path) -> Netplan:
    """With the management port's file and unit as they belong together."""
    node = Netplan(tmp_path)
    (tmp_path / "etc/00.yaml").write_text("ethernets: {lan0: {}}")
    node.stands("10-netplan-mgmt.network", MANAGEMENT)
    node.makes("10-netplan-mgmt.network", MANAGEMENT)
    return node


def test_files_that_are_applied_are_no_edit_and_nothing_stays_aside(node: Netplan) -> None:
    node.makes("10-netplan-cx7.network", OURS)
    assert node.programs["pending_edits"]({"cx7"}) == []
    assert node.said() == ["00.yaml"], "netplan saw the files of now"
    assert not list(node.root.glob("aside*"))


@pytest.mark.parametrize("change", ["edited", "added", "removed", "of NetworkManager"])
def test_an_edit_for_another_port_is_refused_and_named_with_its_file(node: Netplan, change: str) -> None:
    words = f"lan0 (/{str(node.root).lstrip('/')}/etc/00.yaml)"
    if change == "edited":
        node.makes("10-netplan-mgmt.network", MANAGEMENT.replace(".31", ".32"))
    elif change == "added":
        node.makes("10-netplan-mgmt.link", "[Match]\nPermanentMACAddress=02:00:00:00:00:01\n[Link]\nName=lan0\n")
    elif change == "removed":
        (node.root / "made" / node.names["networkd"] / "10-netplan-mgmt.network").unlink()
        (node.root / "etc/00.yaml").unlink()
        words = "lan0 (its file is gone)"
    else:
        node.makes("netplan-mgmt.nmconnection", "[connection]\ninterface-name=lan0\n", "nm")
    with pytest.raises(node.programs["TrialError"]) as refused:
        node.programs["refuse_pending_edits"]({"cx7"})
    said = f"netplan's files hold an edit that was never applied, and this would apply it: {words}"
    assert refused.value.args == (said, "Apply or take back that edit first (sudo netplan try), then look again.")


def test_what_others_files_would_bring_to_our_ports_is_refused_and_what_ours_brings_is_not(node: Netplan) -> None:
    unit, theirs = "10-netplan-cx7.network", f"{OURS}[Network]\nAddress=10.9.9.9/24\n[Link]\nMTUBytes=1500\n"
    (node.root / "etc/40-x.yaml").write_text("ethernets: {cx7: {}}")
    (node.root / "etc/90-sparkdesk.yaml").write_text("ethernets: {cx7: {mtu: 9000}}")
    refuse = node.programs["refuse_pending_edits"]
    node.makes(unit, theirs.replace("10.9.9.9", "10.1.1.1"))
    ours = theirs.replace("1500", "9000")
    node.makes(unit, ours.replace("10.9.9.9", "10.1.1.1"), where="made_of_ours")
    node.stands(unit, ours.replace("10.9.9.9", "10.1.1.1").replace("9000", "1400"))
    assert refuse({"cx7"}) == "", "an edit of ours is ours to replace, and so is an MTU of others that it overrides"
    node.makes(unit, theirs)
    node.makes(unit, ours, where="made_of_ours")
    with pytest.raises(node.programs["TrialError"], match=r"would apply it: cx7 \(/.*/etc/40-x.yaml\)"):
        refuse({"cx7"})
    node.stands(unit, ours)
    assert refuse({"cx7"}) == "", "it is applied"
    (node.root / "etc/90-sparkdesk.yaml").unlink()
    node.stands(unit, "")
    with pytest.raises(node.programs["TrialError"], match="would apply it: cx7"):
        refuse({"cx7"})


def test_a_netplan_that_cannot_make_it_aside_hinders_nobody_and_it_is_said(node: Netplan) -> None:
    (node.root / "lame-netplan").touch()
    said = node.programs["refuse_pending_edits"]({"cx7"})
    assert said.startswith("whether netplan's files hold an edit that was never applied is not known: netplan generate")
    assert "no such option" in said
    assert not list(node.root.glob("aside*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone writes units")
def test_an_undo_gives_networkd_our_units_alone_while_an_edit_of_others_waits(node: Netplan) -> None:
    other = node.stands("10-netplan-mgmt.network", "older")
    ours, gone = (
        node.stands("10-netplan-cx7.network", "older"),
        node.stands("10-netplan-cx8.network", "[Match]\nName=cx8\n"),
    )
    node.makes("10-netplan-cx7.network", OURS)
    words: list[str] = []
    assert node.programs["apply_former"]({"cx7", "cx8"}, words) == ""
    assert (ours.read_text(), gone.exists(), other.read_text()) == (OURS, False, "older")
    assert node.said()[-1] == "networkctl reload"
    assert [line.partition(": lan0")[0] for line in words] == [
        "an edit of netplan's files that was never applied still waits"
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone writes units")
@pytest.mark.parametrize("why", ["NetworkManager", "no networkctl"])
def test_an_undo_that_cannot_do_so_applies_everything_and_says_so(node: Netplan, why: str) -> None:
    node.makes("10-netplan-mgmt.network", MANAGEMENT.replace(".31", ".32"))
    if why == "NetworkManager":
        node.makes("netplan-cx7.nmconnection", "[connection]\ninterface-name=cx7\n", "nm")
    else:
        (node.root / "lame-networkctl").touch()
    words: list[str] = []
    assert node.programs["apply_former"]({"cx7"}, words) == ""
    assert node.said()[-2:] == ["netplan apply", "networkctl reload"]
    assert words[0].startswith("an edit of netplan's files that was never applied went in with it: lan0")


def test_the_generator_is_called_by_itself_for_netplan_generate_would_hide_every_edit(node: Netplan) -> None:
    shutil.copy(node.root / "bin/netplan", node.root / "bin/generate")
    with (node.root / "bin/netplan").open("a") as file:  # as netplan 1.0: `systemctl daemon-reload`
        file.write(f"cp -r {node.root}/made/. /\n")
    node.makes("10-netplan-mgmt.network", MANAGEMENT.replace(".31", ".32"))
    assert [words.partition(" ")[0] for words in node.programs["pending_edits"]({"cx7"})] == ["lan0"]
    node.programs["SYSTEM"] = "/usr/"
    assert node.programs["generator"]() == "", "of a netplan that is not the system's nothing is known"
    node.programs["SYSTEM"] = str(node.root)
    (node.root / "lame-generate").touch()
    with pytest.raises(node.programs["TrialError"], match="netplan generate failed: no such option"):
        node.programs["pending_edits"]({"cx7"})


def test_files_that_netplan_refuses_are_refused_without_a_unit_where_services_read(node: Netplan) -> None:
    (node.root / "lame-netplan").touch()
    with pytest.raises(node.programs["TrialError"], match=r"no such option\. Nothing was applied"):
        node.programs["refuse_bad_files"]()
    (node.root / "lame-netplan").unlink()
    node.programs["refuse_bad_files"]()
    assert not list(node.root.glob("aside*"))
    assert not [line for line in node.said() if line.startswith(("netplan generate", "netplan apply"))]


def test_an_undo_without_an_edit_of_others_is_a_plain_apply(node: Netplan) -> None:
    words: list[str] = []
    assert node.programs["apply_former"]({"cx7"}, words) == ""
    assert (node.said()[-2:], words) == (["netplan apply", "networkctl reload"], [])


def test_what_networkds_files_give_a_port_is_read_from_the_file_that_it_uses(node: Netplan) -> None:
    index = Path("/sys/class/net/lo/ifindex").read_text().strip()
    extra = node.root / "extra.conf"
    text = (
        "[Match]\nName=lo\n[Link]\nMTUBytes=9000\n[Network]\nAddress=10.1.1.1/24\n[DHCPServer]\nAddress=10.9.9.9/24\n"
    )
    path = node.stands("10-netplan-lo.network", f"{text}[Address]\nAddress = 10.1.2.1/24\n[Route]\nMTUBytes=1400\n")
    extra.write_text("[Network]\nAddress=10.1.3.1/24\n")
    other = node.root / "own: \\.conf"
    other.write_text("[Network]\nAddress=10.1.4.1/24\n")
    escaped = str(other).replace("\\", "\\x5c").replace(":", "\\x3a").replace(" ", "\\x20")
    (node.root / "links" / f"{index}0").write_text("NETWORK_FILE=/nowhere\n")
    assert node.programs["given_by_files"]("lo") == (set(), None)
    (node.root / "links" / index).write_text(
        f'ADMIN_STATE=x\nNETWORK_FILE={path}\nNETWORK_FILE_DROPINS="{extra}:/gone:{escaped}"\n'
    )
    given = {"10.1.1.1/24", "10.1.2.1/24", "10.1.3.1/24", "10.1.4.1/24"}
    assert node.programs["given_by_files"]("lo") == (given, 9000)
    assert node.programs["is_set_by_netplan"]("lo") is True
    (node.root / "links" / index).write_text(f'NETWORK_FILE={extra}\nNETWORK_FILE_DROPINS=""\n')
    assert node.programs["network_files"]("lo") == [str(extra)]
    assert node.programs["is_set_by_netplan"]("lo") is False
    assert node.programs["given_by_files"]("no-such-port") == (set(), None)


def test_what_network_manager_gives_a_port_is_read_from_the_connection_that_netplan_made(node: Netplan) -> None:
    index = Path("/sys/class/net/lo/ifindex").read_text().strip()
    text = (
        "[connection]\nid=netplan-lan\ninterface-name=lo\n\n[ethernet]\nmtu=9000\n\n[ipv4]\nmethod=manual\n"
        "address1=10.1.1.1/24,10.1.1.254\naddress2=10.1.2.1/24\nroute1=10.9.0.0/16,10.1.1.9\n"
    )
    node.stands("netplan-lan.nmconnection", text, "nm")
    assert node.programs["given_by_files"]("lo") == ({"10.1.1.1/24", "10.1.2.1/24"}, 9000)
    assert node.programs["is_set_by_netplan"]("lo") is True
    assert node.programs["is_set_by_netplan"]("lan") is False
    (node.root / "links" / index).write_text("NETWORK_FILE=/etc/systemd/network/lo.network\n")
    assert node.programs["is_set_by_netplan"]("lo") is False, "networkd has it"
