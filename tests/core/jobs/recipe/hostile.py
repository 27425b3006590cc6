"""A hundred recipes and more that mean harm or are broken; each would make the canary if anything of it were run."""

from __future__ import annotations

from collections.abc import Iterator

CANARY = "canary-of-hostile-recipes"
TOUCH = f"touch {CANARY}"
BASE = {
    "model": "a/b",
    "runtime": "vllm",
    "defaults": "{port: 8000, tensor_parallel: 1}",
    "command": "vllm serve {model} --port {port}",
}
EXPRESSIONS = (f"$({TOUCH})", f"`{TOUCH}`", f"a/b; {TOUCH}", f"a/b | {TOUCH}", f"a/b && {TOUCH}", "a/b\\nc", "--help",
               "../../etc/passwd", "a/b\\u202Egnp", "\\e[31ma/b", "a/b\\0", "", " ", "$HOME", "${IFS}")  # fmt: skip
WRONG_TYPES = ("[1, 2]", "{a: 1}", "1e309", "-1", "true", ".nan", "9" * 39, '"\\u202E"')


def _recipe(**changes: str) -> str:
    return "".join(f"{key}: {value}\n" for key, value in (BASE | changes).items())


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def recipes() -> dict[str, str]:
    """What it tries -> the recipe's text."""
    return dict([*_tags(), *_expressions(), *_types(), *_powers(), *_hooks(), *_templates(), *_broken()])


def _tags() -> Iterator[tuple[str, str]]:
    for tag in ("python/object/apply:os.system", "python/object/new:subprocess.Popen", "python/name:os.system",
                "python/module:os", "python/tuple", "str", "binary", "timestamp", "set"):  # fmt: skip
        yield f"tag {tag}", _recipe(model=f"!!{tag} ['{TOUCH}']")
    yield "own tag", _recipe(model=f"!run '{TOUCH}'")
    yield (
        "bomb",
        "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
    )
    yield "anchor", _recipe(model="&x a/b", name="*x")
    yield "merge", "base: &b {model: a/b}\n<<: *b\n"
    yield "nesting", _recipe(metadata="[" * 2000 + "]" * 2000)
    yield "nesting of maps", _recipe(metadata="{a: " * 500 + "1" + "}" * 500)
    yield "second document", _recipe() + "---\n" + _recipe()
    yield "key twice", _recipe() + "model: c/d\n"
    yield "huge", _recipe(description="x" * 300_000)
    yield "many", _recipe(metadata="[" + "1," * 30_000 + "]")
    yield "huge number", _recipe(min_nodes="9" * 5000)
    yield "nul", _recipe(model="a\0b")
    yield "escape code", _recipe(name="\x1b[2J")


def _expressions() -> Iterator[tuple[str, str]]:
    for number, text in enumerate(EXPRESSIONS):
        yield f"model {number}", _recipe(model=_quoted(text))
    for number, text in enumerate(EXPRESSIONS[:4]):
        yield f"container {number}", _recipe(container=_quoted(text))
        yield f"served name {number}", _recipe(defaults="{port: 8000, served_model_name: " + _quoted(text) + "}")
    for number, text in enumerate(EXPRESSIONS[:2]):
        yield f"name {number}", _recipe(name=_quoted(text))
        yield f"variable {number}", _recipe(env="{A: " + _quoted(text) + "}")


def _types() -> Iterator[tuple[str, str]]:
    keys = ("model", "runtime", "container", "defaults", "env", "command", "min_nodes", "solo_only", "executor_config")
    for key in keys:
        for value in (*WRONG_TYPES[:2], "-1", "true") if key in ("model", "command") else WRONG_TYPES[:2]:
            if (key, value) not in {("defaults", "{a: 1}"), ("env", "{a: 1}"), ("executor_config", "{a: 1}")}:
                yield f"{key} is {value}", _recipe(**{key: value})
    for key in ("port", "max_model_len", "tensor_parallel", "gpu_memory_utilization", "max_num_seqs"):
        for value in WRONG_TYPES:
            if (key, value) != ("max_model_len", "-1"):  # its own longest, to vLLM
                yield f"{key} is {value[:10]}", _recipe(defaults="{port: 8000, " + f"{key}x: 1, {key}: {value}" + "}")


def _powers() -> Iterator[tuple[str, str]]:
    for key, value in (
        ("privileged", "true"), ("cap_add", "[SYS_ADMIN]"), ("volumes", '["/:/host"]'), ("volumes", '["~/.ssh:/x"]'),
        ("volumes", '["/var/run/docker.sock:/s"]'), ("pid", "host"), ("devices", "[/dev/sda]"), ("userns", "host"),
        ("security_opt", '["seccomp=unconfined"]'), ("docker_args", '["--privileged"]'), ("mounts", '["/etc:/etc"]'),
    ):  # fmt: skip
        yield f"{key} {value}", _recipe(executor_config="{" + f"{key}: {value}" + "}")
    for name in ("LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "PYTHONPATH", "PYTHONSTARTUP", "lower", '"A B"', '""'):
        yield f"variable {name}", _recipe(env="{" + f"{name}: /tmp/x" + "}")
    for option in ("--privileged", "-v /:/host", "--pid=host", "--cap-add ALL", "-v /etc:/etc"):
        yield f"docker {option}", _recipe(command=f"docker run {option} vllm/vllm-openai:x --model a/b")


def _hooks() -> Iterator[tuple[str, str]]:
    for key in ("pre_exec", "post_exec", "post_commands", "hooks", "mods", "build_args", "builder", "include"):
        yield f"hook {key}", _recipe(**{key: f"['{TOUCH}']"})
    yield "hook that copies", _recipe(pre_exec=f"[{{copy: /etc/shadow, dest: /x, source_host: '$({TOUCH})'}}]")


def _templates() -> Iterator[tuple[str, str]]:
    for number, command in enumerate((
        f"{TOUCH}", f"vllm serve a/b --seed $({TOUCH})", f"sh -c '{TOUCH}'", f"vllm serve a/b; {TOUCH}",
        f"vllm serve a/b --x `{TOUCH}`", f"{TOUCH} && vllm serve a/b", f"vllm serve a/b > {CANARY}",
        f"eval {TOUCH}", f"python3 -c 'open(\"{CANARY}\", \"w\")'", "vllm serve {nobody}", "vllm serve 'a/b",
        "vllm serve a/b --reasoning-parser-plugin /tmp/x.py", "vllm serve a/b --trust-remote-code",
    )):  # fmt: skip
        yield f"command {number}", _recipe(command=_quoted(command))
    yield "template circle", _recipe(defaults="{port: '{a}', a: '{b}', b: '{a}'}")
    yield "template bomb", _recipe(defaults="{port: '" + "{a}" * 2000 + "', a: '" + "{b}" * 2000 + "', b: xxxxxxxx}")


def _broken() -> Iterator[tuple[str, str]]:
    yield "empty", ""
    yield "a list", "- model: a/b\n"
    yield "a text", "model\n"
    yield "no yaml", "model: 'a/b\n"
    yield "a tab", "model: a/b\n\tname: x\n"
    yield "no key of a recipe", "colour: blue\n"
    yield "nodes that contradict", _recipe(min_nodes="4", max_nodes="2")
    yield "nodes that do not fit", _recipe(min_nodes="3")
    yield "foreign runtime", _recipe(runtime="atlas")
