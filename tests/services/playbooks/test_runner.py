"""The runner on real processes: what is known, what is not, what a kill leaves behind and how it goes on."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sparkdesk.core.command import Command
from sparkdesk.core.errors import PlanError, StepFailed, Unreachable
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import (
    Action,
    Confirm,
    Expect,
    Follow,
    Output,
    Playbook,
    Progress,
    PutFile,
    Reconnect,
    Restore,
    Run,
    RunEnded,
    Serve,
    Stage,
    Step,
    StepEnded,
    StepEvent,
    Wait,
)
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.runner import Runner
from tests.fakes.shell import LocalShell


def sh(script: str, expect: Expect | None = None, timeout_s: float = 20.0) -> Run:
    """A shell script as an action."""
    return Run(Command(("sh", "-c", script)), expect or Expect(), timeout_s=timeout_s)


def step(name: str, *apply: Action, **more: object) -> Step:
    """A step on n1."""
    return Step(id=name, title=name.capitalize(), node="n1", apply=apply, **more)  # type: ignore[arg-type]


def book(*steps: Step) -> Playbook:
    """A playbook with one stage per step."""
    return Playbook("test", tuple(Stage(s.title, (s,)) for s in steps))


class Bench:
    """A runner over local nodes, with what it said."""

    def __init__(self, home: Path, store: SqliteStore) -> None:
        self.home = home
        self.store = store
        self.shell = LocalShell(home)
        self.other = LocalShell(home, node="spark-2")
        self.events: list[StepEvent] = []
        self.answers: list[str] = []
        self.runner = self.make_runner()

    def make_runner(self, *, settle_s: float = 5.0) -> Runner:
        """A new runner over the same store, as after a restart."""
        return Runner(
            shells=self.shells, store=self.store, clock=SystemClock(), confirm=self.confirm, settle_s=settle_s
        )

    def shells(self, node: str) -> Shell:
        """As the inventory's: raises when the node is not live."""
        shell = {"n1": self.shell, "n2": self.other}[node]
        if shell.is_cut:
            raise Unreachable(f"{shell.node} is not connected", remedy="Wait for it.", node=shell.node)
        return shell

    async def confirm(self, question: str) -> bool:
        """Answers yes when the question says so."""
        self.answers.append(question)
        return "yes" in question

    async def run(self, playbook: Playbook, run_id: str = "r") -> RunEnded:
        """Run a playbook."""
        return await self.runner.run(run_id, playbook, on_event=self.events.append)

    async def resume(self, run_id: str = "r") -> RunEnded:
        """Go on."""
        return await self.runner.resume(run_id, on_event=self.events.append)

    def results(self) -> dict[str, str]:
        """Step id -> last result."""
        return {event.step_id: event.result for event in self.events if isinstance(event, StepEnded)}

    def text(self, name: str) -> str:
        """A file of the node; "" when there is none."""
        path = self.home / name
        return path.read_text() if path.exists() else ""

    async def kinds(self, run_id: str = "r") -> list[str]:
        """The journal's kinds in order."""
        return [json.loads(entry)["kind"] for entry in await self.store.journal(run_id)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    home = tmp_path / "node"
    home.mkdir()
    store = SqliteStore(tmp_path / "data")
    await store.open()
    yield Bench(home, store)
    await store.close()


async def test_steps_run_in_order_and_end_with_verify(bench: Bench) -> None:
    ended = await bench.run(
        book(
            step("one", sh("echo one >> log"), verify=(sh("grep -q one log"),)),
            step("two", sh("echo two >> log")),
        )
    )
    assert ended.result == "done"
    assert bench.text("log") == "one\ntwo\n"
    assert bench.results() == {"one": "done", "two": "done"}
    assert isinstance(bench.events[-1], RunEnded)
    assert await bench.kinds() == ["run_started", *["step_started", "step_ended"] * 2, "run_ended"]
    assert await bench.store.unfinished_runs() == ()


async def test_a_step_whose_check_passes_is_not_applied(bench: Bench) -> None:
    playbook = book(step("one", sh("echo one >> log"), check=(sh("test -e log"),)))
    await bench.run(playbook)
    assert bench.results() == {"one": "done"}
    await bench.run(playbook, "again")
    assert bench.results() == {"one": "unchanged"}
    assert bench.text("log") == "one\n"


async def test_a_failure_stops_the_playbook_and_says_what_to_do(bench: Bench) -> None:
    ended = await bench.run(book(step("one", sh("echo no room >&2; exit 28")), step("two", sh("echo two >> log"))))
    assert ended.result == "failed"
    assert "exit code 28: no room" in ended.message
    assert ended.remedy
    assert bench.results() == {"one": "failed"}
    assert bench.text("log") == ""


async def test_a_program_that_names_the_cause_is_quoted(bench: Bench) -> None:
    say = """echo '{"started": false, "error": "port 8000 is taken", "remedy": "Use 8001."}'"""
    ended = await bench.run(book(step("one", sh(say, Expect(reader="json_field:started", equals="true")))))
    assert (ended.message, ended.remedy) == ("One: port 8000 is taken", "Use 8001.")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("no_such_program", "no_such_program is not on spark-1"),
        ("/opt/no/such", "/opt/no/such, or what its first line runs it with, is not on spark-1"),
    ],
)
async def test_a_program_that_is_not_there_is_named_without_what_the_step_is_called(
    bench: Bench, program: str, said: str
) -> None:
    with pytest.raises(FileNotFoundError) as absent:
        await asyncio.create_subprocess_exec(program)
    words = f"cannot start {program}: {absent.value}"  # as remote/guard.py says it
    say = f"printf %s {shlex.quote(json.dumps({'started': False, 'error': words}))}"
    ended = await bench.run(book(step("one", sh(say, Expect(reader="json_field:started", equals="true")))))
    assert ended.message == said
    assert ended.remedy == "Install it there, or write the whole path of the program."


