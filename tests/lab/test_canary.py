"""Every secret that a person gives, searched for on both sides of a real node: the whole application but its window.

The one rule: the search is shown to find what is planted in each of the places.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sparkdesk import paths
from sparkdesk.app.fault import Faults
from sparkdesk.app.stack import Stack
from sparkdesk.core.cluster.enrolment import EnrolStage, Who
from sparkdesk.core.cluster.node import SignIn
from sparkdesk.core.command import Command
from sparkdesk.core.errors import EndpointError
from sparkdesk.core.step import Playbook, Run, Stage, Step
from sparkdesk.services.playbooks.root import SharedPassword
from sparkdesk.services.playbooks.runner import Asks
from sparkdesk.services.wait import wait_for_value
from tests.canary import Search, forms_of_key, new_secret, new_serial, new_word
from tests.infra.ssh_agent import add_key, running_agent
from tests.lab.lab import USER, Lab, LabNode

pytestmark = pytest.mark.lab

TIMEOUT_S = 30.0
SERVER_PORT = 8000
NODE_FOLDERS = ("home", "tmp", "run", "var", "root", "etc", "usr/local")


class World:
    """One node with a password, a serial and a guarded server of its own; one computer, watched at every turn."""

    def __init__(self, node: LabNode, folder: Path, home: Path) -> None:
        self.node = node
        self.folder = folder
        self.home = home
        self.begun_s = time.time()
        self.given = {name: new_secret() for name in ("password", "wrong password", "wrong sudo", "passphrase")}
        self.given |= {"serial": new_serial(), "api key": new_word(), "wrong api key": new_word()}
        self.search = Search(self.given)
        self.stack = Stack(folder=paths.data_dir())
        self.shown: list[str] = []
        self.answers: list[str | SharedPassword] = []
        self.stack.tasks.on_bug = Faults(lambda *words: self.shown.append(repr(words))).take
        self.stack.runner.asks = Asks(None, self.answer, None)

    async def answer(self, _node_id: str, why: str) -> str | SharedPassword:
        """What the person types when sudo asks."""
        self.shown.append(why)
        return self.answers.pop(0)

    def listen(self) -> None:
        """Keep everything that a page would be shown."""
        stack, fleet = self.stack, self.stack.fleet
        for feed in (
            fleet.enroller.enrolment, fleet.servers.servers, fleet.details.details, fleet.doctor.check_ups,
            fleet.field.reports, stack.runs.runs, stack.inventory.nodes, stack.inventory.clusters,
        ):  # fmt: skip
            feed.subscribe(lambda value: self.shown.append(repr(value)))

    async def reach(self, *stages: EnrolStage) -> EnrolStage:
        """Until the attempt to add the node is at one of these stages."""
        enrolment = self.stack.fleet.enroller.enrolment
        now = await wait_for_value(enrolment, lambda now: now.stage in stages, timeout_s=TIMEOUT_S)
        return now.stage

    async def is_live(self) -> str:
        """The node's id, once it is live."""
        nodes = await wait_for_value(
            self.stack.inventory.nodes, lambda all_: bool(all_) and all_[0].is_live, timeout_s=TIMEOUT_S
        )
        return nodes[0].record.id

    def look_everywhere(self, *, but: Sequence[Path] = ()) -> None:
        """In the files of both sides, and in what was shown."""
        own = self.node.root / "etc" / "dgx-release"
        folders = [self.node.root / name for name in NODE_FOLDERS]
        self.search.look_in_files(*folders, but=(own,), since_s=self.begun_s)
        self.search.look_in_files(paths.data_dir().parent, self.home, self.folder, but=but)
        self.search.look("what was shown", "\n".join(self.shown).encode())


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One node; its sshd says all it can."""
    with Lab(1, tmp_path_factory.mktemp("one"), marker="canary", sshd_options="LogLevel DEBUG3") as lab:
        yield lab


@pytest.fixture
async def world(one: Lab, tmp_path: Path, own_home: Path) -> AsyncIterator[World]:
    with one.workstation(), every_log_line(paths.log_dir() / "all.log"):
        world = World(one.nodes[0], tmp_path, own_home)
        prepare_node(world.node, world.given)
        with serving(world.node, world.given["api key"]):
            await world.stack.open()
            world.listen()
            yield world
            await world.stack.close()


def prepare_node(node: LabNode, given: dict[str, str]) -> None:
    """Its account's password and its serial; how they come there is not what is tested."""
    digest = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=given["password"], capture_output=True, text=True, check=True
    ).stdout.strip()
    node.run("usermod", "-p", digest, USER)
    (node.root / "etc" / "dgx-release").write_text(f'DGX_NAME="DGX Spark"\nDGX_SERIAL_NUMBER="{given["serial"]}"\n')


