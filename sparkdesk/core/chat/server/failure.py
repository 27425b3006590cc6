"""What an HTTP answer that is not a chat stream means, in words, with what to do.

The one rule: the status and the content type are read before the body, and a body is only ever quoted as one bounded
line of plain text: a gateway's HTML page is named, never shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime

from sparkdesk.core.chat.server.words import MAX_MESSAGE_CHARS, Overflow, error_text, read_overflow
from sparkdesk.core.jobs.backend import EndpointFailure
from sparkdesk.core.plain_text import make_line

FailureReader = Callable[[int, bytes], EndpointFailure | None]
"""A backend's own reading of a failure (`Backend.failure`)."""

LOG_REMEDY = "Read the deployment's log for the cause."
OVERFLOW_REMEDY = "Shorten the conversation, or launch the model with a longer context."
MAX_RETRY_AFTER_S = 86_400
VAGUE = ("bad_request", "other")
"""Kinds of a backend's reading that say less than what all engines share may know."""
OVERFLOW_STATUSES = (400, 413, 422, 500)
"""llama.cpp answers 500 where the cache runs full while others are being answered."""
_NO_MODEL = re.compile(
    r"model ['\"`]?.{0,200}?['\"`]? (?:not found|does not exist)|model name is missing|unknown model", re.IGNORECASE
)
"""Source: recorded answers of llama.cpp's router (400) and of vLLM (404)."""
_PLACE = re.compile(r"(https?://[^/?#\s]{1,200})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The start of an HTTP answer. `body` is at most the first 64 KiB; the rest are the headers of these names."""

    status: int
    content_type: str = ""
    retry_after: str = ""
    body: bytes = b""
    date: str = ""
    location: str = ""

    @property
    def is_event_stream(self) -> bool:
        """Whether a chat stream follows."""
        return self.status == 200 and self.content_type.partition(";")[0].strip().lower() == "text/event-stream"


def explain(answer: HttpAnswer, reader: FailureReader | None = None) -> EndpointFailure:
    """Why this answer is no chat stream. The backend's own reading goes before what all engines share, unless it is
    vaguer; numbers and words of an overflow are the same for all.
    """
    shared = _shared(answer)
    own = reader(answer.status, answer.body) if reader is not None else None
    if own is None or shared.kind in ("context_overflow", "answer_limit"):
        found = shared
    elif own.kind == "context_overflow":
        found = explain_overflow(Overflow(own.prompt_tokens, own.context_tokens))
    else:
        found = shared if own.kind in VAGUE and shared.kind not in VAGUE else own
    after_s = read_retry_after(answer.retry_after, answer.date)
    if after_s is not None and found.kind in ("overloaded", "loading"):
        found = replace(found, retry_after_s=after_s, remedy=f"Retry in {after_s:g} s.")
    return replace(found, message=make_line(found.message, max_chars=MAX_MESSAGE_CHARS))


def explain_overflow(overflow: Overflow) -> EndpointFailure:
    """Words for a prompt, or an answer asked for, that is more than the model's context."""
    prompt, limit = overflow.prompt_tokens, overflow.context_tokens
    if overflow.is_answer:
        left = f": {limit - prompt:,} tokens are left" if prompt is not None and limit is not None else ""
        most = f" of {limit:,} tokens" if limit is not None else ""
        message = f"The answer that was asked for does not fit into the model's context{most}{left}"
        remedy = "Set a smaller limit for the answer, then retry."
    else:
        asked = f"{prompt:,} tokens are" if prompt is not None else "The conversation is"
        most = f" of {limit:,}" + ("" if prompt is not None else " tokens") if limit is not None else ""
        message, remedy = f"{asked} more than the model's context{most}", OVERFLOW_REMEDY
    kind = "answer_limit" if overflow.is_answer else "context_overflow"
    return EndpointFailure(kind, message, remedy, prompt_tokens=prompt, context_tokens=limit)


def read_retry_after(header: str, date: str = "") -> float | None:
    """Seconds until a server wants to be asked again: its number, or its moment by its own clock (`date`).

    None where it does not tell. Source: RFC 9110, section 10.2.3.
    """
    header = header.strip()
    if header.isascii() and header.isdigit() and len(header) <= 6:
        return float(min(int(header), MAX_RETRY_AFTER_S))
    try:
        left_s = (parsedate_to_datetime(header) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, left_s), float(MAX_RETRY_AFTER_S))


