"""What a recipe or a pasted command may not ask for: more of the node than a model server needs, or a hidden command.

The one rule: every refusal says why and what to do instead; a value is judged as text and never expanded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sparkdesk.core.jobs.recipe.imported import Draft, show
from sparkdesk.core.plain_text import make_plain

SUBSTITUTION = re.compile(r"\$\(|`|<\(|>\(")
VARIABLE = re.compile(r"\$(?:\{[^}]{0,200}\}|[A-Za-z_][A-Za-z0-9_]{0,127})")
SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRETS?|PASSWORDS?|PASSWD|CREDENTIALS?|APIKEY|(?:API|ACCESS|PRIVATE)_KEY)(?:_|$)"
)
SECRET_END = re.compile(r"(?:TOKEN|KEY|SECRET|PASSWORD)S?$")
SECRET_VALUE = re.compile(
    r"(?<![A-Za-z0-9])(?:hf_(?!overrides(?![A-Za-z0-9]))[A-Za-z0-9]{8,}|sk-[A-Za-z0-9_-]{8,}|nvapi-[A-Za-z0-9_-]{8,})"
)
"""How the hub's tokens and two makers' keys begin; hf_overrides is a flag of vLLM's."""
LOADER_NAMES = frozenset({
    "BASH_ENV", "ENV", "PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "PYTHONINSPECT", "GCONV_PATH", "PATH", "IFS",
    "DOCKER_HOST", "GIT_SSH_COMMAND", "PERL5OPT", "NODE_OPTIONS", "PROMPT_COMMAND", "SHELLOPTS",
})  # fmt: skip
"""Variables that make a program load or run something else than it is. LD_* are so too."""
CACHE = re.compile(r"^(?:~|\$HOME|\$\{HOME\}|/home/[A-Za-z0-9._-]+|/root)/\.cache/(?:huggingface|llama\.cpp)/?$")
"""The model cache: SparkDesk mounts it itself."""
_SENSITIVE = re.compile(
    r"^(?:/|/(?:boot|dev|etc|home|lib|lib64|proc|root|run|sbin|srv|sys|usr|var)(?:/.*)?"
    r"|(?:~|\$HOME|\$\{HOME\}|/home/[^/]+)/?"
    r"|.*docker\.sock|.*/\.(?:ssh|gnupg|aws|kube|docker|config|local|bash[^/]*|profile)(?:/.*)?)$"
)
_SAFE_DEVICE = re.compile(r"^/dev/(?:infiniband|nvidia)[A-Za-z0-9/_-]*(?::.*)?$")


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable is a secret, by its name, or its value looks like one."""
    upper = name.upper()
    return bool(SECRET_END.search(upper) or SECRET_NAME.search(upper) or SECRET_VALUE.search(value))


def check_text(draft: Draft, place: str, value: str) -> bool:
    """Whether a value may be taken; otherwise says at `place` why not."""
    if SUBSTITUTION.search(value):
        draft.refuse(
            place,
            f"{show(value)[:120]!r} asks a shell to run a command",
            "Nothing from a recipe is run: write the value itself.",
        )
        return False
    if make_plain(value, max_chars=200_000) != value:
        draft.refuse(
            place, f"{show(value)[:120]!r} holds control or direction characters", "Write it in plain characters."
        )
        return False
    return True


def check_name(draft: Draft, place: str, value: str) -> bool:
    """As `check_text`, for a name: one line, no variable."""
    if "\n" in value or "\r" in value:
        draft.refuse(place, f"{show(value)[:120]!r} is more than one line", "Write the name alone.")
        return False
    if found := VARIABLE.search(value):
        draft.refuse(
            place,
            f"{show(found[0])} is not set in the text, and SparkDesk takes no variables of this computer",
            "Write the value itself.",
        )
        return False
    return check_text(draft, place, value)


def check_mount(draft: Draft, place: str, source: str, target: str) -> None:
    """A folder of the node that a container asks for. SparkDesk mounts the model cache and nothing else."""
    shown = f"{source}:{target}"
    if ".." in source.split("/"):
        draft.refuse(place, f"It mounts {show(shown)}, a path that climbs with ..", "Remove the mount.")
    elif CACHE.match(source):
        draft.leave(place, shown, "SparkDesk mounts the model cache itself.")
    elif "docker.sock" in source:
        draft.refuse(
            place,
            f"It mounts {show(shown)}: who holds docker's socket is root on the node",
            "Remove the mount: a model server never needs it.",
        )
    elif _SENSITIVE.match(source.rstrip("/") or "/"):
        draft.refuse(
            place,
            f"It mounts {show(shown)}: the container could read or change the node's own files",
            "Remove the mount: SparkDesk mounts the model cache, which is all that a server needs.",
        )
    else:
        draft.warn(place, f"It mounts {show(shown)}; SparkDesk does not", "Put the files into the model cache.")
        draft.miss(place, shown, "SparkDesk mounts the model cache only.")


def check_device(draft: Draft, place: str, device: str) -> None:
    """A device that a container asks for."""
    if _SAFE_DEVICE.match(device):
        draft.leave(place, device, "SparkDesk gives the container the GPU and the links itself.")
        return
    draft.refuse(
        place, f"It asks for the device {show(device)}", "Remove it: a model server needs the GPU and the links only."
    )


def refuse_power(draft: Draft, place: str, what: str) -> None:
    """Rights that make a container as strong as root on the node."""
    draft.refuse(
        place,
        f"It asks for {show(what)}, which gives the container power over the whole node",
        "Remove it: SparkDesk starts servers without it.",
    )


def check_variable(draft: Draft, place: str, name: str, value: str, asks: Sequence[str] | None = None) -> bool:
    """Whether a variable for the server may be taken; otherwise says why not. A secret's value is never shown.

    `asks`: what a shell would have expanded in it; None: every $NAME is so.
    """
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,127}", name):
        draft.refuse("environment", f"{show(name)[:80]!r} is no name of a variable", "Use capitals, digits and _.")
        return False
    if name.startswith("LD_") or name in LOADER_NAMES:
        draft.refuse(
            "environment",
            f"{name} makes programs load or run something else than what they are",
            "Remove it from the text.",
        )
        return False
    if looks_secret(name, value):
        draft.leave(
            f"{place}.{name}", "(not shown)", "A secret: SparkDesk takes it from this computer's keychain only."
        )
        return False
    found = VARIABLE.search(value) if asks is None else VARIABLE.match(" ".join(asks))
    if found:
        draft.warn(
            "environment",
            f"{name} is {show(found[0])}, a variable of another computer; it is not set",
            "Write its value in the form if the server needs it.",
        )
        draft.miss(f"{place}.{name}", value, "SparkDesk takes no variables of this computer.")
        return False
    return check_text(draft, "environment", value)