@contextmanager
def every_log_line(path: Path) -> Iterator[None]:
    """Whatever any logger says, at the finest level."""
    handler, root = logging.FileHandler(path), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()


@contextmanager
def serving(node: LabNode, key: str) -> Iterator[None]:
    """A model server on the node's loopback that wants this key; only this process knows it."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_right = self.headers.get("Authorization") == f"Bearer {key}"
            body = b'{"object": "list", "data": [{"id": "tiny", "object": "model"}]}'
            body = body if is_right else b'{"error": "Unauthorized"}'
            self.send_response(200 if is_right else 401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    with node.network():
        server = ThreadingHTTPServer(("127.0.0.1", SERVER_PORT), Door)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def add_by_password(world: World) -> Path:
    """A wrong password, the right one, a key of the node's own; gives that key's path."""
    enroller = world.stack.fleet.enroller
    enroller.start(Who(world.node.address, 22, USER, SignIn.PASSWORD))
    await world.reach(EnrolStage.TRUST)
    enroller.trust()
    for name in ("wrong password", "password"):
        await world.reach(EnrolStage.NEEDS_PASSWORD)
        enroller.give_password(world.given[name], remember=True)
        await world.reach(EnrolStage.SIGNING_IN)
    await world.reach(EnrolStage.IDENTIFYING)
    await wait_for_value(enroller.enrolment, lambda now: now.can_set_up_key, timeout_s=TIMEOUT_S)
    enroller.set_up_key()
    await world.reach(EnrolStage.DONE)
    await world.is_live()
    return Path(world.stack.inventory.nodes.value[0].record.key_path)


async def sign_in_by_locked_key(world: World, key: Path) -> None:
    """The same node again, by a key of the user's own with a passphrase."""
    enroller = world.stack.fleet.enroller
    enroller.start(Who(world.node.address, 22, USER, SignIn.KEY, key_path=str(key)))
    await world.reach(EnrolStage.NEEDS_PASSPHRASE)
    enroller.give_passphrase(world.given["passphrase"], remember=True)
    await world.reach(EnrolStage.DONE)
    await world.is_live()


async def work_as_root(world: World, node_id: str) -> None:
    """A change by sudo: a wrong password, then the right one, which is the same on all nodes."""
    world.answers = [world.given["wrong sudo"], SharedPassword(world.given["password"])]
    script = Run(Command(("sh", "-c", "id -u > /etc/changed; env; sleep 0.2; cat")), stdin=b"input\n", as_root=True)
    step = Step("one", "Change something", node_id, (script,), check=(Run(Command(("false",))),))
    run_id = world.stack.runs.start(Playbook("As root", (Stage("s", (step,)),)))
    ended = await asyncio.wait_for(world.stack.runs.wait(run_id), TIMEOUT_S)
    assert (ended.result, world.answers) == ("done", []), ended
    assert (world.node.root / "etc" / "changed").read_text() == "0\n"


async def open_server(world: World) -> None:
    """A wrong key, then the right one, for the server that was found."""
    servers = world.stack.fleet.servers
    found = await wait_for_value(servers.servers, lambda all_: bool(all_), timeout_s=TIMEOUT_S)
    assert (found[0].port, found[0].needs_key) == (SERVER_PORT, True)
    with pytest.raises(EndpointError):
        await servers.give_key(found[0].id, world.given["wrong api key"])
    await servers.give_key(found[0].id, world.given["api key"])
    assert servers.servers.value[0].models == ("tiny",)


