"""`python -m sparkdesk plan`: every option, the JSON that is promised, and one sentence for whatever cannot be."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.core.planning.reference import FILES
from sparkdesk.verbs import plan

ROOT = Path(__file__).resolve().parents[2]
PLAN_KEYS = {
    "rank", "engine", "build", "quantization", "nodes", "tensor_parallel_size", "pipeline_parallel_size",
    "data_parallel_size", "kv_dtype", "fits", "problems", "memory_bytes", "max_context_tokens", "max_concurrency",
    "ttft_s", "tpot_s", "e2e_s", "prefill_tok_s", "output_tok_s", "parts_s", "leans_on", "why", "speculative",
    "user_tok_s", "power_w", "cost", "quality",
}  # fmt: skip
FIGURES = ("ttft_s", "tpot_s", "e2e_s", "prefill_tok_s", "output_tok_s", "user_tok_s", "power_w")
PINNED = (
    "llama-3.3-70b --nodes 2 --isl 32768 --osl 1024 --concurrency 4 --engine vllm --quantization NVFP4 --tp 2 --pp 1"
    " --dp 1 --kv-dtype fp8 --speculative none --build tuned --memory-total-gib 121.6"
)


def answer(words: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert plan.main([*words.split(), "--json"]) == code
    return dict(json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} in JSON")))


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of a command line that cannot be: one sentence, nothing on standard output."""
    with pytest.raises(SystemExit) as ended:
        plan.main(words)
    told = capsys.readouterr()
    assert ended.value.code == 2
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert "Traceback" not in told.err
    return told.err


def test_the_json_has_every_promised_key_and_every_figure_its_band(capsys: pytest.CaptureFixture[str]) -> None:
    document = answer("llama-3.3-70b --nodes 4 --workload coding", capsys)
    assert {"model", "workload", "criterion", "plans"} <= document.keys()
    assert (
        document["workload"] | {"isl": 61_440, "osl": 1024, "concurrency": 4, "cached_share": 0.9}
        == document["workload"]
    )
    assert [row["rank"] for row in document["plans"]] == list(range(1, len(document["plans"]) + 1))
    for row in document["plans"]:
        assert row.keys() >= PLAN_KEYS
        for key in FIGURES:
            assert row[key]["low"] <= row[key]["value"] <= row[key]["high"]
        assert row["nodes"] == len(row["memory_bytes"])
        product = row["tensor_parallel_size"] * row["pipeline_parallel_size"] * row["data_parallel_size"]
        assert product == row["nodes"]


def test_the_parts_of_time_and_memory_sum_to_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    for row in answer("gpt-oss-120b --nodes 2 --workload batch", capsys)["plans"]:
        assert math.fsum(row["parts_s"]["tpot"].values()) == pytest.approx(row["tpot_s"]["value"])
        assert math.fsum(row["parts_s"]["ttft"].values()) == pytest.approx(row["ttft_s"]["value"])
        for ledger in row["memory_bytes"]:
            parts = [ledger[key] for key in ("weights", "kv", "runtime", "others", "reserve", "free")]
            assert sum(parts) == ledger["total"]


def test_every_option_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(PINNED, capsys)
    (row,) = document["plans"]
    wanted = {
        "engine": "vllm", "quantization": "NVFP4", "nodes": 2, "tensor_parallel_size": 2, "pipeline_parallel_size": 1,
        "data_parallel_size": 1, "kv_dtype": "fp8", "speculative": "none", "build": "tuned",
    }  # fmt: skip
    assert row | wanted == row
    assert [ledger["total"] for ledger in row["memory_bytes"]] == [int(121.6 * 2**30)] * 2
    assert document["workload"] | {"isl": 32_768, "osl": 1024, "concurrency": 4} == document["workload"]


def test_sizes_decide_how_many_nodes_are_planned(capsys: pytest.CaptureFixture[str]) -> None:
    def counts(words: str) -> set[int]:
        return {row["nodes"] for row in answer(f"llama-3.3-70b {words}", capsys)["plans"]}

    assert counts("") == {1}
    assert counts("--nodes 3") == {1, 2, 3}
    assert counts("--tp 2 --pp 2 --dp 1") == {4}
    assert counts("--nodes 4 --tp 2 --pp 1 --dp 1") == {2}
    assert counts("--nodes 3 --pp 3") == {3}


