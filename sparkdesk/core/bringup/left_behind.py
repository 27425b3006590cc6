"""What stays on the nodes when a bring-up was taken back, in sentences, and the packages that its steps install.

The one rule: what undo does not take back is named before anything runs, and again in the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sparkdesk.core.playbooks.packages import removed_packages
from sparkdesk.core.playbooks.run_view import RunView
from sparkdesk.core.step import Action, Playbook, PutFile, Run, Step

BACKUPS = (
    "The system's own backup files whose names end in - (such as /etc/group-) stay as they were written last; undo "
    "does not touch them."
)


def left_behind(
    playbook: Playbook, run: RunView | None, names: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """Sentences on what undo does not take back. Without a run: of all that the playbook would do. `names` of nodes by
    their ids."""
    steps = [step for step in playbook.steps() if run is None or run.step(step.id).state in ("done", "undone")]
    packages = sorted({name for step in steps for name in packages_of(step)})
    removed = {word for step in steps for action in step.undo for word in removed_packages(action)}
    stay, gone = (", ".join(one for one in packages if (one in removed) is is_gone) for is_gone in (False, True))
    told = [f"Installed packages stay: {stay}."] if stay else []
    told += [f"What was installed along with {gone} stays; apt-get autoremove lists it."] if gone else []
    kept = [
        step.title for step in steps if not step.undo and not packages_of(step) and any(map(_is_change, step.apply))
    ]
    told += [f"Undo does not take back: {'; '.join(kept)}."] if kept else []
    left = [f"{words}." for words in left_words(run, names)] if run is not None else []
    return (*left, *told, BACKUPS) if steps else tuple(left)


def left_words(run: RunView, names: Mapping[str, str]) -> tuple[str, ...]:
    """What stands for good on nodes that a person let go of, a sentence without its full stop for each."""
    left = [step for step in run.playbook.steps() if step.id in run.left]
    return tuple(
        f"{names.get(node, node)} was let go of, and this stands there: "
        + "; ".join(step.title for step in left if step.node == node)
        for node in dict.fromkeys(step.node for step in left)
    )


def _is_change(action: Action) -> bool:
    return isinstance(action, Run | PutFile)


def packages_of(step: Step) -> tuple[str, ...]:
    """The packages that a step has apt-get install."""
    found: list[str] = []
    for action in step.apply:
        argv = action.command.argv if isinstance(action, Run) else ()
        if "install" in argv and any(word.rpartition("/")[2] in ("apt-get", "apt") for word in argv):
            found += [
                word for word in argv[argv.index("install") + 1 :] if not word.startswith("-") and "=" not in word
            ]
    return tuple(found)
