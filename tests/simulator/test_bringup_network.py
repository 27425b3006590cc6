"""A box as it comes: netplan, `ip` and packets over the addresses that it gives; this computer stays as it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulator.conftest import Simulator, StartSimulator, running
from tests.simulator.test_fabric import read_host
from tests.simulator.test_read import REMOTE

PORT, TWIN = "enp1s0f1np1", "enP2p1s0f1np1"
PLAN = """network:
  version: 2
  ethernets:
    {port}:
      dhcp4: no
      dhcp6: no
      link-local: [ipv6]
      mtu: 9000
      addresses: [192.168.77.{last}/24]
    {twin}:
      dhcp4: no
      dhcp6: no
      link-local: [ipv6]
      mtu: 9000
      addresses: [192.168.78.{last}/24]
"""


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """Two nodes and a cable, as they come out of their boxes; this computer is as it was when they are gone."""
    home = tmp_path_factory.mktemp("boxes")
    before = read_host()
    with running(home, home / "state", "--shape", "pair", "--fresh") as simulator:
        if not simulator.line["packets"]:
            pytest.skip(f"no real cables here: {simulator.line['packets_reason']}")
        yield simulator
        assert read_host() == before
    assert read_host() == before


async def as_root(boxes: Simulator, script: str, index: int = 0, code: int = 0) -> str:
    """What a script prints that root of a node runs."""
    given = (boxes.state / "password").read_text()
    async with boxes.connect(index) as connection:
        done = await connection.run("sudo -k -S -p '' sh -s", input=f"{given}{script}\n")
    assert done.exit_status == code, f"{done.stdout}{done.stderr}"
    return f"{done.stdout}{done.stderr}"


async def ask(boxes: Simulator, command: str, index: int = 0) -> tuple[int | None, str]:
    """Exit code and all that a command of the user's prints."""
    async with boxes.connect(index) as connection:
        done = await connection.run(f"({command}) 2>&1")
    return done.exit_status, str(done.stdout)


async def read_port(boxes: Simulator, port: str, index: int = 0) -> dict[str, Any]:
    """MTU and IPv4 addresses of a port, by `ip -j`."""
    (row,) = json.loads((await ask(boxes, f"ip -j -4 addr show dev {port}", index))[1])
    return {"mtu": row["mtu"], "addresses": [f"{one['local']}/{one['prefixlen']}" for one in row["addr_info"]]}


def write(name: str, last: int, folder: str = "etc") -> str:
    """The command that writes a netplan for both halves."""
    text = PLAN.format(port=PORT, twin=TWIN, last=last)
    return f"mkdir -p /{folder}/netplan; umask 077; cat > /{folder}/netplan/{name} <<'END'\n{text}END\numask 022\n"


async def test_a_box_has_no_address_on_its_fast_ports_and_a_netplan_that_only_root_reads(boxes: Simulator) -> None:
    assert await read_port(boxes, TWIN) == {"mtu": 1500, "addresses": []}
    assert (await ask(boxes, "cat /etc/netplan/00-installer-config.yaml"))[0] == 1
    assert await as_root(boxes, "ls /run/systemd/network") == "10-netplan-enP7s7.network\n", "as after every start"
    assert "enP7s7" in await as_root(boxes, "cat /etc/netplan/*.yaml; ls /etc/netplan")
    routes = json.loads((await ask(boxes, "ip -j -4 route"))[1])
    assert [row["dst"] for row in routes] == ["default", "192.168.10.0/24"]


async def test_netplan_gives_both_halves_addresses_that_large_packets_cross(boxes: Simulator) -> None:
    for index, last in ((0, 11), (1, 12)):
        assert await as_root(boxes, f"{write('90-x.yaml', last)}netplan generate && netplan apply", index) == ""
    assert await read_port(boxes, PORT) == {"mtu": 9000, "addresses": ["192.168.77.11/24"]}
    assert await ask(boxes, f"cat /sys/class/net/{PORT}/mtu", 1) == (0, "9000\n")
    routes = json.loads((await ask(boxes, "ip -j -4 route"))[1])
    assert {row["dst"]: row["dev"] for row in routes}["192.168.78.0/24"] == TWIN
    for port, host in ((PORT, "192.168.77.12"), (TWIN, "192.168.78.12")):
        code, text = await ask(boxes, f"ping -I {port} -M do -s 8972 -c 2 -i 0.2 -W 2 {host}")
        assert (code, "2 received, 0% packet loss" in text) == (0, True), text
    code, text = await ask(boxes, f"ping -I {PORT} -M do -s 8973 -c 1 -W 1 192.168.77.12")
    assert (code, "essage too long" in text) == (1, True), text
    assert (await ask(boxes, "ping -c 1 -W 2 192.168.10.12"))[0] == 0


