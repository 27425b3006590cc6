"""What a bring-up reads on a node, and how the answers become its `NodeReading`.

The one rule: total, cheap and changes nothing: one request a node, and whatever comes back gives a reading whose gaps
say why. Where details and doctor read the same, the read and its parser are theirs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sparkdesk.core.bringup import mesh, netplan_reading, network_reading
from sparkdesk.core.bringup.gaps import MAX_PROBLEM_CHARS, Gaps
from sparkdesk.core.bringup.network_reading import PLACE, fill_network, read_place
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.plain_text import make_line, make_plain
from sparkdesk.core.probes import form
from sparkdesk.core.probes.details import (
    CLOCK,
    NCCL_FILES,
    NO_NCCL,
    OWN_NCCL_FILES,
    PACKAGES,
    SUDO,
    parse_packages,
    parse_sudo,
    read_dgx_os,
    read_nccl,
)
from sparkdesk.core.probes.doctor_docker import DAEMON_FILE, DAEMON_PID, MEMBERS, SERVER, SERVICE, UNITS, is_denied
from sparkdesk.core.probes.doctor_system import TIME
from sparkdesk.core.probes.read import Answer, Answers, Read, ReadCommand, ReadFile

TOOLS = ("ib_write_bw", "ib_write_lat", "iperf3", "netplan", "arping", "earlyoom", "all_gather_perf", "ethtool")
"""What steps and proof call, or look for."""
GUARDS = ("earlyoom", "systemd-oomd")

_TOOL_SCRIPT = """for t in "$@"; do
command -v "$t" > /dev/null || [ -x "$HOME/nccl-tests/build/$t" ] && echo "$t yes" || echo "$t no"
done"""
"""Source: NVIDIA/dgx-spark-playbooks, nccl: nccl-tests are built in the home, not installed."""
PROGRAMS = ReadCommand(("sh", "-c", _TOOL_SCRIPT, "sh", *TOOLS), max_bytes=2048)
IMAGES = ReadCommand(("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"), timeout_s=8.0)
_TOLD_SCRIPT = """r=${SPARKDESK_ROOT-}; h=$(command -v nvidia-container-runtime-hook) && [ -e "$r$2" ] || exit 0
if [ -e "$r$1" ]; then [ -r "$r$1" ] || exit 0; grep -q '"nvidia"' "$r$1" && { echo known; exit 0; }; fi
[ -z "$(find -L "$h" -cnewer "$r$2")" ] && echo known || echo untold"""
TOOLKIT_KNOWN = ReadCommand(("sh", "-c", _TOLD_SCRIPT, "sh", DAEMON_FILE, DAEMON_PID), max_bytes=256)
GUARD_STATES = tuple(ReadCommand(("systemctl", "is-active", unit), max_bytes=256) for unit in GUARDS)
DOCKER_UNITS = ReadCommand(("systemctl", "is-active", *UNITS), max_bytes=256)
GUARD_FILE = ReadFile("/etc/default/earlyoom", max_bytes=8192)
GUARD_ENABLED = ReadCommand(("systemctl", "is-enabled", GUARDS[0]), max_bytes=256)

READS: tuple[Read, ...] = tuple(
    dict.fromkeys(
        (
            form.DGX_RELEASE, form.KERNEL, form.DRIVER, *network_reading.READS, NCCL_FILES, OWN_NCCL_FILES,
            *netplan_reading.READS, CLOCK, SERVER, IMAGES, TIME, form.USER, form.GROUPS, MEMBERS, SUDO, SERVICE,
            form.TOOLKIT, TOOLKIT_KNOWN, PACKAGES,
            PROGRAMS, *GUARD_STATES, DOCKER_UNITS, GUARD_ENABLED, GUARD_FILE, *mesh.READS,
        )
    )
)  # fmt: skip

MAX_ITEMS = 256
MAX_IMAGES = 64
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,200}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
"""Source: distribution/reference, the grammar of a tagged name."""


def read_node(answers: Answers, *, node_id: str, name: str, host_key: str) -> NodeReading:
    """One node's reading. `name` and `host_key` are the application's own. Total: any answers give a reading."""
    gaps = Gaps(answers)
    known: dict[str, Any] = {}
    for fill in (_fill_account, _fill_system, _fill_docker, fill_network, _fill_netplan, _fill_clock_and_guard):
        known |= fill(gaps)
    return NodeReading(
        node_id=node_id, name=name, host_key=host_key, ssh=mesh.read_ssh(answers), problems=gaps.problems, **known
    )


# Account and place ---------------------------------------------------------------------------------------------------


def _fill_account(gaps: Gaps) -> dict[str, Any]:
    place = read_place(gaps.answer(PLACE))
    home = place.get("home", "")
    if not home.startswith("/"):
        home = ""
        gaps.note("home", gaps.answer(PLACE), "the account has no home")
    groups = gaps.answer(form.GROUPS)
    names = tuple(make_line(word, max_chars=64) for word in groups.text.split()[:MAX_ITEMS]) if groups.is_ok else ()
    if not names:
        gaps.note("groups", groups)
    mode, words = parse_sudo(gaps.answer(SUDO))
    if words:
        gaps.problems["sudo"] = make_line(words, max_chars=MAX_PROBLEM_CHARS)
    return {
        "hostname": place.get("host", ""),
        "user": gaps.line("user", form.USER),
        "home": home,
        "groups": names or None,
        "docker_members": _read_members(gaps),
        "sudo": mode,
    }


def _read_members(gaps: Gaps) -> tuple[str, ...] | None:
    """Who is in the group docker; None where there is no such group. Source: getent(1), group(5)."""
    answer = gaps.answer(MEMBERS)
    cells = form.lines_of(answer.text)[0].split(":")
    if answer.fault is None and answer.code == 2:
        gaps.problems["docker_members"] = "there is no group docker"
        return None
    if not answer.is_ok or len(cells) != 4 or cells[0] != "docker":
        gaps.note("docker_members", answer)
        return None
    return tuple(make_line(word, max_chars=64) for word in cells[3].split(",")[:MAX_ITEMS] if word)


# System and programs -------------------------------------------------------------------------------------------------


def _fill_system(gaps: Gaps) -> dict[str, Any]:
    release = gaps.answer(form.DGX_RELEASE)
    dgx_os = read_dgx_os(release)
    if not dgx_os:
        gaps.note("dgx_os", release, "no version in /etc/dgx-release")
    nccl = read_nccl(gaps.answers)
    if not nccl:
        packages = gaps.answer(PACKAGES)
        why = NO_NCCL if packages.fault is None or packages.is_absent else packages.why()
        gaps.problems["nccl"] = make_line(why, max_chars=MAX_PROBLEM_CHARS)
    return {
        "dgx_os": dgx_os,
        "kernel": gaps.line("kernel", form.KERNEL),
        "driver": gaps.line("driver", form.DRIVER, form.parse_version),
        "nccl": nccl,
        "tools": _read_tools(gaps),
    }


def _read_tools(gaps: Gaps) -> dict[str, bool | None]:
    answer = gaps.answer(PROGRAMS)
    rows = dict(line.split() for line in form.lines_of(answer.text) if len(line.split()) == 2) if answer.is_ok else {}
    found = {tool: {"yes": True, "no": False}.get(rows.get(tool, "")) for tool in TOOLS}
    if None in found.values():
        gaps.note("tools", answer)
    return found


def _fill_docker(gaps: Gaps) -> dict[str, Any]:
    server, packages = gaps.answer(SERVER), parse_packages(gaps.answer(PACKAGES).text)
    version = form.parse_version(server.text) if server.is_ok else ""
    toolkit = form.parse_version(gaps.answer(form.TOOLKIT).text) if gaps.answer(form.TOOLKIT).is_ok else ""
    toolkit = toolkit or packages.get("nvidia-container-toolkit", "")
    if not toolkit:
        gaps.note("toolkit", gaps.answer(form.TOOLKIT))
    return {
        "docker": version,
        "docker_stopped": _read_stopped(gaps.answer(DOCKER_UNITS)),
        "docker_problem": "" if version else _docker_problem(gaps, server),
        "toolkit": toolkit,
        "is_toolkit_known": _KNOWN_WORDS.get(gaps.answer(TOOLKIT_KNOWN).text.strip()),
        "images": _read_images(gaps),
    }


def _read_stopped(answer: Answer) -> tuple[str, ...]:
    """A line for each unit, in their order. Source: systemctl(1), is-active."""
    words = answer.text.split() if answer.fault is None else []
    return (
        tuple(unit for unit, word in zip(UNITS, words, strict=True) if word in _DEAD_WORDS) if len(words) == 3 else ()
    )


_DEAD_WORDS = ("inactive", "failed", "unknown")
_KNOWN_WORDS = {"known": True, "untold": False}


def _docker_problem(gaps: Gaps, server: Answer) -> str:
    if server.is_absent:
        return "absent"
    if is_denied(server):
        return "denied"
    service = gaps.answer(SERVICE)
    words = server.errors.lower()
    if "cannot connect to the docker daemon" in words or "is the docker daemon running" in words:
        return "down"
    if service.fault is None and service.text in ("inactive", "failed", "deactivating"):
        return "down"
    gaps.note("docker", server)
    return ""


def _read_images(gaps: Gaps) -> tuple[str, ...]:
    answer = gaps.answer(IMAGES)
    if not answer.is_ok:
        gaps.note("images", answer)
        return ()
    lines = (line.strip() for line in form.lines_of(answer.text))
    return tuple(dict.fromkeys(line for line in lines if _IMAGE.fullmatch(line)))[:MAX_IMAGES]


def _fill_clock_and_guard(gaps: Gaps) -> dict[str, Any]:
    time = gaps.answer(TIME)
    settings = form.parse_settings(time.text) if time.is_ok else {}
    state = settings.get("NTPSynchronized", "")
    if state not in ("yes", "no"):
        gaps.note("is_clock_synced", time)
    offset_ms = (gaps.answer(CLOCK).numbers or {}).get("offset_ms")
    if offset_ms is None:
        gaps.note("clock_offset_s", gaps.answer(CLOCK), "it was not measured")
    return {
        "is_clock_synced": {"yes": True, "no": False}.get(state),
        "is_clock_kept": _is_clock_kept(settings),
        "clock_offset_s": None if offset_ms is None else offset_ms / 1000,
        "is_guard_active": _read_guard(gaps),
        "is_guard_enabled": {"enabled": True, "disabled": False}.get(gaps.answer(GUARD_ENABLED).text),
        "guard_file": _read_guard_file(gaps),
    }


def _is_clock_kept(settings: Mapping[str, str]) -> bool | None:
    """Source: timedatectl(1): CanNTP says whether there is a service that could."""
    if settings.get("NTP") == "no" and settings.get("CanNTP") == "no":
        return None
    return {"yes": True, "no": False}.get(settings.get("NTP", ""))


def _read_guard(gaps: Gaps) -> bool | None:
    """Whether one of the guards is active: sure when one is, or when both are told not to be. Source: systemctl(1)."""
    states = [gaps.answer(read) for read in GUARD_STATES]
    words = [state.text if state.fault is None else "" for state in states]
    if "active" in words:
        return True
    if all(word in ("inactive", "failed", "unknown", "deactivating", "activating") for word in words):
        return False
    gaps.note("is_guard_active", next(one for one, word in zip(states, words, strict=True) if not word or one.why()))
    return None


def _read_guard_file(gaps: Gaps) -> str | None:
    answer = gaps.answer(GUARD_FILE)
    if answer.is_absent:
        return ""
    if answer.is_ok and len(answer.texts) == 1 and not answer.is_cut:
        return make_plain(answer.texts[0][1], max_chars=GUARD_FILE.max_bytes)
    gaps.note("guard_file", answer, "there is more than is read")
    return None


# Netplan -------------------------------------------------------------------------------------------------------------


def _fill_netplan(gaps: Gaps) -> dict[str, Any]:
    files, problem = netplan_reading.read_files(gaps.answers)
    if problem:
        gaps.problems["netplan"] = make_line(problem, max_chars=MAX_PROBLEM_CHARS)
    return {"netplan": files, "renderer": netplan_reading.read_renderer(gaps.answers, files)}
