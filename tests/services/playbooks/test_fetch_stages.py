"""A launch's image and model come to a node whole; a download outlives its line, and ends when it is cancelled."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkdesk.app.remote import read_remote
from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.jobs.backend import NodeContext, PlanContext
from sparkdesk.core.jobs.request import LaunchRequest
from sparkdesk.core.playbooks.fetch import fetch_stages
from sparkdesk.core.playbooks.fetch.transfer import PROGRAMS
from sparkdesk.core.playbooks.fetch.weights import file_path
from sparkdesk.core.step import Playbook, Progress, RunEnded, StepEnded, StepEvent
from sparkdesk.infra.desk_files import DeskFiles
from sparkdesk.infra.keychain import KeyringSecrets
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.supply import Supplies
from sparkdesk.services.secret_store import SecretStore
from tests.canary import Search, new_word
from tests.fakes.shell import LocalShell
from tests.servers.hub import COMMIT, Hub, HubServer

NODE = NodeContext(NodeRecord("n1", "spark-1", "127.0.0.1", 22, "spark"))
REQUEST = LaunchRequest(engine="vllm", model="o/n", nodes=("n1",), served_name="n")
CONTEXT = PlanContext("job1", "me@here", (NODE,), programs={name: read_remote(name) for name in PROGRAMS})
IMAGE = "nvcr.io/nvidia/vllm:26.05-py3"
# A docker that speaks docker's words: HAS is the image it has, PULL a script that pulls.
DOCKER = """#!/bin/sh
cd "$HOME"
case "$1 $2" in
"image inspect") [ -e image ] && echo "$(cat image) sha256:%s 1000" || { echo "No such image" >&2; exit 1; };;
"pull "*) sh ./pull;;
"load --input") cp "$3" loaded && echo arm64 > image;;
*) exit 64;; esac
""" % ("a" * 64)  # fmt: skip
PULL = r"""echo "26.05-py3: Pulling from nvidia/vllm"
for l in 0123456789ab 123456789abc; do echo "$l: Pulling fs layer"; done
printf '0123456789ab: Downloading [==>     ]  1.5MB/3MB\r\n'
n=0; until [ -e "$HOME/heard" ] || [ $n -ge 200 ]; do sleep 0.1; n=$((n+1)); done
for l in 0123456789ab 123456789abc; do echo "$l: Download complete"; echo "$l: Pull complete"; done
[ -e "$HOME/cut" ] && { rm "$HOME/cut"; echo "unexpected EOF" >&2; exit 1; }
echo arm64 > "$HOME/image"; echo "Status: Downloaded newer image"
"""


class Desk:
    """A runner over one local node with a docker and a hub."""

    def __init__(self, folder: Path, store: SqliteStore, hub: Hub) -> None:
        self.home = folder / "node"
        (self.home / "bin").mkdir(parents=True)
        (self.home / "bin/docker").write_text(DOCKER)
        (self.home / "bin/docker").chmod(0o755)
        (self.home / "pull").write_text(PULL)
        python = str(Path(sys.executable).parent)
        env = {"HF_ENDPOINT": hub.url, "SPARKDESK_RETRY_S": "0.01", "SPARKDESK_SPARE_BYTES": "0"}
        self.shell = LocalShell(self.home, env={**env, "PATH": f"{self.home}/bin:{python}:{os.environ['PATH']}"})
        self.store = store
        self.secrets = SecretStore(KeyringSecrets(encrypted=()))
        self.events: list[StepEvent] = []
        self.runner = Runner(
            shells=lambda _: self.shell,
            store=store,
            clock=SystemClock(),
            settle_s=1.0,
            supplies=Supplies(self.secrets.get, DeskFiles(folder / "spool"), read_remote("receive")),
        )
        self.hub_folder = self.home / ".cache/huggingface/hub/models--o--n"

    async def run(self, playbook: Playbook, run_id: str = "r") -> RunEnded:
        """To its end."""
        return await self.runner.run(run_id, playbook, on_event=self.hear)

    def results(self) -> list[str]:
        """How each step ended, in order."""
        return [event.result for event in self.events if isinstance(event, StepEnded)]

    def hear(self, event: StepEvent) -> None:
        """Keep it; the image's layers are told once, then the rest of it may come."""
        self.events.append(event)
        if isinstance(event, Progress) and "layers" in event.text:
            (self.home / "heard").touch()

    def said(self) -> str:
        """All progress."""
        return "\n".join(event.text for event in self.events if isinstance(event, Progress))


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with one small model."""
    with HubServer(Hub({"config.json": b"{}", "model.safetensors": os.urandom(400_000)}, {"model.safetensors"})) as hub:
        yield hub


@pytest.fixture
async def desk(tmp_path: Path, hub: Hub) -> AsyncIterator[Desk]:
    """A desk over a store on the disk."""
    store = SqliteStore(tmp_path / "store")
    await store.open()
    yield Desk(tmp_path, store, hub)
    await store.close()


def book(*, request: LaunchRequest = REQUEST, node: NodeContext = NODE, image: str = "", repo: str = "") -> Playbook:
    """The stages as a playbook."""
    return Playbook("Fetch", fetch_stages(request, CONTEXT, node, image=image, repo=repo))


async def test_image_and_model_come_whole_and_then_there_is_nothing_to_do(desk: Desk, hub: Hub) -> None:
    hub.piece_s = 0.06
    playbook = book(image=IMAGE, repo="o/n")
    assert [step.phase for step in playbook.steps()] == ["image", "weights"]
    ended = await desk.run(playbook)
    assert ended.result == "done", ended.message
    assert (desk.hub_folder / "snapshots" / COMMIT / "model.safetensors").stat().st_size == 400_000
    assert "2 layers" in desk.said()
    assert "kB" in desk.said()
    desk.events.clear()
    assert (await desk.run(playbook, "again")).result == "done"
    assert desk.results() == ["unchanged", "unchanged"]


async def test_a_pull_that_breaks_off_is_tried_again(desk: Desk) -> None:
    (desk.home / "cut").touch()
    assert (await desk.run(book(image=IMAGE))).result == "done"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("Error response from daemon: write /var/lib/docker/tmp/x: no space left on device", "disk is full"),
        ("Error response from daemon: manifest for x not found: manifest unknown: manifest unknown", "no such tag"),
        ("Error response from daemon: pull access denied for x, repository does not exist", "does not give"),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", "not made for this processor"),
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "docker does not run"),
    ],
)
async def test_why_a_pull_failed_is_told_with_what_helps(desk: Desk, words: str, message: str) -> None:
    (desk.home / "pull").write_text(f"echo '{words}' >&2; exit 1")
    ended = await desk.run(book(image=IMAGE))
    assert ended.result == "failed"
    assert message in ended.message
    assert ended.remedy


async def test_an_image_for_another_processor_does_not_count(desk: Desk) -> None:
    (desk.home / "image").write_text("amd64")
    (desk.home / "pull").write_text("echo amd64 > $HOME/image")
    ended = await desk.run(book(image=IMAGE))
    assert (ended.result, "amd64" in ended.message) == ("failed", True)


async def test_a_token_is_used_and_stays_nowhere(desk: Desk, hub: Hub, tmp_path: Path) -> None:
    hub.token = new_word()
    await desk.secrets.set_hub_token(hub.token)
    search = Search({"token": hub.token})
    with search.watching_processes():
        assert (await desk.run(book(repo="o/n"))).result == "done"
    search.look_in_files(tmp_path)
    search.look("journal", b"".join(await desk.store.journal("r")))
    search.look("events", repr(desk.events).encode())
    assert search.hits == set()
    assert f"Bearer {hub.token}" in {asked[2] for asked in hub.asked}


async def test_a_gated_model_stops_the_launch_in_words(desk: Desk, hub: Hub) -> None:
    hub.is_gated = True
    ended = await desk.run(book(repo="o/n"))
    assert (ended.result, "gated" in ended.message, "terms" in ended.remedy) == ("failed", True, True)


def partial_bytes(desk: Desk) -> int:
    """What has come so far."""
    return sum(path.stat().st_size for path in desk.hub_folder.glob("blobs/*.incomplete"))


async def wait_for_bytes(desk: Desk, wanted: int) -> None:
    """Until so much has come."""
    for _ in range(500):
        if partial_bytes(desk) >= wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nothing came")


async def test_a_download_outlives_its_line(desk: Desk, hub: Hub) -> None:
    hub.piece_s = 0.05
    running = asyncio.create_task(desk.run(book(repo="o/n")))
    await wait_for_bytes(desk, 20_000)
    desk.shell.cut()
    before = partial_bytes(desk)
    await wait_for_bytes(desk, before + 30_000)
    desk.shell.mend()
    hub.piece_s = 0.0
    assert (await running).result == "done"


async def test_a_cancelled_download_ends_on_the_node_and_keeps_what_came(desk: Desk, hub: Hub) -> None:
    hub.piece_s = 0.05
    running = asyncio.create_task(desk.run(book(repo="o/n")))
    await wait_for_bytes(desk, 20_000)
    await asyncio.sleep(0.3)  # it is being waited for by now
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    kept = partial_bytes(desk)
    await asyncio.sleep(0.3)
    assert partial_bytes(desk) == kept > 0
    hub.piece_s = 0.0
    assert (await desk.runner.resume("r", on_event=desk.hear)).result == "done"
    assert (desk.hub_folder / "snapshots" / COMMIT / "config.json").exists()


async def test_taking_it_back_stops_it_and_keeps_what_came(desk: Desk, hub: Hub) -> None:
    await desk.run(book(repo="o/n"))
    assert (await desk.runner.undo("r", on_event=desk.hear)).result == "done"
    assert (desk.hub_folder / "snapshots" / COMMIT / "config.json").exists()


async def test_a_node_without_internet_gets_both_from_this_computer(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "bin").mkdir(parents=True)
    (here / "bin/docker").write_text(
        "#!/bin/sh\n"
        f'case "$1 $2" in "image inspect") echo sha256:{"b" * 64} linux/arm64;;\n'
        '"save --output") echo layers > "$3";; esac'
    )
    (here / "bin/docker").chmod(0o755)
    snapshot = here / "models--o--n/snapshots" / COMMIT
    for folder in (snapshot, here / "models--o--n/blobs", here / "models--o--n/refs"):
        folder.mkdir(parents=True)
    (here / "models--o--n/refs/main").write_text(COMMIT)
    (here / "models--o--n/blobs/b").write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to("../../blobs/b")
    monkeypatch.setenv("HF_HUB_CACHE", str(here))
    monkeypatch.setenv("PATH", f"{here}/bin:{os.environ['PATH']}")
    ended = await desk.run(book(node=replace(NODE, reaches_hub=False), image=IMAGE, repo="o/n"))
    assert ended.result == "done", ended.message
    assert (desk.home / "loaded").read_text() == "layers\n"
    assert (desk.hub_folder / "snapshots" / COMMIT / "model.safetensors").read_bytes() == b"weights"
    assert not list(tmp_path.glob("spool/*.tar"))


async def test_one_file_lies_where_the_plan_says(desk: Desk, hub: Hub) -> None:
    hub.files["w.gguf"] = b"GGUF"
    stages = fetch_stages(REQUEST, CONTEXT, NODE, repo="o/n", files=("w.gguf",))
    assert (await desk.run(Playbook("Fetch", stages))).result == "done"
    assert (desk.home / file_path("o/n", "w.gguf").removeprefix("~/")).read_bytes() == b"GGUF"
