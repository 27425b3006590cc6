"""Files of a step: written whole, kept before the first write, put back. As the account, or as root through sudo.

The one rule: a file is never half written under its own name, never more open than asked for, and what stood there
before is in the journal before it is written over: bytes, mode, owner and group, and how many folders
above it were missing. A link is not written over: it could not be put back as it was, nor what a command writes
through it. Nor is what somebody else wrote into a file of root's thrown away: a copy of it stays beside it.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from secrets import token_hex

from sparkdesk.core.command import Command
from sparkdesk.core.digest import digest
from sparkdesk.core.errors import CommandFailed, NodeError, StepFailed, Unreachable
from sparkdesk.core.ports import Shell
from sparkdesk.core.step import Expect, Keep, Output, PutFile, Restore
from sparkdesk.services.playbooks.journal import MAX_FOLDERS, FormerFile
from sparkdesk.services.playbooks.site import OutcomeUnknown, Site, raise_unless_expected

FILE_TIMEOUT_S = 120.0
MAX_KEPT_BYTES = 1 << 20
"""The largest file that is kept for Restore: configuration, not weights."""

# Says "link", "absent" and how many folders above it are absent too, or mode, size and owner of what is there.
# `~/` is the user's home.
_LOOK = """p=$1; case $p in "~/"*) p=$HOME/${p#"~/"};; esac
if [ -L "$p" ]; then echo link; elif [ -e "$p" ]; then stat -c 'there %a %s %u:%g' -- "$p"; else
n=0; d=$(dirname -- "$p"); while [ ! -e "$d" ] && [ ! -L "$d" ]; do n=$((n + 1)); d=$(dirname -- "$d"); done
echo "absent $n"; fi"""
# $2: of so many folders above it, those that are empty go too.
_REMOVE = """p=$1; n=$2; case $p in "~/"*) p=$HOME/${p#"~/"};; esac; rm -f -- "$p" || exit 1
while [ "$n" -gt 0 ]; do n=$((n - 1)); p=$(dirname -- "$p")
[ ! -e "$p" ] || rmdir -- "$p" 2>/dev/null || exit 0; done"""
# $2 group, $3 mode: a change of the group takes bits of the mode. An account may not give to every group.
_GIVE_GROUP = """p=$1; case $p in "~/"*) p=$HOME/${p#"~/"};; esac
[ "$(stat -c %g -- "$p")" = "$2" ] || { chgrp -- "$2" "$p" && chmod "$3" "$p"; } 2>/dev/null || :"""
# $1 path, $2 mode, $3 size, $4 suffix, $5 owner or nothing.
# set -C: a name that is there, or a link, is not written through.
_ROOT_PUT = """t=$1.$4; umask 022; mkdir -p -- "$(dirname -- "$1")" || exit 73; umask 077; set -C
{ cat > "$t"; } || exit 73; set +C
if [ "$(wc -c < "$t")" -eq "$3" ] && { [ -z "$5" ] || chown "$5" "$t"; } && chmod "$2" "$t" && mv -f -- "$t" "$1"
then exit 0; fi
rm -f -- "$t"; exit 74"""


async def put_file(action: PutFile, site: Site) -> None:
    """Write the file; what was there is kept first when the step's undo puts it back."""
    shell = site.shell()
    step = site.step
    _refuse_part_of_path(action, site)
    if any(isinstance(undo, Restore) and undo.path == action.path for undo in step.undo):
        await _keep_once(action, site)
    await _put(shell, site, action.path, FormerFile(action.content, action.mode, action.as_root))


async def keep_file(action: Keep, site: Site) -> None:
    """Keep a file that a command will write."""
    _refuse_part_of_path(action, site)
    await _keep_once(action, site)


def _refuse_part_of_path(action: PutFile | Keep, site: Site) -> None:
    if action.as_root and not action.path.startswith("/"):
        raise StepFailed(
            f"{site.step.title}: root writes to whole paths only, not to {action.path}", remedy="Make the plan again."
        )


async def _keep_once(action: PutFile | Keep, site: Site) -> None:
    """What is in the journal already is how it was before this run: a step that goes on finds its own writing."""
    node = site.step.node
    if (node, action.path) not in site.journal.record.former:
        former = await _read_former(site.shell(), site, action.path, action.as_root)
        await site.journal.keep_file(node, action.path, former)


async def note_left(site: Site) -> None:
    """Note what the step's commands have made of the files that it kept. Where that cannot be read it is not known,
    and an undo then counts it as somebody else's."""
    for action in site.step.apply:
        if isinstance(action, Keep) and (site.step.node, action.path) in site.journal.record.former:
            with suppress(StepFailed, NodeError, TimeoutError):
                left = await _read_former(site.shell(), site, action.path, action.as_root)
                await site.journal.file_left(site.step.node, action.path, digest(left.content or b""))


async def restore(action: Restore, site: Site) -> None:
    """Put a file back as it was before this run wrote it."""
    former = site.journal.record.former.get((site.step.node, action.path))
    if former is None:
        return  # it was never written
    shell = site.shell()
    if former.is_root:
        await _keep_others_words(action.path, former, site)
    if former.content is not None:
        await _put(shell, site, action.path, former)
        return
    command = Command(("sh", "-c", _REMOVE, "sh", action.path, str(former.folders)))
    outcome = await site.run(shell, command, as_root=former.is_root)
    raise_unless_expected(Expect(), outcome, site, shell.node)


async def _keep_others_words(path: str, former: FormerFile, site: Site) -> None:
    """A copy beside the file of what is neither as it was before nor as this run left it, and words that say so."""
    shell, node, record = site.shell(), site.step.node, site.journal.record
    now = await _read_former(shell, site, path, is_root=True)
    left = record.left_as.get((node, path), set()) | {
        digest(action.content)
        for step in record.playbook.steps()
        for action in step.apply
        if step.node == node and isinstance(action, PutFile) and action.path == path
    }
    if now.content in (None, former.content) or digest(now.content) in left:
        return
    copy = f"{path}.{digest(now.content)[:12]}-"
    await _put(shell, site, copy, now)
    why = "was changed since" if left else "may have been changed since"
    said = {"ok": True, "message": f"{path} {why}: what stood there is kept as {copy}"}
    site.emit(Output(site.step.id, site.clock.now_ms(), json.dumps(said)))


async def _look(shell: Shell, site: Site, path: str, is_root: bool) -> tuple[int, int, str] | int:
    """Mode, size and owner of a file; where there is none, how many folders above it are missing too."""
    outcome = await site.run(shell, Command(("sh", "-c", _LOOK, "sh", path)), as_root=is_root)
    raise_unless_expected(Expect(), outcome, site, shell.node)
    words = (outcome.text.strip().splitlines() or [""])[-1].split()
    if len(words) == 2 and words[0] == "absent" and words[1].isdecimal():
        return min(int(words[1]), MAX_FOLDERS)
    if words == ["link"]:
        raise StepFailed(
            f"{site.step.title}: {path} is a link to somewhere else, and SparkDesk writes to files only",
            remedy="Put the file itself in the place of the link on the node, then try again.",
            node=shell.node,
        )
    if len(words) != 4 or words[0] != "there":
        raise StepFailed(f"{site.step.title}: cannot see what is at {path}", remedy="Look at that path on the node.")
    return int(words[1], 8), int(words[2]), words[3]


async def _read_former(shell: Shell, site: Site, path: str, is_root: bool) -> FormerFile:
    found = await _look(shell, site, path, is_root)
    if isinstance(found, int):
        return FormerFile(None, is_root=is_root, folders=found)
    mode, size, owner = found
    if size > MAX_KEPT_BYTES:
        raise StepFailed(
            f"{site.step.title}: {path} has {size} bytes; it is too large to be kept for undo",
            remedy="Move that file away first.",
            node=shell.node,
        )
    if not is_root:
        async with asyncio.timeout(FILE_TIMEOUT_S):
            return FormerFile(await shell.fetch(path, max_bytes=MAX_KEPT_BYTES), mode, owner=owner)
    outcome = await site.run(shell, Command(("cat", "--", path)), timeout_s=FILE_TIMEOUT_S, as_root=True)
    raise_unless_expected(Expect(), outcome, site, shell.node)
    if len(outcome.stdout) != size or outcome.truncated:
        raise StepFailed(f"{site.step.title}: {path} changed while it was read", remedy="Try again.", node=shell.node)
    return FormerFile(outcome.stdout, mode, is_root=True, owner=owner)


async def _put(shell: Shell, site: Site, path: str, file: FormerFile) -> None:
    content = file.content or b""
    if site.hold is not None and not file.is_root:  # SFTP cannot run under the lock: ask for it just before
        raise_unless_expected(Expect(), await site.run(shell, Command(("true",))), site, shell.node)
    try:
        if file.is_root:
            words = (path, f"{file.mode:o}", str(len(content)), f"sparkdesk-{token_hex(6)}", file.owner)
            command = Command(("sh", "-c", _ROOT_PUT, "sh", *words))
            outcome = await site.run(shell, command, stdin=content, timeout_s=FILE_TIMEOUT_S, as_root=True)
            raise_unless_expected(Expect(), outcome, site, shell.node)
            return
        async with asyncio.timeout(FILE_TIMEOUT_S):
            await shell.put(content, path, mode=file.mode)
        if file.owner:
            group = file.owner.partition(":")[2]
            await site.run(shell, Command(("sh", "-c", _GIVE_GROUP, "sh", path, group, f"{file.mode:o}")))
    except CommandFailed:
        raise
    except (Unreachable, TimeoutError) as error:
        raise OutcomeUnknown(
            f"{site.step.title}: the connection was lost while {path} was written",
            remedy="Wait until the node is back; SparkDesk then writes it again.",
            detail=str(error),
            node=shell.node,
        ) from error
