"""What a program of ours does on a node, verb by verb, in the words of whoever reads a plan; and its own text.

The one rule: a sentence stands here only for what the program does, in its order; one that is not known has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sparkdesk.core.plain_text import make_plain
from sparkdesk.core.program import sources_of
from sparkdesk.core.step import Action, PutFile, Relay, Run, Step, Wait

_TRIAL_SIGN: Final = b"    try NAME SECONDS WANTED"
"""Of link_trial.py's own description."""
_CONTENT: Final = "our file, /etc/netplan/90-sparkdesk.yaml,"
_TRIAL: Final[Mapping[str, tuple[str, ...]]] = {
    "try": (
        f"refuses where another network is on trial, or {_CONTENT} is not as this plan knew it",
        "notes files, addresses, routes and MTU as they are now in /var/lib/sparkdesk/link_trial",
        "leaves a process behind that puts all of it back after {1} s, unless it is kept before",
        f"adds to the new file what {_CONTENT} says of other ports, where this plan could not read that",
        "writes /run/netplan/90-sparkdesk.yaml, and has netplan check all files in a folder aside",
        "runs netplan apply; where that fails, or would take others' addresses away, all comes back at once",
        "waits some seconds for carrier, addresses and MTU",
    ),
    "look": ("reads carrier, addresses and MTU of these ports, and changes nothing",),
    "look at the file": (
        f"reads carrier, addresses and MTU of these ports, and whether {_CONTENT} is kept as planned; changes nothing",
    ),
    "keep": (
        "refuses where the trial is over: the node has taken its former network back by itself then",
        "writes what was tried to /etc/netplan/90-sparkdesk.yaml, mode 600, with a readable copy in /var/lib/sparkdesk",
        "ends the timer, and removes /run/netplan/90-sparkdesk.yaml",
    ),
    "undo": (
        "puts both of our netplan files back as they were noted; one that somebody changed since is copied first",
        "runs netplan apply, and gives addresses, routes and MTU back as they were noted",
        "ends the timer where one runs, and removes its notes; where nothing was noted, it does nothing",
    ),
}
_TAKE_OUT: Final = "gives former bytes and mode back where a file is as we left it; else takes out our own lines alone"
_MESH: Final[Mapping[str, tuple[str, ...]]] = {
    "key": (
        "makes ~/.ssh/id_ed25519_sparkdesk, a pair without a passphrase, unless there is one",
        "notes what was there before, for the undo; the private half never leaves the node",
    ),
    "let-in": (
        "takes one ed25519 public key from standard input, and refuses anything else",
        "adds it to ~/.ssh/authorized_keys unless it is there, and notes what was there before",
    ),
    "hosts": (
        "writes our lines of ~/.ssh/known_hosts, and our blocks at the head of ~/.ssh/config",
        "leaves all other lines as they are, and notes what was there before",
    ),
    "undo key": (
        "removes the pair where this run made it, nobody changed it since, and ~/.ssh/config names it no more",
    ),
    "undo let-in": (f"of ~/.ssh/authorized_keys: {_TAKE_OUT}",),
    "undo hosts": (f"of ~/.ssh/known_hosts and ~/.ssh/config: {_TAKE_OUT}",),
}
_GATHER: Final = (
    "starts a container that docker removes at its end; nothing is fetched for it",
    "in it PyTorch gathers as many bytes as are named here over all nodes, and takes the time",
    "prints one line with the figure; refuses more than 4 GiB, and what the memory has no room for",
)
_LOAD: Final = (
    "starts the container that is named behind --, which loads the GPU for some seconds",
    "asks nvidia-smi for its clock, power and load meanwhile",
    "prints one line with what it read; docker removes the container at its end",
)


def what_it_does(action: Action) -> tuple[str, ...]:
    """What a program of ours does there, in order; nothing for anything else."""
    match action:
        case Run(command=command, stdin=stdin) | Wait(command=command, stdin=stdin):
            words, source = command.argv, stdin
        case Relay(target=command):
            words, source = command.argv, b""
        case _:
            return ()
    if own := sources_of(words, source):
        verbs = words[words.index("-c") + 2 :]
        return _trial_words(verbs) if any(_TRIAL_SIGN in one for one in own) else _mesh_words(verbs)
    if "sh" in words[:1] and any(word.endswith('ssh_mesh.py" "$@"') for word in words):
        return _mesh_words(words[4:])
    if any(word.endswith("/all_gather.py") for word in words):
        return _GATHER
    return _LOAD if "watch" in words and any(word.endswith("/gpu_load.py") for word in words) else ()


def _trial_words(verbs: Sequence[str]) -> tuple[str, ...]:
    is_of_file = verbs[:1] == ("look",) and len(verbs) > 3
    said = _TRIAL.get("look at the file" if is_of_file else verbs[0], ()) if verbs else ()
    return tuple(sentence.replace("{1}", verbs[2]) if len(verbs) > 2 else sentence for sentence in said)


def _mesh_words(verbs: Sequence[str]) -> tuple[str, ...]:
    if verbs[:1] == ("check",):
        return ("looks whether that is so already, and changes nothing",)
    if verbs[:1] == ("undo",):
        return _MESH.get(f"undo {verbs[2]}", ()) if len(verbs) > 2 else ()
    return _MESH.get(verbs[0], ()) if verbs else ()


def programs_text(steps: Iterable[Step]) -> str:
    """Every program of ours that these steps bring, as it is sent, each once; "" where there is none."""
    found: dict[bytes, None] = {}
    for step in steps:
        for action in (*step.check, *step.apply, *step.verify, *step.undo):
            found.update(dict.fromkeys(_sources(action)))
    texts = [make_plain(source.decode("utf-8", "replace"), max_chars=len(source)) for source in found]
    return "\n\n".join(f"# Program {at} of {len(texts)}\n{text}" for at, text in enumerate(texts, 1))


def has_program(steps: Iterable[Step]) -> bool:
    """Whether these steps bring any."""
    actions = (action for step in steps for action in (*step.check, *step.apply, *step.verify, *step.undo))
    return any(_sources(action) for action in actions)


def _sources(action: Action) -> tuple[bytes, ...]:
    if isinstance(action, PutFile):
        return (action.content,) if action.path.endswith(".py") else ()
    if isinstance(action, Run | Wait):
        return sources_of(action.command.argv, action.stdin)
    return ()
