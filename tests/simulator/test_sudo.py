"""sudo of a node: the password, the faults, and a root that cannot leave the node. Words as measured with sudo 1.9."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulator.conftest import Simulator, StartSimulator

ASK = "sudo -k -S -p MARK: "


def password(simulator: Simulator) -> str:
    """The node's password, as its file has it."""
    return (simulator.state / "password").read_text()


async def run(
    cluster: Simulator, command: str, given: str | None = None, index: int = 0
) -> tuple[int | None, str, str]:
    """Exit code, output, errors."""
    async with cluster.connect(index) as connection:
        result = await connection.run(command, input=given or "")
        return result.exit_status, str(result.stdout), str(result.stderr)


async def test_without_a_password_sudo_asks_for_one(cluster: Simulator) -> None:
    assert await run(cluster, "sudo -n true") == (1, "", "sudo: a password is required\n")
    code, _text, errors = await run(cluster, "sudo true")
    assert (code, "a terminal is required to read the password" in errors) == (1, True)


async def test_the_right_password_makes_root_and_leaves_the_rest_of_the_input(cluster: Simulator) -> None:
    code, text, errors = await run(cluster, f"{ASK} sh -c 'id -u; id -un; cat'", password(cluster) + "rest\n")
    assert (code, text, errors) == (0, "0\nroot\nrest\n", "MARK:")


async def test_a_wrong_password_is_refused_in_sudos_words(cluster: Simulator) -> None:
    code, text, errors = await run(cluster, f"{ASK} id", "wrong\n")
    assert (code, text) == (1, "")
    assert errors == (
        "MARK:Sorry, try again.\nMARK:\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n"
    )
    code, _text, errors = await run(cluster, f"{ASK} id", "a\nb\nc\n")
    assert errors.endswith("MARK:sudo: 3 incorrect password attempts\n")


async def test_exit_codes_signals_folder_and_environment_are_the_commands(cluster: Simulator) -> None:
    given = password(cluster)
    assert (await run(cluster, f"{ASK} sh -c 'exit 7'", given))[0] == 7
    assert (await run(cluster, f"{ASK} nope", given))[2] == "MARK:sudo: nope: command not found\n"
    _code, text, _errors = await run(cluster, f"cd /var && FOO=1 {ASK} A=2 sh -c 'pwd; env'", given)
    rows = text.splitlines()
    assert rows[0] == "/var"
    assert {"A=2", "HOME=/root", "SUDO_USER=nvidia", "SUDO_UID=1000"} <= set(rows)
    assert not any(row.startswith("FOO=") for row in rows)
    async with cluster.connect() as connection:
        process = await connection.create_process(
            f"{ASK} sh -c 'trap \"echo got; exit 3\" TERM; echo up; sleep 60 & wait'"
        )
        process.stdin.write(given)
        assert await process.stdout.readline() == "up\n"
        process.terminate()
        result = await process.wait()
        assert (result.stdout, result.exit_status) == ("got\n", 3)


async def test_what_is_no_program_is_said_in_sudos_words(cluster: Simulator) -> None:
    script = "printf '#!/nope\n' > /tmp/odd; chmod +x /tmp/odd; sudo -S -p '' /tmp/odd"
    async with cluster.connect() as connection:
        done = await connection.run(script, input=password(cluster))
    assert (done.exit_status, done.stderr) == (1, "sudo: unable to execute /tmp/odd: No such file or directory\n")


async def test_a_password_is_remembered_for_the_same_parent_until_k(cluster: Simulator) -> None:
    script = "sudo -S -p '' true; sudo -n id -u; sudo -k; sudo -n id -u"
    code, text, errors = await run(cluster, script, password(cluster))
    assert (code, text, errors) == (1, "0\n", "sudo: a password is required\n")
    assert (await run(cluster, "sudo -n true"))[0] == 1


async def test_a_password_is_remembered_for_the_commands_of_one_connection(cluster: Simulator) -> None:
    async with cluster.connect() as first, cluster.connect() as second:
        await first.run("sudo -S -p '' true", input=password(cluster), check=True)
        assert (await first.run("sudo -n id -u")).stdout == "0\n"
        assert (await second.run("sudo -n id -u")).exit_status == 1
        await first.run("sudo -k")
        assert (await first.run("sudo -n id -u")).exit_status == 1


