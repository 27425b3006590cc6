"""What is read before a bring-up: every field from the forms of real programs, every gap with its reason, no change."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given

from sparkdesk.core.bringup.network_reading import ALL_ROUTES as ALL_ROUTES_READ
from sparkdesk.core.bringup.reading import NetplanFile, NodeReading
from sparkdesk.core.bringup.reading_table import GUARD_FILE, READS, TOOLS, read_node
from sparkdesk.core.cluster.details import SudoMode
from sparkdesk.core.probes.read import Answer, Answers, Fault, ReadCommand, ReadDisk, ReadFile
from sparkdesk.core.probes.read_json import MAX_READS
from tests.core.probes.any_answers import any_answers
from tests.core.probes.spark_answers import DENIED_DOCKER, Said, Spark
from tests.core.probes.test_read_only import TELL_ONLY

ADDRESSES = (
    '[{"ifindex":1,"ifname":"lo","mtu":65536,"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8,'
    '"scope":"host"}]},{"ifindex":2,"ifname":"enP7s7","mtu":1500,"addr_info":[{"family":"inet","local":"10.0.20.33",'
    '"prefixlen":24,"broadcast":"10.0.20.255","scope":"global","dynamic":true}]},{"ifname":"enp1s0f1np1","mtu":9000,'
    '"addr_info":[{"family":"inet","local":"192.168.100.3","prefixlen":24,"scope":"global"},{"family":"inet",'
    '"local":"169.254.7.7","prefixlen":16,"scope":"link"}]}]'
)
ROUTES = (
    '[{"dst":"default","gateway":"10.0.20.1","dev":"enP7s7","protocol":"dhcp","prefsrc":"10.0.20.33","metric":100,'
    '"flags":[]},{"dst":"10.0.20.0/24","dev":"enP7s7","protocol":"kernel","scope":"link","flags":[]}]'
)
ALL_ROUTES = (
    '[{"dst":"100.64.0.0/10","dev":"tailscale0","table":"52","flags":[]},{"type":"unreachable","dst":"192.168.7.0/24",'
    '"table":"52","flags":[]},{"dst":"default","nexthops":[{"dev":"wlP9s9","weight":1,"flags":[]}],"table":"7"},'
    '{"type":"local","dst":"10.0.20.33","dev":"enP7s7","table":"local","flags":[]}]'
)
PLACE = "home /home/nvidia\nhost spark-afe0\nconnection 10.0.20.5 53210 10.0.20.33 22\n"


def spark_of(**said: Said) -> Spark:
    """A Spark that also tells what only a bring-up asks; `said` by the first words, with _ for a blank."""
    spark = Spark()
    spark.commands |= {
        "ip -j -4 addr show": (0, ADDRESSES, ""),
        "ip -j -4 route show table all": (0, ALL_ROUTES, ""),
        "ip -j -4 route show": (0, ROUTES, ""),
        "sh -c printf": (0, PLACE, ""),
        "sh -c for t in": (0, "".join(f"{tool} {'yes' if tool == 'netplan' else 'no'}\n" for tool in TOOLS), ""),
        "sh -c for d in": (0, "/etc/netplan/00-installer-config.yaml\n/etc/netplan/40-cx7.yaml\n", ""),
        "docker image ls": (0, "nvcr.io/nvidia/vllm:26.05-py3\n<none>:<none>\nours:1\nours:1\n", ""),
        "systemctl is-active earlyoom": (3, "inactive\n", ""),
        "systemctl is-active systemd-oomd": (0, "active\n", ""),
    }
    for name in ("enp1s0f1np1", "enP2p1s0f1np1", "enP7s7"):
        spark.files |= {f"/sys/class/net/{name}/mtu": "9000\n", f"/sys/class/net/{name}/carrier": "1\n"}
    spark.files |= {
        "/sys/class/net/enp1s0f1np1/speed": "200000\n",
        "/sys/class/net/enp1s0f0np0/carrier": "0\n",
        "/sys/class/net/enP7s7/speed": "-1\n",
        "/sys/class/net/wlP9s9/operstate": "down\n",
        "/sys/class/infiniband/rocep1s0f1/ports/1/state": "4: ACTIVE\n",
        "/sys/class/infiniband/rocep1s0f0/ports/1/state": "1: DOWN\n",
        "/etc/netplan/40-cx7.yaml": "network: {version: 2}\n",
    }
    for name, value in said.items():
        start = name.replace("_", " ")
        spark.commands = {line: old for line, old in spark.commands.items() if not line.startswith(start)}
        spark.commands[start] = value
    return spark


def reading_of(spark: Spark) -> NodeReading:
    answers: Answers = spark.answers(READS)
    return read_node(answers, node_id="n1", name="spark-1", host_key="ssh-ed25519 AAAA")


def test_a_spark_is_known_in_every_field() -> None:
    found = reading_of(spark_of())
    assert (found.node_id, found.name, found.host_key, found.did_answer) == ("n1", "spark-1", "ssh-ed25519 AAAA", True)
    assert (found.user, found.home, found.hostname) == ("nvidia", "/home/nvidia", "spark-afe0")
    assert (found.groups, found.docker_members) == (("nvidia", "adm", "sudo", "docker"), ("nvidia",))
    assert (found.dgx_os, found.kernel, found.driver) == ("DGX OS 7.5.0", "6.17.0-1014-nvidia", "580.142")
    assert (found.docker, found.docker_problem, found.toolkit, found.nccl) == ("29.2.1", "", "1.20.0", "2.28.9")
    assert (found.sudo, found.is_clock_synced, found.clock_offset_s) == (SudoMode.PASSWORD, True, 0.012)
    assert found.tools == {tool: tool == "netplan" for tool in TOOLS}
    assert (found.is_guard_active, found.images) == (True, ("nvcr.io/nvidia/vllm:26.05-py3", "ours:1"))
    assert found.problems == {}


def test_the_guards_file_is_known_or_known_not_to_be_there_or_says_why_not() -> None:
    assert reading_of(spark_of()).guard_file == "", "there is none before the package is"
    spark = spark_of()
    spark.files["/etc/default/earlyoom"] = 'EARLYOOM_ARGS="-r 60"\n'
    assert reading_of(spark).guard_file == 'EARLYOOM_ARGS="-r 60"\n'
    denied = {**spark.answers(READS), GUARD_FILE: Answer(fault=Fault.DENIED, problem="Permission denied")}
    found = read_node(denied, node_id="n1", name="spark-1", host_key="")
    assert (found.guard_file, found.problems["guard_file"]) == (None, "Permission denied")


def test_routes_of_all_tables_are_taken_networks_and_the_default_is_none() -> None:
    found = reading_of(spark_of())
    assert found.routes == ("10.0.20.0/24", "100.64.0.0/10", "192.168.7.0/24")
    assert found.default_netdevs == ("enP7s7", "wlP9s9")


def test_without_the_other_tables_the_main_one_must_do() -> None:
    spark = spark_of()
    spark.commands["ip -j -4 route show table all"] = (255, "", "Command line is not simulated")
    found = reading_of(spark)
    assert (found.routes, found.problems) == (("10.0.20.0/24",), {})


@pytest.mark.parametrize(("text", "is_cut"), [(ROUTES, True), ("[{", False)])
def test_tables_that_were_cut_or_are_not_understood_are_not_read(text: str, is_cut: bool) -> None:
    answers = {**spark_of().answers(READS), ALL_ROUTES_READ: Answer(texts=(("", text),), code=0, is_cut=is_cut)}
    found = read_node(answers, node_id="n1", name="spark-1", host_key="")
    assert found.routes is None
    assert found.problems["routes"] == "its routing tables are longer than is read, or not understood"


def test_a_lease_is_told_apart_from_an_address_that_stands() -> None:
    found = reading_of(spark_of()).interfaces
    assert (found["enP7s7"].addresses, found["enP7s7"].leased) == (("10.0.20.33/24",), ("10.0.20.33/24",))
    assert found["enp1s0f1np1"].leased == ()


def test_a_port_that_something_is_built_on_is_part_of_that() -> None:
    spark = spark_of()
    for port, upper, kind in (
        ("enp1s0f1np1", "bond0", "DEVTYPE=bond\n"), ("enP2p1s0f1np1", "lane.5", "DEVTYPE=vlan\n"),
        ("enp1s0f0np0", "br0", "DEVTYPE=bridge\n"), ("enP7s7", "mv0", ""),
    ):  # fmt: skip
        spark.files[f"/sys/class/net/{port}/upper_{upper}/uevent"] = f"{kind}INTERFACE={upper}\nIFINDEX=7\n"
    found = reading_of(spark).interfaces
    assert {name: one.part_of for name, one in found.items() if one.part_of} == {
        "enp1s0f1np1": "bond0 (bond)", "enP2p1s0f1np1": "lane.5 (vlan)", "enp1s0f0np0": "br0 (bridge)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("marker", "state", "file", "expected"),
    [
        ("", "active", "network: {version: 2}\n", "NetworkManager"),
        (None, "inactive", "network: {version: 2}\n", "networkd"),
        (None, "active", "network: {version: 2}\n", ""),
        (None, "inactive", "network:\n  renderer: NetworkManager\n", "NetworkManager"),
        (None, "inactive", "network:\n  # renderer: NetworkManager\n", "networkd"),
        (None, "", "network: {version: 2}\n", ""),
    ],
)
def test_who_sets_the_ports_behind_netplan(marker: str | None, state: str, file: str, expected: str) -> None:
    spark = spark_of()
    spark.commands["systemctl is-active NetworkManager"] = (0 if state == "active" else 3, f"{state}\n", "")
    spark.files["/etc/netplan/40-cx7.yaml"] = file
    if marker is not None:
        spark.files["/run/NetworkManager/conf.d/10-globally-managed-devices.conf"] = marker
    assert reading_of(spark).renderer == expected


def test_interfaces_are_those_of_the_kernel_with_their_rdma_devices() -> None:
    found = reading_of(spark_of()).interfaces
    port = found["enp1s0f1np1"]
    assert (port.mac, port.mtu, port.carrier, port.speed_gbps) == ("4c:bb:47:77:02:01", 9000, True, 200.0)
    assert (port.addresses, port.rdma_device, port.is_rdma_active) == (("192.168.100.3/24",), "rocep1s0f1", True)
    assert (found["enp1s0f0np0"].carrier, found["enp1s0f0np0"].is_rdma_active) == (False, False)
    assert (found["enP2p1s0f1np1"].rdma_device, found["enP2p1s0f1np1"].is_rdma_active) == ("roceP2p1s0f1", None)
    assert math.isnan(found["enP7s7"].speed_gbps)
    assert found["lo"].addresses == ()
    assert (found["wlP9s9"].carrier, found["enP2p1s0f0np0"].carrier) == (False, None)


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        ("10.0.20.5 53210 10.0.20.33 22", ("enP7s7", "10.0.20.33")),
        ("::ffff:10.0.20.5 1 ::ffff:10.0.20.33 22", ("enP7s7", "10.0.20.33")),
        ("fe80::9%enP7s7 1 fe80::1%enP7s7 22", ("enP7s7", "fe80::1")),
        ("fd00::9 1 fd00::7 22", ("wlP9s9", "fd00::7")),
        ("10.0.20.5 1 10.9.9.9 22", ("", "10.9.9.9")),
        ("", ("", "")),
        ("a b c d", ("", "")),
    ],
)
def test_the_management_interface_is_that_of_the_sign_in(connection: str, expected: tuple[str, str]) -> None:
    spark = spark_of(**{"sh -c printf": (0, f"home /home/nvidia\nhost h\nconnection {connection}\n", "")})
    spark.files["/proc/net/if_inet6"] = "fd000000000000000000000000000007 05 40 00 80   wlP9s9\n"
    found = reading_of(spark)
    assert (found.management, found.management_address) == expected
    assert ("management" in found.problems) == (not expected[0])
    clients = {"10.0.20.5", "fe80::9", "fd00::9"} if expected[1] else {""}
    assert found.client_address in clients


def test_a_default_route_of_ipv6_alone_is_one_too() -> None:
    spark = spark_of()
    zeros = "0" * 32
    spark.files["/proc/net/ipv6_route"] = (
        f"{zeros} 00 {zeros} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 enx00e04c680001\n"
        f"{zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200       lo\n"
    )
    assert reading_of(spark).default_netdevs == ("enP7s7", "wlP9s9", "enx00e04c680001")


def test_netplan_files_that_the_account_may_not_read_are_named_without_content() -> None:
    assert reading_of(spark_of()).netplan == (
        NetplanFile("/etc/netplan/00-installer-config.yaml"),
        NetplanFile("/etc/netplan/40-cx7.yaml", "network: {version: 2}\n"),
    )


def test_netplan_files_with_names_that_are_no_names_are_left_out_and_told() -> None:
    found = reading_of(spark_of(**{"sh -c for d in": (0, "/etc/netplan/../shadow.yaml\n/etc/netplan/a.yaml\n", "")}))
    assert found.netplan == (NetplanFile("/etc/netplan/a.yaml"),)
    assert "names" in found.problems["netplan"]


@pytest.mark.parametrize(
    ("server", "service", "expected"),
    [
        (Fault.ABSENT, "inactive", "absent"),
        ((1, "", DENIED_DOCKER[0]), "active", "denied"),
        ((1, "", DENIED_DOCKER[1]), "inactive", "down"),
        ((1, "", "what"), "failed", "down"),
        ((1, "", "what"), "active", ""),
        (Fault.TIMED_OUT, "active", ""),
    ],
)
def test_why_docker_does_not_answer_is_told_apart(server: Said, service: str, expected: str) -> None:
    spark = spark_of(docker_version=server)
    spark.commands["systemctl is-active docker"] = (0 if service == "active" else 3, f"{service}\n", "")
    found = reading_of(spark)
    assert (found.docker, found.docker_problem) == ("", expected)
    assert ("docker" in found.problems) == (not expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("CanNTP=yes\nNTP=no\nNTPSynchronized=no\n", (False, False)),
        ("CanNTP=no\nNTP=no\nNTPSynchronized=yes\n", (None, True)),
        ("CanNTP=yes\nNTP=yes\nNTPSynchronized=no\n", (True, False)),
        ("", (None, None)),
    ],
)
def test_a_clock_that_could_be_kept_and_is_not_is_told_apart(words: str, expected: tuple[object, object]) -> None:
    found = reading_of(spark_of(timedatectl=(0, words, "")))
    assert (found.is_clock_kept, found.is_clock_synced) == expected


@pytest.mark.parametrize(
    ("earlyoom", "oomd", "expected"),
    [
        ((0, "active\n", ""), Fault.TIMED_OUT, True),
        ((3, "inactive\n", ""), (3, "inactive\n", ""), False),
        ((4, "inactive\n", ""), (1, "", "Failed to connect to bus: Host is down"), None),
        (Fault.ABSENT, Fault.ABSENT, None),
    ],
)
def test_the_guard_is_active_inactive_or_not_known(earlyoom: Said, oomd: Said, expected: bool | None) -> None:
    said = {"systemctl is-active earlyoom": earlyoom, "systemctl is-active systemd-oomd": oomd}
    found = reading_of(spark_of(**said))
    assert found.is_guard_active is expected
    assert ("is_guard_active" in found.problems) == (expected is None)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((3, "inactive\ninactive\nfailed\n", ""), ("docker.service", "docker.socket", "containerd.service")),
        ((0, "inactive\nactive\nactivating\n", ""), ("docker.service",)),
        ((0, "inactive\nactive\n", ""), ()),
        ((1, "", "Failed to connect to bus: Host is down"), ()),
        (Fault.TIMED_OUT, ()),
    ],
)
def test_what_of_docker_is_known_not_to_run(said: Said, expected: tuple[str, ...]) -> None:
    spark = spark_of()
    spark.commands = {"systemctl is-active docker.service docker.socket containerd.service": said, **spark.commands}
    assert reading_of(spark).docker_stopped == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((0, "enabled\n", ""), True),
        ((1, "disabled\n", ""), False),
        ((4, "not-found\n", ""), None),
        ((1, "", "Failed to get unit file state"), None),
        (Fault.ABSENT, None),
    ],
)
def test_whether_the_guard_starts_with_the_node_is_told_or_not_known(said: Said, expected: bool | None) -> None:
    spark = spark_of()
    spark.commands["systemctl is-enabled earlyoom"] = said
    assert reading_of(spark).is_guard_enabled is expected


def test_a_node_that_answers_nothing_gives_a_reading_of_gaps() -> None:
    found = read_node({}, node_id="n1", name="spark-1", host_key="")
    assert (found.routes, found.netplan, found.groups, found.docker_members) == (None, None, None, None)
    assert (found.sudo, found.is_clock_synced, found.is_guard_active) == (SudoMode.UNKNOWN, None, None)
    assert set(found.tools.values()) == {None}
    wanted = {
        "user",
        "home",
        "groups",
        "kernel",
        "driver",
        "routes",
        "netplan",
        "tools",
        "sudo",
        "management",
        "images",
    }
    assert wanted <= set(found.problems)


@given(any_answers(READS))
def test_whatever_comes_back_gives_a_bounded_plain_reading(answers: Answers) -> None:
    found = read_node(answers, node_id="n1", name="spark-1", host_key="")
    texts = [found.user, found.home, found.hostname, found.dgx_os, found.kernel, found.driver, found.docker]
    texts += [found.toolkit, found.nccl, found.management, found.management_address, *found.problems.values()]
    assert all(len(text) <= 300 and "\n" not in text and "\x1b" not in text for text in texts)
    assert all(re.fullmatch(r"[A-Za-z0-9_.@-]{1,15}", name) for name in (*found.interfaces, *found.default_netdevs))
    assert all(re.fullmatch(r"[0-9.]+/[0-9]+", network) for network in found.routes or ())


# Reads change nothing -----------------------------------------------------------------------------------------------

TELLS = (
    *TELL_ONLY,
    r"ip -j -4 (addr|route) show( table all)?",
    r"docker image ls --format \S+",
    r"systemctl is-active [A-Za-z-]+",
    r"systemctl is-active docker.service docker.socket containerd.service",
    r"printenv SSH_CONNECTION",
)


def test_one_request_is_enough_and_each_read_only_tells() -> None:
    assert len(READS) <= MAX_READS
    assert not any(isinstance(read, ReadDisk) for read in READS)
    for read in (one for one in READS if isinstance(one, ReadCommand)):
        line = " ".join(read.argv)
        if read.argv[:2] == ("sh", "-c"):
            told = re.sub(r"[0-9]?> ?/dev/null", "", read.argv[2])
            assert not re.search(r">|`|\b(rm|mv|cp|tee|dd|chmod|touch|mkdir|kill|sudo|eval|exec)\b", told), line
        else:
            assert any(re.fullmatch(form, line) for form in TELLS), line
        assert 0 < read.timeout_s <= 10
    for file in (one for one in READS if isinstance(one, ReadFile)):
        assert file.max_bytes <= 64 * 1024
        assert not re.search(r"shadow|/id_(rsa|ed25519)[a-z_]*$|token|secret", file.path), file


OURS = "/etc/netplan/90-sparkdesk.yaml"
TIME = "812 2026-11-22 16:46:46.123456789 +0000"


@pytest.mark.parametrize(
    ("times", "content"),
    [
        ((0, f"{TIME}\n{TIME}\n", ""), "network: {}\n"),
        ((0, f"{TIME}\n{TIME.replace('812', '813')}\n", ""), None),
        ((0, f"{TIME}\n{TIME.replace('789', '788')}\n", ""), None),
        ((0, "812 -\n812 -\n", ""), None),
        ((1, f"{TIME}\n", ""), None),
        (None, None),
    ],
)
def test_our_own_file_is_known_by_its_copy_while_both_have_one_size_and_time(
    times: Said | None, content: str | None
) -> None:
    spark = spark_of()
    spark.commands["sh -c for d in"] = (0, f"/etc/netplan/00-installer-config.yaml\n{OURS}\n", "")
    spark.files["/var/lib/sparkdesk/90-sparkdesk.yaml"] = "network: {}\n"
    if times is not None:
        spark.commands["sh -c for f in"] = times
    files = reading_of(spark).netplan
    assert files is not None
    assert files[-1] == NetplanFile(OURS, content)


def test_a_copy_without_its_file_is_no_file() -> None:
    spark = spark_of()
    spark.files["/var/lib/sparkdesk/90-sparkdesk.yaml"] = "network: {}\n"
    assert OURS not in [file.path for file in reading_of(spark).netplan or ()]
