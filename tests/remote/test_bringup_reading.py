"""What a bring-up reads, answered by the real reader and this machine's own programs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from sparkdesk.core.bringup import mesh, netplan_reading
from sparkdesk.core.bringup.netplan import OUR_FILE
from sparkdesk.core.bringup.reading import NetplanFile, NodeReading, SshReading
from sparkdesk.core.bringup.reading_table import READS, read_node
from tests.remote.spark_root import make_spark, write
from tests.remote.test_reader import ask


@pytest.fixture
def reading(tmp_path: Path) -> NodeReading:
    """This machine with the files of a Spark, and a home of its own."""
    root, home = tmp_path / "root", tmp_path / "home"
    make_spark(root)
    write(root, "etc/netplan/00-installer-config.yaml", "network: {version: 2}\n")
    write(root, "run/netplan/90 blank.yaml", "network: {}\n")
    (home / "nccl-tests/build").mkdir(parents=True)
    shutil.copy(sys.executable, home / "nccl-tests/build/all_gather_perf")
    (home / ".ssh").mkdir(mode=0o750)
    env = {"SPARKDESK_ROOT": str(root), "HOME": str(home), "SSH_CONNECTION": "192.0.2.9 5 198.51.100.77 22"}
    answers = dict(zip(READS, ask(*READS, env=env), strict=True))
    return read_node(answers, node_id="n1", name="spark-1", host_key="ssh-ed25519 AAAA")


def test_the_real_reader_gives_a_reading(reading: NodeReading) -> None:
    assert reading.home.endswith("/home")
    assert (reading.user, reading.hostname) != ("", "")
    assert (reading.dgx_os, reading.kernel, reading.driver) == ("DGX OS 7.5.0", "6.14.0-1015-nvidia", "580.95.05")
    assert reading.netplan == (NetplanFile("/etc/netplan/00-installer-config.yaml", "network: {version: 2}\n"),)
    assert "names" in reading.problems["netplan"]
    assert (reading.tools["all_gather_perf"], reading.tools["ib_write_lat"]) == (
        True,
        shutil.which("ib_write_lat") is not None,
    )
    assert reading.ssh.folder_mode == "750"


def test_an_address_that_no_interface_has_is_no_management(reading: NodeReading) -> None:
    assert (reading.management, reading.management_address) == ("", "198.51.100.77")
    assert "198.51.100.77" in reading.problems["management"]


KEY = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}"
LINE = f"10.0.20.32 {KEY} sparkdesk-mesh spark-2 n2"
BLOCK = "# >>> sparkdesk-mesh spark-2 n2\nHost 10.0.20.32\n    User ana\nHost *\n# <<< sparkdesk-mesh\n"


def look_at_ssh(home: Path) -> tuple[SshReading, str]:
    """What is read of this home, and all that the node said for it."""
    answers = dict(zip(mesh.READS, ask(*mesh.READS, env={"HOME": str(home)}), strict=True))
    return mesh.read_ssh(answers), repr(answers)


def test_our_own_part_of_long_files_is_read_and_the_rest_stays_on_the_node(tmp_path: Path) -> None:
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    others = "".join(f"bank-{number}.example.org {KEY}\n" for number in range(4000)) + "\0\xff\n"
    hosts = "".join(f"Host bank-{number}.example.org\n    User ana\n" for number in range(4000))
    (folder / "known_hosts").write_text(f"{others}{LINE}\n{others}")
    (folder / "authorized_keys").write_text(f"{others}{KEY} sparkdesk-mesh spark-2 n2\n")
    (folder / "config").write_text(f"{BLOCK}{hosts}{BLOCK}{hosts}")
    found, said = look_at_ssh(tmp_path)
    assert found.known_hosts == (LINE,)
    assert found.authorized == (f"{KEY} sparkdesk-mesh spark-2 n2",)
    assert found.config == BLOCK + BLOCK
    assert "bank" not in said


def test_files_of_ssh_that_are_not_there_hold_nothing_and_those_that_cannot_be_read_are_not_known(
    tmp_path: Path,
) -> None:
    bare, _ = look_at_ssh(tmp_path)
    assert (bare.authorized, bare.known_hosts, bare.config) == ((), (), "")
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    os.mkfifo(folder / "known_hosts")
    (folder / "config").mkdir()
    found, _ = look_at_ssh(tmp_path)
    assert (found.authorized, found.known_hosts, found.config) == ((), None, None)


@pytest.mark.skipif(shutil.which("ip") is None, reason="there is no ip here")
def test_routes_and_addresses_of_this_machine_are_understood(reading: NodeReading) -> None:
    assert reading.routes is not None
    assert "127.0.0.0/8" not in reading.routes
    assert not {"routes", "interfaces"} & set(reading.problems)


def test_our_own_netplan_file_is_known_by_its_copy_until_somebody_touches_it(tmp_path: Path) -> None:
    kept, copy = (tmp_path / path.lstrip("/") for path in (OUR_FILE, netplan_reading.COPY_FILE))
    for path in (kept, copy):
        write(tmp_path, str(path.relative_to(tmp_path)), "network: {}\n")
    os.utime(copy, ns=(kept.stat().st_mtime_ns,) * 2)

    def content() -> list[str | None]:
        reads = (netplan_reading.NAMES, netplan_reading.COPY, netplan_reading.TIMES)  # as one who may not read the file
        answers = dict(zip(reads, ask(*reads, env={"SPARKDESK_ROOT": str(tmp_path)}), strict=True))
        return [file.content for file in netplan_reading.read_files(answers)[0] or () if file.path == OUR_FILE]

    assert content() == ["network: {}\n"]
    os.utime(kept, ns=(kept.stat().st_mtime_ns + 1000,) * 2)
    assert content() == [None]
    kept.unlink()
    assert content() == []
