"""Builds the playbook that lets a key of this application in on a node: one line in ~/.ssh/authorized_keys.

The one rule: other people's lines are never rewritten on the way in, and the way back takes out our own line alone and
gives folder and file the rights that they had.
sshd's StrictModes is met: the folder 0700, the file 0600, both the user's own and no links; a home that others may
write to is said, not changed. Where a person asked for whole nodes to be set up (`rights_step`), it is changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sparkdesk.core.command import Command
from sparkdesk.core.step import Playbook, Run, Stage, Step

OWN_FOLDER = ".local/state/sparkdesk/bringup"
"""Below the home: where a bring-up's program and the notes of what it changes lie while they are needed."""
_LINE = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{60,100}={0,2} [ -~]{1,200}")
_MODE = re.compile(r"[0-7]{3,4}")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9@._-]+")

# $1 is our line. `fail` speaks the runner's language: message and remedy.
_START = r"""fail() { printf '{"message": "%s", "remedy": "%s"}\n' "$1" "$2"; exit 1; }
export LC_ALL=C
d=$HOME/.ssh; f=$d/authorized_keys; line=$1
has_line() { grep -qaxF -e "$line" -- "$f"; }
"""
_HOME_IS_SAFE = r"""case $(stat -L -c %A -- "$HOME") in ?????w*|????????w*) false ;; *) [ -d "$HOME" ] ;; esac"""
_CHECK_HOME = (
    _HOME_IS_SAFE
    + r""" || fail 'Other users may write to the home folder: the SSH server takes no key from it' \
'On the node run: chmod go-w ~   then try again.'"""
)
_MEND_HOME = r"""chmod go-w -- "$HOME/." || fail 'The rights of the home folder cannot be set' \
'On the node run: sudo chmod go-w ~   then try again.'"""
_FOLDER_IS_RIGHT = r"""[ -d "$d" ] && [ ! -L "$d" ] && [ -O "$d" ] && [ "$(stat -c %a -- "$d")" = 700 ]"""
_MAKE_FOLDER = r"""[ ! -L "$d" ] || fail '~/.ssh is a link to somewhere else' 'Make it a folder first.'
[ -e "$d" ] || mkdir -m 700 -- "$d" || fail '~/.ssh cannot be made' 'Check the free space and the rights.'
[ -d "$d" ] || fail '~/.ssh is not a folder' 'Move that file away, then try again.'
[ -O "$d" ] || fail '~/.ssh belongs to another user' 'On the node run: sudo chown -R $USER ~/.ssh   then try again.'
chmod 700 -- "$d" || fail 'The rights of ~/.ssh cannot be set' 'Look at that folder on the node.'"""
_REMOVE_FOLDER = r"""[ -L "$d" ] || rmdir -- "$d" 2>/dev/null || :"""
# Folders that SparkDesk made, each ended by ";", stand in the file "made": what is taken back last takes them with it.
_OWN = (
    f"s=$HOME/{OWN_FOLDER}; m=\n"
    + r"""tidy() {
    for p in .local/state/sparkdesk .local/state .local; do
        case $m in *"$p;"*) [ -L "$HOME/$p" ] || rmdir -- "$HOME/$p" 2>/dev/null || : ;; esac
    done
}
"""
)
_MAKE_OWN = r"""for p in .local .local/state .local/state/sparkdesk; do [ -e "$HOME/$p" ] || m="$m$p;"; done
umask 077
mkdir -p -- "$s" && { [ -z "$m" ] || printf %s "$m" >> "$s/made"; } && exit 0
rm -f -- "$s/made"; rmdir -- "$s" 2>/dev/null; tidy
fail 'The folder of SparkDesk cannot be made in ~/.local/state' 'Check the free space and the rights.'"""
_LEAVE_OWN = r"""[ -d "$s" ] && [ ! -L "$s" ] || exit 0
for n in "$s"/mesh-*.json; do [ ! -e "$n" ] || exit 0; done
if [ -f "$s/made" ] && [ ! -L "$s/made" ]; then
    m=$(head -c 400 -- "$s/made")
    case $m in *".ssh;"*) [ -L "$d" ] || rmdir -- "$d" 2>/dev/null || : ;; esac
    [ "$(ls -A -- "$s")" = made ] || exit 0
    rm -f -- "$s/made"
fi
rmdir -- "$s" 2>/dev/null && tidy
exit 0"""
# While keys of a bring-up are in ~/.ssh it cannot go: whichever of them is taken back last takes it along.
_LEAVE_FOLDER = r"""[ -d "$d" ] && [ ! -L "$d" ] || exit 0
rmdir -- "$d" 2>/dev/null && exit 0
for n in "$s"/mesh-*.json; do
    [ -e "$n" ] || continue
    case $(head -c 400 -- "$s/made" 2>/dev/null) in *".ssh;"*) ;; *) printf '.ssh;' >> "$s/made" ;; esac ||
        fail 'It cannot be noted that ~/.ssh is to go' 'Check the free space on the node.'
    printf '{"ok": true, "message": "%s"}\n' '~/.ssh goes with the last key of SparkDesk that is taken out of it'
    exit 0
done
printf '{"ok": true, "message": "%s"}\n' '~/.ssh stays: files that SparkDesk did not put there are in it'"""
_FILE_IS_RIGHT = r"""[ -f "$f" ] && [ ! -L "$f" ] && [ -O "$f" ] && [ "$(stat -c %a -- "$f")" = 600 ]"""
_MAKE_FILE = r"""[ ! -L "$f" ] || fail 'authorized_keys is a link to somewhere else' 'Make it a file first.'
if [ ! -e "$f" ]; then
    (umask 077; set -C; : > "$f") || fail 'authorized_keys cannot be made' 'Check the free space on the node.'
fi
[ -f "$f" ] || fail 'authorized_keys is not a file' 'Move it away, then try again.'
[ -O "$f" ] || fail 'authorized_keys belongs to another user' 'Somebody else manages the keys of this node: ask them.'
chmod 600 -- "$f" || fail 'The rights of authorized_keys cannot be set' 'Look at that file on the node.'"""
_REMOVE_FILE = r"""if [ -f "$f" ] && [ ! -L "$f" ] && [ ! -s "$f" ]; then rm -f -- "$f"; fi"""
# A line that others left without its end gets one first. A full disk leaves the file as long as it was.
_ADD_LINE = r"""[ -f "$f" ] && [ ! -L "$f" ] || fail 'authorized_keys is no plain file any more' 'Try again.'
if has_line; then exit 0; fi
before=$(wc -c < "$f")
{ [ -z "$(tail -c 1 -- "$f")" ] || printf '\n' >> "$f"; } && printf '%s\n' "$line" >> "$f" && exit 0
truncate -s "$before" -- "$f"
fail 'The key cannot be written to authorized_keys' 'Check the free space on the node, then try again.'"""
_REMOVE_LINE = r"""[ -e "$f" ] || exit 0
[ -f "$f" ] && [ ! -L "$f" ] || fail 'authorized_keys is no plain file any more' 'Take our line out yourself.'
has_line || exit 0
t=$(mktemp -- "$f.XXXXXXXX") || fail 'There is no room to write authorized_keys anew' 'Free some space, then try again.'
grep -vaxF -e "$line" -- "$f" > "$t"
[ $? -le 1 ] && chmod 600 -- "$t" && mv -f -- "$t" "$f" && exit 0
rm -f -- "$t"
fail 'authorized_keys cannot be written anew' 'Free some space, then try again.'"""


