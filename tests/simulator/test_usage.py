"""The node's programs refuse a wrong value in the words of the real ones, and say which flags they have."""

from __future__ import annotations

import pytest

from tests.simulator.conftest import Simulator


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--gpus 99x", 'invalid argument "99x" for "--gpus" flag: invalid count (99x)'),
        ("--memory=zz", """invalid argument "zz" for "-m, --memory" flag: invalid size: 'zz'"""),
        ("-m 5zz", """invalid argument "5zz" for "-m, --memory" flag: invalid suffix: 'zz'"""),
    ],
)
async def test_docker_run_refuses_a_value_that_docker_refuses(cluster: Simulator, words: str, said: str) -> None:
    async with cluster.connect() as connection:
        result = await connection.run(f"docker run {words} nope:1")
    assert result.exit_status == 125
    assert said in str(result.stderr)


@pytest.mark.parametrize("words", ["--gpus all", "--gpus 1", "--gpus device=0", "-m 64g --shm-size 1.5GiB"])
async def test_docker_run_takes_a_value_that_docker_takes(cluster: Simulator, words: str) -> None:
    async with cluster.connect() as connection:
        result = await connection.run(f"docker run {words} nope:1")
    assert "Unable to find image 'nope:1' locally" in str(result.stderr)


async def test_llama_server_lists_its_flags(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        shown = str((await connection.run("llama-server --help", check=True)).stdout)
    assert "-c, --ctx-size N" in shown.splitlines()
    assert "-fa, --flash-attn {on,off,auto}" in shown.splitlines()