@pytest.mark.parametrize(
    "name",
    ["llama-3.3-70b", "nvidia/Llama-3.3-70B-Instruct-NVFP4", "NVIDIA/LLAMA-3.3-70b-instruct-fp4",
     "llama-3.3-70b-instruct-nvfp4"],
)  # fmt: skip
def test_a_model_is_found_by_key_and_by_hub_id(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    document = answer(name, capsys)
    assert document["model_key"] == "llama-3.3-70b"
    formats = {row["quantization"] for row in document["plans"]}
    assert formats == {"NVFP4"} if "fp4" in name.lower() else len(formats) > 1


def test_a_main_checkpoints_hub_id_names_the_model_and_a_quantized_ones_its_format(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def formats(words: str) -> set[str]:
        return {row["quantization"] for row in answer(words, capsys)["plans"]}

    assert formats("openai/gpt-oss-20b") == {"MXFP4", "MXFP4_GGUF"}
    assert formats("openai/gpt-oss-20b --engine llamacpp") == {"MXFP4_GGUF"}
    assert formats("meta-llama/Llama-3.1-8B-Instruct --quantization FP4") == {"NVFP4"}
    assert formats("nvidia/Llama-3.3-70B-Instruct-NVFP4") == {"NVFP4"}
    assert formats("RedHatAI/Llama-3.1-8B-Instruct-quantized.w4a16") == {"INT4"}
    row = answer("nvidia/Llama-3.3-70B-Instruct-NVFP4 --quantization FP8", capsys)["plans"][0]
    assert (row["quantization"], row["is_checkpoint_known"]) == ("FP8", True)
    assert "FP8 is planned, as asked" in row["problems"][0]["message"]


@pytest.mark.parametrize("form", ["INT8", "GPTQ", "MXFP4", "AWQ", "Q6_K", "int4-autoround"])
def test_a_format_that_nobody_published_is_answered(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = answer(f"llama-3.1-8b --quantization {form}", capsys)["plans"]
    assert rows[0]["fits"] is True
    assert not any(row["is_checkpoint_known"] for row in rows)
    assert all("size computed" in row["problems"][0]["message"] for row in rows)
    assert plan.main(["llama-3.1-8b", "--quantization", form]) == 0
    assert "size computed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("llama-3.3-70b --quantization NVFP4 --build eager", {"build": "eager"}),
        ("llama-3.3-70b --quantization NVFP4 --kv-dtype fp8", {"kv_dtype": "fp8"}),
        ("qwen3-coder-next --quantization FP8 --speculative mtp", {"speculative": "mtp"}),
        ("gpt-oss-120b --quantization MXFP4 --tp 2 --build tuned", {"tensor_parallel_size": 2, "build": "tuned"}),
    ],
)
def test_what_is_pinned_is_the_first_plan_and_the_only_one(
    words: str, wanted: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = {"--engine": "vllm", "--build": "stock", "--kv-dtype": "auto", "--speculative": "none"}
    fixed |= {"--tp": "1", "--pp": "1", "--dp": "1"}
    rest = " ".join(f"{option} {value}" for option, value in fixed.items() if option not in words)
    (row,) = answer(f"{words} {rest}", capsys)["plans"]
    assert row | wanted | {"engine": "vllm", "rank": 1} == row


def test_the_exit_code_says_whether_something_fits(capsys: pytest.CaptureFixture[str]) -> None:
    fitting = answer("gpt-oss-120b", capsys)
    assert fitting["plans"][0]["fits"] is True
    missing = answer("glm-5 --nodes 3", capsys, code=1)
    assert not any(row["fits"] for row in missing["plans"])
    assert "would fit" in missing["plans"][0]["problems"][0]["remedy"]
    assert plan.main(["glm-5"]) == 1
    assert "Too big" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--isl", "--osl", "--concurrency", "--nodes", "--tp", "--pp", "--dp"])
@pytest.mark.parametrize("value", ["0", "-1", "1e309", "nan", "2.5", "99999999999999999999", "", "٣", "$(id)"])
def test_a_number_that_is_none_is_refused_at_its_option(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = complaint(["gpt-oss-120b", option, value], capsys)
    assert f"argument {option}: " in told
    assert "whole number from 1 to" in told


@pytest.mark.parametrize("option", ["--cached", "--memory-total-gib"])
@pytest.mark.parametrize("value", ["-0.1", "1e309", "nan", "inf", "much", "1" * 5000])
def test_an_amount_that_is_none_is_refused_at_its_option(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = complaint(["gpt-oss-120b", option, value], capsys)
    assert f"argument {option}: " in told
    assert len(told) < 300


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("--tp 3", "--tp"),
        ("--tp 4 --nodes 2", "--tp"),
        ("--tp 2 --pp 4 --nodes 4", "--pp"),
        ("--dp 2", "--dp"),
        ("--pp 37 --nodes 64", "--pp"),
        ("--engine foo", "--engine"),
        ("--engine llamacpp --quantization NVFP4", "--engine"),
        ("--engine llamacpp --tp 2", "--tp"),
        ("--quantization FP3", "--quantization"),
        ("--build golden", "--build"),
        ("--kv-dtype int3", "--kv-dtype"),
        ("--speculative oracle", "--speculative"),
        ("--engine $(id)", "--engine"),
        ("--device abacus", "--device"),
        ("--workload poetry", "--workload"),
        ("--train magic", "--train"),
    ],
)
def test_what_cannot_be_is_one_sentence_at_its_option(
    words: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"argument {option}: " in complaint(["gpt-oss-120b", *words.split()], capsys)


@pytest.mark.parametrize(
    "name",
    ["$(touch here)", "; rm -rf /", "", "a\x1b[31mb\nc", "../../etc/passwd", "/dev/zero", "/nowhere/config.json",
     "x" * 9000, "nul\0byte", "~nobody-has-this-name/x.gguf"],
)  # fmt: skip
def test_a_model_that_is_nowhere_is_said_so_and_nothing_runs(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = complaint([name], capsys)
    assert "argument MODEL: " in told
    assert told.removesuffix("\n").isprintable()
    assert len(told) < 800
    assert list(tmp_path.iterdir()) == []


def test_near_names_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Did you mean llama-3.3-70b" in complaint(["lama-3.3-70b"], capsys)


def test_help_names_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        plan.main(["--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    wanted = (
        "vllm",
        "sglang",
        "trtllm",
        "llamacpp",
        "NVFP4",
        "Q4_K_M",
        "fp8",
        "q8_0",
        "mtp",
        "lora",
        "coding",
        "tuned",
    )
    assert [word for word in wanted if word not in told] == []


def test_the_table_says_the_criterion_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main(["llama-3.3-70b", "--nodes", "2"]) == 0
    told = capsys.readouterr().out
    assert "Lowest time per answer first" in told
    assert "The first leans on" in told
    assert plan.main(["llama-3.3-70b", "--nodes", "2", "--all"]) == 0
    assert len(capsys.readouterr().out) > len(told)


def test_other_devices_are_estimates_that_are_not_fitted(capsys: pytest.CaptureFixture[str]) -> None:
    row = answer("llama-3.3-70b --device b200", capsys)["plans"][0]
    assert row["is_fitted"] is False
    assert row["leans_on"] == []
    assert "Estimate, not fitted: nothing was measured on B200 SXM 180 GB" in [
        one["message"] for one in row["problems"]
    ]
    assert {ledger["total"] for ledger in row["memory_bytes"]} == {193_273_528_320}
    assert plan.main(["llama-3.3-70b", "--device", "h100", "--nodes", "2"]) == 0
    assert "Estimate, not fitted: nothing was measured on H100 SXM 80 GB" in capsys.readouterr().out
    assert answer("llama-3.3-70b", capsys)["plans"][0]["is_fitted"] is True


@pytest.mark.parametrize("device", ["b200", "h100"])
def test_a_plan_of_this_place_is_judged_on_the_bigger_one(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    here = answer("llama-3.3-70b --nodes 2 --engine vllm --quantization NVFP4 --tp 2 --pp 1 --dp 1", capsys)["plans"][0]
    words = (
        f"{here['repo']} --nodes {here['nodes']} --engine {here['engine']} --quantization {here['quantization']}"
        f" --build {here['build']} --kv-dtype {here['kv_dtype']} --speculative {here['speculative']}"
        f" --tp {here['tensor_parallel_size']} --pp {here['pipeline_parallel_size']} --dp {here['data_parallel_size']}"
    )
    there = answer(f"{words} --device {device}", capsys)["plans"][0]
    same = ("engine", "quantization", "build", "kv_dtype", "speculative", "nodes", "tensor_parallel_size")
    assert {key: there[key] for key in same} == {key: here[key] for key in same}
    assert there["fits"] is True
    assert there["tpot_s"]["value"] < here["tpot_s"]["value"] / 4
    weights = {ledger["weights"] for plan in (here, there) for ledger in plan["memory_bytes"]}
    assert len(weights) == 1


def test_a_repository_whose_name_nobody_checked_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    row = answer("minimax-m2.1 --nodes 2 --quantization AWQ", capsys)["plans"][0]
    assert f"Repository name not checked: {row['repo']}" in [one["message"] for one in row["problems"]]
    checked = answer("minimax-m2.5 --nodes 2 --quantization AWQ", capsys)["plans"][0]
    assert not any("not checked" in one["message"] for one in checked["problems"])


def test_cost_is_known_where_prices_are(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = answer("qwen3-8b", capsys)["plans"][0]["cost"]
    assert unknown["energy_per_million"] == {"value": None, "low": None, "high": None}
    cost = answer("qwen3-8b --kwh-price 0.3 --machine-price 4000", capsys)["plans"][0]["cost"]
    assert 0 < cost["energy_per_million"]["value"] < cost["total_per_million"]["value"]
    assert "argument --kwh-price: " in complaint(["qwen3-8b", "--kwh-price", "nan"], capsys)


def test_training_is_planned_on_all_nodes_first(capsys: pytest.CaptureFixture[str]) -> None:
    document = answer("Qwen3-4B --train ddp --nodes 3", capsys)
    assert [row["nodes"] for row in document["plans"]] == [3, 2, 1]
    assert document["samples_s"]["value"] == pytest.approx(6.12, rel=0.05)
    for key in ("samples_s", "tok_s", "step_s"):
        assert document[key].keys() == {"value", "low", "high"}
    assert plan.main(["Qwen3-4B", "--train", "ddp", "--nodes", "2"]) == 0
    assert "samples/s" in capsys.readouterr().out


def test_no_face_no_network_and_no_node_is_needed() -> None:
    program = (
        "import sys, socket\n"
        "def refuse(*_): raise SystemExit('a socket was asked for')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from sparkdesk.__main__ import main\n"
        "code = main(['plan', 'gpt-oss-120b', '--nodes', '2', '--json'])\n"
        "heavy = {'PySide6', 'asyncssh', 'httpx', 'numpy', 'asyncio', 'sqlite3'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["plans"]


def test_the_tables_that_the_planner_reads_are_shipped() -> None:
    assert [stem for stem in FILES if not (ROOT / "resources" / "planning" / f"{stem}.toml").is_file()] == []


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("qwen3-8b --batch 4", "--batch"),
        ("qwen3-4b --train ddp --engine vllm", "--engine"),
        ("qwen3-4b --train ddp --nodes 2 --tp 2", "--tp"),
        ("qwen3-4b --train ddp --concurrency 8", "--concurrency"),
    ],
)
def test_an_option_of_the_other_kind_of_plan_is_refused_and_not_passed_over(
    words: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"argument {option}: it belongs to" in complaint(words.split(), capsys)


def test_the_table_tells_power_cost_and_whose_first_token_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    plan.main(["gpt-oss-120b", "--concurrency", "8", "--kwh-price", "0.3", "--machine-price", "4000"])
    told = capsys.readouterr().out
    assert "cost/M" in told
    assert "last of 8 users" in told
    assert "Cost is not known" not in told
    plan.main(["gpt-oss-120b", "--device", "b200"])
    told = capsys.readouterr().out
    assert "Estimate, not fitted" in told
    assert "Cost is not known" in told
