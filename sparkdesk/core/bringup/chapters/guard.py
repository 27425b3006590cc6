"""The memory guard: earlyoom ends the largest program before a full memory freezes the whole node. Optional.

The one rule: a guard that already watches is left as it is, whoever set it up. When unified memory is full a Spark
freezes, SSH too (NVIDIA/dgx-spark-playbooks#97, #102). Unverified on hardware [guard-pressure].
"""

from __future__ import annotations

from sparkdesk.core.bringup.case import Case
from sparkdesk.core.bringup.chapter import Chapter, ChapterPlan, FileDiff
from sparkdesk.core.bringup.matrix import Cell
from sparkdesk.core.bringup.reading import NodeReading
from sparkdesk.core.bringup.reading_table import GUARD_FILE
from sparkdesk.core.bringup.row import good, make_row, planned, skipped, unread
from sparkdesk.core.playbooks.memory_floor import LEAST_SHARE
from sparkdesk.core.playbooks.packages import install_packages
from sparkdesk.core.probes.finding import as_root, as_user
from sparkdesk.core.step import PutFile, Restore, Stage, Step

OPTIONS_FILE = GUARD_FILE.path
PARALLEL = 8
PREFERRED = ("VLLM", "vllm", "sglang", "trtllm", "llama-server", "ollama", "python", "python3")
"""Ended first: the engines, by the names under which the kernel lists them. Our own choice, as AVOIDED is."""
AVOIDED = ("systemd", "systemd-.*", "sshd", "dockerd", "containerd", "NetworkManager", "dbus-daemon", "Xorg",
           "gnome-shell", "init")  # fmt: skip
_SWAP_PERCENT = 80
OPTIONS = (
    f"-m {LEAST_SHARE * 100:.0f} -s {_SWAP_PERCENT} -r 3600 "
    f"--prefer ^({'|'.join(PREFERRED)}) --avoid ^({'|'.join(AVOIDED)})$"
)
"""Source: the Spark's users run it with `-m 2 -s 80 --prefer ... --avoid ...`; earlyoom(1) for what they mean, and for
the hour between its reports. $EARLYOOM_ARGS is split at blanks, so no word has one (systemd.service(5))."""
_IS_THERE = "command -v earlyoom || [ -x /usr/bin/earlyoom ]"
_SWITCH_OFF = f"{{ {_IS_THERE}; }} > /dev/null || exit 0; exec systemctl "
_STOP, _DISABLE = (as_root("sh", "-c", f"{_SWITCH_OFF}{words} earlyoom") for words in ("stop", "disable --now"))
"""Where it never came, or went since, there is nothing to switch off."""
CONTENT = f"""# Written by SparkDesk; its undo puts back what was here before.
EARLYOOM_ARGS="{OPTIONS}"
"""


def plan_guard(case: Case) -> ChapterPlan:
    """The row of the guard; its steps where a person wants it and nothing watches yet."""
    rows = (make_row(case, Chapter.GUARD, "memory", "Memory guard", lambda one: _judge(case, one)),)
    lacking = [one for node_id in case.node_ids if _is_lacking(case, one := case.reading(node_id))]
    stages = (
        Stage(
            "Install the memory guard", tuple(_install_step(one) for one in lacking if _needs_package(one)), PARALLEL
        ),
        Stage("Set up the memory guard", tuple(_set_up_step(one) for one in lacking), PARALLEL),
    )
    note = "Below 2 % of available memory the guard ends the largest program, engines first; nothing else is limited."
    diffs = tuple(_diff(one) for one in lacking)
    return ChapterPlan(
        Chapter.GUARD, rows, tuple(stage for stage in stages if stage.steps), diffs, (note,) if lacking else ()
    )  # fmt: skip


def _diff(reading: NodeReading) -> FileDiff:
    """Its package brings a file of its own before ours is written: undo puts that one back, not what is read now."""
    note = "earlyoom's package brings a file of its own first; undo leaves that one." if _needs_package(reading) else ""
    return FileDiff(
        reading.node_id, OPTIONS_FILE, reading.guard_file or None, CONTENT,
        is_before_known=reading.guard_file is not None, note=note,
    )  # fmt: skip


def _is_lacking(case: Case, reading: NodeReading) -> bool:
    return reading.did_answer and case.choices.wants_guard and reading.is_guard_active is False


def _needs_package(reading: NodeReading) -> bool:
    return reading.tools.get("earlyoom") is not True


def _install_step(reading: NodeReading) -> Step:
    """Its undo switches off what the package started by itself; the package stays."""
    is_there = (as_user("sh", "-c", _IS_THERE),)
    return Step(
        f"guard-install-{reading.node_id}", f"Install earlyoom on {reading.name}", reading.node_id,
        check=is_there, apply=install_packages("earlyoom"), verify=is_there,
        undo=(_DISABLE,), phase=Chapter.GUARD.value,
    )  # fmt: skip


def _set_up_step(reading: NodeReading) -> Step:
    """Its options after the package, which brings a file of its own; started anew, so that they count.

    It is planned only where nothing watches: the undo stops it, and has it start with the node only where it did.
    """
    is_own_start = _needs_package(reading) or not reading.is_guard_enabled
    return Step(
        f"guard-on-{reading.node_id}", f"Have earlyoom watch the memory of {reading.name}", reading.node_id,
        check=(
            as_user("sh", "-c", 'printf %s "$1" | cmp -s - "$2"', "sh", CONTENT, OPTIONS_FILE),
            as_user("systemctl", "is-active", "earlyoom"),
        ),
        apply=(
            PutFile(OPTIONS_FILE, CONTENT.encode(), 0o644, as_root=True),
            as_root("systemctl", "enable", "earlyoom"),
            as_root("systemctl", "restart", "earlyoom"),
        ),
        verify=(as_user("systemctl", "is-active", "earlyoom"),),
        undo=(_DISABLE if is_own_start else _STOP, Restore(OPTIONS_FILE)),
        phase=Chapter.GUARD.value,
    )  # fmt: skip


def _judge(case: Case, reading: NodeReading) -> Cell:
    if reading.is_guard_active:
        return good("watches", "systemctl is-active earlyoom, systemd-oomd: one of them is")
    if not case.choices.wants_guard:
        return skipped("not asked for")
    if reading.is_guard_active is None:
        return unread(reading, "is_guard_active")
    steps = (f"guard-install-{reading.node_id}",) if _needs_package(reading) else ()
    steps = (*steps, f"guard-on-{reading.node_id}")
    return planned("nothing watches", steps, OPTIONS, then="earlyoom at 2 %")