async def test_run_hides_a_file_of_etc_and_a_removed_plan_leaves_addresses_until_they_are_taken(
    boxes: Simulator,
) -> None:
    await as_root(boxes, f"rm -f /etc/netplan/90*; {write('90-x.yaml', 11)}netplan apply")
    await as_root(boxes, f"{write('90-x.yaml', 21, folder='run')}netplan apply")
    assert await read_port(boxes, PORT) == {"mtu": 9000, "addresses": ["192.168.77.21/24"]}
    await as_root(boxes, "rm /run/netplan/90-x.yaml; netplan apply")
    assert await read_port(boxes, PORT) == {"mtu": 9000, "addresses": ["192.168.77.11/24"]}
    await as_root(boxes, "rm /etc/netplan/90-x.yaml; netplan apply")
    assert await read_port(boxes, PORT) == {"mtu": 9000, "addresses": ["192.168.77.11/24"]}
    for port, address in ((PORT, "192.168.77.11/24"), (TWIN, "192.168.78.11/24")):
        await as_root(boxes, f"ip addr del {address} dev {port}; ip link set dev {port} mtu 1500")
        assert await read_port(boxes, port) == {"mtu": 1500, "addresses": []}
    assert (await ask(boxes, "ping -c 1 -W 1 192.168.77.12"))[0] == 2


async def test_ip_adds_and_takes_addresses_in_the_words_of_iproute(boxes: Simulator) -> None:
    port = "enp1s0f0np0"
    assert await as_root(boxes, f"ip addr add 10.9.8.7/30 dev {port}; ip -4 addr add 10.9.8.6/30 dev {port}") == ""
    assert (await read_port(boxes, port))["addresses"] == ["10.9.8.7/30", "10.9.8.6/30"]
    row = "10.9.8.4/30 dev enp1s0f0np0 proto kernel scope link src 10.9.8.7"
    assert row in (await ask(boxes, "ip -4 route"))[1]
    for words, said in (
        (f"ip addr add 10.9.8.7/30 dev {port}", "RTNETLINK answers: File exists"),
        (f"ip addr del 10.9.8.9/30 dev {port}", "RTNETLINK answers: Cannot assign requested address"),
        ("ip addr add 10.9.8.7/30 dev enP7s7", "is not simulated"),
    ):
        assert said in await as_root(boxes, words, code=2)
    assert await ask(boxes, f"ip addr add 10.9.8.5/30 dev {port}") == (
        2,
        "RTNETLINK answers: Operation not permitted\n",
    )
    assert await as_root(boxes, f"ip addr flush dev {port}") == ""
    assert (await read_port(boxes, port))["addresses"] == []


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ("network: {version: 2, ethernet: {}}", "unknown key 'ethernet'"),
        ("network:\n version: 2\n ethernets:\n  a:\n   adresses: []", "5:4: Error in network definition: unknown key"),
        (
            "network:\n version: 2\n ethernets:\n  a:\n   addresses: [10.0.0.300/24]",
            "malformed address '10.0.0.300/24'",
        ),
        ("network:\n version: 2\n ethernets:\n  a:\n   addresses: [10.0.0.3]", "is missing /prefixlength"),
        ("network:\n version: 2\n ethernets:\n  a:\n   mtu: big", "invalid unsigned int value 'big'"),
        ("network:\n\tversion: 2", "Invalid YAML"),
    ],
)
async def test_netplan_refuses_what_is_wrong_and_changes_nothing(boxes: Simulator, plan: str, words: str) -> None:
    script = f"umask 077; mkdir -p /tmp/c/etc/netplan; cat > /tmp/c/etc/netplan/9.yaml <<'END'\n{plan}\nEND\n"
    text = await as_root(boxes, f"{script}netplan generate --root-dir /tmp/c", code=1)
    assert words in text
    assert "/tmp/c/etc/netplan/9.yaml" in text
    text = await as_root(
        boxes,
        "cp /tmp/c/etc/netplan/9.yaml /etc/netplan/; netplan apply; a=$?; rm /etc/netplan/9.yaml; exit $a",
        code=78,
    )
    assert words in text


