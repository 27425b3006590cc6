"""Writes a launch request as one shell script: run it on each node with its rank, and the server comes up.

The one rule: self-contained, every word quoted, no secret in it: those are taken from the environment of who runs it.
"""

from __future__ import annotations

import shlex

from sparkdesk.core.errors import PlanError
from sparkdesk.core.jobs.recipe.command.flag_map import ENGINES, EngineFlags
from sparkdesk.core.jobs.recipe.command.text import (
    CACHE_MOUNT,
    RPC_PORT,
    plain_environment,
    secret_names,
    server_words,
    starts_itself,
)
from sparkdesk.core.jobs.recipe.export.coverage import covers, uncovered_words
from sparkdesk.core.jobs.recipe.export.kubernetes import resource_name
from sparkdesk.core.jobs.recipe.export.silence import port_of, silent_fields
from sparkdesk.core.jobs.recipe.imported import Imported
from sparkdesk.core.jobs.request import LaunchRequest

MASTER_PORT = 25000
_DATA_PORT = 13345
_HEAD = """#!/usr/bin/env bash
# {title}
{usage}
set -euo pipefail
"""
_MEET = """
RANK="${{1:?rank of this node, 0 to {last}}}"
HEAD="${{2:?address of rank 0 on the fast link}}"
LINK="${{3:-enp1s0f1np1}}"
DEVICES="${{4:-rocep1s0f1,roceP2p1s0f1}}"
case "$RANK" in {ranks}) ;; *) echo "The rank is 0 to {last}." >&2; exit 2 ;; esac
OWN="$(ip -4 -oneline addr show dev "$LINK" | awk '{{ split($4, part, "/"); print part[1]; exit }}')"
[ -n "$OWN" ] || {{ echo "$LINK has no IPv4 address on this node." >&2; exit 1; }}
"""
_LINK_VARIABLES = (
    ("NCCL_SOCKET_IFNAME", "$LINK"), ("GLOO_SOCKET_IFNAME", "$LINK"), ("TP_SOCKET_IFNAME", "$LINK"),
    ("UCX_NET_DEVICES", "$LINK"), ("OMPI_MCA_btl_tcp_if_include", "$LINK"), ("NCCL_IB_HCA", "$DEVICES"),
    ("NCCL_IB_SUBNET_AWARE_ROUTING", "1"), ("NCCL_IGNORE_CPU_AFFINITY", "1"), ("MASTER_ADDR", "$HEAD"),
    ("VLLM_HOST_IP", "$OWN"),
)  # fmt: skip
"""How ranks find each other and the data finds both halves of the port. Source: NVIDIA's playbooks and cluster script;
its names of ports are unverified on hardware [cage-netdevs, cage-rdma-devices]."""
_FABRIC = ("--ulimit", "memlock=-1", "--ulimit", "stack=67108864", "--device", "/dev/infiniband:/dev/infiniband")


def export_script(request: LaunchRequest, *, origin: Imported | None = None) -> str:
    """The script. For several nodes each takes: RANK HEAD_ADDRESS [LINK [RDMA_DEVICES]].

    `origin`: what it was imported from; what that left open stays open.
    Raises KeyError for an engine that SparkDesk has no flags of, PlanError where no script can start it.
    """
    if not covers(request):
        raise PlanError(uncovered_words(request.engine), remedy="Export it for one node, or choose another engine.")
    engine, silent = ENGINES[request.engine], silent_fields(request, origin)
    count = len(request.nodes)
    usage = _usage(request, engine, port_of(request, silent))
    text = _HEAD.format(title=f"{engine.title}: {_plain(request.served_name)}", usage=usage)
    text += "".join(f'{name}="${{{name}:-}}"\nexport {name}\n' for name in secret_names(request))
    if count > 1:
        text += _MEET.format(last=count - 1, ranks="|".join(map(str, range(count))))
        text += "".join(f'export {name}="{value}"\n' for name, value in _LINK_VARIABLES)
    words = server_words(request, engine, silent=silent)
    return text + (_llamacpp(request, words) if engine.engine == "llamacpp" else _container(request, engine, words))


