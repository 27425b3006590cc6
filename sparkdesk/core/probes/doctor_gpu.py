"""The doctor's checks of the GPU: does it answer, its driver, its clock under load, why clocks were lowered, heat.

The one rule: a clock is judged under load only. An idle GPU says nothing about the slow state, and the check says so.
Thresholds stand with their source.
"""

from __future__ import annotations

from sparkdesk.core.probes import form
from sparkdesk.core.probes.check import Check, Finding
from sparkdesk.core.probes.finding import NO_STEP, Case
from sparkdesk.core.probes.read import Answers, Fault, Probe, ReadFile

GOOD_BRANCH = "580"
"""Source: every public capture of DGX OS 7 has this branch, and it alone is supported;
unverified on hardware [driver-branch]."""
BAD_DRIVERS = {"580.159.03": "one tool is known not to work with it"}
LOAD_PERCENT = 50.0
"""Own choice: from here on the clock is taken as one under load."""
SLOW_MHZ = 1000.0
HEALTHY_MHZ = 1400.0
"""Source: sparkview and owners' reports: at least 1400 MHz under load is healthy, the slow state is 500 to 950 MHz;
unverified on hardware [gpu-clock-under-load]."""
HOT_WARN_C = 87.0
HOT_FAIL_C = 95.0
"""Own choice: public captures show 83 to 86 degrees under heavy load."""
THERMAL_SHARE = 0.01
"""Own choice: the share of the time since the start in which heat held the clock back. A node under steady load had
1.2 s of it in days, as a public capture shows."""
THROTTLE_BITS = {
    0x8: "hardware slowdown",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "the power brake",
}
"""Source: nvml.h, nvmlClocksEventReason*. 0x4, the software power cap, is a GB10's everyday limit and no fault."""
SLOW_STATE_REMEDY = (
    f"{NO_STEP} Shut the node down, pull its power adapter out of the wall for a minute, and start it again: a restart "
    "alone does not end this. Use the 240 W adapter that came with the node."
)
"""Source: NVIDIA developer forum 58057396158, 69227379971, 68786847067: cleared by removing AC power;
unverified on hardware [gpu-clock-under-load]."""
THERMAL_COUNTERS = ("SW Thermal Slowdown", "HW Thermal Slowdown")
BRAKE_COUNTER = "HW Power Brake Slowdown"

_ZONES = ReadFile("/sys/class/thermal/thermal_zone*/temp", max_bytes=32, max_files=32)

ANSWER = Probe(
    id="gpu-answers",
    title="The GPU answers",
    reads=(form.GPU,),
    source="nvidia-smi manual page, exit codes; public captures of GB10 machines",
)
DRIVER = Probe(
    id="driver-branch", title="Driver branch", reads=(form.DRIVER,), source="public captures of DGX OS 7.2 to 7.6"
)
SLOW = Probe(id="slow-state", title="Clock under load", reads=(form.GPU,), source="sparkview; reports of owners")
THROTTLE = Probe(
    id="throttle",
    title="What holds the clock back",
    reads=(form.GPU, form.PERFORMANCE, form.UPTIME),
    source="nvml.h; public captures of GB10 machines",
)
TEMPERATURE = Probe(
    id="temperature", title="Temperature", reads=(form.GPU, _ZONES), source="public captures: 83 to 86 °C under load"
)


def judge_answer(answers: Answers, node_id: str) -> Finding:
    """Whether nvidia-smi lists a GPU."""
    case = Case(ANSWER, answers, node_id)
    answer, reading = case.answer(form.GPU), form.parse_gpu(case.answer(form.GPU))
    if reading is not None:
        return case.good(f"{reading.name} answers")
    said = f"{answer.text} {answer.errors}".lower()
    meaning = "No engine can use the GPU."
    if answer.is_absent:
        return case.fail(
            "nvidia-smi is not installed",
            meaning=meaning,
            remedy="Install the driver: sudo apt install nvidia-driver-580",
        )
    if "version mismatch" in said:
        return case.fail(
            "The driver was updated while it runs",
            meaning=f"{meaning} The kernel still runs the old driver.",
            remedy="Restart the node.",
        )
    if "no devices were found" in said or "communicate with the nvidia driver" in said:
        return case.fail(
            "The driver finds no GPU",
            meaning=meaning,
            remedy="Restart the node. If that does not help, shut it down and take the power adapter off for a minute.",
        )
    if answer.fault is Fault.TIMED_OUT:
        return case.fail(
            f"nvidia-smi {answer.problem}", meaning=f"{meaning} The driver hangs.", remedy="Restart the node."
        )
    return case.not_read(form.GPU)


def judge_driver(answers: Answers, node_id: str) -> Finding:
    """Whether the driver is of the branch that DGX OS 7 is made for."""
    case = Case(DRIVER, answers, node_id)
    answer = case.answer(form.DRIVER)
    if answer.is_absent:
        return case.fail(
            "The NVIDIA driver is not loaded",
            meaning="No engine can use the GPU.",
            remedy=f"{NO_STEP} Restart the node; if it stays so, update the system in the DGX Dashboard.",
        )
    version = form.parse_version(answer.text) if answer.is_ok else ""
    if not version:
        return case.not_read(form.DRIVER)
    remedy = f"{NO_STEP} Update the system in the DGX Dashboard; it brings a driver of the {GOOD_BRANCH} branch."
    if version.partition(".")[0] != GOOD_BRANCH:
        return case.warn(
            f"Driver {version} is not of the {GOOD_BRANCH} branch",
            meaning=f"DGX OS 7 is made for the {GOOD_BRANCH} branch and CUDA 13.0; engines are built against it.",
            remedy=remedy,
        )
    if version in BAD_DRIVERS:
        return case.warn(f"Driver {version}: {BAD_DRIVERS[version]}", meaning="It may not matter here.", remedy=remedy)
    return case.good(f"Driver {version}, branch {GOOD_BRANCH}")


