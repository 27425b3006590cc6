"""A home folder in which remote/fetch.py runs as it does on a node, and the small model that its hub has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.servers.hub import COMMIT, Hub

REMOTE = Path(__file__).resolve().parents[2] / "sparkdesk" / "remote"
SHARD = os.urandom(300_000)
FILES = {
    "config.json": b'{"model_type": "tiny"}',
    "model-00001-of-00002.safetensors": SHARD,
    "model-00002-of-00002.safetensors": os.urandom(200_000),
    "sub/tokenizer.json": b"{}",
    "pytorch_model.bin": b"the same once more",
    "empty.txt": b"",
}
LARGE = {name for name in FILES if name.endswith((".safetensors", ".bin"))}
FIRST = "model-00001-of-00002.safetensors"


class Node:
    """A home folder in which the program runs as it does on a node."""

    def __init__(self, home: Path, hub: Hub) -> None:
        self.home = home
        self.cache = home / ".cache/huggingface/hub"
        self.repo = self.cache / "models--o--n"
        self.snapshot = self.repo / "snapshots" / COMMIT
        self.env = {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "HF_ENDPOINT": hub.url,
            "SPARKDESK_RETRY_S": "0.01",
            "SPARKDESK_SPARE_BYTES": "0",
        }

    def begin(self, *words: str, **more: Any) -> subprocess.Popen[bytes]:
        """The program, under way."""
        argv = [sys.executable, "-I", "-S", "-u", str(REMOTE / "fetch.py"), *words]
        return subprocess.Popen(argv, env=self.env, stdout=subprocess.PIPE, **more)

    def fetch(self, *words: str, **more: Any) -> dict[str, Any]:
        """The program to its end; gives its last line."""
        out, _ = self.begin(*(words or ("o/n", "main")), **more).communicate(timeout=50)
        return dict(json.loads(out.splitlines()[-1]))

    def lines(self, *words: str) -> list[dict[str, Any]]:
        """All that the program prints, to its end."""
        out, _ = self.begin(*(words or ("o/n", "main"))).communicate(timeout=50)
        return [json.loads(line) for line in out.splitlines()]

    def cache_program(self, *words: str) -> dict[str, Any]:
        """hub_cache.py to its end; gives its last line."""
        argv = [sys.executable, "-I", "-S", str(REMOTE / "hub_cache.py"), *words]
        done = subprocess.run(argv, env=self.env, capture_output=True, timeout=50, check=False)
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def is_whole(self) -> bool:
        """What hub_cache.py says of it."""
        return bool(self.cache_program("check", "o/n", "main")["whole"])
