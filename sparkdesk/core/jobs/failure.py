"""Reads the error object that OpenAI-compatible servers answer with."""

from __future__ import annotations

import json
from typing import Any

MAX_BODY_BYTES = 65536


def read_error_object(body: bytes) -> dict[str, Any] | None:
    """The object under "error" in a JSON answer; None when there is none. Total: any bytes are fine."""
    try:
        answer = json.loads(body[:MAX_BODY_BYTES])
    except (ValueError, RecursionError):
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, dict) else None


def read_count(value: object) -> int | None:
    """A count out of such an object; None when it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