def judge_slow_state(answers: Answers, node_id: str) -> Finding:
    """Whether the GPU is in the hidden slow state."""
    case = Case(SLOW, answers, node_id)
    reading = form.parse_gpu(case.answer(form.GPU))
    if reading is None or reading.util_percent is None or reading.sm_mhz is None:
        return case.not_read(form.GPU)
    words = f"{reading.sm_mhz:.0f} MHz at {reading.util_percent:.0f} % utilization"
    if reading.util_percent < LOAD_PERCENT:
        return case.unread(
            f"Not seen: the GPU is not under load ({words})",
            meaning=f"Slow is {SLOW_MHZ:.0f} MHz and less under load; healthy is {HEALTHY_MHZ:.0f} MHz and more.",
            remedy=f"Run the doctor again while a model answers. If it is slow then: {SLOW_STATE_REMEDY}",
        )
    if reading.sm_mhz < SLOW_MHZ:
        return case.fail(
            f"{words}: the slow state", meaning="Everything runs at a third of its speed.", remedy=SLOW_STATE_REMEDY
        )
    if reading.sm_mhz < HEALTHY_MHZ:
        return case.warn(
            f"{words}, below {HEALTHY_MHZ:.0f} MHz", meaning="Everything runs slower.", remedy=SLOW_STATE_REMEDY
        )
    return case.good(words)


def judge_throttle(answers: Answers, node_id: str) -> Finding:
    """Why the clock is or was held back: heat and the power brake are faults, the power cap is not."""
    case = Case(THROTTLE, answers, node_id)
    reading = form.parse_gpu(case.answer(form.GPU))
    counters = form.parse_performance(case.answer(form.PERFORMANCE).text)
    uptime_s = form.parse_number(case.answer(form.UPTIME).text)
    now = [words for bit, words in THROTTLE_BITS.items() if reading and reading.reasons and reading.reasons & bit]
    cool = f"{NO_STEP} Give it air on all sides, look for dust, and for a warm neighbour."
    if now:
        return case.warn(
            f"The clock is held back now by {' and '.join(now)}",
            meaning="The GPU runs slower than it could.",
            remedy=f"{cool} For the power brake: use the power adapter that came with the node.",
        )
    if counters.get(BRAKE_COUNTER, 0) > 0:
        return case.warn(
            f"The power brake held the clock back for {counters[BRAKE_COUNTER] / 1e6:.1f} s",
            meaning="The power supply could not give what was asked for.",
            remedy=f"{NO_STEP} Use the 240 W adapter that came with the node, without a dock or hub between.",
        )
    thermal_s = sum(counters.get(name, 0) for name in THERMAL_COUNTERS) / 1e6
    if uptime_s and thermal_s / uptime_s > THERMAL_SHARE:
        return case.warn(
            f"Heat held the clock back {100 * thermal_s / uptime_s:.0f} % of the time since the start",
            meaning="The GPU runs slower than it could.",
            remedy=cool,
        )
    if reading is None or reading.reasons is None or BRAKE_COUNTER not in counters or not uptime_s:
        missing = form.GPU if reading is None or reading.reasons is None else form.PERFORMANCE
        return case.not_read(missing if uptime_s else form.UPTIME)
    capped_s = counters.get("SW Power Capping", 0) / 1e6
    return case.good(f"Neither heat nor the power brake; the power cap (usual on a GB10) {capped_s:.0f} s so far")


def judge_temperature(answers: Answers, node_id: str) -> Finding:
    """GPU and the hottest thermal zone."""
    case = Case(TEMPERATURE, answers, node_id)
    reading = form.parse_gpu(case.answer(form.GPU))
    zones = [value / 1000 for _, text in case.answer(_ZONES).texts if (value := form.parse_number(text)) is not None]
    zones = [value for value in zones if -40 < value < 200]  # a zone without a sensor tells nonsense
    found = {"the hottest zone": max(zones)} if zones else {}
    if reading is not None and reading.temperature_c is not None:
        found["the GPU"] = reading.temperature_c
    if not found:
        return case.not_read(form.GPU)
    words = ", ".join(f"{name} is at {value:.0f} °C" for name, value in found.items())
    tell = case.fail if max(found.values()) >= HOT_FAIL_C else case.warn
    if max(found.values()) >= HOT_WARN_C:
        return tell(
            words,
            meaning="Near its limit the chip lowers its clock, and then shuts down.",
            remedy="Give it air on all sides, look for dust, and for a warm neighbour.",
        )
    return case.good(words) if "the GPU" in found else case.not_read(form.GPU)


CHECKS = (
    Check(ANSWER, judge_answer),
    Check(DRIVER, judge_driver),
    Check(SLOW, judge_slow_state),
    Check(THROTTLE, judge_throttle),
    Check(TEMPERATURE, judge_temperature),
)
