"""The details of a node: every field from the forms of captures, every gap with its reason, never an exception."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given

from sparkdesk.core.cluster.details import NodeDetails, SudoMode, Update, note_in_record
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.probes.comparison import differences
from sparkdesk.core.probes.details import DETAILS, build_details, parse_sudo, parse_updates
from sparkdesk.core.probes.read import Answer, Answers, Fault
from sparkdesk.core.probes.read_json import MAX_READS
from tests.core.probes.any_answers import any_answers
from tests.core.probes.spark_answers import NOW_MS, Spark


def details_of(spark: Spark) -> NodeDetails:
    return build_details("n1", spark.answers(DETAILS.reads), 5)


def test_a_founders_edition_is_known_in_every_field() -> None:
    found = details_of(Spark())
    assert (found.vendor, found.product, found.board) == ("NVIDIA", "NVIDIA_DGX_Spark", "P4242")
    assert (found.dgx_os, found.ota_version, found.os_name) == ("DGX OS 7.5.0", "7.5.0", "Ubuntu 24.04.4 LTS")
    assert (found.kernel, found.driver, found.cuda) == ("6.17.0-1014-nvidia", "580.142", "13.0.88")
    assert (found.docker, found.container_toolkit, found.nccl) == ("29.2.1", "1.20.0-1", "2.28.9")
    assert (found.python, found.bios, found.nic_firmware) == ("3.12.3", "5.36_0ACUM018", "28.45.4028")
    assert found.gpu_firmware == "VBIOS 9a.0b.17.00.00, GSP 580.142"
    assert (found.mem_total_bytes, found.swap_total_bytes) == (127535084 * 1024, 16777212 * 1024)
    assert (found.disk_total_bytes, found.disk_free_bytes, found.cpu_count) == (4 * 10**12, 35 * 10**11, 20)
    assert (found.groups, found.sudo) == (("nvidia", "adm", "sudo", "docker"), SudoMode.PASSWORD)
    assert (found.macs, found.clock_offset_s) == (("4c:bb:47:77:01:01",), 0.012)
    assert found.updates == (
        Update("libssl3t64", "3.0.13-0ubuntu3.6", "3.0.13-0ubuntu3.7", is_security=True),
        Update("base-files", "13ubuntu10.3", "13ubuntu10.4"),
    )
    assert (found.updates_age_s, found.needs_reboot, found.serial_hash) == (7200.0, False, 64 * "a")
    assert found.problems == {}


def test_the_halves_come_from_the_nodes_own_devices() -> None:
    halves = details_of(Spark()).halves
    assert [(half.cage, half.netdev) for half in halves] == [
        ("P0", "enp1s0f0np0"), ("P0", "enP2p1s0f0np0"), ("P1", "enp1s0f1np1"), ("P1", "enP2p1s0f1np1"),
    ]  # fmt: skip
    assert halves[1].rdma_device == "roceP2p1s0f0"
    assert (halves[1].pci_address, halves[1].pcie_width, halves[1].pcie_gts) == ("0002:01:00.0", 4, 32.0)
    assert (halves[3].mac, halves[3].firmware) == ("4c:bb:47:77:02:03", "28.45.4028")


def test_halves_that_are_switched_off_are_not_made_up() -> None:
    spark = Spark()
    spark.files = {path: text for path, text in spark.files.items() if "0002:" not in path and "P2p1" not in path}
    found = details_of(spark)
    assert [half.netdev for half in found.halves] == ["enp1s0f0np0", "enp1s0f1np1"]
    assert "2 of 4" in found.problems["halves"]


def test_where_sysfs_has_no_links_to_the_functions_the_names_tell_them() -> None:
    spark = Spark()
    spark.files = {path: text for path, text in spark.files.items() if "/net/" not in path or "class" in path}
    spark.files = {path: text for path, text in spark.files.items() if "/infiniband/" not in path or "class" in path}
    half = details_of(spark).halves[3]
    assert (half.pci_address, half.pcie_width, half.firmware) == ("0002:01:00.1", 4, "28.45.4028")


@pytest.mark.parametrize(
    ("vendor", "product", "version", "label"),
    [
        ("ASUSTeK COMPUTER INC.", "GX10", "5.36_GX10DGX", "GX10"),
        ("Dell Inc.", "Dell Pro Max with GB10 FCM1253", "", "Dell Pro Max with GB10 FCM1253"),
        ("HP", "HP ZGX Nano G1n AI Station", "", "HP ZGX Nano G1n AI Station"),
        ("LENOVO", "30KL0004FC", "ThinkStation PGX", "ThinkStation PGX (30KL0004FC)"),
        ("Nobody We Know", "Box \x1b[31m9000", "", "Box 9000"),
    ],
)
def test_every_maker_is_accepted_as_it_names_itself(vendor: str, product: str, version: str, label: str) -> None:
    dmi = {"sys_vendor": vendor, "product_name": product, "product_version": version}
    found = details_of(Spark().change({f"/sys/class/dmi/id/{name}": text + "\n" for name, text in dmi.items()}))
    assert (found.vendor, found.product) == (vendor, label)


def test_a_box_with_64_gigabytes_says_so() -> None:
    found = details_of(Spark().change({"/proc/meminfo": "MemTotal:       65011712 kB\nSwapTotal:  0 kB\n"}))
    assert (found.mem_total_bytes, found.swap_total_bytes) == (65011712 * 1024, 0)


def test_what_is_not_known_says_why() -> None:
    spark = Spark().change(
        {"/etc/dgx-release": Fault.ABSENT, "/proc/driver/nvidia/version": Fault.ABSENT, "/proc/meminfo": "?",
         "/run/reboot-required": Fault.DENIED, "/var/lib/apt/periodic/update-success-stamp": Fault.ABSENT,
         "/var/lib/update-notifier/updates-available": "\n12 updates can be applied immediately.\n"},
        {"nvidia-smi --version": (9, "It couldn't communicate with the NVIDIA driver.\n", ""),
         "apt": Fault.TIMED_OUT, "nvcc": Fault.ABSENT, "docker --version": (0, "no version here", "")},
    )  # fmt: skip
    found = details_of(spark)
    assert (found.dgx_os, found.driver, found.cuda, found.mem_total_bytes) == ("", "", "", None)
    assert (found.needs_reboot, found.updates, found.updates_age_s, found.serial_hash) == (None, None, None, "")
    assert "communicate" in found.problems["driver"]
    assert "12 updates can be applied" in found.problems["updates"]
    assert "root only" in found.problems["serial_hash"]
    assert found.problems["needs_reboot"] == "Permission denied"
    assert {"dgx_os", "mem_total_bytes", "updates_age_s", "cuda"} <= set(found.problems)


def test_without_a_toolkit_cuda_is_what_the_driver_can_do() -> None:
    assert details_of(Spark().change(said={"nvcc": Fault.ABSENT})).cuda == "13.0 (driver; no toolkit found)"


def test_an_nccl_of_the_packages_or_of_ones_own_is_found() -> None:
    rows = "nvidia-container-toolkit\t1.20.0-1\tinstalled\nlibnccl2\t2.29.1-1+cuda13.0\tinstalled\n"
    assert details_of(Spark().change(said={"dpkg-query": (0, rows, "")})).nccl == "2.29.1-1+cuda13.0"
    spark = Spark().change({"~/nccl/build/lib/libnccl.so.2.28.9": ""})
    del spark.files["/usr/lib/aarch64-linux-gnu/libnccl.so.2.28.9"]
    assert details_of(spark).nccl == "2.28.9 (built in ~/nccl)"


@pytest.mark.parametrize(
    ("answer", "mode"),
    [
        (Answer(texts=(("", ""),), code=0), SudoMode.NO_PASSWORD),
        (Answer(texts=(("", ""),), code=1, errors="sudo: a password is required\n"), SudoMode.PASSWORD),
        (Answer(texts=(("", ""),), code=1, errors="sudo: interactive authentication is required"), SudoMode.PASSWORD),
        (Answer(texts=(("", ""),), code=1, errors="Sorry, user ann may not run sudo on spark."), SudoMode.NOT_ALLOWED),
        (Answer(texts=(("", ""),), code=1, errors="ann is not in the sudoers file."), SudoMode.NOT_ALLOWED),
        (Answer(texts=(("", ""),), code=1, errors="sudo: sorry, you must have a tty to run sudo"), SudoMode.UNKNOWN),
        (Answer(fault=Fault.ABSENT, problem="no program sudo"), SudoMode.ABSENT),
        (Answer(fault=Fault.TIMED_OUT, problem="did not end within 5 s"), SudoMode.UNKNOWN),
    ],
)
def test_what_sudo_wants_is_told_by_its_words(answer: Answer, mode: SudoMode) -> None:
    found, words = parse_sudo(answer)
    assert found is mode
    assert bool(words) == (mode is SudoMode.UNKNOWN)


def test_lines_of_apt_that_are_no_updates_are_left_out() -> None:
    assert parse_updates("Listing...\nN: There is 1 additional version.\nx/y\n") == ()


@given(answers=any_answers(DETAILS.reads))
def test_any_answers_give_details_that_can_be_kept(answers: Answers) -> None:
    found = build_details("n1", answers, 5)
    text = json.dumps(found.to_json(), allow_nan=False)
    assert NodeDetails.from_json(json.loads(text)) == found
    assert all(len(value) <= 300 for value in found.problems.values())


def test_details_survive_their_keeping_and_what_a_newer_release_added() -> None:
    found = details_of(Spark())
    data = json.loads(json.dumps(found.to_json())) | {"colour": "gold"}
    assert NodeDetails.from_json(data) == found
    assert len(DETAILS.reads) <= MAX_READS


def test_the_record_takes_what_lasts_and_forgets_nothing() -> None:
    record = NodeRecord("n1", "spark", "10.0.0.1", 22, "nvidia")
    noted = note_in_record(record, details_of(Spark()))
    assert noted is not None
    assert (noted.macs, noted.serial_hash) == (("4c:bb:47:77:01:01",), 64 * "a")
    assert note_in_record(noted, details_of(Spark())) is None
    assert note_in_record(noted, NodeDetails("n1")) is None


def test_nodes_are_compared_field_by_field() -> None:
    one = details_of(Spark())
    old_driver = {"/proc/driver/nvidia/version": "Kernel Module  580.95.05  Release"}
    other = details_of(Spark().change(old_driver, {"nvcc": Fault.ABSENT, "nvidia-smi --version": Fault.ABSENT}))
    rows = {row.field: row for row in differences([one, other])}
    assert (rows["driver"].values, rows["driver"].is_different) == (("580.142", "580.95.05"), True)
    assert rows["driver"].meaning
    assert (rows["kernel"].is_different, rows["kernel"].meaning) == (False, "")
    assert (rows["cuda"].values, rows["cuda"].is_different) == (("13.0.88", ""), False)
    assert rows["mem_total_bytes"].values == ("121.6 GiB", "121.6 GiB")
    assert differences([NodeDetails("a"), NodeDetails("b")]) == ()


def test_a_product_is_compared_by_its_readable_name() -> None:
    one = details_of(Spark())
    (row,) = [row for row in differences((one, replace(one, product="NVIDIA DGX Spark"))) if row.field == "product"]
    assert (row.values, row.is_different) == (("NVIDIA DGX Spark",) * 2, False)


def test_the_age_of_the_package_lists_is_counted_by_the_nodes_own_clock() -> None:
    spark = Spark()
    spark.offset_ms = 9e9
    assert details_of(spark).updates_age_s == 7200.0
    assert NOW_MS > 0
