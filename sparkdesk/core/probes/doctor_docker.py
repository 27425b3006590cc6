"""The doctor's checks of docker: the account's group, the daemon, the container toolkit.

The one rule: whether docker can be used is told by the daemon's own answer; group lists only say why not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkdesk.core.command import Command
from sparkdesk.core.playbooks.packages import install_packages, remove_packages
from sparkdesk.core.probes.check import Check, Finding
from sparkdesk.core.probes.finding import Case, as_root, as_user, make_fix
from sparkdesk.core.probes.form import GROUPS, TOOLKIT, USER, parse_version
from sparkdesk.core.probes.read import Answer, Answers, Probe, ReadCommand
from sparkdesk.core.step import Confirm, Expect, Keep, Playbook, Restore, Run

SERVER = ReadCommand(("docker", "version", "--format", "{{.Server.Version}}"), timeout_s=8.0, max_bytes=1024)
MEMBERS = ReadCommand(("getent", "group", "docker"), max_bytes=4096)
SERVICE = ReadCommand(("systemctl", "is-active", "docker"), max_bytes=256)
UNITS = ("docker.service", "docker.socket", "containerd.service")
"""What a start of docker starts. Source: docker.service of Docker's and Ubuntu's packages, Requires= and Wants=."""
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
"""What a fix puts into a command. Source: useradd(8), the default NAME_REGEX."""

GROUP = Probe(
    id="docker-group",
    title="Docker without sudo",
    reads=(SERVER, GROUPS, USER, MEMBERS),
    source="NVIDIA/dgx-spark-playbooks: the account is not in the group docker by default",
)
DAEMON = Probe(
    id="docker-daemon", title="Docker runs", reads=(SERVICE, SERVER), source="systemctl manual page; docker's words"
)
CONTAINER_TOOLKIT = Probe(
    id="container-toolkit",
    title="Container toolkit",
    reads=(TOOLKIT,),
    source="public captures of new nodes, which have nvidia-container-toolkit",
)
TOOLKIT_PACKAGE = "nvidia-container-toolkit"
DAEMON_FILE = "/etc/docker/daemon.json"
"""What `nvidia-ctk runtime configure` writes. Source: nvidia-ctk's help, the default of --config for docker."""
_HAS_LEARNT = """docker info --format '{{json .Runtimes}}' | grep -q '"nvidia"' || exit 1
h=$(command -v nvidia-container-runtime-hook) || exit 1
[ -e "$1" ] && [ -z "$(find -L "$h" -cnewer "$1")" ]"""
DAEMON_PID = "/run/docker.pid"
"""Written when the daemon starts: a toolkit that came later is not known to it, since the daemon looks for the
toolkit's hook once. Source: dockerd's --pidfile, and moby's daemon/nvidia_linux.go.
This is unverified on hardware [container-toolkit]."""
NO_DOCKER = "Install Docker as the playbooks of the node's maker say, or use engines that need none (llama.cpp)."
NO_CONTAINERS = "vLLM and the other engines that come as containers cannot be started."


def is_denied(answer: Answer) -> bool:
    return "permission denied" in answer.errors.lower()


def judge_group(answers: Answers, node_id: str) -> Finding:
    """Whether this account may use docker, and if not, whether that is a matter of the group."""
    case = Case(GROUP, answers, node_id, is_unverified=False)
    server, groups, user = case.answer(SERVER), case.answer(GROUPS), case.answer(USER).text
    if server.is_ok and server.text:
        return case.good("This account may use docker")
    if server.is_absent:
        return case.fail("docker is not installed", meaning=NO_CONTAINERS, remedy=NO_DOCKER)
    if not is_denied(server):
        return case.not_read(SERVER)
    name = user if case.answer(USER).is_ok and ACCOUNT.match(user) else ""
    members = case.answer(MEMBERS).text.rpartition(":")[2].split(",") if case.answer(MEMBERS).is_ok else []
    if name and name in members and groups.is_ok and "docker" not in groups.text.split():
        return case.warn(
            f"{name} is in the group docker, and this sign-in is older than that",
            meaning=NO_CONTAINERS,
            remedy="Disconnect the node and connect again: groups are taken at the sign-in.",
        )
    return case.fail(
        f"{name or 'This account'} may not use docker",
        meaning=NO_CONTAINERS,
        remedy="Add the account to the group docker, then disconnect and connect again: groups are taken at the "
        "sign-in. Who is in this group can become root on the node.",
        fix=make_group_fix(name, node_id) if name else None,
    )


_NO_MEMBER = 3
"""The account is not in the group, or there is none: it was taken out already, or never came in. Source: gpasswd.c of
shadow, E_BAD_ARG."""


def make_group_fix(name: str, node_id: str) -> Playbook:
    """The account comes into the group docker. It counts at its next sign-in."""
    is_member = as_user("sh", "-c", 'id -nG "$1" | tr " " "\\n" | grep -qx docker', "sh", name)
    return make_fix(
        f"Add {name} to the group docker",
        node_id,
        [as_root("usermod", "-aG", "docker", name)],
        verify=[is_member],
        undo=[Run(Command(("gpasswd", "-d", name, "docker")), Expect(exit_codes=(0, _NO_MEMBER)), as_root=True)],
        needs_lock=True,
    )


