"""How a deployment stands, in words: what it is, what its start does now, what can be done with it beside the buttons.

The one rule: a time that is left is said to be about so much; what is not known is left out, not guessed.
"""

from __future__ import annotations

import math
import re

from sparkdesk.core.jobs.plan import LaunchPlan
from sparkdesk.core.jobs.rate import ACCEPTANCE, GENERATED_RATE, PREFIX_SHARE, TPOT_P50_S, TTFT_MEAN_S, TTFT_P50_S
from sparkdesk.core.jobs.record import JobState, JobStatus, Phase, PhaseState
from sparkdesk.core.jobs.timeline import READY
from ui import text
from ui.jobs.feeds import DeploymentFeeds
from ui.jobs.mark import current_phase, is_coming_up
from ui.jobs.words.gap import NO_PREFIX_CACHE, SPECULATIVE

TOKEN = "token"
WITHOUT_TOKENS = ("embed", "rerank")
"""Purposes whose servers generate nothing."""
_OF_TOKENS = (GENERATED_RATE, TTFT_MEAN_S, TTFT_P50_S, TPOT_P50_S, ACCEPTANCE)
BEING_STOPPED = "It is being stopped"
_PROOF_MS = re.compile(r", (\d{1,8}) ms$")
"""How the note of the first token ends (services/jobs/deployment.py)."""


def what_words(plan: LaunchPlan | None, engine: str, places: str, keeper: str = "") -> str:
    """Engine with its build, format, places: "vLLM, build b12 · mxfp4 · spark-5c2d"."""
    if plan is None:
        return " · ".join(part for part in (engine, places, keeper) if part)
    request = plan.request
    build = f", build {text.one_line(request.build, 32)}" if request.build else ""
    purpose = {"embed": "embeddings", "rerank": "reranker", "vision": "vision"}.get(request.purpose, "")
    parts = (f"{engine}{build}", text.one_line(request.quantization, 32), purpose, places, keeper)
    return " · ".join(part for part in parts if part)


def proof_time_s(job: JobStatus) -> float:
    """How long the token took that proved the start; NaN where none was told. Requests after it have times of their
    own."""
    phase = next((phase for phase in job.phases if phase.key == TOKEN and phase.state is PhaseState.DONE), None)
    if phase is None or not speaks(job):
        return math.nan
    told = _PROOF_MS.search(phase.note)
    took_s = int(told[1]) / 1000 if told is not None else phase.seconds
    return took_s if took_s > 0 else math.nan  # no token takes no time: none was asked for


def speaks(job: JobStatus) -> bool:
    """Whether it speaks OpenAI's protocol, as far as we know: one that does not is never asked for a token."""
    return job.endpoint is None or bool(job.endpoint.base_path)


def phase_title(phase: Phase, job: JobStatus, plan: LaunchPlan | None) -> str:
    """A point of the timeline by name: what proves a start is no token where none is generated."""
    if phase.key != TOKEN:
        return text.one_line(phase.title, 40)
    if not speaks(job):
        return "Ready check"
    is_answer = plan is not None and plan.request.purpose in WITHOUT_TOKENS
    return "First answer" if is_answer else text.one_line(phase.title, 40)


def phase_note(phase: Phase, job: JobStatus) -> str:
    """What a point of the timeline came to; nothing of a token where none was asked for."""
    return "" if phase.key == TOKEN and not speaks(job) else phase.note


def start_summary(job: JobStatus, plan: LaunchPlan | None = None) -> str:
    """How it came up, for the folded timeline: "started in 3:31 · first token 412 ms"."""
    took = [phase.seconds for phase in job.phases if phase.key != READY and phase.state is PhaseState.DONE]
    known = [seconds for seconds in took if text.is_known(seconds)]
    parts = [f"started in {text.stage_time(sum(known))}"] if known else []
    took_s = proof_time_s(job)
    if text.is_known(took_s):
        what = "answer" if plan is not None and plan.request.purpose in WITHOUT_TOKENS else "token"
        parts.append(f"first {what} {text.first_token_time(took_s)}")
    if job.restarts:
        parts.append("started again once" if job.restarts == 1 else f"started again {job.restarts} times")
    return " · ".join(parts)


def left_words(eta_s: float) -> str:
    """How long it still takes, by earlier starts: "about 2 min left"; "" where that is not known."""
    if not text.is_known(eta_s) or eta_s < 0:
        return ""
    if eta_s < 5:
        return "a few seconds left"
    if eta_s < 55:
        return f"about {math.ceil(eta_s / 10) * 10} s left"
    minutes = max(1, round(eta_s / 60))
    return f"about {minutes} min left"


