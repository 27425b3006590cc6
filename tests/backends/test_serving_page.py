"""What docs/serving.md says of the adapters and of what nobody saw is what the code says."""

from __future__ import annotations

import re

import pytest

from sparkdesk.app.plugin import BUILT_IN
from sparkdesk.core.jobs.backend import Backend
from sparkdesk.core.jobs.plan import Severity
from sparkdesk.core.jobs.pulse import PROBE_AFTER_S, PROBE_LIMIT_S
from sparkdesk.core.jobs.request import CustomServer, LaunchRequest
from sparkdesk.core.jobs.verdict import ANSWER_TOKENS, FALL, PROMPT_TOKENS
from sparkdesk.core.playbooks.container import HEADROOM_BYTES
from sparkdesk.core.playbooks.memory_floor import FLOOR_BYTES
from sparkdesk.core.probes.assumption_table import ASSUMPTIONS
from tests.backends.context import GGUF, ROOT, context_with

PAGE = (ROOT / "docs/serving.md").read_text("utf-8")
METHODS = ("draft", "mtp", "eagle3", "ngram", "dflash")
MARK = re.compile(r"unverified on hardware \[([a-z0-9-]+(?:, [a-z0-9-]+)*)\]", re.IGNORECASE)
SERVING = ("backends", "sparkdesk/remote", "sparkdesk/core/playbooks", "sparkdesk/core/jobs")
"""Whose marks the page lists; what the planner, the doctor and the map rest on stands elsewhere."""
OTHERS = {
    "cage-netdevs",
    "cage-rdma-devices",
    "draft-weights",
    "nearest-bridge",
    "netplan-generator",
    "netplan-renderer",
    "nvml-library",
    "nvml-memory",
    "trial-scope",
    "wake-on-lan",
}
"""Of those folders, but of the map, of telemetry, of power, of the planner and of the bring-up."""


def ask(backend: Backend, **changes: object) -> LaunchRequest:
    """A launch that fits the engine."""
    key = backend.info.key
    server = CustomServer(command=("serve", "{port}")) if key == "custom" else None
    base = LaunchRequest(
        engine=key,
        model="HuggingFaceTB/SmolLM2-135M-Instruct",
        weights_path=GGUF if backend.info.needs_weights_path else "",
        nodes=("node-1",),
        served_name="model",
        port=backend.info.default_port,
        custom=server,
    )
    return base.model_copy(update=changes)


def is_refused(backend: Backend, field: str, **changes: object) -> bool:
    """Whether the adapter forbids this launch because of this field."""
    problems = backend.problems(ask(backend, **changes), context_with(None))
    return any(one.severity is Severity.ERROR and one.field == field for one in problems)


def row_of(backend: Backend) -> str:
    """One row of the page's table."""
    info = backend.info
    reach = "no" if is_refused(backend, "reach", reach="lan") else "yes, with a key"
    guesses = ", ".join(one for one in METHODS if not is_refused(backend, "speculative", speculative=one)) or "none"
    if info.key == "custom":
        guesses = "as its command says"
    return f"| {info.title} | {', '.join(info.purposes)} | {guesses} | {reach} | {info.default_port} |"


def test_the_table_of_engines_is_what_the_adapters_say() -> None:
    rows = [row_of(backend) for backend in BUILT_IN]
    assert all(row in PAGE.splitlines() for row in rows), "the table must hold these rows:\n" + "\n".join(rows)


def test_what_serving_rests_on_unseen_is_listed_with_its_meaning() -> None:
    marked = set()
    for folder in SERVING:
        for path in (ROOT / folder).rglob("*.py"):
            marked |= {name for match in MARK.finditer(path.read_text("utf-8")) for name in match[1].split(", ")}
    listed = set(re.findall(r"^- `([a-z0-9-]+)`: ", PAGE, re.MULTILINE))
    assert listed == marked - OTHERS
    assert listed <= {one.probe.id for one in ASSUMPTIONS}


@pytest.mark.parametrize(
    "words",
    [
        f"{PROMPT_TOKENS} tokens in, {ANSWER_TOKENS} out",
        f"more than {FALL:.0%} slower".replace("%", " %"),
        f"{FLOOR_BYTES >> 30} GiB",
        f"{HEADROOM_BYTES >> 30} GiB",
        f"for {PROBE_AFTER_S:.0f} s",
        f"{PROBE_LIMIT_S:.0f} s",
    ],
)
def test_the_figures_of_the_page_are_those_of_the_code(words: str) -> None:
    assert words in " ".join(PAGE.split())