async def test_a_terminal_is_asked_without_echo(cluster: Simulator) -> None:
    async with cluster.connect() as connection:
        process = await connection.create_process("sudo -k -p MARK: id -u", term_type="xterm")
        assert "MARK:" in await process.stdout.readuntil("MARK:")
        process.stdin.write(password(cluster))
        rest = str((await process.wait()).stdout)
        assert rest.split() == ["0"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sudo --nope", "sudo: unrecognized option '--nope'\nusage: sudo -h"),
        ("sudo -Q x", "sudo: invalid option -- 'Q'"),
        ("sudo", "usage: sudo -h | -K | -k | -V"),
        ("sudo -u nobodyx id", "sudo: unknown user nobodyx"),
        ("sudo -A true", "sudo: no askpass program specified"),
        ("sudo -e /etc/hosts", "sudo: edit is not simulated"),
    ],
)
async def test_a_wrong_command_line_is_refused(cluster: Simulator, command: str, words: str) -> None:
    code, _text, errors = await run(cluster, command)
    assert (code, words in errors) == (1, True)


@pytest.fixture
def faulty(cluster: Simulator) -> Iterator[Simulator]:
    """A cluster whose faults are taken away again."""
    yield cluster
    for fault in ("no-sudo", "not-in-sudoers", "sudo-needs-tty", "sudo-nopasswd"):
        cluster.control("off", fault, "spark-bd26")


async def test_each_fault_of_sudo_has_its_own_words(faulty: Simulator) -> None:
    expected = {
        "no-sudo": (127, "bash: line 1: sudo: command not found\n"),
        "not-in-sudoers": (1, "MARK:nvidia is not in the sudoers file.\n"),
        "sudo-needs-tty": (1, "sudo: sorry, you must have a tty to run sudo\n"),
        "sudo-nopasswd": (0, ""),
    }
    for fault, (code, errors) in expected.items():
        faulty.control("on", fault, "spark-bd26")
        found = await run(faulty, f"{ASK} true", password(faulty), index=1)
        assert (fault, found[0], found[2]) == (fault, code, errors)
        faulty.control("off", fault, "spark-bd26")


async def test_root_of_a_node_is_nobody_on_this_computer(cluster: Simulator) -> None:
    """What root could harm is out of its reach; nothing is tried that would harm if this failed."""
    given = password(cluster)
    for words in (
        "touch /usr/bin/sim_root",
        "mount -o remount,rw,bind /usr",
        "test -w /proc/sysrq-trigger",
        "test -w /proc/sys/kernel/hostname",
        "cat /proc/1/environ",
        "ls /proc/1/root/",
        "nsenter -t 1 -m true",
        "mknod /tmp/sda b 8 0",
    ):
        code, _text, _errors = await run(cluster, f"{ASK} sh -c '{words}'", given)
        assert code != 0, words
    look = "echo x > /etc/mine; cat /etc/mine; rm /etc/mine; kill -INT 1; cat /proc/self/uid_map; "
    look += "grep CapB /proc/self/status"
    code, text, _errors = await run(cluster, f"{ASK} sh -c '{look}'", given)
    rows = text.splitlines()
    inside, outside, _count = map(int, rows[1].split())
    assert (code, rows[0], inside, outside == 0) == (0, "x", 0, False)
    for capability in (19, 21, 22, 25):  # ptrace, administration, boot, time. Source: linux/capability.h
        assert not int(rows[2].split()[1], 16) >> capability & 1


async def test_a_link_that_root_of_a_node_leaves_is_not_followed_at_the_next_start(start: StartSimulator) -> None:
    with start("--nodes", "1") as simulator:
        target = simulator.state / "target"
        target.write_text("kept")
        target.chmod(0o666)
        links = " ".join(f"rm -rf {name}; ln -s {target} {name};" for name in ("/etc/machine-id", "/etc/dgx-release"))
        code, _text, errors = await run(simulator, f"{ASK} sh -c '{links} ln -s / /opt/x'", password(simulator))
        assert (code, errors) == (0, "MARK:")
    with start("--nodes", "1") as simulator:
        async with simulator.connect() as connection:
            assert len(str((await connection.run("cat /etc/machine-id", check=True)).stdout)) == 33
    assert target.read_text() == "kept"


async def test_root_gives_a_port_another_mtu_until_a_fault_gives_it_one(cluster: Simulator) -> None:
    given, port = password(cluster), "enp1s0f1np1"
    show = f"cat /sys/class/net/{port}/mtu; ip -j link show dev {port} | grep -o '\"mtu\":[0-9]*'"
    assert (await run(cluster, f"ip link set dev {port} mtu 1500"))[0] == 2
    code, text, _errors = await run(cluster, f"{ASK} ip link set dev {port} mtu 1500; {show}", given)
    assert (code, text) == (0, '1500\n"mtu":1500\n')
    assert (await run(cluster, f"{ASK} ip link set dev {port} mtu 90000", given))[0] == 2
    assert (await run(cluster, f"{ASK} ip link set dev {port} up", given))[0] == 0
    assert (await run(cluster, f"{ASK} ip link set dev nope up", given))[0] == 1
    code, text, _errors = await run(cluster, f"{ASK} ip link set {port} mtu 9000; {show}", given)
    assert (code, text) == (0, '9000\n"mtu":9000\n')