def _shared(answer: HttpAnswer) -> EndpointFailure:
    if 300 <= answer.status < 400:
        return _sent_on(answer)
    if _is_html(answer):
        return EndpointFailure(
            "not_model_server",
            f"Something in between answered with a web page ({answer.status}), not the model server",
            "Check that the port belongs to the model server and that no proxy or sign-in page is in front of it.",
        )
    words = _words(answer.body)
    if answer.status in OVERFLOW_STATUSES:
        overflow = read_overflow(read_error(answer.body), words)
        if overflow is not None:
            return explain_overflow(overflow)
    return _by_status(answer.status, words, is_empty=not answer.body)


def _is_html(answer: HttpAnswer) -> bool:
    start = answer.body[:512].lstrip().lower()
    return "html" in answer.content_type.lower() or start.startswith((b"<!doctype", b"<html"))


def _sent_on(answer: HttpAnswer) -> EndpointFailure:
    # Only scheme and host: what follows may hold a ticket of a sign-in.
    place = _PLACE.match(answer.location)
    where = f", {make_line(place[1], max_chars=120)}" if place else ""
    return EndpointFailure(
        "not_model_server",
        f"The server sent us to another address{where} ({answer.status})",
        "SparkDesk does not follow it, since a sign-in page may be there; give the model server's own address.",
    )


def _by_status(status: int, words: str, *, is_empty: bool) -> EndpointFailure:
    said = f": {words}" if words else ""
    if status == 503 and "loading" in words.lower():
        return EndpointFailure("loading", "The model is still loading", "Retry when the deployment is Ready.")
    if status in (429, 503):
        return EndpointFailure("overloaded", f"The model server is overloaded ({status}){said}", "Retry in a while.")
    if status in (401, 403):
        return EndpointFailure(
            "unauthorized",
            f"The model server refused the request ({status}){said}",
            "It wants a key, or another one: connect to it with its key, or launch it from SparkDesk.",
        )
    if status in (400, 404) and _NO_MODEL.search(words):
        return EndpointFailure(
            "model_not_found",
            f"The server does not know this model ({status}){said}",
            "Choose a model that the server serves, or launch it again.",
        )
    return _other(status, said, is_empty=is_empty)


def _other(status: int, said: str, *, is_empty: bool) -> EndpointFailure:
    if status == 404:
        return EndpointFailure(
            "not_model_server",
            f"The server does not know this address (404){said}",
            "Check the address: it ends in /v1 for most model servers.",
        )
    if status == 200:
        return EndpointFailure(
            "not_model_server",
            f"The server answered, but not with a stream{said or (': nothing came' if is_empty else '')}",
            "Check that this is an OpenAI-compatible model server.",
        )
    if status in (502, 504):
        return EndpointFailure(
            "other",
            f"Something in between did not get an answer of the model server ({status}){said}",
            "Check that the model server runs, then retry.",
        )
    if status >= 500:
        return EndpointFailure("engine_dead", f"The model server failed ({status}){said}", LOG_REMEDY)
    return EndpointFailure(
        "bad_request", f"The model server did not take the request ({status}){said}", "Change the request, then retry."
    )


def read_error(body: bytes) -> Mapping[str, object]:
    """The error object in a body, wherever it stands; empty where there is none. Total."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}


def _words(body: bytes) -> str:
    try:
        return error_text(json.loads(body))
    except (ValueError, RecursionError):
        return error_text({"message": body[:MAX_MESSAGE_CHARS].decode("utf-8", "replace")})
