"""The node's docker: pulls that go on, archives that are whole or refused, limits as the daemon checks them."""

from __future__ import annotations

import asyncssh
import pytest

from tests.simulator.conftest import Simulator

SGLANG = "lmsysorg/sglang:latest-cu130"
RUN = "docker run --gpus all --network host"
NVIDIA = "nvcr.io/nvidia/vllm:26.05-py3 vllm serve nvidia/Some-Model"


async def say(connection: asyncssh.SSHClientConnection, command: str) -> tuple[int | None, str]:
    """Exit code and both streams of a command."""
    result = await connection.run(f"{{ {command}; }} 2>&1")
    return result.exit_status, str(result.stdout)


async def test_a_pull_that_was_cut_goes_on_and_shows_no_image_before_its_end(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        cluster.control("on", "pull-cut", "1")
        try:
            code, text = await say(connection, f"docker pull {SGLANG}")
        finally:
            cluster.control("off", "pull-cut", "1")
        assert (code, text.splitlines()[-1]) == (1, "Error response from daemon: unexpected EOF")
        assert (await say(connection, f"docker image inspect {SGLANG}"))[0] == 1
        code, text = await say(connection, f"docker pull {SGLANG}")
        assert code == 0
        assert text.count(": Already exists\n") == 5
        assert text.count(": Pull complete\n") == 1
        assert text.splitlines()[-2:] == [f"Status: Downloaded newer image for {SGLANG}", f"docker.io/{SGLANG}"]
        facts = "{{.Architecture}} {{.Os}}"
        assert (await say(connection, f"docker image inspect --format '{facts}' {SGLANG}"))[1] == "arm64 linux\n"
        assert (await say(connection, f"docker pull -q {SGLANG}"))[1] == f"docker.io/{SGLANG}\n"
        assert (await say(connection, f"docker rmi {SGLANG}"))[1].startswith(f"Untagged: {SGLANG}\nDeleted: sha256:")
        assert (await say(connection, f"docker image inspect {SGLANG}"))[0] == 1


async def test_an_image_of_another_architecture_says_so(cluster: Simulator) -> None:
    async with cluster.connect(1) as connection:
        code, _text = await say(connection, "docker pull --platform linux/amd64 vllm/vllm-openai:v0.33.0")
        assert code == 0
        form = "docker image inspect --format '{{.Architecture}}' vllm/vllm-openai:v0.33.0"
        assert (await say(connection, form))[1] == "amd64\n"
        await say(connection, "docker rmi vllm/vllm-openai:v0.33.0; docker pull vllm/vllm-openai:v0.33.0")
        assert (await say(connection, form))[1] == "arm64\n"


async def test_a_saved_image_is_loaded_on_another_node_and_a_cut_one_is_not(cluster: Simulator) -> None:
    name = "vllm/vllm-openai:v0.33.0"
    async with cluster.connect(0) as first, cluster.connect(1) as second:
        archive = (await first.run(f"docker save {name}", check=True, encoding=None)).stdout
        assert isinstance(archive, bytes)
        await second.run(f"docker rmi {name}", check=True)
        cut = await second.run("docker load 2>&1", input=archive[:-100_000], encoding=None)
        assert cut.exit_status == 1
        assert (await say(second, f"docker image inspect {name}"))[0] == 1
        loaded = await second.run("docker load", input=archive, encoding=None, check=True)
        assert loaded.stdout == f"Loaded image: {name}\n".encode()
        assert (await say(second, f"docker image inspect {name}"))[0] == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--memory 4m", "Minimum memory limit allowed is 6MB"),
        ("--memory-swap 8g", "You should always set the Memory limit when using Memoryswap limit"),
        ("--memory 8g --memory-swap 4g", "Minimum memoryswap limit should be larger than memory limit"),
        ("--memory 8x", 'invalid argument "8x" for "-m, --memory" flag'),
        ("--oom-score-adj 5000", "Invalid value 5000, range for oom score adj is [-1000, 1000]"),
        ("--ulimit memlock", 'invalid argument "memlock" for "--ulimit" flag'),
        ("--cap-add NOPE", 'unknown capability: "CAP_NOPE"'),
        ("--device /dev/nope", 'error gathering device information while adding custom device "/dev/nope"'),
        ("--restart always", "does not restart containers"),
    ],
)
async def test_a_limit_that_docker_refuses_starts_nothing(cluster: Simulator, words: str, reason: str) -> None:
    async with cluster.connect() as connection:
        code, text = await say(connection, f"{RUN} --name limited {words} {NVIDIA}")
        assert (code, reason in text) == (125, True)
        assert (await say(connection, "docker inspect limited"))[0] == 1


async def test_a_container_shows_its_limits_its_new_name_and_its_log_since(cluster: Simulator) -> None:
    limits = "--memory 64g --memory-swap 64g --oom-score-adj 500 --ulimit memlock=-1 --env KEY --env NOT_SET"
    async with cluster.connect() as connection:
        await say(connection, f"KEY=k3y {RUN} -d --name before {limits} {NVIDIA} --nope")
        await connection.run("docker wait before && docker rename before after", check=True)
        form = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.OomScoreAdj}} {{.Config.Env}}"
        shown = await connection.run(
            f"docker inspect -f '{form} {{{{.State.ExitCode}}}} {{{{.Name}}}}' after", check=True
        )
        assert shown.stdout == f"{64 * 2**30} {64 * 2**30} 500 [KEY=k3y] 2 /after\n"
        assert (await say(connection, "docker inspect before"))[0] == 1
        assert "unrecognized arguments" in (await say(connection, "docker logs --since 10m after"))[1]
        assert (await say(connection, "docker logs --since 2999-01-01T00:00:00Z after"))[1] == ""
        code, text = await say(connection, "docker logs --since yesterday after")
        assert (code, "failed to parse value as time or duration" in text) == (125, True)
        await connection.run("docker rm after", check=True)
