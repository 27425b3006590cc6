"""The line of the simulated cluster: read, or refused; what is missing is said with a way out."""

from __future__ import annotations

import json

import pytest

from sparkdesk.infra.simulation import read_cluster

NODE = {"name": "spark-5c2d", "address": "127.77.0.1", "port": 2222, "user": "nvidia", "host_key": "ssh-ed25519 AAAA"}
LINE = {"schema": 1, "name": "simulated-1", "shape": "single", "confined": True, "reason": "", "nodes": [NODE]}


def test_the_same_line_gives_the_same_nodes_again() -> None:
    cluster = read_cluster(json.dumps(LINE).encode(), key_path="/key")
    assert cluster == read_cluster(json.dumps(LINE).encode(), key_path="/key")
    assert cluster.is_simulated
    assert cluster.note == ""
    assert (cluster.nodes[0].address, cluster.nodes[0].port, cluster.nodes[0].key_path) == ("127.77.0.1", 2222, "/key")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"confined": False, "reason": "user namespaces are off"}, "can only be read: user namespaces are off"),
        ({"engine_missing": "this processor has no AVX2"}, "Connect to a server of yours in Chat"),
        ({"model_missing": "give a GGUF file with --model"}, "give a GGUF file"),
    ],
)
def test_what_this_computer_cannot_do_is_said(changes: dict[str, object], words: str) -> None:
    assert words in read_cluster(json.dumps(LINE | changes).encode(), key_path="").note


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        json.dumps(LINE | {"schema": 2}).encode(),
        json.dumps(LINE | {"nodes": []}).encode(),
    ],
)
def test_anything_else_is_refused(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_cluster(line, key_path="")