async def make_mistakes(world: World) -> None:
    """Bugs of ours among the secrets; each is reported as the application reports it."""
    password, api_key = world.given["password"], world.given["api key"]

    async def sign_in(password: str) -> None:
        raise RuntimeError(
            f"a bug: {SharedPassword(password)!r}, password={password!r}, {world.stack.fleet.enroller!r}"
        )

    async def ask_server(api_key: str) -> None:
        raise ValueError(f"Illegal header value {f'Bearer {api_key}'.encode()!r}")

    reports = [world.stack.tasks.start(sign_in, password), world.stack.tasks.start(ask_server, api_key)]
    await asyncio.wait([report for report in reports if report is not None])


@pytest.mark.expects_errors
async def test_no_secret_is_left_on_either_side(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    users_key = world.folder / "users_key"
    make_locked_key(users_key, world)
    with world.search.watching_processes(), running_agent(world.folder) as agent:
        own_key = await add_by_password(world)
        world.search.add("the node's key", forms_of_key(own_key))
        node_id = await world.is_live()
        await work_as_root(world, node_id)
        await open_server(world)
        await world.stack.fleet.details.refresh(node_id)
        await world.stack.fleet.doctor.run(node_id)
        await world.stack.fleet.field.run(node_id)
        world.shown.append(world.stack.fleet.field.redacted(node_id).decode())
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        add_key(agent, own_key)
        await sign_in_by_locked_key(world, users_key)
        await make_mistakes(world)
    world.look_everywhere(but=(own_key,))
    assert world.stack.inventory.nodes.value[0].record.serial_hash
    assert len(list(paths.log_dir().glob("crash-*"))) == 2
    assert "Failed password" in world.node.sshd_log
    assert world.search.looked_at > 500
    assert world.search.hits == set()
    await world.stack.close()
    world.look_everywhere(but=(own_key,))
    assert world.search.hits == set()


def make_locked_key(path: Path, world: World) -> None:
    """A key with the passphrase, let in by the node, made before anybody watches."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", world.given["passphrase"], "-f", str(path)], check=True)
    world.search.add("the user's key", forms_of_key(path, world.given["passphrase"]) - set(path.read_bytes().split()))
    authorized = world.node.root / "home" / USER / ".ssh" / "authorized_keys"
    with authorized.open("a") as file:
        file.write(path.with_suffix(".pub").read_text())


@pytest.mark.expects_errors
async def test_the_search_finds_what_is_planted_on_either_side(world: World) -> None:
    """A secret of its own in each place that is searched, written as a careless program would write it."""
    await add_by_password(world)
    shell = world.stack.inventory.shell(await world.is_live())
    planted = {name: new_secret() for name in (
        "argument there", "environment there", "argument here", "home there", "temporary there", "log there",
        "database", "journal", "log", "report", "screen", "setting",
    )}  # fmt: skip
    search = world.search = Search(planted)
    with search.watching_processes():
        await shell.run(Command(("sh", "-c", "sleep 0.5", "sh", planted["argument there"])), timeout_s=20)
        await shell.run(Command(("sleep", "0.5"), env={"WORD": planted["environment there"]}), timeout_s=20)
        await asyncio.to_thread(subprocess.run, ["sh", "-c", "sleep 0.5", "sh", planted["argument here"]], check=True)
    await shell.put(planted["home there"].encode(), "~/.cache/word", mode=0o600)
    await shell.put(planted["temporary there"].encode(), "/tmp/word", mode=0o600)
    world.node.run("sh", "-c", 'printf %s "$0" >> /run/sshd.log', planted["log there"])
    await world.stack.store.save_session("s", planted["database"], b"{}")
    step = Step("one", "One", shell.node, (Run(Command(("cat",)), stdin=planted["journal"].encode()),))
    await world.stack.runner.run("r", Playbook("p", (Stage("s", (step,)),)), on_event=lambda _: None)
    logging.getLogger("sparkdesk").info("the word is %s", planted["log"])

    async def fail() -> None:
        raise RuntimeError(f"the word is {planted['report']}")

    failing = world.stack.tasks.start(fail)
    assert failing is not None
    await asyncio.wait([failing])
    world.shown.append(planted["screen"])
    (paths.config_dir() / "settings.toml").write_text(f'word = """{planted["setting"]}"""')
    world.look_everywhere()
    assert {name for name, _ in search.hits} == set(planted), search.hits