def make_comment(computer: str) -> str:
    """What stands at the end of our line, so that who finds it knows whose it is: "SparkDesk on ana@laptop"."""
    return f"SparkDesk on {_NOT_PLAIN.sub('-', computer)[:100] or 'a computer'}"


@dataclass(frozen=True, slots=True)
class FormerRights:
    """The modes of ~/.ssh and authorized_keys before the set-up, in octal; "" where there was none or nobody knows."""

    folder: str = ""
    file: str = ""


READ_RIGHTS = Command(
    (
        "sh",
        "-c",
        'for f in "$HOME/.ssh" "$HOME/.ssh/authorized_keys"; do stat -c %a -- "$f" 2>/dev/null || echo -; done',
    )
)
"""Reads them; `read_rights` understands its output."""


def read_rights(output: bytes) -> FormerRights:
    """What `READ_RIGHTS` printed; anything else counts as not known."""
    lines = output[:64].decode("ascii", "replace").splitlines()
    folder, file = (line if _MODE.fullmatch(line) else "" for line in (lines if len(lines) == 2 else ["", ""]))
    return FormerRights(folder, file)


def key_playbook(
    node_id: str, public_line: str, *, former: FormerRights | None = None, stale: Sequence[str] = ()
) -> Playbook:
    """Install one public key; its undo removes it, and what was made for it if nothing else is in it.

    `stale`: lines of ours that an attempt before left there; they are taken out once the new one stands. Raises
    ValueError for anything that is not one ed25519 public-key line with a comment.
    """
    if not all(_LINE.fullmatch(line) for line in (public_line, *stale)):
        raise ValueError("not a public-key line of ours")
    steps = _steps(node_id, public_line, former or FormerRights(), stale)
    return Playbook("Set up a key for this node", tuple(Stage(one.title, (one,)) for one in steps))


