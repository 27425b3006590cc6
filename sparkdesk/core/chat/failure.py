"""What an HTTP answer that is not a chat stream means, in words, with what to do.

The one rule: the status and the content type are read before the body, and a body is only ever quoted as one bounded
line of plain text: a gateway's HTML page is named, never shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from sparkdesk.core.chat.openai_event import error_text
from sparkdesk.core.jobs.backend import EndpointFailure

FailureReader = Callable[[int, bytes], EndpointFailure | None]
"""A backend's own reading of a failure (`Backend.failure`)."""

LOG_REMEDY = "Read the deployment's log for the cause."
MAX_RETRY_AFTER_S = 86_400
_OVERFLOW = re.compile(r"context (length|size|window)|exceed_context_size|maximum context", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d{1,12}) (?:input |output )?tokens")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The start of an HTTP answer. `body` is at most the first 64 KiB."""

    status: int
    content_type: str = ""
    retry_after: str = ""
    body: bytes = b""

    @property
    def is_event_stream(self) -> bool:
        """Whether a chat stream follows."""
        return self.status == 200 and self.content_type.partition(";")[0].strip().lower() == "text/event-stream"


def explain(answer: HttpAnswer, reader: FailureReader | None = None) -> EndpointFailure:
    """Why this answer is no chat stream. The backend's own reading goes first, then what all engines share."""
    if reader is not None:
        own = reader(answer.status, answer.body)
        if own is not None:
            return own
    if _is_html(answer):
        return _gateway(answer)
    words = _words(answer.body)
    if answer.status in (400, 413, 422) and _OVERFLOW.search(words + _error_type(answer.body)):
        return _overflow(answer, words)
    return _by_status(answer, words)


def _is_html(answer: HttpAnswer) -> bool:
    start = answer.body[:512].lstrip().lower()
    return "html" in answer.content_type.lower() or start.startswith((b"<!doctype", b"<html"))


def _gateway(answer: HttpAnswer) -> EndpointFailure:
    return EndpointFailure(
        "other",
        f"Something in between answered with a web page ({answer.status}), not the model server",
        "Check that the port belongs to the model server and that no proxy or sign-in page is in front of it.",
    )


def _by_status(answer: HttpAnswer, words: str) -> EndpointFailure:
    status, said = answer.status, f": {words}" if words else ""
    if status == 503 and "loading" in words.lower():
        return EndpointFailure("loading", "The model is still loading", "Retry when the deployment is Ready.")
    if status in (429, 503):
        after = _retry_after(answer.retry_after)
        when = f"Retry in {after} s" if after is not None else "Retry in a while"
        return EndpointFailure("overloaded", f"The model server is overloaded ({status}){said}", f"{when}.")
    if status in (401, 403):
        return EndpointFailure(
            "unauthorized",
            f"The model server refused the request ({status}){said}",
            "It was started with a key that SparkDesk does not have; start it without one, or from SparkDesk.",
        )
    if status == 404:
        return EndpointFailure(
            "model_not_found",
            f"The server does not know this model or address (404){said}",
            "Choose a model that the server serves, or launch it again.",
        )
    if 300 <= status < 400:
        return EndpointFailure(
            "other",
            f"The server sent us to another address ({status})",
            "SparkDesk does not follow it; give the model server's own address.",
        )
    if status == 200:
        return EndpointFailure(
            "other",
            f"The server answered, but not with a stream{said or (': nothing came' if not answer.body else '')}",
            "Check that this is an OpenAI-compatible model server.",
        )
    if status >= 500:
        return EndpointFailure("engine_dead", f"The model server failed ({status}){said}", LOG_REMEDY)
    return EndpointFailure(
        "bad_request", f"The model server did not take the request ({status}){said}", "Change the request, then retry."
    )


def _overflow(answer: HttpAnswer, words: str) -> EndpointFailure:
    prompt, context = _overflow_counts(answer.body, words)
    asked = f"{prompt:,} tokens" if prompt is not None else "The conversation"
    limit = f" of {context:,}" if context is not None else ""
    verb = "are" if prompt is not None else "is"
    return EndpointFailure(
        "context_overflow",
        f"{asked} {verb} more than the model's context{limit}",
        "Start a new chat, or launch the model with a longer context.",
        prompt_tokens=prompt,
        context_tokens=context,
    )


def _overflow_counts(body: bytes, words: str) -> tuple[int | None, int | None]:
    error = _error(body)
    prompt, context = error.get("n_prompt_tokens"), error.get("n_ctx")
    if isinstance(prompt, int) and isinstance(context, int):
        return prompt, context
    # vLLM tells the limit, but of the prompt only that it is larger.
    numbers = [int(number) for number in _NUMBERS.findall(words)]
    return None, numbers[0] if numbers else None


def _error(body: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    error = parsed.get("error") if isinstance(parsed, dict) else None
    return error if isinstance(error, dict) else {}


def _error_type(body: bytes) -> str:
    kind = _error(body).get("type")
    return f" {kind[:100]}" if isinstance(kind, str) else ""


def _words(body: bytes) -> str:
    try:
        return error_text(json.loads(body))
    except (ValueError, RecursionError):
        return error_text({"message": body[:600].decode("utf-8", "replace")})


def _retry_after(header: str) -> int | None:
    header = header.strip()
    if not header.isascii() or not header.isdigit() or len(header) > 6:
        return None
    return min(int(header), MAX_RETRY_AFTER_S)