async def test_the_others_of_a_stage_end_when_one_fails_and_no_more_run_than_allowed(bench: Bench) -> None:
    slow = "mkdir busy-$$; ls -d busy-* | wc -l >> counts; sleep 0.2; rmdir busy-$$; echo x >> log"
    steps = (step("bad", sh("exit 1")), *(step(f"s{n}", sh(slow)) for n in range(5)))
    ended = await bench.run(Playbook("p", (Stage("s", steps, max_parallel=2),)))
    assert ended.result == "failed"
    assert bench.text("log").count("x") == 5
    assert max(int(n) for n in bench.text("counts").split()) == 2


async def test_wait_polls_until_it_is_so(bench: Bench) -> None:
    ready = Wait(
        Command(("sh", "-c", 'echo x >> polls; n=$(wc -l < polls); echo {\\"n\\": $n}')),
        Expect(reader="json_field:n", equals="3"),
        every_s=0.01,
        timeout_s=20.0,
    )
    assert (await bench.run(book(step("wait", ready)))).result == "done"
    assert bench.text("polls") == "x\nx\nx\n"


async def test_wait_gives_up_when_it_can_never_be_so(bench: Bench) -> None:
    wait = Wait(
        Command(("echo", '{"ready": false, "ended": true, "message": "the engine ended with code 3"}')),
        Expect(reader="json_field:ready", equals="true"),
        give_up=Expect(reader="json_field:ended", equals="true"),
        timeout_s=60.0,
    )
    ended = await bench.run(book(step("load", wait)))
    assert ended.result == "failed"
    assert "code 3" in ended.message


async def test_wait_ends_after_its_time_with_the_last_answer(bench: Bench) -> None:
    wait = Wait(Command(("sh", "-c", "echo still loading; exit 1")), Expect(), every_s=0.01, timeout_s=0.2)
    ended = await bench.run(book(step("load", wait)))
    assert ended.result == "failed"
    assert "not so after 0 s" in ended.message


async def test_wait_outlives_a_lost_line(bench: Bench) -> None:
    wait = Wait(Command(("test", "-e", "ready")), Expect(), every_s=0.02, timeout_s=20.0)
    bench.shell.cut()

    async def mend_later() -> None:
        await asyncio.sleep(0.2)
        (bench.home / "ready").touch()
        bench.shell.mend()

    ended, _ = await asyncio.gather(bench.run(book(step("load", wait))), mend_later())
    assert ended.result == "done"