def describe_key_set_up(comment: str, former: FormerRights, stale: Sequence[str] = ()) -> str:
    """The same steps as text, for a person to read before there is a key: title, then the exact lines."""
    line = f"ssh-ed25519 (the public half of the pair) {comment}"
    words = [f"Every step begins with these lines; $1 is the key's public line:\n    {line}", _indent(_START)]
    for number, step in enumerate(_steps("", line, former, stale), 1):
        words.append(f"\n{number}. {step.title}")
        if step.id.startswith("stale"):
            words.append(f"    $1 is here: {stale[int(step.id[5:])]}")
        for part, actions in (("is it so already", step.check), ("if not", step.apply), ("to undo it", step.undo)):
            for action in actions:
                assert isinstance(action, Run)
                words.append(f"  {part}:\n{_indent(action.command.argv[2].removeprefix(_START))}")
    return "\n".join(words)


def _indent(script: str) -> str:
    return "\n".join(f"    {line}" for line in script.strip().splitlines())


def _steps(node_id: str, public_line: str, former: FormerRights, stale: Sequence[str]) -> tuple[Step, ...]:
    def step(name: str, title: str, check: str, apply: str, undo: str, line: str = public_line) -> Step:
        def sh(script: str) -> tuple[Run, ...]:
            return (Run(Command(("sh", "-c", _START + script, "sh", line))),) if script else ()

        return Step(id=name, title=title, node=node_id, check=sh(check), apply=sh(apply), verify=sh(check),
                    undo=sh(undo))  # fmt: skip

    return (
        step("home", "See that no other user may write to the home folder", _HOME_IS_SAFE, _CHECK_HOME, ""),
        step(
            "folder", "Make ~/.ssh, for its owner alone", _FOLDER_IS_RIGHT, _MAKE_FOLDER,
            _give_back("$d", former.folder, "700") or _REMOVE_FOLDER,
        ),
        step(
            "file", "Make ~/.ssh/authorized_keys, for its owner alone", _FILE_IS_RIGHT, _MAKE_FILE,
            _give_back("$f", former.file, "600") or _REMOVE_FILE,
        ),
        step("line", "Add the public key of SparkDesk for this node", "has_line", _ADD_LINE, _REMOVE_LINE),
        *(
            step(f"stale{i}", "Take out a line that SparkDesk left there before", "! has_line", _REMOVE_LINE, "", line)
            for i, line in enumerate(stale)
        ),
    )  # fmt: skip


def rights_step(step_id: str, title: str, node_id: str, former: FormerRights, *, home: str = "") -> Step:
    """Home, ~/.ssh and authorized_keys as StrictModes wants them. `home`: its mode before, "" when it is not known:
    it could not be given back then, so it is said and not changed.

    A file that is not there is not made.
    """

    def sh(*scripts: str) -> tuple[Run, ...]:
        return tuple(Run(Command(("sh", "-c", _START + script, "sh", ""))) for script in scripts if script)

    file = bool(_MODE.fullmatch(former.file))
    check = sh(_HOME_IS_SAFE, _FOLDER_IS_RIGHT, _FILE_IS_RIGHT if file else "")
    close_home = f"({_HOME_IS_SAFE}) && exit 0\n{_MEND_HOME}" if _MODE.fullmatch(home) else _CHECK_HOME
    apply = sh(close_home, _MAKE_FOLDER, _MAKE_FILE if file else "")
    undo = sh(
        _give_back("$f", former.file, "600"),
        _give_back("$d", former.folder, "700") or _OWN + _LEAVE_FOLDER, _give_home_back(home),
    )  # fmt: skip
    return Step(step_id, title, node_id, apply=apply, check=check, verify=check, undo=undo)


def make_own_folder() -> Run:
    """Our folder, with a note of which folders above it were made for it."""
    return Run(Command(("sh", "-c", _START + _OWN + _MAKE_OWN, "sh", "")))


def leave_own_folder() -> Run:
    """Where nothing of a bring-up is left: our folder goes, and the empty folders that SparkDesk made, ~/.ssh too."""
    return Run(Command(("sh", "-c", _START + _OWN + _LEAVE_OWN, "sh", "")))


def is_writable_by_others(mode: str) -> bool | None:
    """Whether a mode, in octal, lets more than the owner write; None when it is no mode."""
    return bool(int(mode, 8) & 0o022) if _MODE.fullmatch(mode) else None


def _give_home_back(mode: str) -> str:
    """The home gets its mode again, unless somebody gave it another one since."""
    if not is_writable_by_others(mode):
        return ""
    left = f"{int(mode, 8) & ~0o022:o}"
    return f'[ "$(stat -L -c %a -- "$HOME")" != {left} ] || chmod {mode} -- "$HOME/."'


def _give_back(path: str, mode: str, left: str) -> str:
    """What gives a folder or file that was there before its rights again, unless they are no more those that we `left`;
    "" when there was none."""
    if not _MODE.fullmatch(mode):
        return ""
    give = f'case $(stat -c %a -- "{path}") in {left}|?{left}) chmod {mode} -- "{path}" ;; esac'
    return f'[ -L "{path}" ] || [ ! -O "{path}" ] || {give}'
