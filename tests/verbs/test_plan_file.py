"""`plan PATH`: a model from its own files, which are as hostile as any."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from sparkdesk.app.model_file import CONFIG_MAX_BYTES, read_model
from sparkdesk.core.errors import PlanError
from sparkdesk.core.models.gguf import HEAD_BYTES
from sparkdesk.verbs import plan

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14_336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "max_position_embeddings": 131_072,
    "torch_dtype": "bfloat16",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder as the hub makes it."""
    home = tmp_path / "Mini-8B"
    home.mkdir()
    (home / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    return home


def complaint(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        plan.main([str(path)])
    told = capsys.readouterr()
    assert (ended.value.code, told.out, len(told.err.splitlines())) == (2, "", 1)
    assert told.err.startswith("sparkdesk plan: argument MODEL: ")
    return told.err


@pytest.mark.parametrize("name", ["", "config.json"])
def test_a_folder_or_its_config_is_planned(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main([str(folder / name), "--json", "--nodes", "2"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["model"] == "Mini-8B"
    (weights,) = {row["quantization"] for row in document["plans"]}
    ledger = next(row for row in document["plans"] if row["nodes"] == 1)["memory_bytes"][0]
    assert weights == "BF16"
    assert ledger["weights"] == pytest.approx(16.06e9, rel=0.01)


def test_a_folder_named_like_nothing_in_the_catalogue_needs_no_slash(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder.parent)
    assert plan.main([folder.name]) == 0
    assert "Mini-8B" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "nope", '{"model_type": 7}', "[" * 100_000, '{"num_hidden_layers": 1e309}',
     json.dumps(CONFIG | {"hidden_size": -1}), json.dumps(CONFIG | {"num_hidden_layers": 10**12}),
     json.dumps(CONFIG | {"num_attention_heads": 0}), json.dumps(CONFIG | {"num_key_value_heads": "$(id)"})],
)  # fmt: skip
def test_a_config_that_cannot_be_is_one_sentence(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.json").write_text(text, "utf-8")
    assert complaint(folder, capsys)


def test_a_file_without_end_is_never_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("pipe.gguf", "config.json"):
        path = folder / name
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        assert f"no file {name}" in complaint(path, capsys)


def test_a_config_is_read_up_to_a_bound(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config.json").write_bytes(json.dumps(CONFIG).encode() + b" " * CONFIG_MAX_BYTES)
    assert "larger than 4 MiB" in complaint(folder, capsys)


def test_a_gguf_is_read_up_to_a_bound(folder: Path) -> None:
    with (folder / "big.gguf").open("wb") as file:
        file.truncate(4 * HEAD_BYTES)
    tracemalloc.start()
    try:
        with pytest.raises(PlanError):
            read_model(folder / "big.gguf")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 2.5 * HEAD_BYTES


def test_other_files_are_not_opened(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "notes.txt").write_text("secret", "utf-8")
    assert "neither a .json nor a .gguf" in complaint(folder / "notes.txt", capsys)
    assert "no file" in complaint(folder / "nothing.json", capsys)
    (folder / "config.json").unlink()
    assert "no file config.json" in complaint(folder, capsys)


@pytest.mark.parametrize("head", [b"", b"GGUF", b"GGUF" + b"\xff" * 4000, b"not a model at all"])
def test_a_gguf_that_is_none_is_one_sentence(head: bytes, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "x.gguf").write_bytes(head)
    assert complaint(folder / "x.gguf", capsys)


def test_a_split_gguf_asks_for_its_other_files(folder: Path) -> None:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    def pair(key: str, kind: int, value: bytes) -> bytes:
        return text(key) + struct.pack("<I", kind) + value

    header = struct.pack("<4sIQQ", b"GGUF", 3, 0, 2)
    header += pair("general.architecture", 8, text("llama")) + pair("split.count", 2, struct.pack("<H", 3))
    (folder / "x-00001-of-00003.gguf").write_bytes(header)
    with pytest.raises(PlanError, match="one of 3 files"):
        read_model(folder / "x-00001-of-00003.gguf")
    (folder / "x-00002-of-00003.gguf").write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, 0))
    (folder / "x-00003-of-00003.gguf").write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, 0))
    with pytest.raises(PlanError, match=r"^(?!.*one of 3 files)"):
        read_model(folder / "x-00001-of-00003.gguf")
