"""What a machine says of itself is read in bounds, and its serial never leaves it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.machine import IDENTIFY, MAX_MACS, Machine, read_machine

MACHINE_ID = "0123456789abcdef0123456789abcdef"
SERIAL = "1984725001337"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Spark's files, as far as they are read."""
    files = {
        "etc/machine-id": MACHINE_ID + "\n",
        "etc/dgx-release": f'DGX_NAME="DGX Spark"\nDGX_SERIAL_NUMBER="{SERIAL}"\n',
        "sys/class/dmi/id/sys_vendor": "NVIDIA\n",
        "sys/class/dmi/id/product_name": "NVIDIA_DGX_Spark\n",
    }
    for port, driver, mac in (
        ("enP7s7", "r8127", "4C:BB:47:00:00:10"),
        ("enp1s0f0np0", "mlx5_core", "4c:bb:47:00:00:20"),
        ("docker0", "", "02:42:00:00:00:01"),
        ("wlP9s9", "mt7925e", "4c:bb:47:00:00:30"),
    ):
        files |= {f"sys/class/net/{port}/address": mac + "\n", f"sys/class/net/{port}/type": "1\n"}
        device = tmp_path / "sys/class/net" / port / "device"
        if driver:
            (tmp_path / "drivers" / driver).mkdir(parents=True)
            device.mkdir(parents=True)
            (device / "driver").symlink_to(tmp_path / "drivers" / driver)
    (tmp_path / "sys/class/net/wlP9s9/wireless").mkdir()
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def identify(root: Path) -> bytes:
    env = {"PATH": os.environ["PATH"], "SPARKDESK_ROOT": str(root)}
    return subprocess.run(["sh", "-c", IDENTIFY.to_shell()], env=env, check=True, capture_output=True).stdout


def test_a_spark_says_who_it_is_and_its_serial_stays_there(root: Path) -> None:
    output = identify(root)
    assert SERIAL.encode() not in output
    machine = read_machine(b"Welcome to DGX!\n" + output)
    assert machine.machine_id == MACHINE_ID
    assert (machine.vendor, machine.product) == ("NVIDIA", "NVIDIA_DGX_Spark")
    assert machine.serial_hash == hashlib.sha256(f"{MACHINE_ID}\n{SERIAL}".encode()).hexdigest()
    assert machine.macs == ("4c:bb:47:00:00:10",)
    assert machine.hostname == os.uname().nodename
    assert "NVIDIA DGX Spark" in machine.words()
    assert "NVIDIA NVIDIA" not in machine.words()


@pytest.mark.parametrize("serial", ["", "0000000000000", "Default string", "N/A", "xxxx"])
def test_what_makers_put_where_there_is_no_serial_is_none(root: Path, serial: str) -> None:
    (root / "etc/dgx-release").write_text(f'DGX_SERIAL_NUMBER="{serial}"\n')
    assert read_machine(identify(root)).serial_hash == ""


def test_a_machine_without_any_of_it_is_unknown_not_wrong(tmp_path: Path) -> None:
    machine = read_machine(identify(tmp_path))
    assert (machine.machine_id, machine.vendor, machine.product, machine.serial_hash, machine.macs) == ("",) * 4 + ((),)


@given(st.binary(max_size=2000))
def test_any_output_is_read_within_bounds(output: bytes) -> None:
    marked = b"\n".join(b"sparkdesk-%s %s" % (name, output) for name in (b"machine", b"host", b"product", b"mac"))
    machine = read_machine(marked)
    assert machine.machine_id == ""
    assert len(machine.hostname) <= 64
    assert not any(character < " " for character in machine.hostname)
    assert machine.macs == ()
    assert isinstance(machine, Machine)


def test_no_more_ports_are_kept_than_a_machine_has() -> None:
    output = b"".join(b"sparkdesk-mac 02:00:00:00:00:%02x\n" % number for number in range(100))
    assert len(read_machine(output).macs) == MAX_MACS
