"""Whose a job is: started from this computer, from another one, or under another account of its node.

The one rule: only what its node says is told; a job started and kept here says nothing at all.
"""

from __future__ import annotations

from sparkdesk.core.jobs.record import JobStatus
from sparkdesk.core.jobs.report import name_account
from ui import text

WORD_CHARS = 60


def describe_origin(job: JobStatus, here: str) -> str:
    """Who started the job and who has it now, as a sentence; "" for one of ours. `here` is this user@computer."""
    if job.account:
        return f"Belongs to {_account(job)}: it is shown here and not changed"
    words = []
    if job.owner and job.owner != here:
        words.append(f"Started from {text.one_line(job.owner, WORD_CHARS)}")
    if job.holder and job.holder != job.owner:
        by = "this computer" if job.holder == here else text.one_line(job.holder, WORD_CHARS)
        words.append(f"{'taken' if words else 'Taken'} over by {by}")
    return ", ".join(words)


def name_keeper(job: JobStatus, here: str) -> str:
    """Who has the job now, in a word or two for a row of the list; "" for one of ours."""
    if job.account:
        return _account(job)
    keeper = job.holder or job.owner
    return text.one_line(keeper, WORD_CHARS) if keeper != here else ""


def takeover_words(job: JobStatus, here: str) -> str:
    """What changes when this computer takes the job over, and what does not."""
    keeper = name_keeper(job, here) or "the other computer"
    return (
        "It runs on as it is. This computer then keeps its plan and looks after it, and it can be launched again from "
        f"here. {keeper} still sees it and can stop it."
    )


def _account(job: JobStatus) -> str:
    return text.one_line(name_account(job.account), WORD_CHARS)
