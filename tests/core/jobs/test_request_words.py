"""No word of a request ends in a line break: a name with one would break the plan's lines."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sparkdesk.core.jobs.request import LaunchRequest

FINE: dict[str, Any] = {
    "engine": "vllm", "model": "a/b", "nodes": ("n1",), "served_name": "b", "image": "img:1",
    "weights_path": "/a/b", "environment": (("FOO", "1"),),
}  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {"model": "a/b\n"}, {"image": "img:1\n"}, {"weights_path": "/a/b\n"}, {"environment": (("FOO\n", "1"),)},
        {"served_name": "b\n"}, {"engine": "vllm\n"},
    ],
    ids=lambda more: next(iter(more)),
)  # fmt: skip
def test_a_word_with_a_line_break_at_its_end_is_refused(more: dict[str, Any]) -> None:
    LaunchRequest.model_validate(FINE)
    with pytest.raises(ValidationError):
        LaunchRequest.model_validate(FINE | more)
