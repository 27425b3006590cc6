"""The hub that nodes can reach: real ranges and checksums, a cut, and who may have what."""

from __future__ import annotations

import hashlib
import json

import asyncssh
import pytest

from tests.simulator.conftest import PROJECT, Simulator

FREE, GATED = "Qwen/Qwen3-8B", "meta-llama/Llama-3.1-8B-Instruct"
PROGRAMS = {f"{name}.py": (PROJECT / "sparkdesk" / "remote" / f"{name}.py").read_text() for name in ("fetch", "hub")}
PUT = (
    "import json, os, sys; os.makedirs('dl', exist_ok=True)\n"
    + "[open('dl/' + n, 'w').write(t) for n, t in json.load(sys.stdin).items()]"
)


async def get(connection: asyncssh.SSHClientConnection, path: str, *words: str) -> tuple[int, bytes, str]:
    """Status, body and headers of one request to the node's hub."""
    command = f'curl -s -D /tmp/head {" ".join(words)} "$HF_ENDPOINT{path}"; echo; cat /tmp/head'
    result = await connection.run(command, encoding=None)
    body, _line, head = bytes(result.stdout or b"").rpartition(b"\nHTTP/1.1 ")
    return int(head.split()[0]), body, head.decode()


async def fetch(connection: asyncssh.SSHClientConnection, repo: str, environment: str = "") -> dict[str, object]:
    """The last line of our own program that fetches a model, run on the node."""
    await connection.run(f'python3 -c "{PUT}"', input=json.dumps(PROGRAMS), check=True)
    command = f"SPARKDESK_RETRY_S=0.05 SPARKDESK_SPARE_BYTES=0 {environment} python3 dl/fetch.py {repo} main"
    result = await connection.run(command, encoding=None, timeout=90)
    found: dict[str, object] = json.loads(bytes(result.stdout or b"").splitlines()[-1])
    return found


async def test_a_file_has_the_checksum_of_the_list_and_goes_on_from_any_byte(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        status, body, _head = await get(connection, f"/api/models/{FREE}/revision/main")
        commit = json.loads(body)["sha"]
        _status, body, _head = await get(connection, f"/api/models/{FREE}/tree/{commit}?recursive=true")
        rows = {row["path"]: row for row in json.loads(body)}
        assert (status, {"config.json", "model.safetensors.index.json"} <= set(rows)) == (200, True)
        large = next(path for path in rows if path.endswith(".safetensors"))
        whole = (await get(connection, f"/{FREE}/resolve/{commit}/{large}"))[1]
        assert hashlib.sha256(whole).hexdigest() == rows[large]["lfs"]["oid"]
        status, part, head = await get(connection, f"/{FREE}/resolve/{commit}/{large}", "-H 'Range: bytes=1000000-'")
        assert (status, part == whole[1_000_000:]) == (206, True)
        assert f"Content-Range: bytes 1000000-{len(whole) - 1}/{len(whole)}" in head
        config = (await get(connection, f"/{FREE}/resolve/main/config.json"))[1]
        blob = b"blob %d\0" % len(config) + config
        assert hashlib.sha1(blob).hexdigest() == rows["config.json"]["oid"]
        assert json.loads(config)["num_key_value_heads"] == 8


@pytest.mark.parametrize(
    ("path", "token", "status", "code"),
    [
        (f"/{GATED}/resolve/main/config.json", "", 401, "GatedRepo"),
        (f"/{GATED}/resolve/main/config.json", "hf_somebody", 403, "GatedRepo"),
        (f"/{GATED}/resolve/main/config.json", "hf_simulated", 200, ""),
        (f"/{FREE}/resolve/main/config.json", "nonsense", 401, ""),
        ("/api/models/nobody/nothing", "", 401, "RepoNotFound"),
        ("/api/models/nobody/nothing", "hf_somebody", 404, "RepoNotFound"),
        (f"/{FREE}/resolve/main/nope.json", "", 404, "EntryNotFound"),
        (f"/{FREE}/resolve/v9/config.json", "", 404, "RevisionNotFound"),
        ("/nope", "", 404, ""),
    ],
)
async def test_the_hub_tells_its_noes_apart(cluster: Simulator, path: str, token: str, status: int, code: str) -> None:
    async with cluster.connect() as connection:
        found, _body, head = await get(connection, path, f"-H 'Authorization: Bearer {token}'" if token else "")
        assert (found, f"X-Error-Code: {code}" in head) == (status, bool(code))


async def test_a_download_that_was_cut_goes_on_and_is_whole_then(cluster: Simulator) -> None:
    repo = "Qwen/Qwen3-4B"
    folder = "~/.cache/huggingface/hub/models--Qwen--Qwen3-4B"
    async with cluster.connect(1) as connection:
        cluster.control("on", "hub-cut", "2")
        try:
            assert (await fetch(connection, repo))["ok"] is False
        finally:
            cluster.control("off", "hub-cut", "2")
        left = str((await connection.run(f"ls {folder}/blobs; ls {folder}/snapshots", check=False)).stdout)
        assert ".incomplete" in left
        assert (await fetch(connection, repo))["ok"] is True
        index = await connection.run(f"cat {folder}/snapshots/*/model.safetensors.index.json", check=True)
        assert json.loads(str(index.stdout))["metadata"]["total_size"] > 8_000_000_000


async def test_an_engine_knows_the_size_of_what_was_fetched(cluster: Simulator) -> None:
    async with cluster.connect(1) as connection:
        assert (await fetch(connection, "BAAI/bge-m3"))["ok"] is True
        words = "nvcr.io/nvidia/vllm:26.05-py3 vllm serve BAAI/bge-m3 --port 8299 --gpu-memory-utilization 0.005"
        volume = "-v /home/nvidia/.cache/huggingface:/root/.cache/huggingface"
        run = f"docker run --rm --gpus all --network host {volume} {words} 2>&1"
        text = str((await connection.run(run, timeout=90)).stdout)
        assert "Model loading took 1.02 GiB memory" in text
        offline = run.replace("docker run", "docker run -e HF_HUB_OFFLINE=1").replace("BAAI/bge-m3", "BAAI/other")
        result = await connection.run(offline, timeout=90)
        assert (result.exit_status, "couldn't find them in the cached files" in str(result.stdout)) == (1, True)
