"""Steps as root through a real sudo: what the password reaches, and what each refusal is called."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from sparkdesk.core.bringup.outcome import undo_words
from sparkdesk.core.command import Command
from sparkdesk.core.step import Keep, Output, Playbook, PutFile, Restore, Run, RunEnded, Stage, Step, StepEvent
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.root import SharedPassword
from sparkdesk.services.playbooks.runner import Runner
from tests.fakes.sudo_shell import SudoShell, sudo_shell

LOCK = (Path(__file__).parents[3] / "sparkdesk" / "remote" / "lock.py").read_bytes()
CANARY = "canary-Z7q-not-seen-anywhere"
ALL = "bob ALL=(ALL:ALL) ALL"
FREE = "bob ALL=(ALL:ALL) NOPASSWD: ALL"
MakeNode = Callable[..., SudoShell]


class Desk:
    """A runner over one node, a person who answers with what stands in `answers`, and everything that was said."""

    def __init__(self, shell: SudoShell, store: SqliteStore, *answers: str | None) -> None:
        self.shell = shell
        self.store = store
        self.answers = list(answers)
        self.asked: list[str] = []
        self.events: list[StepEvent] = []
        self.runner = Runner(
            shells=lambda _: shell, store=store, clock=SystemClock(), ask_password=self.ask, settle_s=2.0,
            lock_program=LOCK, owner="anna@laptop",
        )  # fmt: skip

    async def ask(self, node_id: str, why: str) -> str | None:
        self.asked.append(why)
        return self.answers.pop(0)

    async def run(
        self, *apply: Run | PutFile | Keep, check: tuple[Run, ...] = (), undo: tuple[Restore, ...] = ()
    ) -> RunEnded:
        step = Step("one", "One", "n1", apply, check=check, undo=undo)
        return await self.runner.run("r", Playbook("p", (Stage("s", (step,)),)), on_event=self.events.append)

    def said(self) -> str:
        """All that a person or a file got to see."""
        return repr(self.events)

    async def journal(self) -> bytes:
        return b"\n".join(await self.store.journal("r"))


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[MakeNode]:
    with ExitStack() as stack:

        def make(rules: str, **more: str) -> SudoShell:
            node: AbstractContextManager[SudoShell] = sudo_shell(tmp_path, rules, password=CANARY, **more)
            return stack.enter_context(node)

        yield make


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    store = SqliteStore(tmp_path / "data")
    await store.open()
    return store


def as_root(script: str, stdin: bytes = b"") -> Run:
    """A script as root."""
    return Run(Command(("sh", "-c", script)), stdin=stdin, timeout_s=20.0, as_root=True)


async def test_root_is_reached_with_the_password_that_was_asked_for_once(
    make_node: MakeNode, store: SqliteStore
) -> None:
    desk = Desk(make_node(ALL), store, CANARY)
    ended = await desk.run(as_root("id -u > /home/root-only/a"), as_root("id -u >> /home/root-only/a"))
    assert ended.result == "done", ended
    assert desk.shell.look("/home/root-only/a").read_text() == "0\n0\n"
    assert desk.asked == ["One"]


async def test_where_sudo_wants_no_password_nobody_is_asked(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(FREE), store)
    assert (await desk.run(as_root("cat > /home/root-only/a", b"payload"))).result == "done"
    assert desk.shell.look("/home/root-only/a").read_text() == "payload"
    assert desk.asked == []


@pytest.mark.parametrize("stdin", [b"", b"what the payload reads\n"])
async def test_the_password_never_reaches_a_payload_that_needs_none(
    make_node: MakeNode, store: SqliteStore, stdin: bytes
) -> None:
    """`true` wants the password and the payload does not: sudo then leaves whatever is written to the payload."""
    desk = Desk(make_node(f"{ALL}\nbob ALL=(ALL:ALL) NOPASSWD: /usr/bin/sh, /bin/sh"), store, CANARY)
    ended = await desk.run(as_root("cat > /home/root-only/a; sleep 0.2; cat >> /home/root-only/a", stdin))
    assert (ended.result, desk.asked) == ("done", ["One"])
    assert desk.shell.look("/home/root-only/a").read_bytes() == stdin


@pytest.mark.parametrize("stdin", [b"", b"what the payload reads\n"])
async def test_the_password_never_reaches_a_payload_behind_the_prompt(
    make_node: MakeNode, store: SqliteStore, stdin: bytes
) -> None:
    desk = Desk(make_node(ALL), store, CANARY)
    assert (await desk.run(as_root("cat > /home/root-only/a", stdin))).result == "done"
    assert desk.shell.look("/home/root-only/a").read_bytes() == stdin


async def test_the_password_stands_nowhere(make_node: MakeNode, store: SqliteStore, tmp_path: Path) -> None:
    """Not in an argument or environment on the node, nor in events, journal and database, even if it is sent back."""
    shell = make_node(ALL)
    desk = Desk(shell, store, CANARY)
    seen: list[bytes] = []

    async def watch() -> None:
        while True:
            seen.append(await asyncio.to_thread(read_processes))
            await asyncio.sleep(0.02)

    watching = asyncio.ensure_future(watch())
    echo = as_root(
        "printf 'canary-Z7q-%s\\n' not-seen-anywhere; printf 'canary-Z7q-%s\\n' not-seen-anywhere >&2; sleep 0.5"
    )
    ended = await desk.run(echo, as_root("exit 3"))
    watching.cancel()
    assert ended.result == "failed"
    assert any(b"sudo" in page for page in seen)
    assert "(password)" in desk.said()
    files = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    for page in (*seen, desk.said().encode(), repr(ended).encode(), await desk.journal(), files):
        assert CANARY.encode() not in page
    assert not any(CANARY in line for line in shell.lines)


def read_processes() -> bytes:
    """Arguments and environments of the processes that belong to a sudo of ours, and of what they started."""
    found = []
    own = str(os.getpid())
    for name in os.listdir("/proc"):
        if not name.isdigit() or name == own:
            continue
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes()
            if b"begun" in line:
                found.append(line + Path(f"/proc/{name}/environ").read_bytes())
        except OSError:
            continue
    return b"".join(found)


async def test_each_conversation_with_sudo_has_a_prompt_that_nobody_can_foresee(
    make_node: MakeNode, store: SqliteStore
) -> None:
    desk = Desk(make_node(ALL), store, CANARY)
    assert (await desk.run(as_root("true"), as_root("true"))).result == "done"
    prompts = re.findall(r"-p sparkdesk([a-z2-7]+) ", "\n".join(desk.shell.lines))
    assert len(prompts) == 3  # the proof of the password, and two payloads
    assert len(set(prompts)) == 3
    assert all(len(prompt) == 16 for prompt in prompts)


async def test_a_wrong_password_is_asked_for_once_more(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(ALL), store, "wrong", CANARY)
    assert (await desk.run(as_root("true"))).result == "done"
    assert (len(desk.asked), "not accepted" in desk.asked[1]) == (2, True)


async def test_two_wrong_passwords_are_enough(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(ALL), store, "wrong", "also wrong", CANARY)
    ended = await desk.run(as_root("touch /home/root-only/a"), check=(as_root("test -e /home/root-only/a"),))
    assert (ended.result, len(desk.asked)) == ("failed", 2)
    assert "did not accept the password" in ended.message
    assert not desk.shell.look("/home/root-only/a").exists()


async def test_who_gives_no_password_is_not_asked_again(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(ALL), store, None)
    ended = await desk.run(as_root("true"), check=(as_root("false"),))
    assert (ended.result, desk.asked) == ("failed", ["One"])
    assert "none was given" in ended.message


@pytest.mark.parametrize(
    ("rules", "words", "remedy"),
    [
        ("", "may not use sudo", "usermod"),
        ("bob ALL=(ALL:ALL) /usr/bin/id", "may not use sudo", "usermod"),
        (f"Defaults requiretty\n{ALL}", "terminal only", "!requiretty"),
    ],
)
async def test_each_refusal_has_its_own_words(
    make_node: MakeNode, store: SqliteStore, rules: str, words: str, remedy: str
) -> None:
    desk = Desk(make_node(rules), store, CANARY)
    ended = await desk.run(as_root("true"))
    assert ended.result == "failed"
    assert words in ended.message, ended
    assert remedy in ended.remedy


async def test_rules_that_sudo_does_not_trust_are_named(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(ALL, mode="666"), store)
    ended = await desk.run(as_root("true"))
    assert "sudo on spark-1 does not work" in ended.message, ended
    assert ("visudo -c" in ended.remedy, desk.asked) == (True, [])


async def test_one_bad_line_in_the_rules_does_not_hide_a_good_one(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(f"nonsense nonsense\n{ALL}"), store, CANARY)
    assert (await desk.run(as_root("true"))).result == "done"


async def test_a_node_without_sudo_is_told_so(make_node: MakeNode, store: SqliteStore, tmp_path: Path) -> None:
    desk = Desk(make_node(ALL, path="/nonexistent"), store)
    ended = await desk.run(as_root("true"))
    assert "There is no sudo on spark-1" in ended.message
    assert desk.asked == []


async def test_a_file_is_written_and_put_back_as_root(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(ALL), store, CANARY, CANARY)
    path = "/etc/netplan/40-cx7.yaml"
    content = b"network: {}\n" + bytes(range(256)) * 40
    put = PutFile(path, content, 0o600, as_root=True)
    desk.shell.look("/etc/netplan").mkdir(exist_ok=True)
    desk.shell.look(path).write_bytes(b"before\xff")
    desk.shell.look(path).chmod(0o640)
    assert (await desk.run(put, undo=(Restore(path),))).result == "done"
    info = desk.shell.look(path).stat()
    assert (desk.shell.look(path).read_bytes(), info.st_mode & 0o777, info.st_uid) == (content, 0o600, 0)
    ended = await desk.runner.undo("r", on_event=desk.events.append)
    assert ended.result == "done"
    info = desk.shell.look(path).stat()
    assert (desk.shell.look(path).read_bytes(), info.st_mode & 0o777) == (b"before\xff", 0o640)
    assert len(desk.asked) == 2, "the second run asked for itself: nothing was kept"


async def test_a_file_of_another_account_is_put_back_as_its_own(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(FREE), store)
    path = "/home/root-only/options"
    file = desk.shell.look(path)
    file.write_bytes(b"before")
    file.chmod(0o4750)
    os.chown(file, 4711, 4712)
    file.chmod(0o4750)
    put = PutFile(path, b"after", 0o600, as_root=True)
    assert (await desk.run(put, undo=(Restore(path),))).result == "done"
    assert (file.stat().st_uid, file.stat().st_gid) == (0, 0)
    assert (await desk.runner.undo("r", on_event=desk.events.append)).result == "done"
    info = file.stat()
    assert (file.read_bytes(), info.st_mode & 0o7777, info.st_uid, info.st_gid) == (b"before", 0o4750, 4711, 4712)


@pytest.mark.parametrize("is_put", [True, False])
@pytest.mark.parametrize("target", ["/home/root-only/elsewhere", "/home/root-only/nowhere"])
async def test_a_link_is_neither_written_over_nor_written_through(
    make_node: MakeNode, store: SqliteStore, is_put: bool, target: str
) -> None:
    desk = Desk(make_node(FREE), store)
    path = "/home/root-only/daemon.json"
    desk.shell.look("/home/root-only/elsewhere").write_bytes(b"{}")
    desk.shell.look(path).symlink_to(target)
    first = PutFile(path, b"x", as_root=True) if is_put else Keep(path, as_root=True)
    ended = await desk.run(first, as_root(f"echo new > {path}"), undo=(Restore(path),))
    assert (ended.result, "is a link to somewhere else" in ended.message) == ("failed", True)
    assert (await desk.runner.undo("r", on_event=desk.events.append)).result == "done"
    assert os.readlink(desk.shell.look(path)) == target
    assert desk.shell.look("/home/root-only/elsewhere").read_bytes() == b"{}"
    assert not desk.shell.look("/home/root-only/nowhere").exists()


async def test_a_file_that_a_command_writes_as_root_is_put_back_with_its_bytes_and_mode(
    make_node: MakeNode, store: SqliteStore
) -> None:
    desk = Desk(make_node(FREE), store)
    path = "/home/root-only/daemon.json"
    file = desk.shell.look(path)
    file.write_bytes(b'{"dns": []}\xff')
    file.chmod(0o604)
    twice = (Keep(path, as_root=True), as_root(f"echo new > {path}; chmod 600 {path}"), Keep(path, as_root=True))
    assert (await desk.run(*twice, undo=(Restore(path),))).result == "done"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new\n", 0o600)
    assert (await desk.runner.undo("r", on_event=desk.events.append)).result == "done"
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b'{"dns": []}\xff', 0o604)
    assert list(file.parent.iterdir()) == [file], "nobody else wrote there, so no copy is kept"


@pytest.mark.parametrize("is_put", [True, False])
@pytest.mark.parametrize("was_there", [True, False])
async def test_what_somebody_wrote_into_a_file_since_is_kept_beside_it_and_said(
    make_node: MakeNode, store: SqliteStore, is_put: bool, was_there: bool
) -> None:
    desk = Desk(make_node(FREE), store)
    path = "/home/root-only/daemon.json"
    file = desk.shell.look(path)
    if was_there:
        file.write_bytes(b"before")
    write = (PutFile(path, b"ours\n", 0o644, as_root=True),)
    ask = (Keep(path, as_root=True), as_root(f"echo ours > {path}"))
    assert (await desk.run(*(write if is_put else ask), undo=(Restore(path),))).result == "done"
    file.write_bytes(b"theirs")
    file.chmod(0o640)
    assert (await desk.runner.undo("r", on_event=desk.events.append)).result == "done"
    (copy,) = (one for one in file.parent.iterdir() if one != file)
    assert (copy.read_bytes(), copy.stat().st_mode & 0o777) == (b"theirs", 0o640)
    assert (file.read_bytes() if file.exists() else b"") == (b"before" if was_there else b"")
    told = [undo_words(one.text) for one in desk.events if isinstance(one, Output)]
    assert told == [f"{path} was changed since: what stood there is kept as /home/root-only/{copy.name}"]


async def test_a_file_that_only_a_command_made_is_gone_after_undo_even_where_the_command_failed(
    make_node: MakeNode, store: SqliteStore
) -> None:
    desk = Desk(make_node(FREE), store)
    path = "/home/root-only/daemon.json"
    ended = await desk.run(Keep(path, as_root=True), as_root(f"echo new > {path}; exit 3"), undo=(Restore(path),))
    assert (ended.result, desk.shell.look(path).exists()) == ("failed", True)
    assert (await desk.runner.undo("r", on_event=desk.events.append)).result == "done"
    assert list(desk.shell.look(path).parent.iterdir()) == []


async def test_nothing_is_written_where_what_it_would_write_over_cannot_be_kept(
    make_node: MakeNode, store: SqliteStore
) -> None:
    desk = Desk(make_node(FREE), store)
    path = "/home/root-only/large"
    desk.shell.look(path).write_bytes(b"x" * ((1 << 20) + 1))
    ended = await desk.run(Keep(path, as_root=True), as_root(f"echo new > {path}"), undo=(Restore(path),))
    assert "too large to be kept" in ended.message
    assert desk.shell.look(path).stat().st_size == (1 << 20) + 1


async def test_a_new_file_of_roots_is_removed_by_undo(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(FREE), store)
    path = "/home/root-only/new/file"
    assert (await desk.run(PutFile(path, b"x", 0o644, as_root=True), undo=(Restore(path),))).result == "done"
    assert desk.shell.look(path).read_bytes() == b"x"
    assert (await desk.runner.undo("r", on_event=desk.events.append)).result == "done"
    assert not desk.shell.look(path).exists()


async def test_folders_that_were_made_for_a_file_go_with_it_and_those_that_others_use_stay(
    make_node: MakeNode, store: SqliteStore
) -> None:
    desk = Desk(make_node(FREE), store)
    path = "/home/root-only/new/one/two/file"
    await desk.run(PutFile(path, b"x", 0o644, as_root=True), undo=(Restore(path),))
    entries = await desk.store.journal("r")
    for run_id in ("shared", "again"):
        for entry in entries:
            await desk.store.append_journal(run_id, entry)
    desk.shell.look("/home/root-only/new/others").write_bytes(b"")
    await desk.runner.undo("shared", on_event=desk.events.append)
    assert [path.name for path in desk.shell.look("/home/root-only/new").iterdir()] == ["others"]
    desk.shell.look("/home/root-only/new/others").unlink()
    await desk.runner.undo("again", on_event=desk.events.append)
    assert not desk.shell.look("/home/root-only/new").exists()
    assert desk.shell.look("/home/root-only").is_dir(), "it was there before"


async def test_root_does_not_write_below_a_home(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(FREE), store)
    ended = await desk.run(PutFile("~/x", b"x", as_root=True))
    assert "whole paths" in ended.message


async def test_environment_and_folder_of_the_command_are_roots_too(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(ALL), store, CANARY)
    command = Command(("sh", "-c", 'echo "$A $LC_ALL $(pwd)" > a'), env={"A": "b c"}, cwd="/home/root-only")
    assert (await desk.run(Run(command, as_root=True))).result == "done"
    assert desk.shell.look("/home/root-only/a").read_text() == "b c C.UTF-8 /home/root-only\n"


async def test_a_lost_line_is_an_unknown_end(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(ALL), store, CANARY)
    running = asyncio.ensure_future(desk.run(as_root("touch /home/root-only/a; sleep 30")))
    async with asyncio.timeout(20):
        while not desk.shell.look("/home/root-only/a").exists():
            await asyncio.sleep(0.02)
    desk.shell.cut()
    assert (await running).result == "unknown"


async def test_four_steps_at_once_ask_once(make_node: MakeNode, store: SqliteStore) -> None:
    desk = Desk(make_node(ALL), store, CANARY)
    steps = tuple(Step(f"s{n}", f"S{n}", "n1", (as_root("true"),)) for n in range(4))
    ended = await desk.runner.run("r", Playbook("p", (Stage("s", steps),)), on_event=desk.events.append)
    assert (ended.result, len(desk.asked)) == ("done", 1)
    assert json.loads((await store.journal("r"))[-1])["result"] == "done"


@pytest.mark.parametrize(("is_shared", "count"), [(True, 1), (False, 2)])
async def test_one_password_serves_other_nodes_only_when_the_person_says_so(
    make_node: MakeNode, store: SqliteStore, is_shared: bool, count: int
) -> None:
    nodes = {"n1": make_node(ALL), "n2": make_node(ALL)}
    asked: list[str] = []

    async def ask(node_id: str, why: str) -> str | SharedPassword:
        asked.append(node_id)
        await asyncio.sleep(0.1)
        return SharedPassword(CANARY) if is_shared else CANARY

    runner = Runner(shells=nodes.__getitem__, store=store, clock=SystemClock(), ask_password=ask)
    steps = tuple(Step(node_id, node_id, node_id, (as_root("touch /home/root-only/a"),)) for node_id in nodes)
    ended = await runner.run("r", Playbook("p", (Stage("s", steps),)), on_event=lambda _: None)
    assert (ended.result, len(asked)) == ("done", count)
    assert all(node.look("/home/root-only/a").exists() for node in nodes.values())
    assert CANARY not in repr(SharedPassword(CANARY))


async def test_a_locked_step_as_root_holds_its_lease_and_gets_password_and_input_apart(
    make_node: MakeNode, store: SqliteStore
) -> None:
    node = make_node(ALL)
    node.look("/run/lock").mkdir()
    node.look("/run/lock").chmod(0o1777)
    desk = Desk(node, store, CANARY)
    script = "cat > /home/root-only/input; id -u; flock -n /run/lock/sparkdesk-busy-*.json true || echo held"
    steps = (as_root(script, stdin=b"the input\n"), PutFile("/home/root-only/file", b"whole", as_root=True))
    step = Step("one", "One", "n1", steps)
    playbook = Playbook("p", (Stage("s", (step,)),), needs_lock=True)
    ended = await desk.runner.run("r", playbook, on_event=desk.events.append)
    assert ended.result == "done", ended
    assert node.look("/home/root-only/input").read_bytes() == b"the input\n"
    assert node.look("/home/root-only/file").read_bytes() == b"whole"
    assert "0\\nheld" in desk.said()
    assert CANARY not in desk.said()
    assert not list(node.look("/run/lock").glob("sparkdesk-busy-*")), "let go at the end"
