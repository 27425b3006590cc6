"""Each check passes, warns, fails or was not read, for the forms that captures show; and nothing makes one raise."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from sparkdesk.core.probes.check import Finding, Verdict
from sparkdesk.core.probes.doctor import CHECKS, batches, judge
from sparkdesk.core.probes.finding import NO_STEP
from sparkdesk.core.probes.read import Answers, Fault, ReadCommand
from sparkdesk.core.probes.read_json import MAX_READS
from sparkdesk.core.step import Confirm, Run
from sparkdesk.core.step_json import from_json, to_json
from tests.core.probes.any_answers import any_answers
from tests.core.probes.spark_answers import DENIED_DOCKER, GPU_IDLE, MEMINFO, PERFORMANCE, Said, Spark

PASS, WARN, FAIL, UNREAD = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNREAD
READS = tuple(dict.fromkeys(read for check in CHECKS for read in check.probe.reads))
DENIED: Said = (1, "\n", DENIED_DOCKER[0])
DOWN: Said = (1, "\n", DENIED_DOCKER[1])
BRAKE = "HW Power Brake Slowdown           : 0"
HAND_WORK = ("driver-branch", "kernel-signature", "slow-state", "throttle", "pcie-width")
IDS = [check.probe.id for check in CHECKS]


def findings_of(spark: Spark) -> dict[str, Finding]:
    return {finding.check_id: finding for finding in judge(spark.answers(READS), "n1")}


def find(check_id: str, spark: Spark) -> Finding:
    return findings_of(spark)[check_id]


def assert_says_that_there_is_no_step(finding: Finding) -> None:
    """Of the checks that have none: what a person does instead stands behind it."""
    if finding.check_id in HAND_WORK and finding.verdict in (WARN, FAIL):
        assert finding.fix is None
        assert finding.remedy.startswith(f"{NO_STEP} ")


def gpu(util: int, clock: int, heat: int = 60, mask: str = "0x0000000000000000") -> Said:
    return (0, f"NVIDIA GB10, P0, {util}, {heat}, 61.20, {clock}, 3003, {mask}\n", "")


def memory(**kb: int) -> dict[str, str | Fault]:
    rows = dict(line.split(":", 1) for line in MEMINFO.splitlines()) | {
        name: f" {value} kB" for name, value in kb.items()
    }
    return {"/proc/meminfo": "".join(f"{name}:{rest}\n" for name, rest in rows.items())}


def test_a_healthy_spark_under_load_passes_every_check() -> None:
    found = findings_of(Spark())
    assert list(found) == IDS
    assert {check_id: finding.message for check_id, finding in found.items() if finding.verdict is not PASS} == {}
    assert all(finding.evidence and finding.source for finding in found.values())


FILES: list[tuple[str, dict[str, str | Fault], Verdict, str]] = [
    ("driver-branch", {"/proc/driver/nvidia/version": "NVRM version: Kernel Module  590.48.01  x"}, WARN, "590.48.01"),
    ("driver-branch", {"/proc/driver/nvidia/version": "NVRM version: Module  580.159.03  x"}, WARN, "580.159.03"),
    ("driver-branch", {"/proc/driver/nvidia/version": Fault.ABSENT}, FAIL, "not loaded"),
    ("driver-branch", {"/proc/driver/nvidia/version": "what"}, UNREAD, "another form"),
    ("temperature", {"/sys/class/thermal/thermal_zone1/temp": "91000\n"}, WARN, "91 °C"),
    ("temperature", {"/sys/class/thermal/thermal_zone1/temp": "97000\n"}, FAIL, "97 °C"),
    ("memory-pressure", memory(MemAvailable=6_000_000), WARN, "5.7 GiB"),
    ("memory-pressure", memory(MemAvailable=3_000_000), FAIL, "2.9 GiB"),
    ("memory-pressure", {"/proc/pressure/memory": "full avg10=2.50 avg60=0 avg300=0 total=3\n"}, WARN, "2.5 %"),
    ("memory-pressure", {"/proc/pressure/memory": "full avg10=40.0 avg60=0 avg300=0 total=3\n"}, FAIL, "40.0 %"),
    ("memory-pressure", {"/proc/pressure/memory": Fault.ABSENT}, UNREAD, "Permission denied"),
    ("memory-pressure", {"/proc/meminfo": Fault.DENIED}, UNREAD, "Permission denied"),
    ("page-cache", memory(MemFree=2_000_000), WARN, "1.9 GiB are free"),
    ("page-cache", memory(MemFree=2_000_000, MemAvailable=9_000_000), PASS, "1.9 GiB"),
    ("swap", memory(SwapTotal=0, SwapFree=0), PASS, "No swap"),
    ("swap", memory(SwapFree=14_000_000), WARN, "2.6 GiB of 16.0 GiB"),
    ("swap", memory(SwapFree=100), FAIL, "16.0 GiB of 16.0 GiB"),
    ("swap", memory(SwapTotal=5, SwapFree=9), UNREAD, "another form"),
    ("kernel-signature", {"/proc/sys/kernel/osrelease": "7.0.0-1019-nvidia\n"}, FAIL, "known to reserve"),
    ("kernel-signature", memory(CmaFree=4096), FAIL, "does not count"),
    ("kernel-signature", {"/proc/sys/kernel/osrelease": "6.8.0-90-generic\n"}, WARN, "6.8.0-90-generic"),
    ("kernel-signature", {"/proc/sys/kernel/osrelease": Fault.DENIED}, UNREAD, "Permission denied"),
    ("reboot-required", {"/run/reboot-required": "*** System restart required ***\n",
                         "/run/reboot-required.pkgs": "linux-base\nlinux-base\n"}, WARN, "linux-base"),
    ("reboot-required", {"/run/reboot-required": Fault.DENIED}, UNREAD, "Permission denied"),
    ("pcie-width", {"/sys/bus/pci/devices/0002:01:00.0/current_link_width": "2\n"}, FAIL, "0002:01:00.0 has 2 lanes"),
    ("pcie-width", {"/sys/bus/pci/devices/0002:01:00.1/current_link_speed": "16.0 GT/s PCIe\n"}, WARN, "16 GT/s"),
    ("pcie-width", {"/sys/bus/pci/devices/0002:01:00.0/current_link_width": "0\n"}, UNREAD, "no link"),
    ("pcie-width", {f"/sys/bus/pci/devices/0002:01:00.{n}/current_link_width": Fault.ABSENT for n in "01"}, UNREAD, ""),
]  # fmt: skip


@pytest.mark.parametrize(("check_id", "files", "verdict", "words"), FILES)
def test_files_are_judged(check_id: str, files: dict[str, str | Fault], verdict: Verdict, words: str) -> None:
    finding = find(check_id, Spark().change(files))
    assert (finding.verdict, words in finding.message) == (verdict, True), finding.message
    assert finding.remedy or verdict is PASS
    assert_says_that_there_is_no_step(finding)


COMMANDS: list[tuple[str, dict[str, Said], Verdict, str]] = [
    ("gpu-answers", {"nvidia-smi --query-gpu=name": (6, "No devices were found\n", "")}, FAIL, "finds no GPU"),
    ("gpu-answers", {"nvidia-smi --query-gpu=name": (0, "No devices were found\n", "")}, FAIL, "finds no GPU"),
    ("gpu-answers", {"nvidia-smi --query-gpu=name": (
        18, "Failed to initialize NVML: Driver/library version mismatch\n", "")}, FAIL, "updated"),
    ("gpu-answers", {"nvidia-smi --query-gpu=name": Fault.ABSENT}, FAIL, "not installed"),
    ("gpu-answers", {"nvidia-smi --query-gpu=name": Fault.TIMED_OUT}, FAIL, "nvidia-smi"),
    ("gpu-answers", {"nvidia-smi --query-gpu=name": (2, "Field is not valid", "")}, UNREAD, "exit code 2"),
    ("slow-state", {"nvidia-smi --query-gpu=name": (0, GPU_IDLE, "")}, UNREAD, "not under load"),
    ("slow-state", {"nvidia-smi --query-gpu=name": gpu(97, 705)}, FAIL, "705 MHz at 97 %"),
    ("slow-state", {"nvidia-smi --query-gpu=name": gpu(97, 1200)}, WARN, "1200 MHz"),
    ("slow-state", {"nvidia-smi --query-gpu=name": (0, "NVIDIA GB10, P0, [N/A], 60, [N/A], [N/A], 3003, 0x0\n", "")},
     UNREAD, "another form"),
    ("throttle", {"nvidia-smi --query-gpu=name": gpu(97, 2000, mask="0x0000000000000040")}, WARN, "heat (hardware)"),
    ("throttle", {"nvidia-smi --query-gpu=name": gpu(97, 2000, mask="0x0000000000000080")}, WARN, "power brake"),
    ("throttle", {"nvidia-smi -q": (0, PERFORMANCE.replace("1195386", "9195386000"), "")}, WARN, "Heat held"),
    ("throttle", {"nvidia-smi -q": (0, PERFORMANCE.replace(BRAKE, f"{BRAKE[:-1]}2500000"), "")}, WARN, "2.5 s"),
    ("throttle", {"nvidia-smi -q": Fault.TIMED_OUT}, UNREAD, "timed_out"),
    ("temperature", {"nvidia-smi --query-gpu=name": gpu(97, 2000, heat=96)}, FAIL, "96 °C"),
    ("temperature", {"nvidia-smi --query-gpu=name": Fault.TIMED_OUT}, UNREAD, "timed_out"),
    ("docker-daemon", {"docker version": Fault.ABSENT}, FAIL, "not installed"),
    ("docker-daemon", {"docker version": DENIED}, PASS, "active"),
    ("docker-daemon", {"docker version": DOWN, "systemctl is-active": (3, "inactive\n", "")},
     FAIL, "inactive"),
    ("docker-daemon", {"docker version": DOWN, "systemctl is-active": Fault.ABSENT}, UNREAD, "absent"),
    ("docker-group", {"docker version": DENIED, "getent": (0, "docker:x:989:\n", ""),
                      "id -Gn": (0, "nvidia sudo\n", "")}, FAIL, "nvidia may not"),
    ("docker-group", {"docker version": DENIED, "id -Gn": (0, "nvidia sudo\n", "")}, WARN, "older"),
    ("docker-group", {"docker version": DOWN}, UNREAD, "Cannot connect"),
    ("docker-group", {"docker version": Fault.ABSENT}, FAIL, "not installed"),
    ("container-toolkit", {"nvidia-ctk": Fault.ABSENT}, FAIL, "not installed"),
    ("container-toolkit", {"nvidia-ctk": (127, "", "bash: nvidia-ctk: command not found")}, FAIL, "not installed"),
    ("container-toolkit", {"nvidia-ctk": (1, "", "broken")}, UNREAD, "broken"),
    ("failed-units", {"systemctl list-units": (
        0, "fwupd-refresh.service loaded failed failed Refresh fwupd metadata and update motd\n", "")}, WARN, "fwupd"),
    ("failed-units", {"systemctl list-units": (1, "", "Failed to connect to bus")}, UNREAD, "bus"),
    ("failed-units", {"systemctl list-units": (0, "what is this\n", "")}, UNREAD, "another form"),
    ("clock-skew", {"timedatectl": (0, "CanNTP=yes\nNTP=no\nNTPSynchronized=no\n", "")}, WARN, "not kept"),
    ("clock-skew", {"timedatectl": (0, "NTP=yes\nNTPSynchronized=no\n", "")}, WARN, "no time server"),
    ("clock-skew", {"timedatectl": Fault.ABSENT}, UNREAD, "absent"),
]  # fmt: skip


@pytest.mark.parametrize(("check_id", "said", "verdict", "words"), COMMANDS)
def test_commands_are_judged(check_id: str, said: dict[str, Said], verdict: Verdict, words: str) -> None:
    finding = find(check_id, Spark().change(said=said))
    assert (finding.verdict, words in finding.message) == (verdict, True), finding.message
    assert finding.remedy or verdict is PASS
    assert_says_that_there_is_no_step(finding)


@pytest.mark.parametrize(
    ("disk", "verdict"),
    [((4e12, 119e9), WARN), ((4e12, 5e9), FAIL), ((0, 0), UNREAD), (Fault.DENIED, UNREAD), ((1e12, 500e9), PASS)],
)
def test_disk_space_is_judged(disk: tuple[float, float] | Fault, verdict: Verdict) -> None:
    spark = Spark()
    spark.disk = disk
    finding = find("disk-space", spark)
    assert finding.verdict is verdict
    assert (finding.fix is not None) is (verdict in (WARN, FAIL))


def test_a_full_disk_is_mended_by_what_nobody_misses_only() -> None:
    spark = Spark()
    spark.disk = (4e12, 5e9)
    fix = find("disk-space", spark).fix
    assert fix is not None
    assert fix.needs_lock
    (step,) = fix.steps()
    lines = [" ".join(action.command.argv) for action in step.apply if isinstance(action, Run) and action.as_root]
    assert lines[0] == "apt-get clean"
    assert lines[1].endswith("docker image prune --force"), "images without a name only: never --all"
    assert len(lines) == len(step.apply) == 2


@pytest.mark.parametrize(
    ("offset_ms", "verdict", "words"),
    [(90.0, PASS, "this computer's"), (-9000.0, WARN, "behind"), (540_000.0, FAIL, "540.0 s ahead of")],
)
def test_clock_skew_is_judged_beyond_what_the_measurement_leaves_open(
    offset_ms: float, verdict: Verdict, words: str
) -> None:
    spark = Spark()
    spark.offset_ms = offset_ms
    finding = find("clock-skew", spark)
    assert (finding.verdict, words in finding.message) == (verdict, True), finding.message


def test_what_can_be_mended_is_a_playbook_that_a_journal_takes() -> None:
    spark = Spark().change(
        memory(MemFree=2_000_000, SwapFree=100),
        {"docker version": DENIED, "getent": (2, "", ""), "id -Gn": (0, "nvidia\n", ""),
         "nvidia-ctk": Fault.ABSENT, "timedatectl": (0, "CanNTP=yes\nNTP=no\nNTPSynchronized=no\n", "")},
    )  # fmt: skip
    fixes = {key: finding.fix for key, finding in findings_of(spark).items() if finding.fix is not None}
    assert set(fixes) == {"page-cache", "swap", "docker-group", "container-toolkit", "clock-skew"}
    assert {key for key, fix in fixes.items() if fix.needs_lock} == {"docker-group", "container-toolkit"}
    for fix in fixes.values():
        assert from_json(to_json(fix)) == fix
        (step,) = fix.steps()
        assert step.node == "n1"
        assert all(action.as_root for action in step.apply if isinstance(action, Run))
    undone = [action for action in next(fixes["swap"].steps()).undo if isinstance(action, Run)]
    assert undone[0].command.argv == ("sysctl", "-w", "vm.swappiness=60")
    assert isinstance(next(fixes["container-toolkit"].steps()).apply[0], Confirm)
    (added,) = next(fixes["docker-group"].steps()).apply
    assert isinstance(added, Run)
    assert added.command.argv == ("usermod", "-aG", "docker", "nvidia")


@pytest.mark.parametrize("name", ["$(reboot)", "-rf", "a b", "root\nx", "", "ünal"])
def test_a_strange_account_name_never_gets_into_a_command(name: str) -> None:
    spark = Spark().change(said={"docker version": DENIED, "id -un": (0, name + "\n", ""), "getent": (2, "", "")})
    finding = find("docker-group", spark)
    assert (finding.verdict, finding.fix) == (FAIL, None)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(answers=any_answers(READS))
def test_any_answers_give_a_verdict_with_a_remedy(answers: Answers) -> None:
    for check in CHECKS:
        finding = check.judge(answers, "n1")
        assert (finding.check_id, finding.node_id) == (check.probe.id, "n1")
        assert finding.message
        assert finding.remedy or finding.verdict is PASS
        assert finding.fix is None or finding.verdict in (WARN, FAIL)
        assert len(finding.evidence) <= 2000
        (finding.message + finding.evidence).encode()
        if not any(read in answers for read in check.probe.reads):
            assert finding.verdict is UNREAD


@pytest.mark.parametrize("fault", list(Fault))
def test_nothing_passes_when_nothing_could_be_read(fault: Fault) -> None:
    """But one: a missing note that a restart is due is how a node says that none is."""
    spark = Spark()
    spark.files = dict.fromkeys(spark.files, fault)
    spark.commands = dict.fromkeys(spark.commands, fault)
    spark.files |= {"/run/reboot-required": fault}
    spark.disk = fault
    found = findings_of(spark)
    passed = {check_id for check_id, finding in found.items() if finding.verdict is PASS}
    assert passed == ({"reboot-required"} if fault is Fault.ABSENT else set())


def test_checks_are_judged_when_all_their_reads_are_answered_and_files_come_first() -> None:
    quick, slow = batches()
    assert set(quick + slow) == set(READS)
    assert max(len(quick), len(slow)) <= MAX_READS
    assert not any(isinstance(read, ReadCommand) for read in quick)
    early = judge(Spark().answers(quick), "n1")
    assert {"swap", "disk-space", "pcie-width"} <= {finding.check_id for finding in early}
    assert "gpu-answers" not in {finding.check_id for finding in early}
    assert [finding.check_id for finding in judge(Spark().answers(READS), "n1")] == IDS


def test_every_check_has_a_name_of_its_own_and_says_what_it_rests_on() -> None:
    assert len(set(IDS)) == len(IDS)
    assert all(check.probe.title and check.probe.source and check.probe.reads for check in CHECKS)
