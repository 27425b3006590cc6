"""The repositories of the simulated hub: small files of the right shape for every model of the program's own table.

The one rule: seeded. The same repository has the same bytes, checksums and commit on every node and at every start;
what is small says so, and the index declares what the real weights would take.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import tomllib
from dataclasses import dataclass
from typing import Any

from spark_state import FOLDER, read_json

_SHARD_BYTES = 6 * 2**20
_MOST_SHARDS = 4
_BYTES_A_SHARD = 16 * 10**9
_GATED_OWNERS = ("meta-llama", "google")
# Repositories of drafts and of embeddings that plans name; sizes recalled.
_MORE = {
    "nvidia/gpt-oss-120b-Eagle3-long-context": 1_600_000_000,
    "z-lab/Qwen3.6-35B-A3B-DFlash": 900_000_000,
    "Qwen/Qwen3-Embedding-0.6B": 1_200_000_000,
    "Qwen/Qwen3-Reranker-0.6B": 1_200_000_000,
    "BAAI/bge-m3": 1_100_000_000,
}

_made: dict[tuple[str, str], bytes] = {}  # of one request's process


@dataclass(frozen=True, slots=True)
class Repo:
    """One repository. `layers` are groups of the table, `gguf` the names of its GGUF files."""

    name: str
    weight_bytes: int
    hidden_size: int = 1024
    attention_heads: int = 16
    context_tokens: int = 32_768
    layers: tuple[dict[str, Any], ...] = ()
    gguf: tuple[str, ...] = ()

    @property
    def commit(self) -> str:
        """40 hex digits."""
        return hashlib.sha1(f"simulated {self.name}".encode()).hexdigest()

    @property
    def is_gated(self) -> bool:
        """Whether its owner asks for a licence."""
        return self.name.partition("/")[0] in _GATED_OWNERS


def repos() -> dict[str, Repo]:
    """Every repository by its name in small letters."""
    found = {name.casefold(): Repo(name, size) for name, size in _MORE.items()}
    for entry in _table():
        for form in entry.get("formats", []):
            name = str(form.get("repo", ""))
            if name.count("/") != 1:
                continue
            files = (str(form["file"]).rpartition("/")[2],) if "file" in form else ()
            is_gguf = "llamacpp" in form.get("engines", []) and (bool(files) or name.endswith("GGUF"))
            before = found.get(name.casefold())
            found[name.casefold()] = Repo(
                name,
                int(form["weight_bytes"]),
                int(entry.get("hidden_size", 1024)),
                int(entry.get("attention_heads", 16)),
                int(entry.get("context_tokens", 32_768)),
                tuple(entry.get("layers", [])),
                (*(before.gguf if before else ()), *(files or (f"{entry['key']}-{form['key']}.gguf",)))
                if is_gguf
                else (),
            )
    return found


def _table() -> list[dict[str, Any]]:
    try:
        with open(f"{FOLDER}/flags/models.toml", "rb") as stream:
            return list(tomllib.load(stream).get("model", []))
    except (OSError, ValueError):
        return []


def paths(repo: Repo) -> tuple[str, ...]:
    """The files of a repository."""
    if repo.gguf:
        return ("README.md", *dict.fromkeys(repo.gguf))
    return ("README.md", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
            "model.safetensors.index.json", *_shards(repo))  # fmt: skip


def _shards(repo: Repo) -> tuple[str, ...]:
    count = max(1, min(_MOST_SHARDS, -(-repo.weight_bytes // _BYTES_A_SHARD)))
    return tuple(f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1))


def is_large(path: str) -> bool:
    """Whether the hub keeps it as a large file, by its SHA-256."""
    return path.endswith((".safetensors", ".gguf"))


def content(repo: Repo, path: str) -> bytes:
    """A file's bytes. Raises KeyError for one that is not there."""
    if path not in paths(repo):
        raise KeyError(path)
    if (repo.name, path) not in _made:
        _made[repo.name, path] = _make(repo, path)
    return _made[repo.name, path]


def _make(repo: Repo, path: str) -> bytes:
    if path.endswith(".gguf"):
        with open(_small_gguf(), "rb") as stream:
            return stream.read()
    if path.endswith(".safetensors"):
        return _shard(repo, path)
    return json.dumps(_small(repo, path), indent=2).encode() if path.endswith(".json") else _readme(repo)


def _small_gguf() -> str:
    files = sorted(glob.glob(f"{read_json('node')['models']}/*.gguf"), key=os.path.getsize)
    if not files:
        raise KeyError("there is no GGUF file on this computer")
    return files[0]


def _readme(repo: Repo) -> bytes:
    return f"# {repo.name}\n\nA simulated repository: small seeded files, no real weights.\n".encode()


def _shard(repo: Repo, path: str) -> bytes:
    """A real safetensors file of one small tensor. Source of the form: safetensors' README."""
    size = min(_SHARD_BYTES, max(4096, repo.weight_bytes // len(_shards(repo))))
    name = f"simulated.{path[6:11]}"
    header = json.dumps({name: {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + hashlib.shake_256(f"{repo.name} {path}".encode()).digest(size)


def _small(repo: Repo, path: str) -> dict[str, Any]:
    """The small JSON files."""
    if path == "config.json":
        full = next((group for group in repo.layers if group["kind"] in ("full", "sliding")), {})
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": repo.hidden_size,
            "num_attention_heads": repo.attention_heads,
            "num_key_value_heads": int(full.get("kv_heads", repo.attention_heads)),
            "head_dim": int(full.get("head_dim", 64)),
            "num_hidden_layers": sum(int(group["count"]) for group in repo.layers) or 1,
            "max_position_embeddings": repo.context_tokens,
            "torch_dtype": "bfloat16",
            "sparkdesk_simulated": True,
        }
    if path == "model.safetensors.index.json":
        rows = {f"simulated.{name[6:11]}": name for name in _shards(repo)}
        return {"metadata": {"total_size": repo.weight_bytes}, "weight_map": rows}
    return {"sparkdesk_simulated": True}


def entry(repo: Repo, path: str) -> dict[str, Any]:
    """A row of the tree. Small files go by git's SHA-1 of a blob."""
    data = content(repo, path)
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    row: dict[str, Any] = {"type": "file", "oid": oid, "size": len(data), "path": path}
    if is_large(path):
        row["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return row


def etag(repo: Repo, path: str) -> str:
    """What names the file's content."""
    row = entry(repo, path)
    return str(row["lfs"]["oid"] if "lfs" in row else row["oid"])