def live_words(job: JobStatus, passed_s: float) -> str:
    """What the start is doing now, whole: the phase, its bytes and rate, and how long it still takes."""
    if not is_coming_up(job):
        return ""
    phase = current_phase(job)
    left = left_words(job.eta_s - passed_s if text.is_known(job.eta_s) else job.eta_s)
    if phase is None:
        return left.capitalize()
    note, title = share_words(phase, text.one_line(phase.note, 200)), text.one_line(phase.title, 40)
    said = f"{title}: {note}" if note else title
    return " · ".join(part for part in (said, left) if part)


def share_words(phase: Phase, note: str) -> str:
    """What a phase is doing, with how far it is where that is known and not said already."""
    if not text.is_known(phase.fraction) or "%" in note:
        return note
    return ", ".join(part for part in (text.percent(phase.fraction, is_done=False), note) if part)


def no_chat_reason(job: JobStatus, plan: LaunchPlan | None) -> str:
    """Why nobody can chat with it now; "" when it can be."""
    if plan is not None and plan.request.purpose in WITHOUT_TOKENS:
        what = "embeddings" if plan.request.purpose == "embed" else "rankings"
        return f"It serves {what}, not a chat"
    if not speaks(job):
        return "It does not speak OpenAI's protocol"
    return _no_service_reason(job)


def no_measure_reason(job: JobStatus, plan: LaunchPlan | None) -> str:
    """Why its speed cannot be measured now; "" when it can be."""
    if plan is not None and plan.request.purpose in WITHOUT_TOKENS:
        return "A measurement counts generated tokens, and it generates none"
    if not speaks(job):
        return "It does not speak OpenAI's protocol"
    return _no_service_reason(job)


def _no_service_reason(job: JobStatus) -> str:
    reasons = {
        JobState.READY: "",
        JobState.DEGRADED: "It does not serve as it should now",
        JobState.UNKNOWN: "It is not known whether it runs",
        JobState.STOPPING: BEING_STOPPED,
    }
    return reasons.get(job.state, "It is not ready yet")


def can_answer(job: JobStatus) -> bool:
    """Whether it may answer at its address: it came up, and is neither over nor being stopped, for all we know."""
    is_on_its_way = any(phase.state in (PhaseState.CURRENT, PhaseState.TO_DO) for phase in job.phases)
    if job.state is JobState.UNKNOWN:
        return not is_on_its_way and not job.account
    return job.state in (JobState.READY, JobState.DEGRADED) and not job.account


def more_actions(feeds: DeploymentFeeds, job: JobStatus, *, is_ours: bool) -> list[tuple[str, str]]:
    """The overflow menu: a key and its words."""
    plan = feeds.plan_of(job.job_id)
    found: list[tuple[str, str]] = []
    if job.endpoint is not None and job.endpoint.base_path and can_answer(job):
        found.append(("curl", "Copy curl"))
    if feeds.close_door is not None and job.job_id in feeds.doors.value:
        found.append(("close_door", "Close its port on this computer"))
    if plan is not None and plan.commands:
        found.append(("command", "Copy launch command"))
    if plan is not None:
        found.append(("open_launch", "Open its launch form"))
    if feeds.save_log is not None and feeds.start is not None and not job.account:
        found.append(("save_log", "Save log…"))
    if feeds.switch is not None and is_ours and not job.state.is_over:
        found.append(("switch", "Switch to another model…"))
    if feeds.embed_beside is not None and is_ours and can_answer(job) and is_chat(job, plan):
        found.append(("beside", "Embedding server beside it…"))
    return found


def is_chat(job: JobStatus, plan: LaunchPlan | None) -> bool:
    """Whether people talk with it, as its plan says: what would have an embedding server beside it."""
    return plan is not None and plan.request.purpose in ("chat", "vision") and speaks(job)


def switched_off(plan: LaunchPlan | None, key: str) -> str:
    """Why a series cannot be there because of how it was launched; "" where it can."""
    if plan is None:
        return ""
    if plan.request.purpose in WITHOUT_TOKENS and key in _OF_TOKENS:
        return "It generates no tokens"
    if key == ACCEPTANCE and not plan.request.speculative:
        return SPECULATIVE
    if key == PREFIX_SHARE and plan.request.prefix_caching is False:
        return NO_PREFIX_CACHE
    return ""


def limit_words(plan: LaunchPlan | None, kv_tokens: float) -> str:
    """What else bounds requests: "8 users at once, KV pool 1.37 M tokens, fp8, tool parser openai"."""
    parts = [f"KV pool {text.pool(kv_tokens)} tokens"] if text.is_known(kv_tokens) else []
    if plan is not None:
        request = plan.request
        chosen = (
            ("KV cache", request.kv_dtype),
            ("tool parser", request.tool_parser),
            ("reasoning parser", request.reasoning_parser),
            ("speculative decoding", request.speculative),
        )
        parts += [f"{what} {text.one_line(name, 40)}" for what, name in chosen if name]
    return " · ".join(parts)


def phase_is_open(job: JobStatus, key: str) -> bool:
    """Whether a phase goes on now: the current one, and "ready" as long as it serves."""
    return key == READY and job.state is JobState.READY