def _usage(request: LaunchRequest, engine: EngineFlags, port: int) -> str:
    count = len(request.nodes)
    lines = [f"Made by SparkDesk for {count} node{'s' if count > 1 else ''}."]
    if count > 1:
        lines += [f"On each node: RANK (0 to {count - 1}) HEAD_ADDRESS [LINK [RDMA_DEVICES]]; rank 0 answers."]
        if engine.engine == "llamacpp":
            lines += ["Rank 0 takes the others' addresses on the fast link as PEERS=a,b. Start the others first."]
    lines += [f"Answers on port {port} of the node's own loopback."]
    if engine.engine != "llamacpp":
        name = _container_name(request)
        lines += [f"Its container stays when it ends, with its log: docker logs {name}; docker rm {name}"]
    return "\n".join(f"# {line}" for line in lines)


def _container_name(request: LaunchRequest) -> str:
    return f"{resource_name(request.served_name)}-server"


def _container(request: LaunchRequest, engine: EngineFlags, flags: list[str]) -> str:
    words = ["docker", "run", "--name", _container_name(request), "--gpus", "all", "--network", "host", "--ipc", "host"]
    several = len(request.nodes) > 1
    lines = [_quoted([*words, *(_FABRIC if several else ())])]
    source, _, target = CACHE_MOUNT.partition(":")
    lines.append(f'--volume "$HOME{source[1:]}:{target}"')
    passed = (*secret_names(request), "HF_TOKEN", *(_names() if several else ()))
    lines += [f"--env {name}" for name in dict.fromkeys(passed)]
    lines += [f"--env {shlex.quote(f'{name}={value}')}" for name, value in plain_environment(request)]
    lines.append(shlex.quote(request.image or engine.image))
    if starts_itself(engine, request.image):
        flags = flags[len(engine.program) :]  # the image starts the server itself
    lines.append(_quoted(flags))
    if several:
        lines.append('"${MEET[@]}"')
    return (_meet(request) if several else "") + "exec " + " \\\n  ".join(lines) + "\n"


def _meet(request: LaunchRequest) -> str:
    """The flags by which the ranks find each other."""
    count = len(request.nodes)
    if request.engine == "sglang":
        return f'MEET=(--nnodes {count} --node-rank "$RANK" --dist-init-addr "$HEAD:{MASTER_PORT}")\n'
    if request.data_parallel_size > 1:
        return (
            'MEET=(--data-parallel-rank "$RANK" --data-parallel-address "$HEAD" '
            f"--data-parallel-rpc-port {_DATA_PORT})\n"
        )
    return (
        f'MEET=(--nnodes {count} --node-rank "$RANK" --master-addr "$HEAD" --master-port {MASTER_PORT})\n'
        '[ "$RANK" = 0 ] || MEET+=(--headless)\n'
    )


def _llamacpp(request: LaunchRequest, words: list[str]) -> str:
    settings = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in plain_environment(request))
    if len(request.nodes) == 1:
        return f"{settings}exec {_home(words)}\n"
    at = words.index("--rpc")
    del words[at : at + 2]
    return (
        f"{settings}# The rpc-server asks nobody who they are: it listens on the fast link only.\n"
        f'[ "$RANK" = 0 ] || exec rpc-server --host "$OWN" --port {RPC_PORT}\n'
        'PEERS="${PEERS:?addresses of the other ranks, with commas between}"\n'
        f'exec {_home(words)} --rpc "${{PEERS//,/:{RPC_PORT},}}:{RPC_PORT}"\n'
    )


def _home(words: list[str]) -> str:
    """As `_quoted`, with a path below the home folder left to the shell."""
    return " ".join(f'"$HOME"{shlex.quote(word[1:])}' if word.startswith("~/") else shlex.quote(word) for word in words)


def _names() -> tuple[str, ...]:
    return tuple(name for name, _ in _LINK_VARIABLES)


def _quoted(words: list[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)


def _plain(name: str) -> str:
    return "".join(char for char in name if char.isprintable())