async def test_a_lost_line_is_unknown_and_never_success(bench: Bench) -> None:
    bench.runner = bench.make_runner(settle_s=0.1)
    running = asyncio.gather(bench.run(book(step("one", sh("echo one >> log; exec sleep 20")), step("two"))))
    await until(lambda: bench.text("log") != "")
    bench.shell.cut()
    (ended,) = await running
    assert ended.result == "unknown"
    assert bench.results() == {"one": "unknown"}


async def test_after_a_lost_line_the_check_decides(bench: Bench) -> None:
    one = step("one", sh("echo one >> log; exec sleep 20"), check=(sh("test -e log"),))
    running = asyncio.gather(bench.run(book(one, step("two", sh("echo two >> log")))))
    await until(lambda: bench.text("log") != "")
    bench.shell.cut()
    await asyncio.sleep(0.05)
    bench.shell.mend()
    (ended,) = await running
    assert ended.result == "done"
    assert bench.text("log") == "one\ntwo\n"


async def test_a_time_out_is_unknown_too(bench: Bench) -> None:
    ended = await bench.run(book(step("one", sh("sleep 20", timeout_s=0.2))))
    assert ended.result == "unknown"


async def test_nothing_is_applied_while_the_check_cannot_be_asked(bench: Bench) -> None:
    bench.runner = bench.make_runner(settle_s=0.1)
    bench.shell.cut()
    ended = await bench.run(book(step("one", sh("echo one >> log"), check=(sh("test -e log"),))))
    bench.shell.mend()
    assert ended.result == "failed"
    assert "not connected" in ended.message
    assert await bench.kinds() == ["run_started", "step_ended", "run_ended"]


async def test_what_was_refused_was_not_done_and_is_known_to_be_so(bench: Bench) -> None:
    bench.runner = bench.make_runner(settle_s=0.1)
    bench.shell.is_full = True
    ended = await bench.run(book(step("one", sh("echo one >> log"), check=(sh("test -e log"),))))
    assert (ended.result, bench.results()) == ("failed", {"one": "failed"})
    assert "no free channel" in ended.message
    assert (await bench.run(book(step("one", sh("echo one >> log"))), "r2")).result == "failed"
    bench.shell.is_full = False
    assert (await bench.resume("r2")).result == "done"
    assert bench.text("log") == "one\n"


async def test_put_makes_the_folder_and_keeps_the_mode(bench: Bench) -> None:
    await bench.run(book(step("put", PutFile("~/a b/c/$HOME;x", b"\x00\xff", 0o640))))
    path = bench.home / "a b/c/$HOME;x"
    assert path.read_bytes() == b"\x00\xff"
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_undo_puts_back_what_was_there_and_removes_what_was_not(bench: Bench) -> None:
    old = bench.home / "old"
    old.write_bytes(b"before\xff")
    if os.geteuid() == 0:  # who is root may give a file to any group
        os.chown(old, -1, 4712)
    old.chmod(0o604)
    group = old.stat().st_gid
    playbook = book(
        step("old", PutFile("~/old", b"after"), PutFile("~/old", b"after again"), undo=(Restore("~/old"),)),
        step("new", PutFile("~/in/it/new", b"x"), undo=(Restore("~/in/it/new"),)),
        step("log", sh("echo done >> log"), undo=(sh("echo undone >> log"),)),
        step("same", sh("exit 1"), check=(sh("true"),), undo=(sh("echo wrong >> log"),)),
    )
    assert (await bench.run(playbook)).result == "done"
    assert bench.text("old") == "after again"
    undone = await bench.make_runner().undo("r", on_event=bench.events.append)
    assert undone.result == "done"
    assert old.read_bytes() == b"before\xff"
    assert (old.stat().st_mode & 0o777, old.stat().st_gid) == (0o604, group)
    assert not (bench.home / "in").exists()
    assert bench.text("log") == "done\nundone\n"
    order = [event.step_id for event in bench.events if isinstance(event, StepEnded) and event.result == "undone"]
    assert order == ["log", "new", "old"]
    await bench.make_runner().undo("r", on_event=bench.events.append)
    assert bench.text("log") == "done\nundone\n"


