"""What to change before a failed launch is tried again: out of how it failed, what was asked for, and its node. Pure.

The one rule: a change is proposed only for a cause that the failure names, in the engine's, the guard's or our own
words; where none is named there is nothing to change, and that is said. A person sees each change before anything runs.
Source of the lines: vLLM 0.33's own messages; vLLM 0.32 on CPU and llama.cpp's server, run; SGLang 0.5.23's own source;
docker's and the hub client's words, recalled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.request import LaunchRequest

GIB = 1 << 30
LEAST_CONTEXT = 2048
"""Less context than this is hardly a help for anybody."""
LEAST_TOLD = 512
"""Unless the engine itself said that this is what its memory holds: then it is the one thing that surely helps."""
LEAST_SHARE, MOST_SHARE, SHARE_STEP = 0.2, 0.9, 0.05
SHARE_MARGIN = 0.02
"""Left free below what the engine saw: what is available moves by this much while a model loads."""
MAX_ERROR = 160
"""Characters of an error line among other words."""
MAX_LOAD_TIMEOUT_S = 4 * 3600.0
LICENCE, TOKEN = "licence", "token"
QUIET_FLAGS = {
    "--disable-access-log-for-endpoints": ("--disable-uvicorn-access-log",),
    "--uvicorn-access-log-exclude-prefixes": ("--log-level-http", "warning"),
}
"""Flags of our plans that keep our own polling out of a server's log, and the older words that keep all requests out: a
plan whose request has these leaves ours out. Source: vLLM 0.16 and SGLang of January 2026 brought the first ones."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another server of ours on the node, with the memory that its plan gave it; None is not known."""

    job_id: str
    title: str
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class FailedLaunch:
    """A launch that failed, and what is known of its node. `words` is all that names the cause: message and lines."""

    request: LaunchRequest
    words: str
    load_timeout_s: float = math.nan
    """How long its load was waited for; NaN is not known."""
    used_ports: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, slots=True)
class Fix:
    """A change before the next try. Nothing of it is done by itself."""

    words: str
    """What will be another: "Ask for 11,296 tokens of context instead of 131,072"."""
    change: tuple[tuple[str, object], ...] = ()
    """Fields of the LaunchRequest with their new values."""
    stop_job_id: str = ""
    """The neighbour that makes room: it is stopped first, in the same plan."""
    opens: str = ""
    """What the person does first: "licence" (accept it on the model's page), "token" (give one in Settings), ""."""
    load_timeout_s: float = math.nan
    """How long the next try waits for the load; NaN as before."""


def find_fixes(failed: FailedLaunch) -> tuple[Fix, ...]:
    """What may help, the likeliest first; () when the failure names no cause that we know."""
    for rule in _RULES:
        fixes = tuple(fix for fix in rule(failed) if fix is not None)
        if fixes:
            return fixes
    return ()


def same_again(failed: FailedLaunch, first_error: str = "") -> Fix:
    """What is left where no change is known: where to look, and the same again. It claims no cause."""
    if _MEMORY.search(failed.words):
        return Fix("Choose a smaller model or smaller weights: this launch has nothing more to give up")
    shown = first_error if len(first_error) <= MAX_ERROR else f"{first_error[: MAX_ERROR - 1]}…"
    look = f'Look at the first error in its log, "{shown}"' if shown else "Look at its log, which names no error"
    return Fix(f"{look}; then start it again as it was")


def apply_fix(request: LaunchRequest, fix: Fix) -> LaunchRequest:
    """The request with the fix's changes. Raises PlanError for one that no request can have."""
    fields: dict[str, Any] = {**request.model_dump(), **dict(fix.change)}
    try:
        return LaunchRequest.model_validate(fields)
    except ValidationError as error:
        raise PlanError("This change cannot be made", remedy="Change the launch by hand.", detail=str(error)) from error


def difference(request: LaunchRequest, other: LaunchRequest) -> tuple[tuple[str, object], ...]:
    """What must be changed in a request to make it the other."""
    own = dict(request)
    return tuple((name, value) for name, value in other if own[name] != value)


# The rules, each for one cause ------------------------------------------------------------------------------------

