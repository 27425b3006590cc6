"""The hub is asked before a launch: its noes are told apart, asked for once, and never with the token in a command."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparkdesk.app.remote import read_remote
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.jobs.plan import Problem
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.planning.launch.hub_access import ANSWERS, asked_repos, hub_problems
from sparkdesk.services.disk.hub_access import NO_MS, HubAccess
from tests.fakes.shell import LocalShell
from tests.servers.hub import Hub, HubServer

REQUEST = LaunchRequest(engine="vllm", model="o/n", nodes=("n1",), served_name="n", context_tokens=2048)
NODE = NodeContext(NodeRecord(id="n1", name="spark-1", address="127.0.0.1", port=22, user="nvidia"))
GOOD = "hf_good_and_secret"


class Clock:
    """A clock that a test sets."""

    now = 1_000_000

    def now_ms(self) -> int:
        """Unix time."""
        return self.now

    def monotonic_s(self) -> float:
        """Seconds."""
        return self.now / 1000


class Desk:
    """One node that asks one hub."""

    def __init__(self, home: Path, hub: Hub) -> None:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.shell = LocalShell(home, env={"HF_ENDPOINT": hub.url, "PATH": path})
        self.token = ""
        self.clock = Clock()
        self.access = HubAccess(lambda _node_id: self.shell, self.secret, self.clock, read_remote("hub_look"))

    async def secret(self, reference: str) -> str | None:
        """The hub's token."""
        assert reference == "hub_token"
        return self.token or None

    async def problems(self, repo: str = "o/n") -> list[Problem]:
        """What stands in the form after the hub was asked."""
        await self.access.ask("n1", [repo])
        request = REQUEST.model_copy(update={"model": repo})
        return hub_problems(request, with_answers(self.access), repo)


def with_answers(access: HubAccess) -> NodeContext:
    return NodeContext(NODE.record, hub_answers=access.answers("n1"))


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with one small model."""
    with HubServer(Hub({"config.json": b"{}", "w.safetensors": b"x" * 100}, {"w.safetensors"})) as hub:
        yield hub


@pytest.fixture
def desk(tmp_path: Path, hub: Hub) -> Desk:
    """A node that asks it."""
    return Desk(tmp_path, hub)


async def test_a_model_that_is_given_out_is_no_problem(desk: Desk, hub: Hub) -> None:
    assert await desk.problems() == []
    assert desk.access.answers("n1") == {"o/n": "ok"}
    assert hub.cdn_asked == [], "nothing of the weights was asked for"


async def test_a_model_without_the_small_file_is_given_out_too(desk: Desk, hub: Hub) -> None:
    del hub.files["config.json"]
    assert (await desk.access.ask("n1", ["o/n"])) == {"o/n": "ok"}


@pytest.mark.parametrize(
    ("needed", "given", "is_gated", "repo", "answer", "code"),
    [
        (GOOD, "", False, "o/n", "no_token", "401"),
        (GOOD, "hf_bad", False, "o/n", "bad_token", "401"),
        (GOOD, GOOD, True, "o/n", "not_accepted", "403"),
        (GOOD, GOOD, False, "o/none", "missing", "404"),
    ],
)
async def test_the_noes_of_the_hub_are_four_messages_at_the_model(
    desk: Desk, hub: Hub, needed: str, given: str, is_gated: bool, repo: str, answer: str, code: str
) -> None:
    hub.token, hub.is_gated, desk.token = needed, is_gated, given
    (problem,) = await desk.problems(repo)
    assert desk.access.answers("n1")[repo] == answer
    assert problem.field == "model"
    assert code in problem.message
    assert problem.remedy
    assert len({message for message, _ in ANSWERS.values()}) == len(ANSWERS)


async def test_the_token_is_in_no_command_and_goes_to_the_hub(desk: Desk, hub: Hub) -> None:
    hub.token = desk.token = GOOD
    assert await desk.problems() == []
    assert GOOD not in "\n".join(desk.shell.lines)
    assert all(asked[2] == f"Bearer {GOOD}" for asked in hub.asked)
    assert hub.asked


async def test_one_question_is_asked_once_and_again_for_another_token_and_after_a_while(desk: Desk, hub: Hub) -> None:
    hub.token = GOOD
    await asyncio.gather(*(desk.access.ask("n1", ["o/n"]) for _ in range(4)))
    assert len(desk.shell.lines) == 1
    desk.token = GOOD
    assert await desk.access.ask("n1", ["o/n"]) == {"o/n": "ok"}
    assert len(desk.shell.lines) == 2
    hub.is_gated = True
    assert await desk.access.ask("n1", ["o/n"]) == {"o/n": "ok"}, "a yes is kept"
    desk.clock.now += 11 * 60 * 1000
    assert desk.access.answers("n1") == {}
    assert await desk.access.ask("n1", ["o/n"]) == {"o/n": "not_accepted"}
    desk.clock.now += NO_MS + 1
    assert desk.access.answers("n1") == {}, "a no is soon forgotten: people mend it"


async def test_a_node_without_a_way_there_says_so_only_where_it_must_fetch(desk: Desk, tmp_path: Path) -> None:
    with HubServer(Hub({})) as gone:
        url = gone.url
    desk.shell = LocalShell(tmp_path, env={"HF_ENDPOINT": url, "PATH": os.environ["PATH"]})
    assert await desk.access.ask("n1", ["o/n"]) == {"o/n": "offline"}
    node = with_answers(desk.access)
    (problem,) = hub_problems(REQUEST.model_copy(update={"weights_from": "hub"}), node, "o/n")
    assert problem.field == "weights_from"
    assert hub_problems(REQUEST, node, "o/n") == []


async def test_a_node_that_cannot_be_asked_speaks_against_nothing(desk: Desk) -> None:
    desk.shell.cut()
    assert await desk.problems() == []
    assert desk.access.answers("n1") == {"o/n": "unknown"}


def test_only_what_would_be_fetched_from_the_hub_is_asked_for() -> None:
    assert asked_repos(REQUEST, NODE) == ("o/n",)
    assert asked_repos(REQUEST.model_copy(update={"speculative_model": "d/d"}), NODE) == ("o/n", "d/d")
    assert asked_repos(REQUEST, NodeContext(NODE.record, hub_repos={"o/n": 1})) == ()
    assert asked_repos(REQUEST.model_copy(update={"weights_from": "desk"}), NODE) == ()
    assert asked_repos(REQUEST.model_copy(update={"engine": "ollama"}), NODE) == ()
