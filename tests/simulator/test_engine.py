"""Model servers on a node: real llama.cpp behind the real programs' own command lines."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.simulator.conftest import Simulator, ask, llama, until_ready


async def test_llama_server_really_answers_through_a_forward(cluster: Simulator) -> None:
    async with cluster.connect() as connection, llama(connection, 8090, "-c", "2048", "-ngl", "99", "--metrics"):
        question = {"messages": [{"role": "user", "content": "What is SparkDesk?"}], "temperature": 0}
        status, body = await ask(connection, 8090, "/v1/chat/completions", question)
        answer = json.loads(body)
        assert status == 200
        assert answer["choices"][0]["message"]["content"] == "SparkDesk is a control center for DGX Spark clusters."
        _status, page = await ask(connection, 8090, "/metrics")
        counted = [line for line in page.decode().splitlines() if line.startswith("llamacpp:tokens_predicted_total")]
        assert counted == [f"llamacpp:tokens_predicted_total {answer['usage']['completion_tokens']}"]
        _status, models = await ask(connection, 8090, "/v1/models")
        assert json.loads(models)["data"][0]["id"] == "tiny"


async def test_a_key_in_a_file_is_asked_for(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        await connection.run("umask 077; echo s3cret > ~/key", check=True)
        async with llama(connection, 8091, "--api-key-file", "$HOME/key"):
            assert (await ask(connection, 8091, "/v1/models"))[0] == 401


async def test_term_ends_an_idle_server_with_code_0(cluster: Simulator) -> None:
    async with cluster.connect() as connection, llama(connection, 8092) as process:
        process.terminate()
        assert (await process.wait()).exit_status == 0


async def test_a_second_term_ends_a_server_that_waits_for_a_stream(cluster: Simulator) -> None:
    async with cluster.connect() as connection, llama(connection, 8093, "-c", "4096") as process:
        reader, writer = await connection.open_connection("127.0.0.1", 8093, encoding=None)
        body = json.dumps({"prompt": "ping", "stream": True, "n_predict": 3000, "ignore_eos": True}).encode()
        head = f"POST /completion HTTP/1.1\r\nHost: n\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await reader.readuntil(b"data:")
        process.terminate()
        await asyncio.sleep(1.5)
        process.terminate()
        async with asyncio.timeout(90):
            await process.wait()


async def test_a_taken_port_is_said(cluster: Simulator) -> None:
    async with cluster.connect() as connection, llama(connection, 8094):
        result = await connection.run("llama-server -m models/tinytool.gguf --port 8094")
        assert result.exit_status == 1
        assert "couldn't bind HTTP server socket" in str(result.stderr)


async def test_load_raises_power_and_clock_and_takes_memory(cluster: Simulator) -> None:
    read = (
        "nvidia-smi --query-gpu=power.draw,clocks.sm,utilization.gpu --format=csv,noheader,nounits; "
        "grep MemAvailable /proc/meminfo; nvidia-smi"
    )
    async with cluster.connect(1) as connection, asyncio.timeout(90):
        idle = str((await connection.run(read, check=True)).stdout).splitlines()
        assert idle[0] == "4.00, 208, 0"
        async with llama(connection, 8095, "-c", "4096"):
            body = {"prompt": "ping", "n_predict": 3500, "ignore_eos": True}
            power, clock, use, lines = 0.0, 0.0, 0.0, idle
            while not (power > 20 and use > 20):
                await ask(connection, 8095, "/completion", body)
                lines = str((await connection.run(read, check=True)).stdout).splitlines()
                power, clock, use = (float(cell) for cell in lines[0].split(","))
            assert clock > 1800
            assert int(lines[1].split()[1]) < int(idle[1].split()[1]) - 10_000
            assert any("C   llama-server " in line for line in lines)
            assert {len(line) for line in lines[3:] if line} == {91}
        while "P8" not in str((await connection.run("nvidia-smi", check=True)).stdout):
            await asyncio.sleep(0.2)


RUN = "docker run --gpus all --ipc host --network host"
NVIDIA = "nvcr.io/nvidia/vllm:26.05-py3 vllm serve nvidia/Some-Model"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("docker run --nope x", 125, "unknown flag: --nope\nSee 'docker run --help'."),
        ("docker run -Z x", 125, "unknown shorthand flag: 'Z' in -Z"),
        ("docker nope", 1, "docker: 'nope' is not a docker command."),
        ("docker run", 1, '"docker run" requires at least 1 argument'),
        ("docker stop nope", 1, "Error response from daemon: No such container: nope"),
        ("docker run nope:1", 125, "Unable to find image 'nope:1' locally"),
        ("docker ps --format '{{.Nope}}'", 0, ""),
        ("docker version --format '{{.Nope}}'", 64, "can't evaluate field Nope"),
        (f"{RUN} --name x! {NVIDIA}", 125, "Invalid container name (x!)"),
        (f"{RUN} nvcr.io/nvidia/vllm:26.05-py3 nope", 127, 'exec: "nope"'),
        (f"{RUN} {NVIDIA} --nope 3", 2, "vllm serve: error: unrecognized arguments: --nope 3"),
        (f"{RUN} {NVIDIA} --port x", 2, "argument --port: invalid int value: 'x'"),
        (f"{RUN} {NVIDIA} --all2all-backend nope", 2, "argument --all2all-backend: invalid choice: 'nope'"),
        (f"{RUN} {NVIDIA} --gpu-memory-utilization 0.99", 1, "is less than desired GPU memory utilization (0.99"),
        (f"docker run --network host {NVIDIA}", 1, "Failed to infer device type"),
    ],
)
async def test_docker_and_vllm_refuse_what_the_real_ones_refuse(
    cluster: Simulator, command: str, code: int, words: str
) -> None:
    async with cluster.connect() as connection:
        result = await connection.run(command)
        assert (result.exit_status, words in str(result.stderr) + str(result.stdout)) == (code, True)


async def test_a_vllm_container_runs_from_start_to_stop(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        flags = "--served-model-name some --port 8096 --max-model-len 4096 --gpu-memory-utilization 0.5"
        process = await connection.create_process(f"{RUN} --name one --label sparkdesk.job=j1 {NVIDIA} {flags} 2>&1")
        await until_ready(connection, 8096)
        rows = "docker ps --filter label=sparkdesk.job=j1 --format '{{.Names}} {{.State}} {{.Label \"sparkdesk.job\"}}'"
        assert (await connection.run(rows, check=True)).stdout == "one running j1\n"
        _status, models = await ask(connection, 8096, "/v1/models")
        assert json.loads(models)["data"][0]["id"] == "some"
        question = {"model": "some", "messages": [{"role": "user", "content": "ping"}], "max_tokens": 5}
        status, body = await ask(connection, 8096, "/v1/chat/completions", question)
        assert (status, json.loads(body)["model"]) == (200, "some")
        spent = json.loads(body)["usage"]["completion_tokens"]
        _status, page = await ask(connection, 8096, "/metrics")
        assert f'vllm:generation_tokens_total{{engine="0",model_name="some"}} {spent}.0' in page.decode()
        assert (await ask(connection, 8096, "/v1/chat/completions", question | {"model": "other"}))[0] == 404
        long = question | {"messages": [{"role": "user", "content": "word " * 9000}]}
        status, body = await ask(connection, 8096, "/v1/chat/completions", long)
        assert status == 400
        assert b"maximum context length is 4096 tokens" in body
        memory = str((await connection.run("grep MemAvailable /proc/meminfo", check=True)).stdout)
        assert int(memory.split()[1]) < 80_000_000
        assert (await connection.run("docker stop --time 20 one", check=True)).stdout == "one\n"
        result = await process.wait()
        text = str(result.stdout)
        assert result.exit_status == 0
        assert text.index("[simulated]") < text.index("100% Completed") < text.index("Application startup complete.")
        fate = await connection.run("docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' one; docker rm one")
        assert fate.stdout == "exited 0\none\n"


async def test_a_container_outlives_its_client_and_dies_by_kill(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        # A small share: what an earlier container held is given back only at the machine's next beat.
        words = f"{RUN} --name two {NVIDIA} --port 8097 --gpu-memory-utilization 0.2"
        process = await connection.create_process(f"exec {words} 2>&1")
        seen: list[str] = []
        while "Starting to load" not in (line := str(await process.stdout.readline())):
            seen.append(line)
            assert line, f"it ended before it loaded: {seen}"
        process.kill()
        assert (await process.wait()).exit_signal is not None
        assert (await connection.run("docker ps --format '{{.Names}}'", check=True)).stdout == "two\n"
        assert (await connection.run("docker kill two", check=True)).stdout == "two\n"
        await connection.run("docker wait two", check=True)
        fate = await connection.run("docker ps -a --filter name=two --format '{{.Status}}'; docker rm two", check=True)
        assert str(fate.stdout).startswith("Exited (137)")