def judge_daemon(answers: Answers, node_id: str) -> Finding:
    """Whether the daemon runs. Being refused by it is an answer, too."""
    case = Case(DAEMON, answers, node_id, is_unverified=False)
    server, service = case.answer(SERVER), case.answer(SERVICE)
    if server.is_absent:
        return case.fail("docker is not installed", meaning=NO_CONTAINERS, remedy=NO_DOCKER)
    if server.is_ok and server.text:
        return case.good(f"Docker {parse_version(server.text) or server.text} answers")
    if service.is_ok and service.text == "active":
        return case.good("The docker service is active")
    if service.fault is None and service.text in ("inactive", "failed", "deactivating"):
        fix = make_daemon_fix(node_id)
        return case.fail(
            f"The docker service is {service.text}",
            meaning=NO_CONTAINERS,
            remedy="Start it. If it does not stay up, read why on the node: journalctl -u docker",
            fix=fix,
        )
    return case.not_read(SERVICE)


_STOP = """a=; for u in "$@"; do
case $(systemctl is-active "$u") in active|activating|reloading) a="$a $u" ;; esac; done
[ -z "$a" ] || exec systemctl stop $a"""


def make_daemon_fix(node_id: str, stopped: Sequence[str] = ()) -> Playbook:
    """The daemon is started. The way back stops the units of UNITS that are known to have been `stopped` before."""
    stop = as_root("sh", "-c", _STOP, "sh", *(unit for unit in UNITS if unit in stopped), timeout_s=120)
    return make_fix(
        "Start docker",
        node_id,
        [as_root("systemctl", "start", "docker", timeout_s=90)],
        verify=[as_user("systemctl", "is-active", "docker")],
        undo=[stop] if UNITS[0] in stopped else [],
        needs_lock=True,
    )


def judge_toolkit(answers: Answers, node_id: str) -> Finding:
    """Whether containers can get at the GPU."""
    case = Case(CONTAINER_TOOLKIT, answers, node_id, is_unverified=False)
    answer = case.answer(TOOLKIT)
    version = parse_version(answer.text) if answer.is_ok else ""
    if version:
        return case.good(f"Container toolkit {version}")
    if not answer.is_absent:
        return case.not_read(TOOLKIT)
    fix = make_toolkit_fix(node_id)
    return case.fail(
        "The NVIDIA container toolkit is not installed",
        meaning=f"Containers cannot use the GPU. {NO_CONTAINERS}",
        remedy="Install it from the node's own package sources; docker must be started anew then.",
        fix=fix,
    )


RESTARTS = Confirm("Docker is started anew at the end: every container on this node stops. Go on?")
_RESTART = as_root("systemctl", "restart", "docker", timeout_s=120)
_IF_OTHERWISE = """[ ! -e "$2" ] || [ "$1" -nt "$2" ] || exit 0
systemctl is-active docker > /dev/null || exit 0; exec systemctl restart docker"""
_FOLDER = DAEMON_FILE.rpartition("/")[0]
_RESTART_IF_OTHERWISE = as_root("sh", "-c", _IF_OTHERWISE, "sh", _FOLDER, DAEMON_PID, timeout_s=120)
"""Only where the configuration's folder was written to since docker's start: a step that was cut short before it, or
whose docker does not run, is taken back without stopping any container."""
_KNOWS = Run(
    Command(("docker", "info", "--format", "{{json .Runtimes}}")), Expect(reader="json_field:nvidia"), as_root=True
)
"""The daemon's own answer. As root: the account may not be let in yet."""
KNOWS_SINCE_START = as_root("sh", "-c", _HAS_LEARNT, "sh", DAEMON_PID)
"""The same, and it was started after the toolkit came. Where that cannot be told, it does not pass."""


def make_toolkit_fix(node_id: str) -> Playbook:
    """The toolkit is installed and made known to docker, which is started anew for it."""
    (install,), (runtime,) = make_package_fix(node_id).steps(), make_runtime_fix(node_id).steps()
    return make_fix(
        install.title,
        node_id,
        [RESTARTS, *install.apply, *runtime.apply],
        verify=[*install.verify, *runtime.verify],
        undo=[*runtime.undo, *install.undo],
        needs_lock=True,
    )


def make_package_fix(node_id: str) -> Playbook:
    """The toolkit alone: docker does not know of it yet."""
    return make_fix(
        "Install the NVIDIA container toolkit",
        node_id,
        install_packages(TOOLKIT_PACKAGE),
        verify=[as_user("nvidia-ctk", "--version")],
        undo=[remove_packages("nvidia-ctk", TOOLKIT_PACKAGE)],
        needs_lock=True,
    )


def make_runtime_fix(node_id: str) -> Playbook:
    """Docker is told of a toolkit that is there, and started anew for it; the way back restores its configuration."""
    return make_fix(
        "Make the NVIDIA runtime known to docker",
        node_id,
        [
            Keep(DAEMON_FILE, as_root=True),
            as_root("nvidia-ctk", "runtime", "configure", "--runtime=docker"),
            _RESTART,
        ],
        verify=[_KNOWS],
        undo=[Restore(DAEMON_FILE), _RESTART_IF_OTHERWISE],
        needs_lock=True,
    )


CHECKS = (Check(DAEMON, judge_daemon), Check(GROUP, judge_group), Check(CONTAINER_TOOLKIT, judge_toolkit))
