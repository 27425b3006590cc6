"""The doctor's checks of the memory: pressure, page cache, swap.

The one rule: memory is judged by what the kernel says (MemAvailable, MemFree, PSI), never by nvidia-smi, which has no
memory figures on a GB10. Thresholds without a source are marked as this project's own choice.
"""

from __future__ import annotations

from sparkdesk.core.probes.check import Check, Finding
from sparkdesk.core.probes.finding import Case, as_root, make_fix
from sparkdesk.core.probes.form import MEMINFO, parse_memory, parse_pressure, parse_whole
from sparkdesk.core.probes.read import Answers, Probe, ReadFile
from sparkdesk.core.step import Playbook

GIB = 1 << 30
FULL_WARN_PERCENT = 1.0
FULL_FAIL_PERCENT = 10.0
"""Share of 10 s in which every task waited for memory. Own choice: at rest it is 0, and 10 is felt at the keyboard."""
AVAILABLE_FAIL_BYTES = 4 * GIB
AVAILABLE_WARN_BYTES = 8 * GIB
"""Own choice: NVIDIA/dgx-spark-playbooks#97 and #102 tell of nodes that froze with their memory full."""
FREE_WARN_BYTES = 8 * GIB
CACHE_WARN_BYTES = 16 * GIB
"""Own choice: SGLang's authors saw the driver fail on a GB10 with few free pages and much page cache."""
SWAP_WARN_BYTES = GIB
SWAP_FAIL_BYTES = 8 * GIB
"""Own choice: SGLang's authors saw a GB10 wedged with 15 GiB of swap traffic."""

_PRESSURE_FILE = ReadFile("/proc/pressure/memory", max_bytes=512)
_SWAPPINESS = ReadFile("/proc/sys/vm/swappiness", max_bytes=32)

PRESSURE = Probe(
    id="memory-pressure",
    title="Memory pressure",
    reads=(_PRESSURE_FILE, MEMINFO),
    source="the kernel's PSI document; NVIDIA/dgx-spark-playbooks#97, #102",
)
PAGE_CACHE = Probe(
    id="page-cache",
    title="Page cache before a load",
    reads=(MEMINFO,),
    source="NVIDIA/dgx-spark-playbooks (drop_caches before a load); vllm-project/vllm#35313",
)
SWAP = Probe(
    id="swap",
    title="Swap",
    reads=(MEMINFO, _SWAPPINESS),
    source="SGLang's automatic tuning, measured on a GB10 by its authors",
)


def gib(value: float) -> str:
    """Bytes as a person reads memory."""
    return f"{value / GIB:.1f} GiB"


def judge_pressure(answers: Answers, node_id: str) -> Finding:
    """How long tasks wait for memory, and how much is left."""
    case = Case(PRESSURE, answers, node_id, is_unverified=False)
    shares = parse_pressure(case.answer(_PRESSURE_FILE).text)
    available = parse_memory(case.answer(MEMINFO).text).get("MemAvailable")
    if available is None:
        return case.not_read(MEMINFO)
    words = f"{gib(available)} of memory are available"
    if "full" in shares:
        words += f"; all tasks waited for memory {shares['full']:.1f} % of the last 10 s"
    full = shares.get("full", 0.0)
    remedy = "Stop a server or job on the node, or launch it with a smaller share of memory."
    meaning = "When unified memory is full the whole node freezes, SSH too; only removing the power helps then."
    if full >= FULL_FAIL_PERCENT or available < AVAILABLE_FAIL_BYTES:
        return case.fail(words, meaning=meaning, remedy=remedy)
    if full >= FULL_WARN_PERCENT or available < AVAILABLE_WARN_BYTES:
        return case.warn(words, meaning=meaning, remedy=remedy)
    if "full" not in shares:
        return case.not_read(_PRESSURE_FILE)
    return case.good(words)


def judge_page_cache(answers: Answers, node_id: str) -> Finding:
    """Whether a model can take its memory at once."""
    case = Case(PAGE_CACHE, answers, node_id)
    rows = parse_memory(case.answer(MEMINFO).text)
    free, available = rows.get("MemFree"), rows.get("MemAvailable")
    if free is None or available is None:
        return case.not_read(MEMINFO)
    held = max(0, available - free)
    words = f"{gib(free)} are free, {gib(held)} more are held by the page cache"
    if free >= FREE_WARN_BYTES or held < CACHE_WARN_BYTES:
        return case.good(words)
    fix = make_fix(
        "Drop the page cache", node_id, [as_root("sh", "-c", "sync; echo 3 > /proc/sys/vm/drop_caches", timeout_s=120)]
    )
    return case.warn(
        words,
        meaning="The driver takes free pages and does not wait for the cache: a load can fail with memory left.",
        remedy="Drop the page cache before the next load. Nothing is lost; files are read from the disk again.",
        fix=fix,
    )


def judge_swap(answers: Answers, node_id: str) -> Finding:
    """Whether memory of programs lies on the disk."""
    case = Case(SWAP, answers, node_id)
    rows = parse_memory(case.answer(MEMINFO).text)
    total, free = rows.get("SwapTotal"), rows.get("SwapFree")
    if total is None or free is None or free > total:
        return case.not_read(MEMINFO)
    used = total - free
    if total == 0:
        return case.good("No swap is set up")
    words = f"{gib(used)} of {gib(total)} of swap are used"
    if used < SWAP_WARN_BYTES:
        return case.good(words)
    tell = case.fail if used >= SWAP_FAIL_BYTES else case.warn
    return tell(
        words,
        meaning="Weights that were swapped out come back from the disk: first answers take minutes, or the node hangs.",
        remedy="Have the kernel swap only when it must (vm.swappiness 0, until the next restart), and restart the "
        "server so that its memory comes back.",
        fix=_make_swap_fix(parse_whole(case.answer(_SWAPPINESS).text), node_id),
    )


def _make_swap_fix(swappiness: int | None, node_id: str) -> Playbook | None:
    """Swappiness 0, and back to what it was. None when what it was is not known, or it is 0 already."""
    if not swappiness or swappiness > 200:
        return None
    return make_fix(
        "Swap only when memory is full (vm.swappiness = 0)",
        node_id,
        [as_root("sysctl", "-w", "vm.swappiness=0")],
        undo=[as_root("sysctl", "-w", f"vm.swappiness={swappiness}")],
    )


CHECKS = (
    Check(PRESSURE, judge_pressure),
    Check(PAGE_CACHE, judge_page_cache),
    Check(SWAP, judge_swap),
)
