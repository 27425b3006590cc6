"""What one node prints and another is given, and what a person is asked where no look could tell: real processes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.step import Expect, Output, Progress, Relay, Step, Wait
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.runner import Runner
from tests.fakes.shell import LocalShell
from tests.services.playbooks.test_runner import Bench, book, sh, step


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    for name in ("node", "other"):
        (tmp_path / name).mkdir()
    store = SqliteStore(tmp_path / "data")
    await store.open()
    bench = Bench(tmp_path / "node", store)
    bench.other = LocalShell(tmp_path / "other", node="spark-2")
    yield bench
    await store.close()


def relay(source: str, *, reader: str = "json_field:key", target: str = "cat > given") -> Relay:
    """What spark-2 prints goes to spark-1."""
    return Relay("n2", Command(("sh", "-c", source)), reader, Command(("sh", "-c", target)), timeout_s=20.0)


async def test_what_the_reader_finds_is_handed_on_as_one_line(bench: Bench) -> None:
    ended = await bench.run(book(step("one", relay("""echo greeting; echo '{"key": "ssh-ed25519 AAAA"}'"""))))
    assert (ended.result, ended.message) == ("done", "")
    assert bench.text("given") == "ssh-ed25519 AAAA\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("echo nonsense", "spark-2 printed something else than expected"),
        ("""echo '{"key": "AAAA"}'; exit 3""", "spark-2 printed something else than expected"),
        ("""head -c 70000 /dev/zero | tr '\\0' ' '; echo '{"key": "A"}'""", "spark-2 printed something else"),
        ("exec sleep 20", "spark-2 did not tell what is handed on"),
    ],
)
async def test_what_is_not_as_expected_reaches_nobody(bench: Bench, source: str, words: str) -> None:
    ended = await bench.run(book(step("one", replace(relay(source), timeout_s=2.0))))
    assert ended.result == "failed"
    assert words in ended.message
    assert ended.remedy
    assert bench.text("given") == ""


async def test_a_source_that_is_away_is_named_and_the_run_goes_on_when_it_is_back(bench: Bench) -> None:
    one = step("one", relay("""echo '{"key": "A"}'"""), check=(sh("test -s given"),))
    bench.other.cut()
    ended = await bench.run(book(one))
    assert ended.result == "failed"
    assert "spark-2" in ended.message
    bench.other.mend()
    assert (await bench.resume()).result == "done"
    assert bench.text("given") == "A\n"


async def test_a_target_that_takes_it_badly_fails_the_step_and_what_it_says_is_shown(bench: Bench) -> None:
    ended = await bench.run(book(step("one", relay("""echo '{"key": "A"}'""", target="cat; echo no >&2; exit 1"))))
    assert ended.result == "failed"
    assert [event.text for event in bench.events if isinstance(event, Output)] == ["A\nno"]


# Questions ----------------------------------------------------------------------------------------------------------


def look(script: str, ask: str = "Keep the addresses of spark-1, yes?") -> Wait:
    """Looks for {"ok": true}."""
    expect = Expect(reader="json_field:ok", equals="true")
    return Wait(Command(("sh", "-c", script)), expect, every_s=0.02, timeout_s=0.3, ask=ask)


CANNOT_TELL = ["echo '{\"ok\": null}'", "echo Traceback; exit 1", "exit 127"]


@pytest.mark.parametrize("script", CANNOT_TELL)
async def test_where_no_look_could_tell_a_person_is_asked_and_a_yes_goes_on(bench: Bench, script: str) -> None:
    ended = await bench.run(book(step("one", look(script), sh("echo kept >> log"))))
    assert (ended.result, bench.answers) == ("done", ["Keep the addresses of spark-1, yes?"])
    assert bench.text("log") == "kept\n"
    said = [event.text for event in bench.events if isinstance(event, Progress)]
    assert "Keep the addresses of spark-1, yes?" in said, "the screen knows that it waits for a person"


async def test_a_no_ends_the_step(bench: Bench) -> None:
    ended = await bench.run(book(step("one", look("exit 1", ask="Keep?"), sh("echo kept >> log"))))
    assert (ended.result, bench.answers, bench.text("log")) == ("failed", ["Keep?"], "")
    assert "not confirmed" in ended.message
    assert ended.remedy


async def test_what_a_look_told_is_not_asked_of_a_person(bench: Bench) -> None:
    once = "test -e told && exit 1; touch told; echo '{\"ok\": false}'"
    ended = await bench.run(book(step("one", look(once))))
    assert (ended.result, bench.answers) == ("failed", [])


async def test_a_node_that_never_answered_is_asked_about_too(bench: Bench) -> None:
    bench.shell.cut()
    ended = await bench.run(book(step("one", look("true"))))
    assert (ended.result, len(bench.answers)) == ("done", 1)


async def test_without_anybody_to_ask_the_step_fails(bench: Bench) -> None:
    bench.runner = Runner(shells=bench.shells, store=bench.store, clock=SystemClock())
    ended = await bench.run(book(step("one", look("exit 1"))))
    assert ended.result == "failed"
    assert "nobody to ask" in ended.message


async def test_without_a_question_the_wait_fails_as_ever(bench: Bench) -> None:
    ended = await bench.run(book(step("one", look("exit 1", ask=""))))
    assert (ended.result, bench.answers) == ("failed", [])
    assert "not so after" in ended.message


async def test_a_wait_in_vain_says_what_its_look_said_last_and_what_helps(bench: Bench) -> None:
    said = '{"ok": false, "message": "enp1s0f1np1 has no link", "remedy": "See that the cable is in."}'
    ended = await bench.run(book(step("one", look(f"echo '{said}'; exit 1", ask=""))))
    assert ended.message.endswith(": enp1s0f1np1 has no link")
    assert ended.remedy == "See that the cable is in."


async def test_whoever_decides_hears_of_which_step(bench: Bench) -> None:
    asked: list[tuple[str, str]] = []

    async def decide(step: Step, question: str) -> bool:
        asked.append((step.id, question))
        return True

    playbook = book(step("one", look("exit 1", ask="Keep?")))
    asks = replace(bench.runner.asks, decide=decide)
    ended = await bench.runner.run("r", playbook, on_event=bench.events.append, asks=asks)
    assert (ended.result, asked, bench.answers) == ("done", [("one", "Keep?")], [])


async def test_neither_what_was_handed_on_nor_the_answer_stands_in_the_journal(bench: Bench) -> None:
    source = relay("""echo "{\\"key\\": \\"canary-$((6 * 7))\\"}" """)
    assert (await bench.run(book(step("one", source)))).result == "done"
    assert bench.text("given") == "canary-42\n"
    entries = [json.loads(entry) for entry in await bench.store.journal("r")]
    assert "canary-42" not in json.dumps(entries)