_CONTEXT = re.compile(
    r"estimated maximum model length is ([\d,]{1,12})"
    r"|greater than the derived (?:max_model_len|context_length) \((?:\w{1,40}=)?(\d{1,9})"
)
_CACHE_ASKED = re.compile(r"on kv cache allocation is less than requested memory for kv")
_CACHE_WORDS = ("--kv-cache-memory-bytes", "VLLM_CPU_KVCACHE_SPACE")
"""What asks for a KV cache of one size, as a flag and as a variable. Source: that message of vLLM's itself."""
_LEAST_SHARE = re.compile(r"Raise --mem-fraction-static above ([\d.]{1,6})")
_PTXAS = "ptxas fatal"
PTXAS_VARIABLE = ("TRITON_PTXAS_PATH", "/usr/local/cuda/bin/ptxas")
"""Triton's own assembler may not know sm_121; CUDA 13's does. Source: reports of the Spark's users."""
_SHORT = re.compile(r"Free memory on device[^(]{0,40}\(([\d.]{1,8})/([\d.]{1,8}) GiB\)[^\n]{0,80}less than desired")
_PORT = re.compile(
    r"address already in use|couldn't bind|port is already allocated|\bport \d+ is in use", re.IGNORECASE
)
_NO_CACHE = re.compile(
    r"No available memory for the cache blocks|try to increase --mem-fraction-static|"
    r"Insufficient GPU memory for the KV cache"
)
_MEMORY = re.compile(
    r"out of memory|more system memory|(?:failed|unable) to allocate|memory floor|\bsignal 9\b|\bcode 137\b",
    re.IGNORECASE,
)
_GATED = re.compile(r"gated repo|GatedRepoError|awaiting a review|\b403\b.{0,80}(?:hub|repo|licen)", re.IGNORECASE)
_NO_TOKEN = re.compile(r"\b401\b.{0,120}(?:hub|repo|token)|token .{0,40}(?:invalid|missing|expired)", re.IGNORECASE)
_FLAG = re.compile(
    r"(?:unrecognized arguments?|invalid argument|unknown (?:argument|flag|option)|no such option)s?:?\s{1,3}['\"`]?"
    r"(-{1,2}[A-Za-z][\w.-]{0,80})"
)
_DAMAGED = re.compile(
    r"SafetensorError|incomplete metadata|failed to load model|error loading model|checksum|not whole", re.IGNORECASE
)
_UNKNOWN_KIND = "unknown model architecture"
_REMOTE_CODE = re.compile(r"trust[_-]remote[_-]code", re.IGNORECASE)
_IMAGE = re.compile(r"exec format error|manifest unknown|no such image|no matching manifest", re.IGNORECASE)
_NOT_YET = re.compile(r"not so after [\d,.]+ s")
_TAKEN_AWAY = re.compile(r"(?:node was restarted|container was removed by someone else)")


