"""The command line of `llama-server`: which flags there are, and what is wrong with one that is not.

Source: llama.cpp's common/arg.cpp and tools/server/README, build b11434. Words of errors are that program's.
"""

from __future__ import annotations

import glob
import sys
import tomllib
from typing import Any, NoReturn

from spark_state import FOLDER

# long name -> (short names, kind); kind: int, float, str, none, bool-like "on/off/auto", or a tuple of choices
_KV = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")
_SWITCH = ("on", "off", "auto")
POOLINGS = ("none", "mean", "cls", "last", "rank")
SPECULATIONS = ("none", "draft-simple", "draft-eagle3", "draft-mtp", "draft-dflash", "draft-dspark", "ngram-simple",
                "ngram-map-k", "ngram-map-k4v", "ngram-mod", "ngram-cache")  # fmt: skip
FLAGS: dict[str, tuple[tuple[str, ...], Any]] = {
    "--model": (("-m",), str),
    "--host": ((), str),
    "--port": ((), int),
    "--ctx-size": (("-c",), int),
    "--parallel": (("-np",), int),
    "--threads": (("-t",), int),
    "--threads-batch": (("-tb",), int),
    "--threads-http": ((), int),
    "--batch-size": (("-b",), int),
    "--ubatch-size": (("-ub",), int),
    "--predict": (("-n", "--n-predict"), int),
    "--alias": (("-a",), str),
    "--n-gpu-layers": (("-ngl", "--gpu-layers"), str),
    "--flash-attn": (("-fa",), _SWITCH),
    "--cache-type-k": (("-ctk",), _KV),
    "--cache-type-v": (("-ctv",), _KV),
    "--split-mode": (("-sm",), ("none", "layer", "row", "tensor")),
    "--main-gpu": (("-mg",), int),
    "--device": (("-dev",), str),
    "--fit": (("-fit",), _SWITCH),
    "--cache-ram": (("-cram",), int),
    "--cache-reuse": ((), int),
    "--spec-ngram-mod-n-min": ((), int),
    "--spec-ngram-mod-n-max": ((), int),
    "--numa": ((), ("distribute", "isolate", "numactl")),
    "--api-key": ((), str),
    "--api-key-file": ((), str),
    "--chat-template-file": ((), str),
    "--reasoning-format": ((), ("none", "auto", "deepseek", "deepseek-legacy")),
    "--seed": (("-s",), int),
    "--temp": (("--temperature",), float),
    "--top-k": ((), int),
    "--top-p": ((), float),
    "--min-p": ((), float),
    "--timeout": (("-to",), int),
    "--sse-ping-interval": ((), int),
    "--verbosity": (("-lv", "--log-verbosity"), int),
    "--metrics": ((), None),
    "--slots": ((), None),
    "--no-slots": ((), None),
    "--props": ((), None),
    "--jinja": ((), None),
    "--no-jinja": ((), None),
    "--warmup": ((), None),
    "--no-warmup": ((), None),
    "--mlock": ((), None),
    "--no-mmap": ((), None),
    "--mmap": ((), None),
    "--cont-batching": (("-cb",), None),
    "--no-cont-batching": (("-nocb",), None),
    "--no-webui": (("--no-ui",), None),
    "--log-timestamps": ((), None),
    "--log-prefix": ((), None),
    "--verbose": (("-v",), None),
    "--load-mode": (("-lm",), ("auto", "none", "mmap", "mlock", "mmap+mlock", "dio")),
    "--embedding": (("--embeddings",), None),
    "--reranking": (("--rerank",), None),
    "--pooling": ((), POOLINGS),
    "--cache-prompt": ((), None),
    "--no-cache-prompt": ((), None),
    "--mmproj": (("-mm",), str),
    "--spec-type": ((), SPECULATIONS),
    "--spec-draft-n-max": ((), int),
    "--spec-draft-n-min": ((), int),
    "--model-draft": (("-md", "--spec-draft-model"), str),
    "--n-gpu-layers-draft": (("-ngld", "--gpu-layers-draft", "--spec-draft-ngl"), str),
    "--help": (("-h", "--usage"), None),
    "--version": ((), None),
}
_BY_NAME = {name: long for long, (shorts, _kind) in FLAGS.items() for name in (long, *shorts)}
_KEYS = {"--predict": "n_predict"}


def parse(arguments: list[str]) -> dict[str, Any]:
    """Values by the long name with underscores; ends the program with code 1 and its words on a wrong line."""
    found: dict[str, Any] = {}
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word not in _BY_NAME:
            _pass_over(word, words)
            continue
        long = _BY_NAME[word]
        kind = FLAGS[long][1]
        key = _KEYS.get(long, long[2:].replace("-", "_"))
        if kind is None:
            found[key] = True
            continue
        if not words:
            _refuse(f'error while handling argument "{word}": expected value for argument')
        found[key] = _value(word, kind, words.pop(0))
        if key == "api_key":
            _refuse("error: on this simulated node give the key with --api-key-file; in a command line all can read it")
    return found


def _pass_over(word: str, words: list[str]) -> None:
    """A flag of the real program that has no effect here, with its value; ends the program where it has none such."""
    row = _table().get(word)
    if row is None:
        _refuse(f"error: invalid argument: {word}")
    if row.get("takes", "value") == "none":
        return
    if not words:
        _refuse(f'error while handling argument "{word}": expected value for argument')
    value, choices = words.pop(0), row.get("choices") or []
    if choices and value not in choices:
        _refuse(f"error while handling argument \"{word}\": error: unknown value for {word}: '{value}'")


def _table() -> dict[str, dict[str, Any]]:
    """The flags of the real program by their names, from the table of its release."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(glob.glob(f"{FOLDER}/flags/llamacpp-*.toml"))[-1:]:
        with open(path, "rb") as stream:
            for row in tomllib.load(stream).get("flag", []):
                found |= dict.fromkeys((row["name"], *row.get("aliases", [])), row)
    return found


def usage() -> str:
    """Every flag there is, with its short names and what it takes."""
    rows = ["usage: llama-server [options]", ""]
    for long, (shorts, kind) in FLAGS.items():
        value = {None: "", int: " N", float: " N", str: " VALUE"}.get(kind, "")
        rows.append(", ".join((*shorts, long)) + (f" {{{','.join(kind)}}}" if isinstance(kind, tuple) else value))
    return "\n".join(rows)


def _value(word: str, kind: Any, text: str) -> Any:
    if isinstance(kind, tuple):
        if text not in kind:
            _refuse(f"error while handling argument \"{word}\": error: unknown value for {word}: '{text}'")
        return text
    try:
        return kind(text)
    except ValueError:
        _refuse(f'error while handling argument "{word}": stoi')


def _refuse(words: str) -> NoReturn:
    print(words, file=sys.stderr)
    raise SystemExit(1)