async def test_undo_goes_on_past_a_step_that_cannot_be_undone(bench: Bench) -> None:
    playbook = book(
        step("one", sh("true"), undo=(sh("echo undone >> log"),)), step("two", sh("true"), undo=(sh("exit 9"),))
    )
    await bench.run(playbook)
    ended = await bench.runner.undo("r", on_event=bench.events.append)
    assert ended.result == "failed"
    assert bench.text("log") == "undone\n"


async def test_follow_tells_how_far_it_is(bench: Bench) -> None:
    script = r"printf 'layer 10%%\rlayer 55.5 %%\r\nend\n'; echo trouble >&2; exit ${CODE:-0}"
    follow = Follow(Command(("sh", "-c", script)), "percent", timeout_s=20.0)
    assert (await bench.run(book(step("pull", follow)))).result == "done"
    told = [(event.text, event.fraction) for event in bench.events if isinstance(event, Progress)]
    assert told == [("layer 10%", 0.1), ("layer 55.5 %", 0.555)]
    failing = Follow(Command(("sh", "-c", script), env={"CODE": "7"}), "percent")
    assert "exit code 7" in (await bench.run(book(step("pull", failing)), "r2")).message


async def test_serve_runs_a_client_against_a_server_on_the_other_node(bench: Bench) -> None:
    serve = Serve(
        node="n2",
        server=Command(("sh", "-c", "sleep 0.3; echo hello > served; exec sleep 60")),
        client=Command(("sh", "-c", "cat served")),
        expect=Expect(reader="contains:hello", equals="true"),
        timeout_s=30.0,
    )
    assert (await bench.run(book(step("pair", serve)))).result == "done"
    assert len(bench.other.lines) == 1
    assert "served" in bench.shell.lines[-1]


async def test_reconnect_waits_for_the_node_to_go_and_come_back(bench: Bench) -> None:
    async def restart() -> None:
        await asyncio.sleep(0.1)
        bench.shell.cut()
        await asyncio.sleep(0.9)
        bench.shell.mend()

    ended, _ = await asyncio.gather(bench.run(book(step("reboot", Reconnect(60.0)))), restart())
    assert ended.result == "done"
    assert any(isinstance(event, Progress) and event.text == "the node is back" for event in bench.events)


async def test_a_node_that_stays_away_is_unknown(bench: Bench) -> None:
    bench.shell.cut()
    assert (await bench.run(book(step("reboot", Reconnect(0.3))))).result == "unknown"


async def test_a_person_can_say_no(bench: Bench) -> None:
    ended = await bench.run(book(step("ask", Confirm("say yes?")), step("ask2", Confirm("or no?")), step("three")))
    assert ended.result == "failed"
    assert "not confirmed" in ended.message
    assert bench.answers == ["say yes?", "or no?"]
    alone = Runner(shells=bench.shells, store=bench.store, clock=SystemClock())
    nobody = await alone.run("r2", book(step("ask", Confirm("yes?"))), on_event=bench.events.append)
    assert "nobody to ask" in nobody.message


async def test_what_a_node_prints_is_shown_as_plain_text_and_never_journalled(bench: Bench) -> None:
    await bench.run(book(step("one", sh(r"printf 'a\033[31mred\033[0m\007 canary-7f3'; echo canary-9c1 >&2; exit 1"))))
    shown = [event.text for event in bench.events if isinstance(event, Output)]
    assert shown == ["ared␇ canary-7f3canary-9c1"]
    journal = b"".join(e for e in await bench.store.journal("r") if b"run_started" not in e)
    assert b"canary" not in journal


