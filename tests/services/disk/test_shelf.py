"""Models on disk: the matrix tells what really lies there, follows what is under way, and forgets what was removed."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkdesk.app.remote import read_remote
from sparkdesk.core.cluster.node import NodeRecord, NodeState, NodeStatus
from sparkdesk.core.disk.view import DiskCell, DiskKey, DiskView, Holding, Kind, read_listing
from sparkdesk.core.errors import CommandFailed, PlanError, Unreachable
from sparkdesk.core.feed import Latest
from sparkdesk.core.playbooks.fetch.transfer import PROGRAMS
from sparkdesk.core.ports import Shell
from sparkdesk.infra.desk_files import DeskFiles
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.disk.shelf import DiskShelf
from sparkdesk.services.playbooks.runner import Runner
from sparkdesk.services.playbooks.runs import PlaybookRuns
from sparkdesk.services.playbooks.supply import Supplies
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.fakes.shell import LocalShell
from tests.servers.hub import COMMIT, Hub, HubServer

MODEL = DiskKey(Kind.MODEL, "o/n")
IMAGE = DiskKey(Kind.IMAGE, "nvcr.io/nvidia/vllm:26.05-py3")
DOCKER = f"""#!/bin/sh
case "$1 $2" in
"image ls") [ -e "$HOME/image" ] && echo {IMAGE.name}; exit 0;;
"image inspect") echo "arm64 sha256:{"a" * 64} 19000000000";;
"ps --format") [ -e "$HOME/image" ] && echo {IMAGE.name} box; exit 0;;
"image rm") rm "$HOME/image";;
esac
"""


class Desk:
    """Two nodes, one shelf."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.tasks = Tasks()
        self.store = SqliteStore(folder / "store")
        self.homes = {name: folder / name for name in ("n1", "n2")}
        self.shells: dict[str, LocalShell] = {}
        for name, home in self.homes.items():
            (home / "bin").mkdir(parents=True, exist_ok=True)
            (home / "bin/docker").write_text(DOCKER)
            (home / "bin/docker").chmod(0o755)
            env = {"HF_ENDPOINT": hub.url, "SPARKDESK_RETRY_S": "0.01", "SPARKDESK_SPARE_BYTES": "0"}
            path = f"{home}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
            self.shells[name] = LocalShell(home, node=name, env={**env, "PATH": path})
        records = [NodeRecord(name, f"spark-{name}", "127.0.0.1", 22, "spark") for name in self.homes]
        self.nodes = Latest(tuple(NodeStatus(record, NodeState.LIVE, 0) for record in records))
        supplies = Supplies(None, DeskFiles(folder / "spool"), read_remote("receive"))
        clock = SystemClock()
        runner = Runner(shells=self.shell, store=self.store, clock=clock, settle_s=1.0, supplies=supplies)
        self.runs = PlaybookRuns(tasks=self.tasks, runner=runner, store=self.store, clock=clock)
        self.changed: list[str] = []
        self.shelf = DiskShelf(
            tasks=self.tasks,
            nodes=self.nodes,
            shells=self.shell,
            runs=self.runs,
            clock=clock,
            programs={name: read_remote(name) for name in PROGRAMS},
            on_change=self.changed.append,
        )

    def shell(self, node_id: str) -> Shell:
        """As the inventory's."""
        if self.shells[node_id].is_cut:
            raise Unreachable(f"{node_id} is not connected", remedy="Wait for it.", node=node_id)
        return self.shells[node_id]

    def cell(self, key: DiskKey, node_id: str, view: DiskView | None = None) -> DiskCell:
        """One cell of the matrix as it is."""
        rows = (view or self.shelf.rows.value).rows
        return next((row.cell(node_id) for row in rows if row.key == key), DiskCell(Holding.UNKNOWN))

    async def until(self, key: DiskKey, node_id: str, holding: Holding) -> None:
        """Until the cell says so."""
        await wait_for_value(
            self.shelf.rows, lambda view: self.cell(key, node_id, view).holding is holding, timeout_s=90
        )

    async def run(self, task: str, key: DiskKey, node_id: str, **more: str) -> str:
        """A task to its end; gives the result."""
        run_id = self.shelf.start(task, key, node_id, self.shelf.plan(task, key, node_id, **more))
        return (await self.runs.wait(run_id)).result


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with one small model."""
    with HubServer(Hub({"config.json": b"{}", "model.safetensors": os.urandom(300_000)}, {"model.safetensors"})) as hub:
        yield hub


@pytest.fixture
async def desk(tmp_path: Path, hub: Hub) -> AsyncIterator[Desk]:
    """An open desk."""
    desk = Desk(tmp_path, hub)
    await desk.store.open()
    yield desk
    await desk.shelf.look("n1")  # the looks that a change has begun end with it, and leave no program behind
    desk.shelf.close()
    await desk.tasks.close()
    await desk.store.close()


async def test_a_model_is_fetched_shown_verified_and_removed(desk: Desk, hub: Hub) -> None:
    hub.halt_after["model.safetensors"] = 100_000
    desk.shelf.watch(True)
    run_id = desk.shelf.start("fetch", MODEL, "n1", desk.shelf.plan("fetch", MODEL, "n1"))
    await desk.until(MODEL, "n1", Holding.DOWNLOADING)
    await wait_for_value(
        desk.shelf.rows, lambda view: any("kB" in one.text and one.fraction for one in view.transfers), timeout_s=90
    )
    hub.go_on.set()
    assert (await desk.runs.wait(run_id)).result == "done"
    await desk.until(MODEL, "n1", Holding.WHOLE)
    cell = desk.cell(MODEL, "n1")
    assert (cell.revision, (cell.size_bytes or 0) > 300_000, (cell.used_ms or 0) > 0) == (COMMIT, True, True)
    await desk.until(MODEL, "n2", Holding.NONE)
    assert await desk.run("verify", MODEL, "n1") == "done"
    plan = desk.shelf.plan("remove", MODEL, "n1")
    assert "kB" in plan.title
    assert await desk.run("remove", MODEL, "n1") == "done"
    await wait_for_value(desk.shelf.rows, lambda view: all(row.key != MODEL for row in view.rows), timeout_s=90)
    assert "n1" in desk.changed


async def test_a_cancelled_fetch_leaves_a_partial_that_can_go_on(desk: Desk, hub: Hub) -> None:
    hub.halt_after["model.safetensors"] = 100_000
    desk.shelf.watch(True)
    run_id = desk.shelf.start("fetch", MODEL, "n1", desk.shelf.plan("fetch", MODEL, "n1"))
    await wait_for_value(desk.shelf.rows, lambda view: any(one.fraction for one in view.transfers), timeout_s=90)
    desk.shelf.cancel(run_id)
    await desk.runs.wait(run_id)
    partial = next((desk.homes["n1"] / ".cache/huggingface/hub/models--o--n/blobs").glob("*.incomplete"))
    os.utime(partial, (1, 1))
    await desk.shelf.look("n1")
    await desk.until(MODEL, "n1", Holding.PARTIAL)
    hub.go_on.set()
    desk.shelf.resume(run_id)
    await desk.until(MODEL, "n1", Holding.WHOLE)


async def test_damage_is_found_by_verifying_and_only_that_file_is_fetched_again(desk: Desk, hub: Hub) -> None:
    assert await desk.run("fetch", MODEL, "n1") == "done"
    name = hashlib.sha256(hub.files["model.safetensors"]).hexdigest()
    blob = desk.homes["n1"] / ".cache/huggingface/hub/models--o--n/blobs" / name
    blob.write_bytes(b"x" * len(hub.files["model.safetensors"]))
    run_id = desk.shelf.start("verify", MODEL, "n1", desk.shelf.plan("verify", MODEL, "n1"))
    ended = await desk.runs.wait(run_id)
    assert (ended.result, "damaged" in ended.message) == ("failed", True)
    await desk.shelf.look("n1")
    await desk.until(MODEL, "n1", Holding.PARTIAL)
    assert await desk.run("fetch", MODEL, "n1") == "done"
    await desk.until(MODEL, "n1", Holding.WHOLE)
    assert blob.read_bytes() == hub.files["model.safetensors"]
    assert not blob.with_name(f"{name}.damaged").exists()


async def test_images_files_and_compile_caches_are_listed_and_removed(desk: Desk, tmp_path: Path) -> None:
    home = desk.homes["n1"]
    (home / "image").touch()
    (home / ".cache/vllm").mkdir(parents=True)
    (home / ".cache/vllm/graph").write_bytes(b"x" * 50_000)
    (tmp_path / "w.gguf").write_bytes(b"GGUF" * 100)
    assert await desk.run("copy", DiskKey(Kind.FILE, "w.gguf"), "n1", source=str(tmp_path / "w.gguf")) == "done"
    await desk.shelf.look("n1")
    await desk.shelf.look("n2")
    image = desk.cell(IMAGE, "n1")
    assert (image.holding, image.size_bytes, image.architecture) == (Holding.WHOLE, 19_000_000_000, "arm64")
    assert desk.cell(IMAGE, "n2").holding is Holding.NONE
    file = DiskKey(Kind.FILE, str(home / "models/w.gguf"))
    assert desk.cell(file, "n1").size_bytes == 400
    node = desk.shelf.rows.value.nodes[0]
    assert (node.free_bytes or 0) > 0
    assert [name for name, _ in node.caches] == ["vllm"]
    run_id = desk.shelf.start("clean", None, "n1", desk.shelf.plan_clean("vllm", "n1"))
    assert (await desk.runs.wait(run_id)).result == "done"
    assert await desk.run("remove", file, "n1") == "done"
    assert await desk.run("remove", IMAGE, "n1") == "done"
    await desk.shelf.look("n1")
    assert desk.shelf.rows.value.rows == ()
    assert not (home / ".cache/vllm").exists()


async def test_a_node_that_is_away_is_not_known_and_says_why(desk: Desk) -> None:
    assert await desk.run("fetch", MODEL, "n1") == "done"
    await desk.shelf.look("n1")
    desk.shells["n2"].cut()
    await desk.shelf.look("n2")
    assert desk.cell(MODEL, "n2").holding is Holding.UNKNOWN
    node = desk.shelf.rows.value.nodes[1]
    assert (node.free_bytes, "not connected" in node.problem, node.remedy) == (None, True, "Wait for it.")


async def test_a_node_that_went_away_keeps_what_it_told_and_its_age(desk: Desk) -> None:
    assert await desk.run("fetch", MODEL, "n1") == "done"
    await desk.shelf.look("n1")
    before = desk.shelf.rows.value.nodes[0]
    desk.shells["n1"].cut()
    await desk.shelf.look("n1")
    node = desk.shelf.rows.value.nodes[0]
    assert desk.cell(MODEL, "n1").holding is Holding.WHOLE
    assert (node.free_bytes, node.looked_ms) == (before.free_bytes, before.looked_ms)
    assert "not connected" in node.problem


async def test_the_size_is_told_by_the_hub_before_anything_is_fetched(desk: Desk, hub: Hub) -> None:
    assert await desk.shelf.ask_size("o/n", "n1") == 300_002
    assert await desk.shelf.ask_size("o/n", "n1", file="config.json") == 2
    assert hub.cdn_asked == []
    with pytest.raises(CommandFailed, match="no file"):
        await desk.shelf.ask_size("o/n", "n1", file="absent.gguf")


async def test_a_fetch_of_one_file_goes_on_with_that_file_alone(desk: Desk, hub: Hub) -> None:
    hub.halt_after["model.safetensors"] = 100_000
    plan = desk.shelf.plan("fetch", MODEL, "n1", file="model.safetensors")
    run_id = desk.shelf.start("fetch", MODEL, "n1", plan, file="model.safetensors")
    await wait_for_value(desk.shelf.rows, lambda view: any(one.fraction for one in view.transfers), timeout_s=90)
    await desk.shelf.look("n1")
    assert "of 300.0 kB" in desk.cell(MODEL, "n1").coming, "as the node itself tells"
    desk.shelf.cancel(run_id)
    await desk.runs.wait(run_id)
    assert desk.shelf.wanted_file(MODEL, "n1") == "model.safetensors"
    assert desk.shelf.wanted_file(MODEL, "n2") == ""
    hub.go_on.set()
    desk.shelf.resume(run_id)
    assert (await desk.runs.wait(run_id)).result == "done"
    assert not any("config.json" in path for path, _, _ in hub.asked)
    assert desk.shelf.wanted_file(MODEL, "n1") == ""


async def test_files_containers_and_a_docker_that_may_not_be_used_are_told(desk: Desk) -> None:
    assert await desk.run("fetch", MODEL, "n1") == "done"
    (desk.homes["n1"] / "image").touch()
    docker = desk.homes["n2"] / "bin/docker"
    docker.write_text("#!/bin/sh\necho 'permission denied while trying to connect' >&2; exit 1\n")
    await desk.shelf.look("n1")
    await desk.shelf.look("n2")
    files = {file.name: (file.size_bytes, file.is_whole) for file in desk.cell(MODEL, "n1").files}
    assert files == {"config.json": (2, True), "model.safetensors": (300_000, True)}
    assert desk.cell(IMAGE, "n1").containers == ("box",)
    assert desk.cell(IMAGE, "n2").holding is Holding.UNKNOWN
    assert [node.docker_problem for node in desk.shelf.rows.value.nodes] == ["", "group"]


async def test_only_a_models_own_files_can_be_removed(desk: Desk) -> None:
    home = desk.homes["n1"]
    (home / "models").mkdir()
    (home / "secret.gguf").write_text("mine")
    for path in (str(home / "secret.gguf"), "~/models/../secret.gguf", "/etc/passwd"):
        assert await desk.run("remove", DiskKey(Kind.FILE, path), "n1") == "failed"
    assert (home / "secret.gguf").exists()
    with pytest.raises(PlanError):
        desk.shelf.plan("verify", IMAGE, "n1")
    with pytest.raises(PlanError):
        desk.shelf.plan("fetch", DiskKey(Kind.FILE, "x.gguf"), "n1")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["models", "files", "images", "caches", "free", "total"])
rows = st.lists(
    st.dictionaries(
        st.sampled_from(["repo", "name", "bytes", "state", "revision", "used_s", "architecture", "id"]), anything
    )
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(keys, anything | rows))
def test_a_hostile_listing_is_read_as_not_known(found: dict[str, object]) -> None:
    listing = read_listing(json.loads(json.dumps(found)))
    for key, cell in listing.cells.items():
        assert key.name.isprintable()
        assert cell.size_bytes is None or cell.size_bytes >= 0


async def test_after_a_refused_or_a_broken_fetch_nothing_is_said_to_come(desk: Desk, hub: Hub) -> None:
    hub.is_gated = True
    assert await desk.run("fetch", MODEL, "n1") == "failed"
    transfers = desk.homes["n1"] / ".local/state/sparkdesk/transfers"
    (folder,) = transfers.iterdir()
    ended = (folder / "end.json").read_text()
    argv = ["python3", "-I", "-S", "-c", "import time; time.sleep(30)", "start", "x", "fetch.py", "o/n", "main"]
    lingering = await asyncio.create_subprocess_exec(*argv)  # the process of a download outlives its end for a moment
    (folder / "run.json").write_text(json.dumps({"pid": lingering.pid}))
    await desk.shelf.look("n1")
    assert desk.cell(MODEL, "n1").holding is not Holding.DOWNLOADING
    (folder / "end.json").unlink()
    await desk.shelf.look("n1")
    assert desk.cell(MODEL, "n1").holding is Holding.DOWNLOADING, "as long as it has not ended"
    (folder / "end.json").write_text(ended)
    lingering.kill()
    await lingering.wait()
    hub.is_gated = False
    hub.cut_after["model.safetensors"] = [100_000, *([0] * 20)]
    assert await desk.run("fetch", MODEL, "n1") == "failed"
    await desk.shelf.look("n1")
    assert desk.cell(MODEL, "n1").holding is Holding.PARTIAL, "at once, not only when the file is no longer young"
    blob = next((desk.homes["n1"] / ".cache/huggingface/hub").glob("models--o--n/blobs/*.incomplete"))
    lock = desk.homes["n1"] / ".cache/huggingface/hub/.locks/models--o--n" / f"{blob.stem}.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as the hub's own client does
        await desk.shelf.look("n1")
        assert desk.cell(MODEL, "n1").holding is Holding.DOWNLOADING
