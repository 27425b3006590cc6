"""`python -m sparkdesk models`: what the Sparks can run, with what a person does not own marked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparkdesk.verbs import models


def answer(words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    assert models.main([*words.split(), "--json"]) == 0
    document = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} in JSON"))
    return {row["key"]: row for row in document["models"]}


def test_each_model_has_a_verdict_for_each_number_of_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = answer("--nodes 4", capsys)
    assert len(rows) >= 30
    for row in rows.values():
        assert [cell["nodes"] for cell in row["nodes"]] == [1, 2, 3, 4]
        assert {cell["verdict"] for cell in row["nodes"]} <= {"fits", "risky", "no", "not known"}
        for cell in row["nodes"]:
            assert cell["fits"] == (cell["verdict"] == "fits")
            writes_text = bool(set(row["purposes"]) - {"embed", "rerank"})
            if not writes_text:
                assert cell["user_tok_s"]["value"] is None, "vectors and scores have no speed of text"
            elif cell["fits"]:
                assert cell["user_tok_s"]["low"] <= cell["user_tok_s"]["value"] <= cell["user_tok_s"]["high"]
                assert cell["quantization"]
                assert cell["max_context_tokens"] > 0
    verdicts = [cell["verdict"] for cell in rows["glm-5"]["nodes"]]
    assert verdicts == ["no", "no", "no", "fits"]
    assert rows["glm-5"]["nodes"][2]["missing_bytes"] > 0


def test_a_repository_that_nobody_looked_up_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    rows = answer("--nodes 2", capsys)
    cells = {row["key"]: row["nodes"][1] for row in rows.values()}
    assert (cells["minimax-m2.1"]["quantization"], cells["minimax-m2.1"]["is_repo_checked"]) == ("AWQ", False)
    assert (cells["minimax-m2.5"]["quantization"], cells["minimax-m2.5"]["is_repo_checked"]) == ("AWQ", True)


def test_more_nodes_never_look_worse(capsys: pytest.CaptureFixture[str]) -> None:
    order = ("no", "not known", "risky", "fits")
    for row in answer("", capsys).values():
        ranks = [order.index(cell["verdict"]) for cell in row["nodes"]]
        assert ranks == sorted(ranks), row["key"]


def test_nodes_that_are_not_owned_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    row = answer("--nodes 4 --owned 2", capsys)["gpt-oss-120b"]
    assert [cell["is_owned"] for cell in row["nodes"]] == [True, True, False, False]
    assert models.main(["--owned", "2"]) == 0
    told = capsys.readouterr().out
    assert "3 nodes *" in told
    assert "2 nodes *" not in told
    assert "more nodes than you have" in told


def test_only_models_for_a_purpose_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    everything, code = answer("", capsys), answer("--purpose code", capsys)
    assert 0 < len(code) < len(everything)
    assert all("code" in row["purposes"] for row in code.values())


@pytest.mark.parametrize(
    "words", ["--nodes 0", "--nodes 99", "--nodes 1e309", "--owned -1", "--owned nan", "--purpose dancing", "--what"]
)
def test_what_cannot_be_is_one_sentence(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        models.main(words.split())
    told = capsys.readouterr()
    assert (ended.value.code, told.out, len(told.err.splitlines())) == (2, "", 1)
    assert words.split()[0] in told.err