async def test_cancelling_is_journalled_and_can_be_resumed(bench: Bench) -> None:
    one = step("one", sh("echo one >> log"))
    two = step("two", sh("echo two >> log; test -e fast || exec sleep 60"), check=(sh("test -e fast"),))
    running = asyncio.ensure_future(bench.run(book(one, two)))
    await until(lambda: "two" in bench.text("log"))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert bench.results() == {"one": "done", "two": "cancelled"}
    assert json.loads((await bench.store.journal("r"))[-1])["result"] == "cancelled"
    (bench.home / "fast").touch()
    assert (await bench.resume()).result == "done"
    assert bench.text("log") == "one\ntwo\n"


async def test_a_run_never_runs_twice_at_once(bench: Bench) -> None:
    playbook = book(step("one", sh("sleep 0.3")))
    first = asyncio.ensure_future(bench.run(playbook))
    await asyncio.sleep(0.1)
    with pytest.raises(StepFailed, match="running already"):
        await bench.resume()
    assert (await first).result == "done"


async def test_two_steps_of_one_id_are_refused(bench: Bench) -> None:
    with pytest.raises(PlanError):
        await bench.run(book(step("one"), step("one")))


async def test_a_journal_that_is_not_there_is_an_error_and_not_a_success(bench: Bench) -> None:
    with pytest.raises(PlanError):
        await bench.resume("none")


_CHILD = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from sparkdesk.core import step_json
    from sparkdesk.infra.store import SqliteStore
    from sparkdesk.services.clock import SystemClock
    from sparkdesk.services.playbooks.runner import Runner
    from tests.fakes.shell import LocalShell

    async def main(data, home, playbook):
        store = SqliteStore(Path(data))
        await store.open()
        shell = LocalShell(Path(home))
        runner = Runner(shells=lambda node: shell, store=store, clock=SystemClock())
        await runner.run("r", step_json.from_json(Path(playbook).read_bytes()), on_event=lambda event: None)

    asyncio.run(main(*sys.argv[1:]))
    """
)


def start_child(tmp_path: Path, playbook: Playbook) -> subprocess.Popen[bytes]:
    """A process that runs the playbook on the folder `node`, so that it can be killed."""
    from sparkdesk.core import step_json

    (tmp_path / "node").mkdir(exist_ok=True)
    (tmp_path / "book").write_bytes(step_json.to_json(playbook))
    arguments = [str(tmp_path / name) for name in ("data", "node", "book")]
    return subprocess.Popen([sys.executable, "-c", _CHILD, *arguments], env={**os.environ, "PYTHONPATH": "."})


@pytest.mark.parametrize("held", range(4))
async def test_a_killed_runner_goes_on_and_repeats_nothing_whose_check_passes(tmp_path: Path, held: int) -> None:
    def counted(n: int) -> Step:
        # Each step counts how often it was applied; the held one also blocks after its work until it is let go.
        block = f"test {n} != {held} || test -e go || sleep 60"
        return step(f"s{n}", sh(f"echo {n} >> log; touch done-{n}; {block}"), check=(sh(f"test -e done-{n}"),))

    playbook = book(*(counted(n) for n in range(5)))
    child = start_child(tmp_path, playbook)
    home = tmp_path / "node"
    await until(lambda: (home / f"done-{held}").exists())
    child.kill()
    child.wait()
    (home / "go").touch()
    store = SqliteStore(tmp_path / "data")
    await store.open()
    assert await store.unfinished_runs() == ("r",)
    bench = Bench(home, store)
    assert (await bench.resume()).result == "done"
    assert bench.text("log") == "0\n1\n2\n3\n4\n"
    assert await store.unfinished_runs() == ()
    await store.close()


async def test_what_nobody_can_tell_after_a_kill_is_unknown(tmp_path: Path) -> None:
    child = start_child(tmp_path, book(step("one", sh("echo one >> log; sleep 60"))))
    await until(lambda: (tmp_path / "node/log").exists())
    child.kill()
    child.wait()
    store = SqliteStore(tmp_path / "data")
    await store.open()
    bench = Bench(tmp_path / "node", store)
    ended = await bench.resume()
    assert ended.result == "unknown"
    assert bench.text("log") == "one\n"
    await store.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait, bounded, until it is so."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
