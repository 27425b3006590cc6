"""`id` of a node: the user by the node's own files, whatever ids a process has on the computer below.

The one rule: a process's groups are those that it was started with, as on a real node; a name's are those of the file.
Words as coreutils 9.4 has them.
"""

from __future__ import annotations

import os
import sys

from spark_state import read_text

_KINDS = ("u", "g", "G")


def main(arguments: list[str]) -> int:
    """`id [-u|-g|-G] [-n] [USER]`."""
    letters, names = "", []
    for word in arguments:
        if word in ("--user", "--group", "--groups", "--name"):
            letters += {"--user": "u", "--group": "g", "--groups": "G", "--name": "n"}[word]
        elif word.startswith("-") and len(word) > 1:
            letters += word[1:]
        else:
            names.append(word)
    for letter in letters:
        if letter not in (*_KINDS, "n", "r", "z"):
            return _fail(f"invalid option -- '{letter}'\nTry 'id --help' for more information.")
    kinds = [letter for letter in letters if letter in _KINDS]
    if len(set(kinds)) > 1:
        return _fail('cannot print "only" of more than one choice')
    if "n" in letters and not kinds:
        return _fail("cannot print only names or real IDs in default format")
    user = names[0] if names else "root" if os.getuid() == 0 else "nvidia"
    row = next((row for row in _rows("/etc/passwd") if row[0] == user), None)
    if row is None:
        return _fail(f"'{user}': no such user")
    print(_show(kinds[0] if kinds else "", row, _groups(user, row[3], is_own=not names), has_names="n" in letters))
    return 0


def _fail(words: str) -> int:
    print(f"id: {words}", file=sys.stderr)
    return 1


def _rows(path: str) -> list[list[str]]:
    return [line.split(":") for line in read_text(path).splitlines() if line.count(":") >= 3]


def _groups(user: str, primary: str, *, is_own: bool) -> list[tuple[str, str]]:
    """(id, name) of each group, the primary one first."""
    rows = _rows("/etc/group")
    held = {str(number) for number in os.getgroups()}
    has_real_ids = is_own and os.getuid() in (0, 1000) and not held & {"65534"}
    names = {row[2]: row[0] for row in rows}
    others = [row[2] for row in rows if (row[2] in held if has_real_ids else user in row[3].split(","))]
    return [(number, names.get(number, number)) for number in dict.fromkeys([primary, *others])]


def _show(kind: str, row: list[str], groups: list[tuple[str, str]], *, has_names: bool) -> str:
    if kind == "u":
        return row[0] if has_names else row[2]
    if kind == "g":
        return groups[0][has_names]
    if kind == "G":
        return " ".join(group[has_names] for group in groups)
    shown = ",".join(f"{number}({name})" for number, name in groups)
    return f"uid={row[2]}({row[0]}) gid={groups[0][0]}({groups[0][1]}) groups={shown}"