async def test_netplan_is_strict_warns_of_open_files_and_shows_what_is_merged(boxes: Simulator) -> None:
    assert (await ask(boxes, "netplan aply"))[0] == 2
    assert (await ask(boxes, "netplan apply --now"))[0] == 2
    assert (await ask(boxes, "netplan try"))[1] == "netplan try is not simulated\n"
    assert (await ask(boxes, "netplan apply"))[0] == 1
    one = "network: {version: 2, ethernets: {enp1s0f0np0: {mtu: 1400, addresses: [10.1.1.1/24]}}}"
    two = "network: {version: 2, ethernets: {enp1s0f0np0: {mtu: 1300, addresses: [10.1.2.1/24]}}}"
    script = f"cd /etc/netplan; echo '{one}' > 50-a.yaml; echo '{two}' > 60-b.yaml; netplan get ethernets.enp1s0f0np0"
    text = await as_root(boxes, f"{script}; rm 50-a.yaml 60-b.yaml")
    assert "Permissions for /etc/netplan/50-a.yaml are too open" in text
    assert text.splitlines()[-4:] == ["mtu: 1300", "addresses:", '- "10.1.1.1/24"', '- "10.1.2.1/24"'] or (
        'addresses:\n- "10.1.1.1/24"\n- "10.1.2.1/24"' in text and "mtu: 1300" in text
    )


async def test_a_network_that_is_tried_comes_back_by_itself_and_one_that_is_kept_stays(boxes: Simulator) -> None:
    plan = PLAN.format(port=PORT, twin=TWIN, last=31)
    wanted = json.dumps({PORT: {"addresses": ["192.168.77.31/24"], "mtu": 9000, "carrier": True}})
    trial = f"cat > /tmp/plan.yaml <<'END'\n{plan}END\npython3 /tmp/link_trial.py try"
    look = f"python3 /tmp/link_trial.py look abc '{wanted}'"
    before = await read_port(boxes, PORT)
    names = ("net_state", "trial_notes", "netplan_units", "trial")
    for name in names:
        program = (REMOTE / f"{'link_trial' if name == 'trial' else name}.py").read_text()
        await as_root(boxes, f"cat > /tmp/{name}.py <<'END'\n{program}\nEND\n")
    launch = f'for name in {names}: exec(compile(open("/tmp/%s.py" % name).read(), name, "exec"))'
    await as_root(boxes, f"cat > /tmp/link_trial.py <<'END'\n{launch}\nEND\n")
    assert '"ok": true' in await as_root(boxes, f"{trial} abc 2 '{wanted}' < /tmp/plan.yaml")
    assert '"ok": true' in (await ask(boxes, look))[1]
    async with asyncio.timeout(20):
        while await read_port(boxes, PORT) != before:
            await asyncio.sleep(0.2)
    await as_root(boxes, "python3 /tmp/link_trial.py undo abc")
    assert '"ok": true' in await as_root(boxes, f"{trial} abc 60 '{wanted}' < /tmp/plan.yaml")
    assert '"ok": true' in await as_root(boxes, "python3 /tmp/link_trial.py keep abc")
    kept = await as_root(boxes, "stat -c '%a %n' /etc/netplan/90-*; ls /run/netplan")
    assert kept == "600 /etc/netplan/90-sparkdesk.yaml\n"
    assert await read_port(boxes, PORT) == {"mtu": 9000, "addresses": ["192.168.77.31/24"]}
    assert '"ok": true' in await as_root(boxes, "python3 /tmp/link_trial.py undo abc")
    assert await read_port(boxes, PORT) == before
    assert await as_root(boxes, "ls /etc/netplan /var/lib/sparkdesk /run/sparkdesk 2>/dev/null; true") == (
        "/etc/netplan:\n00-installer-config.yaml\n"
    )


async def test_a_kept_network_and_the_group_are_there_after_a_restart(start: StartSimulator) -> None:
    with start("--nodes", "1", "--fresh", "--shape", "loop") as simulator:
        if not simulator.line["packets"]:
            pytest.skip(f"no real cables here: {simulator.line['packets_reason']}")
        await as_root(simulator, f"{write('90-sparkdesk.yaml', 5)}usermod -aG docker nvidia")
        assert await read_port(simulator, PORT) == {"mtu": 1500, "addresses": []}
    with start("--nodes", "1", "--fresh", "--shape", "loop") as simulator:
        async with asyncio.timeout(20):
            while await read_port(simulator, PORT) != {"mtu": 9000, "addresses": ["192.168.77.5/24"]}:
                await asyncio.sleep(0.2)
        assert "docker" in (await ask(simulator, "id -nG"))[1].split()
