"""Whose files lie on a node: by their place in the hub's cache, or by their own name."""

from __future__ import annotations

from sparkdesk.core.cluster.node import NodeRecord
from sparkdesk.core.jobs.backend import NodeContext
from sparkdesk.core.models.spec import ModelSpec, WeightFormat
from sparkdesk.core.planning.held_weights import held_repos, nodes_holding, repo_of

HUB = "/home/a/.cache/huggingface/hub"
SPEC = ModelSpec(
    "openai/gpt-oss-20b",
    "gpt-oss 20B",
    formats=(
        WeightFormat("MXFP4", 1, repo="openai/gpt-oss-20b"),
        WeightFormat("Q4_K_M", 1, repo="ggml-org/gpt-oss-20b-GGUF", file="gpt-oss-20b-Q4_K_M.gguf"),
    ),
)


def node(name: str, *paths: str, repos: dict[str, int] | None = None) -> NodeContext:
    record = NodeRecord(name, name, "127.0.0.1", 22, "spark")
    return NodeContext(record, weight_files=dict.fromkeys(paths, 5), hub_repos=repos or {})


def test_a_file_in_the_hubs_cache_names_its_repository() -> None:
    assert repo_of(f"{HUB}/models--ggml-org--gpt-oss-20b-GGUF/snapshots/c0/x.gguf") == "ggml-org/gpt-oss-20b-GGUF"
    for path in ("", "/models--a/x.gguf", f"{HUB}/datasets--a--b/x.gguf", f"{HUB}/models--..--b/x.gguf"):
        assert repo_of(path) == ""


def test_a_gguf_elsewhere_is_known_by_its_name() -> None:
    context = node("n1", "/home/a/models/gpt-oss-20b-Q4_K_M.gguf", "/home/a/models/other.gguf")
    assert held_repos(context) == frozenset()
    assert held_repos(context, (SPEC,)) == {"ggml-org/gpt-oss-20b-GGUF"}


def test_the_nodes_that_hold_a_model_are_told_in_their_order() -> None:
    contexts = (
        node("n1", f"{HUB}/models--ggml-org--gpt-oss-20b-GGUF/snapshots/c0/gpt-oss-20b-Q4_K_M.gguf"),
        node("n2"),
        node("n3", repos={"OpenAI/GPT-OSS-20b": 14_000_000_000}),
    )
    assert nodes_holding(contexts, SPEC) == ("n1", "n3")
    assert nodes_holding(contexts, SPEC, repo="openai/gpt-oss-20b") == ("n3",)
    assert nodes_holding(contexts, ModelSpec("someone/else", "Else")) == ()