def _lower_context(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    """The engine itself said how much context its memory holds, or how much the model was trained for."""
    match = _CONTEXT.search(failed.words)
    if match is None:
        return ()
    most = int((match[1] or match[2]).replace(",", ""))
    return (_context_fix(failed.request, most // 16 * 16, LEAST_TOLD),)


def _take_free_port(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    if not _PORT.search(failed.words):
        return ()
    port = failed.request.port
    free = next((other for other in range(port + 1, 65536) if other not in failed.used_ports), None)
    if free is None:
        return ()
    return (Fix(f"Use port {free} instead of {port}, which is taken", (("port", free),)),)


def _fit_share(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    """vLLM refuses to start when less is free than its share; it says what is free."""
    match = _SHORT.search(failed.words)
    if match is None:
        return ()
    free, total = _number(match[1]), _number(match[2])
    share = math.floor((free / total - SHARE_MARGIN) * 100) / 100 if total > 0 else 0.0
    lower = _share_fix(failed.request, share) if share >= LEAST_SHARE else None
    return (lower, _stop_neighbour(failed))


def _make_cache_room(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    """The weights fill the engine's share: nothing is left for the KV cache."""
    if not _NO_CACHE.search(failed.words):
        return ()
    share = failed.request.memory_fraction
    more = min(round((share or MOST_SHARE) + SHARE_STEP, 2), MOST_SHARE)
    raised = _share_fix(failed.request, more) if share is not None and more > share else None
    return (raised, _context_fix(failed.request, failed.request.context_tokens // 2), _stop_neighbour(failed))


def _raise_share(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    """The engine said which share its weights need at least."""
    match = _LEAST_SHARE.search(failed.words)
    if match is None:
        return ()
    share = math.floor(_number(match[1]) * 100 + 1) / 100 + SHARE_STEP
    return (_share_fix(failed.request, round(share, 2)) if share <= MOST_SHARE else None, _stop_neighbour(failed))


def _ask_smaller_cache(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    """A KV cache of one size was asked for, and less is there."""
    if not _CACHE_ASKED.search(failed.words):
        return ()
    request, (flag, variable) = failed.request, _CACHE_WORDS
    if any(word.partition("=")[0] == flag for word in request.extra_flags):
        words = f"Leave out {flag}: the memory share decides then"
        return (Fix(words, (("extra_flags", _without(request.extra_flags, flag)),)), _stop_neighbour(failed))
    if any(name == variable for name, _ in request.environment):
        kept = tuple(pair for pair in request.environment if pair[0] != variable)
        return (Fix(f"Leave out {variable}: the engine decides then", (("environment", kept),)),)
    return (_stop_neighbour(failed), _context_fix(request, request.context_tokens // 2))


def _name_assembler(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    """Triton's own assembler does not know the GPU: CUDA's does."""
    environment = failed.request.environment
    if _PTXAS not in failed.words or any(name == PTXAS_VARIABLE[0] for name, _ in environment):
        return ()
    words = f"Let Triton use CUDA's assembler: {'='.join(PTXAS_VARIABLE)}"
    return (Fix(words, (("environment", (*environment, PTXAS_VARIABLE)),)),)


def _need_less(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    if not _MEMORY.search(failed.words):
        return ()
    request = failed.request
    share = request.memory_fraction
    lower_share = None
    if share is not None and share - SHARE_STEP >= LEAST_SHARE:
        lower_share = _share_fix(request, round(share - SHARE_STEP, 2))
    fewer = None
    if request.concurrency > 1:
        half = request.concurrency // 2
        fewer = Fix(f"Serve {half} at once instead of {request.concurrency}", (("concurrency", half),))
    return (_stop_neighbour(failed), lower_share, _context_fix(request, request.context_tokens // 2), fewer)


def _be_let_in(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    if _GATED.search(failed.words):
        words = f"Accept the licence of {failed.request.model} on its page, then launch it again"
        return (Fix(words, opens=LICENCE),)
    if _NO_TOKEN.search(failed.words):
        return (Fix("Give a token of the hub in Settings, then launch it again", opens=TOKEN),)
    return ()


def _drop_flag(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    """A flag that this build does not know: what the person added is left out; of the plan's own, what can be."""
    match = _FLAG.search(failed.words)
    if match is None:
        return ()
    flag, request = match[1], failed.request
    kept = _without(request.extra_flags, flag)
    if kept != request.extra_flags:
        return (Fix(f"Leave out {flag}, which this build does not know", (("extra_flags", kept),)),)
    if flag in QUIET_FLAGS and QUIET_FLAGS[flag][0] not in request.extra_flags:
        words = f"Leave out {flag}, which this build does not know; no request is in its log then"
        return (Fix(words, (("extra_flags", (*request.extra_flags, *QUIET_FLAGS[flag])),)),)
    if request.image:
        return (Fix(f"Use the engine's usual image instead of {request.image}", (("image", ""),)),)
    return ()


def _without(flags: tuple[str, ...], flag: str) -> tuple[str, ...]:
    """The flags without this one and its value."""
    kept, is_dropped = [], False
    for word in flags:
        if word == flag or word.startswith(f"{flag}="):
            is_dropped = word == flag  # its value follows, unless it came with it
            continue
        if is_dropped and not word.startswith("-"):
            is_dropped = False
            continue
        is_dropped = False
        kept.append(word)
    return tuple(kept)


def _allow_code(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    if not _REMOTE_CODE.search(failed.words) or failed.request.trust_remote_code:
        return ()
    words = "Let code that comes with the model run in its container; read that code first"
    return (Fix(words, (("trust_remote_code", True),)),)


def _change_image(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    if not _IMAGE.search(failed.words) or not failed.request.image:
        return ()
    return (Fix(f"Use the engine's usual image instead of {failed.request.image}", (("image", ""),)),)


def _fetch_again(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    if not _DAMAGED.search(failed.words) or _UNKNOWN_KIND in failed.words:
        return ()  # a whole file of a kind that the engine does not know stays what it is
    return (Fix("Verify the weights under Models on disk and fetch them again, then launch it again"),)


def _wait_longer(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    if not _NOT_YET.search(failed.words):
        return ()
    before_s = failed.load_timeout_s if math.isfinite(failed.load_timeout_s) else 900.0
    longer_s = min(2.0 * before_s, MAX_LOAD_TIMEOUT_S)
    if longer_s <= before_s:
        return ()
    words = f"Wait up to {longer_s / 60:.0f} minutes for it to load instead of {before_s / 60:.0f}"
    return (Fix(words, load_timeout_s=longer_s),)


def _try_again(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    """What took it away was not the launch."""
    match = _TAKEN_AWAY.search(failed.words)
    return (Fix(f"Launch the same again: its {match[0]}"),) if match is not None else ()


_SERVICE = (
    (re.compile(r"file does not exist"), "Correct Ollama's own name of the model, as its library has it: name:tag"),
    (
        re.compile(r"no Ollama service answers"),
        "Start the service on the node (sudo systemctl start ollama), then again",
    ),
    (re.compile(r"no space left"), "Free disk space under Models on disk, then launch it again"),
    (re.compile(r"not to be pulled"), "Let the model come from the network, or pull it on the node first"),
    (re.compile(r"pull failed"), "Launch the same again: the download goes on where it was"),
    (re.compile(r"unloaded by somebody else"), "See who uses the service, then launch the same again"),
    (re.compile(r"does not answer|went away"), "Look at the service (systemctl status ollama), then launch it again"),
)
"""What ends a stay at Ollama's service, in the words of remote/ollama.py, and what a person does about it."""


def _mend_service(failed: FailedLaunch) -> tuple[Fix | None, ...]:
    """A service of the node's: no field of the launch but its name changes what it does."""
    if failed.request.engine != "ollama":
        return ()
    words = next((words for pattern, words in _SERVICE if pattern.search(failed.words)), "")
    return (Fix(words),) if words else ()


_Rule = Callable[[FailedLaunch], tuple["Fix | None", ...]]
_RULES: tuple[_Rule, ...] = (
    _lower_context,
    _take_free_port,
    _fit_share,
    _raise_share,
    _ask_smaller_cache,
    _make_cache_room,
    _be_let_in,
    _drop_flag,
    _allow_code,
    _change_image,
    _name_assembler,
    _need_less,
    _fetch_again,
    _mend_service,
    _wait_longer,
    _try_again,
)
"""What names its cause most exactly comes first."""


def _context_fix(request: LaunchRequest, tokens: int, least: int = LEAST_CONTEXT) -> Fix | None:
    if not 128 <= tokens < request.context_tokens or tokens < min(least, request.context_tokens // 2):
        return None
    words = f"Ask for {tokens:,} tokens of context instead of {request.context_tokens:,}"
    return Fix(words, (("context_tokens", tokens),))


def _share_fix(request: LaunchRequest, share: float) -> Fix | None:
    if request.memory_fraction is None:
        return Fix(f"Give it {share:.0%} of the memory", (("memory_fraction", share),))
    words = f"Give it {share:.0%} of the memory instead of {request.memory_fraction:.0%}"
    return None if share == request.memory_fraction else Fix(words, (("memory_fraction", share),))


def _stop_neighbour(failed: FailedLaunch) -> Fix | None:
    """The neighbour that holds the most."""
    largest = max(failed.neighbours, key=lambda other: other.memory_bytes or 0, default=None)
    if largest is None:
        return None
    part = f", which frees about {largest.memory_bytes / GIB:.0f} GiB" if largest.memory_bytes else ""
    return Fix(f"Stop {largest.title} first{part}", stop_job_id=largest.job_id)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
