"""The node's tools answer as on a Spark, and refuse what the real ones refuse."""

from __future__ import annotations

import json

import pytest

from tests.simulator.conftest import Simulator

QUERY = (
    "nvidia-smi --query-gpu=index,name,driver_version,utilization.gpu,memory.used,memory.total,temperature.gpu,"
    "power.limit,clocks.max.sm --format=csv,noheader,nounits"
)


async def run(cluster: Simulator, command: str) -> tuple[int | None, str, str]:
    """Exit code, output, errors."""
    async with cluster.connect() as connection:
        result = await connection.run(command)
        return result.exit_status, str(result.stdout), str(result.stderr)


async def test_nvidia_smi_has_the_gb10s_missing_cells(cluster: Simulator) -> None:
    code, text, _errors = await run(cluster, QUERY)
    cells = text.strip().split(", ")
    assert code == 0
    assert cells[:3] == ["0", "NVIDIA GB10", "580.142"]
    assert cells[4:6] == ["[N/A]", "[N/A]"]
    assert cells[7:] == ["[N/A]", "3003"]


async def test_nvidia_smi_prints_its_table_and_loops(cluster: Simulator) -> None:
    _code, text, _errors = await run(cluster, "nvidia-smi")
    assert "|   0  NVIDIA GB10                    On  |   0000000F:01:00.0 Off |" in text
    assert "Not Supported" in text
    assert {len(line) for line in text.splitlines()[1:] if line} == {91}
    async with cluster.connect() as connection:
        process = await connection.create_process("nvidia-smi --query-gpu=power.draw --format=csv -lms 50")
        lines = [await process.stdout.readline() for _ in range(3)]
        assert lines[0] == "power.draw [W]\n"
        assert all(line.endswith(" W\n") for line in lines[1:])


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("nvidia-smi --nope", 2, "Invalid combination of input arguments"),
        ("nvidia-smi --query-gpu=nope --format=csv", 2, 'Field "nope" is not a valid field to query.'),
        ("nvidia-smi --query-gpu=name", 2, '"--format=" switch is missing'),
        ("nvidia-smi --query-gpu=name --format=xml", 2, "is not a valid format"),
        ("ip --nope", 255, 'Option "--nope" is unknown'),
        ("ip nope", 255, 'Object "nope" is unknown'),
        ("ip addr show dev nope0", 1, 'Device "nope0" does not exist.'),
        ("ip link set enP7s7 down", 2, "Operation not permitted"),
        ("ss --nope", 255, "unrecognized option 'nope'"),
        ("uname --nope", 1, "unrecognized option '--nope'"),
        ("ethtool nope0", 75, "No such device"),
        ("ibdev2netdev --nope", 1, "unknown option"),
        ("sudo --nope", 1, "unrecognized option"),
        ("systemctl restart docker", 1, "Interactive authentication required"),
        ("systemctl --user status", 1, "Failed to connect to bus"),
        ("loginctl enable-linger", 1, "Access denied"),
        ("llama-server --nope", 1, "error: invalid argument: --nope"),
        ("llama-server --port x", 1, "error while handling argument"),
        ("llama-server -m nope.gguf", 1, "failed to open GGUF file"),
    ],
)
async def test_a_wrong_option_fails_as_the_real_program_fails(
    cluster: Simulator, command: str, code: int, words: str
) -> None:
    found, text, errors = await run(cluster, command)
    assert found == code
    assert words in text + errors


async def test_ip_speaks_json(cluster: Simulator) -> None:
    _code, text, _errors = await run(cluster, "ip -j addr show dev enp1s0f1np1")
    (link,) = json.loads(text)
    assert (link["mtu"], link["operstate"], link["addr_info"][0]["local"]) == (9000, "UP", "192.168.100.1")


async def test_the_name_map_has_the_cabled_port_up(cluster: Simulator) -> None:
    _code, text, _errors = await run(cluster, "ibdev2netdev; ethtool enp1s0f1np1")
    assert "rocep1s0f1 port 1 ==> enp1s0f1np1 (Up)" in text
    assert "roceP2p1s0f0 port 1 ==> enP2p1s0f0np0 (Down)" in text
    assert "\tSpeed: 200000Mb/s" in text


async def test_listening_ports_are_the_real_ones(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        serve = "import socket,time; s=socket.create_server(('127.0.0.1',4997)); print(1,flush=True); time.sleep(60)"
        process = await connection.create_process(f'python3 -c "{serve}"')
        await process.stdout.readline()
        text = (await connection.run("ss -ltnp", check=True)).stdout
        assert "127.0.0.1:4997" in text
        assert 'users:(("python3"' in text
        process.kill()
